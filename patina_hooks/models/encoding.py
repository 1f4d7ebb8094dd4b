"""From texts to unit vectors: the same steps for every model and runtime.

Texts are cleaned, prefixed, deduplicated, tokenized and cut; sorted by length and run in batches of at
most `RUN_TOKENS` padded tokens (padding is the cost, so neighbours of one length share a run), padded on
the right, pooled over their true lengths, cut off where the spec says so, and normalised. A text's vector
does not depend on its company.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError, PluginError
from patina_hooks.models.choice import AUTO, RuntimeChoice, runtime_for
from patina_hooks.models.fingerprint import fingerprint_of
from patina_hooks.models.reading import prefix_of, read_as
from patina_hooks.models.weights import file_hashes, model_files
from patina_hooks.plugins import open_callable
from patina_hooks.types import ModelSpec, Pooling, Role, TokenModel, Tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from patina_hooks.plugins import Plugins
    from patina_hooks.recipe import Reading
    from patina_hooks.types import Vectors

_MOST_PROCESSORS: Final = 4

RUN_TOKENS: Final = 512
"""Padded tokens a run, where a single text is not longer: above it, padding costs more than it saves."""

LAYER_NORM_EPSILON: Final = 1e-5
"""That of torch's layer_norm, with which Matryoshka models of this kind are trained."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """vectors [n, d] float32 of unit norm, in the order of the texts; cut: tokens left out of each.

    A text that has no tokens at all has the zero vector, which is like nothing.
    """

    vectors: Vectors
    cut: tuple[int, ...]


class Encoder:
    """A model opened in a runtime: texts in, vectors out."""

    def __init__(
        self,
        spec: ModelSpec,
        runtime: RuntimeChoice,
        fingerprint: str,
        model: TokenModel,
        *,
        workers: int = 1,
    ) -> None:
        """workers: batches that are run at once, each in a thread of its own."""
        self.spec = spec
        self._workers = workers
        self.runtime = runtime.runtime
        self.reason = runtime.reason
        self.fingerprint = fingerprint
        self.model = model

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self.spec.width

    def encode(self, texts: Sequence[str], *, role: Role) -> Encoded:
        """The vectors of `texts`, each with the prefix of `role`; equal texts are run once."""
        # numpy takes 0.1 s to import: only when something is encoded.
        import numpy as np

        prepared = [prepare(self.spec, text, role) for text in texts]
        places = {text: place for place, text in enumerate(dict.fromkeys(prepared))}
        tokens = self.model.tokenize(list(places), self.spec.max_tokens)
        vectors = np.zeros((len(tokens), self.dimensions), dtype=np.float32)
        most = RUN_TOKENS if self.spec.batch_invariant else 0
        batches = list(runs([len(one.ids) for one in tokens], most))
        each = [[tokens[place] for place in batch] for batch in batches]
        for batch, made in zip(batches, self._run_all(each), strict=True):
            vectors[batch] = made
        order = [places[text] for text in prepared]
        return Encoded(vectors[order], tuple(tokens[place].cut for place in order))

    def _run_all(self, batches: Sequence[Sequence[Tokens]]) -> Iterable[Vectors]:
        """Side by side where that helps: one question is one batch, and wakes no threads."""
        if self._workers == 1 or len(batches) < 2:
            return map(self._run, batches)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(self._run, batches))

    def _run(self, batch: Sequence[Tokens]) -> Vectors:
        ids, mask = pad(batch)
        hidden = self.model.forward(ids, mask)
        expected = (*ids.shape, self.spec.dimensions)
        if hidden.shape != expected:
            raise ModelError(f"model {self.spec.name} gave token vectors {hidden.shape}, not {expected}")
        pooled = pool(hidden, [len(one.ids) for one in batch], self.spec.pooling)
        return normalise(cut_off(pooled, self.spec), self.spec.name)


def open_encoder(
    plugins: Plugins,
    model: str,
    runtime: str = AUTO,
    *,
    reading: Reading | None = None,
    ready: Callable[[], object] | None = None,
) -> Encoder:
    """Open a model by name; its files are checked first.

    reading: how it is to be read, where that is not its own way.
    ready: waited for in between, by a caller that imports the runtime's modules meanwhile.
    Raises `PluginError` for an unknown or ambiguous name, `ModelError` where the model cannot be run
    here: no usable runtime, a file absent or altered, or what the runtime says.
    """
    spec = _spec(plugins, model, reading)
    choice = runtime_for(plugins, spec, runtime)
    files = model_files(spec, choice.runtime)
    if ready:
        ready()
    how = plugins.runtime(choice.runtime)
    opener = open_callable(how.opener)
    try:
        opened: TokenModel = opener(spec, files)
    except PluginError:
        raise
    except Exception as error:
        raise ModelError(f"the runtime {choice.runtime} cannot open model {spec.name}: {error}") from error
    fingerprint = fingerprint_of(spec, file_hashes(spec, choice.runtime))
    return Encoder(spec, choice, fingerprint, opened, workers=processors() if how.concurrent else 1)


def processors() -> int:
    """As many as this process may use, up to four: short texts gain nothing from more."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_PROCESSORS)


