"""The source of session documents: what their paths state."""

from __future__ import annotations

from patina_hooks.specs.sources import DocumentFacts
from patina_hooks.text.session_ids import is_session_id, start_time


def describe_session_path(path: str) -> DocumentFacts:
    """Return the session that an archived document is named after, and when that began."""
    session = session_of(path.rpartition("/")[2])
    return DocumentFacts(session=session, date=start_time(session) if session else None)


def session_of(name: str) -> str | None:
    """Return the session whose archived document has this file name, or that a document names."""
    stem = name.removesuffix(".md")
    return stem if is_session_id(stem) else None
