"""What a training run found, kept so that it can be shown again."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import read_value
from patina_hooks.errors import StateError
from patina_hooks.projection.active import PROJECTIONS_FOLDER
from patina_hooks.specs.reports import Report
from patina_hooks.system.files import read_state, replace_file

NONE: Final = "none"
"""What is said in place of a projection's name where the raw model answers."""

_REPORTS: Final = "reports"


def keep_report(state: Path, report: Report) -> Path:
    """Keep a report beside those of all earlier runs; what a killed write left goes. Gives where it lies."""
    kept = _kept(state)
    # Two runs of one second are two reports; and the last one is the last whatever the clock says.
    number = max(report.made, int(kept[-1].stem) + 1 if kept else 0)
    path = state / PROJECTIONS_FOLDER / _REPORTS / f"{number}.json"
    replace_file(path, json.dumps(asdict(report), indent=1).encode())
    for left in path.parent.glob(".*.json.*"):
        left.unlink(missing_ok=True)
    return path


def last_report(state: Path) -> Report | None:
    """The report of the last run, None before the first. Raises `StateError` where it cannot be read."""
    paths = _kept(state)
    if not paths:
        return None
    try:
        return _report(parse_json(read_state(paths[-1])))
    except (OSError, ValueError, OverflowError) as error:
        raise StateError(f"{paths[-1]} is damaged: {error}", hint="patina oxidize") from error


def _kept(state: Path) -> list[Path]:
    """The reports, oldest first."""
    found = (state / PROJECTIONS_FOLDER / _REPORTS).glob("*.json")
    return sorted((path for path in found if path.stem.isdecimal()), key=lambda path: int(path.stem))


def _report(stored: object) -> Report:
    report = read_value(Report, stored)
    for outcome in (*report.outcomes, *([report.former] if report.former else [])):
        for figures in (outcome.mrr, outcome.gains):
            if figures is not None and figures.keys() != report.raw.keys():
                raise ValueError(f"{outcome.name} was judged by other query sets")
    datetime.fromtimestamp(report.made, timezone.utc)
    return report
