"""Specs of what plugins provide.

Specs are data and import nothing; code is named as "package.module:callable" and imported on first use.
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

    name: as recipes, options and listings have it.
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

    oid: the commit's id.
    paths: those that it changed, sorted; none where they are more than fifty, which are hardly related.
    """

    oid: str
    message: tuple[Recorded, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModuleScope:
    """One folder ("" is the top of the work tree), with the paths directly in it that live commits changed.

    paths: sorted, two hundred at most: a larger folder is not a module.
    """

    folder: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairGeneratorSpec:
    """`generate(scope) -> Iterable[Pair]`, a pure function of one scope.

    name: as recipes, options and listings have it.
    version: raise it whenever the output changes; every scope is then read again.
    scope: what it is given: "session" (`SessionScope`), "commit" (`CommitScope`) or "module" (`ModuleScope`).
    evidence: shown with pairs that have none of their own, stored once: `{scope}` is the id of the session or
        commit, or the folder; `{commit}` the commit whose message is the anchor.
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
    """A kind of projection, named by a recipe's `type`, and its trainer.

    name: as recipes, options and listings have it.
    train: `(task: TrainingTask, watch: Watch) -> Trained`; open: `(weights, metadata) -> Projection`, by
    default for the built-in layouts (see `patina_hooks.specs.training`).
    version: raise it whenever the same task would train other weights.
    hidden: the default width of its hidden layer; 0 where it has none.
    """

    name: str
    version: int
    train: str
    hidden: int = 512
    open: str = "patina_hooks.projection.weights:open_projection"


@dataclass(frozen=True, slots=True)
class IndexBackendSpec:
    """`factory(folder: Path, dimensions: int, fingerprint: str) -> VectorIndex`.

    name: as recipes, options and listings have it.
    approximate: whether a search may miss some of the best; `patina doctor` then samples how many it finds.
    short: for an index that searches the first dimensions before all, their least number: it takes only
        models whose vectors may be cut, and its factory also gets `short=LENGTH`, the smallest Matryoshka
        length of at least that number.
    """

    name: str
    factory: str
    approximate: bool = False
    short: int = 0


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A click command under `patina`; `command` names a `click.Command`, imported when it is called.

    name, help: as `patina --help` lists them.
    """

    name: str
    help: str
    command: str


@dataclass(frozen=True, slots=True)
class RecordedError:
    """An error of a plugin, or of a part of one. hint: the next command to type."""

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
    faults: tuple[RecordedError, ...]
    event_hooks: tuple[str, ...] = ()
    disabled_by: str = ""
