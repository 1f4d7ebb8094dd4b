"""`patina session`: start, update, note, end, status, list, show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.text.dates import format_time
from patina_hooks.text.display import clean_line, clean_text, count

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository
    from patina_hooks.sessions import Ended, Summary
    from patina_hooks.sessions.documents.document import Header
    from patina_hooks.sessions.metrics import Numbers

_session = click.option(
    "--session",
    metavar="ID",
    help="Session to use where several are under way; the beginning of its id is enough.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print an object (list: a list of objects).")


@click.group("session")
def session_command() -> None:
    """Start, note, update and end a session of work."""


@session_command.command("start")
@click.argument("title")
@click.option(
    "--adapter", metavar="NAME", help="The assistant it is held with; becomes part of the tags' names."
)
@click.option("--continues", metavar="ID", help="The session that it goes on from.")
@_json
def start_command(title: str, adapter: str | None, continues: str | None, as_json: bool) -> None:
    """Tag HEAD and open a document for a stretch of work."""
    from patina_hooks import sessions

    repository = _repository()
    started = sessions.start(repository, title, adapter=adapter, continues=continues)
    _warn_of_secrets("title", title)
    _wake(repository)
    session = started.session
    if started.uncommitted is None:
        _say("git cannot tell here whether all is committed: the start tag is HEAD, without what is not")
    elif started.uncommitted:
        files = count(started.uncommitted, "tracked file")
        _say(f"{files} with uncommitted changes: the start tag is HEAD, without them")
    if started.cut:
        _say(f"the title was cut at {len(session.title)} characters; put the rest into: patina session note")
    if as_json:
        _print_json({**_header(session), "abandoned": None})
    else:
        click.echo(
            f"session {session.id} started: {session.title}\n  on {session.branch}, tag {session.start_tag}"
        )


@session_command.command("update")
@_session
@_json
def update_command(session: str | None, as_json: bool) -> None:
    """Append what git saw since the start; your own words go below it."""
    from patina_hooks import sessions

    repository = _repository()
    done = sessions.update(repository, session=session)
    _wake(repository)
    if as_json:
        figures = {"commits": done.commits, "files": done.files, "last_commit": done.last_commit}
        _print_json({"id": done.session.id, "since": done.since, "path": done.path, **figures})
    else:
        figures_line = (
            f"{count(done.commits, 'commit')}, {count(done.files, 'file')}, last commit {done.last_commit}"
        )
        click.echo(f"{figures_line}\n  write what was done below the update in {done.path}")


@session_command.command("note")
@click.argument("text")
@_session
@_json
def note_command(text: str, session: str | None, as_json: bool) -> None:
    """Append a note with the branch and commit it was made on."""
    from patina_hooks import sessions

    repository = _repository()
    done = sessions.note(repository, text, session=session)
    _warn_of_secrets("note", text)
    _wake(repository)
    if as_json:
        _print_json({"id": done.session.id, "place": done.place, "text": done.text})
    else:
        click.echo(f"noted in session {done.session.id} at {done.place}")


@session_command.command("end")
@click.option("--commit", is_flag=True, help="Commit the archived document, and only that.")
@click.option("--all", "every", is_flag=True, help="End all sessions of this work tree (--json: a list).")
@_session
@_json
def end_command(commit: bool, every: bool, session: str | None, as_json: bool) -> None:
    """Tag HEAD, classify the session and archive its document."""
    from patina_hooks import sessions

    if every and session is not None:
        raise click.UsageError("--all cannot be combined with --session")
    repository = _repository()
    try:
        if every:
            ended = sessions.end_all(repository, commit=commit)
        else:
            ended = [sessions.end(repository, session=session, commit=commit)]
    finally:
        # Also where only the commit failed: the session is ended by then.
        _wake(repository)
    if as_json:
        values = [_ended(each) for each in ended]
        _print_json(values if every else values[0])
        return
    for each in ended:
        path = each.path if each.work_tree == str(repository.root) else f"{each.work_tree}/{each.path}"
        click.echo(f"session {each.id} ended: {each.work_type}, {_figures(each.numbers)}\n  {path}")
        if each.numbers is None:
            _say("its start is not in this repository, so its numbers are unknown")


@session_command.command("status")
@_json
def status_command(as_json: bool) -> None:
    """Show the sessions under way in this work tree."""
    from patina_hooks import sessions

    under_way = sessions.active_sessions(_repository())
    if as_json:
        values = [{**_header(each.session), **_flat(each.numbers)} for each in under_way]
        _print_json({"active": values[-1] if values else None, "sessions": values})
    elif not under_way:
        click.echo("no session is under way")
    for each in () if as_json else under_way:
        session = each.session
        click.echo(
            f"session {session.id}: {session.title}\n"
            f"  since {format_time(session.started)} on {session.branch}, with {session.adapter}\n"
            f"  {_figures(each.numbers)}"
        )


@session_command.command("list")
@click.option("--adapter", metavar="NAME", help="Only sessions held with it.")
@click.option("-n", "limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@_json
def list_command(adapter: str | None, limit: int | None, as_json: bool) -> None:
    """Sessions, newest first."""
    from patina_hooks import sessions

    repository = _repository()
    found = sessions.list_sessions(repository, adapter=adapter, limit=limit)
    if as_json:
        _print_json([asdict(summary) for summary in found])
    elif found:
        click.echo("\n".join(_rows(found, str(repository.root))))
    else:
        _say(f'no sessions{f" of the adapter {adapter}" if adapter else " yet"}; patina session start "..."')


@session_command.command("show")
@click.argument("session", metavar="ID")
@_json
def show_command(session: str, as_json: bool) -> None:
    """Print a session's document; ID may be the beginning of one."""
    from patina_hooks import sessions

    found = sessions.find_session(_repository(), session)
    if as_json:
        _print_json(asdict(found))
    else:
        click.echo(clean_text(found.text), nl=not found.text.endswith("\n"))


def _rows(found: Iterable[Summary], root: str) -> Iterator[str]:
    for item in found:
        figures = [item.state if item.state != "ended" else item.work_type or "ended"]
        if item.commits is not None:
            figures.append(count(item.commits, "commit"))
        if item.files is not None:
            figures.append(count(item.files, "file"))
        title = clean_line(item.title) or "(no title)"
        if item.state == "active" and item.work_tree != root:
            figures.append(f"in {clean_line(item.work_tree or 'an unknown work tree')}")
        yield f"{item.id}  {clean_line(item.adapter or '-'):<8}  {title}  [{', '.join(figures)}]"


def _figures(numbers: Numbers | None) -> str:
    if numbers is None:
        return "numbers unknown"
    return f"{count(numbers.commits, 'commit')}, {count(numbers.files, 'file')}"


def _flat(numbers: Numbers | None) -> dict[str, int | None]:
    names = ("commits", "files", "patterns")
    return {name: getattr(numbers, name) if numbers else None for name in names}


def _header(session: Header) -> dict[str, object]:
    return {**asdict(session), "start_tag": str(session.start_tag)}


def _ended(ended: Ended) -> dict[str, object]:
    fields = asdict(ended)
    del fields["numbers"]
    return {**fields, **_flat(ended.numbers)}


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def _warn_of_secrets(where: str, text: str) -> None:
    from patina_hooks.config.configuration import user_redaction

    if forms := user_redaction().forms_in(text):
        _say(f"warning: redacted in the {where}: {', '.join(forms)}; nothing of it was stored")


def _say(text: str) -> None:
    click.echo(clean_line(text), err=True)


def _repository() -> Repository:
    # Opened here: `patina session --help` needs no git.
    from patina_hooks.git.repository import Repository

    return Repository.open(Path.cwd())


def _wake(repository: Repository) -> None:
    """Have the change indexed in the background, where this repository has an index.

    The change is noted as a hook does it, so that a question that comes before the worker knows of it.
    """
    if repository.state.is_dir():
        from patina_hooks.git import spool
        from patina_hooks.upkeep.worker import wake

        with suppress(OSError):
            spool.append_event(repository.state, spool.SpoolEvent("post-session"))
        wake(repository.common, repository.root)
