"""Queries whose answer is a session, mined from texts about a session.

The source text of a query is hidden from all that could answer it: words, vectors, titles, and word counts.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Final

import numpy as np

from patina_hooks.evaluation.history import History, PastPassage, PastSession
from patina_hooks.evaluation.query_sets.mining import (
    SHORTEST,
    Candidates,
    MinedQuery,
    QueryFilter,
    QuerySet,
    build_links,
    query_id,
    select_queries,
)

SHORTEST_CONTEXT: Final = 30
SUBSTANCE: Final = frozenset({"decision", "pattern", "work", "challenge"})
_ALL_QUERIES: Final = QueryFilter()
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^a-z])")


class _SessionCorpus:
    """The documents of sessions: their titles, if `titled`, and their visible passages."""

    def __init__(
        self, history: History, is_visible: Callable[[PastPassage], bool], *, titled: bool = True
    ) -> None:
        self.sessions = history.sessions
        self.units = {session.id: unit for unit, session in enumerate(self.sessions)}
        self._titles = [session.title if titled else "" for session in self.sessions]
        self._owned = [[piece for piece in session.pieces if is_visible(piece)] for session in self.sessions]
        self._pieces = [piece for owned in self._owned for piece in owned]
        self._piece_texts = _Texts([piece.text for piece in self._pieces])
        self._title_texts = _Texts(self._titles)
        self._firsts = list(accumulate(map(len, self._owned), initial=0))
        touched = [[unit] * (1 + session.commits) for unit, session in enumerate(self.sessions)]
        self._touches = np.array([unit for units in touched for unit in units], np.intp)

    def query(
        self, identity: Sequence[str], text: str, answers: Iterable[str], asker: PastSession
    ) -> MinedQuery:
        """Create a query of a session without hidden passages. identity: the parts of its id."""
        return self.query_at(identity, text, answers, asker.id, asker.started)

    def query_at(
        self, identity: Sequence[str], text: str, answers: Iterable[str], cluster: str, moment: int
    ) -> MinedQuery:
        return MinedQuery(
            id=query_id(*identity),
            text=text,
            relevant=frozenset(self.units[session] for session in answers),
            cluster=cluster,
            moment=moment,
            visible_passages=len(self._pieces),
            touched=len(self._touches),
        )

    def without(self, query: MinedQuery, texts: Collection[str], keys: Collection[bytes] = ()) -> MinedQuery:
        """Hide passages and titles from a query.

        Args:
            query: the query.
            texts: passages and titles that equal or (except for short texts) contain one are hidden, in any
                case.
            keys: passages with one of these keys are hidden.
        """
        masked = {number for text in texts for number in self._piece_texts.repeats(text)}
        if keys:
            masked |= {number for number, piece in enumerate(self._pieces) if piece.key in keys}
        untitled = frozenset(unit for text in texts for unit in self._title_texts.repeats(text))
        return replace(query, masked=frozenset(masked), untitled=untitled)

    def query_set(self, name: str, queries: Iterable[MinedQuery], query_filter: QueryFilter) -> QuerySet:
        """Build the set of the queries whose answer has a visible passage."""
        links = build_links((unit,) for unit, owned in enumerate(self._owned) for _ in owned)
        return QuerySet(
            name=name,
            units=tuple(self.units),
            titles=tuple(self._titles),
            pieces=tuple(self._pieces),
            link_pieces=links[0],
            link_units=links[1],
            touches=self._touches,
            queries=select_queries(
                (query for query in _merge_queries(queries) if self._answerable(query)), query_filter
            ),
        )

    def _answerable(self, query: MinedQuery) -> bool:
        return any(
            number not in query.masked
            for unit in query.relevant
            for number in range(self._firsts[unit], self._firsts[unit + 1])
        )


class _Texts:
    """Many texts, searched for other texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        folded = [text.casefold() for text in texts]
        self._whole: dict[str, list[int]] = {}
        for number, text in enumerate(folded):
            self._whole.setdefault(text, []).append(number)
        # One long text, since searching it once costs a tenth of searching each. No text contains NUL.
        self._joined = "\0".join(folded)
        self._starts = list(accumulate((len(text) + 1 for text in folded), initial=0))

    def repeats(self, text: str) -> set[int]:
        """Find texts that equal this one in any case, or contain it unless it is short or empty."""
        folded = text.casefold()
        matches = set(self._whole.get(folded, ())) if folded else set()
        place = self._joined.find(folded) if len(folded) >= SHORTEST else -1
        while place >= 0:
            number = bisect_right(self._starts, place) - 1
            matches.add(number)
            place = self._joined.find(folded, self._starts[number + 1])
        return matches


