from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sessions.workbench import NOON, NOON_ID, Workbench

from patina_hooks import sessions
from patina_hooks.errors import SessionError


def _hold(
    bench: Workbench, title: str, days: int, *, commit: bool = False, adapter: str | None = None
) -> str:
    session = sessions.start(
        bench.repository, title, adapter=adapter, moment=NOON + timedelta(days=days)
    ).session
    sessions.end(bench.repository, commit=commit)
    return session.id


def test_sessions_come_from_documents_and_tags_newest_first(bench: Workbench) -> None:
    _hold(bench, "one", 0, adapter="gemini")
    bench.git("tag", "-a", "-m", "Session start: elsewhere", "session-20200101-000000-opencode-start")
    bench.git("tag", "-a", "-m", "Session end: long ago", "session-20190101-000000-end")
    sessions.start(bench.repository, "under way", moment=NOON + timedelta(days=2))
    found = sessions.list_sessions(bench.repository)
    assert [(item.id, item.title, item.adapter, item.state) for item in found] == [
        ("20251123-183026", "under way", "claude", "active"),
        (NOON_ID, "one", "gemini", "ended"),
        ("20200101-000000", "elsewhere", "opencode", "unfinished"),
        ("20190101-000000", "long ago", None, "ended"),
    ]
    assert (found[1].work_type, found[1].commits, found[1].files) == ("exploration", 0, 0)
    assert (found[2].path, found[2].commits) == (None, None)
    assert [item.id for item in sessions.list_sessions(bench.repository, limit=2)] == [
        item.id for item in found[:2]
    ]
    assert [item.title for item in sessions.list_sessions(bench.repository, adapter="gemini")] == ["one"]


def test_files_that_are_no_sessions_are_left_out_and_damaged_ones_hide_nothing(bench: Workbench) -> None:
    folder = bench.root / "layer/sessions"
    folder.mkdir(parents=True)
    for name in ("summary_july.md", "20250101-000000-init.md", "20259999-000000.md", "20250101-000000.txt"):
        (folder / name).write_text("# Session: no\n")
    (folder / "20250102-000000.md").symlink_to(bench.root / "readme")
    (folder / "20250103-000000.md").write_bytes(b"\xff\x00\x1b[31m")
    (folder / "20250104-000000.md").write_text("# Session: \x1b[31mred\u202e\n")
    found = sessions.list_sessions(bench.repository)
    assert [(item.id, item.title) for item in found] == [
        ("20250104-000000", "[31mred"),
        ("20250103-000000", ""),
    ]


def test_a_document_is_found_by_the_beginning_of_its_id(bench: Workbench) -> None:
    first, second = _hold(bench, "one", 0), _hold(bench, "two", 1)
    assert sessions.find_session(bench.repository, "20251121").id == first
    assert sessions.find_session(bench.repository, second).text.startswith("# Session: two\n")
    with pytest.raises(SessionError, match=f"2 sessions start with '2025': {first}, {second}"):
        sessions.find_session(bench.repository, "2025")
    for prefix in ("", "1999", "\x1b"):
        with pytest.raises(SessionError, match="no session"):
            sessions.find_session(bench.repository, prefix)


def test_the_session_under_way_is_shown_from_its_document(bench: Workbench) -> None:
    sessions.start(bench.repository, "under way", moment=NOON)
    assert sessions.find_session(bench.repository, NOON_ID).path == f".patina/local/active/{NOON_ID}.md"


def test_a_document_that_only_head_holds_is_found(bench: Workbench) -> None:
    session = _hold(bench, "kept by git", 0, commit=True)
    (bench.root / f"layer/sessions/{session}.md").unlink()
    found = sessions.find_session(bench.repository, session)
    assert (found.path, found.text.partition("\n")[0]) == (
        f"layer/sessions/{session}.md",
        "# Session: kept by git",
    )


def test_a_link_in_heads_tree_is_no_document(bench: Workbench) -> None:
    link = bench.root / "layer/sessions/20250102-000000.md"
    link.parent.mkdir(parents=True)
    link.symlink_to(Path("/etc/passwd"))
    bench.git("add", "layer")
    bench.git("commit", "-q", "-m", "link")
    with pytest.raises(SessionError, match="no session"):
        sessions.find_session(bench.repository, "20250102-000000")


def test_a_session_of_which_only_tags_tell_says_so(bench: Workbench) -> None:
    bench.git("tag", "-a", "-m", "Session start: x", "session-20200101-000000-start")
    with pytest.raises(SessionError, match="tags but no document"):
        sessions.find_session(bench.repository, "2020")
