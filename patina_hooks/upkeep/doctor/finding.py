"""One result of a check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """State the result of one check.

    why: the reason, "" where all is well; fix: the next command to type; figures: what was measured, by name.
    """

    check: str
    level: Level
    what: str
    why: str = ""
    fix: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
