"""`patina session`: what is printed where, exit codes, JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sessions.workbench import Workbench


def _patina(folder: Path, *arguments: str | bytes) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from patina_hooks.commands import main; main()", "session", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PATINA_SKIP": "1", "PYTHONIOENCODING": "utf-8"},
    )


def _json(folder: Path, *arguments: str) -> object:
    done = _patina(folder, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_session_in_the_shell(bench: Workbench) -> None:
    started = _json(bench.root, "start", "two\nlines 🎉")
    assert isinstance(started, dict)
    session = started["id"]
    assert started["title"] == "two lines 🎉"
    assert started["start_tag"] == f"session-{session}-start"
    bench.commit("work", {"a": "x"})

    status = _json(bench.root, "status")
    assert isinstance(status, dict)
    assert (status["active"]["id"], status["active"]["commits"], status["active"]["files"]) == (session, 1, 1)
    assert f"session {session}: two lines 🎉" in _patina(bench.root, "status").stdout
    updated = _json(bench.root, "update")
    assert isinstance(updated, dict)
    assert (updated["commits"], updated["files"]) == (1, 1)
    assert _patina(bench.root, "note", "--", "-n is no option").returncode == 0

    ended = _json(bench.root, "end", "--commit")
    assert isinstance(ended, dict)
    assert (ended["work_type"], ended["commits"], ended["files"], ended["patterns"]) == (
        "experiment",
        1,
        1,
        0,
    )
    assert ended["commit"] == bench.git("rev-parse", "HEAD")
    listed = _json(bench.root, "list")
    assert isinstance(listed, list)
    assert (listed[0]["id"], listed[0]["state"], listed[0]["commits"]) == (session, "ended", 1)
    assert (
        f"{session}  claude    two lines 🎉  [experiment, 1 commit, 1 file]"
        in _patina(bench.root, "list").stdout
    )
    shown = _json(bench.root, "show", session[:8])
    assert isinstance(shown, dict)
    assert shown["text"] == bench.archived(session)
    assert _patina(bench.root, "show", session).stdout == bench.archived(session)
    assert _json(bench.root, "status") == {"active": None, "sessions": []}


def test_what_the_user_should_know_goes_to_stderr(bench: Workbench) -> None:
    (bench.root / "readme").write_text("changed")
    done = _patina(bench.root, "start", "long " * 100)
    assert done.returncode == 0
    assert "1 tracked file with uncommitted changes" in done.stderr
    assert "the title was cut" in done.stderr
    assert done.stdout.startswith("session ")
    bench.git("config", "filter.a=b.clean", "cat")
    assert "could not check for uncommitted changes" in _patina(bench.root, "start", "x").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("start", " "), 2, "title"),
        (("start", "x", "--adapter", "No/Way"), 2, "adapter"),
        (("note", "x"), 1, "no session is active"),
        (("end",), 1, "no session is active"),
        (("show", "1999"), 1, "no session"),
        (("start",), 2, "TITLE"),
    ],
)
def test_failures_have_codes_and_go_to_stderr(
    bench: Workbench, arguments: tuple[str, ...], code: int, word: str
) -> None:
    done = _patina(bench.root, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert word in done.stderr
    assert bench.tags() == []


def test_outside_a_repository_the_error_is_gits(tmp_path: Path) -> None:
    done = _patina(tmp_path, "status")
    assert done.returncode == 1
    assert "not a git repository" in done.stderr


def test_commands_work_from_a_folder_below_the_root(bench: Workbench) -> None:
    below = bench.root / "src" / "deep"
    below.mkdir(parents=True)
    assert _patina(below, "start", "x").returncode == 0
    assert bench.active.exists()
    assert _patina(below, "end", "--commit").returncode == 0


def test_titles_that_are_no_text_and_documents_that_would_steer_a_terminal_are_tamed(
    bench: Workbench,
) -> None:
    assert _patina(bench.root, "start", b"bytes \xff \x1b[31mred").returncode == 0
    assert b"# Session: bytes red\n" in bench.active.read_bytes()
    with bench.active.open("ab") as file:
        file.write(b"\x1b[2Jgone \xff\n")
    done = _patina(bench.root, "show", "20")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "[2Jgone \ufffd" in done.stdout
    json.loads(_patina(bench.root, "show", "20", "--json").stdout)


def test_the_worker_is_woken_only_where_the_repository_remembers(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from patina_hooks.commands.session import session_command
    from patina_hooks.upkeep import worker

    woken: list[tuple[Path, Path]] = []
    monkeypatch.setattr(worker, "start_worker", lambda common, tree: woken.append((common, tree)))
    monkeypatch.delenv("PATINA_SKIP", raising=False)
    monkeypatch.chdir(bench.root)

    def start() -> None:
        assert CliRunner().invoke(session_command, ["start", "x"]).exit_code == 0

    start()
    assert woken == []
    (bench.root / ".git/patina").mkdir()
    start()
    assert woken == [(bench.root / ".git", bench.root)]
    monkeypatch.setenv("PATINA_SKIP", "1")
    start()
    assert len(woken) == 1


def test_help_opens_neither_git_nor_numpy() -> None:
    code = (
        "import sys; from patina_hooks.commands.session import session_command as c\n"
        "try: c(['start', '--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('git', 'numpy', 'yaml', 'tomli') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_secret_is_redacted_with_a_warning_when_it_is_typed(bench: Workbench) -> None:
    token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
    started = _patina(bench.root, "start", f"rotate {token}")
    noted = _patina(bench.root, "note", f"the old one was {token}", "--json")
    assert (started.returncode, noted.returncode) == (0, 0)
    assert "warning: redacted in the title: github-token" in started.stderr
    assert "warning: redacted in the note: github-token" in noted.stderr
    assert json.loads(noted.stdout)["text"] == "the old one was [redacted:github-token]"
    stored = "".join(path.read_text() for path in (bench.root / ".patina").rglob("*") if path.is_file())
    assert "rotate [redacted:github-token]" in stored
    assert token not in stored + bench.git("for-each-ref", "--format=%(contents)") + started.stdout
