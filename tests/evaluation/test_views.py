"""A view hides what it says: no retriever finds it, no plugin reads it, no count of words knows of it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
from evaluation.past import Past, embedded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patina_hooks.evaluation.query_sets.file_sets import mine_commit_files
from patina_hooks.evaluation.query_sets.mining import Candidates
from patina_hooks.evaluation.query_sets.session_sets import mine_commit_session
from patina_hooks.evaluation.vector_ranking import VectorRanking
from patina_hooks.evaluation.views import SessionView, view_of
from patina_hooks.search.retrieval.builtin import BUILTIN_RETRIEVERS
from patina_hooks.search.retrieval.retrieve import retrieve
from patina_hooks.store.search.words import count_rows, count_term, tokenize
from patina_hooks.testing.small_memory import visible_set
from patina_hooks.text.words import split_query

SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(data=st.data())
@SLOW
def test_a_view_answers_as_if_what_it_hides_never_was(past: Past, data: st.DataObject) -> None:
    query_set = mine_commit_session(past.history())
    pieces, units = range(len(query_set.pieces)), range(len(query_set.units))
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))))
    query = replace(
        data.draw(st.sampled_from(query_set.queries)),
        masked=frozenset(data.draw(st.sets(st.sampled_from(pieces)))),
        untitled=frozenset(data.draw(st.sets(st.sampled_from(units)))),
        candidates=Candidates.of(flags),
    )
    whole = replace(query_set, queries=(query,))
    found = []
    for shown in (whole, visible_set(whole, query)):
        (asked,) = shown.queries
        (vectors,) = VectorRanking(shown, embedded(past.memory, [shown])).each()
        with closing(view_of(shown)) as view, view.showing(asked):
            view.vectors = vectors
            seen = list(view.observations())
            assert {one.number for one in seen} == set(view.visible(range(-1, len(pieces) + 1)))
            found.append((retrieve(query.text, view, BUILTIN_RETRIEVERS).groups, [one.text for one in seen]))
    assert found[0] == found[1]
    groups = {group for scores in found[0][0].values() for group in scores}
    assert groups <= {("session", name) for name, may in zip(query_set.units, flags, strict=True) if may}


@given(data=st.data())
@SLOW
def test_words_that_are_hidden_do_not_count(past: Past, data: st.DataObject) -> None:
    query_set = mine_commit_session(past.history())
    masked = frozenset(data.draw(st.sets(st.sampled_from(range(len(query_set.pieces))))))
    query = replace(query_set.queries[0], masked=masked)
    with closing(SessionView(query_set)) as view, view.showing(query):
        texts = [seen.text for seen in view.observations()]
        assert (
            count_rows(view._connection, "observation") == len(texts) == len(query_set.pieces) - len(masked)
        )
        terms = [{term for term, _ in tokenize(list(split_query(text)))} for text in texts]
        for term in {term for found in terms for term in found}:
            assert count_term(view._connection, "observation", term) == sum(term in found for found in terms)


def test_a_rolling_view_shows_what_was_before_the_question(past: Past) -> None:
    query_set = mine_commit_files(past.history())
    with closing(view_of(query_set)) as view:
        for query in query_set.queries:
            with view.showing(query):
                assert len(list(view.observations())) == query.visible_passages
                assert query.candidates is not None
                found = retrieve(query.text, view, BUILTIN_RETRIEVERS).groups["observation"]
                assert all(query.candidates.flags[view.numbers[group]] for group in found)
                paths = view.match_observations(" ".join(query_set.units), 1_000)
                later = [
                    number
                    for number in paths
                    if number < len(query_set.pieces) and number >= query.visible_passages
                ]
                assert later == []
