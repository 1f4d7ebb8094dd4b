"""SVG charts for reports and pages, without dependencies.

Colours are those of Okabe and Ito, which colour-blind people can distinguish.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, isfinite, log10
from textwrap import shorten
from typing import Final

from patina_hooks.text.display import clean_line

_COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
_INK: Final = "#222222"
_FAINT: Final = "#dddddd"
_WIDTH: Final = 720
_LEFT: Final = 150
_RIGHT: Final = 130
_BAR: Final = 16
_TOP: Final = 56
_CURVE_HEIGHT: Final = 300
_LONGEST: Final = 20  # characters of a label
_NO_XML: Final = re.compile("[\ufffe\uffff]")  # beside what `display` takes out


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure with the ends of its interval, None without one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Named bars that belong together."""

    name: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve: (x, y) in order of x."""

    label: str
    points: tuple[tuple[float, float], ...]


def render_bars(title: str, groups: Sequence[Group], *, note: str = "") -> str:
    """Render SVG of horizontal bars by group, with their intervals; each label has one colour.

    Figures that are not finite are omitted. note: what was measured, below the title.
    """
    labels = list(dict.fromkeys(bar.label for group in groups for bar in group.bars))
    colours = {label: _COLOURS[place % len(_COLOURS)] for place, label in enumerate(labels)}
    ends = [end for group in groups for bar in group.bars for end in (bar.value, bar.low, bar.high)]
    across = _Scale([0.0, *(end for end in ends if end is not None)], _LEFT, _WIDTH - _RIGHT)
    drawn: list[str] = []
    y = _TOP
    for group in groups:
        drawn.append(_text(12, y + 12, group.name, weight="bold"))
        y += 20
        for bar in group.bars:
            drawn += _bar(bar, y, across, colours[bar.label])
            y += _BAR + 4
        y += 10
    grid = [_grid_line(across, tick, y) for tick in across.ticks]
    return _picture(title, note, y + 26, [*grid, *drawn])


def render_curves(title: str, lines: Sequence[Curve], *, x_name: str, y_name: str, note: str = "") -> str:
    """Render SVG of one or more curves in one pair of axes; points that are not finite are omitted."""
    finite = [
        Curve(line.label, tuple(point for point in line.points if isfinite(point[0]) and isfinite(point[1])))
        for line in lines
    ]
    points = [point for line in finite for point in line.points]
    bottom = _TOP + _CURVE_HEIGHT
    across = _Scale([x for x, _ in points], 70, _WIDTH - 30)
    up = _Scale([y for _, y in points], bottom, _TOP)
    drawn = [_level_line(up, tick) for tick in up.ticks]
    drawn += [_text(across(tick), bottom + 18, _number(tick), anchor="middle") for tick in across.ticks]
    for place, line in enumerate(finite):
        colour = _COLOURS[place % len(_COLOURS)]
        drawn += _polyline(line, across, up, colour)
        drawn.append(_text(_WIDTH - 34, _TOP + 16 + 16 * place, line.label, anchor="end", colour=colour))
    drawn.append(_text((70 + _WIDTH - 30) / 2, bottom + 38, x_name, anchor="middle"))
    drawn.append(_text(12, _TOP - 4, y_name))
    return _picture(title, note, bottom + 52, drawn)


def stack_charts(pictures: Sequence[str]) -> str:
    """Stack several charts into one SVG, one below the other."""
    placed, y = [], 0
    for picture in pictures:
        placed.append(picture.replace("<svg ", f'<svg y="{y}" ', 1))
        y += int(picture.split(' height="', 1)[1].split('"', 1)[0])
    size = f'viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">', *placed, "</svg>", ""])


class _Scale:
    """Maps numbers to positions; the range is widened to round ticks."""

    def __init__(self, values: Iterable[float], first: float, last: float) -> None:
        sound = [value for value in values if isfinite(value)] or [0.0]
        low, high = min(sound), max(sound)
        # Equal or nearly equal numbers get a margin, too.
        step = _step(max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-9))
        begin, end = floor(low / step), -floor(-high / step)
        if begin == end:
            end += 1
        self.ticks = [tick * step for tick in range(begin, end + 1)]
        self._low, self._span = self.ticks[0], self.ticks[-1] - self.ticks[0]
        self._first, self._last = first, last

    def __call__(self, value: float) -> float:
        return self._first + (value - self._low) / self._span * (self._last - self._first)


def _step(span: float) -> float:
    """Return a round step with three to eight ticks."""
    size = 10.0 ** floor(log10(span))
    return next(step * size for step in (0.2, 0.5, 1.0, 2.0) if span / (step * size) <= 6)


def _bar(bar: Bar, y: float, across: _Scale, colour: str) -> Iterator[str]:
    yield _text(_LEFT - 8, y + 12, shorten(bar.label, _LONGEST, placeholder="..."), anchor="end")
    if not isfinite(bar.value):
        return
    begin, end = sorted((across(0.0), across(bar.value)))
    yield f'<rect x="{begin:.1f}" y="{y}" width="{end - begin:.1f}" height="{_BAR}" fill="{colour}"/>'
    label = f"{bar.value:.3f}"
    if bar.low is not None and bar.high is not None and isfinite(bar.low) and isfinite(bar.high):
        low, high, middle = across(bar.low), across(bar.high), y + _BAR / 2
        path = f"M{low:.1f} {middle - 4}v8M{low:.1f} {middle}H{high:.1f}M{high:.1f} {middle - 4}v8"
        yield f'<path d="{path}" stroke="{_INK}" fill="none"/>'
        label += f" ({bar.low:.2f}..{bar.high:.2f})"
        end = max(end, high)
    yield _text(end + 6, y + 12, label, size=11)


def _polyline(line: Curve, across: _Scale, up: _Scale, colour: str) -> Iterator[str]:
    places = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line.points)
    if len(line.points) > 1:
        yield f'<polyline points="{places}" stroke="{colour}" stroke-width="2" fill="none"/>'
    else:
        yield from (
            f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>' for x, y in line.points
        )


def _grid_line(across: _Scale, tick: float, bottom: float) -> str:
    x = across(tick)
    line = f'<path d="M{x:.1f} {_TOP - 6}V{bottom}" stroke="{_FAINT}"/>'
    return line + _text(x, bottom + 14, _number(tick), anchor="middle", size=11)


def _level_line(up: _Scale, tick: float) -> str:
    y = up(tick)
    line = f'<path d="M70 {y:.1f}H{_WIDTH - 30}" stroke="{_FAINT}"/>'
    return line + _text(62, y + 4, _number(tick), anchor="end", size=11)


def _number(value: float) -> str:
    return f"{value:.10g}" if abs(value) >= 1e-9 else "0"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", size: int = 12,
    colour: str = _INK,
) -> str:  # fmt: skip
    style = f'text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    return escape(_NO_XML.sub("", clean_line(text)))


def _picture(title: str, note: str, height: float, drawn: Iterable[str]) -> str:
    head = [_text(12, 22, title, weight="bold", size=15), _text(12, 40, note, size=11)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}"'
            f' height="{height:.0f}" font-family="system-ui, sans-serif" role="img">',
            f"<title>{_escaped(title)}</title>",
            f'<rect width="{_WIDTH}" height="{height:.0f}" fill="white"/>',
            *head,
            *drawn,
            "</svg>",
            "",
        ]
    )
