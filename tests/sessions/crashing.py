"""Kill a session command before its write steps in turn, then run the next command.

`python -m sessions.crashing SCENARIO FOLDER COUNT` prints one JSON object a step (see `Aftermath`). COUNT is
how many steps are tested (see `sample_steps`). It forks, so it runs in a process of its own; the kill is
`os._exit` inside an audit hook, which no handler can catch.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sessions.workbench import Workbench
from support.sampling import sample_steps

from patina_hooks import sessions
from patina_hooks.git.repository import Repository

_WRITING_EVENTS = frozenset({"os.rename", "os.remove", "os.mkdir", "os.chmod"})
_WRITING_GIT = frozenset({"hash-object", "update-ref"})
_KILLED = 9


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What the next command finds and leaves. event: what the killed step was about to do.

    untracked: what git would show after one more session was started and ended.
    """

    step: int
    event: str
    tags: list[str]
    active: list[str]
    texts: list[str]
    hidden: list[str]
    archived: dict[str, str]
    untracked: list[str]
    records: list[str]
    pointer: str
    goes_on: bool


def _start(repository: Repository) -> None:
    sessions.start(repository, "crash me")


def _end(repository: Repository) -> None:
    sessions.end(repository)


def _note(repository: Repository) -> None:
    sessions.note(repository, "typed when it was killed")


# scenario -> (what comes before, what is killed)
SCENARIOS: dict[str, tuple[Callable[[Repository], object] | None, Callable[[Repository], object]]] = {
    "start": (None, _start),
    "end": (_start, _end),
    "note": (_start, _note),
    "second start": (_start, _start),
}


def _writes(event: str, arguments: tuple[object, ...], roots: tuple[str, ...]) -> bool:
    if event == "subprocess.Popen":
        command = arguments[1]
        return isinstance(command, list) and bool(_WRITING_GIT & set(command))
    if event == "open":
        is_write = isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
    else:
        is_write = event in _WRITING_EVENTS
    # Pipes and temporary files of a child process change nothing in the repository.
    return is_write and str(arguments[0]).startswith(roots)


def _die_at(step: int, roots: tuple[str, ...], log: int) -> None:
    """End this process before its write step of that number; write to `log` what each step up to it does."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if _writes(event, arguments, roots):
            seen += 1
            os.write(log, f"{event}\n".encode())
            if seen == step:
                os._exit(_KILLED)

    sys.addaudithook(hook)


def kill_at(step: int, repository: Repository, command: Callable[[Repository], object]) -> str | None:
    """Do the command in a fork that is killed before that write step; return the step's event.

    None where the command came to its end first.
    """
    killed, events = _run_until(step, repository, command)
    return events[-1] if killed else None


def _run_until(
    step: int, repository: Repository, command: Callable[[Repository], object]
) -> tuple[bool, list[str]]:
    """Return whether the fork was killed, and its write steps; with 0 it comes to its end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _die_at(step, (str(repository.root), str(repository.common)), writing)
        command(repository)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as log:
        events = log.read().splitlines()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, _KILLED):
        raise RuntimeError(f"the command failed by itself at step {step}: {code}")
    return code == _KILLED, events


def _aftermath(step: int, event: str, bench: Workbench) -> Aftermath:
    under_way = sessions.active_sessions(bench.repository)
    archive = bench.root / "layer" / "sessions"
    pointer = bench.local / "last-session.md"
    found = Aftermath(
        step=step,
        event=event,
        tags=bench.tags(),
        active=[progress.session.id for progress in under_way],
        texts=[path.read_text("utf-8") for path in sorted((bench.local / "active").glob("*"))],
        hidden=bench.git("for-each-ref", "--format=%(refname)", "refs/patina").split(),
        archived={path.stem: path.read_text("utf-8") for path in archive.glob("*")},
        untracked=[],
        records=bench.records(),
        pointer=pointer.read_text("utf-8") if pointer.exists() else "",
        goes_on=False,
    )
    session = sessions.start(bench.repository, "the next one").session.id
    ended = sessions.end(bench.repository, session=session)
    untracked = bench.git("ls-files", "--others", "--exclude-standard").splitlines()
    return replace(found, goes_on=ended.title == "the next one", untracked=untracked)


def main(scenario: str, folder: Path, count: int) -> None:
    before, command = SCENARIOS[scenario]
    template = Workbench.make(folder / "template")
    template.commit("first", {"readme": "hello\n"})
    if before:
        before(template.repository)
        sessions.note(template.repository, "a note to keep")
        template.commit("work", {"work": "done\n"})
    whole = Workbench(folder / "whole")
    shutil.copytree(template.root, whole.root)
    _, steps = _run_until(0, whole.repository, command)
    for step in sample_steps(steps, count):
        bench = Workbench(folder / f"step-{step}")
        shutil.copytree(template.root, bench.root)
        event = kill_at(step, bench.repository, command)
        assert event is not None, f"there were fewer steps than {step}"
        print(json.dumps(asdict(_aftermath(step, event, bench))))  # noqa: T201 (read by the test)
        shutil.rmtree(bench.root)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
