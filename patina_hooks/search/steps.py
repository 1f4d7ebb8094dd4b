"""The steps of a search that the recipe names, as the last sync read it: a question reads no recipe."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from patina_hooks.config.schema import read_value
from patina_hooks.config.search_steps import SearchSteps

if TYPE_CHECKING:
    from patina_hooks.store.log import Log

_FACT: Final = "search steps"


def record_steps(log: Log, steps: SearchSteps) -> None:
    """Record which steps the recipe names."""
    if recorded_steps(log) != steps:
        with log.writing():
            log.remember(_FACT, json.dumps(asdict(steps)))


def recorded_steps(log: Log) -> SearchSteps:
    """Return the recorded steps, none before the first sync. Raises `LogDamaged` for another shape."""
    return log.parsed(_FACT, "{}", lambda stored: read_value(SearchSteps, stored))
