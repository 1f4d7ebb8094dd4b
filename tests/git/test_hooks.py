"""Installing: what was there goes on as before, and comes back to the byte."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.sandbox import Recorder, Sandbox, make_recorder, make_sandbox

from patina_hooks.commands.setup.install import install_command, uninstall_command
from patina_hooks.errors import StateError
from patina_hooks.git import stub
from patina_hooks.git.hook_files import EVENTS
from patina_hooks.git.hook_script import renew_script
from patina_hooks.git.hooks import (
    Installation,
    has_config_hooks,
    inspect_hooks,
    install,
    lost_hooks,
    repair_hooks,
    uninstall,
)
from patina_hooks.git.repository import Repository


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    return make_sandbox(tmp_path, monkeypatch)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with make_recorder(tmp_path) as recorder:
        yield recorder


@pytest.fixture
def repository(sandbox: Sandbox) -> Repository:
    return Repository.open(sandbox.root)


def ways(installation: Installation) -> dict[str, str]:
    return {hook.event: hook.method for hook in installation.hooks}


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every path below a folder with its mode and content (for a link: its text)."""
    found: dict[str, tuple[int, bytes]] = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content = (
            bytes(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        )
        found[str(path.relative_to(folder))] = (mode, content)
    return found


def git_folder(sandbox: Sandbox) -> dict[str, tuple[int, bytes]]:
    return {
        p: v for p, v in snapshot(sandbox.root / ".git").items() if p.split("/")[0] in ("hooks", "config")
    }


SHELL = b'#!/bin/sh\n# mine\ncat >stdin-seen\necho "mine: $*"\nexit 3\n'
HUSKY = b'#!/usr/bin/env sh\n. "$(dirname "$0")/_/husky.sh"\n\nnpm test\n'
POLYGLOT = b"#!/bin/sh\n'''exec' /usr/bin/python3 \"$0\" \"$@\"\n' '''\nprint('mine')\n"
DISPATCHER = b"#!/usr/bin/env python3\nimport os, sys\nprint(os.path.basename(sys.argv[0]), *sys.argv[1:])\n"
BINARY = b"\x7fELF\x00\xff\n" * 40
PAYLOAD = b'#!/bin/sh\ntail -n +3 "$0" | wc -c\n\0\1\2\n'


@pytest.mark.parametrize(
    ("content", "mode", "way"),
    [
        (None, 0, "whole"),
        (SHELL, 0o755, "block"),
        (SHELL.replace(b"/bin/sh", b"/usr/bin/env bash"), 0o750, "block"),
        (SHELL.replace(b"sh\n", b"sh -eu\n", 1), 0o700, "block"),
        (HUSKY, 0o755, "block"),
        (b"#!/bin/sh\n", 0o777, "block"),
        (SHELL, 0o644, "wrapper"),
        (SHELL.replace(b"sh\n", b"sh -x\n", 1), 0o755, "wrapper"),
        (SHELL.replace(b"\n", b"\r\n"), 0o755, "wrapper"),
        (b"#!/bin/zsh\necho mine\n", 0o755, "wrapper"),
        (b"echo mine, without a first line\n", 0o755, "wrapper"),
        (b"#!/bin/sh", 0o755, "wrapper"),
        (b"", 0o755, "wrapper"),
        (POLYGLOT, 0o755, "wrapper"),
        (DISPATCHER, 0o711, "wrapper"),
        (BINARY, 0o755, "wrapper"),
        (PAYLOAD, 0o755, "wrapper"),
    ],
)
def test_uninstall_gives_back_what_was_there(
    sandbox: Sandbox, repository: Repository, content: bytes | None, mode: int, way: str
) -> None:
    if content is not None:
        sandbox.write(".git/hooks/post-commit", content, mode)
    before = git_folder(sandbox)
    assert ways(install(repository))["post-commit"] == way
    installed = git_folder(sandbox)
    assert installed != before
    assert ways(install(repository))["post-commit"] == way
    assert git_folder(sandbox) == installed, "a second install changes something"
    assert set(ways(uninstall(repository)).values()) == {"absent"}
    assert git_folder(sandbox) == before
    uninstall(repository)
    assert git_folder(sandbox) == before


def test_a_repository_without_hooks_folder(sandbox: Sandbox, repository: Repository) -> None:
    for sample in (sandbox.root / ".git/hooks").iterdir():
        sample.unlink()
    (sandbox.root / ".git/hooks").rmdir()
    assert set(ways(install(repository)).values()) == {"whole"}
    assert sandbox.commit().returncode == 0


def test_what_was_there_runs_as_before(sandbox: Sandbox, recorder: Recorder, repository: Repository) -> None:
    """Same arguments, standard input, output and exit code, in a block and behind a wrapper."""
    shell = sandbox.write(".git/hooks/post-merge", SHELL, 0o755)
    other = sandbox.write(".git/hooks/post-rewrite", SHELL.replace(b"sh\n", b"dash -f\n", 1), 0o755)
    installation = install(repository, str(recorder.path))
    assert (ways(installation)["post-merge"], ways(installation)["post-rewrite"]) == ("block", "wrapper")
    for hook in (shell, other):
        done = subprocess.run(
            [hook, "a b", "c"],
            cwd=sandbox.root,
            input=b"old new\n",
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (3, b"mine: a b c\n", b"")
        assert (sandbox.root / "stdin-seen").read_bytes() == b"old new\n"
        assert recorder.started()


def test_a_dispatcher_sees_its_own_name(sandbox: Sandbox, repository: Repository) -> None:
    sandbox.write(".git/hooks/post-checkout", DISPATCHER, 0o755)
    install(repository, "/nowhere")
    done = sandbox.git("checkout", "-q", "-b", "side")
    assert done.stdout + done.stderr == ""  # unborn: no hook
    sandbox.commit()
    done = sandbox.git("checkout", "-q", "-b", "other")
    assert (done.stdout + done.stderr).startswith("post-checkout ")


def test_a_hook_that_did_not_run_still_does_not(sandbox: Sandbox, repository: Repository) -> None:
    sandbox.write(".git/hooks/post-commit", SHELL, 0o644)
    install(repository, "/nowhere")
    assert sandbox.commit().stdout == ""
    assert (repository.state / "spool").read_text() == "post-commit\n"


@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_is_never_written_through(sandbox: Sandbox, repository: Repository, absolute: bool) -> None:
    script = sandbox.write("scripts/./hook", SHELL, 0o755)
    link = sandbox.root / ".git/hooks/post-commit"
    link.symlink_to(script if absolute else "../..//scripts/./hook")
    before = git_folder(sandbox)
    assert ways(install(repository, "/nowhere"))["post-commit"] == "wrapper"
    assert script.read_bytes() == SHELL
    done = sandbox.commit()
    assert (done.stdout + done.stderr).startswith("mine:")
    uninstall(repository)
    assert git_folder(sandbox) == before


def test_a_link_to_nothing(sandbox: Sandbox, repository: Repository) -> None:
    (sandbox.root / ".git/hooks/post-commit").symlink_to("../gone")
    before = git_folder(sandbox)
    install(repository, "/nowhere")
    assert sandbox.commit().stderr == ""
    uninstall(repository)
    assert git_folder(sandbox) == before


def test_what_a_user_added_around_a_block_stays(sandbox: Sandbox, repository: Repository) -> None:
    hook = sandbox.write(".git/hooks/post-commit", SHELL, 0o755)
    install(repository)
    hook.write_bytes(hook.read_bytes().replace(b"#!/bin/sh\n", b"#!/bin/sh\n# above\n") + b"# below\n")
    uninstall(repository)
    assert hook.read_bytes() == SHELL.replace(b"#!/bin/sh\n", b"#!/bin/sh\n# above\n") + b"# below\n"
    assert stat.S_IMODE(hook.stat().st_mode) == 0o755


def test_what_a_user_added_to_a_hook_of_ours_stays(sandbox: Sandbox, repository: Repository) -> None:
    install(repository)
    hook = sandbox.root / ".git/hooks/post-commit"
    hook.write_bytes(hook.read_bytes() + b"echo mine\n")
    uninstall(repository)
    assert hook.read_bytes() == b"#!/bin/sh\necho mine\n"


def test_what_a_user_added_before_a_wrapped_hook_stays_with_it(
    sandbox: Sandbox, repository: Repository
) -> None:
    sandbox.write(".git/hooks/post-commit", b"#!/usr/bin/env python3\nprint('old')\n", 0o755)
    install(repository)
    hook = sandbox.root / ".git/hooks/post-commit"
    hook.write_bytes(hook.read_bytes().replace(b"#!/bin/sh\n", b"#!/bin/sh\necho new\n"))
    uninstall(repository)
    done = sandbox.commit()
    assert (done.stdout + done.stderr).splitlines() == ["new", "old"]
    assert stub.MARK not in hook.read_bytes()


def test_a_block_without_its_end_is_left_and_reported(sandbox: Sandbox, repository: Repository) -> None:
    install(repository)
    hook = sandbox.root / ".git/hooks/post-commit"
    hook.write_bytes(hook.read_bytes().replace(b"# <<< patina-hooks <<<\n", b""))
    damaged = hook.read_bytes()
    assert ways(uninstall(repository)) == dict.fromkeys(EVENTS, "absent") | {"post-commit": "block"}
    assert hook.read_bytes() == damaged


def test_another_hook_set_aside_earlier_is_not_lost(sandbox: Sandbox, repository: Repository) -> None:
    sandbox.write(".git/hooks/post-commit", DISPATCHER, 0o755)
    sandbox.write(".git/hooks/patina-chained/post-commit", b"an older one", 0o755)
    before = git_folder(sandbox)
    assert ways(install(repository))["post-commit"] == "by hand"
    uninstall(repository)
    assert git_folder(sandbox) == before


def test_an_install_killed_half_way_is_taken_up_again(sandbox: Sandbox, repository: Repository) -> None:
    """Between the second name and the new hook, the old one runs and nothing is lost."""
    hook = sandbox.write(".git/hooks/post-commit", DISPATCHER, 0o755)
    before = git_folder(sandbox)
    (hook.parent / "patina-chained").mkdir()
    (hook.parent / "patina-chained/post-commit").hardlink_to(hook)
    (hook.parent / ".post-commit.patina").write_bytes(b"#!/bin/sh\n# half")
    assert ways(install(repository))["post-commit"] == "wrapper"
    uninstall(repository)
    assert git_folder(sandbox) == before


def test_pre_commit_that_came_after_us(sandbox: Sandbox, repository: Repository) -> None:
    """It moves our hook to .legacy and runs it from there."""
    install(repository)
    hooks = sandbox.root / ".git/hooks"
    (hooks / "post-commit").rename(hooks / "post-commit.legacy")
    theirs = b"#!/usr/bin/env bash\n# File generated by pre-commit: https://pre-commit.com\nexit 0\n"
    sandbox.write(".git/hooks/post-commit", theirs, 0o755)
    before = git_folder(sandbox)
    assert ways(install(repository))["post-commit"] == "whole"
    assert git_folder(sandbox) == before
    uninstall(repository)
    assert (hooks / "post-commit").read_bytes() == theirs
    assert not (hooks / "post-commit.legacy").exists()


# --- core.hooksPath ---------------------------------------------------------------------------------


def test_a_hooks_folder_outside_is_not_touched(sandbox: Sandbox, repository: Repository) -> None:
    shared = sandbox.folder / "shared"
    shared.mkdir()
    sandbox.out("config", "--global", "core.hooksPath", str(shared))
    installation = install(repository)
    assert set(ways(installation).values()) == {"by hand"}
    assert installation.folder == shared
    assert list(shared.iterdir()) == []
    assert (repository.state / stub.SCRIPT).is_file()


def test_hooks_switched_off_altogether(sandbox: Sandbox, repository: Repository) -> None:
    sandbox.out("config", "core.hooksPath", "/dev/null")
    assert set(ways(install(repository)).values()) == {"by hand"}
    assert set(ways(uninstall(repository)).values()) == {"by hand"}


def test_link_to_a_folder_of_the_work_tree_is_followed_when_installed(
    sandbox: Sandbox, repository: Repository
) -> None:
    sandbox.write("tools/hooks/pre-commit", "#!/bin/sh\n", 0o755)
    sandbox.out("add", "tools")
    for sample in (sandbox.root / ".git/hooks").iterdir():
        sample.unlink()
    (sandbox.root / ".git/hooks").rmdir()
    (sandbox.root / ".git/hooks").symlink_to("../tools/hooks")
    install(repository, "/nowhere")
    (sandbox.root / "tools/hooks/post-commit").unlink()
    assert repair_hooks(repository) == (), "a file that git would track"
    assert set(ways(install(repository, "/nowhere")).values()) == {"line"}
    assert sandbox.commit().stderr == ""
    assert (repository.state / "spool").read_text() == "post-commit\n"
    uninstall(repository)
    assert [path.name for path in (sandbox.root / "tools/hooks").iterdir()] == ["pre-commit"]


def test_hooks_from_before_core_hooks_path_are_removed_too(sandbox: Sandbox, repository: Repository) -> None:
    before = snapshot(sandbox.root / ".git/hooks")
    install(repository)
    sandbox.out("config", "core.hooksPath", str(sandbox.folder / "elsewhere"))
    uninstall(repository)
    assert snapshot(sandbox.root / ".git/hooks") == before


def test_one_installation_serves_all_work_trees(sandbox: Sandbox, repository: Repository) -> None:
    sandbox.commit()
    tree = sandbox.folder / "linked"
    sandbox.out("worktree", "add", "-q", str(tree))
    linked = Repository.open(tree)
    first = install(linked, "/nowhere")
    assert first.folder == sandbox.root / ".git/hooks"
    assert install(repository, "/nowhere") == first
    assert linked.state == repository.state
    uninstall(repository)
    assert set(ways(inspect_hooks(linked)).values()) == {"absent"}


# --- hooks in the configuration ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("git version 2.39.5", False),
        ("git version 2.39.5 (Apple Git-154)", False),
        ("git version 2.53.0.windows.2", False),
        ("git version 2.54.0-rc1", True),
        ("git version 2.54.0", True),
        ("git version 2.100.1", True),
        ("git version 3.0.0", True),
        ("no git at all", False),
    ],
)
def test_which_git_runs_hooks_from_its_configuration(version: str, known: bool) -> None:
    assert has_config_hooks(version) is known


