"""Hits: the observation to show of each result group, where it stands, and which commits say the same."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Final

from patina_hooks.search.duplicates import Duplicates, RepeatableTexts, group_duplicates, repeatable_texts
from patina_hooks.search.query import Hit
from patina_hooks.search.remarks.closeness import LOOKED_AT, Closeness, coverage
from patina_hooks.search.retrieval.lexical import terms_of
from patina_hooks.store.corpus.commits import read_commit_time
from patina_hooks.store.search.answers import (
    read_located_observation,
    read_observation_texts,
    read_session_title,
)

if TYPE_CHECKING:
    from patina_hooks.search.retrieval.ranking import Ranking
    from patina_hooks.search.retrieval.retrieve import Evidence
    from patina_hooks.search.retrieval.store_view import StoreView
    from patina_hooks.specs.retrieval import Group

_COMPARED: Final = 100
"""Result groups, the best ones, that are looked at for duplicates, at least."""


def make_hits(
    view: StoreView,
    evidence: Evidence,
    ranking: Ranking,
    limit: int,
) -> list[Hit]:
    """Return the first hits of a ranking, in which commits that say the same are one."""
    observations = ranking.shown
    compared = ranking.order[: max(_COMPARED, 4 * limit)]
    texts = repeatable_texts(
        view.connection, {group: observations[group] for group in compared if group in observations}
    )
    hits = (
        _hit(view, answer, texts, ranking.scores[answer.best], evidence, observations)
        for answer in group_duplicates(ranking.order, texts)
    )
    return list(islice((hit for hit in hits if hit is not None), limit))


def closeness(view: StoreView, question: str, evidence: Evidence) -> Closeness:
    """Compare the question with the best texts that words and vectors found."""
    scores_by_retriever = [evidence.observations.get(name, {}) for name in ("observation", "vector")]
    numbers = [
        number
        for scores in scores_by_retriever
        for number in nsmallest(LOOKED_AT, scores, key=lambda number: (-scores[number], number))
    ]
    words = view.words(question)
    texts = read_observation_texts(view.connection, numbers).values()
    share = coverage(words.counts(), words.total(), [terms_of(text) for text in texts])
    return Closeness(max(scores_by_retriever[1].values(), default=None), share, words.total())


def _hit(
    view: StoreView,
    answer: Duplicates,
    texts: Mapping[Group, RepeatableTexts],
    score: float,
    evidence: Evidence,
    observations: Mapping[Group, int],
) -> Hit | None:
    """Return the hit of one answer: its best observation, None where the filters leave it none."""
    group = answer.original(texts)
    number = observations.get(group) or view.first(group)
    if number is None:
        return None
    duplicates = sorted(
        (texts[duplicate] for duplicate in answer.groups if duplicate != group and duplicate[0] == "commit"),
        key=lambda commit: (commit.committed, commit.oid),
    )
    session = group[1] if group[0] == "session" else None
    place = read_located_observation(view.connection, number)
    commit = None if place.path else place.oid
    title, started = read_session_title(view.connection, session)
    if group[0] == "document":
        title, started = place.title, place.date
    committed = read_commit_time(view.connection, commit) if commit else None
    return Hit(
        session=session,
        title=title,
        commit=commit,
        path=place.path or None,
        line=place.observation.line,
        kind=place.observation.kind,
        text=place.observation.text,
        score=score,
        channels=evidence.found_by(answer.best),
        when=started if committed is None else committed,
        draft=bool(place.draft),
        also=len(duplicates),
        also_commits=tuple(commit.oid for commit in duplicates),
        name=place.observation.name,
        end=place.observation.end,
        fields=place.observation.fields,
        collection=view.collection,
    )
