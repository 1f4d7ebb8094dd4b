"""Outcomes: exit codes, and what goes to stdout and what to stderr, whatever the command."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.distributions import Site
from support.memory import Memory
from support.shell import PATINA, Shell

from patina_hooks.git.lock import SYNC_LOCK, SyncLock
from patina_hooks.plugins.installation import install_command
from patina_hooks.upkeep import worker

NOT_INDEXED = "patina: another patina process is running; the latest commits are not indexed yet"
LISTINGS = (
    ("status",), ("log",), ("pairs",), ("plugins",), ("doctor",), ("session", "list"), ("session", "status"),
    ("scry", "marmots"), ("scry", "--file", "src/parse.py"),
)  # fmt: skip


@pytest.mark.parametrize("arguments", LISTINGS, ids=" ".join)
def test_every_listing_speaks_json_on_stdout_alone(shell: Shell, arguments: tuple[str, ...]) -> None:
    done = shell.run(*arguments, "--json")
    assert done.stderr == ""
    assert isinstance(json.loads(done.stdout), (dict, list))
    assert done.returncode == 0 or arguments == ("doctor",)


@pytest.mark.parametrize(
    "arguments", [*LISTINGS, ("sync",), ("gc",), ("init",), ("install",), ("check",)], ids=" ".join
)
def test_outside_of_a_repository(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    if arguments == ("plugins",):
        return
    done = Shell(tmp_path).run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("patina: no git work tree at ")
    assert "  try: run this inside a git work tree, or create one with: git init" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("log",), ("pairs",), ("scry", "marmots"), ("scry", "--file", "x")],
    ids=" ".join,
)
def test_before_init(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    memory = Memory.make(tmp_path / "repository")
    done = Shell(memory.root).run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "patina: this repository has no index yet\n  try: patina init\n"


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("scry",), ("scry", "x", "--mode", "magic"), ("scry", "x", "-n", "0"), ("log", "-n", "x"),
     ("scry", "x", "--since", "someday"), ("scry", "x", "--ref", "nowhere"), ("scry", "--file", "nowhere"),
     ("scry", "x", "--kind", "decisions"), ("scry", "x", "--session", "nonsense"),
     ("scry", "--file", "README.md", "--kind", "decision"),
     ("scry", "--file", "README.md", "--since", "2025-01-01"),
     ("scry", "x", "--file", "README.md"), ("sync", "--nonsense"), ("session", "start")],
    ids=" ".join,
)  # fmt: skip
def test_what_cannot_be_meant_is_usage(shell: Shell, arguments: tuple[str, ...]) -> None:
    done = shell.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


@pytest.mark.parametrize("command", ["status", "scry x", "init", "session list"])
def test_folder_that_was_removed_is_no_bug_when_the_shell_is_still_in_it(
    tmp_path: Path, command: str
) -> None:
    script = f'mkdir gone && cd gone && rmdir ../gone && exec "$@" {command}'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *PATINA], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "the current folder does not exist any more" in done.stderr


def test_root_is_named_as_a_folder_when_related_files_are_asked_for(memory: Memory, shell: Shell) -> None:
    memory.sync()
    done = shell.run("scry", "--file", ".")
    assert (done.returncode, "the root is a folder, not a file" in done.stderr) == (2, True)


def test_recorded_commits_answer_when_git_cannot_read_its_configuration(memory: Memory, shell: Shell) -> None:
    memory.sync()
    memory.commit("a heron stands still", {"heron": "1"})
    memory.git("config", "diff.algorithm", "nonsense")
    done = shell.run("scry", "--mode", "lexical", "marmots")
    assert (done.returncode, bool(done.stdout)) == (0, True)
    assert "the index was not updated: git log failed" in done.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii", "utf-8"])
def test_listing_escapes_what_the_terminal_cannot_show_when_its_encoding_is_narrow(
    memory: Memory, shell: Shell, encoding: str
) -> None:
    memory.commit("カモメが鳴く", {"gull": "1"})
    memory.sync()
    done = shell.run("log", env={"PYTHONIOENCODING": encoding})
    assert (done.returncode, "bug" in done.stderr) == (0, False)
    assert ("\\u30ab" in done.stdout) == (encoding in ("latin-1", "cp1252"))


def test_a_bug_says_where_its_traceback_is(memory: Memory, tmp_path: Path) -> None:
    code = (
        "from patina_hooks import commands; from patina_hooks.api import Patina\n"
        "def broken(self): raise ZeroDivisionError('one by \\x1b[2Jnought' + ' ghp_' + '16C7e42F' * 5)\n"
        "Patina.status = broken; commands.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "status"], cwd=memory.root, capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert "this is a bug: ZeroDivisionError: one by [2Jnought" in done.stderr
    place = Path(done.stderr.rpartition("the traceback is in ")[2].strip())
    assert "ZeroDivisionError: one by" in place.read_text()
    assert "16C7e42F" not in done.stderr + place.read_text()


@pytest.mark.parametrize("place", ["", "/nowhere/a file"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_is_shut_is_no_bug_where_it_is_named(
    memory: Memory, tmp_path: Path, number: int, place: str
) -> None:
    error = f"OSError({number}, 'shut'{f', {place!r}' if place else ''})"
    code = (
        "from patina_hooks import commands; from patina_hooks.api import Patina\n"
        f"def refused(self): raise {error}\n"
        "Patina.status = refused; commands.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "status"], cwd=memory.root, capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1 if place else 3, "")
    if place:
        assert done.stderr == f"patina: cannot use {place}: shut\n  try: ls -ld /\n"


def test_ctrl_c_ends_with_130(memory: Memory, tmp_path: Path) -> None:
    code = (
        "import os, signal; from patina_hooks import commands; from patina_hooks.api import Patina\n"
        "Patina.status = lambda self: os.kill(os.getpid(), signal.SIGINT)\n"
        "commands.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "status"], cwd=memory.root, capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "interrupted"


@pytest.mark.parametrize("arguments", [("log", "-n", "1000"), ("scry", "marmots"), ("--help",)], ids=" ".join)
def test_a_reader_that_has_seen_enough(shell: Shell, arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*PATINA, *arguments], cwd=shell.folder, stdout=write, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def on_a_terminal(shell: Shell, *arguments: str, **environment: str) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PATINA, *arguments], cwd=shell.folder, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm", **environment},
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # the terminal is gone with the process
            pass
        finally:
            os.close(ours)
        assert process.wait() == 0
    return shown.decode()


@pytest.mark.parametrize("arguments", [("scry", "marmots"), ("doctor",)], ids=" ".join)
def test_colours_are_for_terminals_that_want_them(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert "\x1b[" not in shell.run(*arguments).stdout
    assert "\x1b[" in on_a_terminal(shell, *arguments)
    assert "\x1b[" not in on_a_terminal(shell, *arguments, NO_COLOR="1")


def test_help_names_every_command_and_opens_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['patina', '--help']\n"
        "from patina_hooks.commands import main\n"
        "try: main()\n"
        "except SystemExit as error: assert not error.code\n"
        "heavy = {'numpy', 'git', 'onnxruntime', 'yaml', 'tokenizers', 'sqlite3'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("init", "session", "scry", "status", "sync", "doctor", "plugins", "install", "gc", "check"):
        assert f"\n  {name} " in done.stdout


def test_a_plugin_may_bring_a_command(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    module = (
        "from patina_hooks import CommandSpec, hookimpl\n\n\n@hookimpl\ndef patina_register_commands():\n"
        "    yield CommandSpec('greet', 'Say hello.', 'greeting_command:greet')\n"
    )
    command = "import click\n\n\n@click.command('greet')\ndef greet():\n    click.echo('hello')\n"
    site.add(
        "patina-greeting",
        files={"greeting.py": module, "greeting_command.py": command},
        entry_points={"greeting": "greeting"},
    )
    path = {"PYTHONPATH": str(site.folder)}
    assert "  greet      Say hello." in Shell(tmp_path).run("--help", env=path).stdout
    assert Shell(tmp_path).run("greet", env=path).stdout == "hello\n"


@pytest.mark.parametrize("command", ["export", "remote"])
def test_command_of_a_plugin_names_the_package_to_install_when_it_is_absent(
    tmp_path: Path, command: str
) -> None:
    done = Shell(tmp_path).run(command, "--help", env={"PATINA_DISABLE_PLUGINS": "*"})
    assert done.returncode == 1
    assert f"cannot run {command}: it needs the plugin patina-{command}, which is not" in done.stderr
    assert f"try: {install_command(f'patina-{command}')}\n" in done.stderr


def test_command_of_a_plugin_names_the_listing_of_errors_when_the_plugin_fails(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.add(
        "patina-export",
        files={"broken_export.py": "import no_such_module\n"},
        entry_points={"patina-export": "broken_export"},
    )
    done = Shell(tmp_path).run("export", "a", env={"PYTHONPATH": str(site.folder)})
    assert done.returncode == 1
    assert "cannot run export: it needs the plugin patina-export, which has errors" in done.stderr
    assert "try: patina plugins" in done.stderr


def test_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    done = Shell(tmp_path).run("exprt")
    assert done.returncode == 2
    assert "No such command 'exprt'" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("scry", "x", "--since", "0001-01-01"), ("scry", "x", "--until", "9999-12-31"),
     ("scry", "x", "--session", b"\xff"), ("scry", "x", "--kind", b"\xff"), ("scry", b"\xff"),
     ("scry", "x", "--path", b"\xff"), ("scry", "x", "--ref", b"\xff"), ("scry", "--file", b"\xff"),
     ("log", "--kind", b"\xff"), ("pairs", "--kind", b"\xff"), ("session", "show", b"\xff")],
    ids=repr,
)  # fmt: skip
def test_no_argument_is_a_bug(shell: Shell, arguments: tuple[str | bytes, ...]) -> None:
    done = shell.run(*arguments, env={"TZ": "Asia/Tokyo"})
    assert done.returncode in (0, 1, 2), done.stderr


@pytest.mark.parametrize("arguments", [("log",), ("status", "--json"), ("--help",)], ids=" ".join)
def test_output_that_finds_no_room(shell: Shell, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PATINA, *arguments],
            cwd=shell.folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "patina: cannot write the output: No space left on device\n  try: df -h\n"


@pytest.mark.parametrize(
    ("environment", "started"),
    [({}, 1), ({"PATINA_SKIP": "0"}, 1), ({"PATINA_SKIP": "1"}, 0), ({"CI": "true"}, 0),
     ({"CI": "true", "PATINA_CI": "1"}, 1)],
    ids=str,
)  # fmt: skip
def test_no_command_starts_a_worker_where_hooks_would_not(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], started: int
) -> None:
    calls: list[Path] = []
    monkeypatch.setattr(worker, "start_worker", lambda common, work_tree: calls.append(work_tree))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with SyncLock(memory.state / SYNC_LOCK):  # so that there is something left to do
        Shell(memory.root).invoke("status")
    assert len(calls) == started
    Shell(memory.root).invoke("session", "start", "a title")
    assert len(calls) == 2 * started


def test_a_commit_that_another_process_has_not_come_to_is_no_silent_gap(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATINA_SKIP", "1")
    with SyncLock(memory.state / SYNC_LOCK):
        assert "another patina" not in Shell(memory.root).invoke("scry", "marmots").stderr
        memory.commit("zebras cross the road")
        done = Shell(memory.root).invoke("scry", "zebras", "--mode", "lexical")
        assert done.stderr.startswith(f"{NOT_INDEXED}\n")
    done = Shell(memory.root).invoke("scry", "zebras", "--mode", "lexical")
    assert "zebras cross the road" in done.stdout
    assert "another patina" not in done.stderr


def test_a_note_that_another_process_keeps_from_the_index_is_told_of_in_the_next_answer(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATINA_SKIP", "1")
    shell = Shell(memory.root)
    shell.out("session", "start", "a title")
    shell.out("scry", "marmots")
    with SyncLock(memory.state / SYNC_LOCK):
        shell.out("session", "note", "zebras cross the road")
        assert shell.invoke("scry", "zebras", "--mode", "lexical").stderr.startswith(f"{NOT_INDEXED}\n")
        assert not memory.patina().is_current()
    assert "zebras cross the road" in shell.out("scry", "zebras", "--mode", "lexical")
    assert memory.patina().is_current()


def test_a_question_waits_for_a_process_that_is_about_to_end(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATINA_SKIP", "1")
    memory.commit("zebras cross the road")
    acquire, lock = SyncLock.acquire, SyncLock(memory.state / SYNC_LOCK)
    lock.acquire()

    def release_first(self: SyncLock, wait: float | None = 0) -> bool:
        if wait:
            lock.release()
        return acquire(self, wait)

    monkeypatch.setattr(SyncLock, "acquire", release_first)
    assert "zebras cross the road" in Shell(memory.root).out("scry", "zebras", "--mode", "lexical")


@pytest.mark.parametrize("command", ["sync", "gc"])
def test_a_command_names_the_process_it_waits_for(memory: Memory, command: str) -> None:
    with SyncLock(memory.state / SYNC_LOCK) as lock, subprocess.Popen(
        [*PATINA, command], cwd=memory.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as waiting:  # fmt: skip
        assert waiting.stderr
        assert (
            waiting.stderr.readline() == f"patina: waiting for another patina process (pid {os.getpid()})\n"
        )
        lock.release()
        out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, err) == (0, "")
    assert out


def test_a_worker_that_cannot_be_started_is_no_failure(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(worker, "start_worker", refuse)
    with SyncLock(memory.state / SYNC_LOCK):
        assert Shell(memory.root).invoke("status").exit_code == 0


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("arguments", [("scry", "marmots"), ("status",), ("--help",)], ids=" ".join)
def test_a_stream_that_is_closed_is_no_failure(
    shell: Shell, closed: tuple[int, ...], arguments: tuple[str, ...]
) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    streams = {stream: subprocess.PIPE for stream in (1, 2) if stream not in closed}
    done = subprocess.run(
        [sys.executable, "-c", "from patina_hooks.commands import run; run()", *arguments],
        cwd=shell.folder, check=False, stdout=streams.get(1), stderr=streams.get(2),
        preexec_fn=close,
    )  # fmt: skip
    assert (done.returncode, done.stderr or b"") == (0, b"")
    assert bool(done.stdout) == (1 not in closed)


def test_a_usage_that_nobody_can_be_told_of_is_still_one(shell: Shell) -> None:
    done = subprocess.run(
        [*PATINA, "nonsense"], cwd=shell.folder, check=False, preexec_fn=lambda: os.closerange(0, 3)
    )
    assert done.returncode == 2


@pytest.mark.parametrize("entry", ["main", "run"])
def test_what_a_plugin_prints_to_a_full_disk_is_told(tmp_path: Path, entry: str) -> None:
    (tmp_path / "loud.py").write_text(
        "import click\nfrom patina_hooks import CommandSpec, hookimpl\n\n\n"
        "@click.command('shout')\ndef shout():\n    print('hello')\n\n\n"
        "@hookimpl\ndef patina_register_commands():\n    yield CommandSpec('shout', 'x', 'loud:shout')\n"
    )
    site = Site(tmp_path / "site")
    site.add("patina-loud", files={}, entry_points={"loud": "loud"})
    path = f"{site.folder}{os.pathsep}{tmp_path}"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", f"from patina_hooks.commands import {entry}; {entry}()", "shout"],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": ""},
        )  # fmt: skip
    assert done.stderr == "patina: cannot write the output: No space left on device\n  try: df -h\n"
    assert done.returncode == 1
