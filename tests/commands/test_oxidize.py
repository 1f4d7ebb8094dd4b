"""`patina oxidize` as a user types it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from docs.test_json import documented
from projection.learning import MODEL, copy_of, make_history
from support.memory import Memory
from support.shell import Shell

from patina_hooks.training.reports.lock import LOCK_FILE, read_lock

MLP = MODEL + "  mine: {type: mlp, layers: [32, 24], epochs: 3}\n"


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    memory = make_history(tmp_path_factory.mktemp("learning") / "repository")
    memory.sync()
    return memory


@pytest.fixture
def memory(untrained: Memory, tmp_path: Path) -> Memory:
    return copy_of(untrained, tmp_path / "repository")


@pytest.fixture
def shell(memory: Memory) -> Shell:
    return Shell(memory.root)


def printed(shell: Shell, *arguments: str) -> Any:  # noqa: ANN401 (JSON is what it is)
    return json.loads(shell.out("oxidize", *arguments, "--json"))


def contents(memory: Memory) -> Mapping[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in memory.root.rglob("*")
        if path.is_file() and ".db" not in path.name
    }


def test_json_has_the_documented_keys_and_no_other(shell: Shell) -> None:
    found = printed(shell)
    run, projection, figure, lock, entry = documented("patina oxidize --json")
    assert set(found) == run
    assert list(found["projections"]) == ["whitening", "mlp", "residual"]
    for one in found["projections"].values():
        assert set(one) == projection
        assert one["n"] == 126
        assert all(set(each) == figure for name in ("mrr", "gains") for each in one[name].values())
    assert all(set(each) == figure for each in found["raw"].values())
    assert set(found["lock"]) == lock
    assert all(set(one) == entry for one in found["lock"]["projections"].values())
    used = found["projections"]["residual"]
    assert [name for name, one in found["projections"].items() if one["active"]] == ["residual"]
    assert (used["kind"], found["active"], found["weights"]) == ("residual", "residual", used["weights"])
    assert used["low"] > 0
    assert found["projections"]["mlp"]["low"] < 0


def test_a_dry_run_has_the_documented_keys_and_writes_nothing(shell: Shell, memory: Memory) -> None:
    shell.out("oxidize", "--dry-run")  # a first look brings everything up to date
    before = contents(memory)
    found = printed(shell, "--dry-run")
    outlook, projection = documented("patina oxidize --dry-run --json")
    assert set(found) == outlook
    assert all(set(one) == projection for one in found["projections"].values())
    assert {one["why"] for one in found["projections"].values()} == {"it was never trained"}
    assert contents(memory) == before
    page = shell.out("oxidize", "--dry-run", "--only", "mlp")
    (line,) = page.splitlines()[1:]
    assert re.fullmatch(r"mlp \(mlp\): it was never trained; 1,128 pairs, at most about \d+ s here", line)
    assert not (memory.root / LOCK_FILE).exists()


def test_a_dry_run_tells_the_time_that_was_measured_here(shell: Shell, memory: Memory) -> None:
    shell.out("oxidize")
    assert "residual (residual): up to date" in shell.out("oxidize", "--dry-run")
    memory.commit("review the server again", {"src/more.py": "1"})
    found = printed(shell, "--dry-run")["projections"]
    assert {one["why"] for one in found.values()} == {"the history changed since it was trained"}
    assert all(one["seconds"] > 0 for one in found.values())


def test_the_page_says_who_was_judged_by_what_and_the_verdict(shell: Shell) -> None:
    lines = shell.out("oxidize").splitlines()
    assert lines[0].split() == [
        "MRR@10", "context", "commit_session", "goal", "held_out", "commit_files", "against", "raw",
    ]  # fmt: skip
    rows = {line.split()[0]: line for line in lines[:7] if line}
    assert list(rows)[1:] == ["raw", "whitening", "mlp", "residual", "questions"]
    assert [name for name, line in rows.items() if line.endswith("<- used")] == ["residual"]
    assert rows["questions"].split()[1:] == ["21", "42", "21", "21", "21"]
    text = "\n".join(lines)
    assert "whitening: whitening from texts only, " in text
    assert "residual: residual from 936 pairs (same_session), loss " in text
    assert "residual is used: over 126 later questions its MRR@10 is +0." in text
    assert "47 sessions to learn from, 21 later to test on; model acme-64" in text


def test_the_last_run_is_shown_again(shell: Shell, memory: Memory) -> None:
    page = shell.out("oxidize")
    (memory.root / LOCK_FILE).unlink()
    assert shell.out("oxidize", "--report") == page
    assert printed(shell, "--report")["active"] == "residual"
    assert not (memory.root / LOCK_FILE).exists(), "a report is no reason to change a tracked file"


def test_names_may_be_listed_or_repeated(shell: Shell) -> None:
    found = printed(shell, "--only", "mlp,whitening")
    assert [name for name, one in found["projections"].items() if one["weights"]] == ["whitening", "mlp"]
    found = printed(shell, "--only", "mlp", "--only", "residual")
    assert all(one["weights"] for one in found["projections"].values())


def test_forcing_is_said_in_the_lock_and_in_status(shell: Shell, memory: Memory) -> None:
    memory.write(".patina/oxidize.yaml", MLP)
    assert "The raw model answers: the best of the others is mine" in shell.out("oxidize")
    found = printed(shell, "--force")
    assert (found["active"], found["forced"]) == ("mine", True)
    assert found["projections"]["mine"]["active"]
    assert found["lock"]["projections"]["mine"]["verdict"] == "forced"
    assert "mine is used because it was forced" in found["sentence"]
    for _ in range(2):
        assert "mine is used because it was forced: the gate refuses it" in shell.out("status")


def test_the_raw_model_answers_again_when_it_is_asked_to(shell: Shell, memory: Memory) -> None:
    shell.out("oxidize", "--force", "--only", "mlp")
    assert json.loads(shell.out("status", "--json"))["projection"] == "mlp"
    assert len(list((memory.state / "vectors").iterdir())) == 1  # the index of before went with the swap
    assert shell.out("oxidize", "--raw") == "The raw model answers.\n"
    status = json.loads(shell.out("status", "--json"))
    assert status["projection"] == "none"
    assert status["warnings"] == ["the raw model answers: patina oxidize --raw selected it; patina oxidize"]
    assert "The raw model answers: patina oxidize --raw selected it" in shell.out("oxidize", "--report")
    assert (read_lock(memory.root) or {})["projection"] == "none"
    assert len(list((memory.state / "vectors").iterdir())) == 1


def test_the_lock_is_what_the_run_printed(shell: Shell, memory: Memory) -> None:
    found = printed(shell)
    assert read_lock(memory.root) == found["lock"]
    assert found["lock"]["events_hash"] == json.loads(shell.out("status", "--json"))["events_hash"]


def test_a_lock_that_cannot_be_written_is_said_and_the_rest_holds(shell: Shell, memory: Memory) -> None:
    (memory.root / LOCK_FILE).mkdir()
    result = shell.invoke("oxidize", "--only", "whitening")
    assert (result.exit_code, result.stderr) == (
        0, f"patina: cannot write {LOCK_FILE}: Is a directory\n",
    )  # fmt: skip
    assert result.stdout.splitlines()[-2].startswith("whitening is used")


def test_the_picture_is_drawn_after_the_page(shell: Shell, memory: Memory) -> None:
    path = memory.root.parent / "picture.svg"
    page = shell.out("oxidize", "--picture", str(path))
    assert ET.parse(path).getroot().tag.endswith("svg")  # noqa: S314 (it is our own)
    path.unlink()
    assert shell.out("oxidize", "--report", "--picture", str(path)) == page
    assert path.exists()
    result = shell.run("oxidize", "--report", "--picture", str(memory.root))
    assert (result.returncode, result.stdout) == (2, page)
    assert ": Is a directory" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--only", "semantic"), 2, "the recipe has no projection semantic\n  try: patina oxidize --only"),
        (("--only", ","), 2, "--only names no projection"),
        (("--dry-run", "--report"), 2, "--dry-run can be combined only with --full, --only and --json"),
        (("--dry-run", "--force"), 2, "--dry-run can be combined only"),
        (("--report", "--full"), 2, "--report trains nothing"),
        (("--report", "--force"), 2, "--report trains nothing"),
        (("--report",), 1, "no training run yet\n  try: patina oxidize"),
        (("--fulll",), 2, "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_what_cannot_be_meant(shell: Shell, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = shell.run("oxidize", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def test_a_recipe_that_contradicts_the_model(shell: Shell, memory: Memory) -> None:
    memory.write(".patina/oxidize.yaml", MODEL + "  mine:\n    layers: [768, 1024, 256]\n")
    done = shell.run("oxidize")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "patina: .patina/oxidize.yaml:5: projections.mine.layers is [768, 1024, 256], but the model acme-64"
        " has 64 dimensions; write: layers: [64, 1024, 256]\n"
    )


def test_too_little_history(tmp_path: Path) -> None:
    memory = make_history(tmp_path / "repository", sessions=9)
    memory.sync()
    shell = Shell(memory.root)
    assert "needs 11 more sessions" in shell.out("oxidize")
    found = printed(shell, "--report")
    assert {one["n"] for one in found["projections"].values()} == {0}
    assert {one["verdict"] for one in found["lock"]["projections"].values()} == {"not trained"}
    picture = tmp_path / "picture.svg"
    shell.out("oxidize", "--report", "--picture", str(picture))
    assert ET.parse(picture).getroot().tag.endswith("svg")  # noqa: S314


def test_before_the_first_sync(tmp_path: Path) -> None:
    memory = make_history(tmp_path / "repository", sessions=1)
    done = Shell(memory.root).run("oxidize")
    assert (done.returncode, done.stderr) == (
        1, "patina: this repository has no index yet\n  try: patina init\n",
    )  # fmt: skip