def mine_context(history: History, query_filter: QueryFilter = _ALL_QUERIES) -> QuerySet:
    """Mine queries from a session's note about the previous session, which is the answer.

    All notes about earlier sessions are hidden, and the query's own session is not a candidate.
    """
    corpus = _SessionCorpus(history, lambda piece: piece.kind != "context")

    def queries() -> Iterator[MinedQuery]:
        for previous, session in pairwise(corpus.sessions):
            text_of_context = next((piece.text for piece in session.pieces if piece.kind == "context"), "")
            if len(text_of_context) >= SHORTEST_CONTEXT:
                text = _first_sentence(text_of_context)
                query = corpus.query(("context", session.id, text), text, [previous.id], session)
                candidates = np.ones(len(corpus.units), np.bool_)
                candidates[corpus.units[session.id]] = False
                yield replace(query, candidates=Candidates.of(candidates))

    return corpus.query_set("context", queries(), query_filter)


def mine_commit_session(history: History, query_filter: QueryFilter = _ALL_QUERIES) -> QuerySet:
    """Mine queries from commit messages, answered by the sessions whose tags contain the commit.

    Hidden: passages that contain the commit's subject, or are a line of its message or of a copy's.
    """
    corpus = _SessionCorpus(history, lambda _: True)

    def queries() -> Iterator[MinedQuery]:
        for commit in history.commits:
            answers = [session for session in commit.ranges if session in corpus.units]
            text = commit.message
            if answers and not commit.bookkeeping and len(text) >= SHORTEST:
                identity = ("commit_session", text)
                query = corpus.query_at(identity, text, answers, max(answers), commit.committed)
                passages = [*commit.pieces, *commit.reworded]
                subjects = [piece.text for piece in passages if piece.kind == "commit"]
                yield corpus.without(query, subjects, {piece.key for piece in passages})

    return corpus.query_set("commit_session", queries(), query_filter)


def mine_goal(history: History, query_filter: QueryFilter = _ALL_QUERIES) -> QuerySet:
    """Mine queries from a session's title and goals, answered by the session's body.

    All titles and goals, and passages that repeat them, are hidden.
    """
    corpus = _SessionCorpus(history, lambda piece: piece.kind != "goal", titled=False)

    def queries() -> Iterator[MinedQuery]:
        for session in corpus.sessions:
            goals = [piece.text for piece in session.pieces if piece.kind == "goal"]
            aims = list(dict.fromkeys(filter(None, [session.title, *goals])))
            text = "\n".join(aims)
            if len(text) >= SHORTEST:
                yield corpus.without(corpus.query(("goal", text), text, [session.id], session), aims)

    return corpus.query_set("goal", queries(), query_filter)


def mine_held_out(history: History, query_filter: QueryFilter = _ALL_QUERIES) -> QuerySet:
    """Mine one substantial observation of each session, selected by hash, answered by the session.

    These texts are hidden from every query, in every session.
    """
    held_out = {session.id: _choose_held_out(session) for session in history.sessions}
    keys = {piece.key for piece in held_out.values() if piece}
    corpus = _SessionCorpus(history, lambda piece: piece.key not in keys)

    def queries() -> Iterator[MinedQuery]:
        for session in corpus.sessions:
            if piece := held_out[session.id]:
                query = corpus.query(("held_out", piece.text), piece.text, [session.id], session)
                yield corpus.without(query, [piece.text])

    return corpus.query_set("held_out", queries(), query_filter)


def _merge_queries(queries: Iterable[MinedQuery]) -> Iterator[MinedQuery]:
    """Merge queries of the same text, with all their answers."""
    merged: dict[str, MinedQuery] = {}
    for query in queries:
        first = merged.get(query.id, query)
        merged[query.id] = replace(first, relevant=first.relevant | query.relevant)
    return iter(merged.values())


def _first_sentence(text: str) -> str:
    """Return the first sentence, with the next ones until it is long enough for a query."""
    sentences = ""
    for sentence in _SENTENCE.split(" ".join(text.split())):
        sentences = f"{sentences} {sentence}".strip()
        if len(sentences) >= SHORTEST_CONTEXT:
            break
    return sentences


def _choose_held_out(session: PastSession) -> PastPassage | None:
    """Choose the passage with the lowest key, a hash of its text."""
    substantial = [piece for piece in session.pieces if piece.kind in SUBSTANCE]
    long = [piece for piece in substantial if len(piece.text) >= SHORTEST_CONTEXT]
    return min(long, key=lambda piece: piece.key, default=None)
