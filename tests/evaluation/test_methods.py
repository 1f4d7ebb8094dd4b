"""What is measured is what answers: the methods are those of scry, and a projection is seen through."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from evaluation.past import TOPICS, Past, document, embedded, history_of, make_past, session_id, space_of
from support.memory import Memory, open_model

from patina_hooks.errors import StateError
from patina_hooks.evaluation.embeddings import load_embeddings
from patina_hooks.evaluation.evaluate import MINED
from patina_hooks.evaluation.history import History
from patina_hooks.evaluation.methods import METHODS, gather, rankings
from patina_hooks.evaluation.query_sets import session_sets
from patina_hooks.evaluation.query_sets.file_sets import mine_commit_files
from patina_hooks.evaluation.query_sets.mining import QueryFilter, QuerySet
from patina_hooks.evaluation.query_sets.session_sets import mine_context, mine_goal, mine_held_out
from patina_hooks.evaluation.statistics.metrics import NOT_FOUND, best_units, measure_ranking
from patina_hooks.evaluation.vector_ranking import VectorRanking, reciprocal_ranks
from patina_hooks.evaluation.views import view_of
from patina_hooks.models.encoding import Encoder
from patina_hooks.search.fusion import WEIGHTS, fuse
from patina_hooks.search.retrieval.builtin import BUILTIN_RETRIEVERS
from patina_hooks.search.retrieval.retrieve import retrieve

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors


def asking(history: History, *questions: str) -> QuerySet:
    """These questions to all documents, with nothing hidden."""
    corpus = session_sets._SessionCorpus(history, lambda _: True)
    session = history.sessions[0]
    asked = [corpus.query((text,), text, [session.id], session) for text in questions]
    return corpus.query_set("asked", asked, QueryFilter(most=len(asked)))


def test_hybrid_is_what_scry_fuses(tmp_path: Path) -> None:
    """On a history whose commits say nothing, so that documents alone are found."""
    memory = Memory.make(tmp_path / "repository")
    for number in range(len(TOPICS)):
        text = document(number, session_id(number))
        memory.commit("", {f"layer/sessions/{session_id(number)}.md": text})
    history = history_of(memory)
    found = asking(history, "why do bakers fold the sourdough", "study of marmots", "the weather for pilots")
    embeddings = embedded(memory, [found])
    for evidence in gather(found, embeddings):
        hits = memory.patina().search(evidence.query.text, limit=200)
        fused = fuse(evidence.fused, WEIGHTS)
        ours = {found.units[unit]: score for unit, score in fused.items()}
        # A question's vector was kept in half precision.
        assert ours == pytest.approx({hit.session or "": hit.score for hit in hits}, abs=1e-3)
        for method in WEIGHTS:
            theirs = {hit.session: hit.channels[method] for hit in hits if method in hit.channels}
            one = {found.units[unit]: score for unit, score in evidence.fused[method].items()}
            assert one == pytest.approx(theirs, abs=1e-3)
        ranked = rankings(found, evidence, WEIGHTS)["hybrid"]
        assert [found.units[unit] for unit in best_units(ranked)] == [hit.session for hit in hits][:10]


def test_every_method_ranks_and_hybrid_finds_what_is_there(past: Past) -> None:
    history = past.history()
    for make in (mine_context, mine_held_out, mine_commit_files):
        found = make(history)
        embeddings = embedded(past.memory, [found])
        total = 0.0
        for evidence in gather(found, embeddings):
            ranked = rankings(found, evidence, WEIGHTS)
            # Right by the way questions about sessions are made, "recent" is asked of files alone.
            assert set(ranked) == set(METHODS) - (set() if found.rolling else {"recent"})
            total += measure_ranking(ranked["hybrid"], evidence.query.relevant).rr
            if evidence.query.candidates is not None:
                for scores in ranked.values():
                    assert evidence.query.candidates.flags[best_units(scores)].all(), (
                        "somebody who is no candidate"
                    )
        assert total / len(found) > 0.5


def test_the_vector_method_is_the_best_piece_by_inner_product(past: Past) -> None:
    found = mine_context(past.history())
    embeddings = embedded(past.memory, [found])
    expected = []
    for query in found.queries:
        asked = open_model(space_of(past.memory)).encode([query.text], role="query").vectors[0]
        scores = np.full(len(found.units), -2.0)
        for piece, unit in zip(found.link_pieces, found.link_units, strict=True):
            text = found.pieces[piece].text
            said = open_model(space_of(past.memory)).encode([text], role="passage").vectors[0]
            scores[unit] = max(scores[unit], float(asked @ said))
        assert query.candidates is not None
        scores[~query.candidates.flags] = -3.0
        (relevant,) = query.relevant
        rank = 1 + int((scores > scores[relevant] + 1e-3).sum())
        expected.append(1 / rank if rank <= 10 else 0.0)
    assert reciprocal_ranks(found, embeddings) == pytest.approx(expected)


@pytest.mark.parametrize("mine", MINED.values(), ids=MINED)
def test_all_units_are_ranked_as_the_vector_retriever_ranks_them(
    past: Past, mine: Callable[[History], QuerySet]
) -> None:
    mined = mine(past.history())
    ranking = VectorRanking(mined, embedded(past.memory, [mined]))
    (vector,) = [retriever for retriever in BUILTIN_RETRIEVERS if retriever.name == "vector"]
    with closing(view_of(mined)) as view:
        for query, scores in zip(mined.queries, ranking.each(), strict=True):
            with view.showing(query):
                view.vectors = scores
                evidence = retrieve(query.text, view, [vector], limit=len(mined.pieces)).only(view.may_answer)
                by_unit = {view.numbers[group]: score for group, score in evidence.groups["vector"].items()}
            ranked = ranking.of_units(scores)
            found = np.flatnonzero(ranked > NOT_FOUND).tolist()
            assert by_unit == {unit: ranked[unit] for unit in found}


def test_a_projection_is_seen_through(past: Past) -> None:
    history = past.history()
    sets = [mine_context(history), mine_commit_files(history)]
    raw = embedded(past.memory, sets)

    def blind(vectors: Vectors) -> Vectors:
        flat: Vectors = np.zeros((len(vectors), 3), np.float32)
        flat[:, 0] = 1
        return flat

    def turned(vectors: Vectors) -> Vectors:
        other: Vectors = np.ascontiguousarray(vectors[:, ::-1])
        return other

    assert raw.projected(None) is raw
    blinded = raw.projected(blind)
    for one in sets:
        assert (reciprocal_ranks(one, raw.projected(turned)) == reciprocal_ranks(one, raw)).all()
        assert reciprocal_ranks(one, blinded).mean() < reciprocal_ranks(one, raw).mean()
    evidence = next(gather(sets[0], blinded))
    assert len(set(evidence.fused["vector"].values())) == 1


def test_questions_are_encoded_once(past: Past) -> None:
    found = mine_goal(past.history())
    first = embedded(past.memory, [found])

    def refuse() -> Encoder:
        raise AssertionError("a question was encoded twice")

    again = load_embeddings(past.memory.state, space_of(past.memory), [found], refuse)
    assert (again.queries == first.queries).all()


def test_texts_without_vectors_are_an_error_that_says_what_to_type(past: Past, tmp_path: Path) -> None:
    found = mine_goal(past.history())
    space = space_of(past.memory)
    with pytest.raises(StateError, match="have no vector yet") as raised:
        load_embeddings(tmp_path, space, [found], lambda: open_model(space))
    assert raised.value.hint == "patina sync --full"


def test_gc_lets_go_of_questions_alone(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository", 3)
    found = mine_goal(past.history())
    before = embedded(past.memory, [found])
    assert past.memory.patina().gc().embeddings == len(found)
    after = embedded(past.memory, [found])
    assert (after.queries == before.queries).all()
    assert (after.passages == before.passages).all()
