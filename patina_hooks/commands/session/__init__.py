"""`patina session`: a work session, from its start to its document."""

from __future__ import annotations

from typing import Final

import click

from patina_hooks.commands.lazy_group import LazyGroup

_COMMANDS: Final = {
    "start": ("session.start:start_command", "Start a session: tag HEAD and open its document."),
    "note": ("session.note:note_command", "Append a note with its branch and commit."),
    "update": ("session.update:update_command", "Append the git activity since the start."),
    "status": ("session.status:status_command", "Show the active sessions of this work tree."),
    "end": ("session.end:end_command", "End a session: tag HEAD, classify it and archive its document."),
    "list": ("session.list:list_command", "List sessions, newest first."),
    "show": ("session.show:show_command", "Print the document of a session."),
}


@click.group("session", cls=LazyGroup, table=_COMMANDS)
def session_command() -> None:
    """Start, note, update and end work sessions."""
