"""Faults by cause: what fails in the same way many times is one fault with a count."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from patina_hooks.types import Fault

_MOST_CAUSES = 100


@dataclass(slots=True)
class FaultCounts:
    """Counts equal faults. The first hundred causes are kept."""

    _counts: dict[Fault, int] = field(default_factory=dict)
    _subjects: dict[Fault, str] = field(default_factory=dict)

    def add(self, fault: Fault, subject: str = "") -> bool:
        """Count a fault, and return whether its cause is new.

        Args:
            fault: the same for each time that it happens.
            subject: what was read when it happened, such as "commit 1234567".
        """
        if fault in self._counts:
            self._counts[fault] += 1
            return False
        if len(self._counts) < _MOST_CAUSES:
            self._counts[fault] = 1
            self._subjects[fault] = subject
        return True

    def faults(self) -> list[Fault]:
        """Return one fault for each cause, with its count."""
        return [
            replace(fault, error=fault.error + _times(count, self._subjects[fault]))
            for fault, count in self._counts.items()
        ]


def _times(count: int, subject: str) -> str:
    if not subject:
        return f" ({count:,} times)" if count > 1 else ""
    noun = subject.partition(" ")[0]
    return f" (in {count:,} {noun}s, first {subject})" if count > 1 else f" (in {subject})"
