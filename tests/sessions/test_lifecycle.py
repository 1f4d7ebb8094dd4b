from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sessions.workbench import NOON, NOON_ID, Workbench

from patina_hooks import sessions
from patina_hooks.errors import NotARepository, SessionError, UsageError
from patina_hooks.git.repository import Repository
from patina_hooks.sessions.documents import workspace
from patina_hooks.system.files import replace_file

START = f"session-{NOON_ID}-start"
END = f"session-{NOON_ID}-end"


def test_a_session_from_start_to_end(bench: Workbench) -> None:
    first = bench.git("rev-parse", "HEAD")
    started = sessions.start(bench.repository, "teach it tabs", moment=NOON)
    assert (started.session.id, started.session.starting_commit) == (NOON_ID, first)
    assert bench.git("rev-parse", START + "^{commit}") == first

    second = bench.commit("work", {"src/tabs.py": "x", "layer/notes.txt": "x"})
    updated = sessions.update(bench.repository, moment=NOON + timedelta(minutes=6))
    assert (updated.since, updated.commits, updated.files) == ("18:30", 1, 2)
    noted = sessions.note(bench.repository, "columns are\ncode points", moment=NOON + timedelta(minutes=7))
    assert noted.location == f"main@{second[:7]}"
    (progress,) = sessions.active_sessions(bench.repository)
    assert progress.numbers is not None
    assert (progress.numbers.commits, progress.numbers.files, progress.numbers.patterns) == (1, 2, 1)

    ended = sessions.end(bench.repository)
    assert (ended.work_type, ended.path) == ("pattern-work", f"layer/sessions/{NOON_ID}.md")
    assert bench.git("rev-parse", END + "^{commit}") == second
    assert bench.git("cat-file", "tag", END).endswith("\n\nSession end: teach it tabs")
    assert not bench.active.exists()
    assert bench.archived(NOON_ID) == (
        "# Session: teach it tabs\n"
        f"**ID**: {NOON_ID}\n"
        "**Started**: 2025-11-21T23:30:26Z\n"
        "**LLM**: claude\n"
        "**Git Branch**: main\n"
        f"**Session Tag**: {START}\n"
        f"**Starting Commit**: {first}\n"
        "\n## Previous Session Context\n"
        "<!-- AI: Summarize the last session from last-session.md -->\n"
        "\n## Goals\n- [ ] teach it tabs\n"
        "\n## Activity Log\n### 18:30 - Session Start\n"
        "Session initialized with goal: teach it tabs\n"
        f"Working on branch: main\nTagged as: {START}\n\n"
        "\n### 18:36 - Update (covering since 18:30)\n"
        "\n**Git Activity:**\n- Commits this session: 1\n- Files changed: 2\n"
        f"- Last commit: {updated.last_commit}\n\n"
        f"\n### 18:37 - Note [main@{second[:7]}]\ncolumns are\ncode points\n"
        "\n## Session Classification\n- Work Type: pattern-work\n- Files Changed: 2\n- Commits: 1\n"
        f"- Patterns Modified: 1\n- Session Tags: {START}..{END}\n"
    )
    pointer = (bench.local / "last-session.md").read_text()
    assert f"See: layer/sessions/{NOON_ID}.md\n" in pointer


def test_the_window_of_an_update_opens_at_the_last_one(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    sessions.update(bench.repository, moment=NOON + timedelta(hours=7))
    assert sessions.update(bench.repository, moment=NOON + timedelta(hours=8)).since == "01:30"
    bench.active.write_text(bench.active.read_text().replace("### ", "## "))
    assert sessions.update(bench.repository, moment=NOON + timedelta(hours=9)).since == "session start"


def test_what_the_user_wrote_is_kept_whatever_its_bytes(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    with bench.active.open("ab") as file:
        file.write(b"my words, not UTF-8: \xff\xfe\r\nno newline at the end")
    sessions.note(bench.repository, "n", moment=NOON)
    sessions.end(bench.repository)
    archived = (bench.root / f"layer/sessions/{NOON_ID}.md").read_bytes()
    assert b"my words, not UTF-8: \xff\xfe\r\nno newline at the end\n\n### 18:30 - Note" in archived


def test_an_adapter_named_by_the_user_is_in_the_tags_one_from_settings_is_not(bench: Workbench) -> None:
    (bench.root / ".patina").mkdir()
    (bench.root / ".patina/config.toml").write_text('[session]\nadapter = "gemini"\n')
    sessions.start(bench.repository, "one", moment=NOON)
    assert "**LLM**: gemini\n" in bench.active.read_text()
    sessions.end(bench.repository)
    later = sessions.start(bench.repository, "two", adapter="open_code-2", moment=NOON + timedelta(days=1))
    assert later.session.adapter == "open_code-2"
    assert sessions.end(bench.repository).end_tag == "session-20251122-183026-open_code-2-end"
    assert {START, END} < set(bench.tags())


def test_two_starts_in_one_second_have_two_ids_also_across_work_trees(bench: Workbench) -> None:
    bench.git("worktree", "add", "-q", "../other", "-b", "other")
    other = Repository.open(bench.root.parent / "other")
    ids = [sessions.start(bench.repository, "one", moment=NOON).session.id]
    ids.append(sessions.start(other, "two", adapter="gemini", moment=NOON).session.id)
    assert ids == [NOON_ID, "20251121-183027"]
    (first,), (second,) = sessions.active_sessions(bench.repository), sessions.active_sessions(other)
    assert (first.session.title, second.session.title) == ("one", "two")


def test_starts_at_once_are_all_active_with_ids_of_their_own(bench: Workbench) -> None:
    code = (
        "import sys; from pathlib import Path; from patina_hooks import sessions;"
        "from patina_hooks.git.repository import Repository;"
        "sessions.start(Repository.open(Path(sys.argv[1])), sys.argv[2])"
    )
    racing = [subprocess.Popen([sys.executable, "-c", code, bench.root, f"racer {n}"]) for n in range(4)]
    assert [process.wait() for process in racing] == [0, 0, 0, 0]
    listed = sessions.list_sessions(bench.repository)
    assert sorted(item.title for item in listed) == [f"racer {n}" for n in range(4)]
    assert {item.state for item in listed} == {"active"}
    assert len(bench.tags()) == 4


# --- odd surroundings -------------------------------------------------------------------------------


def test_changes_that_are_not_committed_are_counted_not_touched(bench: Workbench) -> None:
    bench.commit("second", {"a": "x", "b": "x"})
    (bench.root / "a").write_text("changed")
    (bench.root / "untracked").write_text("new")
    bench.git("rm", "-q", "--cached", "b")
    before = bench.git("status", "--porcelain")
    assert sessions.start(bench.repository, "x").uncommitted == 2
    assert bench.git("status", "--porcelain") == before


def test_no_filter_of_the_repository_runs(bench: Workbench, tmp_path: Path) -> None:
    bench.commit("attributes", {".gitattributes": "* filter=evil\n", "a": "x"})
    ran = tmp_path / "ran"
    for key in ("filter.evil.clean", "filter.evil.process", "core.fsmonitor"):
        bench.git("config", key, f"touch '{ran}'; cat")
    (bench.root / "a").write_text("y")
    assert sessions.start(bench.repository, "x").uncommitted == 1
    assert not ran.exists()


def test_a_filter_that_is_required_hides_no_change(bench: Workbench, tmp_path: Path) -> None:
    """As git-lfs sets it up, and one that is required but cleans nothing."""
    ran = tmp_path / "ran"
    bench.commit("attributes", {".gitattributes": "*.bin filter=lfs\n*.raw filter=odd\n"})
    bench.commit("files", {"a.bin": "x", "b.raw": "x", "plain": "x"})
    bench.git("config", "filter.lfs.clean", f"touch '{ran}'; cat")
    for name in ("lfs", "odd"):
        bench.git("config", f"filter.{name}.required", "true")
    for path in ("a.bin", "b.raw"):  # touched: only their content can tell
        os.utime(bench.root / path, (1, 1))
    (bench.root / "plain").write_text("changed")
    assert sessions.start(bench.repository, "x").uncommitted == 1
    assert not ran.exists()


def test_a_filter_that_cannot_be_left_out_leaves_the_count_unknown(bench: Workbench) -> None:
    bench.git("config", "filter.a=b.clean", "cat")
    (bench.root / "readme").write_text("changed")
    assert sessions.start(bench.repository, "x").uncommitted is None


def test_a_detached_head_is_named(bench: Workbench) -> None:
    short = bench.git("rev-parse", "--short", "HEAD")
    bench.git("checkout", "-q", "--detach")
    started = sessions.start(bench.repository, "x", moment=NOON)
    assert started.session.branch == f"HEAD (detached at {short})"
    assert sessions.note(bench.repository, "n").location == f"HEAD@{short}"
    assert sessions.end(bench.repository).work_type == "exploration"


def test_a_repository_without_commits_says_what_to_do(tmp_path: Path) -> None:
    bench = Workbench.make(tmp_path / "new")
    with pytest.raises(SessionError, match="no commit yet") as caught:
        sessions.start(bench.repository, "x")
    assert "git commit" in caught.value.hint
    assert not (bench.root / ".patina").exists()


@pytest.mark.parametrize("arguments", [(), ("init", "-q", "--bare", ".")])
def test_where_there_is_no_work_tree_there_is_no_session(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    if arguments:
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    with pytest.raises(NotARepository):
        Repository.open(tmp_path)


def test_without_a_session_update_note_and_end_say_so(bench: Workbench) -> None:
    for command in (sessions.update, sessions.end):
        with pytest.raises(SessionError, match="no session is active"):
            command(bench.repository)
    with pytest.raises(SessionError, match="no session is active"):
        sessions.note(bench.repository, "x")
    with pytest.raises(UsageError, match="note"):
        sessions.note(bench.repository, " \n")
    assert sessions.active_sessions(bench.repository) == []


def test_the_branch_policy_is_off_unless_it_is_set(bench: Workbench) -> None:
    sessions.start(bench.repository, "on main")
    (bench.root / ".patina/config.toml").write_text('[session]\nbranch_policy = "require"\n')
    with pytest.raises(SessionError, match="cannot start a session on main") as caught:
        sessions.start(bench.repository, "on main again")
    assert "git switch -c" in caught.value.hint
    bench.git("switch", "-q", "-c", "work")
    assert sessions.start(bench.repository, "on work").session.branch == "work"


def test_the_default_branch_is_what_origin_says(bench: Workbench, tmp_path: Path) -> None:
    bench.git("branch", "-m", "trunk")
    subprocess.run(["git", "clone", "-q", bench.root, tmp_path / "clone"], check=True)
    clone = Workbench(tmp_path / "clone")
    clone.git("switch", "-q", "-c", "main")
    (clone.root / ".patina").mkdir()
    (clone.root / ".patina/config.toml").write_text('[session]\nbranch_policy = "require"\n')
    assert sessions.start(clone.repository, "x").session.branch == "main"
    clone.git("switch", "-q", "trunk")
    with pytest.raises(SessionError, match="cannot start a session on trunk"):
        sessions.start(clone.repository, "x")


def test_a_lost_start_tag_is_replaced_by_the_starting_commit(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    bench.commit("work", {"a": "x"})
    bench.git("tag", "-d", START)
    ended = sessions.end(bench.repository)
    assert ended.numbers is not None
    assert ended.numbers.commits == 1


def test_a_lost_start_makes_numbers_unknown_not_wrong(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    bench.git("tag", "-d", START)
    bench.git("update-ref", "-d", f"refs/patina/sessions/{NOON_ID}/start")
    record = bench.store / f"active/{NOON_ID}.json"
    record.write_text(record.read_text().replace(bench.git("rev-parse", "HEAD"), "12" * 20))
    ended = sessions.end(bench.repository)
    assert (ended.numbers, ended.work_type) == (None, "unknown")


def test_an_end_tag_that_is_there_already_says_where_the_session_ended(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    bench.commit("inside", {"a": "x"})
    bench.git("tag", "-a", "-m", "by hand", END)
    bench.commit("after", {"b": "x"})
    ended = sessions.end(bench.repository)
    assert ended.numbers is not None
    assert ended.numbers.commits == 1
    assert bench.git("tag", "-n1", "-l", END).endswith("by hand")


def test_an_end_tag_that_marks_no_commit_says_how_to_go_on(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    bench.git("tag", "-a", "-m", "by hand", END, "HEAD^{tree}")
    with pytest.raises(SessionError, match="already exists") as caught:
        sessions.end(bench.repository)
    assert caught.value.hint == f"git tag --delete {END}"
    bench.git(*caught.value.hint.split()[1:])
    assert sessions.end(bench.repository).id == NOON_ID


# --- neither tag nor document -------------------------------------------------------------------------


def test_a_start_whose_document_cannot_be_written_leaves_no_tag(bench: Workbench) -> None:
    bench.local.mkdir(parents=True)
    (bench.local / "active").write_text("in the way")
    with pytest.raises(SessionError, match=r"cannot write"):
        sessions.start(bench.repository, "x", moment=NOON)
    assert (bench.tags(), bench.git("for-each-ref", "refs/patina"), bench.records()) == ([], "", [])
    (bench.local / "active").unlink()
    assert sessions.start(bench.repository, "x", moment=NOON).session.id == NOON_ID


def test_a_disk_that_fills_up_leaves_neither(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> object:
        if path.suffix == ".md":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace_file(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(workspace, "replace_file", full)
        with pytest.raises(SessionError, match="No space left"):
            sessions.start(bench.repository, "x", moment=NOON)
    assert (bench.tags(), bench.active.exists()) == ([], False)

    sessions.start(bench.repository, "x", moment=NOON)
    with monkeypatch.context() as patch:
        patch.setattr(workspace, "replace_file", full)
        with pytest.raises(SessionError, match="No space left"):
            sessions.end(bench.repository)
    assert bench.tags() == [START]
    assert "Classification" not in bench.active.read_text()
    assert sessions.end(bench.repository).end_tag == END


def test_an_end_whose_archive_is_written_but_not_opened_to_others_is_taken_back(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    real = Path.chmod

    def refuse(path: Path, mode: int) -> None:
        if path.name == f"{NOON_ID}.md":
            raise PermissionError(errno.EPERM, "Operation not permitted")
        real(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "chmod", refuse)
        with pytest.raises(SessionError, match="not permitted"):
            sessions.end(bench.repository)
    assert bench.tags() == [START]
    assert sessions.end(bench.repository).end_tag == END


def test_an_end_that_broke_off_late_is_completed_with_what_was_written_since(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions.start(bench.repository, "x", moment=NOON)

    def busy(_: workspace.Workspace, path: str) -> None:
        raise SessionError(f"{path} cannot be removed: busy")

    with monkeypatch.context() as patch:
        patch.setattr(workspace.Workspace, "remove", busy)
        with pytest.raises(SessionError, match="busy"):
            sessions.end(bench.repository)
    with bench.active.open("a") as file:
        file.write("written after the first attempt\n")
    ended = sessions.end(bench.repository, commit=True)
    assert (ended.id, ended.commit) == (NOON_ID, bench.git("rev-parse", "HEAD"))
    assert "written after the first attempt\n" in bench.archived(NOON_ID)
    assert bench.archived(NOON_ID).count("## Session Classification") == 1
    assert not bench.active.exists()
    assert bench.tags() == [END, START]


def test_a_tag_that_git_refuses_leaves_no_document(bench: Workbench) -> None:
    hook = bench.root / ".git/hooks/reference-transaction"
    hook.write_text("#!/bin/sh\necho 'no tags today' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(SessionError, match="cannot create"):
        sessions.start(bench.repository, "x", moment=NOON)
    assert not bench.active.exists()
    assert bench.records() == []


def test_a_document_that_exists_is_never_written_over(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    archive = bench.root / f"layer/sessions/{NOON_ID}.md"
    archive.parent.mkdir(parents=True)
    archive.write_text("precious")
    with pytest.raises(SessionError, match="already exists"):
        sessions.end(bench.repository)
    assert (archive.read_text(), bench.tags()) == ("precious", [START])


def _start_and_end(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    sessions.end(bench.repository)


@pytest.mark.parametrize("link", [".patina", ".patina/local", "layer", "layer/sessions"])
def test_links_out_of_the_work_tree_are_not_followed(bench: Workbench, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    place = bench.root / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside)
    with pytest.raises(SessionError, match="symbolic link"):
        _start_and_end(bench)
    assert list(outside.iterdir()) == []
    assert END not in bench.tags()


def test_an_active_document_that_is_a_link_is_not_read(bench: Workbench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    sessions.start(bench.repository, "x", moment=NOON)
    bench.active.unlink()
    bench.active.symlink_to(secret)
    with pytest.raises(SessionError, match="symbolic link"):
        sessions.note(bench.repository, "y")
    assert secret.read_text() == "secret"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_an_active_document_that_is_no_file_is_refused_at_once(
    bench: Workbench, make: Callable[[Path], None]
) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    bench.active.unlink()
    make(bench.active)
    with pytest.raises(SessionError, match="not a regular file"):
        sessions.note(bench.repository, "y")


def test_the_local_folder_is_never_committed(bench: Workbench) -> None:
    sessions.start(bench.repository, "x")
    assert (bench.local / ".gitignore").read_text() == "*\n"
    assert bench.git("status", "--porcelain") == ""


# --- end --commit ---------------------------------------------------------------------------------------


def test_the_commit_holds_the_document_alone_and_what_was_staged_stays_staged(bench: Workbench) -> None:
    sessions.start(bench.repository, "a $(title)", moment=NOON)
    (bench.root / "staged").write_text("x")
    bench.git("add", "staged")
    (bench.root / "readme").write_text("not staged")
    ended = sessions.end(bench.repository, commit=True)
    assert ended.commit == bench.git("rev-parse", "HEAD")
    assert bench.git("show", "--format=%s%n%b", "--name-only", "HEAD").split("\n") == [
        f"chore: archive session {NOON_ID}",
        "a $(title)",
        "",
        "",
        ended.path,
    ]
    assert bench.git("diff", "--cached", "--name-only") == "staged"
    assert bench.git("diff", "--name-only") == "readme"
    assert bench.git("rev-parse", END + "^{commit}") == bench.git("rev-parse", "HEAD~1")


def test_a_hook_that_refuses_the_commit_leaves_the_session_ended_and_the_index_as_it_was(
    bench: Workbench,
) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    (bench.root / "staged").write_text("x")
    bench.git("add", "staged")
    hook = bench.root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nread answer && exit 0\necho 'not on a Friday' >&2\nexit 1\n")
    hook.chmod(0o755)
    before = bench.git("rev-parse", "HEAD")
    with pytest.raises(SessionError, match="is ended, but its document is not committed: not on a Friday"):
        sessions.end(bench.repository, commit=True)
    assert bench.git("rev-parse", "HEAD") == before
    assert bench.git("status", "--porcelain", "-uall").splitlines() == [
        "A  staged",
        f"?? layer/sessions/{NOON_ID}.md",
    ]
    assert bench.tags() == [END, START]


def test_an_ignored_document_is_committed_as_the_hint_says(bench: Workbench) -> None:
    bench.commit("ignore", {".gitignore": "layer/\n"})
    sessions.start(bench.repository, "x", moment=NOON)
    with pytest.raises(SessionError, match="is ended, but its document is not committed") as caught:
        sessions.end(bench.repository, commit=True)
    subprocess.run(["sh", "-c", f"{caught.value.hint} -q -m x"], cwd=bench.root, check=True)
    assert bench.git("show", "--format=", "--name-only", "HEAD") == f"layer/sessions/{NOON_ID}.md"


@pytest.mark.parametrize("what", ["merge", "cherry-pick"])
def test_in_the_midst_of_a_merge_the_hint_is_to_finish_it(bench: Workbench, what: str) -> None:
    bench.git("switch", "-q", "-c", "side")
    bench.commit("side", {"readme": "side"})
    bench.git("switch", "-q", "main")
    bench.commit("main", {"readme": "main"})
    sessions.start(bench.repository, "x", moment=NOON)
    subprocess.run(["git", what, "side"], cwd=bench.root, check=False, capture_output=True)
    bench.git("add", "readme")
    with pytest.raises(SessionError, match=f"partial commit during a {what}") as caught:
        sessions.end(bench.repository, commit=True)
    assert caught.value.hint.startswith("finish the merge or cherry-pick, see git status; then: git add ")
    bench.git("commit", "-q", "-m", "done")
    command = caught.value.hint.partition("then: ")[2]
    subprocess.run(["sh", "-c", f"{command} -q -m x"], cwd=bench.root, check=True)
    assert bench.git("status", "--porcelain") == ""


def test_hooks_may_use_session_commands_themselves(bench: Workbench) -> None:
    sessions.start(bench.repository, "x", moment=NOON)
    code = (
        "from pathlib import Path; from patina_hooks import sessions;"
        "from patina_hooks.git.repository import Repository;"
        "sessions.start(Repository.open(Path()), 'from the hook')"
    )
    hook = bench.root / ".git/hooks/post-commit"
    hook.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}"\n')
    hook.chmod(0o755)
    sessions.end(bench.repository, commit=True)
    (progress,) = sessions.active_sessions(bench.repository)
    assert progress.session.title == "from the hook"
