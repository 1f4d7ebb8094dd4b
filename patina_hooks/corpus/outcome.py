"""What a reconcile changed, for those who come after it, and who is told meanwhile how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from patina_hooks.corpus.observations import Changed
from patina_hooks.specs.plugins import Fault
from patina_hooks.specs.values import Commit, Session

Progress = Callable[[str, int, int], None]
"""(what is being done, how many are done, of how many)."""


@dataclass(slots=True)
class Reconciled:
    """What one reconcile changed. sessions: (before, after) of each session that was derived anew.

    read: how many commits are new; on_commit: called with each of them, where a plugin listens. faults: what
    sources did wrong. watched: the folders of work trees in which drafts may come to be, and known drafts.
    """

    on_commit: Callable[[Commit], object] | None = None
    read: int = 0
    gone: int = 0
    sessions: list[tuple[Session | None, Session | None]] = field(default_factory=list)
    changed: Changed = field(default_factory=Changed)
    dirty: set[str] = field(default_factory=set)
    retried: bool = False
    faults: list[Fault] = field(default_factory=list)
    watched: list[Path] = field(default_factory=list)

    @property
    def anything(self) -> bool:
        """Whether there was anything to do, for plugins too."""
        changed = self.changed.came or self.changed.went
        return bool(self.read or self.gone or self.dirty or changed or self.retried)
