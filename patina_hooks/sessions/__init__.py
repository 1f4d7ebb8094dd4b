"""Sessions: stretches of work between two tags, each with one document.

started = start(repository, "teach the parser about tabs")
note(repository, "columns are counted in code points")
ended = end(repository, commit=True)

Several may be under way in one work tree: `note`, `update` and `end` then take the session's id.
"""

from patina_hooks.sessions.ending import Ended
from patina_hooks.sessions.lifecycle import (
    Noted,
    Progress,
    Started,
    Updated,
    active,
    end,
    end_all,
    note,
    settle,
    start,
    update,
)
from patina_hooks.sessions.listing import Found, Summary, find, sessions
from patina_hooks.sessions.upkeep import copy_documents, keep_sessions

__all__ = [
    "Ended",
    "Found",
    "Noted",
    "Progress",
    "Started",
    "Summary",
    "Updated",
    "active",
    "copy_documents",
    "end",
    "end_all",
    "find",
    "keep_sessions",
    "note",
    "sessions",
    "settle",
    "start",
    "update",
]
