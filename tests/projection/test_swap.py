"""The index follows what is in use: swapped at once, equal to a rebuild, mended where it was damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluation.past import space_of
from projection.learning import (
    make_history,
    session_id,
)
from projection.runs import (
    QUESTION,
    WHITENING,
    answered_by,
    asks_for,
    run,
    stale,
)
from support.memory import Memory, memory_of, plugins

from patina_hooks.projection.active import PROJECTIONS_FOLDER, weights_file
from patina_hooks.specs.reports import Report
from patina_hooks.training.oxidize import oxidize
from patina_hooks.training.reports.report import last_report

# --- the index --------------------------------------------------------------------------------------


def test_while_the_new_space_is_filled_the_old_one_answers(memory: Memory) -> None:
    raw = space_of(memory)
    with memory_of(memory.repository) as asked, memory_of(memory.repository) as patina:
        before = asked.search(QUESTION, mode="vector")
        seen: list[tuple[object, object]] = []

        def look_in(stage: str, done: int, total: int) -> None:
            if stage == "embedding":
                seen.append((space_of(memory), asked.search(QUESTION, mode="vector")))

        found = oxidize(patina, progress=look_in)
        assert seen
        assert all(one == (raw, before) for one in seen)
        assert asked.search(QUESTION, mode="vector")[0].session == session_id(7)
    assert space_of(memory).projection == found.weights


def test_weights_of_what_answers_are_kept_where_no_swap_came_about(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(memory)
    asks_for(memory, WHITENING)
    with memory_of(memory.repository) as patina:
        monkeypatch.setattr(type(patina), "sync", lambda *_, **__: None)
        second = oxidize(patina)
        monkeypatch.undo()
    assert second.weights != first.weights
    assert answered_by(memory) == first.weights
    memory.sync()
    assert answered_by(memory) == second.weights


def test_it_is_equal_to_a_rebuild_with_the_same_projection(memory: Memory) -> None:
    found = run(memory)
    memory.commit("decide on zeppelins", {"src/zeppelin.py": "1"})
    memory.sync()
    memory.git("reset", "-q", "--hard", "HEAD~4")
    memory.commit("decide on airships", {"src/airship.py": "1"})
    memory.sync()
    grown = memory.snapshot()
    assert grown == memory.rebuilt()
    assert {len(vector) for vector in grown.vectors.values()} == {4 * 24}
    seen = indexed(memory)
    shutil.rmtree(memory.state / "vectors")
    memory.sync(full=True)
    assert indexed(memory) == seen
    assert answered_by(memory) == found.weights


def indexed(memory: Memory) -> dict[bytes, tuple[float, ...]]:
    """Text key -> its vector, by what the index says of each direction."""
    space = space_of(memory)
    index = space.open(plugins(), memory.state)
    index.verify()
    keys = index.keys()
    directions = np.eye(space.projected, dtype=np.float32)
    seen = [dict(index.search(direction, len(keys))) for direction in directions]
    return {key: tuple(scores[key] for scores in seen) for key in keys}


def test_two_clones_in_other_order_and_batches_learn_the_same(untrained: Memory, tmp_path: Path) -> None:
    whole, bit_by_bit = (Memory.make(tmp_path / name) for name in ("whole", "bit by bit"))
    source = str(untrained.root)
    everything = "+refs/heads/*:refs/heads/*"
    whole.git("fetch", "-q", "--update-head-ok", source, everything, "+refs/tags/*:refs/tags/*")
    whole.git("reset", "-q", "--hard", "main")
    whole.sync()
    commits = untrained.git("rev-list", "--reverse", "main").split()
    for number in (len(commits) // 2, len(commits) // 3, len(commits) - 1):
        bit_by_bit.git("fetch", "-q", source, "main")
        bit_by_bit.git("reset", "-q", "--hard", commits[number])
        bit_by_bit.sync()
    bit_by_bit.git("fetch", "-q", source, "+refs/tags/*:refs/tags/*")
    bit_by_bit.sync(full=True)
    found = [run(one) for one in (whole, bit_by_bit)]
    first, second = (
        [(one.events_hash, one.pairs, [(o.weights, o.count, o.gain) for o in one.outcomes])] for one in found
    )
    assert first == second
    assert whole.snapshot().training == bit_by_bit.snapshot().training


def test_gc_keeps_what_answers(memory: Memory) -> None:
    found = run(memory)
    with memory_of(memory.repository) as patina:
        patina.gc()
    assert answered_by(memory) == found.weights
    assert memory.sync().indexed == 0


# --- what is damaged --------------------------------------------------------------------------------


def unreadable(memory: Memory, found: Report) -> None:
    (memory.state / PROJECTIONS_FOLDER / "active.json").write_text("{")


def lost(memory: Memory, found: Report) -> None:
    weights_file(memory.state, found.weights).unlink()


def altered(memory: Memory, found: Report) -> None:
    path = weights_file(memory.state, found.weights)
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


def cut_off(memory: Memory, found: Report) -> None:
    path = weights_file(memory.state, found.weights)
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("harm", [unreadable, lost, altered, cut_off])
def test_damage_has_the_raw_model_answer_until_a_run_has_mended_it(
    memory: Memory, harm: Callable[[Memory, Report], None]
) -> None:
    found = run(memory)
    harm(memory, found)
    with memory_of(memory.repository) as patina:
        assert patina.search(QUESTION)[0].session == session_id(7), "words alone, if need be"
    report = memory.sync()
    (fault,) = (fault for fault in report.faults if fault.where == "projection")
    assert fault.error.endswith("the raw model answers")
    assert answered_by(memory) == ""
    mended = run(memory)
    assert (mended.active, mended.weights) == (found.active, found.weights)
    assert answered_by(memory) == found.weights
    assert memory.sync().faults == ()


def test_a_damaged_report_is_as_if_it_never_was(memory: Memory) -> None:
    found = run(memory)
    for path in (memory.state / PROJECTIONS_FOLDER / "reports").iterdir():
        path.write_text("{")
    assert stale(memory).keys() == {"whitening", "mlp", "residual"}
    again = run(memory)
    assert (again.weights, last_report(memory.state)) == (found.weights, again)


def test_a_damaged_file_goes_also_where_nothing_is_trained(tmp_path: Path) -> None:
    memory = make_history(tmp_path / "repository", sessions=5)
    memory.sync()
    path = memory.state / PROJECTIONS_FOLDER / "active.json"
    path.parent.mkdir()
    path.write_text("{")
    run(memory)
    assert not path.exists()
