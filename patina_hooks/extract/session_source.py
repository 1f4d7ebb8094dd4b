"""Describe session documents by their paths."""

from __future__ import annotations

from patina_hooks.specs.sources import DocumentFacts
from patina_hooks.text.session_ids import is_session_id, start_time


def describe_session_path(path: str) -> DocumentFacts:
    """Return the session in the name of an archived document, and its date."""
    session = session_of(path.rpartition("/")[2])
    return DocumentFacts(session=session, date=start_time(session) if session else None)


def session_of(name: str) -> str | None:
    """Return the session id in the file name of a document, None if it has none."""
    stem = name.removesuffix(".md")
    return stem if is_session_id(stem) else None
