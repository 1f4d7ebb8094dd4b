"""`patina scry`: answer a question, or list what changed together with a file."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.commands.messages import say
from patina_hooks.commands.options import json_option, limit_option, print_json
from patina_hooks.commands.search import arguments, page
from patina_hooks.config.configuration import load_user_redaction
from patina_hooks.errors import UsageError
from patina_hooks.search.remarks.no_hits import NO_WORDS
from patina_hooks.specs.sources import COLLECTIONS
from patina_hooks.system.progress import show_progress

if TYPE_CHECKING:
    from patina_hooks.search.query import Hits, Mode


@click.command("scry")
@click.argument("query", nargs=-1)
@limit_option("hits in each collection", 5, 200)
@click.option(
    "--in", "collections", type=click.Choice(["all", *COLLECTIONS]), default="all", show_default=True,
    callback=arguments.parse_collection,
    help="Only history (sessions and commits), docs (documentation), or code (with a plugin).",
)  # fmt: skip
@click.option("--kind", "kinds", multiple=True, help="Only this kind of observation (may be repeated).")
@click.option(
    "--field", "fields", multiple=True, metavar="NAME=VALUE", callback=arguments.parse_fields,
    help="Only observations with this field (may be repeated).",
)  # fmt: skip
@click.option("--session", metavar="ID", help="Only this session; the beginning of its id is enough.")
@click.option(
    "--since", metavar="DATE", callback=arguments.parse_day,
    help="Only hits dated DATE or later, in your time zone: YYYY-MM-DD, yesterday, '2 weeks ago', ...",
)  # fmt: skip
@click.option(
    "--until", metavar="DATE", callback=arguments.parse_day,
    help="Only hits dated before DATE; a day is not included.",
)  # fmt: skip
@click.option("--ref", metavar="REV", help="Only what this branch, tag or commit reaches.")
@click.option(
    "--path", callback=arguments.parse_path, help="Only commits that touched this path, and their sessions."
)
@click.option("--file", metavar="PATH", help="List what changed together with a file; takes no question.")
@click.option(
    "--mode", type=click.Choice(["hybrid", "vector", "lexical"]), default="hybrid", show_default=True,
    help="Search by words and vectors, by vectors, or by words.",
)  # fmt: skip
@arguments.step_option("--rewriter", "Use a plugin's query rewriter.")
@arguments.step_option("--reranker", "Use a plugin's reranker.")
@arguments.step_option("--filter", "Use a plugin's filter of hits.")
@json_option
def scry_command(
    query: tuple[str, ...],
    limit: int,
    file: str | None,
    mode: Mode,
    as_json: bool,
    **options: Any,  # noqa: ANN401 (arguments of `Patina.search`)
) -> None:
    """Search the repository's history and documentation."""
    question = " ".join(query).strip()
    if bool(question) == bool(file):
        raise UsageError("give either a question or --file PATH", hint='patina scry "why did we ..."')
    if not file:
        _answer(question, mode, as_json, {"limit": limit, **options})
    elif any(options.values()) or mode != "hybrid":
        hint = f"patina scry --file {shlex.quote(file)}"
        raise UsageError("--file cannot be combined with the options of a question", hint=hint)
    else:
        _relate(file, limit, as_json)


def _relate(file: str, limit: int, as_json: bool) -> None:
    with open_patina() as patina, show_progress("answer") as progress:
        freshen(patina, progress, words_only=True)
        related = patina.related(Path.cwd() / file, limit=limit)
    if as_json:
        print_json(asdict(related))
    else:
        click.echo(page.render_related(related))


def _answer(question: str, mode: Mode, as_json: bool, options: dict[str, Any]) -> None:
    has_vectors = mode != "lexical"
    with open_patina(open_model=has_vectors) as patina, show_progress("answer") as progress:
        freshen(patina, progress, words_only=not has_vectors)
        if forms := load_user_redaction().forms_in(question):
            say(f"left out of the question: {', '.join(forms)}")
        hits = patina.search(question, mode=mode, on_fault=say, **options)
    question = load_user_redaction().redact(question)
    if as_json:
        answer = {"query": question, "mode": mode, "close_match": hits.close_match, "reason": hits.reason}
        print_json({**answer, "hits": [asdict(hit) for hit in hits]})
    else:
        _print_hits(question, hits)


def _print_hits(question: str, hits: Hits) -> None:
    if not hits:
        say(page.render_no_hits(question, hits.reason))
        return
    if hits.reason:
        say(hits.reason)
    if hits.close_match is False and hits.reason != NO_WORDS:
        say("no close match: the hits may have nothing to do with the question")
    click.echo(page.render_hits(hits))
