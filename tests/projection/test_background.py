"""Training by itself: when it is due, and that a worker starts it and nobody waits."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.memory import FAST_RECIPE, Memory

from patina_hooks.commands.learning import background
from patina_hooks.specs.reports import Report
from patina_hooks.training.oxidize import use_raw
from patina_hooks.training.policy import is_training_due
from patina_hooks.training.reports.report import keep_report, last_report
from patina_hooks.upkeep import worker
from patina_hooks.upkeep.worker import start_training_if_due

SESSIONS = [f"202511{day:02d}-090000" for day in range(1, 25)]


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """Twenty-four sessions, each with a document and a commit."""
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    for number, session in enumerate(SESSIONS):
        with memory.session(session):
            memory.commit(f"Change part {number} of the parser", {f"src/part{number}.py": str(number)})
        memory.archive(
            session,
            goals=f"make part {number} of the parser work",
            decisions=(f"chose table {number} for the parser", f"keep the cache of part {number} small"),
        )
    return memory


def recipe(memory: Memory, policy: str) -> None:
    memory.write(".patina/oxidize.yaml", f"{FAST_RECIPE}background: {policy}\n")
    memory.sync()


def trained(memory: Memory, *, pairs: int, sessions: int) -> None:
    """As if a training had been, with so many pairs and sessions."""
    keep_report(
        memory.state,
        Report(
            made=1, seconds=1.0, events_hash="", recipe_version=2, model="acme-64", runtime="onnx",
            variant="", fingerprint="", split=0, sessions=sessions, past=0, pairs=pairs, raw={}, outcomes=(),
            former=None, active="none", weights="", forced=False, sentence="",
        ),
    )  # fmt: skip


def pairs_of(memory: Memory) -> int:
    return memory.patina().status().pairs


@pytest.mark.parametrize(
    ("policy", "due"),
    [("{train: never}", False), ("{train: session_end}", True), ("{train: growth}", True)],
)
def test_the_first_training_is_due_with_enough_sessions(memory: Memory, policy: str, due: bool) -> None:
    recipe(memory, policy)
    assert is_training_due(memory.repository) == due


def test_no_recipe_asks_for_it_unless_it_says_so(memory: Memory) -> None:
    memory.sync()
    assert not is_training_due(memory.repository)


def test_few_sessions_are_no_reason(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "few")
    memory.commit("begin")
    for session in SESSIONS[:5]:
        memory.archive(session, decisions="chose something")
    recipe(memory, "{train: growth}")
    assert not is_training_due(memory.repository)


def test_growth_is_counted_in_pairs_since_the_last_training(memory: Memory) -> None:
    recipe(memory, "{train: growth, growth: 0.5}")
    pairs = pairs_of(memory)
    trained(memory, pairs=int(pairs / 1.4), sessions=24)
    assert not is_training_due(memory.repository)
    trained(memory, pairs=int(pairs / 1.6), sessions=24)
    assert is_training_due(memory.repository)


def test_a_session_that_ended_since_is_counted(memory: Memory) -> None:
    recipe(memory, "{train: session_end}")
    trained(memory, pairs=1, sessions=24)
    assert not is_training_due(memory.repository)
    memory.archive("20251201-090000", decisions="chose one more")
    memory.sync()
    assert is_training_due(memory.repository)


def test_texts_without_vectors_come_first(memory: Memory) -> None:
    recipe(memory, "{train: growth}")
    memory.commit("A text that has no vector yet")
    memory.sync(most=0)
    assert not is_training_due(memory.repository)


def test_it_trains_and_says_so_in_the_log(memory: Memory) -> None:
    recipe(memory, "{train: session_end, seconds: 60}")
    assert background.main([str(memory.repository.common), str(memory.root)]) == 0
    report = last_report(memory.state)
    assert report is not None
    assert [one.name for one in report.outcomes] == ["whitening", "mlp", "residual"]
    assert report.sentence in (memory.state / "patina.log").read_text()
    assert not is_training_due(memory.repository)
    assert not (memory.root / ".patina/oxidize.lock").exists()


def test_it_is_started_as_a_process_of_its_own(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[object, ...]] = []
    monkeypatch.setattr(worker, "start_process", lambda *arguments: started.append(arguments))
    recipe(memory, "{train: growth}")
    start_training_if_due(memory.repository, memory.root)
    assert started == [("patina_hooks.commands.learning.background", memory.repository.common, memory.root)]
    trained(memory, pairs=pairs_of(memory), sessions=24)
    start_training_if_due(memory.repository, memory.root)
    assert len(started) == 1


def test_one_that_fails_is_not_tried_again_until_there_is_more(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug, or a kill: with a try at every commit, it would take the machine's time for ever."""
    arguments = [str(memory.repository.common), str(memory.root)]
    recipe(memory, "{train: session_end, seconds: 60}")

    def breaks(*_: object, **__: object) -> Report:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr("patina_hooks.training.oxidize.oxidize", breaks)
        assert background.main(arguments) == 0
    assert "a bug" in (memory.state / "patina.log").read_text()
    assert not is_training_due(memory.repository)
    memory.archive("20251201-090000", decisions="chose one more")
    memory.sync()
    assert is_training_due(memory.repository)
    assert background.main(arguments) == 0
    assert last_report(memory.state) is not None
    assert not is_training_due(memory.repository)
    memory.archive("20251202-090000", decisions="chose another")
    memory.sync()
    assert is_training_due(memory.repository)


def test_the_users_wish_for_the_raw_model_is_kept(memory: Memory) -> None:
    recipe(memory, "{train: session_end}")
    trained(memory, pairs=1, sessions=20)
    assert is_training_due(memory.repository)
    use_raw(memory.patina())
    assert not is_training_due(memory.repository)
    (warning,) = memory.patina().status().warnings
    assert warning == "the raw model answers: patina oxidize --raw selected it; patina oxidize"


def test_the_users_wish_is_kept_before_the_first_training_too(memory: Memory) -> None:
    recipe(memory, "{train: session_end}")
    assert use_raw(memory.patina()) is None
    assert not is_training_due(memory.repository)


def test_a_training_by_hand_counts_after_one_that_failed(memory: Memory) -> None:
    recipe(memory, "{train: session_end}")
    begun = memory.state / "projections" / "begun"
    begun.parent.mkdir(exist_ok=True)
    begun.write_text("0 10 10")
    assert is_training_due(memory.repository)
    trained(memory, pairs=pairs_of(memory), sessions=24)
    assert not is_training_due(memory.repository)


def test_nothing_that_is_wrong_reaches_the_worker(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "empty")
    memory.write(".patina/oxidize.yaml", f"{FAST_RECIPE}background: {{train: growth}}\n")
    start_training_if_due(memory.repository, memory.root)
    assert background.main(["nowhere"]) == 0
