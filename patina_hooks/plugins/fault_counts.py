"""Errors by cause: repeated failures of one cause are one error with a count."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from patina_hooks.specs.plugins import RecordedError

_MOST_CAUSES = 100


@dataclass(slots=True)
class FaultCounts:
    """Counts equal errors. The first hundred causes are kept."""

    _counts: dict[RecordedError, int] = field(default_factory=dict)
    _subjects: dict[RecordedError, dict[str, None]] = field(default_factory=dict)

    def add(self, fault: RecordedError, subject: str = "") -> bool:
        """Count an error, and return whether its cause is new.

        Args:
            fault: the same for each time that it happens.
            subject: what was read when it happened, such as "commit 1234567".
        """
        is_new = fault not in self._counts
        if is_new and len(self._counts) == _MOST_CAUSES:
            return False
        self._counts[fault] = self._counts.get(fault, 0) + 1
        self._subjects.setdefault(fault, {})[subject] = None
        return is_new

    def faults(self) -> list[RecordedError]:
        """Return one error for each cause, with its count."""
        return [
            replace(fault, error=fault.error + _times(count, list(self._subjects[fault])))
            for fault, count in self._counts.items()
        ]


def _times(count: int, subjects: list[str]) -> str:
    """Describe how often it failed, or in how many subjects: one may be read twice."""
    first, number = subjects[0], len(subjects)
    if not first:
        return f" ({count:,} times)" if count > 1 else ""
    noun = first.partition(" ")[0]
    return f" (in {number:,} {noun}s, first {first})" if number > 1 else f" (in {first})"
