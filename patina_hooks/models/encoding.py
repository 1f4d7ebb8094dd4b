"""From texts to unit vectors: the same steps for every model and runtime.

Texts are cleaned, prefixed, deduplicated, tokenized and cut; sorted by length and run in batches of at
most `RUN_TOKENS` padded tokens (padding is the cost, so neighbours of one length share a run), padded on
the right, pooled over their true lengths, cut off where the spec says so, and normalised. A text's vector
does not depend on its company. A runtime that pools where it runs is given cleaned, prefixed texts, and its
vectors are cut off and normalised; what it makes of their company is its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from patina_hooks.errors import ModelError, PatinaError, PluginError, TextsRefused
from patina_hooks.models.choice import AUTO, RuntimeChoice, provider_of, runtime_for
from patina_hooks.models.files.weights import file_hashes, model_files
from patina_hooks.models.fingerprint import fingerprint_of
from patina_hooks.models.makers import UNKNOWN_MAKERS, Makers, makers_of
from patina_hooks.models.reading import prefix_of, read_as, run_by, run_elsewhere
from patina_hooks.plugins.calls import BUILTIN, ENGINE_PATIENCE, failure_of, plugin_call
from patina_hooks.plugins.kinds import RUNTIMES, shown
from patina_hooks.specs.models import ModelSpec, Pooling, Role, RuntimeOutput, TextModel, TokenModel, Tokens

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from patina_hooks.config.recipe import Reading
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.vectors import Vectors

P = ParamSpec("P")
T = TypeVar("T")

_MOST_PROCESSORS: Final = 4

RUN_TOKENS: Final = 256
"""Padded tokens a run, where a single text is not longer: above it, padding and what no longer fits into a
processor's cache cost more than is saved."""

