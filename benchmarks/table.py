"""Rows of figures with their bounds, and how they are printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

_HEADINGS = ("what", "ours", "reference", "against", "ratio", "bound", "holds")


@dataclass(frozen=True, slots=True)
class Bound:
    """What a row promises. of: "ratio" (ours / reference) or "ours", the figure itself, in the row's unit.

    least: the figure must be at least `limit`, not at most.
    """

    limit: float
    of: Literal["ratio", "ours"] = "ratio"
    least: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: a median, the median of what it is held against, both in `unit`, and the bound.

    Rows without a bound are there to be known.
    """

    group: str
    what: str
    ours: float
    unit: str
    reference: float | None = None
    against: str = ""
    bound: Bound | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.reference if self.reference else None

    @property
    def holds(self) -> bool | None:
        """None where nothing is promised."""
        if self.bound is None:
            return None
        figure = self.ours if self.bound.of == "ours" else self.ratio
        if figure is None:
            return False
        return figure >= self.bound.limit if self.bound.least else figure <= self.bound.limit


def as_text(rows: Sequence[Row]) -> str:
    """A table for eyes, a heading above each group."""
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    lines = [_line(_HEADINGS, widths)]
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            lines += ["", group]
        lines.append(_line(_cells(row), widths))
    return "\n".join(lines)


def as_json(rows: Sequence[Row], about: str) -> str:
    """One object for programs: `about` the run, and its rows with ratio and verdict."""
    listed = [{**asdict(row), "ratio": row.ratio, "holds": row.holds} for row in rows]
    return json.dumps({"about": about, "rows": listed}, indent=2)


def broken(rows: Sequence[Row]) -> list[Row]:
    """The rows whose bound does not hold."""
    return [row for row in rows if row.holds is False]


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    reference = "" if row.reference is None else _figure(row.reference, row.unit)
    verdict = {None: "", True: "yes", False: "NO"}[row.holds]
    return (row.what, _figure(row.ours, row.unit), reference, row.against, ratio, _bound(row), verdict)


def _bound(row: Row) -> str:
    if row.bound is None:
        return ""
    sign = ">=" if row.bound.least else "<="
    limit = f"{row.bound.limit:.2f}x" if row.bound.of == "ratio" else _figure(row.bound.limit, row.unit)
    return f"{sign} {limit}"


def _figure(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    what, ours, reference, against, *rest = zip(cells, widths, strict=True)
    left = [f"  {what[0]:<{what[1]}}", f"{ours[0]:>{ours[1]}}", f"{reference[0]:>{reference[1]}}"]
    right = [f"{text:>{width}}" for text, width in rest]
    return "  ".join([*left, f"{against[0]:<{against[1]}}", *right]).rstrip()
