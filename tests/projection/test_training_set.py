"""What training sees: the past alone, in an order that only the history decides, each text read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from evaluation.past import read_past as read_history_of
from evaluation.past import space_of
from projection.learning import MODEL, PAST, document, make_history, moment, words
from support.memory import Memory, memory_of, open_model

from patina_hooks.corpus.observations import text_key
from patina_hooks.errors import StateError
from patina_hooks.models.encoding import Encoder
from patina_hooks.pairs.members import path_text
from patina_hooks.pairs.stored import TrainingPair, training_pairs
from patina_hooks.specs.models import Role
from patina_hooks.specs.training import PairRows, TrainingSettings
from patina_hooks.store.embeddings import EmbeddingCache
from patina_hooks.store.log import Log
from patina_hooks.training.oxidize import oxidize
from patina_hooks.training.training_set import (
    Split,
    TrainingSet,
    build_task,
    read_training_set,
    split_history,
)

KINDS = (
    "same_session", "goal_observation", "commit_session", "context_session", "co_changed", "commit_files",
    "same_module",
)  # fmt: skip
OF_EVERY_KIND = MODEL + "".join(
    f"  {kind}: {{type: {trainer}, layers: [16, 12], training: {{pair_type: {kind}, epochs: 2}}}}\n"
    for kind, trainer in zip(KINDS, ["mlp", "residual"] * 4, strict=False)
)
CANARY = "- the quixotic zeppelin lands at noon\n- always review the zeppelin option again\n"
LAST_OF_PAST = PAST - 1
LATER = PAST + 7


def pairs_of(memory: Memory) -> list[TrainingPair]:
    with Log(memory.state, create=False) as log, log.reading() as connection:
        return training_pairs(connection, KINDS)


def seen(memory: Memory) -> tuple[TrainingSet, Split, list[TrainingPair]]:
    history, pairs, space = read_history_of(memory), pairs_of(memory), space_of(memory)
    moments = split_history(history)
    return (
        read_training_set(history, moments, pairs, memory.state, space, lambda: open_model(space)),
        moments,
        pairs,
    )


def weights_of(memory: Memory) -> dict[str, str]:
    with memory_of(memory.repository) as patina:
        found = oxidize(patina, full=True)
    assert all(one.weights for one in found.outcomes), [one.why for one in found.outcomes]
    return {one.name: one.weights for one in found.outcomes}


def test_the_past_is_seven_tenths_of_the_sessions_and_its_end_says_when_to_stop(untrained: Memory) -> None:
    moments = split_history(read_history_of(untrained))
    assert moments == Split(held=moment(39), future=moment(PAST), sessions=PAST)


def test_rows_are_what_the_past_says_and_touches_each_with_who_does(memory: Memory) -> None:
    past, _, pairs = seen(memory)
    expected: dict[bytes, set[str]] = {}
    history = read_history_of(memory)
    for session in history.sessions[:PAST]:
        for piece in session.pieces:
            expected.setdefault(piece.key, set()).add(session.id)
    for commit in history.commits:
        if commit.committed < moment(PAST):
            for key in [piece.key for piece in commit.pieces] + [
                text_key(path_text(p)) for p in commit.paths
            ]:
                expected.setdefault(key, set()).add(commit.session or commit.oid)
    assert list(past.rows) == sorted(expected)
    in_pairs = {key for pair in pairs for key in (pair.anchor, pair.positive)}
    assert in_pairs.difference(expected), "some are of the future"
    by_number: dict[int, set[str]] = {}
    for key, row in past.rows.items():
        assert len(past.groups[row]) == len(expected[key])
        if len(expected[key]) == 1:
            by_number.setdefault(next(iter(past.groups[row])), set()).update(expected[key])
    assert all(len(names) == 1 for names in by_number.values())
    assert np.allclose(np.linalg.norm(past.vectors, axis=1), 1, atol=1e-6)


def test_a_commit_belongs_to_every_session_that_holds_it(tmp_path: Path) -> None:
    """A text of the outer session is no stranger to a commit that was made in the inner one."""
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", MODEL + "  mine: {type: whitening}\n")
    memory.commit("begin")
    outer, inner, later = "20251101-090000", "20251101-100000", "20251102-090000"
    with memory.session(outer):
        memory.commit("tie the hawser")
        with memory.session(inner):
            memory.commit("grease the capstan", {"deck/capstan.py": "1"})
    for session, said in ((outer, "chose hemp"), (inner, "chose tallow"), (later, "chose later")):
        memory.archive(session, decisions=said)
    memory.sync()
    history, space = read_history_of(memory), space_of(memory)
    after_all = Split(held=0, future=2_000_000_000, sessions=3)
    pairs = pairs_of(memory)
    past = read_training_set(history, after_all, pairs, memory.state, space, lambda: open_model(space))
    told, hemp, tallow = (
        past.groups[past.rows[text_key(text)]]
        for text in ("grease the capstan", "chose hemp", "chose tallow")
    )
    assert told >= hemp | tallow
    touched = past.groups[past.rows[text_key(path_text("deck/capstan.py"))]]
    assert touched >= hemp | tallow


def paths_of(number: int) -> list[str]:
    one, two, three, four = words(number)
    return [f"src/{one}/{name}.py" for name in (two, three, four)]


@pytest.fixture(scope="module")
def repeating(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """A later session says once more what an old one said, and a later commit changes old files again."""
    again = document(3).partition("**Key Decisions:**\n")[2]
    memory = make_history(tmp_path_factory.mktemp("repeating") / "repository", more={LATER: again})
    more_at_the_end(memory)
    memory.sync()
    return memory


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_are_learned_from_before_they_say_when_to_stop_and_never_later(
    repeating: Memory, kind: str
) -> None:
    past, moments, pairs = seen(repeating)
    task = build_task(past, pairs, kind, moments, TrainingSettings(8, 8))

    def rows(chosen: Sequence[TrainingPair]) -> Counter[tuple[int, int]]:
        return Counter((past.rows[pair.anchor], past.rows[pair.positive]) for pair in chosen)

    def given(of: PairRows) -> Counter[tuple[int, int]]:
        return Counter(zip(of.anchors.tolist(), of.positives.tolist(), strict=True))

    own = [pair for pair in pairs if pair.kind == kind]
    learned = [pair for pair in own if pair.moment < moment(39)]
    held = [pair for pair in own if moment(39) <= pair.moment < moment(PAST)]
    later = [pair for pair in own if pair.moment >= moment(PAST)]
    assert min(len(learned), len(held), len(later)) > 0
    assert (given(task.train), given(task.held)) == (rows(learned), rows(held))
    if kind in ("same_session", "co_changed"):
        assert any(pair.anchor in past.rows and pair.positive in past.rows for pair in later)


def more_at_the_end(memory: Memory) -> None:
    """Commits of today: an old file changes again, with a new one."""
    memory.commit("move the zeppelin", {paths_of(3)[0]: "later", "hangar/zeppelin.py": "1"})
    memory.commit(document(2).splitlines()[-2], {paths_of(4)[1]: "later", paths_of(5)[1]: "later"})


def test_nothing_of_the_future_reaches_any_weights(tmp_path: Path) -> None:
    """One whose later history says other things learns the same; one that differs earlier does not."""
    plain = make_history(tmp_path / "plain", recipe=OF_EVERY_KIND)
    later = make_history(tmp_path / "later", recipe=OF_EVERY_KIND, more={LATER: CANARY})
    more_at_the_end(later)
    earlier = make_history(tmp_path / "earlier", recipe=OF_EVERY_KIND, more={3: CANARY})
    for memory in (plain, later, earlier):
        memory.sync()
    expected = weights_of(plain)
    assert weights_of(later) == expected
    found = weights_of(earlier)
    assert {name for name in expected if expected[name] != found[name]} >= {
        "same_session", "goal_observation", "commit_session",
    }  # fmt: skip


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(role, text) of all that any model reads from now on."""
    found: list[tuple[str, str]] = []
    encode: Callable[..., object] = Encoder.encode

    def counted(self: Encoder, texts: Sequence[str], *, role: Role) -> object:
        found.extend((role, text) for text in texts)
        return encode(self, texts, role=role)

    monkeypatch.setattr(Encoder, "encode", counted)
    return found


def test_training_encodes_each_path_once_and_nothing_that_a_sync_did(
    tmp_path: Path, encoded: list[tuple[str, str]]
) -> None:
    memory = make_history(tmp_path / "repository", recipe=OF_EVERY_KIND)
    memory.sync()
    first = weights_of(memory)
    assert max(Counter(encoded).values()) == 1
    paths = {path_text(path) for number in range(PAST) for path in paths_of(number)}
    assert paths <= {text for role, text in encoded if role == "passage"}
    encoded.clear()
    assert weights_of(memory) == first
    assert encoded == []


def test_texts_without_vectors_are_for_a_sync(memory: Memory) -> None:
    with closing(EmbeddingCache(memory.state, space_of(memory).fingerprint)) as cache:
        cache.keep_only([])
    with pytest.raises(StateError, match=r"\d+ of \d+ texts have no vector yet") as caught:
        seen(memory)
    assert caught.value.hint == "patina sync --full"
