"""Kill a sync before its write steps in turn, and see what the next one makes of it.

`python -m support.crash_points SCENARIO FOLDER COUNT` prints one JSON object a step (see `Step`). COUNT is
the number of steps tested (see `sample_steps`). The sync runs in a fork of its own and ends by SIGKILL, which
nothing can catch; the next sync runs in another. This process opens no model: the threads of a runtime do not
outlive a fork.

A write step is a file opened for writing, moved, removed or made below the state folder, a transaction begun
or committed, and every `_EACH`th statement within one.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from support.memory import FAST_RECIPE, Memory, plugins
from support.sampling import sample_steps

from patina_hooks.git import spool
from patina_hooks.store import embeddings, log
from patina_hooks.store.database import connection

SESSION = "20251101-090000"
_WRITING = frozenset({"os.rename", "os.remove", "os.mkdir"})
_EACH = 11
_WORSE = 7


@dataclass(frozen=True, slots=True)
class Step:
    """what: the step that was not done any more. equal: whether the next sync left what a rebuild gives."""

    number: int
    what: str
    equal: bool


def document(words: str) -> str:
    head = f"# Session: {words}\n\n## Goals\n- [ ] {words}\n"
    return f"{head}\n**Key Decisions:**\n- chose {words}\n- kept {words}\n"


def _before(memory: Memory) -> None:
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-start")
    memory.commit("parse the tree", {"parse.py": "1"})
    memory.commit("fix crash in worker", {"worker.py": "1"})
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-end")
    memory.commit("session: archive", {f"layer/sessions/{SESSION}.md": document("sqlite over files")})
    memory.write(".patina/local/active/20251130-090000.md", document("a draft"))


def _meanwhile(memory: Memory) -> None:
    """Of everything something: commits come and go, a tag moves, documents change, a draft ends."""
    memory.git("commit", "-q", "--amend", "-m", "session: archive, amended")
    memory.commit("docs", {"docs/a.md": "a"})
    memory.git("tag", "-f", "-a", "-m", "x", f"session-{SESSION}-end")
    memory.commit("session: archive", {"layer/sessions/20251102-090000.md": document("one lock")})
    memory.commit("rewrite", {f"layer/sessions/{SESSION}.md": document("sqlite and a journal")})
    (memory.root / ".patina/local/active/20251130-090000.md").unlink()


def _first(memory: Memory) -> None:
    _before(memory)


def _incremental(memory: Memory) -> None:
    _before(memory)
    memory.sync()
    _meanwhile(memory)


def _switch(memory: Memory) -> None:
    """The recipe asks for other vectors; a text comes too."""
    _before(memory)
    memory.sync()
    memory.commit("parse the tree anew")
    memory.write(".patina/oxidize.yaml", f"{FAST_RECIPE}pooling: cls\n")


SCENARIOS: dict[str, Callable[[Memory], None]] = {
    "first": _first,
    "incremental": _incremental,
    "switch": _switch,
}


def main(scenario: str, folder: Path, count: int) -> None:
    template, place = folder / "template", folder / "repository"
    expected = in_fork(lambda: _prepare(scenario, template, place))
    import_modules_of(lambda: _next_sync(place))
    copy_to(template, place)
    kinds = list_steps(lambda: _sync(Memory(place)), Memory(place).state)
    for number in sample_steps(kinds, count):
        copy_to(template, place)
        what = _killed_at(number, Memory(place))
        equal = in_fork(lambda: _next_sync(place)) == expected
        print(json.dumps(asdict(Step(number, what, equal))), flush=True)  # noqa: T201 (read by the test)


def _prepare(scenario: str, template: Path, place: Path) -> str:
    memory = Memory.make(template)
    memory.commit("begin", {"README.md": "hello"})
    SCENARIOS[scenario](memory)
    copy_to(template, place)
    memory = Memory(place)
    shutil.rmtree(memory.state, ignore_errors=True)
    return _next_sync(place)


def copy_to(template: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(template, place, symlinks=True)


def _next_sync(place: Path) -> str:
    memory = Memory(place)
    memory.sync()
    found = memory.snapshot()
    return repr([sorted(map(repr, value)) for value in (
        [found.events_hash], found.documents, found.observations, found.sessions, found.pairs,
        found.training, found.vectors.items(), found.answers.items(),
    )])  # fmt: skip


def _sync(memory: Memory) -> None:
    memory.sync()
    spool.set_offset(memory.state, 0)


def _killed_at(number: int, memory: Memory) -> str:
    return kill_at(number, lambda: _sync(memory), memory.state)


def import_modules_of(work: Callable[[], object]) -> None:
    """Import what the work imports, so that no fork has to; nothing is opened here."""

    def list_modules() -> str:
        work()
        return "\n".join(sys.modules)

    for name in in_fork(list_modules).splitlines():
        with suppress(ImportError):
            importlib.import_module(name)


def list_steps(work: Callable[[], None], state: Path) -> list[str]:
    """Do the work in a fork to its end, and list its write steps."""

    def tell(said: int) -> None:
        _watch(state, lambda what: os.write(said, f"{what}\n".encode()))
        work()

    code, text = fork(tell)
    if code:
        raise RuntimeError(text)
    return text.splitlines()


def kill_at(number: int, work: Callable[[], None], state: Path) -> str:
    """Do the work in a fork that is killed before its write step of that number; return the step."""

    def tell(said: int) -> None:
        seen = 0

        def step(what: str) -> None:
            nonlocal seen
            seen += 1
            if seen == number:
                os.write(said, what.encode())
                os.kill(os.getpid(), signal.SIGKILL)

        _watch(state, step)
        work()

    code, text = fork(tell)
    if code != -signal.SIGKILL:
        raise RuntimeError(f"not killed at step {number}: {text or 'there were fewer'}")
    return text


def _watch(state: Path, step: Callable[[str], object]) -> None:
    """Call `step` before each write step of this process from now on."""
    statements = 0

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        is_write = event in _WRITING
        if event == "open":
            is_write = isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if is_write and str(arguments[0]).startswith(str(state)):
            step(f"{event} {Path(str(arguments[0])).name.lstrip('.').partition('.')[0]}")

    def trace(statement: str) -> None:
        nonlocal statements
        word = statement.lstrip().partition(" ")[0].upper()
        if word in ("BEGIN", "COMMIT"):
            step(word)
        elif word in ("INSERT", "UPDATE", "DELETE", "CREATE", "DROP"):
            statements += 1
            if statements % _EACH == 0:
                step(word)

    def connect(path: Path) -> sqlite3.Connection:
        opened = original(path)
        opened.set_trace_callback(trace)
        return opened

    original = connection.connect
    for module in (connection, log, embeddings):  # imported by name
        setattr(module, "connect", connect)  # noqa: B010
    sys.addaudithook(audit)


def in_fork(work: Callable[[], str]) -> str:
    """What the work gives, done in a fork. Raises RuntimeError with its traceback."""

    def tell(said: int) -> None:
        with os.fdopen(os.dup(said), "w") as file:
            file.write(work())

    code, text = fork(tell)
    if code:
        raise RuntimeError(text)
    return text


def fork(work: Callable[[int], None]) -> tuple[int, str]:
    """The exit code of a fork that does the work (negative: its signal), and what it wrote."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            work(writing)
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
            os._exit(_WORSE)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), text


if __name__ == "__main__":
    import git  # noqa: F401 (every fork would)

    import patina_hooks.search.index.exact  # noqa: F401

    plugins()
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
