"""What was typed survives the loss of files, tags and work trees, and several sessions at once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sessions.workbench import NOON, NOON_ID, Workbench

import patina_hooks
from patina_hooks import sessions
from patina_hooks.config.settings import REPOSITORY_FILE
from patina_hooks.errors import SessionError, UsageError
from patina_hooks.git.repository import Repository

START, END = f"session-{NOON_ID}-start", f"session-{NOON_ID}-end"


@pytest.fixture
def second(bench: Workbench) -> Workbench:
    """Another work tree of the repository."""
    second = Workbench(bench.root.parent / "second")
    bench.git("worktree", "add", "-q", "-b", "side", str(second.root))
    return second


def _ids(repository: Repository) -> list[str]:
    return [progress.session.id for progress in sessions.active_sessions(repository)]


# --- several at once ------------------------------------------------------------------------------


def test_two_sessions_are_active_in_one_work_tree(bench: Workbench) -> None:
    first = sessions.start(bench.repository, "one", adapter="claude", moment=NOON).session.id
    second = sessions.start(bench.repository, "two", adapter="gemini", moment=NOON).session.id
    assert _ids(bench.repository) == [first, second] == [NOON_ID, "20251121-183027"]
    sessions.note(bench.repository, "for the first", session=first)
    sessions.update(bench.repository, session=second)
    commit = bench.commit("of both", {"a": "x"})
    for session in (first, second):
        ended = sessions.end(bench.repository, session=session)
        assert (ended.id, ended.abandoned) == (session, False)
        assert ended.numbers is not None
        assert ended.numbers.commits == 1
    assert bench.git("rev-parse", f"session-{first}-claude-end^{{commit}}") == commit
    assert "for the first" in bench.archived(first)
    assert "for the first" not in bench.archived(second)
    assert "- Commits this session" in bench.archived(second)


def test_a_command_without_an_id_lists_the_sessions_when_there_are_several(bench: Workbench) -> None:
    for title in ("one", "two"):
        sessions.start(bench.repository, title, moment=NOON)
    for command in (
        lambda: sessions.note(bench.repository, "x"),
        lambda: sessions.update(bench.repository),
        lambda: sessions.end(bench.repository),
        lambda: sessions.end(bench.repository, session="2025"),
    ):
        with pytest.raises(SessionError, match="2 sessions are active") as caught:
            command()
        assert f"{NOON_ID}  claude  one" in str(caught.value)
        assert caught.value.hint == "select a session: --session 20251121-183027"
    with pytest.raises(SessionError, match="no active session has an id that starts with '1999'"):
        sessions.end(bench.repository, session="1999")
    assert [ended.id for ended in sessions.end_all(bench.repository)] == [NOON_ID, "20251121-183027"]
    with pytest.raises(SessionError, match="no session is active"):
        sessions.end_all(bench.repository)


# --- files of the work tree -------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["note", "update", "end", "find", "active"])
def test_a_note_survives_a_clean(bench: Workbench, way: str) -> None:
    bench.commit("ignore", {".patina/.gitignore": "/local/\n"})
    sessions.start(bench.repository, "x", moment=NOON)
    sessions.note(bench.repository, "the only copy")
    bench.git("clean", "-q", "-fdX")
    assert not bench.active.exists()
    if way == "note":
        sessions.note(bench.repository, "more")
    elif way == "update":
        sessions.update(bench.repository)
    elif way == "active":
        assert _ids(bench.repository) == [NOON_ID]
    elif way == "find":
        assert "the only copy" in sessions.find_session(bench.repository, NOON_ID).text
    else:
        sessions.end(bench.repository)
        assert "the only copy" in bench.archived(NOON_ID)
        return
    assert "the only copy" in bench.active.read_text()
    assert (bench.local / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("program", ["sync", "session command", "worker"])
def test_a_hand_edit_survives_a_clean_when_patina_ran_since(bench: Workbench, program: str) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    with bench.active.open("a") as file:
        file.write("typed in an editor\n")
    if program == "sync":
        with patina_hooks.open(bench.root) as patina:
            patina.sync(most=0)
    elif program == "worker":
        sessions.keep_sessions(bench.repository)
    else:
        sessions.list_sessions(bench.repository)
    bench.git("clean", "-q", "-fdX")
    sessions.end(bench.repository)
    assert "typed in an editor\n" in bench.archived(NOON_ID)


def test_a_hand_edit_that_removes_text_wins(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    sessions.note(bench.repository, "not for others")
    bench.active.write_text(bench.active.read_text().replace("not for others", "fine"))
    sessions.end(bench.repository)
    assert "not for others" not in bench.archived(NOON_ID)


def test_an_emptied_file_does_not_replace_the_copy(bench: Workbench) -> None:
    """As an editor leaves it that was killed between truncating and writing."""
    sessions.start(bench.repository, "x", moment=NOON)
    sessions.note(bench.repository, "kept")
    bench.active.write_text("")
    sessions.keep_sessions(bench.repository)
    assert bench.active.read_text() == ""
    sessions.note(bench.repository, "more")
    assert "kept" in bench.active.read_text()


def test_a_document_whose_header_was_damaged_can_be_ended(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    bench.active.write_text("only these words\n")
    assert sessions.end(bench.repository).title == "x"
    assert bench.archived(NOON_ID).startswith("only these words\n")


def test_a_checkout_of_an_older_commit_neither_commits_nor_ends_the_session(bench: Workbench) -> None:
    bench.git("branch", "old")
    bench.commit("patina", {".patina/.gitignore": "/local/\n", ".patina/oxidize.yaml": "version: 1\n"})
    sessions.start(bench.repository, "s", moment=NOON)
    sessions.note(bench.repository, "private plan")
    bench.git("checkout", "-q", "old")
    bench.git("add", "-A")
    bench.git("commit", "-q", "--allow-empty", "-m", "fix")
    assert "private plan" not in bench.git("log", "--all", "-p")
    assert bench.git("ls-files", ".patina") == ""
    bench.git("checkout", "-q", "main")
    assert _ids(bench.repository) == [NOON_ID]
    assert "private plan" in sessions.find_session(bench.repository, NOON_ID).text


@pytest.mark.parametrize("stash", [("-u",), ("-a",)])
def test_a_stash_loses_no_session(bench: Workbench, stash: tuple[str, ...]) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    sessions.note(bench.repository, "kept")
    (bench.root / "new").write_text("x")
    bench.git("stash", "push", "-q", *stash)
    sessions.end(bench.repository)
    assert "kept" in bench.archived(NOON_ID)


def test_an_unborn_branch_takes_notes_and_ends_the_session(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    head = bench.commit("work", {"a": "x"})
    sessions.note(bench.repository, "before")
    bench.git("checkout", "-q", "--orphan", "fresh")
    assert sessions.note(bench.repository, "after").location == f"fresh@{head[:7]}"
    assert sessions.update(bench.repository).commits == 1
    ended = sessions.end(bench.repository)
    assert bench.git("rev-parse", f"{END}^{{commit}}") == head
    assert ended.work_type == "experiment"


def test_the_store_is_private(bench: Workbench) -> None:
    old = os.umask(0)
    try:
        sessions.start(bench.repository, "x", moment=NOON)
    finally:
        os.umask(old)
    for path in (bench.store, *bench.store.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_a_link_in_place_of_the_store_is_not_followed(bench: Workbench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    bench.store.symlink_to(outside)
    with pytest.raises(SessionError, match="is not a folder"):
        sessions.start(bench.repository, "x")
    assert list(outside.iterdir()) == []


def test_a_damaged_record_is_read_from_its_copy(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    sessions.note(bench.repository, "kept")
    (bench.store / f"active/{NOON_ID}.json").write_text("{")
    assert _ids(bench.repository) == [NOON_ID]
    sessions.end(bench.repository)
    assert "kept" in bench.archived(NOON_ID)


# --- work trees -------------------------------------------------------------------------------------


def test_a_session_of_another_work_tree_is_listed_as_active_there(
    bench: Workbench, second: Workbench
) -> None:
    sessions.start(second.repository, "over there", adapter="gemini", moment=NOON)
    (item,) = sessions.list_sessions(bench.repository)
    assert (item.state, item.adapter, item.work_tree) == ("active", "gemini", str(second.root))
    assert _ids(bench.repository) == []


def test_a_session_of_another_work_tree_is_ended_there(bench: Workbench, second: Workbench) -> None:
    sessions.start(second.repository, "over there", moment=NOON)
    head = second.commit("work", {"a": "x"})
    ended = sessions.end(bench.repository, session=NOON_ID, commit=True)
    assert ended.work_tree == str(second.root)
    assert bench.git("rev-parse", f"{END}^{{commit}}") == head
    assert second.git("show", "--format=", "--name-only", "HEAD") == ended.path


def test_a_session_survives_its_work_tree_and_is_ended_elsewhere(bench: Workbench, second: Workbench) -> None:
    sessions.start(second.repository, "over there", adapter="gemini", moment=NOON)
    head = second.commit("work", {"a": "x"})
    sessions.note(second.repository, "the only copy")
    bench.git("worktree", "remove", str(second.root))
    (item,) = sessions.list_sessions(bench.repository)
    assert (item.state, item.adapter, item.title) == ("active", "gemini", "over there")
    assert "the only copy" in sessions.find_session(bench.repository, NOON_ID).text
    sessions.note(bench.repository, "one more", session=NOON_ID)
    ended = sessions.end(bench.repository, session=NOON_ID)
    assert "the only copy" in bench.archived(NOON_ID)
    assert "one more" in bench.archived(NOON_ID)
    assert bench.git("rev-parse", f"{ended.end_tag}^{{commit}}") == head


def test_the_worker_ends_the_session_of_a_removed_work_tree_with_its_text(
    bench: Workbench, second: Workbench
) -> None:
    sessions.start(second.repository, "over there", moment=NOON)
    head = second.commit("work", {"a": "x"})
    sessions.note(second.repository, "the only copy")
    assert sessions.keep_sessions(bench.repository) == []
    bench.git("worktree", "remove", str(second.root))
    bench.git("branch", "-q", "-D", "side")
    (ended,) = sessions.keep_sessions(bench.repository)
    assert (ended.id, ended.abandoned) == (NOON_ID, True)
    text = bench.archived(NOON_ID)
    assert "the only copy" in text
    assert text.endswith("- Status: abandoned\n")
    assert bench.git("rev-parse", f"{END}^{{commit}}") == head
    assert [item.state for item in sessions.list_sessions(bench.repository)] == ["ended"]


def test_a_moved_work_tree_keeps_its_session(bench: Workbench, second: Workbench) -> None:
    sessions.start(second.repository, "x", moment=NOON)
    moved = Workbench(bench.root.parent / "moved")
    bench.git("worktree", "move", str(second.root), str(moved.root))
    assert sessions.keep_sessions(bench.repository) == []
    (item,) = sessions.list_sessions(bench.repository)
    assert (item.state, item.work_tree) == ("active", str(moved.root))
    sessions.note(moved.repository, "after the move")
    assert sessions.end(moved.repository).id == NOON_ID
    assert "after the move" in moved.archived(NOON_ID)


def test_an_archived_document_survives_until_a_commit_holds_it(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    sessions.note(bench.repository, "kept")
    ended = sessions.end(bench.repository)
    (bench.root / ended.path).unlink()
    (item,) = sessions.list_sessions(bench.repository)
    assert (item.title, item.state, item.path) == ("x", "ended", None)
    text = sessions.find_session(bench.repository, NOON_ID).text
    assert "kept" in text
    (bench.root / ended.path).write_text(text)
    bench.git("add", "layer")
    bench.git("commit", "-q", "-m", "archive")
    sessions.keep_sessions(bench.repository)
    assert bench.records() == []


@pytest.mark.parametrize("program", ["sync", "session command", "worker"])
def test_an_edit_of_an_archived_document_survives_a_clean_when_patina_ran_since(
    bench: Workbench, program: str
) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    ended = sessions.end(bench.repository)
    path = bench.root / ended.path
    path.write_text(f"{path.read_text()}typed after the end\n")
    written = path.stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(written, written))
    if program == "sync":
        with patina_hooks.open(bench.root) as patina:
            patina.sync(most=0)
    elif program == "worker":
        sessions.keep_sessions(bench.repository)
    else:
        sessions.start(bench.repository, "y")
    bench.git("clean", "-q", "-fd")
    assert "typed after the end\n" in sessions.find_session(bench.repository, NOON_ID).text


# --- idle sessions ------------------------------------------------------------------------------------


def test_the_worker_ends_a_session_that_is_idle(bench: Workbench) -> None:
    sessions.start(bench.repository, "idle", moment=NOON)
    head = bench.commit("work", {"a": "x"})
    assert sessions.keep_sessions(bench.repository) == []
    now = datetime.now().timestamp()
    hour = 3_600
    assert sessions.keep_sessions(bench.repository, now=now + 71 * hour) == []
    (ended,) = sessions.keep_sessions(bench.repository, now=now + 73 * hour)
    assert (ended.id, ended.abandoned) == (NOON_ID, True)
    assert bench.git("rev-parse", f"{END}^{{commit}}") == head
    dated = int(bench.git("for-each-ref", "--format=%(taggerdate:unix)", f"refs/tags/{END}"))
    assert abs(dated - now) < hour


@pytest.mark.parametrize(("hours", "is_ended"), [(1, True), (0, False)])
def test_the_idle_time_is_a_setting(bench: Workbench, hours: int, is_ended: bool) -> None:
    path = bench.root / REPOSITORY_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"[session]\nidle_hours = {hours}\n")
    sessions.start(bench.repository, "idle", moment=NOON)
    later = datetime.now() + timedelta(hours=9_000 if hours == 0 else 2)
    assert bool(sessions.keep_sessions(bench.repository, now=later.timestamp())) is is_ended


def test_an_idle_session_whose_archive_is_taken_stays_active(bench: Workbench) -> None:
    sessions.start(bench.repository, "idle", moment=NOON)
    archive = bench.root / f"layer/sessions/{NOON_ID}.md"
    archive.parent.mkdir(parents=True)
    archive.write_text("precious")
    later = datetime.now() + timedelta(hours=100)
    assert sessions.keep_sessions(bench.repository, now=later.timestamp()) == []
    assert (_ids(bench.repository), archive.read_text()) == ([NOON_ID], "precious")


# --- sessions that are created later --------------------------------------------------------------------


def test_a_session_is_created_later_with_its_true_start(bench: Workbench) -> None:
    first = bench.git("rev-parse", "HEAD")
    bench.commit("work", {"a": "x"})
    started = sessions.start(
        bench.repository, "later", adapter="claude", moment=NOON, commit=first, continues="20251120-100000"
    )
    assert (started.session.id, started.session.starting_commit) == (NOON_ID, first)
    tag = f"session-{NOON_ID}-claude-start"
    assert bench.git("rev-parse", f"{tag}^{{commit}}") == first
    dated = bench.git("for-each-ref", "--format=%(taggerdate:raw)", f"refs/tags/{tag}")
    assert dated == f"{int(NOON.timestamp())} -0500"
    text = bench.active.read_text()
    assert f"**Starting Commit**: {first}\n**Continues**: 20251120-100000\n\n## Previous" in text
    ended = sessions.end(bench.repository, moment=NOON + timedelta(hours=1))
    assert ended.numbers is not None
    assert ended.numbers.commits == 1


def test_the_api_starts_a_session_that_began_earlier(bench: Workbench) -> None:
    with patina_hooks.open(bench.root) as patina:
        started = patina.start_session("later", adapter="gemini", moment=NOON, commit="HEAD")
    assert (started.session.id, started.session.adapter) == (NOON_ID, "gemini")


def test_a_start_with_an_unknown_commit_or_predecessor_is_refused(bench: Workbench) -> None:
    with pytest.raises(UsageError, match="no commit 'gone'"):
        sessions.start(bench.repository, "x", commit="gone")
    with pytest.raises(UsageError, match="not a session id"):
        sessions.start(bench.repository, "x", continues="yesterday")
    assert bench.tags() == []


# --- tags ---------------------------------------------------------------------------------------------


def test_a_session_survives_the_loss_of_its_tags(bench: Workbench) -> None:
    sessions.start(bench.repository, "a title", adapter="gemini", moment=NOON)
    bench.commit("work", {"a": "x"})
    ended = sessions.end(bench.repository)
    bench.git("tag", "-d", *bench.tags())
    (bench.root / ended.path).unlink()
    for path in bench.store.rglob("*.md"):
        path.unlink()
    (item,) = sessions.list_sessions(bench.repository)
    assert (item.id, item.title, item.adapter, item.state) == (NOON_ID, "a title", "gemini", "ended")
    assert (item.start_tag, item.end_tag) == (ended.start_tag, ended.end_tag)
    assert sessions.start(bench.repository, "next", moment=NOON).session.id == "20251121-183027"


def test_commits_of_a_session_stay_when_branch_and_tags_are_deleted(bench: Workbench) -> None:
    bench.git("switch", "-q", "-c", "side")
    sessions.start(bench.repository, "x", moment=NOON)
    commit = bench.commit("work", {"a": "x"})
    sessions.end(bench.repository)
    bench.git("switch", "-q", "main")
    bench.git("branch", "-q", "-D", "side")
    bench.git("tag", "-d", *bench.tags())
    bench.git("reflog", "expire", "--expire=now", "--all")
    bench.git("gc", "-q", "--prune=now")
    assert bench.git("cat-file", "-t", commit) == "commit"


def test_hidden_refs_are_not_pushed_with_branches_and_tags(bench: Workbench, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "remote.git"], check=True)
    sessions.start(bench.repository, "x", moment=NOON)
    sessions.end(bench.repository)
    bench.git("push", "-q", "--follow-tags", str(tmp_path / "remote.git"), "main", "--tags")
    remote = subprocess.run(
        ["git", "--git-dir", tmp_path / "remote.git", "for-each-ref", "--format=%(refname)"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert remote.stdout.split() == ["refs/heads/main", f"refs/tags/{END}", f"refs/tags/{START}"]
    assert bench.git("branch", "-a") == "* main"


def test_two_processes_keep_both_notes_when_they_write_at_once(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    code = (
        "import sys; from pathlib import Path; from patina_hooks import sessions;"
        "from patina_hooks.git.repository import Repository;"
        "sessions.note(Repository.open(Path(sys.argv[1])), sys.argv[2])"
    )
    racing = [subprocess.Popen([sys.executable, "-c", code, bench.root, f"note {n}"]) for n in range(3)]
    assert [process.wait() for process in racing] == [0, 0, 0]
    assert all(f"note {n}\n" in bench.active.read_text() for n in range(3))