def fingerprint_for(
    plugins: Plugins, model: str, runtime: str = AUTO, *, reading: Reading | None = None
) -> str:
    """The fingerprint that `open_encoder` would give, without opening the model."""
    spec = _spec(plugins, model, reading)
    return fingerprint_of(spec, file_hashes(spec, runtime_for(plugins, spec, runtime).runtime))


def _spec(plugins: Plugins, model: str, reading: Reading | None) -> ModelSpec:
    spec = plugins.model(model)
    return read_as(spec, reading) if reading else spec


def prepare(spec: ModelSpec, text: str, role: Role) -> str:
    """What is tokenized: the prefix of the role and the cleaned text."""
    return prefix_of(spec, role) + clean(text)


def clean(text: str) -> str:
    """The text rules (`TEXT_RULES`): outer white space goes, NUL becomes a space, and a lone surrogate,
    which no tokenizer takes, U+FFFD. Everything else is the tokenizer's to judge."""
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", " ").strip()


def runs(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places in runs of neighbours by length, each at most `most` padded tokens (or one text).

    Texts without tokens are in no run.
    """
    run: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (lengths[place], place)):
        if lengths[place] and run and (len(run) + 1) * lengths[place] > most:
            yield run
            run = []
        if lengths[place]:
            run.append(place)
    if run:
        yield run


def pad(batch: Sequence[Tokens]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids [b, s], zeros to the right, and their mask [b, s]."""
    import numpy as np

    ids = np.zeros((len(batch), max(len(one.ids) for one in batch)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, one in enumerate(batch):
        ids[row, : len(one.ids)] = one.ids
        mask[row, : len(one.ids)] = 1
    return ids, mask


def pool(hidden: Vectors, lengths: Sequence[int], pooling: Pooling) -> Vectors:
    """One vector [b, d] a row of token vectors [b, s, d], over its first `length` tokens alone."""
    import numpy as np

    if pooling == "cls":
        return np.ascontiguousarray(hidden[:, 0], dtype=np.float32)
    if pooling == "last":
        return np.asarray(hidden[np.arange(len(lengths)), np.asarray(lengths) - 1], dtype=np.float32)
    means = [row[:length].mean(axis=0, dtype=np.float32) for row, length in zip(hidden, lengths, strict=True)]
    return np.asarray(means, dtype=np.float32)


def cut_off(vectors: Vectors, spec: ModelSpec) -> Vectors:
    """The first `spec.truncate` values of each row, after the layer norm that the model was trained with."""
    import numpy as np

    if not spec.truncate:
        return vectors
    if spec.matryoshka_norm == "layer":
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        vectors = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + LAYER_NORM_EPSILON)
    return np.ascontiguousarray(vectors[:, : spec.truncate], dtype=np.float32)


def normalise(vectors: Vectors, model: str) -> Vectors:
    """Each row divided by its L2 norm; a zero row stays zero. `ModelError` where one is not finite."""
    import numpy as np

    if not np.isfinite(vectors).all():
        raise ModelError(f"model {model} gave values that are not finite numbers")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)
