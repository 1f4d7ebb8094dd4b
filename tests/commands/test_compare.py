"""`patina models compare`: figures for eyes, for programs, as a picture; what fails is a row."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from comparison.word_models import bag_installed
from evaluation.past import Past, make_past, space_of
from support.marked import ROOT
from support.memory import Memory
from support.shell import PATINA, Shell

from patina_hooks.evaluation.comparison.agreement import Agreement
from patina_hooks.evaluation.evaluate import MINED


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return make_past(tmp_path_factory.mktemp("compare") / "repository")


@pytest.fixture
def shell(past: Past) -> Shell:
    return Shell(past.memory.root)


@pytest.fixture
def bag(tmp_path: Path) -> Iterator[None]:
    with bag_installed(tmp_path / "site"):
        yield


def printed(shell: Shell, *arguments: str) -> Any:  # noqa: ANN401 (JSON is what it is)
    done = shell.invoke("models", "compare", "--json", *arguments)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found(past: Past) -> Any:  # noqa: ANN401 (JSON is what it is)
    """Of acme-64 and minilm-l6-v2."""
    return json.loads(
        Shell(past.memory.root).run("models", "compare", "--json", "acme-64", "minilm-l6-v2").stdout
    )


def documented() -> list[set[str]]:
    """The keys of each table under the heading in docs/json.md, and before them those of the text above."""
    text = (ROOT / "docs/json.md").read_text("utf-8")
    section = text.split("\n## patina models compare")[1].split("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.M)
    return [
        {key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])}
        for table in tables
    ]


def state_of(memory: Memory) -> Mapping[str, bytes]:
    """All that answers: the files of the index."""
    folder = memory.state / "vectors"
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_json_has_the_keys_that_are_documented(found: Any) -> None:  # noqa: ANN401
    top, model, agreement, speed, ratios, metrics, figure = documented()
    assert agreement == {field.name for field in fields(Agreement)}
    assert set(found) == top
    for one in found["models"]:
        assert set(one) == model
        assert one["agreement"] is None
        assert set(one["speed"]) == speed
        assert set(one["ratios"]) == ratios
        assert list(one["answers"]) == [*MINED, "all"]
        for answers in one["answers"].values():
            assert answers.keys() == {"n", "hybrid", "vector"}
            for channel in ("hybrid", "vector"):
                assert set(answers[channel]) == metrics
                assert all(set(each) == figure for each in answers[channel].values())


def test_the_others_are_compared_with_the_first(found: Any) -> None:  # noqa: ANN401
    acme, minilm = found["models"]
    assert (found["reference"], found["lacks"]) == ("acme-64", "")
    assert found["questions"] == acme["answers"]["all"]["n"] > 50
    gain = minilm["answers"]["all"]["vector"]["mrr"]
    assert 0 < gain["delta_low"] < gain["delta"] < gain["delta_high"]
    assert gain["delta"] == pytest.approx(gain["value"] - acme["answers"]["all"]["vector"]["mrr"]["value"])
    assert acme["answers"]["all"]["vector"]["mrr"]["delta"] is None
    assert set(acme["ratios"].values()) == {1.0}
    assert minilm["ratios"]["texts_per_second"] == pytest.approx(
        minilm["speed"]["texts_per_second"] / acme["speed"]["texts_per_second"]
    )
    assert (minilm["dimensions"], minilm["licence"], minilm["bytes"]) == (384, "Apache-2.0", 23_160_127)
    (told,) = found["conclusion"]
    assert "minilm-l6-v2" in told
    assert "acme-64" in told


def test_nothing_is_embedded_twice_and_what_answers_stays(tmp_path: Path) -> None:
    past = make_past(tmp_path / "repository", count=5)
    shell, before, space = Shell(past.memory.root), state_of(past.memory), space_of(past.memory)
    first = shell.run("models", "compare", "acme-64", "minilm-l6-v2", "--json")
    acme, minilm = json.loads(first.stdout)["models"]
    assert acme["embedded"] == 0
    assert minilm["embedded"] > 25
    assert f"minilm-l6-v2: {minilm['embedded']} texts to embed, about " in first.stderr
    again = shell.run("models", "compare", "acme-64", "minilm-l6-v2", "--json")
    assert [one["embedded"] for one in json.loads(again.stdout)["models"]] == [0, 0]
    assert "to embed" not in again.stderr
    assert (state_of(past.memory), space_of(past.memory)) == (before, space)


def test_the_page_and_the_picture(shell: Shell, tmp_path: Path) -> None:
    picture = tmp_path / "figures.svg"
    done = shell.invoke("models", "compare", "acme-64", "minilm-l6-v2", "--picture", str(picture))
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert re.fullmatch(
        r"ANSWERS to \d+ questions of 5 sets that weigh the same, and the difference to acme-64", lines[0]
    )
    assert [line.split()[:2] for line in lines[2:6]] == [
        [channel, model] for channel in ("hybrid", "vector") for model in ("acme-64", "minilm-l6-v2")
    ]
    assert re.search(
        r"minilm-l6-v2 +onnx +[\d,]+  x[\d.]+ +[\d.]+ s  x[\d.]+ +\d+ MB .* 384 +Apache-2\.0", done.stdout
    )
    said = [text.text for text in ET.parse(picture).getroot().iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert {"acme-64", "minilm-l6-v2", "all", "goal", "Milliseconds a text"} <= set(said)


@pytest.mark.parametrize("name", ["", "no/x.svg", "file/x.svg", "x" * 300])
def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_measured(
    shell: Shell, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    refused = shell.run("models", "compare", "acme-64", "--picture", str(tmp_path / name))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "cannot write " in refused.stderr


def test_a_picture_of_yesterday_stays_where_nothing_can_be_drawn(shell: Shell, tmp_path: Path) -> None:
    old, new = tmp_path / "old.svg", tmp_path / "new.svg"
    old.write_text("yesterday")
    for picture in (old, new):
        assert shell.run("models", "compare", "nobody", "--picture", str(picture)).returncode == 1
    assert old.read_text() == "yesterday"
    assert not new.exists()


def test_runtimes_of_the_same_files_are_beside_each_other(shell: Shell, bag: None) -> None:
    found = printed(shell, "bag-shared@bag", "bag-shared@bag-wrong")
    first, wrong = found["models"]
    assert first["fingerprint"] == wrong["fingerprint"]
    assert (wrong["answers"], wrong["error"]) == ({}, None)
    assert wrong["agreement"]["to"] == "bag-shared@bag"
    assert wrong["agreement"]["least"] < 0.999
    assert found["conclusion"][0].startswith("WARNING: ")


def test_one_alone_is_measured_too(shell: Shell) -> None:
    page = shell.out("models", "compare", "acme-64")
    assert page.startswith("ANSWERS to ")
    assert "difference" not in page
    assert " x" not in page


def test_what_cannot_run_is_a_row_with_what_mends_it(shell: Shell, bag: None) -> None:
    found = printed(shell, "e5-base-v2", "bag-dies", "bag-32", "acme-64@mlx", "acme-64")
    assert found["reference"] == "bag-32"
    e5, dies, ran, in_mlx, acme = found["models"]
    assert (e5["speed"], e5["answers"]) == (None, {})
    assert e5["remedy"] == "patina models pull e5-base-v2 --runtime onnx"
    assert "was killed" in dies["error"]
    assert ran["error"] is None
    assert ran["bytes"] is None
    assert "no files for the runtime mlx" in in_mlx["error"]
    assert acme["answers"]["all"]["hybrid"]["mrr"]["delta"] is not None


def test_where_nothing_can_run_the_exit_code_says_so(shell: Shell) -> None:
    done = shell.run("models", "compare", "e5-base-v2", "acme-64", "--runtime", "abacus")
    assert done.returncode == 2
    assert "no runtime is named 'abacus'" in done.stdout
    told = shell.run("models", "compare", "e5-base-v2", "--json")
    assert told.returncode == 2
    assert json.loads(told.stdout)["reference"] is None


def test_a_name_that_nobody_knows(shell: Shell) -> None:
    done = shell.run("models", "compare", "acme-64", "minilm")
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean minilm-l6-v2?" in done.stderr
    assert shell.run("models", "compare").returncode == 2


def test_too_little_history_is_told_and_speed_is_measured_all_the_same(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("a first commit of one file", {"a.py": "1"})
    memory.sync()
    page = Shell(memory.root).out("models", "compare", "acme-64")
    assert "no answers are compared: 0 session documents and 1 commit give no question" in page
    assert re.search(r"acme-64 +onnx +[\d,]+ ", page)

    few = make_past(tmp_path / "few", count=2)
    found = printed(Shell(few.memory.root), "acme-64", "minilm-l6-v2")
    assert 0 < found["sessions"] < 10
    assert f"it takes 10: {10 - found['sessions']} more" in found["lacks"]
    assert found["models"][1]["answers"]["all"]["hybrid"]["mrr"]["low"] is None


def test_an_interrupt_while_embedding_leaves_what_was_done(tmp_path: Path, bag: None) -> None:
    past = make_past(tmp_path / "repository", count=2)
    with begun(past.memory.root, "bag-32", "bag-waits") as process:
        assert process.stderr is not None
        said = iter(process.stderr.readline, "the bag waits\n")
        texts = int(next(line for line in said if line.startswith("patina: bag-32: ")).split()[2])
        assert texts > 0
        assert [*said][-1].startswith("patina: bag-waits: ")
        os.kill(process.pid, signal.SIGINT)
        out, told = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert told.endswith("interrupted\n")
    found = printed(Shell(past.memory.root), "bag-32")
    assert found["models"][0]["embedded"] == 0
    assert found["models"][0]["answers"]


@pytest.mark.skipif(sys.platform != "linux", reason="it takes /proc and pidfd_open to see")
def test_what_measures_ends_with_the_one_that_asked_however_that_ends(tmp_path: Path, bag: None) -> None:
    past = make_past(tmp_path / "repository", count=2)
    with begun(past.memory.root, "bag-hangs") as process:
        while not any(says(each, "the bag waits") for each in children(process.pid)):
            assert process.poll() is None
            os.sched_yield()
        (probe,) = (os.pidfd_open(int(each)) for each in children(process.pid))
        process.kill()
        process.communicate(timeout=60)
    ended, _, _ = select.select([probe], [], [], 60)
    if not ended:
        signal.pidfd_send_signal(probe, signal.SIGKILL)
    os.close(probe)
    assert ended


@contextmanager
def begun(folder: Path, *models: str) -> Iterator[subprocess.Popen[str]]:
    """A comparison, alone in its session."""
    with subprocess.Popen(
        [*PATINA, "models", "compare", *models], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def children(process: int) -> list[str]:
    """Those that measure, of a process and its own."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            if (
                parent == str(process)
                and b"patina_hooks.evaluation.comparison.probe" in folder.joinpath("cmdline").read_bytes()
            ):
                found.append(folder.name)
        except OSError:
            continue
    return found


def says(process: str, told: str) -> bool:
    """What it wrote on stderr, which is a file."""
    return told in Path(f"/proc/{process}/fd/2").read_text()


def test_a_recommendation_says_how_to_see_whether_it_is_right(shell: Shell) -> None:
    recommended = shell.out("models", "recommend")
    assert re.search(r"^  patina models compare minilm-l6-v2 \S+   # .* find more here\?$", recommended, re.M)
