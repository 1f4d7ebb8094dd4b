"""The values that flow: frozen, slotted, without behaviour beyond their own consistency.

Specs describe what a plugin provides; they are data and import nothing. Where a spec names code, it
does so as "package.module:callable", which is opened on first use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Keys = NDArray[np.void]

DocumentKind = Literal["session", "commit"]
Pooling = Literal["mean", "cls", "last"]
MatryoshkaNorm = Literal["l2", "layer"]
Role = Literal["query", "passage"]
PairUnitKind = Literal["session", "commit", "module"]


# --- the corpus ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One path that a commit touched; status is git's letter (A, M, D, T)."""

    path: str
    status: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit as git holds it. Times are seconds since 1970, UTC.

    truncated: its parents exist but are not in this (shallow) clone, so `changes` is left empty.
    """

    oid: str
    parents: tuple[str, ...]
    author: str
    authored: int
    committed: int
    message: str
    changes: tuple[Change, ...]
    truncated: bool = False

    @property
    def subject(self) -> str:
        """The first line of the message that is not blank."""
        return self.message.strip().partition("\n")[0].strip()

    @property
    def is_merge(self) -> bool:
        return len(self.parents) > 1


@dataclass(frozen=True, slots=True)
class Document:
    """One text of the corpus: what an extractor is given.

    oid: the blob's id (a session document) or the commit's id (its message).
    text: decoded as UTF-8 with errors replaced; a document above the reader's cap never comes here.

    It has no path: observations are cached by object, and one object may lie at several places.
    """

    kind: DocumentKind
    oid: str
    text: str


@dataclass(frozen=True, slots=True)
class Observation:
    """The smallest retrievable piece of a document.

    kind: decision, pattern, work, challenge, next, discussion, note, activity, goal, context, prompt,
        text (from session documents); commit, body (from commit messages); a plugin may add its own.
    line: 1-based line of its first character in the document.
    section: the heading or label it stands under, as written.
    weight: how strong it is as evidence, 0 to 1.
    """

    kind: str
    text: str
    line: int
    section: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Omission:
    """Lines first..last (1-based, inclusive) that end in no observation, and the named reason."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """What an extractor found in one document.

    title: the document's title, "" where it has none.
    fields: facts that the document states of itself (id, started, adapter, branch, start_tag, ...).
    """

    observations: tuple[Observation, ...]
    title: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    omissions: tuple[Omission, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """A stretch of work. Times are seconds since 1970, UTC; None where nothing tells.

    start, end: the commits that its tags peel to; None where a tag is absent or tags no commit.
    state: "ended" once it has an end tag or its document is on a ref, else "open".
    """

    id: str
    title: str
    adapter: str | None
    started: int | None
    ended: int | None
    start: str | None
    end: str | None
    path: str | None
    state: Literal["open", "ended"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """An observation with its id and its place in the corpus."""

    id: str
    observation: Observation
    document: str
    session: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that belong together, with the evidence.

    anchor, positive, negative: each the id of an observation, or a path as "path:<path>"
        (`patina_hooks.pairs.sides.path_side`), of the unit that the generator was given. The negative is
        mostly None (one is drawn when a projection is trained) and shares neither text nor session with
        the anchor.
    weight: how strong it is, 0 to 1.
    evidence: "" where the unit alone is (see `PairGeneratorSpec.evidence`).
    """

    kind: str
    anchor: str
    positive: str
    negative: str | None
    weight: float
    evidence: str


# --- models and runtimes ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file that an installed distribution carries.

    It is found through the distribution's record, without importing it. `path` is relative to the
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
    """A file of a model hub. `patina models pull` fetches it; nothing else ever does.

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
                raise ValueError(f"{value!r} is no repository, path or revision of a hub")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of the user's own, by its absolute path. With `sha256` it must have that hash."""

    path: Path
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.path.is_absolute():
            raise ValueError(f"{str(self.path)!r} is not an absolute path")


