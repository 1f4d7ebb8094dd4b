"""The built-in retrievers: words of observations, of whole documents and of titles, and vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from patina_hooks.plugins import builtin
from patina_hooks.search.retrieval.retrieve import Retriever

if TYPE_CHECKING:
    from patina_hooks.specs.retrieval import Group, Scores, View


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


_SEARCHES: Final[tuple[Callable[[str, View, int], Scores], ...]] = (
    search_observations,
    search_sessions,
    search_titles,
    search_vectors,
)
BUILTIN_RETRIEVERS: Final = tuple(
    Retriever(spec, search)
    for spec, search in zip(builtin.patina_register_retrievers(), _SEARCHES, strict=True)
)
"""Open, for what is measured without plugins."""
