"""Progress of a command that takes long, where no terminal shows a bar."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Queue

import pytest
from support.memory import Memory
from support.shell import Shell

from patina_hooks.system import progress
from patina_hooks.system.progress import INTERVAL_SECONDS, ProgressLines, show_progress


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class _Ticks:
    """A wait that ends when the test says so."""

    def __init__(self) -> None:
        self.asked: Queue[float] = Queue()
        self.answers: Queue[bool] = Queue()

    def __call__(self, seconds: float) -> bool:
        self.asked.put(seconds)
        return self.answers.get(timeout=60)

    def tick(self) -> None:
        """Let ten seconds pass; return when the line is printed."""
        self.answers.put(False)
        assert self.asked.get(timeout=60) == INTERVAL_SECONDS


@pytest.fixture
def ticks() -> Iterator[_Ticks]:
    ticks = _Ticks()
    yield ticks
    ticks.answers.put(True)


def test_a_line_is_printed_every_ten_seconds_without_a_terminal(
    capsys: pytest.CaptureFixture[str], ticks: _Ticks
) -> None:
    with show_progress("first sync", wait=ticks) as show:
        assert ticks.asked.get(timeout=60) == INTERVAL_SECONDS
        ticks.tick()
        show("reading commits", 1_000, 40_000)
        show("reading commits", 3_000, 40_000)
        ticks.tick()
        show("training mlp", 3, 40, "loss 0.5\x1b[2J")
        ticks.tick()
    out, err = capsys.readouterr()
    assert out == ""
    first, second, third = err.splitlines()
    assert first.startswith("patina: first sync: running for ")
    assert second.startswith("patina: reading commits: 3,000 of 40,000")
    assert third.startswith("patina: training mlp: 3 of 40, loss 0.5[2J")


def test_the_time_left_follows_from_the_speed_of_the_stage() -> None:
    clock = _Clock()
    lines = ProgressLines("sync", clock)
    clock.now = 100.0
    lines.update("embedding", 100, 1_000)
    assert lines.line() == "embedding: 100 of 1,000"
    clock.now = 110.0
    lines.update("embedding", 200, 1_000)
    assert lines.line() == "embedding: 200 of 1,000, about 1 min left"
    clock.now = 190.0
    lines.update("embedding", 1_000, 1_000)
    assert lines.line() == "sync: running for 3 min"
    clock.now = 7_900.0
    assert lines.line() == "sync: running for 2 h 12 min"


@pytest.mark.parametrize(
    "command",
    [("sync",), ("gc",), ("init", "--no-hooks"), ("scry", "marmots"), ("status",), ("doctor",), ("eval",)],
    ids=" ".join,
)
def test_a_command_reports_progress_when_it_takes_long(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_SECONDS", 0.001)
    memory.commit("one more unicorn")
    assert ": running for 0 s\n" in Shell(memory.root).invoke(*command).stderr