ModelFile = PackageFile | HubFile | LocalFile


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model: its weights and how to use them.

    runtimes: runtime name -> role -> file. The onnx runtime wants the roles "model" (what is opened;
        external data lies beside it, under roles of its own) and "tokenizer" (a tokenizer.json, or a
        WordPiece vocab.txt); torch and mlx want "model" (safetensors; further parts are "model.2",
        "model.3", ...), "config" (config.json) and "tokenizer".
    dimensions: width of the model's token vectors, and length of a vector unless `truncate` says less.
    max_tokens: longest input including special tokens; what is longer is cut and recorded.
    pooling: how token vectors become one: mean over real tokens, first token, or last real token.
    layer: whose token vectors those are: -1 the last hidden layer as the model gives it (after its last
        norm), another number that of the hidden states, 0 the embeddings, negative from the end.
    query_prefix, passage_prefix: put before every text of that role; "{task}" in them stands for `task`.
    task: what questions are for, as the model's authors put it; a recipe's `instruction` goes before it.
    matryoshka: lengths, in order and below `dimensions`, at which a vector may be cut off.
    matryoshka_norm: what comes before the cut: nothing ("l2": the norm is taken after it, as always) or
        a layer norm without weights over all dimensions ("layer").
    truncate: the length to cut vectors to, 0 for none; one of `matryoshka`.
    batch_invariant: False where a text's vector depends on its batch (dynamically quantised weights);
        such a model runs one text at a time.
    parameters: how many weights there are, 0 where that is not known.
    languages: codes of those that it was trained for, "mul" for very many, () where that is not known.
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

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name != self.name.strip():
            raise ValueError(f"model name {self.name!r}: wants a non-empty name without '/' or outer spaces")
        ends = (*self.matryoshka[:1], *self.matryoshka[-1:])
        rules = (
            (self.dimensions >= 1, f"dimensions must be at least 1, not {self.dimensions}"),
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
    """What a runtime opens: tokens in, token vectors out. Prefixes, batching, pooling and
    normalisation are the core's, the same for every runtime (`patina_hooks.models.encoding`)."""

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        """Ids of each text with special tokens, cut to `max_tokens`, unpadded."""
        ...

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        """Token vectors [b, s, d], float32, of right-padded ids [b, s] with mask [b, s] (1 = real)."""
        ...


@dataclass(frozen=True, slots=True)
class RuntimeSpec:
    """What runs a model. `opener(model: ModelSpec, files: Mapping[str, Path]) -> TokenModel`.

    modules: what must be importable for it to run here; looked up, not imported, to say why not.
    concurrent: whether `TokenModel.forward` may be called from several threads at once, each call on a
        processor of its own; then batches are run side by side.
    """

    name: str
    opener: str
    modules: tuple[str, ...] = ()
    concurrent: bool = False


# --- what else plugins provide ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExtractorSpec:
    """`extract(document: Document) -> Extraction`, a pure function of the document.

    version: raise it whenever the output changes; observations are cached by blob id and version.
    """

    name: str
    version: int
    reads: DocumentKind
    extract: str


@dataclass(frozen=True, slots=True)
class SessionUnit:
    """One session, with the observations of its document and of its commits' messages.

    commits: (commit oid, observations of its message), by tag range, oldest first; none where the range
        holds more than a thousand.
    previous, previous_id: the document of the session before this one, by id, that has one on a ref, and
        that session's id; empty and None where there is none, or where this session has no document.
    """

    id: str
    document: tuple[Recorded, ...]
    commits: tuple[tuple[str, tuple[Recorded, ...]], ...]
    previous: tuple[Recorded, ...] = ()
    previous_id: str | None = None


@dataclass(frozen=True, slots=True)
class CommitUnit:
    """One commit, with the observations of its message.

    paths: those that it changed, sorted; none where they are more than fifty, which say little of each other.
    """

    oid: str
    message: tuple[Recorded, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModuleUnit:
    """One folder ("" is the top of the work tree), with the paths right in it that live commits changed.

    paths: sorted, two hundred at most: a folder of more is no module, and no generator is given it.
    """

    folder: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairGeneratorSpec:
    """`generate(unit) -> Iterable[Pair]`, a pure function of one unit.

    version: raise it whenever the output changes; every unit is read again then.
    reads: what a unit is: a `SessionUnit`, a `CommitUnit` or a `ModuleUnit`.
    evidence: what is shown of a pair that has no evidence of its own, so that it is stored once: `{unit}` is
        the session's id, the commit's or the folder, `{commit}` the one whose message is the anchor.
    """

    name: str
    version: int
    generate: str
    reads: PairUnitKind = "session"
    evidence: str = ""

    def __post_init__(self) -> None:
        if self.reads not in ("session", "commit", "module"):
            raise ValueError(
                f"pair generator {self.name}: reads must be session, commit or module, not {self.reads!r}"
            )


@dataclass(frozen=True, slots=True)
class ProjectionSpec:
    """A kind of projection, named by a recipe's `type`, and what trains it.

    train: `(task: TrainingTask, watch: Watch) -> Trained`; open: `(weights, metadata) -> Projection`, by
    default for the built-in layouts (see `patina_hooks.projection.interface`).
    version: raise it whenever the same task would train other weights.
    hidden: how wide its hidden layer is where a recipe does not say; 0 where it has none.
    """

    name: str
    version: int
    train: str
    hidden: int = 512
    open: str = "patina_hooks.projection.weights:open_projection"


@dataclass(frozen=True, slots=True)
class IndexBackendSpec:
    """`opener(folder: Path, dimensions: int, fingerprint: str) -> VectorIndex`."""

    name: str
    opener: str


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A click command under `patina`; `command` names a `click.Command`, opened when it is called."""

    name: str
    help: str
    command: str


@dataclass(frozen=True, slots=True)
class IndexStats:
    """rows: vectors that answer; files and bytes: what they take on disk; generation: rises by write."""

    rows: int
    files: int
    bytes: int
    generation: int


class VectorIndex(Protocol):
    """Vectors by 16-byte key, searched by inner product. Writes are atomic: all of a call, or none."""

    def upsert(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Add or replace; keys n x 16 bytes, vectors [n, d] float32."""
        ...

    def remove(self, keys: Sequence[bytes]) -> None:
        """Take out; unknown keys are ignored."""
        ...

    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]:
        """The `limit` best (key, inner product) for query [d], ties by key; of `allowed` alone, if given."""
        ...

    def rebuild(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Replace everything."""
        ...

    def keys(self) -> frozenset[bytes]:
        """Every key that answers."""
        ...

    def stats(self) -> IndexStats:
        """What there is; raises `IndexDamaged` where a file is not there, or not as it was written."""
        ...

    def verify(self) -> None:
        """Read every byte; raise `IndexDamaged` where it is not what was written."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """A plugin, or a part of one, that does not work; the others go on."""

    plugin: str
    where: str
    error: str


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One row of `patina plugins`. provides: kind ("models", "runtimes", ...) -> names."""

    name: str
    version: str
    provides: Mapping[str, tuple[str, ...]]
    faults: tuple[Fault, ...]


ModelFiles = Mapping[str, Path]
