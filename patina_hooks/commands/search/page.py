"""Hits and related files as text for a terminal."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Final

import click

from patina_hooks.text.date_format import format_day
from patina_hooks.text.display import clean_line, format_count, strip_controls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from patina_hooks.search.query import Hit, Hits
    from patina_hooks.search.related import Related

_LINES: Final = 3
_MOST_COLUMNS: Final = 100
_MOST_CHARACTERS: Final = 100
"""Of a question that a message repeats."""


def render_no_hits(question: str, reason: str) -> str:
    """Render why nothing was found."""
    text = clean_line(question)
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[:_MOST_CHARACTERS]}..."
    return f"no hits for {text!r}: {clean_line(reason)}"


def render_hits(hits: Hits) -> str:
    """Render hits; if several collections answer, each block has its name above it."""
    return "\n\n".join(_blocks(hits))


def render_related(related: Related) -> str:
    """Render the files that changed with a file, and the sessions that touched it."""
    return "\n".join(_related_lines(related))


def _blocks(hits: Hits) -> Iterator[str]:
    has_several = len({hit.collection for hit in hits}) > 1
    previous = ""
    for number, hit in enumerate(hits, 1):
        is_first = has_several and hit.collection != previous
        previous = hit.collection
        yield (f"{click.style(hit.collection, underline=True)}\n" if is_first else "") + _entry(number, hit)


def _entry(number: int, hit: Hit) -> str:
    """Render a hit: its session, page or commit, the text, its location and its scores."""
    width = max(20, min(shutil.get_terminal_size().columns, _MOST_COLUMNS))
    commit = f"commit {hit.commit[:10]}" if hit.commit else ""
    title = click.style(clean_line(hit.title) or commit or clean_line(hit.path or ""), bold=True)
    head = f"{number}. {title}  {format_day(hit.when)}{'  draft' if hit.draft else ''}".rstrip()
    lines = textwrap.wrap(clean_line(hit.text), width - 4, max_lines=_LINES, placeholder=" ...")
    body = "\n".join(f"   {line}" for line in lines)
    location = commit or f"{clean_line(hit.path or '')}:{hit.line}"
    scores = " ".join(f"{name} {score:.2f}" for name, score in hit.channels.items())
    also = f" · also in {format_count(hit.also, 'commit')}" if hit.also else ""
    foot = click.style(f"   {hit.kind} · {location}{also} · {hit.score:.2f} ({scores})", dim=True)
    return f"{head}\n{body}\n{foot}"


def _related_lines(related: Related) -> Iterator[str]:
    yield f"{clean_line(related.path)}: {format_count(related.commits, 'commit')}"
    if related.companions:
        yield "\nchanged together with"
    for file in related.companions:
        yield f"  {file.weight:6.2f}  {format_count(file.commits, 'time'):>10}  {clean_line(file.path)}"
    if related.sessions:
        yield "\ntouched in sessions"
    for visit in related.sessions:
        yield f"  {visit.session}  {format_count(visit.commits, 'commit'):>10}  {strip_controls(visit.title)}"
