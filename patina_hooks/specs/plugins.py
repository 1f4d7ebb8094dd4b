"""What plugins provide. Specs are data and import nothing; where one names code, it does so as
"package.module:callable", which is opened on first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from patina_hooks.specs.values import Recorded
from patina_hooks.text.display import error_text

PairScopeKind = Literal["session", "commit", "module"]


@dataclass(frozen=True, slots=True)
class ExtractorSpec:
    """`extract(document: Document) -> Extraction`, a pure function of the document.

    version: raise it whenever the output changes; observations are cached by blob id and version.
    document_kind: the kind of documents that it reads, the name of a registered source (`SourceSpec`).
    """

    name: str
    version: int
    document_kind: str
    extract: str


@dataclass(frozen=True, slots=True)
class SessionScope:
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
class CommitScope:
    """One commit, with the observations of its message.

    paths: those that it changed, sorted; none where they are more than fifty, which say little of each other.
    """

    oid: str
    message: tuple[Recorded, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModuleScope:
    """One folder ("" is the top of the work tree), with the paths right in it that live commits changed.

    paths: sorted, two hundred at most: a folder of more is no module, and no generator is given it.
    """

    folder: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairGeneratorSpec:
    """`generate(scope) -> Iterable[Pair]`, a pure function of one scope.

    version: raise it whenever the output changes; every scope is read again then.
    scope: what it is given: "session" (`SessionScope`), "commit" (`CommitScope`) or "module" (`ModuleScope`).
    evidence: what is shown of a pair that has no evidence of its own, so that it is stored once: `{scope}` is
        the session's id, the commit's or the folder, `{commit}` the one whose message is the anchor.
    """

    name: str
    version: int
    generate: str
    scope: PairScopeKind = "session"
    evidence: str = ""

    def __post_init__(self) -> None:
        if self.scope not in ("session", "commit", "module"):
            raise ValueError(
                f"pair generator {self.name}: scope must be session, commit or module, not {self.scope!r}"
            )


@dataclass(frozen=True, slots=True)
class ProjectionSpec:
    """A kind of projection, named by a recipe's `type`, and what trains it.

    train: `(task: TrainingTask, watch: Watch) -> Trained`; open: `(weights, metadata) -> Projection`, by
    default for the built-in layouts (see `patina_hooks.specs.training`).
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
    """`factory(folder: Path, dimensions: int, fingerprint: str) -> VectorIndex`.

    approximate: whether a search may miss some of the best; `patina doctor` then samples how many it finds.
    short: for an index that looks at the first dimensions before it looks at all, how many those are at
        least: it takes only models whose vectors may be cut, and its factory is given `short=LENGTH` as well,
        the smallest Matryoshka length from there on.
    """

    name: str
    factory: str
    approximate: bool = False
    short: int = 0


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A click command under `patina`; `command` names a `click.Command`, opened when it is called."""

    name: str
    help: str
    command: str


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

    provides: kind ("models", "runtimes", ...) -> names; event_hooks: those that it implements.
    disabled_by: "" for a plugin that is loaded, else "PATINA_DISABLE_PLUGINS", "config.toml" (the user's
        settings) or "arguments" (of `Plugins.load`).
    """

    name: str
    version: str
    provides: Mapping[str, tuple[str, ...]]
    faults: tuple[Fault, ...]
    event_hooks: tuple[str, ...] = ()
    disabled_by: str = ""
