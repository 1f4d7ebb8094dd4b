"""The built-in retrievers: words of observations, of whole documents and of titles, and vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patina_hooks.specs.retrieval import Group, View


def search_observations(question: str, view: View, limit: int) -> Mapping[int, float]:
    """Find observations by their words."""
    return view.match_observations(question, limit)


def search_sessions(question: str, view: View, limit: int) -> Mapping[Group, float]:
    """Find session documents by all that they say."""
    return view.match_documents("body", question, limit)


def search_titles(question: str, view: View, limit: int) -> Mapping[Group, float]:
    """Find session documents by their titles."""
    return view.match_documents("title", question, limit)


def search_vectors(question: str, view: View, limit: int) -> Mapping[int, float]:
    """Find observations by the vectors of their texts."""
    return view.nearest(question, limit)
