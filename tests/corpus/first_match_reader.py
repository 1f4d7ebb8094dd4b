"""The reader that the ancestor project had: only the first block of each label. A reference, not a model.

For each of its headings it takes the first `**H:**` up to the next line that starts with `**`, or where none
comes to the next `## `; only without `**H:**` the first `## H` up to the next `## `. Items of 20 characters
or fewer do not count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SHORTEST = 21


@dataclass(frozen=True, slots=True)
class Items:
    """What the first-match reader finds in one document."""

    decisions: tuple[str, ...]
    patterns: tuple[str, ...]
    work: tuple[str, ...]
    context: tuple[str, ...]
    goals: tuple[str, ...]

    @property
    def beliefs(self) -> tuple[str, ...]:
        """Decisions and patterns: a session with two or more is usable."""
        return self.decisions + self.patterns

    @property
    def all(self) -> tuple[str, ...]:
        return self.beliefs + self.work + self.context + self.goals


def first_match(text: str) -> Items:
    """The items of one session document, without list marker and check box."""
    context = _block(text, "Previous Session Context").strip()
    return Items(
        decisions=_found(r"[-*](.*)", _block(text, "Key Decisions")),
        patterns=_found(r"[-*](.*)", _block(text, "Patterns Observed")),
        work=_found(r"\d+\. (.*)", _block(text, "Work Completed")),
        context=() if context.startswith("<!--") else _long([context]),
        goals=_found(r"- \[.\](.*)", _section(text, "Goals")),
    )


def _found(pattern: str, block: str) -> tuple[str, ...]:
    matches = (re.match(pattern, line.strip()) for line in block.splitlines())
    return _long([match[1].strip() for match in matches if match])


def _long(items: list[str]) -> tuple[str, ...]:
    return tuple(item for item in items if len(item) >= _SHORTEST)


def _block(text: str, name: str) -> str:
    start = text.find(f"**{name}:**")
    if start < 0:
        return _section(text, name)
    rest = text[start + len(f"**{name}:**") :]
    end = re.search(r"^\*\*", rest, re.MULTILINE) or re.search(r"^## ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def _section(text: str, name: str) -> str:
    start = re.search(rf"^## {re.escape(name)}", text, re.MULTILINE)
    if start is None:
        return ""
    rest = text[start.end() :]
    end = re.search(r"^## ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest
