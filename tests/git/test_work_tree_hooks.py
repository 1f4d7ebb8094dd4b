"""Hooks in the work tree: the file that the team commits has one line, and husky leaves it there."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.husky import HUSKY_8_HOOK, husky_8, husky_9
from support.sandbox import Sandbox, make_sandbox

from patina_hooks.commands.setup.install import install_command, uninstall_command
from patina_hooks.git import stub
from patina_hooks.git.hook_files import EVENTS
from patina_hooks.git.hooks import can_repair, inspect_hooks, install, lost_hooks, repair_hooks, uninstall
from patina_hooks.git.repository import Repository

BOTH = pytest.mark.parametrize("husky", [husky_9, husky_8])


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    sandbox = make_sandbox(tmp_path, monkeypatch)
    monkeypatch.chdir(sandbox.root)
    return sandbox


@pytest.fixture
def repository(sandbox: Sandbox) -> Repository:
    return Repository.open(sandbox.root)


def spooled(repository: Repository) -> list[str]:
    """Return the recorded events since the last call."""
    spool = repository.state / "spool"
    lines = spool.read_text().splitlines() if spool.exists() else []
    spool.unlink(missing_ok=True)
    return lines


def ways(repository: Repository) -> dict[str, str]:
    return {hook.event: hook.method for hook in inspect_hooks(repository).hooks}


def files(sandbox: Sandbox) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file of husky's."""
    paths = [path for path in sandbox.root.glob(".husky/**/*") if path.is_file()]
    return {str(path): (path.stat().st_mode, path.read_bytes()) for path in paths}


@BOTH
def test_every_event_is_recorded_once_when_husky_ran_again(
    sandbox: Sandbox, repository: Repository, husky: Callable[[Path], None]
) -> None:
    husky(sandbox.root)
    install(repository, "/nowhere")
    husky(sandbox.root)
    assert lost_hooks(repository) == ()
    done = [
        sandbox.commit(),
        sandbox.commit("--amend"),
        sandbox.git("checkout", "-q", "-b", "side"),
        sandbox.commit(),
        sandbox.git("checkout", "-q", "main"),
        sandbox.git("merge", "-q", "--no-ff", "-m", "m", "side"),
        sandbox.git("am", "-q", str(sandbox.write("patch", PATCH))),
    ]
    assert [(one.returncode, one.stdout, one.stderr) for one in done] == [(0, "", "")] * len(done)
    assert [line.split()[0] for line in spooled(repository)] == [
        "post-commit", "post-commit", "post-rewrite", "post-checkout", "post-commit", "post-checkout",
        "post-merge", "post-applypatch",
    ]  # fmt: skip


PATCH = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Ada <ada@example.org>
Date: Mon, 1 Jan 2024 00:00:00 +0000
Subject: [PATCH] x

---
diff --git a/new b/new
new file mode 100644
index 0000000..e69de29
--
2.39
"""


@BOTH
def test_uninstall_removes_what_was_added_when_it_was_committed(
    sandbox: Sandbox, repository: Repository, husky: Callable[[Path], None]
) -> None:
    husky(sandbox.root)
    content = HUSKY_8_HOOK if husky is husky_8 else 'echo "mine: $*"'
    sandbox.write(".husky/post-merge", content, 0o755)
    sandbox.write(".husky/post-commit", "#!/bin/sh\n", 0o755)
    before = files(sandbox)
    output = CliRunner().invoke(install_command).output
    assert "Commit these files" in output
    assert str(sandbox.root / ".husky/post-merge") in output
    installed = files(sandbox)
    assert str(sandbox.folder) not in (sandbox.root / ".husky/post-merge").read_text()
    install(repository)
    assert files(sandbox) == installed, "a second install changes something"
    sandbox.out("add", ".husky")
    sandbox.commit(env={"PATINA_SKIP": "1"})
    assert set(ways(repository).values()) == {"line"}
    CliRunner().invoke(uninstall_command)
    assert files(sandbox) == before
    assert set(ways(repository).values()) == {"absent"}
    assert lost_hooks(repository) == (), "removed on purpose"


@BOTH
def test_scripts_of_the_team_run_once_when_the_line_is_in_them(
    sandbox: Sandbox, repository: Repository, husky: Callable[[Path], None]
) -> None:
    husky(sandbox.root)
    sandbox.write(".husky/post-commit", HUSKY_8_HOOK if husky is husky_8 else 'echo "mine: $*"', 0o755)
    sandbox.out("add", ".")
    install(repository, "/nowhere")
    done = sandbox.commit()
    assert (done.stdout + done.stderr).splitlines() == ["mine: "]
    assert spooled(repository) == ["post-commit"]


@BOTH
@pytest.mark.parametrize("committed", [False, True])
def test_repair_writes_nothing_that_git_would_track(
    sandbox: Sandbox, repository: Repository, husky: Callable[[Path], None], committed: bool
) -> None:
    sandbox.commit()
    install(repository, "/nowhere")
    husky(sandbox.root)
    sandbox.write(".husky/post-commit", HUSKY_8_HOOK if husky is husky_8 else "true\n", 0o755)
    if committed:
        sandbox.out("add", "-A")
    before = sandbox.out("status", "--porcelain", "-uall")
    assert lost_hooks(repository) == EVENTS
    assert repair_hooks(repository) == (EVENTS if husky is husky_9 else ())
    assert sandbox.out("status", "--porcelain", "-uall") == before
    assert lost_hooks(repository) == (() if husky is husky_9 else EVENTS)
    install(repository)
    assert set(ways(repository).values()) == {"line"}
    sandbox.commit(env={"HUSKY": "1"})
    assert spooled(repository) == ["post-commit"]


def test_hooks_of_a_generated_folder_are_said_to_be_rewritten(
    sandbox: Sandbox, repository: Repository
) -> None:
    """As release 0.1.0 installed them, and as `repair` does."""
    husky_9(sandbox.root)
    generated = files(sandbox)
    for event in EVENTS:
        path = sandbox.root / ".husky/_" / event
        first, newline, rest = path.read_bytes().partition(b"\n")
        path.write_bytes(first + newline + stub.block(event) + rest)
    hooks = inspect_hooks(repository).hooks
    assert {(hook.method, hook.enabled, hook.remedy) for hook in hooks} == {("block", True, "patina install")}
    assert all("at its next run" in hook.note for hook in hooks)
    install(repository, "/nowhere")
    assert set(ways(repository).values()) == {"line"}
    assert {path: files(sandbox)[path] for path in generated} == generated
    sandbox.commit()
    assert spooled(repository) == ["post-commit"]


def test_line_is_missing_when_another_branch_is_checked_out(sandbox: Sandbox, repository: Repository) -> None:
    husky_8(sandbox.root)
    sandbox.write(".husky/pre-commit", HUSKY_8_HOOK.replace('echo "mine: $*"', "true"), 0o755)
    sandbox.out("add", ".husky")
    sandbox.commit()
    install(repository, "/nowhere")
    sandbox.out("checkout", "-q", "-b", "with-line")
    sandbox.out("add", ".husky")
    sandbox.commit()
    assert lost_hooks(repository) == ()
    sandbox.out("checkout", "-q", "main")
    assert lost_hooks(repository) == EVENTS
    assert not can_repair(repository)


def test_hooks_are_lost_when_the_generated_folder_is_gone(sandbox: Sandbox, repository: Repository) -> None:
    husky_9(sandbox.root)
    install(repository, "/nowhere")
    sandbox.out("clean", "-fdXq", ".husky")
    assert not (sandbox.root / ".husky/_").exists()
    assert lost_hooks(repository) == EVENTS
    assert {hook.remedy for hook in inspect_hooks(repository).hooks} == {"npx husky"}
    assert repair_hooks(repository) == ()
    husky_9(sandbox.root)
    assert lost_hooks(repository) == ()


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        ("#!/usr/bin/env node\nconsole.log()\n", 0o755, "is not a shell script"),
        ("#!/bin/sh\nexit 0\n", 0o644, "is not executable"),
        ("#!/bin/sh\nexec perl -x \"$0\"\n", 0o755, "is not a shell script"),
    ],
)  # fmt: skip
def test_file_of_the_team_stays_when_it_takes_no_line(
    sandbox: Sandbox, repository: Repository, content: str, mode: int, reason: str
) -> None:
    husky_8(sandbox.root)
    path = sandbox.write(".husky/post-commit", content, mode)
    install(repository)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (content, mode)
    hook = inspect_hooks(repository).hooks[0]
    assert (hook.method, hook.enabled, reason in hook.note) == ("by hand", False, True)
    assert hook.remedy == f"add to {path}: {stub.manual_line('post-commit')}"
    assert lost_hooks(repository) == ("post-commit",)
    assert f"  {path}:" in CliRunner().invoke(install_command).output.splitlines()


def test_link_of_the_team_is_not_written_through(sandbox: Sandbox, repository: Repository) -> None:
    husky_9(sandbox.root)
    script = sandbox.write("scripts/hook", "true\n")
    (sandbox.root / ".husky/post-commit").symlink_to("../scripts/hook")
    install(repository)
    assert script.read_text() == "true\n"
    assert ways(repository)["post-commit"] == "by hand"


@pytest.mark.parametrize("text", ["# {line}\n", "#{line}\n"])
def test_line_in_a_comment_is_no_hook(sandbox: Sandbox, repository: Repository, text: str) -> None:
    husky_9(sandbox.root)
    sandbox.write(".husky/post-commit", text.format(line=stub.manual_line("post-commit")))
    install(repository, "/nowhere")
    sandbox.commit()
    assert spooled(repository) == ["post-commit"]


def test_line_runs_again_when_its_file_lost_the_executable_bit(
    sandbox: Sandbox, repository: Repository
) -> None:
    husky_8(sandbox.root)
    install(repository, "/nowhere")
    path = sandbox.root / ".husky/post-commit"
    path.chmod(0o644)
    assert lost_hooks(repository) == ("post-commit",)
    assert inspect_hooks(repository).hooks[0].remedy == f"chmod +x {path}"
    assert repair_hooks(repository) == (), "a file that git would track"
    install(repository, "/nowhere")
    assert lost_hooks(repository) == ()


def test_line_of_the_first_release_is_seen(sandbox: Sandbox, repository: Repository) -> None:
    husky_9(sandbox.root)
    line = (
        'patina_event=post-commit sh "$(git rev-parse --git-common-dir)/patina/hook.sh" "$@" 2>/dev/null || :'
    )
    path = sandbox.write(".husky/post-commit", f"{line}\n")
    install(repository, "/nowhere")
    assert path.read_text() == f"{line}\n"
    assert ways(repository)["post-commit"] == "by hand"
    sandbox.commit()
    assert spooled(repository) == ["post-commit"]


def test_lines_are_removed_when_core_hooks_path_was_unset(sandbox: Sandbox, repository: Repository) -> None:
    husky_9(sandbox.root)
    before = files(sandbox)
    install(repository)
    sandbox.out("config", "--unset", "core.hooksPath")
    uninstall(repository)
    assert files(sandbox) == before


def test_committed_lines_stay_when_git_runs_hooks_of_its_configuration(
    sandbox: Sandbox, repository: Repository
) -> None:
    husky_9(sandbox.root)
    install(repository, config_hooks=False)
    before = files(sandbox)
    (sandbox.root / ".husky/post-merge").unlink()
    hooks = install(repository, config_hooks=True).hooks
    assert {hook.event: hook.method for hook in hooks} == dict.fromkeys(EVENTS, "line") | {
        "post-merge": "config"
    }
    assert files(sandbox).items() <= before.items()


def test_work_tree_inside_a_bare_repository_keeps_its_files(
    tmp_path: Path, sandbox: Sandbox, repository: Repository
) -> None:
    sandbox.commit()
    bare = tmp_path / "project.git"
    sandbox.out("clone", "-q", "--bare", str(sandbox.root), str(bare))
    sandbox.out("worktree", "add", "-q", str(bare / "trees/main"), "main", cwd=bare)
    inner = Sandbox(sandbox.folder, bare / "trees/main")
    husky_8(inner.root)
    other = Repository.open(inner.root)
    install(other, "/nowhere")
    assert set(ways(other).values()) == {"line"}
    (inner.root / ".husky/post-commit").unlink()
    assert repair_hooks(other) == ()


@pytest.mark.parametrize("state", ["absent", "pipe", "folder", "unreadable"])
def test_line_is_harmless_when_the_state_is(sandbox: Sandbox, repository: Repository, state: str) -> None:
    husky_9(sandbox.root)
    install(repository, "/nowhere")
    script = repository.state / stub.SCRIPT
    if state == "unreadable":
        script.chmod(0)
    else:
        script.unlink()
    if state == "pipe":
        os.mkfifo(script)
    elif state == "folder":
        script.mkdir()
    done = sandbox.commit()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@given(
    st.lists(
        st.sampled_from([b"# comment", b"npm test", b"exit 0", b"", b"\xff\xfe", b"\t. x/_/husky.sh", b"\r"]),
        max_size=6,
    ),
    st.booleans(),
)
def test_line_comes_out_as_it_went_in(lines: list[bytes], newline: bool) -> None:
    content = b"\n".join(lines) + (b"\n" if newline else b"")
    for position in (0, content.find(b"\n") + 1):
        added = content[:position] + stub.line("post-merge") + content[position:]
        assert stub.has_added_line(added, "post-merge")
        assert not stub.has_line(added, "post-rewrite")
        assert stub.without_line(added, "post-merge") == content


def test_line_is_one_for_every_shell(sandbox: Sandbox) -> None:
    """No state folder, no repository: status 0 and no output, with errors and unset variables fatal."""
    for event in EVENTS:
        done = subprocess.run(
            ["sh", "-euc", stub.manual_line(event)], cwd=sandbox.folder, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, b"")
