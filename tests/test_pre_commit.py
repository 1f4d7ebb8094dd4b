"""The real pre-commit, with this checkout as its hook repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.sandbox import Recorder, Sandbox, make_recorder, make_sandbox

from patina_hooks.git.hook_files import EVENTS
from patina_hooks.git.hooks import install, uninstall
from patina_hooks.git.repository import Repository

PROJECT = Path(__file__).resolve().parent.parent
_PLUGIN = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "patina-probe"
version = "1"
[tool.hatch.build.targets.wheel]
packages = ["patina_probe"]
"""


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "pre-commit"))
    return make_sandbox(tmp_path, monkeypatch)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with make_recorder(tmp_path) as recorder:
        yield recorder


def pre_commit(sandbox: Sandbox, *arguments: str) -> None:
    command = [sys.executable, "-m", "pre_commit", *arguments]
    done = subprocess.run(command, cwd=sandbox.root, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def hook_repository(sandbox: Sandbox) -> tuple[Path, str]:
    """This checkout's package as a repository of its own, and its commit."""
    folder = sandbox.folder / "hooks"
    shutil.copytree(PROJECT / "patina_hooks", folder / "patina_hooks")
    for name in ("pyproject.toml", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    (folder / "README.md").write_text("Built for a test.\n")
    sandbox.out("init", "-q", cwd=folder)
    sandbox.out("add", ".", cwd=folder)
    sandbox.out("commit", "-qm", "x", cwd=folder)
    return folder, sandbox.out("rev-parse", "HEAD", cwd=folder)


def plugin(sandbox: Sandbox) -> Path:
    folder = sandbox.folder / "plugin"
    (folder / "patina_probe").mkdir(parents=True)
    (folder / "patina_probe/__init__.py").touch()
    (folder / "pyproject.toml").write_text(_PLUGIN)
    return folder


def configure(sandbox: Sandbox) -> None:
    """The example's configuration, with this checkout and a plugin on disk in their places."""
    example = yaml.safe_load((PROJECT / "examples/pre-commit-config.yaml").read_text())
    (entry,) = example["repos"]
    folder, entry["rev"] = hook_repository(sandbox)
    entry["repo"] = str(folder)
    probe = str(plugin(sandbox))
    for hook in entry["hooks"]:
        if "additional_dependencies" in hook:
            assert hook["additional_dependencies"] == ["patina-onnx", "patina-minilm"]
            hook["additional_dependencies"] = [probe]
    sandbox.write(".pre-commit-config.yaml", yaml.safe_dump(example))
    sandbox.out("add", ".pre-commit-config.yaml")


def test_the_example_in_a_repository_of_ones_own(sandbox: Sandbox) -> None:
    """Environments take long to build, so one test walks the whole way."""
    configure(sandbox)
    pre_commit(sandbox, "install", "--install-hooks", "--allow-missing-config")
    assert list((sandbox.folder / "pre-commit").rglob("site-packages/patina_probe"))

    sandbox.write("layer/sessions/20251101-093000.md", "# Session: x\n**ID**: 20251101-093000\n")
    sandbox.out("add", "layer")
    done = sandbox.git("commit", "-qm", "x")
    assert done.returncode == 1
    place = "layer/sessions/20251101-093000.md:2: **Started** is missing from the header"
    assert place in (done.stdout + done.stderr).splitlines()

    sandbox.out("rm", "-rqf", "layer")
    assert sandbox.commit().returncode == 0
    spool = sandbox.root / ".git/patina/spool"
    assert spool.read_text().split() == ["post-commit"]
    assert sandbox.commit("--amend").returncode == 0
    assert sandbox.git("checkout", "-q", "-b", "side").returncode == 0
    assert sandbox.commit().returncode == 0
    assert sandbox.git("checkout", "-q", "main").returncode == 0
    assert sandbox.git("merge", "-q", "--no-ff", "-m", "m", "side").returncode == 0
    noted = spool.read_text().split()
    assert {name: noted.count(name) for name in EVENTS if name in noted} == {
        "post-commit": 3,
        "post-rewrite": 1,
        "post-checkout": 2,
        "post-merge": 1,
    }


def test_native_hooks_and_pre_commit_in_one_repository(sandbox: Sandbox, recorder: Recorder) -> None:
    """Whichever came first: both run, and either can be removed without harm to the other."""
    config = "repos: [{repo: local, hooks: [{id: said, name: said, language: system, entry: touch said,\n"
    config += "  stages: [post-commit], always_run: true, pass_filenames: false}]}]\n"
    sandbox.write(".pre-commit-config.yaml", config)
    sandbox.out("add", ".")
    repository = Repository.open(sandbox.root)
    said, hook = sandbox.root / "said", sandbox.root / ".git/hooks/post-commit"

    def both_run() -> None:
        assert sandbox.commit().returncode == 0
        assert recorder.started()
        said.unlink()

    install(repository, str(recorder.path))
    pre_commit(sandbox, "install", "-t", "post-commit")
    both_run()
    assert install(repository, str(recorder.path)).hooks[0].method == "whole"
    pre_commit(sandbox, "uninstall", "-t", "post-commit")
    assert sandbox.commit().returncode == 0
    assert recorder.started()
    assert not said.exists()

    uninstall(repository)
    assert not hook.exists()
    pre_commit(sandbox, "install", "-t", "post-commit")
    theirs = hook.read_bytes()
    assert install(repository, str(recorder.path)).hooks[0].method == "block"
    both_run()
    uninstall(repository)
    assert hook.read_bytes() == theirs
    assert sandbox.commit().returncode == 0
    assert said.exists()


def test_every_hook_says_when_it_runs() -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text())}
    assert set(hooks) == {
        "patina-check",
        *(f"patina-{event}" for event in EVENTS if event != "post-applypatch"),
    }
    for name, hook in hooks.items():
        event = name.removeprefix("patina-")
        command, stage = ("check", "pre-commit") if event == "check" else (f"hook {event}", event)
        assert (hook["entry"], hook["stages"]) == (f"patina {command}", [stage])
        assert (hook["language"], hook["always_run"], hook["pass_filenames"]) == ("python", True, False)


def test_the_example_names_a_release_and_each_hook() -> None:
    example = (PROJECT / "examples/pre-commit-config.yaml").read_text()
    assert re.search(r"rev: v\d+\.\d+\.\d+\n", example)
    assert set(re.findall(r"- id: (\S+)", example)) == {
        hook["id"] for hook in yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text())
    }
