"""Questions about sessions: what they ask, and that what would tell them the answer is hidden."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from evaluation.past import Past, document, history_of, session_id
from evaluation.visible_sets import CANARY, by_vectors, by_words, seeing_all, words_in
from support.memory import Memory

from patina_hooks.evaluation.query_sets.mining import MinedQuery, QueryFilter, QuerySet
from patina_hooks.evaluation.query_sets.session_sets import (
    mine_commit_session,
    mine_context,
    mine_goal,
    mine_held_out,
)
from patina_hooks.evaluation.views import view_of

FIRST, SECOND, THIRD = (session_id(number) for number in range(3))


def store(memory: Memory, session: str, text: str) -> None:
    memory.commit(f"archive {session}", {f"layer/sessions/{session}.md": text})


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """Three sessions of one topic each."""
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"src/a.py": "0"})
    for number, session in enumerate((FIRST, SECOND, THIRD)):
        with memory.session(session):
            memory.commit(f"change number {number} of the machine", {"src/a.py": f"{number} {session}"})
        store(memory, session, document(number, session))
    return memory


def only(query_set: QuerySet, session: str) -> MinedQuery:
    """The one question that this session answers."""
    unit = query_set.units.index(session)
    (query,) = (query for query in query_set.queries if unit in query.relevant)
    return query


def answers(query_set: QuerySet, query: MinedQuery) -> set[str]:
    return {query_set.units[unit] for unit in query.relevant}


def test_context_asks_for_the_session_before_by_its_first_sentence(past: Past) -> None:
    found = mine_context(past.history())
    assert len(found) == len(past.sessions) - 1
    query = only(found, FIRST)
    assert query.text == "Last time we saw how marmots whistle at eagles near the burrow."
    assert query.cluster == SECOND


def test_context_of_any_session_is_hidden_and_who_asks_is_no_candidate(memory: Memory) -> None:
    told = document(2, THIRD).replace("Then it rained", f"Then a {CANARY} came")
    store(memory, THIRD, told)
    history = history_of(memory)
    found = mine_context(history)
    for query in found.queries:
        assert by_words(history, found, seeing_all(found, query)) == set()
        assert CANARY not in words_in(found, query)
    query = only(found, SECOND)
    assert by_words(history, found, query, "glaciers grind") == {SECOND}
    assert by_words(history, found, query, "sailors splice") == set()
    assert by_words(history, found, seeing_all(found, query), "sailors splice") == {THIRD}
    assert by_vectors(found, query, "sailors") == set()


def test_a_context_too_short_to_ask_is_left_out(memory: Memory) -> None:
    text = document(1, SECOND).replace("Last time we saw how marmots whistle at eagles near the burrow. ", "")
    store(memory, SECOND, text)
    found = mine_context(history_of(memory))
    assert [answers(found, query) for query in found.queries] == [{SECOND}]


def test_a_commit_asks_for_the_session_whose_tags_hold_it(past: Past) -> None:
    found = mine_commit_session(past.history())
    assert len(found) == 2 * len(past.sessions)
    texts = {query.text: answers(found, query) for query in found.queries}
    assert texts["teach the burrow to obey marmots"] == {FIRST}
    assert texts["glaciers now grind the valley floor in every moraine"] == {SECOND}
    assert not any("archive" in text or text == "begin" for text in texts)


def test_a_commit_does_not_find_its_own_words(memory: Memory) -> None:
    subject, body = f"tame the {CANARY}", "because quixotry prevailed throughout"
    with memory.session(session_id(5)):
        memory.commit(f"{subject}\n\n{body}", {"src/b.py": "1"})
    repeated = f"- {body}\n- As said: Tame the {CANARY}, and no more\n"
    text = document(5, session_id(5), more=repeated).replace("study of miners", f"{subject}, a study")
    store(memory, session_id(5), text)
    history = history_of(memory)
    found = mine_commit_session(history)
    query = only(found, session_id(5))
    assert query.text == f"{subject}\n{body}"
    assert by_words(history, found, seeing_all(found, query)) == {session_id(5)}
    assert by_words(history, found, query) == set()
    assert by_words(history, found, query, "quixotry") == set()
    assert by_vectors(found, seeing_all(found, query)) == {session_id(5)}
    assert by_vectors(found, query) == set()
    assert by_words(history, found, query, "miners") == {session_id(5)}
    other = only(found, FIRST)
    assert by_words(history, found, other) == {session_id(5)}, (
        "hidden from the question that it answers alone"
    )


def test_a_commit_in_several_ranges_has_several_answers(memory: Memory) -> None:
    inner, outer = session_id(6), session_id(7)
    with memory.session(outer):
        memory.commit("outer work on the mill", {"src/c.py": "1"})
        with memory.session(inner):
            memory.commit("inner work on the mill", {"src/c.py": "2"})
    for number, session in ((6, inner), (7, outer)):
        store(memory, session, document(number, session))
    found = mine_commit_session(history_of(memory))
    texts = {query.text: answers(found, query) for query in found.queries}
    assert texts["inner work on the mill"] == {inner, outer}
    assert texts["outer work on the mill"] == {outer}


def test_one_message_of_two_commits_is_one_question(memory: Memory) -> None:
    for number in (3, 4):
        with memory.session(session_id(number)):
            memory.commit("the same words again", {"src/d.py": str(number)})
        store(memory, session_id(number), document(number, session_id(number)))
    found = mine_commit_session(history_of(memory))
    (query,) = (query for query in found.queries if query.text == "the same words again")
    assert answers(found, query) == {session_id(3), session_id(4)}


def test_merges_and_bookkeeping_do_not_ask(memory: Memory) -> None:
    with memory.session(session_id(8)):
        memory.git("checkout", "-q", "-b", "side")
        memory.commit("work aside on the wheel", {"src/e.py": "1"})
        memory.git("checkout", "-q", "main")
        memory.git("merge", "-q", "--no-ff", "-m", "a merge of the side wheel", "side")
        memory.commit("file the papers of patina", {".patina/x": "1", "layer/sessions/other.md": "text"})
    store(memory, session_id(8), document(8, session_id(8)))
    asked = {query.text for query in mine_commit_session(history_of(memory)).queries}
    assert "work aside on the wheel" in asked
    assert not asked & {"a merge of the side wheel", "file the papers of patina"}


def test_goals_and_titles_ask_and_are_hidden(memory: Memory) -> None:
    aim = f"learn why the {CANARY} sings"
    text = document(4, session_id(4), more=f"- We did {aim} after all\n- weavers like it\n")
    text = text.replace("learn why weavers thread the loom by hand", f"{aim}\n- [ ] hum a quodlibet")
    store(memory, session_id(4), text)
    history = history_of(memory)
    found = mine_goal(history)
    query = only(found, session_id(4))
    assert query.text == f"study of weavers\n{aim}\nhum a quodlibet"
    assert by_words(history, found, seeing_all(found, query)) == {session_id(4)}, "a piece that repeats it"
    assert by_words(history, found, query) == set()
    assert by_vectors(found, query) == set()
    assert by_words(history, found, query, "study") == set()
    assert by_words(history, found, query, "weavers") == {session_id(4)}
    assert by_words(history, found, only(found, FIRST), "quodlibet") == set(), "a goal of another session"


def test_what_is_hidden_from_one_question_is_there_for_the_next(memory: Memory) -> None:
    store(memory, session_id(5), document(5, session_id(5), more=f"- repeat: change a {CANARY} of it all\n"))
    with memory.session(session_id(5)):
        memory.commit(f"change a {CANARY} of it all", {"src/b.py": "1"})
    history = history_of(memory)
    found = mine_commit_session(history)
    own, other = only(found, session_id(5)), only(found, FIRST)
    with closing(view_of(found)) as view:
        for query, seen in ((own, 0), (other, 1), (own, 0), (other, 1)):
            with view.showing(query):
                assert len(view.match_observations(CANARY, 200)) == seen


def test_what_is_held_out_is_hidden_from_all(memory: Memory) -> None:
    shared = f"a {CANARY} is said to be the last word of them all"
    for number in (3, 4):
        text = f"# Session: x\n\n## Key Decisions\n- {shared}\n"
        store(memory, session_id(number), text + f"- and {number}\n- Indeed, {shared}, they say\n")
    history = history_of(memory)
    found = mine_held_out(history)
    (query,) = (query for query in found.queries if CANARY in query.text)
    if query.text == shared:
        assert answers(found, query) == {session_id(3), session_id(4)}
        assert shared not in {piece.text for piece in found.pieces}
    assert by_words(history, found, query) == set()
    assert by_vectors(found, query) == set()


def test_held_out_takes_one_piece_of_substance_of_each_session(past: Past) -> None:
    found = mine_held_out(past.history())
    assert len(found) == len(past.sessions)
    keys = {piece.text for piece in found.pieces}
    for query in found.queries:
        assert len(query.text) >= 30
        assert query.text not in keys
        assert len(query.relevant) == 1


def test_a_question_that_nothing_is_left_to_answer_is_not_asked(memory: Memory) -> None:
    store(
        memory, session_id(9), "# Session: lonely\n\n## Key Decisions\n- all that it says, and nothing else\n"
    )
    found = mine_held_out(history_of(memory))
    assert not any("nothing else" in query.text for query in found.queries)


def test_questions_are_the_same_in_a_rebuilt_memory(memory: Memory) -> None:
    makers = (mine_context, mine_commit_session, mine_goal, mine_held_out)
    history = history_of(memory)
    before = [
        (query.id, query.text, sorted(query.relevant)) for make in makers for query in make(history).queries
    ]
    memory.sync(full=True)
    after = history_of(memory)
    assert before == [
        (query.id, query.text, sorted(query.relevant)) for make in makers for query in make(after).queries
    ]


def test_drafts_neither_ask_nor_answer(memory: Memory) -> None:
    memory.write(".patina/local/active/20251130-090000.md", document(10, session_id(10)))
    history = history_of(memory)
    assert session_id(10) not in {session.id for session in history.sessions}
    assert len(mine_held_out(history)) == 3


def test_later_questions_keep_all_candidates(past: Past) -> None:
    found = mine_commit_session(past.history())
    moment = found.queries[9].moment
    later = mine_commit_session(past.history(), QueryFilter(after=moment))
    assert [query.id for query in later.queries] == [query.id for query in found.queries[10:]]
    assert later.units == found.units
    assert later.pieces == found.pieces
