"""What a training run found, kept so that it can be shown again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timezone
from pathlib import Path
from types import NoneType
from typing import Final, TypeVar

from patina_hooks.config.parsing import parse_json
from patina_hooks.errors import StateError
from patina_hooks.projection.active import PROJECTIONS_FOLDER
from patina_hooks.specs.reports import Figure, Outcome, Report
from patina_hooks.system.files import read_state, replace_file

NONE: Final = "none"
"""What is said in place of a projection's name where the raw model answers."""

_REPORTS: Final = "reports"
_PLAIN: Final[Mapping[str, type | tuple[type, ...]]] = {
    "str": str,
    "bool": bool,
    "int": int,
    "float": (int, float),
    "float | None": (int, float, NoneType),
}
"""What JSON gives for a field that is written so."""

T = TypeVar("T")


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
    except (OSError, ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise StateError(f"{paths[-1]} is damaged: {error}", hint="patina oxidize") from error


def _kept(state: Path) -> list[Path]:
    """The reports, oldest first."""
    found = (state / PROJECTIONS_FOLDER / _REPORTS).glob("*.json")
    return sorted((path for path in found if path.stem.isdecimal()), key=lambda path: int(path.stem))


def _report(data: Mapping[str, object]) -> Report:
    report = _made(
        Report,
        {
            **data,
            "raw": _figures(data["raw"]),
            "outcomes": tuple(map(_outcome, _listed(data["outcomes"]))),
            "former": _outcome(data["former"]) if data["former"] else None,
        },
    )
    for one in (*report.outcomes, *([report.former] if report.former else [])):
        for figures in (one.mrr, one.gains):
            if figures is not None and figures.keys() != report.raw.keys():
                raise ValueError(f"{one.name} was judged by other query sets")
    datetime.fromtimestamp(report.made, timezone.utc)
    return report


def _outcome(stored: object) -> Outcome:
    values = _mapping(stored)
    gain, mrr, gains = (values[name] for name in ("gain", "mrr", "gains"))
    return _made(
        Outcome,
        {
            **values,
            "curve": tuple(map(_step, _listed(values["curve"]))),
            "gain": _made(Figure, _mapping(gain)) if gain else None,
            "mrr": _figures(mrr) if mrr else None,
            "gains": _figures(gains) if gains else None,
        },
    )


def _figures(stored: object) -> dict[str, Figure]:
    return {name: _made(Figure, _mapping(one)) for name, one in _mapping(stored).items()}


def _step(stored: object) -> tuple[int, float, float | None]:
    epoch, loss, held = _listed(stored)
    if not (isinstance(epoch, int) and isinstance(loss, float) and isinstance(held, float | None)):
        raise TypeError(f"{stored} where an epoch with its losses belongs")
    return epoch, loss, held


def _made(form: type[T], values: Mapping[str, object]) -> T:
    """A value of this form whose plain fields are what it says. Raises TypeError, KeyError."""
    for field in fields(form):  # type: ignore[arg-type]
        if not isinstance(values[field.name], _PLAIN.get(str(field.type), object)):
            raise TypeError(f"{field.name} is {values[field.name]!r}")
    return form(**values)


def _mapping(stored: object) -> dict[str, object]:
    if not isinstance(stored, dict):
        raise TypeError(f"{type(stored).__name__} where a mapping belongs")
    return stored


def _listed(stored: object) -> Sequence[object]:
    if not isinstance(stored, list):
        raise TypeError(f"{type(stored).__name__} where a list belongs")
    return stored