def test_hooks_in_the_configuration(sandbox: Sandbox, repository: Repository) -> None:
    # However many comments and odd sections it has, the file comes back to the byte.
    config = sandbox.root / ".git/config"
    config.write_text(
        config.read_text() + '# mine\n[hook "linter"]\n\tevent = pre-commit\n\tcommand = "lint; x"\n'
    )
    sandbox.out("config", "core.hooksPath", str(sandbox.folder / "elsewhere"))
    before = git_folder(sandbox)
    installation = install(repository, config_hooks=True)
    assert set(ways(installation).values()) == {"config"}
    for event in EVENTS:
        assert sandbox.out("config", f"hook.patina-{event}.event") == event
        assert sandbox.out("config", f"hook.patina-{event}.command") == stub.config_command(event)
        assert str(sandbox.folder) not in sandbox.out("config", f"hook.patina-{event}.command")
    installed = git_folder(sandbox)
    assert {path for path in installed if path.startswith("hooks/")} == {
        path for path in before if path.startswith("hooks/")
    }
    install(repository, config_hooks=True)
    assert git_folder(sandbox) == installed
    uninstall(repository)
    assert git_folder(sandbox) == before


def test_a_newer_git_moves_the_hooks_into_the_configuration(sandbox: Sandbox, repository: Repository) -> None:
    """And an older one back: never both, or every hook would run twice."""
    sandbox.write(".git/hooks/post-merge", SHELL, 0o755)
    before = git_folder(sandbox)
    install(repository, config_hooks=False)
    files = git_folder(sandbox)
    install(repository, config_hooks=True)
    assert {**git_folder(sandbox), "config": before["config"]} == before
    install(repository, config_hooks=False)
    assert git_folder(sandbox) == files


