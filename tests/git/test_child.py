"""Running git: nothing leaks in, nothing runs on the side, and a failure carries git's own words."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import pytest
from support.memory import Memory

from patina_hooks.errors import GitError, NotARepository
from patina_hooks.git.child import ChildGit
from patina_hooks.git.repository import Repository


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("first", {"a": "x"})
    return memory


def test_variables_of_a_hook_do_not_reach_git(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Memory.make(tmp_path / "other")
    head = memory.git("rev-parse", "HEAD")
    leaks = {
        "GIT_DIR": str(other.root / ".git"),
        "GIT_WORK_TREE": str(other.root),
        "GIT_INDEX_FILE": "/nowhere/index",
        "GIT_OBJECT_DIRECTORY": "/nowhere",
        "GIT_CONFIG_PARAMETERS": "'core.bare=true'",
    }
    for name, value in leaks.items():
        monkeypatch.setenv(name, value)
    for writing in (False, True):
        assert ChildGit(memory.root, writing=writing).text("rev-parse", "HEAD") == head
    assert {name: os.environ[name] for name in leaks} == leaks


def test_who_commits_is_the_users_to_say_where_we_write(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Grace")
    assert ChildGit(memory.root, writing=True).text("var", "GIT_AUTHOR_IDENT").startswith("Grace ")
    assert ChildGit(memory.root).text("var", "GIT_AUTHOR_IDENT").startswith("Ada ")


@pytest.mark.parametrize("key", ["core.fsmonitor", "diff.external", "core.pager", "gpg.program"])
def test_a_repository_cannot_have_a_program_run(memory: Memory, tmp_path: Path, key: str) -> None:
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\ntouch "{tmp_path}/ran"\n')
    program.chmod(0o755)
    memory.git("config", key, str(program))
    memory.git("config", "log.showSignature", "true")
    memory.write("a", "changed")
    git = ChildGit(memory.root)
    for command in (["status"], ["diff"], ["log", "-p", "-1"], ["ls-files", "-m"]):
        git.run(*command)
    assert not (tmp_path / "ran").exists()


def test_a_failure_carries_gits_words(memory: Memory) -> None:
    git = memory.repository.git
    with pytest.raises(GitError, match=r"git rev-list failed in .*: fatal: "):
        git.check("rev-list", "no-such-ref")
    assert git.run("rev-list", "no-such-ref").code == 128
    with pytest.raises(GitError, match="fatal: "), git.stream("rev-list", "no-such-ref") as out:
        out.read()


def test_a_stream_may_be_left_before_its_end(memory: Memory) -> None:
    memory.write("big", "x" * 4_000_000)
    memory.git("add", "big")
    git = memory.repository.git
    with git.stream("cat-file", "blob", ":big") as out:
        assert out.read(3) == b"xxx"
    assert git.text("rev-parse", "--is-inside-work-tree") == "true"


def test_a_child_that_prints_before_it_has_read_all_does_not_block(memory: Memory) -> None:
    oid = memory.git("rev-parse", "HEAD")
    lines = memory.repository.git.lines("cat-file", "--batch-check", data=f"{oid}\n".encode() * 50_000)
    assert len(lines) == 50_000


def test_threads_keep_their_environment(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    heads: list[str] = []
    git = ChildGit(memory.root)
    threads = [Thread(target=lambda: heads.append(git.text("rev-parse", "HEAD"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heads) == 8
    assert os.environ["GIT_DIR"] == "/nowhere"


def test_without_a_repository_git_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotARepository, match="not a git repository") as caught:
        Repository.open(tmp_path)
    assert caught.value.hint
