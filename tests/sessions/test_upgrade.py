"""A state folder and a work tree of release 0.1.0, built literally, upgrade without loss."""

from __future__ import annotations

import json

import pytest
from sessions.workbench import NOON_ID, Workbench

from patina_hooks import sessions

START, END = f"session-{NOON_ID}-start", f"session-{NOON_ID}-end"


def _document(bench: Workbench) -> str:
    return (
        f"# Session: teach it tabs\n**ID**: {NOON_ID}\n**Started**: 2025-11-21T23:30:26Z\n**LLM**: claude\n"
        f"**Git Branch**: main\n**Session Tag**: {START}\n"
        f"**Starting Commit**: {bench.git('rev-parse', 'main')}\n"
        "\n## Goals\n- [ ] teach it tabs\n\n## Activity Log\n### 18:30 - Session Start\n"
        "\n### 18:40 - Note [main@1234567]\na note of 0.1.0\n"
    )


@pytest.fixture
def old(bench: Workbench) -> Workbench:
    """A session under way as 0.1.0 leaves it after a start and a note."""
    bench.git("tag", "-a", "-m", "Session start: teach it tabs", START)
    bench.local.mkdir(parents=True)
    (bench.local / ".gitignore").write_text("*\n")
    (bench.local / "active-session.md").write_text(_document(bench))
    (bench.local / ".last-update").write_text("18:30\n")
    return bench


def _old_intent(bench: Workbench, fields: dict[str, object]) -> None:
    (bench.local / "intent.json").write_text(json.dumps(fields, indent=1) + "\n")


def _end_intent(bench: Workbench) -> dict[str, object]:
    return {
        "action": "end",
        "title": "teach it tabs",
        "start_tag": START,
        "end_tag": END,
        "commit": bench.git("rev-parse", "HEAD"),
        "numbers": [0, 0, 0],
        "abandoned": False,
    }


def _is_moved(bench: Workbench) -> bool:
    names = sorted(path.name for path in bench.local.iterdir())
    return names == [".gitignore", "active"] and bench.active.name == f"{NOON_ID}.md"


def test_an_open_session_of_an_older_release_goes_on(old: Workbench) -> None:
    before = (old.local / "active-session.md").read_text()
    (progress,) = sessions.active_sessions(old.repository)
    assert (progress.session.id, progress.session.adapter) == (NOON_ID, "claude")
    assert _is_moved(old)
    assert old.active.read_text() == before
    sessions.note(old.repository, "a later note")
    ended = sessions.end(old.repository)
    text = old.archived(NOON_ID)
    assert (ended.id, text.startswith(before), "a later note" in text) == (NOON_ID, True, True)
    assert old.git("for-each-ref", "--format=%(refname)", "refs/patina").split() == [
        f"refs/patina/sessions/{NOON_ID}/end",
        f"refs/patina/sessions/{NOON_ID}/start",
    ]


def test_the_worker_takes_over_open_sessions_of_all_work_trees(old: Workbench) -> None:
    second = Workbench(old.root.parent / "second")
    old.git("worktree", "add", "-q", "--detach", str(second.root))
    later = _document(old).replace(NOON_ID, "20251122-100000")
    second.local.mkdir(parents=True)
    (second.local / "active-session.md").write_text(later)
    assert sessions.keep_sessions(old.repository) == []
    old.git("worktree", "remove", "--force", str(second.root))
    assert sessions.find_session(old.repository, "20251122").text == later
    assert [item.state for item in sessions.list_sessions(old.repository)] == ["active", "active"]


@pytest.mark.parametrize("is_tagged", [True, False])
def test_a_killed_start_of_an_older_release_is_completed_where_its_tag_is_made(
    bench: Workbench, is_tagged: bool
) -> None:
    bench.local.mkdir(parents=True)
    head, document = bench.git("rev-parse", "HEAD"), _document(bench)
    if is_tagged:
        bench.git("tag", "-a", "-m", "Session start: teach it tabs", START)
    _old_intent(
        bench, {"action": "start", "tag": START, "commit": head, "document": document, "window": "18:30\n"}
    )
    assert [progress.session.id for progress in sessions.active_sessions(bench.repository)] == [
        NOON_ID
    ] * is_tagged
    assert not (bench.local / "intent.json").exists()


@pytest.mark.parametrize("is_tagged", [True, False])
@pytest.mark.parametrize("is_archived", [True, False])
def test_a_killed_end_of_an_older_release_loses_nothing(
    old: Workbench, is_tagged: bool, is_archived: bool
) -> None:
    _old_intent(old, _end_intent(old))
    if is_tagged:
        old.git("tag", "-a", "-m", "Session end: teach it tabs", END)
    if is_tagged and is_archived:
        (old.root / "layer/sessions").mkdir(parents=True)
        (old.root / f"layer/sessions/{NOON_ID}.md").write_text(
            _document(old) + "\n## Session Classification\n"
        )
    sessions.end(old.repository)
    text = old.archived(NOON_ID)
    assert "a note of 0.1.0" in text
    assert text.count("## Session Classification") == 1
    assert sessions.active_sessions(old.repository) == []
    assert set(old.tags()) == {START, END}


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
def test_a_half_written_intent_of_an_older_release_does_not_stop_the_upgrade(
    old: Workbench, content: str
) -> None:
    (old.local / "intent.json").write_text(content)
    (old.local / ".intent.json.half").write_text("{")
    (old.local / ".active-session.md.half").write_text("# Sess")
    assert [progress.session.id for progress in sessions.active_sessions(old.repository)] == [NOON_ID]
    assert _is_moved(old)


def test_an_old_document_that_a_checkout_brings_back_starts_nothing(old: Workbench) -> None:
    old.git("add", "-f", ".patina/local/active-session.md")
    old.git("commit", "-q", "-m", "committed by accident")
    old.git("tag", "accident")
    sessions.end(old.repository, commit=True)
    old.git("checkout", "-q", "-f", "accident")
    assert sessions.active_sessions(old.repository) == []
    assert [item.state for item in sessions.list_sessions(old.repository)] == ["ended"]


def test_a_work_tree_that_was_copied_without_its_records_brings_its_sessions(bench: Workbench) -> None:
    sessions.start(bench.repository, "x")
    sessions.note(bench.repository, "typed")
    for path in (bench.store / "active").iterdir():
        path.unlink()
    (progress,) = sessions.active_sessions(bench.repository)
    assert "typed" in sessions.find_session(bench.repository, progress.session.id).text
    assert len(bench.records()) == 2
