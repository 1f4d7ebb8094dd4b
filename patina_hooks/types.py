"""The values that flow: frozen, slotted, without behaviour beyond their own consistency.

Specs describe what a plugin provides; they are data and import nothing. Where a spec names code, it
does so as "package.module:callable", which is opened on first use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Keys = NDArray[np.void]

DocumentKind = Literal["session", "commit"]
Pooling = Literal["mean", "cls", "last"]
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


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model: its weights and how to use them.

    runtimes: runtime name -> role -> file. The onnx runtime wants the roles "model" and "tokenizer"
        (a tokenizer.json, or a WordPiece vocab.txt).
    dimensions: length of a vector before any projection.
    max_tokens: longest input including special tokens; what is longer is cut and recorded.
    pooling: how token vectors become one: mean over real tokens, first token, or last real token.
    query_prefix, passage_prefix: put before every text of that role.
    batch_invariant: False where a text's vector depends on its batch (dynamically quantised weights);
        such a model runs one text at a time.
    """

    name: str
    dimensions: int
    runtimes: Mapping[str, Mapping[str, PackageFile]]
    max_tokens: int = 512
    pooling: Pooling = "mean"
    query_prefix: str = ""
    passage_prefix: str = ""
    licence: str = ""
    revision: str = ""
    batch_invariant: bool = True

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name != self.name.strip():
            raise ValueError(f"model name {self.name!r}: wants a non-empty name without '/' or outer spaces")
        if self.dimensions < 1:
            raise ValueError(f"model {self.name}: dimensions must be at least 1, not {self.dimensions}")
        if self.max_tokens < 3:
            raise ValueError(f"model {self.name}: max_tokens must be at least 3, not {self.max_tokens}")
        if self.pooling not in ("mean", "cls", "last"):
            raise ValueError(f"model {self.name}: pooling must be mean, cls or last, not {self.pooling!r}")


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
    """

    name: str
    opener: str
    modules: tuple[str, ...] = ()


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
    """

    name: str
    version: int
    train: str
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
