"""From texts to unit vectors: the same steps for every model and runtime.

Texts are cleaned, prefixed, deduplicated, tokenized and cut; sorted by length and run in batches of at
most `RUN_TOKENS` padded tokens (padding is the cost, so texts of about one length share a batch), padded on
the right, pooled over their true lengths, truncated as the spec states, and normalised. A text's vector does
not depend on its batch. A runtime of text vectors gets cleaned, prefixed texts; its vectors are truncated and
normalised, and whether they depend on their batch is its own matter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from patina_hooks.errors import ModelError, PatinaError, PluginError, TextsRefused
from patina_hooks.models.choice import AUTO, RuntimeChoice, provider_of, runtime_for
from patina_hooks.models.engine_versions import UNKNOWN_VERSIONS, EngineVersions, read_engine_versions
from patina_hooks.models.files.weights import file_hashes, model_files
from patina_hooks.models.fingerprint import fingerprint_of
from patina_hooks.models.reading import apply_reading, prefix_of, with_batching, with_remote_runtime
from patina_hooks.plugins.calls import BUILTIN, ENGINE_PATIENCE, failure_of, plugin_call
from patina_hooks.plugins.kinds import RUNTIMES, describe_type
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
"""Padded tokens of a batch, unless one text is longer. Larger batches cost more than they save: more padding,
and data that no longer fits into a processor's cache."""

