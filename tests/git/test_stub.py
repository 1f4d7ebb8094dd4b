"""What git runs: silent, at rc 0, without waiting, whatever is broken around it."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sandbox import Recorder, Sandbox, make_recorder, make_sandbox

from patina_hooks.git import stub
from patina_hooks.git.hook_files import EVENTS
from patina_hooks.git.hooks import install
from patina_hooks.git.repository import Repository


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    return make_sandbox(tmp_path, monkeypatch, "a repo's \u00fcber $(odd) name")


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with make_recorder(tmp_path) as recorder:
        yield recorder


@pytest.fixture
def state(sandbox: Sandbox, recorder: Recorder) -> Path:
    repository = Repository.open(sandbox.root)
    install(repository, str(recorder.path))
    return repository.state


def assert_silent(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def spooled(state: Path) -> list[str]:
    spool = state / "spool"
    return spool.read_text().splitlines() if spool.is_file() else []


def test_a_commit_is_noted_and_starts_the_worker_outside_the_repository(
    sandbox: Sandbox, recorder: Recorder, state: Path
) -> None:
    assert_silent(sandbox.commit())
    assert spooled(state) == ["post-commit"]
    option, _, event, common, work_tree, folder = recorder.started()
    assert (option, event) == ("-c", "post-commit")
    assert Path(common) == sandbox.root / ".git"
    assert Path(work_tree) == sandbox.root
    assert folder == "/"


def test_each_event_is_noted_with_its_arguments(sandbox: Sandbox, state: Path) -> None:
    sandbox.commit()
    assert_silent(sandbox.commit("--amend"))
    head = sandbox.out("rev-parse", "HEAD")
    assert_silent(sandbox.git("checkout", "-q", "-b", "side"))
    sandbox.commit()
    assert_silent(sandbox.git("checkout", "-q", "main"))
    assert_silent(sandbox.git("merge", "-q", "--no-ff", "-m", "m", "side"))
    assert spooled(state) == [
        "post-commit",
        "post-commit",
        "post-rewrite amend",
        f"post-checkout {head} {head} 1",
        "post-commit",
        f"post-checkout {sandbox.out('rev-parse', 'side')} {head} 1",
        "post-merge 0",
    ]
    assert_silent(sandbox.git("am", "-q", str(sandbox.write("patch", _PATCH))))
    assert spooled(state)[-1] == "post-applypatch"


_PATCH = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Ada <ada@example.org>
Date: Sat, 1 Nov 2025 10:00:00 +0000
Subject: [PATCH] one

---
diff --git a/one b/one
new file mode 100644
--- /dev/null
+++ b/one
@@ -0,0 +1 @@
+one
--
2.39.5
"""


