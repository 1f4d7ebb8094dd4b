"""Specs of models and runtimes, and the protocols of what a runtime opens.

Specs are data and import nothing. Where one names code, it does so as "package.module:callable", which is
opened on first use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from patina_hooks.specs.vectors import Vectors

Pooling = Literal["mean", "cls", "last"]
MatryoshkaNorm = Literal["l2", "layer"]
Role = Literal["query", "passage"]
"""What a text is for a model: a question, or a passage that answers one."""
RuntimeOutput = Literal["token_vectors", "text_vectors"]


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file of an installed distribution.

    It is located through the distribution's record, without importing it. `path` is relative to the
    distribution's root ("acme_model/model.onnx"). With `sha256` the file must have that hash.
    """

    distribution: str
    path: str
    sha256: str | None = None


_STEP: Final = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}"
_REPOSITORY: Final = re.compile(rf"{_STEP}(?:/{_STEP})?")
_REVISION: Final = re.compile(_STEP)
_INNER_PATH: Final = re.compile(rf"{_STEP}(?:/{_STEP}){{0,7}}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a model hub. Only `patina models pull` downloads it.

    repository: "owner/name"; path: in the repository, of letters, digits and "_.+-", no step beginning with
        a dot; revision: a branch, tag or commit without "/".
    sha256: "" where it is not known. Then the hash, and the commit that `revision` was, are recorded at the
        first pull, and a file that differs later is refused.
    size: in bytes, 0 where it is not known.
    """

    repository: str
    path: str
    revision: str = "main"
    sha256: str = ""
    size: int = 0

    def __post_init__(self) -> None:
        fields = ((self.repository, _REPOSITORY), (self.path, _INNER_PATH), (self.revision, _REVISION))
        for value, form in fields:
            if not form.fullmatch(value):
                raise ValueError(f"{value!r} is not a repository, path or revision of a hub")
        if self.size < 0:
            raise ValueError(f"size must be in bytes, or 0, not {self.size}")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A local file of the user, by its absolute path. With `sha256` it must have that hash."""

    path: Path
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.path.is_absolute():
            raise ValueError(f"{str(self.path)!r} is not an absolute path")


ModelFile = PackageFile | HubFile | LocalFile

MOST_DIMENSIONS: Final = 65_536
"""The upper limit of a vector's length."""
_RUNTIME_FILES: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9][A-Za-z0-9._-]{0,31})?")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model: its weights and how to use them.

    runtimes: runtime name -> role -> file. Files of another precision are under "runtime/precision"
        ("onnx/int8", "mlx/4bit"): "auto" never takes them, a recipe names them. The onnx runtime needs the
        roles "model" (the file to open; external data is next to it, under further roles) and "tokenizer"
        (a tokenizer.json, or a WordPiece vocab.txt); torch and mlx need "model" (safetensors; further parts
        are "model.2", "model.3", ...), "config" (config.json) and "tokenizer".
    dimensions: width of the model's token vectors, and length of a vector unless `truncate` is less.
    max_tokens: longest input including special tokens; longer texts are cut, and counted.
    pooling: how token vectors become one: mean over real tokens, first token, or last real token.
    layer: whose token vectors those are: -1 the last hidden layer as the model returns it (after its last
        norm), another number that of the hidden states, 0 the embeddings, negative from the end.
    query_prefix, passage_prefix: put before every text of that role; "{task}" in them stands for `task`.
    task: what questions are for, as the model's authors put it; a recipe's `instruction` goes before it.
    matryoshka: lengths, in order and below `dimensions`, at which a vector may be cut off.
    matryoshka_norm: what comes before the cut: nothing ("l2": the norm is taken after it, as always) or
        a layer norm without weights over all dimensions ("layer").
    truncate: the length to cut vectors to, 0 for none; one of `matryoshka`.
    batch_invariant: False where a text's vector depends on its batch (dynamically quantised weights, graphs
        that compute in float16); such a model runs one text at a time.
    unbatched_runtimes: those of `runtimes` where only their files are not batch invariant.
    parameters: how many weights there are, 0 where that is not known.
    languages: codes of those that it was trained for, "mul" for very many, () where that is not known.
    licence, revision, description: as its authors state them, shown by `patina models`.
    """

    name: str
    dimensions: int
    runtimes: Mapping[str, Mapping[str, ModelFile]]
    max_tokens: int = 512
    pooling: Pooling = "mean"
    layer: int = -1
    query_prefix: str = ""
    passage_prefix: str = ""
    task: str = ""
    matryoshka: Sequence[int] = ()
    matryoshka_norm: MatryoshkaNorm = "l2"
    truncate: int = 0
    licence: str = ""
    revision: str = ""
    batch_invariant: bool = True
    description: str = ""
    parameters: int = 0
    languages: tuple[str, ...] = ()
    unbatched_runtimes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name != self.name.strip():
            raise ValueError(
                f"model name {self.name!r}: expected a non-empty name without '/' or outer spaces"
            )
        ends = (*self.matryoshka[:1], *self.matryoshka[-1:])
        rules = (
            (
                1 <= self.dimensions <= MOST_DIMENSIONS,
                f"dimensions must be from 1 to {MOST_DIMENSIONS}, not {self.dimensions}",
            ),
            (self.max_tokens >= 3, f"max_tokens must be at least 3, not {self.max_tokens}"),
            (self.pooling in get_args(Pooling), f"pooling must be mean, cls or last, not {self.pooling!r}"),
            (
                self.matryoshka_norm in get_args(MatryoshkaNorm),
                f"matryoshka_norm must be l2 or layer, not {self.matryoshka_norm!r}",
            ),
            (
                all(0 < length < self.dimensions for length in ends),
                f"matryoshka must be lengths below {self.dimensions}, in order, not {self.matryoshka}",
            ),
            (
                not self.truncate or self.truncate in self.matryoshka,
                f"truncate must be one of the matryoshka lengths, not {self.truncate}",
            ),
            (
                set(self.unbatched_runtimes) <= set(self.runtimes),
                f"unbatched_runtimes must be some of {', '.join(self.runtimes)},"
                f" not {', '.join(self.unbatched_runtimes)}",
            ),
            (
                all(map(_RUNTIME_FILES.fullmatch, self.runtimes)),
                f"runtimes must be named as onnx or onnx/int8, not {', '.join(self.runtimes)}",
            ),
        )
        for holds, otherwise in rules:
            if not holds:
                raise ValueError(f"model {self.name}: {otherwise}")

    @property
    def width(self) -> int:
        """The length of a vector: `truncate`, or all `dimensions`."""
        return self.truncate or self.dimensions


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenized text: ids with special tokens, after truncation; `cut` tokens were left out."""

    ids: Sequence[int]
    cut: int = 0