LAYER_NORM_EPSILON: Final = 1e-5
"""Of torch's layer_norm, with which Matryoshka models of this kind are trained."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The vectors of texts.

    vectors: [n, d] float32 of unit norm, in the order of the texts. A text without tokens has the zero
        vector, which is similar to nothing.
    cut: tokens left out of each text, 0 where the runtime does not report them.
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
        engine_versions: EngineVersions = UNKNOWN_VERSIONS,
        plugin: str = BUILTIN,
    ) -> None:
        """Wrap an opened model.

        Args:
            spec: the model, as the recipe has it read.
            runtime: the runtime that opened it.
            fingerprint: see `compute_fingerprint`.
            opened: what the runtime returned.
            workers: batches to run at once, each in its own thread.
            engine_versions: see `read_engine_versions`.
            plugin: the plugin that provides the runtime.
        """
        self.spec = spec
        self._workers = workers
        self.runtime = runtime.runtime
        self.variant = runtime.variant
        self.reason = runtime.reason
        self.fingerprint = fingerprint
        self.engine_versions = engine_versions
        self._plugin = plugin
        self.opened = opened

    @property
    def output(self) -> RuntimeOutput:
        """Whether the runtime returns token vectors, which are pooled here, or text vectors."""
        return "text_vectors" if isinstance(self.opened, TextModel) else "token_vectors"

    @property
    def model(self) -> TokenModel:
        """The model of token vectors.

        Raises:
            ModelError: the runtime returns text vectors.
        """
        if isinstance(self.opened, TextModel):
            raise ModelError(f"the runtime {self.runtime} does not return token vectors")
        return self.opened

    @property
    def texts_at_once(self) -> int:
        """Texts that the runtime takes in one call, 1 where it does not matter."""
        return int(getattr(self.opened, "texts_at_once", 1))

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self.spec.width

    def encode(self, texts: Sequence[str], *, role: Role) -> Encoded:
        """Embed texts, each with the prefix of `role`; equal texts run once."""
        prepared = [prepare_text(self.spec, text, role) for text in texts]
        rows = {text: row for row, text in enumerate(dict.fromkeys(prepared))}
        if isinstance(self.opened, TextModel):
            vectors, cut = self._encode_remote(self.opened, list(rows))
        else:
            vectors, cut = self._encode_local(self.opened, list(rows))
        order = [rows[text] for text in prepared]
        return Encoded(vectors[order], tuple(cut[row] for row in order))

    def _encode_remote(self, model: TextModel, texts: Sequence[str]) -> tuple[Vectors, list[int]]:
        import numpy as np

        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        filled = [row for row, text in enumerate(texts) if text]
        if filled:
            embedded = self._call_runtime(self._embed_texts, model, [texts[row] for row in filled])
            expected = (len(filled), self.spec.dimensions)
            if embedded.shape != expected:
                raise ModelError(f"model {self.spec.name} gave vectors {embedded.shape}, not {expected}")
            vectors[filled] = normalise_rows(truncate_rows(embedded, self.spec), self.spec.name)
        return vectors, [0] * len(texts)

    def _encode_local(self, model: TokenModel, texts: Sequence[str]) -> tuple[Vectors, list[int]]:
        # numpy takes 0.1 s to import: only when something is encoded.
        import numpy as np

        tokens = self._call_runtime(self._tokenize, model, texts)
        vectors = np.zeros((len(tokens), self.dimensions), dtype=np.float32)
        most = RUN_TOKENS if self.spec.batch_invariant else 0
        batches = list(batch_by_length([len(text.ids) for text in tokens], most))
        inputs = [[tokens[row] for row in batch] for batch in batches]
        for batch, pooled in zip(batches, self._run_batches(inputs), strict=True):
            vectors[batch] = pooled
        return vectors, [text.cut for text in tokens]

    def _run_batches(self, batches: Sequence[Sequence[Tokens]]) -> Iterable[Vectors]:
        """Run batches in parallel where that helps: one question is one batch and starts no threads."""
        if self._workers == 1 or len(batches) < 2:
            return map(self._run, batches)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(self._run, batches))

    def _run(self, batch: Sequence[Tokens]) -> Vectors:
        ids, mask = pad_batch(batch)
        hidden = self._call_runtime(self._run_forward, self.model, ids, mask)
        expected = (*ids.shape, self.spec.dimensions)
        if hidden.shape != expected:
            raise ModelError(f"model {self.spec.name} gave token vectors {hidden.shape}, not {expected}")
        pooled = pool_tokens(hidden, [len(text.ids) for text in batch], self.spec.pooling)
        return normalise_rows(truncate_rows(pooled, self.spec), self.spec.name)

    def _call_runtime(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call a function of the runtime; an exception of it is an error of the model, not a bug here."""
        try:
            with plugin_call(self._plugin, f"runtime {self.runtime}", patience=ENGINE_PATIENCE):
                return function(*arguments, **named)
        except PluginError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            problem = (
                f"the runtime {self.runtime} failed to run model {self.spec.name}: {self._failure(error)}"
            )
            hint = _hint_of(error) or "patina doctor"
            raise TextsRefused(problem, hint=hint, plugin=self._plugin) from error

    def _failure(self, error: BaseException) -> str:
        """Describe an error: a `PatinaError` by its message, others with type, file and line."""
        if isinstance(error, PatinaError):
            return str(error)
        return failure_of(error, type(self.opened).__module__)

    @staticmethod
    def _embed_texts(model: TextModel, texts: list[str]) -> Vectors:
        return _check_array("embed_texts", model.embed_texts(texts))

    @staticmethod
    def _run_forward(model: TokenModel, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        return _check_array("forward", model.forward(ids, mask))

    def _tokenize(self, model: TokenModel, texts: Sequence[str]) -> list[Tokens]:
        tokens = list(model.tokenize(texts, self.spec.max_tokens))
        if len(tokens) != len(texts) or not all(isinstance(text, Tokens) for text in tokens):
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
    """Check a model's files and open it.

    Args:
        plugins: the loaded plugins.
        model: a model's name.
        runtime: a runtime's name, or "auto".
        reading: what the recipe changes of the model.
        ready: called after the check, to wait for an import of the runtime's modules.

    Raises:
        PluginError: the name is unknown or ambiguous.
        ModelError: the model cannot run here: no usable runtime, a file absent or altered, or an error of the
            runtime.
    """
    spec, choice = resolve_model(plugins, model, runtime, reading=reading)
    files = model_files(spec, choice.runtime)
    if ready:
        ready()
    # Before the runtime's code is imported.
    engine_versions = read_engine_versions(plugins, model, provider_of(spec, choice.runtime))
    return open_files(plugins, spec, choice, files, engine_versions)


def open_files(
    plugins: Plugins,
    spec: ModelSpec,
    choice: RuntimeChoice,
    files: Mapping[str, Path],
    engine_versions: EngineVersions = UNKNOWN_VERSIONS,
) -> Encoder:
    """Open a model with the runtime's code, which is guarded.

    Raises:
        PluginError: the runtime cannot open it.
    """
    provider = provider_of(spec, choice.runtime)
    runtime = plugins.runtime(provider)
    factory = plugins.open(RUNTIMES, provider, runtime.factory)
    failed = f"the runtime {choice.runtime} cannot open model {spec.name}"
    try:
        opened: TokenModel | TextModel = factory(spec, files)
    except PluginError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = str(error) if isinstance(error, PatinaError) else factory.failure(error)
        raise ModelError(f"{failed}: {reason}", hint=_hint_of(error), plugin=factory.plugin) from error
    if not isinstance(opened, TextModel) and not _is_token_model(opened):
        raise ModelError(f"{failed}: it gave {describe_type(opened)}", plugin=factory.plugin)
    fingerprint = compute_fingerprint(spec, choice)
    workers = processors() if runtime.concurrent else 1
    encoder = Encoder(
        spec, choice, fingerprint, opened, workers=workers, engine_versions=engine_versions,
        plugin=factory.plugin,
    )  # fmt: skip
    if encoder.output != runtime.output:
        raise ModelError(f"the runtime {runtime.name} makes {encoder.output} instead of {runtime.output}")
    return encoder


def _is_token_model(opened: object) -> bool:
    return all(callable(getattr(opened, name, None)) for name in ("tokenize", "forward"))


def _check_array(function: str, value: object) -> Vectors:
    """Return the value if it is an array of numbers; raise TypeError otherwise."""
    import numpy as np

    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise TypeError(f"{function} gave {describe_type(value)} that is not an array of numbers")
    return value


def _hint_of(error: BaseException) -> str:
    return error.hint if isinstance(error, PatinaError) else ""


def processors() -> int:
    """Count the processors to use, at most four: short texts gain nothing from more."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_PROCESSORS)


def resolve_model(
    plugins: Plugins, model: str, runtime: str = AUTO, *, reading: Reading | None = None
) -> tuple[ModelSpec, RuntimeChoice]:
    """Return a model as the recipe has it read, and the runtime that runs it here.

    Raises:
        PluginError: as `open_encoder`.
    """
    spec = plugins.model(model)
    spec = apply_reading(spec, reading) if reading else spec
    choice = runtime_for(plugins, spec, runtime)
    provider = plugins.runtime(provider_of(spec, choice.runtime))
    if provider.output == "text_vectors":
        return with_remote_runtime(spec, provider.name, reading), choice
    return with_batching(spec, choice.runtime), choice


def compute_fingerprint(spec: ModelSpec, choice: RuntimeChoice) -> str:
    """Compute the fingerprint of a model in a runtime without opening it.

    Raises:
        ModelError: as `file_hashes`.
    """
    # Two runtimes of one variant differ by more than in full precision.
    runtime = provider_of(spec, choice.runtime).rpartition("/")[2]
    variant = f"{runtime} {choice.variant}" if choice.variant else ""
    return fingerprint_of(spec, file_hashes(spec, choice.runtime), variant)


def prepare_text(spec: ModelSpec, text: str, role: Role) -> str:
    """Return the text to tokenize: the prefix of the role and the cleaned text."""
    return prefix_of(spec, role) + clean_text(text)


def clean_text(text: str) -> str:
    """Apply the text rules (`TEXT_RULES`).

    Outer white space is removed, NUL becomes a space, and a lone surrogate, which no tokenizer takes, U+FFFD.
    """
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", " ").strip()


def batch_by_length(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Group texts of about one length into batches of at most `most` padded tokens, or one text.

    Yields the positions of each batch's texts. Texts without tokens are in no batch.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda position: (lengths[position], position)):
        if lengths[position] and batch and (len(batch) + 1) * lengths[position] > most:
            yield batch
            batch = []
        if lengths[position]:
            batch.append(position)
    if batch:
        yield batch


def pad_batch(batch: Sequence[Tokens]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ids [b, s], zeros to the right, and their mask [b, s]."""
    import numpy as np

    ids = np.zeros((len(batch), max(len(text.ids) for text in batch)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(batch):
        ids[row, : len(text.ids)] = text.ids
        mask[row, : len(text.ids)] = 1
    return ids, mask


def pool_tokens(hidden: Vectors, lengths: Sequence[int], pooling: Pooling) -> Vectors:
    """Pool token vectors [b, s, d] to vectors [b, d], each over its first `length` tokens only."""
    import numpy as np

    if pooling == "cls":
        return np.ascontiguousarray(hidden[:, 0], dtype=np.float32)
    if pooling == "last":
        return np.asarray(hidden[np.arange(len(lengths)), np.asarray(lengths) - 1], dtype=np.float32)
    means = [row[:length].mean(axis=0, dtype=np.float32) for row, length in zip(hidden, lengths, strict=True)]
    return np.asarray(means, dtype=np.float32)


def truncate_rows(vectors: Vectors, spec: ModelSpec) -> Vectors:
    """Cut rows to `spec.truncate` values, after the layer norm that the model was trained with."""
    import numpy as np

    if not spec.truncate:
        return vectors
    if spec.matryoshka_norm == "layer":
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        vectors = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + LAYER_NORM_EPSILON)
    return np.ascontiguousarray(vectors[:, : spec.truncate], dtype=np.float32)


def normalise_rows(vectors: Vectors, model: str) -> Vectors:
    """Divide each row by its L2 norm; a zero row stays zero.

    Raises:
        TextsRefused: a value is not finite.
    """
    import numpy as np

    if not np.isfinite(vectors).all():
        raise TextsRefused(f"model {model} gave values that are not finite numbers")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)
