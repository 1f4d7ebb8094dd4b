"""Git's environment: trust in a folder is handed on, nothing else of a caller's configuration is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.memory import Memory
from support.shell import PATINA
from support.workers import wait_for_workers

from patina_hooks.errors import NotARepository
from patina_hooks.git.child import ChildGit
from patina_hooks.git.environment import oldest_git, trust_variables, trusted_folders
from patina_hooks.git.hooks import install
from patina_hooks.git.repository import Repository
from patina_hooks.upkeep.worker import open_repository

ROOT = Path(__file__).parents[2]


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots", {"README.md": "x"})
    return memory


def counted(*settings: tuple[str, str]) -> dict[str, str]:
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


@pytest.mark.parametrize(
    ("environment", "folders"),
    [
        ({}, []),
        (counted(("safe.directory", "/a"), ("core.bare", "true"), ("SAFE.Directory", "*")), ["/a", "*"]),
        (counted(("safe.directory", "/a"), ("safe.directory", "")), ["/a", ""]),
        ({"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "safe.directory"}, []),
        ({**counted(("safe.directory", "/a")), "GIT_CONFIG_COUNT": "-1"}, []),
        ({**counted(("safe.directory", "/a")), "GIT_CONFIG_COUNT": "²"}, []),
        ({**counted(("safe.directory", "/a")), "GIT_CONFIG_COUNT": "999999999"}, ["/a"]),
        ({"GIT_CONFIG_PARAMETERS": "'safe.directory'='/with space' 'core.bare'='true'"}, ["/with space"]),
        ({"GIT_CONFIG_PARAMETERS": "'safe.directory=/it'\\''s'"}, ["/it's"]),
        ({"GIT_CONFIG_PARAMETERS": "'safe.directory"}, []),
    ],
)
def test_trusted_folders_are_read_when_the_environment_names_them(
    environment: Mapping[str, str], folders: list[str]
) -> None:
    assert trusted_folders(environment) == folders
    assert trusted_folders(trust_variables(environment)) == folders


@pytest.mark.parametrize("writing", [False, True])
def test_child_keeps_only_safe_directory_when_a_caller_configures_git(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, writing: bool
) -> None:
    for name, value in counted(("safe.directory", "/x"), ("user.name", "Mallory")).items():
        monkeypatch.setenv(name, value)
    git = ChildGit(memory.root, writing=writing)
    assert git.text("config", "user.name") == "Ada"
    assert git.text("config", "--get-all", "safe.directory") == "/x"
    assert os.environ["GIT_CONFIG_COUNT"] == "2"


def test_commands_and_worker_read_a_folder_of_another_owner_when_the_environment_trusts_it(
    memory: Memory,
) -> None:
    """As in a container: the image sets GIT_CONFIG_COUNT, and the folder is mounted from outside."""
    install(memory.repository)
    trust = {
        **os.environ,
        **counted(("safe.directory", str(memory.root))),
        **git_that_sees_another_owner(memory),
    }
    done = subprocess.run(
        ["git", "commit", "-q", "--allow-empty", "-m", "marmots dig"],
        cwd=memory.root, env={**trust, "PATINA_SKIP": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        [*PATINA, "sync"], cwd=memory.root, env=trust, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    worker = [sys.executable, "-m", "patina_hooks.upkeep.worker", str(memory.root / ".git"), str(memory.root)]
    memory.git("commit", "-q", "--allow-empty", "-m", "marmots sleep")
    subprocess.run(worker, cwd="/", env=trust, check=True)
    wait_for_workers(memory)
    with memory.log() as log:
        assert log.execute("SELECT count(*) FROM commits").fetchone() == (3,)


def test_worker_log_quotes_git_when_git_refuses_the_folder(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in git_that_sees_another_owner(memory).items():
        monkeypatch.setenv(name, value)
    done = subprocess.run(
        [*PATINA, "status"], cwd=memory.root, env=os.environ, capture_output=True, text=True, check=False
    )
    assert "dubious ownership" in done.stderr
    (memory.root / ".git/patina").mkdir()
    worker = [sys.executable, "-m", "patina_hooks.upkeep.worker", str(memory.root / ".git"), str(memory.root)]
    subprocess.run(worker, cwd="/", check=True)
    assert "dubious ownership" in (memory.root / ".git/patina/patina.log").read_text()


def test_work_trees_are_listed_when_git_has_no_option_z(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`git worktree list -z` came with git 2.36; patina works with 2.31."""
    memory.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    wanted = memory.repository.work_trees()
    use_git(
        tmp_path, monkeypatch,
        'case " $* " in *" worktree "*" -z "*) echo "error: unknown switch \\`z\'" >&2; exit 129;; esac',
    )  # fmt: skip
    script = (
        "import sys; from pathlib import Path; from patina_hooks.git.repository import Repository\n"
        "for tree in Repository.open(Path(sys.argv[1])).work_trees():\n"
        "    print(tree.path, tree.head, tree.branch)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(memory.root)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{tree.path} {tree.head} {tree.branch}" for tree in wanted]
    assert len(wanted) == 2


def test_message_names_the_version_when_git_is_too_old(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_git(
        tmp_path,
        monkeypatch,
        'case " $* " in *" --path-format=absolute "*) echo --path-format=absolute;; esac',
    )
    done = subprocess.run([*PATINA, "doctor"], cwd=memory.root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is too old: patina needs git 2.31" in done.stderr
    assert "try: update git" in done.stderr


def test_every_reason_is_named_when_a_worker_finds_no_work_tree(memory: Memory, tmp_path: Path) -> None:
    with pytest.raises(NotARepository, match=r"cannot open .*gone.*: .*(not a git|cannot change)"):
        open_repository(tmp_path / "gone/.git", tmp_path / "gone")
    assert open_repository(memory.root / ".git", tmp_path / "gone").root == memory.root


def test_child_looks_no_further_when_the_environment_names_a_ceiling(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(memory.root))
    (memory.root / "folder").mkdir()
    with pytest.raises(NotARepository):
        Repository.open(memory.root / "folder")


def test_message_says_to_install_git_when_the_path_has_none(memory: Memory) -> None:
    done = subprocess.run(
        [*PATINA, "status"], cwd=memory.root, env={"PATH": "/nonexistent"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        f"patina: cannot run git: it is not on the PATH\n  try: install git {oldest_git()} or newer\n"
    )
    assert f"git {oldest_git()} or newer" in (ROOT / "README.md").read_text("utf-8")


def git_that_sees_another_owner(memory: Memory) -> dict[str, str]:
    """Variables under which every git child takes folders for another owner's."""
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    folder = memory.root.parent / "bin"
    folder.mkdir(exist_ok=True)
    script = folder / "git"
    script.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {real} "$@"\n')
    script.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def use_git(folder: Path, monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    """Put a git first on the PATH that runs these lines of shell before the real one."""
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    script = folder / "bin" / "git"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\n{lines}\nexec {real} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