class TokenModel(Protocol):
    """A model that a runtime opened: tokens in, token vectors out.

    Prefixes, batching, pooling and normalisation are the same for every runtime
    (`patina_hooks.models.encoding`).
    """

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        """Ids of each text with special tokens, cut to `max_tokens`, unpadded."""
        ...

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        """Token vectors [b, s, d], float32, of right-padded ids [b, s] with mask [b, s] (1 = real)."""
        ...


@runtime_checkable
class TextModel(Protocol):
    """A model of a runtime that pools itself (a server): texts in, one vector for each out.

    Prefixes, truncation and normalisation remain those of `patina_hooks.models.encoding`.
    It may have an attribute `texts_at_once`: how many it sends in one request. It raises `TextsRefused` where
    one of the texts may be the cause of a failure: they are then sent in smaller parts.
    """

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Vectors [n, d], float32, in the order of the texts, none of which is empty."""
        ...


@dataclass(frozen=True, slots=True)
class RuntimeSpec:
    """A runtime. `factory(model: ModelSpec, files: Mapping[str, Path]) -> TokenModel`.

    The factory returns a `TextModel` where `output` is "text_vectors".

    output: "token_vectors" or "text_vectors". A runtime of text vectors opens no files, since it runs where
        the weights are: it may run any model, but only where a recipe names it; "auto" never takes it.
        Pooling, layer and the longest text are its own, and its vectors are not the same to the last bit.
    modules: must be importable for it to run here; they are looked up, not imported.
    variant: `variant(model: ModelSpec) -> str`, for a runtime whose vectors may differ by more than about
        1e-6 in a value from those that others make of the same files: because the user's settings say so
        (another precision), or because it reads the files in another way. A short word for how they do, ""
        as long as they do not. Such a word is part of the fingerprint, with the runtime's name: two that
        both halve digits do not agree either. Without one neither is, so that vectors of all runtimes share
        a cache. It is asked for at every sync, so it imports nothing heavy.
    concurrent: whether `TokenModel.forward` may be called from several threads at once, each call on a
        processor of its own; then batches are run side by side.
    """

    name: str
    factory: str
    modules: tuple[str, ...] = ()
    concurrent: bool = False
    variant: str = ""
    output: RuntimeOutput = "token_vectors"

    def __post_init__(self) -> None:
        if self.output not in get_args(RuntimeOutput):
            raise ValueError(
                f"runtime {self.name}: output must be token_vectors or text_vectors, not {self.output!r}"
            )


ModelFiles = Mapping[str, Path]
"""The files of a model for one runtime, by role."""
