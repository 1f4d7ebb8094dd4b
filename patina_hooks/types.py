"""The values that flow: frozen, slotted, without behaviour beyond their own consistency.

Specs describe what a plugin provides; they are data and import nothing. Where a spec names code, it
does so as "package.module:callable", which is opened on first use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from patina_hooks.display import error_text

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Keys = NDArray[np.void]

DocumentKind = Literal["session", "commit"]
PairUnitKind = Literal["session", "commit", "module"]


# --- the corpus ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RepositoryPaths:
    """The repository that an event is about.

    root: the work tree that was read, absolute; common: the folder that git shares between work trees.
    """

    root: Path
    common: Path


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
    """Lines first..last (1-based, inclusive) that end in no observation, and the named reason.

    reason: in words; only `TOO_MANY` means that something is missing, and the user is told of those lines.
    """

    first: int
    last: int
    reason: str


TOO_MANY = "too many observations"
"""The reason to omit the rest of a document that holds more than an extractor gives."""


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
    """`opener(folder: Path, dimensions: int, fingerprint: str) -> VectorIndex`.

    approximate: whether a search may miss some of the best; `patina doctor` then samples how many it finds.
    short: for an index that looks at the first dimensions before it looks at all, how many those are at
        least: it takes only models whose vectors may be cut, and its opener is given `short=LENGTH` as well,
        the smallest Matryoshka length from there on.
    """

    name: str
    opener: str
    approximate: bool = False
    short: int = 0


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
    """Unit (or zero) vectors by 16-byte key, searched by inner product. Writes are atomic: all of a call, or
    none. `patina_hooks.testing.index_contract` checks what is said here.
    """

    def upsert(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Add or replace; keys n x 16 bytes, vectors [n, d] float32; the last one of a key counts."""
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
    """A plugin, or a part of one, that does not work; the others go on. hint: the next command to type."""

    plugin: str
    where: str
    error: str
    hint: str = ""

    def __post_init__(self) -> None:
        for name in ("plugin", "where", "error", "hint"):
            object.__setattr__(self, name, error_text(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One row of `patina plugins`.

    provides: kind ("models", "runtimes", ...) -> names; hears: the event hooks that it implements.
    """

    name: str
    version: str
    provides: Mapping[str, tuple[str, ...]]
    faults: tuple[Fault, ...]
    hears: tuple[str, ...] = ()