def test_configured_hooks_under_an_older_git_are_pointed_out(repository: Repository) -> None:
    install(repository, config_hooks=True)
    assert all(
        hook.method == "config" and hook.note for hook in inspect_hooks(repository, config_hooks=False).hooks
    )


# --- what else --------------------------------------------------------------------------------------


def test_the_state_folder_is_for_its_owner_alone(repository: Repository) -> None:
    repository.state.mkdir(mode=0o755)
    install(repository)
    assert stat.S_IMODE(repository.state.stat().st_mode) == 0o700


def test_the_interpreter_is_recorded_and_replaced(repository: Repository) -> None:
    assert inspect_hooks(repository).interpreter is None
    install(repository, "/opt/it's here/python")
    assert inspect_hooks(repository).interpreter == "/opt/it's here/python"
    install(repository, "/other/python")
    assert inspect_hooks(repository).interpreter == "/other/python"


def _make_older(repository: Repository) -> bytes:
    """Write `hook.sh` as release 0.1.0 did: it starts a module that has moved since."""
    install(repository)
    path = repository.state / "hook.sh"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"patina_hooks.upkeep.worker", b"patina_hooks.worker"))
    return content


@pytest.mark.parametrize("command", ["status", "sync"])
def test_script_of_another_version_is_renewed_by_the_next_command(
    sandbox: Sandbox, repository: Repository, command: str
) -> None:
    content = _make_older(repository)
    sandbox.out("commit", "-q", "--allow-empty", "-m", "begin")
    subprocess.run([sys.executable, "-m", "patina_hooks", command], cwd=repository.root, check=True)
    assert (repository.state / "hook.sh").read_bytes() == content


