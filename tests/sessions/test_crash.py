"""After a kill at a write step and one more command, a start or an end is whole or never was.

`PATINA_EXAMPLES` sets how many evenly spaced steps are tested, 1000 means all; without it 12.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sessions.crashing import Aftermath
from sessions.workbench import Workbench
from support.sampling import examples

from patina_hooks import sessions


def _aftermaths(scenario: str, folder: Path) -> list[Aftermath]:
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "sessions.crashing", scenario, str(folder), str(examples(12))],
        env={**os.environ, "PYTHONPATH": tests},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [Aftermath(**json.loads(line)) for line in done.stdout.splitlines()]
    # Each kind of step was really killed: a file begun, put in its place, taken away.
    assert {"open", "os.rename", "os.remove"} <= {after.event for after in found}
    for after in found:
        assert "intent.json" not in after.records, after
        assert after.goes_on, after
        assert {tag_ref(tag) for tag in after.tags} == set(after.hidden), after
        # A half-written file next to an archived document would turn up in `git status`.
        assert all(path.endswith(".md") and "/." not in path for path in after.untracked), after
        assert not [path for path in after.records if "/." in path], after
    return found


def tag_ref(tag: str) -> str:
    _, day, second, edge = tag.split("-")
    return f"refs/patina/sessions/{day}-{second}/{edge}"


def _edges(after: Aftermath, session: str) -> set[str]:
    return {tag.rpartition("-")[2] for tag in after.tags if tag.startswith(f"session-{session}-")}


def test_a_killed_start_is_whole_or_never_was(tmp_path: Path) -> None:
    found = _aftermaths("start", tmp_path)
    whole = [after for after in found if after.active]
    for after in found:
        if after.active:
            assert _edges(after, after.active[0]) == {"start"}
            assert len(after.texts) == 1
        else:
            assert not after.tags
            assert not after.texts
        assert not after.archived
    assert 0 < len(whole) < len(found)


def test_a_killed_end_is_whole_or_never_was(tmp_path: Path) -> None:
    found = _aftermaths("end", tmp_path)
    for after in found:
        if after.active:
            assert _edges(after, after.active[0]) == {"start"}
            assert not after.archived
            assert "a note to keep" in after.texts[0]
        else:
            (session,) = after.archived
            text = after.archived[session]
            assert _edges(after, session) == {"start", "end"}
            assert text.count("## Session Classification") == 1
            assert "a note to keep" in text
            assert "- Commits: 1\n" in text
            assert session in after.pointer
    assert {bool(after.active) for after in found} == {True, False}


def test_a_killed_note_is_written_once_or_not_at_all(tmp_path: Path) -> None:
    found = _aftermaths("note", tmp_path)
    for after in found:
        assert "a note to keep" in after.texts[0]
    counts = [after.texts[0].count("typed when it was killed") for after in found]
    # Not before its intent was written, and from then on.
    assert counts == sorted(counts)
    assert set(counts) == {0, 1}


def test_a_killed_second_start_leaves_the_first_active(tmp_path: Path) -> None:
    found = _aftermaths("second start", tmp_path)
    for after in found:
        assert not after.archived
        assert "a note to keep" in after.texts[0]
        assert all(_edges(after, session) == {"start"} for session in after.active)
    assert {len(after.active) for after in found} == {1, 2}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"action": "start"}', "\x00", '{"action": "end", "title": 3}']
)
def test_an_intent_that_makes_no_sense_is_forgotten(content: str, tmp_path: Path) -> None:
    bench = Workbench.make(tmp_path / "r")
    bench.commit("first", {})
    bench.local.mkdir(parents=True)
    bench.store.mkdir(mode=0o700)
    for folder in (bench.local, bench.store):  # of release 0.1.0, and ours
        (folder / "intent.json").write_text(content)
    assert sessions.active_sessions(bench.repository) == []
    assert not (bench.local / "intent.json").exists()
    assert bench.records() == []
    assert bench.tags() == []


def test_an_intent_that_came_with_a_clone_makes_no_tag_and_writes_nowhere_else(tmp_path: Path) -> None:
    bench = Workbench.make(tmp_path / "r")
    head = bench.commit("first", {"readme": "hello\n"})
    bench.local.mkdir(parents=True)
    for tag in ("session-20260101-000000-start", "../../heads/main", "session-20260101-000000-../x-start"):
        forged = {"action": "start", "tag": tag, "commit": head, "document": "x", "window": "00:00\n"}
        (bench.local / "intent.json").write_text(json.dumps(forged))
        assert sessions.active_sessions(bench.repository) == []
    assert bench.tags() == []
    assert (bench.root / "readme").read_text() == "hello\n"
