"""What the commands of sessions share: the repository, the wake-up of the worker, options and figures."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from patina_hooks.commands.messages import say
from patina_hooks.text.display import format_count

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository
    from patina_hooks.sessions.documents.document import Header
    from patina_hooks.sessions.metrics import Numbers

session_option: Final = click.option(
    "--session",
    metavar="ID",
    help="Session to use if several are active; the beginning of its id is enough.",
)


def open_repository() -> Repository:
    """Open the repository around the current folder. Imports git late: `--help` needs none of it."""
    from patina_hooks.git.repository import Repository

    return Repository.open(Path.cwd())


def wake_worker(repository: Repository) -> None:
    """Index the change in the background if this repository has an index.

    The change is noted as a hook does it: a question that comes before the worker sees it too.
    """
    if repository.state.is_dir():
        from patina_hooks.git import spool
        from patina_hooks.upkeep.worker import wake_worker

        with suppress(OSError):
            spool.append_event(repository.state, spool.SpoolEvent("post-session"))
        wake_worker(repository.common, repository.root)


def warn_of_secrets(field: str, text: str) -> None:
    """Warn that a title or note was stored without its secrets."""
    from patina_hooks.config.configuration import load_user_redaction

    if forms := load_user_redaction().forms_in(text):
        say(f"warning: redacted in the {field}: {', '.join(forms)}; the secret was not stored")


def header_fields(session: Header) -> dict[str, object]:
    """Return the JSON fields of a session's header."""
    return {**asdict(session), "start_tag": str(session.start_tag)}


def number_fields(numbers: Numbers | None) -> dict[str, int | None]:
    """Return the JSON fields of a session's figures, each null where they are unknown."""
    names = ("commits", "files", "patterns")
    return {name: getattr(numbers, name) if numbers else None for name in names}


def render_numbers(numbers: Numbers | None) -> str:
    """Render the figures of a session in words."""
    if numbers is None:
        return "figures unknown"
    return f"{format_count(numbers.commits, 'commit')}, {format_count(numbers.files, 'file')}"