def test_script_is_left_alone_when_another_interpreter_wrote_it(repository: Repository) -> None:
    _make_older(repository)
    before = (repository.state / "hook.sh").read_bytes()
    assert not renew_script(repository.state, "/other/python")
    assert (repository.state / "hook.sh").read_bytes() == before


@pytest.mark.parametrize("put_back", [install, repair_hooks])
@pytest.mark.parametrize("content", [None, DISPATCHER])
def test_hook_runs_again_when_it_lost_its_executable_bit(
    sandbox: Sandbox,
    repository: Repository,
    content: bytes | None,
    put_back: Callable[[Repository], object],
) -> None:
    if content:
        sandbox.write(".git/hooks/post-commit", content, 0o755)
    before = git_folder(sandbox)
    install(repository, "/nowhere")
    installed = git_folder(sandbox)
    (sandbox.root / ".git/hooks/post-commit").chmod(0o644)
    notes = {hook.event: hook.note for hook in inspect_hooks(repository).hooks}
    assert "is not executable" in notes["post-commit"]
    assert notes["post-merge"] == ""
    assert lost_hooks(repository) == ("post-commit",)
    put_back(repository)
    assert lost_hooks(repository) == ()
    assert git_folder(sandbox) == installed
    sandbox.commit()
    assert (repository.state / "spool").read_text() == "post-commit\n"
    uninstall(repository)
    assert git_folder(sandbox) == before


