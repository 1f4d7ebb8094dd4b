"""What a user relies on, with real git and a home folder of its own."""

import re
import subprocess
from pathlib import Path

import pytest

import patina_hooks


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one session of two commits."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-01-02T12:00:00")
    root = tmp_path / "repository"
    git(tmp_path, "init", "-q", str(root))
    git(root, "commit", "-q", "--allow-empty", "-m", "Begin\r\x1b[2J")
    git(root, "tag", "-a", "session-20260102-090000-start", "-m", "start")
    git(root, "commit", "-q", "--allow-empty", "-m", "Write a line")
    document = root / "layer" / "sessions" / "20260102-090000.md"
    document.parent.mkdir(parents=True)
    document.write_text("# Session: Try the diary\n")
    git(root, "add", "layer")
    git(root, "commit", "-q", "-m", "Keep the session")
    git(root, "tag", "-a", "session-20260102-090000-end", "-m", "end")
    return root


def git(root: Path, *words: str) -> None:
    me = ["-c", "user.name=Me", "-c", "user.email=me@example.org"]
    subprocess.run(["git", *me, *words], cwd=root, check=True)


def test_commits_and_sessions_are_in_the_diary_once(repository: Path) -> None:
    with patina_hooks.open(repository) as patina:
        patina.sync()
        patina.sync(full=True)  # rebuilds the memory, and calls hooks for everything again
    lines = (repository.parent / "diary" / "2026-01-02.md").read_text().splitlines()
    assert [re.sub(r" \([0-9a-f]{10}\)$", "", line) for line in lines] == [
        "- Begin[2J",
        "- Write a line",
        "- Keep the session",
        "- session 20260102-090000: Try the diary (commits: 2)",
    ]


def test_a_diary_that_cannot_be_written_stops_nothing(repository: Path) -> None:
    (repository.parent / "diary").write_text("a file, where the folder should be")
    with patina_hooks.open(repository) as patina:
        report = patina.sync()
    assert report is not None
    assert report.commits == 3
    assert {(fault.plugin, fault.where) for fault in report.faults} == {
        ("patina-diary", "patina_commit_recorded"),
        ("patina-diary", "patina_session_ended"),
    }
