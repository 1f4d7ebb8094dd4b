"""A question, and its answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from patina_hooks.specs.sources import HISTORY

Mode = Literal["hybrid", "vector", "lexical"]


@dataclass(frozen=True, slots=True)
class Query:
    """A query with its filters.

    collections: those to search, () for all.
    kinds: of observations, () for all.
    session: its id, or a unique prefix of it.
    since, until: seconds since 1970, `until` excluded.
    ref: a revision that reaches the results.
    path: a path that the results touched, from the root, or a folder of it.
    fields: (name, value) that the observations have.
    rewriters, rerankers, filters: of plugins, by name; None for those of the recipe.
    """

    text: str
    limit: int = 10
    mode: Mode = "hybrid"
    collections: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    session: str | None = None
    since: int | None = None
    until: int | None = None
    ref: str | None = None
    path: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    rewriters: tuple[str, ...] | None = None
    rerankers: tuple[str, ...] | None = None
    filters: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer. collection: the one that it is from; title: of the session, or of the document.

    channels: what each retriever that found its group gave, before scaling and weighing.

    path, line, end: where the text stands, from its first line to its last; path is None and lines count in
    the message for a commit's. name, fields: of the observation, see `patina_hooks.Observation`.
    when: seconds since 1970, None where nothing tells. draft: only a work tree holds it.
    also: how many other commits say the same among those that were found (merges, squashed commits, picked
    ones); also_commits: their ids, oldest first.
    """

    session: str | None
    title: str
    commit: str | None
    path: str | None
    line: int
    kind: str
    text: str
    score: float
    channels: Mapping[str, float]
    when: int | None
    draft: bool
    also: int = 0
    also_commits: tuple[str, ...] = ()
    name: str = ""
    end: int = 0
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    collection: str = HISTORY


class Hits(list[Hit]):
    """The hits of a question, in blocks of one collection each, in each the best first.

    close_match: whether the best ones come close to the question, see `search.remarks.closeness`; None
    if it is not known (only words were searched, or there is no hit).
    reason: why there is no hit, or what of the question was not looked up: it has no words, or very many; ""
    otherwise.
    """

    def __init__(self, hits: Iterable[Hit] = (), close_match: bool | None = None, reason: str = "") -> None:
        super().__init__(hits)
        self.close_match = close_match
        self.reason = reason