def test_script_stays_switched_off_when_our_block_in_it_runs_again(
    sandbox: Sandbox, repository: Repository
) -> None:
    hook = sandbox.write(".git/hooks/post-commit", SHELL, 0o755)
    install(repository, "/nowhere")
    hook.chmod(0o644)
    assert repair_hooks(repository) == ("post-commit",)
    assert sandbox.commit().stdout == ""
    assert (repository.state / "spool").read_text() == "post-commit\n"
    uninstall(repository)
    assert (hook.read_bytes(), stat.S_IMODE(hook.stat().st_mode)) == (SHELL, 0o644)


def test_block_without_its_end_runs_again_when_it_lost_its_executable_bit(
    sandbox: Sandbox, repository: Repository
) -> None:
    install(repository)
    hook = sandbox.root / ".git/hooks/post-commit"
    hook.write_bytes(hook.read_bytes().replace(b"# <<< patina-hooks <<<\n", b""))
    hook.chmod(0o644)
    assert repair_hooks(repository) == ("post-commit",)


@pytest.mark.parametrize("switched_off", ["post-commit", "post-commit.legacy"])
def test_hook_of_pre_commit_records_again_when_it_lost_its_executable_bit(
    sandbox: Sandbox, repository: Repository, switched_off: str
) -> None:
    install(repository, "/nowhere")
    hooks = sandbox.root / ".git/hooks"
    (hooks / "post-commit").rename(hooks / "post-commit.legacy")
    theirs = (
        b"#!/usr/bin/env bash\n# File generated by pre-commit: https://pre-commit.com\n"
        b'[ ! -x "$0.legacy" ] || "$0.legacy" "$@"\n'
    )
    sandbox.write(".git/hooks/post-commit", theirs, 0o755)
    assert lost_hooks(repository) == ()
    (hooks / switched_off).chmod(0o644)
    assert repair_hooks(repository) == ("post-commit",)
    sandbox.commit()
    assert (repository.state / "spool").read_text() == "post-commit\n"
    uninstall(repository)
    assert (hooks / "post-commit").read_bytes() == theirs
    assert not (hooks / "post-commit.legacy").exists()


