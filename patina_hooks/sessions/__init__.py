"""Sessions: periods of work between two tags, each with one document.

started = start(repository, "teach the parser about tabs")
note(repository, "columns are counted in code points")
ended = end(repository, commit=True)

Several may be active in one work tree: `note`, `update` and `end` then take the session's id.
"""

from patina_hooks.sessions.ending import Ended
from patina_hooks.sessions.lifecycle import (
    Noted,
    Progress,
    Started,
    Updated,
    active_sessions,
    end,
    end_all,
    note,
    recover_sessions,
    start,
    update,
)
from patina_hooks.sessions.listing import SessionText, Summary, find_session, list_sessions
from patina_hooks.sessions.upkeep import copy_documents, keep_sessions

__all__ = [
    "Ended",
    "Noted",
    "Progress",
    "SessionText",
    "Started",
    "Summary",
    "Updated",
    "active_sessions",
    "copy_documents",
    "end",
    "end_all",
    "find_session",
    "keep_sessions",
    "list_sessions",
    "note",
    "recover_sessions",
    "start",
    "update",
]
