"""Run git as a child process, isolated from the caller's environment and from the repository's configuration.

By `subprocess`: GitPython takes 70 ms to import and runs `git version` twice, more than a query costs.
Two modes. Reading (the default): a hostile `.git/config` must not be able to start a program, so fsmonitor,
hooks, signature checks, external diffs and every transport are off. Writing, for what the user typed (a tag,
a commit of a session document): the user's own configuration and hooks apply; only variables that point git
at another repository or index are dropped.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from patina_hooks.errors import GitError, NotARepository
from patina_hooks.git.environment import (
    SAFE_DIRECTORY,
    configuration_variables,
    is_dropped,
    oldest_git,
    trusted_folders,
)

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
    "GIT_FLUSH": "0",  # else rev-list flushes the pipe after each line
    "GIT_GRAFT_FILE": os.devnull,  # like replace refs: local parents for commits that all clones share
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_ENGLISH = {"LANGUAGE": "C", "LC_ALL": "C"}  # messages are parsed
_IDENTITY = ("GIT_AUTHOR_", "GIT_COMMITTER_")


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a child process: exit code and output."""

    code: int
    out: bytes
    err: str


class ChildGit:
    """Git in one folder.

    Commands are argument lists, output is bytes, stdin is `data` or empty.
    """

    def __init__(self, folder: Path, *, writing: bool = False) -> None:
        self.folder = folder
        self._writing = writing

    def run(
        self, *arguments: str, data: bytes | None = None, extra: Mapping[str, str] | None = None
    ) -> Finished:
        """Run git to the end.

        Args:
            *arguments: of git.
            data: the standard input; None means empty.
            extra: environment variables, added last (for example the index that a hook was given).
        """
        with self._spawned(arguments, data, extra) as process:
            out, err = process.communicate()
        return Finished(process.returncode, out, err.decode("utf-8", "replace").strip())

    def text(self, *arguments: str, data: bytes | None = None) -> str:
        """Return the output without its last newline. Raises `GitError`."""
        return self.check(*arguments, data=data).decode("utf-8", "surrogateescape").rstrip("\n")

    def check(self, *arguments: str, data: bytes | None = None) -> bytes:
        """Return the output. Raises `GitError` with git's message."""
        result = self.run(*arguments, data=data)
        if result.code:
            reason = result.err or f"exit {result.code}"
            raise GitError(f"git {arguments[0]} failed in {self.folder}: {reason}")
        return result.out

    def lines(self, *arguments: str, data: bytes | None = None, end: bytes = b"\n") -> list[bytes]:
        """Split the output at `end`, without the empty part after the last."""
        return self.check(*arguments, data=data).split(end)[:-1]

    @contextmanager
    def stream(self, *arguments: str, data: bytes | None = None) -> Iterator[IO[bytes]]:
        """Open the output as a file, for what may exceed memory.

        Raises `GitError`.
        """
        ended = False
        with self._spawned(arguments, data, None) as process:
            out, err = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
            try:
                yield out
                ended = not out.read(1)
            finally:
                out.close()  # a reader that stops early ends git with SIGPIPE
                error = err.read().decode("utf-8", "replace").strip()
                code = process.wait()
        if code and ended:
            raise GitError(f"git {arguments[0]} failed in {self.folder}: {error or f'exit {code}'}")

    @contextmanager
    def _spawned(
        self, arguments: Sequence[str], data: bytes | None, extra: Mapping[str, str] | None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run git during a `with` block.

        An exception in the block ends it.
        """
        with _as_file(data) as stdin, self._spawn(arguments, stdin, extra) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise

    def _spawn(
        self, arguments: Sequence[str], stdin: BinaryIO | None, extra: Mapping[str, str] | None
    ) -> subprocess.Popen[bytes]:
        folder = self.folder.absolute()
        # `-C`, not `cwd`: if the folder cannot be entered, git's own message states it.
        try:
            return subprocess.Popen(
                ["git", "-C", str(folder), *arguments],  # noqa: S607 (git is found on the PATH)
                stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd=folder.anchor, env={**self._environment(), **(extra or {})},
            )  # fmt: skip
        except (FileNotFoundError, PermissionError) as error:
            hint = f"install git {oldest_git()} or newer"
            raise NotARepository("cannot run git: it is not on the PATH", hint=hint) from error

    def _environment(self) -> dict[str, str]:
        """Build a child's environment without variables that point git elsewhere."""
        settings = [(SAFE_DIRECTORY, folder) for folder in trusted_folders(os.environ)]
        if not self._writing:
            settings += _HARDENED_CONFIG.items()
        inherited = {name: value for name, value in os.environ.items() if not self._is_dropped(name)}
        hardened = {} if self._writing else _HARDENED
        return {**inherited, **_ENGLISH, **hardened, **configuration_variables(settings)}

    def _is_dropped(self, name: str) -> bool:
        return is_dropped(name) and not (self._writing and name.startswith(_IDENTITY))


@contextmanager
def _as_file(data: bytes | None) -> Iterator[BinaryIO | None]:
    """Open bytes as a file, not a pipe, which could block while the child prints."""
    if data is None:
        yield None
        return
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield cast("BinaryIO", file)