def test_a_commit_does_not_wait_for_the_worker(sandbox: Sandbox, recorder: Recorder, state: Path) -> None:
    """The caller reads the output to its end, and has passed git a high descriptor of it too."""
    gate = recorder.pipe.with_name("gate")
    os.mkfifo(gate)
    held = '#!/bin/sh\nread -r answer <"${0%/*}/gate"\nprintf "%s\\0" "$answer" >"${0%/*}/pipe"\n'
    recorder.path.write_text(held)
    done = subprocess.run(
        ["sh", "-c", "exec 9>&1; git commit -q --allow-empty -m x"],
        cwd=sandbox.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert_silent(done)
    # Only now the worker may go on: it was alive all the time that the output was read.
    gate.write_text("go on\n")
    assert recorder.started() == ["go on"]


@pytest.mark.parametrize("environment", [{"PATINA_SKIP": "1"}, {"CI": "true"}])
def test_it_is_off_when_told_so(sandbox: Sandbox, state: Path, environment: dict[str, str]) -> None:
    assert_silent(sandbox.commit(env=environment))
    assert spooled(state) == []


def test_it_is_on_in_ci_when_asked_for(sandbox: Sandbox, recorder: Recorder, state: Path) -> None:
    assert_silent(sandbox.commit(env={"CI": "true", "PATINA_CI": "1"}))
    assert spooled(state) == ["post-commit"]
    assert recorder.started()


def test_without_a_state_folder_nothing_happens(sandbox: Sandbox, state: Path) -> None:
    shutil.rmtree(state)
    assert_silent(sandbox.commit())
    assert not state.exists()


def spool_is_a_folder(sandbox: Sandbox, state: Path, recorder: Recorder) -> None:
    (state / "spool").mkdir()


def disk_is_full(sandbox: Sandbox, state: Path, recorder: Recorder) -> None:
    (state / "spool").symlink_to("/dev/full")


def interpreter_is_gone(sandbox: Sandbox, state: Path, recorder: Recorder) -> None:
    recorder.path.unlink()


def interpreter_does_not_run(sandbox: Sandbox, state: Path, recorder: Recorder) -> None:
    recorder.path.write_text("#!/nowhere/to/be/found\n")


def script_is_empty(sandbox: Sandbox, state: Path, recorder: Recorder) -> None:
    (state / stub.SCRIPT).write_bytes(b"")


def script_is_a_folder(sandbox: Sandbox, state: Path, recorder: Recorder) -> None:
    (state / stub.SCRIPT).unlink()
    (state / stub.SCRIPT).mkdir()


def replace_with_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def spool_is_a_pipe(sandbox: Sandbox, state: Path, recorder: Recorder) -> None:
    replace_with_pipe(state / "spool")


def script_is_a_pipe(sandbox: Sandbox, state: Path, recorder: Recorder) -> None:
    replace_with_pipe(state / stub.SCRIPT)


def script_is_a_link_to_a_pipe(sandbox: Sandbox, state: Path, recorder: Recorder) -> None:
    replace_with_pipe(state / "pipe")
    (state / stub.SCRIPT).unlink()
    (state / stub.SCRIPT).symlink_to("pipe")


def state_is_a_pipe(sandbox: Sandbox, state: Path, recorder: Recorder) -> None:
    shutil.rmtree(state)
    os.mkfifo(state)


@pytest.mark.parametrize(
    "fault",
    [
        spool_is_a_pipe,
        script_is_a_pipe,
        script_is_a_link_to_a_pipe,
        state_is_a_pipe,
        spool_is_a_folder,
        disk_is_full,
        interpreter_is_gone,
        interpreter_does_not_run,
        script_is_empty,
        script_is_a_folder,
    ],
    ids=lambda fault: fault.__name__,
)
def test_git_does_not_notice_a_fault(
    sandbox: Sandbox,
    recorder: Recorder,
    state: Path,
    fault: Callable[[Sandbox, Path, Recorder], None],
) -> None:
    fault(sandbox, state, recorder)
    assert_silent(sandbox.commit())
    assert_silent(sandbox.git("checkout", "-q", "-b", "side"))


@pytest.mark.parametrize("fault", [spool_is_a_folder, disk_is_full])
def test_what_cannot_be_noted_is_looked_for_all_the_same(
    sandbox: Sandbox, recorder: Recorder, state: Path, fault: Callable[[Sandbox, Path, Recorder], None]
) -> None:
    fault(sandbox, state, recorder)
    sandbox.commit()
    assert recorder.started()


def test_an_interpreter_that_is_gone_is_replaced_by_the_command(
    sandbox: Sandbox, recorder: Recorder, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.path.rename(recorder.path.with_name("patina"))
    monkeypatch.setenv("PATH", f"{recorder.path.parent}:{os.environ['PATH']}")
    assert_silent(sandbox.commit())
    assert recorder.started() == ["hook", "post-commit", str(sandbox.root)]


def test_an_interpreter_without_patina_hands_on_to_the_command(
    sandbox: Sandbox, recorder: Recorder, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a virtual environment was made again; nothing of the repository is imported."""
    venv.EnvBuilder(symlinks=True).create(tmp_path / "empty")
    (state / stub.SCRIPT).write_bytes(stub.hook_script(str(tmp_path / "empty/bin/python")))
    sandbox.write("importlib/__init__.py", "raise SystemExit")
    sandbox.write("patina_hooks/worker.py", "raise SystemExit")
    recorder.path.rename(recorder.path.with_name("patina"))
    monkeypatch.setenv("PATH", f"{recorder.path.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert_silent(sandbox.commit())
    assert recorder.started() == ["hook", "post-commit", str(sandbox.root)]


def test_an_empty_environment(sandbox: Sandbox, recorder: Recorder, state: Path) -> None:
    """As a hook is run by a client that was not started from a shell."""
    for path in ({}, {"PATH": ""}):
        done = subprocess.run(
            [sandbox.root / ".git/hooks/post-commit"],
            cwd=sandbox.root, env=path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert_silent(done)
        assert recorder.started()[-3:] == [str(sandbox.root / ".git"), str(sandbox.root), "/"]


def test_a_read_only_repository(sandbox: Sandbox, recorder: Recorder, state: Path) -> None:
    """A commit is not possible there, but a hook may run; for root, who may write everywhere, too."""
    (state / "spool").touch()
    (state / "spool").chmod(0o400)
    state.chmod(0o500)
    try:
        done = subprocess.run(
            [sandbox.root / ".git/hooks/post-checkout", "a", "b", "1"],
            cwd=sandbox.root, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        state.chmod(0o700)
    assert_silent(done)
    assert recorder.started()


def test_standard_input_is_left_to_others(sandbox: Sandbox, recorder: Recorder, state: Path) -> None:
    hook = sandbox.root / ".git/hooks/post-rewrite"
    done = subprocess.run(
        ["sh", "-c", '"$1" amend; cat', "sh", hook],
        cwd=sandbox.root, input="old new\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "old new\n"
    assert spooled(state) == ["post-rewrite amend"]


def test_arguments_cannot_add_lines(sandbox: Sandbox, state: Path) -> None:
    hook = sandbox.root / ".git/hooks/post-merge"
    subprocess.run([hook, "1\npost-commit", "\x1b[31m"], cwd=sandbox.root, timeout=60, check=True)
    assert spooled(state) == ["post-merge"]


def test_linked_work_trees_share_one_spool(sandbox: Sandbox, recorder: Recorder, state: Path) -> None:
    sandbox.commit()
    recorder.started()
    tree = sandbox.folder / "linked tree"
    assert_silent(sandbox.git("worktree", "add", "-q", "-b", "linked", str(tree)))
    *_, common, work_tree, _ = recorder.started()
    assert (Path(common).resolve(), Path(work_tree)) == (sandbox.root / ".git", tree)
    before = len(spooled(state))
    assert_silent(sandbox.commit(cwd=tree))
    *_, common, work_tree, _ = recorder.started()
    assert (Path(common).resolve(), Path(work_tree)) == (sandbox.root / ".git", tree)
    assert spooled(state)[before:] == ["post-commit"]


def test_a_linked_work_tree_needs_no_git_process(sandbox: Sandbox, recorder: Recorder, state: Path) -> None:
    sandbox.commit()
    recorder.started()
    tree = sandbox.folder / "linked"
    sandbox.out("worktree", "add", "-q", str(tree))
    recorder.started()
    done = subprocess.run(
        [sandbox.root / ".git/hooks/post-commit"],
        cwd=tree,
        env={"PATH": "", "GIT_DIR": str(sandbox.root / ".git/worktrees/linked")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert_silent(done)
    assert spooled(state)[-1] == "post-commit"


def test_a_submodule_has_a_memory_of_its_own(sandbox: Sandbox, recorder: Recorder, state: Path) -> None:
    sandbox.commit()
    recorder.started()
    inner = sandbox.folder / "inner"
    sandbox.out("init", "-q", str(inner))
    sandbox.commit(cwd=inner)
    sandbox.out("submodule", "add", "-q", str(inner), "part")
    part = Repository.open(sandbox.root / "part")
    install(part, str(recorder.path))
    before = spooled(state)
    assert_silent(sandbox.commit(cwd=sandbox.root / "part"))
    assert spooled(part.state) == ["post-commit"]
    assert spooled(state) == before
    *_, common, work_tree, _ = recorder.started()
    assert Path(common).resolve() == sandbox.root / ".git/modules/part"
    assert Path(work_tree) == sandbox.root / "part"


def test_a_commit_from_a_folder_below(sandbox: Sandbox, recorder: Recorder, state: Path) -> None:
    below = sandbox.root / "some" / "where"
    below.mkdir(parents=True)
    assert_silent(sandbox.commit(cwd=below))
    assert recorder.started()[-3:-1] == [str(sandbox.root / ".git"), str(sandbox.root)]


def test_a_repository_that_was_moved(sandbox: Sandbox, recorder: Recorder, state: Path) -> None:
    moved = sandbox.folder / "elsewhere"
    sandbox.root.rename(moved)
    assert_silent(sandbox.commit(cwd=moved))
    assert recorder.started()[-3:-1] == [str(moved / ".git"), str(moved)]
    assert spooled(moved / ".git/patina") == ["post-commit"]


def test_a_full_hundred_commits_are_noted(sandbox: Sandbox, state: Path) -> None:
    (state / stub.SCRIPT).write_bytes(stub.hook_script("/nowhere"))
    bare = {**os.environ, "PATH": os.defpath}  # no `patina` to fall back on: only the notes count here
    with subprocess.Popen(
        ["sh", "-c", "for i in 1 2 3 4 5; do .git/hooks/post-commit & done; wait"], cwd=sandbox.root, env=bare
    ) as many:
        for _ in range(20):
            subprocess.run([".git/hooks/post-merge", "0"], cwd=sandbox.root, check=True, env=bare)
        assert many.wait(60) == 0
    assert sorted(spooled(state)) == ["post-commit"] * 5 + ["post-merge 0"] * 20


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("options", ["", "-eu"])
def test_the_block_leaves_the_script_around_it_alone(
    sandbox: Sandbox, recorder: Recorder, state: Path, shell: str, options: str
) -> None:
    """Arguments, options, standard input and exit code are those of the script without the block."""
    script = stub.block("post-merge") + b'cat; echo "$# $1 $-"; exit 7\n'
    command = [shell, *([options] if options else []), "-s", "one", "two"]
    run = ["-c", 'exec "$0" "$@"', *command]
    with_it = subprocess.run(
        [shell, *run], cwd=sandbox.root, input=script, capture_output=True, timeout=60, check=False
    )
    without = subprocess.run(
        [shell, *run],
        cwd=sandbox.root, input=stub.without_block(script), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert with_it.returncode == 7
    assert (with_it.stdout, with_it.stderr) == (without.stdout, without.stderr)
    assert recorder.started()


@pytest.mark.parametrize("options", ["", "-eu"])
def test_the_block_outside_a_repository(tmp_path: Path, options: str) -> None:
    """A hook that is shared by all repositories of a user may run where git cannot be asked."""
    script = stub.block("post-commit") + b'echo "$patina_state"; exit 7\n'
    for path in (os.environ["PATH"], ""):
        done = subprocess.run(
            ["/bin/sh", *([options] if options else []), "-s"],
            cwd=tmp_path, input=script, env={"PATH": path}, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (7, b".git/patina\n", b"")


@pytest.mark.parametrize("folder", ["here", "nowhere"])
def test_the_line_to_add_by_hand(sandbox: Sandbox, recorder: Recorder, state: Path, folder: str) -> None:
    """Works where patina is installed, and is silent for those who do not have it."""
    if folder == "nowhere":
        shutil.rmtree(state)
    sandbox.write(".githooks/post-checkout", "#!/bin/sh\n" + stub.manual_line("post-checkout") + "\n", 0o755)
    sandbox.out("config", "core.hooksPath", ".githooks")
    sandbox.commit()
    assert_silent(sandbox.git("checkout", "-q", "-b", "side"))
    if folder == "here":
        head = sandbox.out("rev-parse", "HEAD")
        assert spooled(state) == [f"post-checkout {head} {head} 1"]
        assert recorder.started()[-3:-1] == [str(sandbox.root / ".git"), str(sandbox.root)]


@pytest.mark.parametrize("event", EVENTS)
def test_the_configured_command_as_git_runs_it(
    sandbox: Sandbox, recorder: Recorder, state: Path, event: str
) -> None:
    """git (2.54, run-command.c) hands the value to sh -c, with "$@" behind it where there are arguments."""
    command = stub.config_command(event)
    for arguments in ([], ["amend"], ["0", "1", "1"]):
        line = f'{command} "$@"' if arguments else command
        done = subprocess.run(
            ["sh", "-c", line, command, *arguments],
            cwd=sandbox.root, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert_silent(done)
        assert spooled(state)[-1] == " ".join([event, *arguments])
        assert recorder.started()[-1] == "/"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), min_size=1))
def test_any_interpreter_path_is_recorded_as_it_is(path: str) -> None:
    assert stub.interpreter_of(stub.hook_script(path)) == path
    quoted = stub.hook_script(path).split(b"\n")[3]
    said = subprocess.run(
        ["sh", "-c", quoted + b'; printf %s "$patina_python"'], capture_output=True, check=True, timeout=60
    )
    assert said.stdout == os.fsencode(path)


@given(st.binary(), st.binary())
def test_taking_the_block_out_gives_back_what_was_around_it(before: bytes, after: bytes) -> None:
    assert stub.without_block(before + stub.block("post-commit") + after) == before + after


def test_a_spool_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    state, target = tmp_path / "patina", tmp_path / "target"
    state.mkdir()
    (state / stub.SCRIPT).write_bytes(stub.hook_script("/nowhere/python"))
    command = f"patina_event=post-commit; patina_state={state}; PATH=; . {state}/{stub.SCRIPT}"
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert (state / "spool").read_text() == "post-commit\n"
    (state / "spool").unlink()
    (state / "spool").symlink_to(target)
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert not target.exists()
