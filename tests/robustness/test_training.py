"""Training that is killed or interrupted: the former projection answers, and the next run makes it good.

`PATINA_EXAMPLES` sets at how many evenly spaced write steps a run is killed, 1000 means all; without it 12.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from projection.learning import MODEL, RECIPE, copy_of, make_history
from support.history import history_folder
from support.memory import Memory, memory_of
from support.sampling import examples
from support.shell import Shell

from patina_hooks.projection.active import PROJECTIONS_FOLDER, load_active
from patina_hooks.specs.reports import Report
from patina_hooks.training.oxidize import oxidize

_TESTS = Path(__file__).parents[1]
_WHITENING = MODEL + "  mine: {type: whitening, layers: [32, 24]}\n"
_HISTORIES = [folder for folder in [history_folder()] if folder and (folder / "replay.py").is_file()]
_BOTH = _WHITENING + "  other: {type: residual, layers: [32, 24], epochs: 4}\n"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """A whitening is in use; the recipe asks for one more projection."""
    memory = make_history(tmp_path / "repository", recipe=_WHITENING)
    Shell(memory.root).out("sync")
    Shell(memory.root).out("oxidize")
    memory.write(".patina/oxidize.yaml", _BOTH)
    return memory


def test_a_run_killed_at_any_step_is_made_good_by_the_next(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "support.training_crash_points", str(tmp_path), str(examples(12))],
        env={**os.environ, "PYTHONPATH": str(_TESTS)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step for step in steps if not step["equal"]] == []
    # Were a border no longer met (another way of writing), the test would prove less than it says.
    assert steps[-1]["number"] >= 30
    assert {"active", "manifest", "COMMIT"} <= {step["what"].split()[-1] for step in steps}
    # Up to one moment the raw model answers, and from then on the projection.
    asked = [step["asked"] for step in steps]
    assert asked == sorted(asked)
    assert set(asked) == {"", "mine"}


_ENDED = """
import os, signal
from patina_hooks.training.trainers.checkpoint import Checkpoint
from patina_hooks.commands import main

def step(self, told, state, kept=Checkpoint.step):
    kept(self, told, state)
    if told.epoch == 2:
        os.kill(os.getpid(), signal.{0})

signal.signal(signal.SIGINT, signal.default_int_handler)
Checkpoint.step = step
main()
"""


@pytest.mark.parametrize(
    ("ending", "code"), [("SIGINT", 130), ("SIGKILL", -signal.SIGKILL)], ids=["Ctrl-C", "kill -9"]
)
def test_training_that_is_ended_leaves_the_former_in_use_and_goes_on(
    memory: Memory, tmp_path: Path, ending: str, code: int
) -> None:
    whole = copy_of(memory, tmp_path / "whole")
    expected = json.loads(Shell(whole.root).out("oxidize", "--json"))
    used = load_active(memory.state)
    assert used is not None

    done = subprocess.run(
        [sys.executable, "-c", _ENDED.format(ending), "oxidize"],
        cwd=memory.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.strip() == ("interrupted" if code > 0 else "")
    assert load_active(memory.state) == used
    status = json.loads(Shell(memory.root).out("status", "--json"))
    assert (status["projection"], status["pending"], status["faults"]) == ("mine", 0, [])
    assert status["stale"] == [["other", "it was never trained"]]
    assert list((memory.state / PROJECTIONS_FOLDER / "checkpoints").iterdir())

    found = json.loads(Shell(memory.root).out("oxidize", "--json"))
    assert found["lock"]["projections"] == expected["lock"]["projections"]
    assert found["projections"]["other"]["curve"] == expected["projections"]["other"]["curve"]
    assert found["projections"]["other"]["epochs"] == 4
    assert load_active(memory.state) == load_active(whole.state)
    assert not (memory.state / PROJECTIONS_FOLDER / "checkpoints").exists()


def test_a_checkpoint_that_is_damaged_costs_only_time(memory: Memory, tmp_path: Path) -> None:
    whole = copy_of(memory, tmp_path / "whole")
    expected = json.loads(Shell(whole.root).out("oxidize", "--json"))
    subprocess.run([sys.executable, "-c", _ENDED.format("SIGKILL"), "oxidize"], cwd=memory.root, check=False)
    (path,) = (memory.state / PROJECTIONS_FOLDER / "checkpoints").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    found = json.loads(Shell(memory.root).out("oxidize", "--json"))
    assert found["lock"]["projections"] == expected["lock"]["projections"]


def learned(root: Path, source: Path, portions: tuple[float, ...]) -> Report:
    """What is learned from the history of `source` by one who saw so much of it at a time."""
    memory = Memory.make(root)
    memory.write(".patina/oxidize.yaml", RECIPE)
    memory.git("fetch", "-q", "--no-tags", str(source), "HEAD:refs/other/head")
    commits = memory.git("rev-list", "--reverse", "--first-parent", "refs/other/head").split()
    for portion in portions:
        memory.git("update-ref", "refs/heads/topic", commits[int(portion * (len(commits) - 1))])
        memory.sync()
    memory.git("update-ref", "-d", "refs/heads/topic")
    memory.git("fetch", "-q", str(source), "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    memory.sync()
    with memory_of(memory.repository) as patina:
        return oxidize(patina)


@pytest.mark.parametrize("history", _HISTORIES, ids=["history"][: len(_HISTORIES)])
def test_two_clones_of_the_real_history_learn_the_same(history: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    build = [sys.executable, str(history / "replay.py"), "build", str(history), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    first = learned(tmp_path / "at once", source, ())
    second = learned(tmp_path / "in parts", source, (0.7, 0.2, 0.95))
    assert (first.events_hash, first.pairs) == (second.events_hash, second.pairs)
    assert first.pairs > 10_000
    for one, other in zip(first.outcomes, second.outcomes, strict=True):
        assert one.weights
        assert (one.weights, one.count, one.curve, one.gain) == (
            other.weights, other.count, other.curve, other.gain,
        )  # fmt: skip
    assert first.sentence == second.sentence
