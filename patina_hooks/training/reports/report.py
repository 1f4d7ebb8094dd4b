"""Stored reports of training runs."""

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
"""The name in a report in which the raw model answers."""

_REPORTS: Final = "reports"


def keep_report(state: Path, report: Report) -> Path:
    """Store a report, delete temporary files of killed writes, and return its path."""
    paths = _list_reports(state)
    # Two runs in one second are two reports, and the newest has the highest number whatever the clock shows.
    number = max(report.made, int(paths[-1].stem) + 1 if paths else 0)
    path = state / PROJECTIONS_FOLDER / _REPORTS / f"{number}.json"
    replace_file(path, json.dumps(asdict(report), indent=1).encode())
    for temporary in path.parent.glob(".*.json.*"):
        temporary.unlink(missing_ok=True)
    return path


def last_report(state: Path) -> Report | None:
    """Load the report of the last run, None before the first.

    Raises:
        StateError: it cannot be read.
    """
    paths = _list_reports(state)
    if not paths:
        return None
    try:
        return _report(parse_json(read_state(paths[-1])))
    except (OSError, ValueError, OverflowError) as error:
        raise StateError(f"{paths[-1]} is damaged: {error}", hint="patina oxidize") from error


def _list_reports(state: Path) -> list[Path]:
    """List the stored reports, oldest first."""
    paths = (state / PROJECTIONS_FOLDER / _REPORTS).glob("*.json")
    return sorted((path for path in paths if path.stem.isdecimal()), key=lambda path: int(path.stem))


def _report(stored: object) -> Report:
    report = read_value(Report, stored)
    for outcome in (*report.outcomes, *([report.former] if report.former else [])):
        for figures in (outcome.mrr, outcome.gains):
            if figures is not None and figures.keys() != report.raw.keys():
                raise ValueError(f"{outcome.name} was evaluated on other query sets")
    datetime.fromtimestamp(report.made, timezone.utc)
    return report
