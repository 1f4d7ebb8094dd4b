"""Running git as a child: through GitPython, with nothing leaked in and nothing run on the side.

Two ways in. `reading` is for everything that looks: a hostile `.git/config` must not be able to start
a program, so fsmonitor, hooks, signature checks, external diffs and every transport are off. `writing`
is for what the user typed (a tag, a commit of a session document): the user's own configuration and
hooks apply, only variables that point git at another repository or index are dropped.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from patina_hooks.errors import GitError, NotARepository
from patina_hooks.git.environment import (
    SAFE_DIRECTORY,
    configuration_variables,
    is_dropped,
    oldest_git,
    trusted_folders,
)

if TYPE_CHECKING:
    import subprocess

    from git.cmd import Git

_HARDENED_CONFIG = {
    "advice.graftFileDeprecated": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.sshCommand": "false",
    "core.askPass": "false",
    "core.quotePath": "false",
    "diff.external": "",
    "gc.auto": "0",
    "gpg.program": "false",
    "i18n.logOutputEncoding": "UTF-8",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
}
_HARDENED = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_FLUSH": "0",  # rev-list would write each line to the pipe alone, and we would read it so
    "GIT_GRAFT_FILE": os.devnull,  # like replace refs: one clone's other parents for commits that all share
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_IDENTITY = ("GIT_AUTHOR_", "GIT_COMMITTER_")
_environment_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended: its exit code, and what it printed."""

    code: int
    out: bytes
    err: str


@contextmanager
def _without_git_variables(*, keep_identity: bool) -> Iterator[list[tuple[str, str]]]:
    """Drop variables for the moment of a spawn; the block gets the settings to hand on."""

    # GitPython copies os.environ and can only add to it, so what must not leak leaves for the moment
    # of the spawn. The lock keeps our own threads from restoring each other's view.
    def leaks(name: str) -> bool:
        return is_dropped(name) and not (keep_identity and name.startswith(_IDENTITY))

    with _environment_lock:
        trusted = [(SAFE_DIRECTORY, folder) for folder in trusted_folders(os.environ)]
        dropped = {name: os.environ.pop(name) for name in list(os.environ) if leaks(name)}
        try:
            yield trusted
        finally:
            os.environ.update(dropped)


class ChildGit:
    """Git in one folder. Commands are argument lists; output is bytes; stdin is what we give it."""

    def __init__(self, folder: Path, *, writing: bool = False) -> None:
        self.folder = folder
        self._writing = writing

    def run(
        self, *arguments: str, data: bytes | None = None, extra: Mapping[str, str] | None = None
    ) -> Finished:
        """Run to the end. `extra` variables are added last (say, an index that a hook was handed)."""
        child, stdin = self._spawn(arguments, data, extra)
        process = _process(child)
        try:
            out, err = process.communicate()
        finally:
            if stdin is not None:
                stdin.close()
        return Finished(process.returncode, out, err.decode("utf-8", "replace").strip())

    def text(self, *arguments: str, data: bytes | None = None) -> str:
        """The output without its last newline; `GitError` where git fails."""
        return self.check(*arguments, data=data).decode("utf-8", "surrogateescape").rstrip("\n")

    def check(self, *arguments: str, data: bytes | None = None) -> bytes:
        """The output; `GitError` with git's own words where it fails."""
        done = self.run(*arguments, data=data)
        if done.code:
            raise GitError(f"git {arguments[0]} failed in {self.folder}: {done.err or f'exit {done.code}'}")
        return done.out

    def lines(self, *arguments: str, data: bytes | None = None, end: bytes = b"\n") -> list[bytes]:
        """The output split at `end`, without the empty piece after the last."""
        return self.check(*arguments, data=data).split(end)[:-1]

    @contextmanager
    def stream(self, *arguments: str, data: bytes | None = None) -> Iterator[IO[bytes]]:
        """The output as a file, for what may be larger than memory; `GitError` where git fails."""
        child, stdin = self._spawn(arguments, data, None)
        process = _process(child)
        assert process.stdout is not None  # noqa: S101 (GitPython always makes pipes)
        assert process.stderr is not None  # noqa: S101
        ended = False
        try:
            yield process.stdout
            ended = not process.stdout.read(1)
        finally:
            process.stdout.close()
            error = process.stderr.read().decode("utf-8", "replace").strip()
            process.stderr.close()
            code = process.wait()
            if stdin is not None:
                stdin.close()
        if code and ended:
            raise GitError(f"git {arguments[0]} failed in {self.folder}: {error or f'exit {code}'}")

    def _spawn(
        self, arguments: Sequence[str], data: bytes | None, extra: Mapping[str, str] | None
    ) -> tuple[Git.AutoInterrupt, BinaryIO | None]:
        stdin: BinaryIO | None = None
        if data is not None:
            # A file, not a pipe: a child that prints before it has read everything cannot block us.
            stdin = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 (the caller closes it)
            stdin.write(data)
            stdin.seek(0)
        environment = {} if self._writing else _HARDENED
        settings = [] if self._writing else list(_HARDENED_CONFIG.items())
        folder = self.folder.absolute()
        command = [_executable(), "-C", str(folder), *arguments]
        with _without_git_variables(keep_identity=self._writing) as trusted:
            configuration = configuration_variables([*trusted, *settings])
            child = _facade(folder).execute(
                command,
                istream=stdin,
                env={**environment, **configuration, **(extra or {})},
                as_process=True,
            )
        return child, stdin


def _facade(folder: Path) -> Git:
    # Not in the folder itself: GitPython expands "$NAME" in its path, and where it cannot enter it, runs git
    # in the current folder, which may be of another repository. `-C` does neither.
    return _git_class()(folder.anchor)


@lru_cache(maxsize=1)
def _git_class() -> type[Git]:
    # GitPython takes 70 ms to import and runs `git version` when it is: only where git is needed.
    try:
        from git.cmd import Git
    except ImportError as error:
        hint = f"install git {oldest_git()} or newer"
        raise NotARepository("git cannot be run: there is no git on the PATH", hint=hint) from error
    return Git


def _process(child: Git.AutoInterrupt) -> subprocess.Popen[bytes]:
    # GitPython ends the process when its wrapper is collected: the caller keeps both.
    return cast("subprocess.Popen[bytes]", child.proc)


def _executable() -> str:
    return str(_git_class().GIT_PYTHON_GIT_EXECUTABLE)