def test_configured_hooks_are_repaired_when_git_became_older(repository: Repository) -> None:
    install(repository, config_hooks=True)
    assert lost_hooks(repository) == EVENTS
    assert repair_hooks(repository) == EVENTS
    assert set(ways(inspect_hooks(repository)).values()) == {"whole"}


def test_hooks_that_cannot_be_written_are_an_error_with_a_remedy(
    sandbox: Sandbox, repository: Repository
) -> None:
    (sandbox.root / ".git/hooks/post-commit").mkdir()
    assert ways(install(repository))["post-commit"] == "by hand"
    repository.state.rename(sandbox.folder / "moved")
    repository.state.write_text("in the way")
    with pytest.raises(StateError, match="is a file, not a folder"):
        install(repository)
    repository.state.unlink()
    (sandbox.root / ".git/hooks").rename(sandbox.folder / "hooks")
    (sandbox.root / ".git/hooks").write_text("in the way")
    with pytest.raises(StateError, match="cannot change the hooks") as caught:
        install(repository)
    assert caught.value.hint


def test_the_commands_say_what_they_did(
    sandbox: Sandbox, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sandbox.root)
    sandbox.write(".git/hooks/post-merge", SHELL, 0o755)
    said = CliRunner().invoke(install_command).output.splitlines()
    assert "post-commit     installed" in said
    assert "post-merge      added to the existing hook" in said
    assert "hooks removed" in CliRunner().invoke(uninstall_command).output
    sandbox.out("config", "core.hooksPath", "/dev/null")
    said = CliRunner().invoke(install_command).output.splitlines()
    assert "  /dev/null/post-commit:" in said
    assert "    " + stub.manual_line("post-commit") in said


