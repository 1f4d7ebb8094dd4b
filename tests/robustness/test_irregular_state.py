"""Whatever stands in the place of a file of the state, no command hangs, and the doctor's remedy helps."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.memory import Memory, plugins
from support.shell import Shell

from patina_hooks.errors import PatinaError
from patina_hooks.git.hooks import install
from patina_hooks.upkeep.doctor import examine

pytestmark = pytest.mark.usefixtures("sound_model")

Damage = Callable[[Path], None]
COMMANDS = (
    ("status",), ("sync",), ("scry", "--mode", "lexical", "sqlite"), ("log",), ("pairs",), ("gc",),
    ("doctor",), ("check",), ("hook", "post-commit"), ("session", "list"), ("install",),
)  # fmt: skip
HANG_SECONDS = 120


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def pipe(path: Path) -> None:
    remove(path)
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    remove(path)
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's whole path may have about a hundred bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def folder(path: Path) -> None:
    remove(path)
    (path / "inside").mkdir(parents=True)


def dangling_link(path: Path) -> None:
    remove(path)
    path.symlink_to("nowhere")


def empty_file(path: Path) -> None:
    remove(path)
    path.touch()


def random_bytes(path: Path) -> None:
    remove(path)
    path.write_bytes(os.urandom(10_000))


def deep_json(path: Path) -> None:
    remove(path)
    path.write_text("[" * 100_000)


THOROUGH = (pipe, random_bytes)
DAMAGES = (pipe, bound_socket, folder, dangling_link, empty_file, random_bytes, deep_json)
NAMES = (
    "spool", "spool.offset", "hook.sh", "lock", "worker.lock", "patina.log", "log.db", "embeddings.db",
    "probes.json", "projections/active.json", "projections/fusion.json", "projections/reports/1.json",
    "vectors", "",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATINA_SKIP", "1")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    memory = Memory.make(tmp_path_factory.mktemp("template") / "repository")
    memory.commit("why sqlite was chosen", {"README.md": "hello"})
    memory.archive("20251101-090000", decisions="chose sqlite for one reason")
    install(memory.repository)
    memory.sync()
    return memory.root


@pytest.fixture
def memory(template: Path, tmp_path: Path) -> Memory:
    return Memory(Path(shutil.copytree(template, tmp_path / "repository")))


@contextmanager
def no_hang(seconds: int = HANG_SECONDS) -> Iterator[None]:
    """Fail where the block takes longer than anything but a hang does."""

    def fail(*_: object) -> None:
        raise AssertionError(f"no end after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def assert_answers(memory: Memory, *arguments: str) -> None:
    """Run a command: it does what it should, or says what hinders it and what to type."""
    with no_hang():
        done = Shell(memory.root).invoke(*arguments, catch=True)
    error = done.exception
    if error is not None and not isinstance(error, SystemExit):
        assert isinstance(error, PatinaError), (arguments, done.exc_info)
        assert error.hint, arguments


def follow_remedies(memory: Memory) -> None:
    """Type what the doctor says, until it has nothing more to say; fail where it always has."""
    for _ in range(6):
        remedies = {one.fix for one in examine(memory.repository, plugins()) if one.level != "ok"}
        for remedy in sorted(remedies):
            if remedy.startswith("patina "):
                assert_answers(memory, *shlex.split(remedy)[1:])
            else:
                subprocess.run(["sh", "-c", remedy], cwd=memory.root, timeout=HANG_SECONDS, check=True)
        if not remedies:
            return
    raise AssertionError(remedies)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_no_command_hangs_and_the_remedy_helps_when_the_state_is_damaged(
    memory: Memory, name: str, damage: Damage
) -> None:
    place = memory.state / name
    place.parent.mkdir(parents=True, exist_ok=True)
    for arguments in COMMANDS if damage in THOROUGH else COMMANDS[:3]:
        damage(place)
        assert_answers(memory, *arguments)
    damage(place)
    with no_hang():
        memory.git("commit", "-q", "--allow-empty", "-m", "one more")
    with no_hang():
        follow_remedies(memory)
    memory.sync()
    if name == "embeddings.db":  # what an index holds answers from there
        shutil.rmtree(memory.state / "vectors")
        memory.sync(full=True)
    assert memory.snapshot() == memory.rebuilt()
