"""What a training run found, kept so that it can be shown again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Final, TypeVar

from patina_hooks.config.parsing import parse_json
from patina_hooks.errors import StateError
from patina_hooks.projection.active import PROJECTIONS_FOLDER
from patina_hooks.system.files import read_state, replace_file

if TYPE_CHECKING:
    from patina_hooks.evaluation.intervals import Interval

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


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean, or a mean difference, with its 95 % interval (None with too few sessions) over n questions."""

    value: float
    low: float | None
    high: float | None
    n: int

    @classmethod
    def of(cls, interval: Interval) -> Figure:
        return cls(interval.value, interval.low, interval.high, interval.n)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one projection of the recipe.

    pairs: the kind of pairs it learned from, and count: how many; curve: (epoch, loss, loss on later pairs)
    of each epoch; stopped: why it ended before its last epoch. weights: their hash, "" where it was not
    trained, and then why says so. gain: over the raw model, None where it was not judged; mrr, gains: by set.
    lacks: whether there was too little history for it: nothing helps but more of that.
    digest: of everything that decides the weights beside the history; events_hash: that history.
    """

    name: str
    kind: str
    digest: str
    pairs: str = ""
    events_hash: str = ""
    count: int = 0
    epochs: int = 0
    curve: tuple[tuple[int, float, float | None], ...] = ()
    stopped: str = ""
    seconds: float = 0.0
    weights: str = ""
    dimensions: int = 0
    why: str = ""
    lacks: bool = False
    gain: Figure | None = None
    mrr: Mapping[str, Figure] | None = None
    gains: Mapping[str, Figure] | None = None

    @property
    def passes(self) -> bool:
        """Whether it earned its place: the lower end of its gain is above zero."""
        return self.gain is not None and self.gain.low is not None and self.gain.low > 0


@dataclass(frozen=True, slots=True)
class Report:
    """One run. made: seconds since 1970; split: the moment from which on history was the future.

    variant: what the user's settings changed of the runtime's vectors, "" for nothing.
    sessions, past: how many there are, and how many training saw; pairs: how many there are of all kinds.
    raw: the raw model's MRR@10 by query set; former: what was in use before, judged on the same questions.
    active: what is in use now, "none" for the raw model; weights: their hash, "" for none; forced: against
    the gate. sentence: all that in one.
    """

    made: int
    seconds: float
    events_hash: str
    recipe_version: int
    model: str
    runtime: str
    variant: str
    fingerprint: str
    split: int
    sessions: int
    past: int
    pairs: int
    raw: Mapping[str, Figure]
    outcomes: tuple[Outcome, ...]
    former: Outcome | None
    active: str
    weights: str
    forced: bool
    sentence: str

    def outcome(self, name: str) -> Outcome | None:
        return next((one for one in self.outcomes if one.name == name), None)

    def uses(self, one: Outcome) -> bool:
        """Whether this is what answers: one of its name may have been trained anew and not be better."""
        return (self.active, self.weights) == (one.name, one.weights)


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
