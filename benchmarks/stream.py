"""Writing history fast: commits on one line, and tags, as a `git fast-import` stream."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

_WHO = b"Ada <ada@example.org>"


class Stream:
    """Commits upon `parent` (a revision; None begins a history) of `branch`, sent by `write`."""

    def __init__(self, branch: str, parent: str | None = None) -> None:
        self._ref = f"refs/heads/{branch}".encode()
        self._parent = parent
        self._mark = 0
        self._parts: list[bytes] = []

    def commit(self, message: str, when: int, files: Mapping[str, bytes | None]) -> int:
        """One more commit; gives its mark. files: path -> content, None for one that goes."""
        self._mark += 1
        head = b"commit %s\nmark :%d\ncommitter %s %d +0000\n" % (self._ref, self._mark, _WHO, when)
        self._parts += [head, _data(message.encode("utf-8", "replace"))]
        if self._mark == 1 and self._parent is not None:
            self._parts.append(f"from {self._parent}^0\n".encode())
        for path, content in files.items():
            name = path.encode("utf-8", "surrogateescape")
            if content is None:
                self._parts.append(b"D %s\n" % name)
            else:
                self._parts += [b"M 100644 inline %s\n" % name, _data(content)]
        return self._mark

    def tag(self, name: str, mark: int, when: int, message: str) -> None:
        """An annotated tag of the commit with that mark."""
        head = f"tag {name}\nfrom :{mark}\n".encode() + b"tagger %s %d +0000\n" % (_WHO, when)
        self._parts += [head, _data(message.encode())]

    def write(self, repository: Path) -> None:
        """Into a repository that exists; its work tree follows the branch, its refs are packed."""
        git(repository, "fast-import", "--quiet", data=b"".join(self._parts))
        git(repository, "reset", "-q", "--hard")
        pack(repository)


def git(repository: Path, *arguments: str, data: bytes | None = None) -> str:
    """What git printed. Raises CalledProcessError where it fails."""
    command = ["git", "-C", str(repository), *arguments]
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode("utf-8", "replace").strip()


def pack(repository: Path) -> None:
    """One pack, one file of refs: two repositories that are compared begin alike."""
    git(repository, "pack-refs", "--all")
    git(repository, "repack", "-a", "-d", "-q")


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
