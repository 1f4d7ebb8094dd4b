"""What processes leave behind: run them in a fresh home, and list the files, sockets and look-ups they made.

Python's own calls are told by an audit hook in each process. Native code is seen too: files by a listing of
the home and the temporary folder afterwards, sockets by a seccomp filter that ends a process which asks for
any but a local one. Both reach every child and every detached worker.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.shell import PATINA

SIGSYS = 31
"""The signal of a process that asked for a socket to another machine."""

_AUDIT = """\
import json, os, sys

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LOG, _busy = os.environ["FOOTPRINT_LOG"], []


def _note(kind, what):
    if _busy:
        return
    _busy.append(1)
    try:
        log = os.open(_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(log, (json.dumps([kind, what]) + "\\n").encode())
        os.close(log)
    finally:
        _busy.pop()


def _path(given):
    return os.path.abspath(os.fsdecode(given)) if isinstance(given, (str, bytes, os.PathLike)) else ""


def _hook(event, arguments):
    if event == "open" and (arguments[2] or 0) & _WRITES and _path(arguments[0]):
        _note("write", _path(arguments[0]))
    elif event in ("os.mkdir", "os.symlink", "os.link", "os.rename"):
        _note("write", _path(arguments[0 if event == "os.mkdir" else 1]))
    elif event == "sqlite3.connect" and arguments[0] != ":memory:":
        name = os.fsdecode(arguments[0]).removeprefix("file:").partition("?")[0]
        _note("write", _path(name) if name else "")
    elif event in ("socket.connect", "socket.bind", "socket.sendto"):
        _note("socket", repr(arguments[1]))
    elif event.startswith(("socket.get", "urllib.")) and event != "socket.gethostname":
        _note("look-up", f"{event} {arguments[:2]!r}")


sys.addaudithook(_hook)
"""
_DENY = """
import ctypes, platform, struct

_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_libc = ctypes.CDLL(None, use_errno=True)
_machine, _socket = _MACHINES[platform.machine()]
_program = b"".join(
    struct.pack("HBBI", *step)
    for step in (
        (0x20, 0, 0, 4), (0x15, 0, 5, _machine), (0x20, 0, 0, 0), (0x15, 0, 3, _socket),
        (0x20, 0, 0, 16), (0x15, 1, 0, 1), (0x06, 0, 0, 0x80000000), (0x06, 0, 0, 0x7FFF0000),
    )
)
_buffer = ctypes.create_string_buffer(_program)
_filter = struct.pack("HxxxxxxP", len(_program) // 8, ctypes.addressof(_buffer))
assert _libc.prctl(38, 1, 0, 0, 0) == 0
assert _libc.prctl(22, 2, _filter, 0, 0) == 0, ctypes.get_errno()
"""


def can_deny_sockets() -> bool:
    """Tell whether this machine can end a process that asks for a socket."""
    return sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64")


@dataclass(slots=True)
class Footprint:
    """A repository `root` in an own `home` with an own temporary folder.

    offline: whether native code, too, is kept from any socket but local ones.
    """

    folder: Path
    offline: bool = True
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place in (self.root, self.home, self.temporary, self.site):
            place.mkdir(parents=True)
        deny = _DENY if self.offline and can_deny_sockets() else ""
        (self.site / "sitecustomize.py").write_text(_AUDIT + deny)
        for arguments in (
            ("init", "-q", "-b", "main"),
            ("config", "user.name", "Ada"),
            ("config", "user.email", "ada@example.invalid"),
        ):
            self.git(*arguments)

    @property
    def root(self) -> Path:
        return self.folder / "repository"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    @property
    def site(self) -> Path:
        return self.folder / "site"

    @property
    def environment(self) -> dict[str, str]:
        dropped = re.compile(r"GIT_|PATINA_|XDG_|HF_|ORT_|TRANSFORMERS_|TORCH|DO_NOT_TRACK|CI$|PYTHONPATH$")
        kept = {name: value for name, value in os.environ.items() if not dropped.match(name)}
        return {
            **kept,
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": os.pathsep.join([str(self.site), *filter(None, [self.extra.get("PYTHONPATH")])]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "FOOTPRINT_LOG": str(self.folder / "audit"),
            **{name: value for name, value in self.extra.items() if name != "PYTHONPATH"},
        }

    def git(self, *arguments: str, pass_fds: Sequence[int] = ()) -> None:
        subprocess.run(
            ["git", *arguments], cwd=self.root, env=self.environment, check=True, capture_output=True,
            pass_fds=pass_fds,
        )  # fmt: skip

    def commit(self, message: str, files: Mapping[str, str], pass_fds: Sequence[int] = ()) -> None:
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)
            self.git("add", path)
        self.git("commit", "-q", "-m", message, pass_fds=pass_fds)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, *arguments])

    def patina(self, *arguments: str, pass_fds: Sequence[int] = ()) -> subprocess.CompletedProcess[str]:
        return self._run([*PATINA, *arguments], pass_fds)

    def _run(self, command: Sequence[str], pass_fds: Sequence[int] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=300, check=False, pass_fds=pass_fds,
        )  # fmt: skip

    def events(self) -> Iterator[tuple[str, str]]:
        """What the audit hooks told so far: ("write" | "socket" | "look-up", what)."""
        log = self.folder / "audit"
        for line in log.read_text().splitlines() if log.exists() else ():
            kind, what = json.loads(line)
            yield kind, what

    def unexpected(self, writes: Sequence[str], addresses: Sequence[str] = ()) -> list[str]:
        """List what no pattern allows.

        writes: regular expressions of paths, relative to `folder` where they lie below it; addresses: of
        what sockets may be connected to and names may be looked up.
        """
        allowed = re.compile("|".join(writes))
        peers = re.compile("|".join(addresses) or r"(?!)")
        told = {
            f"{kind} {what}"
            for kind, given in self.events()
            for what in [self._relative(given) if kind == "write" else given]
            if not (allowed.fullmatch(what) if kind == "write" else peers.search(what))
        }
        return sorted(told | {f"file {name}" for name in self._left() if not allowed.fullmatch(name)})

    def _relative(self, path: str) -> str:
        return path.removeprefix(f"{self.folder}/")

    def _left(self) -> Iterator[str]:
        """Files and folders that are there now, of native code too."""
        yield from (f"left in {self._relative(str(path))}" for path in sorted(self.temporary.rglob("*")))
        yield from (self._relative(str(path)) for path in sorted(self.home.rglob("*")))
