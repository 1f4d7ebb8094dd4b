"""`patina scry`: ask, and print the answers for eyes or for programs."""

from __future__ import annotations

import json
import shlex
import shutil
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say
from patina_hooks.config.configuration import load_user_redaction
from patina_hooks.errors import UsageError
from patina_hooks.search.remarks.no_hits import NO_WORDS
from patina_hooks.specs.sources import COLLECTIONS
from patina_hooks.system.progress import show_progress
from patina_hooks.text.date_format import format_day
from patina_hooks.text.display import clean_line, format_count, strip_controls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from patina_hooks.search.query import Hit, Hits, Mode
    from patina_hooks.search.related import Related

_LINES = 3
_LONGEST = 100
"""Characters of a question that a remark repeats."""


@click.command("scry")
@click.argument("query", nargs=-1)
@click.option(
    "-n",
    "limit",
    type=click.IntRange(1, 200),
    default=5,
    show_default=True,
    help="How many hits of each collection.",
)
@click.option(
    "--in", "collection", type=click.Choice(["all", *COLLECTIONS]), default="all", show_default=True,
    help="Only history (sessions and commits), docs (documentation), or code (where plugins add it).",
)  # fmt: skip
@click.option("--kind", "kinds", multiple=True, help="Only this kind of observation (may be repeated).")
@click.option(
    "--field", "fields", multiple=True, metavar="NAME=VALUE",
    help="Only observations with this field (may be repeated).",
)  # fmt: skip
@click.option("--session", metavar="ID", help="Only this session; ID may be the beginning of one.")
@click.option(
    "--since",
    metavar="DATE",
    help="Only what is dated DATE or later, in your time zone: YYYY-MM-DD, yesterday, '2 weeks ago', ...",
)
@click.option("--until", metavar="DATE", help="Only what is dated before DATE; a day is not included.")
@click.option("--ref", metavar="REV", help="Only what this branch, tag or commit reaches.")
@click.option("--path", help="Only commits that touched this path, and their sessions.")
@click.option("--file", "file", metavar="PATH", help="What changed together with a file; no query.")
@click.option(
    "--mode", type=click.Choice(["hybrid", "vector", "lexical"]), default="hybrid", show_default=True
)
@click.option("--rewriter", "rewriters", metavar="NAME", multiple=True, help="Use a plugin's query rewriter.")
@click.option("--reranker", "rerankers", metavar="NAME", multiple=True, help="Use a plugin's reranker.")
@click.option("--filter", "filters", metavar="NAME", multiple=True, help="Use a plugin's filter of hits.")
@click.option("--json", "as_json", is_flag=True, help="One object for programs.")
def scry_command(
    query: tuple[str, ...],
    limit: int,
    collection: str,
    kinds: tuple[str, ...],
    fields: tuple[str, ...],
    session: str | None,
    since: str | None,
    until: str | None,
    ref: str | None,
    path: str | None,
    file: str | None,
    mode: Mode,
    rewriters: tuple[str, ...],
    rerankers: tuple[str, ...],
    filters: tuple[str, ...],
    as_json: bool,
) -> None:
    """Ask the repository's memory a question."""
    text = " ".join(query).strip()
    if bool(text) == bool(file):
        raise UsageError("give either a question or --file PATH", hint='patina scry "why did we ..."')
    steps = (rewriters, rerankers, filters)
    collections = () if collection == "all" else (collection,)
    filtered = any((collections, kinds, fields, session, since, until, ref, path, *steps))
    if file and (filtered or mode != "hybrid"):
        raise UsageError(
            "--file cannot be combined with the options of a question",
            hint=f"patina scry --file {shlex.quote(file)}",
        )
    pairs = [_field(text) for text in fields]
    first, last = (_parse_date(date) for date in (since, until))
    with open_patina(open_model=not file and mode != "lexical") as patina, show_progress("answer") as show:
        freshen(patina, show, words_only=bool(file) or mode == "lexical")
        if file:
            _print_related(patina.related(Path.cwd() / file, limit=limit), as_json)
            return
        if forms := load_user_redaction().forms_in(text):
            say(f"left out of the question: {', '.join(forms)}")
        hits = patina.search(
            text, limit=limit, mode=mode, collections=collections, kinds=kinds, session=session, since=first,
            until=last, ref=ref, path=Path.cwd() / path if path else None, fields=pairs,
            rewriters=rewriters or None, rerankers=rerankers or None, filters=filters or None, on_fault=say,
        )  # fmt: skip
    text = load_user_redaction().redact(text)
    if as_json:
        answer = {"query": text, "mode": mode, "close_match": hits.close_match, "reason": hits.reason}
        click.echo(json.dumps({**answer, "hits": [asdict(hit) for hit in hits]}))
    elif hits:
        if hits.reason:
            say(hits.reason)
        if hits.close_match is False and hits.reason != NO_WORDS:
            say("no close match: the hits may have nothing to do with the question")
        click.echo("\n\n".join(_blocks(hits)))
    else:
        say(f"nothing was found for {_shortened(text)!r}: {clean_line(hits.reason)}")


def _parse_date(text: str | None) -> int | None:
    if text is None:
        return None
    from patina_hooks.text.dates import parse_date  # compiles a dozen patterns

    return parse_date(text)


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"invalid field {text!r}; use NAME=VALUE", hint="patina scry --field NAME=VALUE")
    return name, value


def _shortened(text: str) -> str:
    line = clean_line(text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _blocks(hits: Hits) -> Iterator[str]:
    """Yield the hits as text; where several collections answer, each block has its name above it."""
    several = len({hit.collection for hit in hits}) > 1
    before = ""
    for number, hit in enumerate(hits, 1):
        begins = several and hit.collection != before
        before = hit.collection
        yield (f"{click.style(hit.collection, underline=True)}\n" if begins else "") + _entry(number, hit)


def _entry(number: int, hit: Hit) -> str:
    """Four parts: what session or commit, the text, where it stands, and why it was found."""
    width = max(20, min(shutil.get_terminal_size().columns, 100))
    head = clean_line(hit.title) or (
        f"commit {hit.commit[:10]}" if hit.commit else clean_line(hit.path or "")
    )
    when = format_day(hit.when)
    top = f"{number}. {click.style(head, bold=True)}  {when}{'  draft' if hit.draft else ''}".rstrip()
    lines = textwrap.wrap(
        clean_line(hit.text), width - 4, max_lines=_LINES, placeholder=" ..."
    )  # fmt: skip
    body = "\n".join(f"   {line}" for line in lines)
    where = f"commit {hit.commit[:10]}" if hit.commit else f"{clean_line(hit.path or '')}:{hit.line}"
    why = " ".join(f"{name} {score:.2f}" for name, score in hit.channels.items())
    also = f" · also in {format_count(hit.also, 'commit')}" if hit.also else ""
    foot = click.style(f"   {hit.kind} · {where}{also} · {hit.score:.2f} ({why})", dim=True)
    return f"{top}\n{body}\n{foot}"


def _print_related(found: Related, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return
    click.echo(f"{clean_line(found.path)}: {format_count(found.commits, 'commit')}")
    if found.companions:
        click.echo("\nchanged together with")
    for one in found.companions:
        click.echo(f"  {one.weight:6.2f}  {format_count(one.commits, 'time'):>10}  {clean_line(one.path)}")
    if found.sessions:
        click.echo("\ntouched in sessions")
    for visit in found.sessions:
        click.echo(
            f"  {visit.session}  {format_count(visit.commits, 'commit'):>10}  {strip_controls(visit.title)}"
        )
