"""The result of a reconcile, for the stages after it, and the callback that reports its progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from patina_hooks.corpus.observations import ObservationChanges
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.specs.values import Commit, Session

Progress = Callable[[str, int, int], None]
"""(stage, finished items, all items)."""


@dataclass(slots=True)
class ReconcileResult:
    """The changes of one reconcile.

    on_commit: called with each new commit, if a plugin listens.
    added, removed: numbers of commits.
    sessions: (before, after) of each session that was derived again.
    dirty: sessions to derive again.
    retried: whether an extractor that had failed was called again.
    faults: errors of sources.
    watched_paths: folders of work trees in which drafts may appear, and known drafts.
    """

    on_commit: Callable[[Commit], object] | None = None
    added: int = 0
    removed: int = 0
    sessions: list[tuple[Session | None, Session | None]] = field(default_factory=list)
    changed: ObservationChanges = field(default_factory=ObservationChanges)
    dirty: set[str] = field(default_factory=set)
    retried: bool = False
    faults: list[RecordedError] = field(default_factory=list)
    watched_paths: list[Path] = field(default_factory=list)

    @property
    def has_changes(self) -> bool:
        """Whether anything changed, or a plugin was called."""
        changed = self.changed.added or self.changed.removed
        return bool(self.added or self.removed or self.dirty or changed or self.retried)