def test_a_line_that_was_added_by_hand_is_seen(
    sandbox: Sandbox, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sandbox.root)
    for event in EVENTS:
        sandbox.write(f".githooks/{event}", f"#!/bin/sh\n{stub.manual_line(event)}\n", 0o755)
    sandbox.out("add", ".githooks")
    sandbox.out("config", "core.hooksPath", ".githooks")
    before = snapshot(sandbox.root / ".githooks")
    hooks = install(repository).hooks
    assert lost_hooks(repository) == ()
    assert {(hook.method, hook.note) for hook in hooks} == {("by hand", "")}
    assert "Add the line" not in CliRunner().invoke(install_command).output
    assert snapshot(sandbox.root / ".githooks") == before


@given(
    st.lists(
        st.sampled_from([b"# comment", b"echo x", b"exit 0", b"", b"\xff\xfe", b"if true; then :; fi"]),
        max_size=6,
    ),
    st.booleans(),
)
def test_a_block_comes_out_as_it_went_in(lines: list[bytes], newline: bool) -> None:
    content = b"#!/bin/sh\n" + b"\n".join(lines) + (b"\n" if newline else b"")
    first, end, rest = content.partition(b"\n")
    assert stub.without_block(first + end + stub.block("post-commit") + rest) == content
    assert not stub.is_only_ours(first + end + stub.block("post-commit") + rest, "post-commit")


def test_a_line_that_was_added_by_hand_is_named_when_the_rest_is_removed(
    sandbox: Sandbox, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sandbox.root)
    sandbox.out("config", "core.hooksPath", ".husky")
    sandbox.write(".husky/post-commit", f"#!/bin/sh\n{stub.manual_line('post-commit')}\n", 0o755)
    sandbox.out("add", ".husky")
    install(repository)
    said = CliRunner().invoke(uninstall_command).output.splitlines()
    assert said[:2] == [
        f"post-commit     remove this line from {sandbox.root}/.husky/post-commit:",
        f"  {stub.manual_line('post-commit')}",
    ]
    assert "hooks removed" not in said
    sandbox.write(".husky/post-commit", "#!/bin/sh\n", 0o755)
    assert "hooks removed" in CliRunner().invoke(uninstall_command).output.splitlines()


def test_hooks_are_repaired_when_another_tool_removed_them(sandbox: Sandbox, repository: Repository) -> None:
    assert lost_hooks(repository) == (), "none were installed"
    install(repository, "/usr/bin/python-of-the-hooks")
    assert lost_hooks(repository) == ()
    sandbox.write(".git/hooks/post-commit", "#!/bin/sh\necho another tool\n", 0o755)
    (sandbox.root / ".git/hooks/post-merge").unlink()
    assert lost_hooks(repository) == ("post-commit", "post-merge")
    assert repair_hooks(repository) == ("post-commit", "post-merge")
    assert lost_hooks(repository) == ()
    assert inspect_hooks(repository).interpreter == "/usr/bin/python-of-the-hooks"
    assert "another tool" in (sandbox.root / ".git/hooks/post-commit").read_text()
    uninstall(repository)
    assert repair_hooks(repository) == (), "removed on purpose"


def test_hooks_that_moved_are_repaired_when_husky_sets_its_own_folder(
    sandbox: Sandbox, repository: Repository
) -> None:
    """husky 9 writes an untracked folder again at each install, and points core.hooksPath at it."""
    install(repository)
    sandbox.write(".husky/_/.gitignore", "*")
    sandbox.write(".husky/_/post-commit", '#!/usr/bin/env sh\n. "$(dirname "$0")/h"', 0o755)
    sandbox.out("config", "core.hooksPath", ".husky/_")
    assert repair_hooks(repository) == EVENTS
    assert lost_hooks(repository) == ()
    assert sandbox.out("status", "--porcelain", "-uall") == ""
