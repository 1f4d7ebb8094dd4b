"""The benchmarks' own machinery: what is printed and what fails, on figures that are made up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(_ROOT)


def test_a_table_shows_each_figure_with_its_ratio_its_bound_and_the_verdict() -> None:
    from benchmarks.table import Bound, Row, as_json, as_text, broken

    rows = [
        Row("commands", "kept", 12.0, "ms", 10.0, "a bare one", Bound(1.3)),
        Row("commands", "too slow", 14.0, "ms", 10.0, "a bare one", Bound(1.3)),
        Row("speed", "enough", 95.0, "texts/s", 100.0, "raw", Bound(0.9, least=True)),
        Row("speed", "too long", 11.0, "ms", bound=Bound(10, of="ours")),
        Row("sizes", "just to know", 1234.0, "MB"),
    ]
    lines = as_text(rows).splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == ["commands", "speed", "sizes"]
    shown = {line.split("  ")[1]: line.split() for line in lines if line.startswith("  ")}
    assert shown["kept"][-4:] == ["1.20x", "<=", "1.30x", "yes"]
    assert shown["too slow"][-4:] == ["1.40x", "<=", "1.30x", "NO"]
    assert shown["enough"][-4:] == ["0.95x", ">=", "0.90x", "yes"]
    assert shown["too long"][-4:] == ["<=", "10.0", "ms", "NO"]
    assert shown["just to know"][-2:] == ["1,234", "MB"]
    assert [row.what for row in broken(rows)] == ["too slow", "too long"]

    stated = json.loads(as_json(rows, "made up"))
    assert stated["about"] == "made up"
    assert [row["holds"] for row in stated["rows"]] == [True, False, True, False, None]
    assert stated["rows"][0]["ratio"] == pytest.approx(1.2)


def test_contenders_take_turns_at_being_first_and_warm_rounds_do_not_count() -> None:
    from benchmarks.rounds import medians

    order: list[str] = []
    clock = count()

    def contender(name: str) -> Callable[[], float]:
        def figure() -> float:
            order.append(name)
            return next(clock)

        return figure

    took = medians({"a": contender("a"), "b": contender("b")}, 3, warm=1)
    assert order == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert took == {"a": 4, "b": 5}


def test_a_made_up_history_is_remembered_and_its_copies_say_other_things(tmp_path: Path) -> None:
    import patina_hooks
    from benchmarks.histories import lengthen
    from benchmarks.stream import Stream, git
    from benchmarks.workshop import remember

    git(tmp_path, "init", "-q", "-b", "main")
    stream = Stream("main")
    document = b"# Session: a goal\n**ID**: 20250102-093000\n\n## Goals\n- [ ] Make the index faster\n"
    mark = stream.commit(
        "Say why the index is slow", 1_735_000_000, {"layer/sessions/20250102-093000.md": document}
    )
    stream.tag("session-20250102-093000-start", mark, 1_735_000_000, "Session start: a goal")
    stream.write(tmp_path)
    lengthen(tmp_path, 3)
    assert git(tmp_path, "tag").split() == [f"session-202{year}0102-093000-start" for year in (5, 6, 7)]

    remember(tmp_path)
    with patina_hooks.open(tmp_path) as patina:
        status = patina.status()
        texts = {hit.text for hit in patina.search("index", mode="lexical")}
    assert (status.commits, status.sessions, status.documents, status.pending) == (3, 3, 3, 0)
    assert {text.rpartition(" ")[2] for text in texts} >= {"again1", "again2"}


def test_the_command_says_what_it_measures_and_refuses_what_it_does_not_know() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "benchmarks", *arguments]
        return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)

    assert "commit, start, search, answers, sync, index, size" in " ".join(run("--help").stdout.split())
    refused = run("everything")
    assert refused.returncode == 2
    assert "everything" in refused.stderr