LAYER_NORM_EPSILON: Final = 1e-5
"""That of torch's layer_norm, with which Matryoshka models of this kind are trained."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """vectors [n, d] float32 of unit norm, in the order of the texts; cut: tokens left out of each, as far as
    the runtime tells.

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
        opened: TokenModel | TextModel,
        *,
        workers: int = 1,
        makers: Makers = UNKNOWN_MAKERS,
        plugin: str = BUILTIN,
    ) -> None:
        """workers: batches that are run at once, each in a thread of its own; makers: see `makers_of`;
        plugin: the one that provides the runtime."""
        self.spec = spec
        self._workers = workers
        self.runtime = runtime.runtime
        self.variant = runtime.variant
        self.reason = runtime.reason
        self.fingerprint = fingerprint
        self.makers = makers
        self._plugin = plugin
        self.opened = opened

    @property
    def output(self) -> RuntimeOutput:
        """Whether the runtime gives vectors of tokens, which are pooled here, or of whole texts."""
        return "text_vectors" if isinstance(self.opened, TextModel) else "token_vectors"

    @property
    def model(self) -> TokenModel:
        """What gives the vectors of tokens; `ModelError` where the runtime gives those of texts."""
        if isinstance(self.opened, TextModel):
            raise ModelError(f"the runtime {self.runtime} gives no vectors of tokens")
        return self.opened

    @property
    def texts_at_once(self) -> int:
        """How many texts the runtime takes at once, 1 where that does not matter."""
        return int(getattr(self.opened, "texts_at_once", 1))

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self.spec.width

    def encode(self, texts: Sequence[str], *, role: Role) -> Encoded:
        """The vectors of `texts`, each with the prefix of `role`; equal texts are run once."""
        prepared = [prepare(self.spec, text, role) for text in texts]
        places = {text: place for place, text in enumerate(dict.fromkeys(prepared))}
        if isinstance(self.opened, TextModel):
            vectors, cut = self._pooled_there(self.opened, list(places))
        else:
            vectors, cut = self._pooled_here(self.opened, list(places))
        order = [places[text] for text in prepared]
        return Encoded(vectors[order], tuple(cut[place] for place in order))

    def _pooled_there(self, model: TextModel, texts: Sequence[str]) -> tuple[Vectors, list[int]]:
        import numpy as np

        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        said = [place for place, text in enumerate(texts) if text]
        if said:
            found = self._ask(self._embedded, model, [texts[place] for place in said])
            expected = (len(said), self.spec.dimensions)
            if found.shape != expected:
                raise ModelError(f"model {self.spec.name} gave vectors {found.shape}, not {expected}")
            vectors[said] = normalise(cut_off(found, self.spec), self.spec.name)
        return vectors, [0] * len(texts)

    def _pooled_here(self, model: TokenModel, texts: Sequence[str]) -> tuple[Vectors, list[int]]:
        # numpy takes 0.1 s to import: only when something is encoded.
        import numpy as np

        tokens = self._ask(self._tokenized, model, texts)
        vectors = np.zeros((len(tokens), self.dimensions), dtype=np.float32)
        most = RUN_TOKENS if self.spec.batch_invariant else 0
        batches = list(runs([len(one.ids) for one in tokens], most))
        each = [[tokens[place] for place in batch] for batch in batches]
        for batch, made in zip(batches, self._run_all(each), strict=True):
            vectors[batch] = made
        return vectors, [one.cut for one in tokens]

    def _run_all(self, batches: Sequence[Sequence[Tokens]]) -> Iterable[Vectors]:
        """Side by side where that helps: one question is one batch, and wakes no threads."""
        if self._workers == 1 or len(batches) < 2:
            return map(self._run, batches)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(self._run, batches))

    def _run(self, batch: Sequence[Tokens]) -> Vectors:
        ids, mask = pad(batch)
        hidden = self._ask(self._hidden, self.model, ids, mask)
        expected = (*ids.shape, self.spec.dimensions)
        if hidden.shape != expected:
            raise ModelError(f"model {self.spec.name} gave token vectors {hidden.shape}, not {expected}")
        pooled = pool(hidden, [len(one.ids) for one in batch], self.spec.pooling)
        return normalise(cut_off(pooled, self.spec), self.spec.name)

    def _ask(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call a function of the runtime's: what it raises is a fault of the model, and no bug of ours."""
        try:
            with plugin_call(self._plugin, f"runtime {self.runtime}", patience=ENGINE_PATIENCE):
                return function(*arguments, **named)
        except PluginError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            what = f"the runtime {self.runtime} failed to run model {self.spec.name}: {self._failure(error)}"
            hint = _hint(error) or "patina doctor"
            raise TextsRefused(what, hint=hint, plugin=self._plugin) from error

    def _failure(self, error: BaseException) -> str:
        """Return an error of ours as it is, an engine's with its type and the plugin's file and line."""
        if isinstance(error, PatinaError):
            return str(error)
        return failure_of(error, type(self.opened).__module__)

    @staticmethod
    def _embedded(model: TextModel, texts: list[str]) -> Vectors:
        return _numbers("embed_texts", model.embed_texts(texts))

    @staticmethod
    def _hidden(model: TokenModel, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return _numbers("forward", model.forward(ids, mask))

    def _tokenized(self, model: TokenModel, texts: Sequence[str]) -> list[Tokens]:
        tokens = list(model.tokenize(texts, self.spec.max_tokens))
        if len(tokens) != len(texts) or not all(isinstance(one, Tokens) for one in tokens):
            raise TypeError(f"tokenize gave no Tokens for each of {len(texts)} texts")
        return tokens


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
    spec, choice = choose(plugins, model, runtime, reading=reading)
    files = model_files(spec, choice.runtime)
    if ready:
        ready()
    makers = makers_of(
        plugins, model, provider_of(spec, choice.runtime)
    )  # before the runtime's code is imported
    return open_files(plugins, spec, choice, files, makers)


def open_files(
    plugins: Plugins,
    spec: ModelSpec,
    choice: RuntimeChoice,
    files: Mapping[str, Path],
    makers: Makers = UNKNOWN_MAKERS,
) -> Encoder:
    """Open a model with the runtime's code, which is guarded. Raises `PluginError`."""
    provider = provider_of(spec, choice.runtime)
    how = plugins.runtime(provider)
    opener = plugins.open(RUNTIMES, provider, how.factory)
    failed = f"the runtime {choice.runtime} cannot open model {spec.name}"
    try:
        opened: TokenModel | TextModel = opener(spec, files)
    except PluginError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = str(error) if isinstance(error, PatinaError) else opener.failure(error)
        raise ModelError(f"{failed}: {reason}", hint=_hint(error), plugin=opener.plugin) from error
    if not isinstance(opened, TextModel) and not _is_token_model(opened):
        raise ModelError(f"{failed}: it gave {shown(opened)}", plugin=opener.plugin)
    fingerprint = identify(spec, choice)
    workers = processors() if how.concurrent else 1
    encoder = Encoder(spec, choice, fingerprint, opened, workers=workers, makers=makers, plugin=opener.plugin)
    if encoder.output != how.output:
        raise ModelError(f"the runtime {how.name} makes {encoder.output} instead of {how.output}")
    return encoder


def _is_token_model(opened: object) -> bool:
    return all(callable(getattr(opened, name, None)) for name in ("tokenize", "forward"))


def _numbers(function: str, value: object) -> Vectors:
    """What a runtime gave, if it is an array of numbers. Raises TypeError."""
    import numpy as np

    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise TypeError(f"{function} gave {shown(value)} that is no array of numbers")
    return value


def _hint(error: BaseException) -> str:
    return error.hint if isinstance(error, PatinaError) else ""


def processors() -> int:
    """As many as this process may use, up to four: short texts gain nothing from more."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_PROCESSORS)


def choose(
    plugins: Plugins, model: str, runtime: str = AUTO, *, reading: Reading | None = None
) -> tuple[ModelSpec, RuntimeChoice]:
    """A model by name, as it is read and run, and what runs it here. Raises as `open_encoder`."""
    spec = plugins.model(model)
    spec = read_as(spec, reading) if reading else spec
    choice = runtime_for(plugins, spec, runtime)
    how = plugins.runtime(provider_of(spec, choice.runtime))
    if how.output == "text_vectors":
        return run_elsewhere(spec, how.name, reading), choice
    return run_by(spec, choice.runtime), choice


def identify(spec: ModelSpec, choice: RuntimeChoice) -> str:
    """The fingerprint of what `choose` found, without opening it. Raises as `file_hashes`."""
    # Two runtimes may use one word: in half the digits they do not agree as they do in all.
    runtime = provider_of(spec, choice.runtime).rpartition("/")[2]
    variant = f"{runtime} {choice.variant}" if choice.variant else ""
    return fingerprint_of(spec, file_hashes(spec, choice.runtime), variant)


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
        raise TextsRefused(f"model {model} gave values that are not finite numbers")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)
