"""Sessions: stretches of work between two tags, each with one document.

started = start(repository, "teach the parser about tabs")
note(repository, "columns are counted in code points")
ended = end(repository, commit=True)
"""

from patina_hooks.sessions.lifecycle import (
    Ended,
    Noted,
    Progress,
    Started,
    Updated,
    active,
    end,
    note,
    repair,
    start,
    update,
)
from patina_hooks.sessions.listing import Found, Summary, find, sessions

__all__ = [
    "Ended",
    "Found",
    "Noted",
    "Progress",
    "Started",
    "Summary",
    "Updated",
    "active",
    "end",
    "find",
    "note",
    "repair",
    "sessions",
    "start",
    "update",
]
