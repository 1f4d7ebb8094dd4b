"""One result of a check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; its fields are the keys of `patina doctor --json`.

    why: the reason, "" if nothing is wrong. fix: the command to type. figures: measured values by name.
    """

    check: str
    level: Level
    what: str
    why: str = ""
    fix: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
