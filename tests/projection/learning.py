"""A history that something can be learned from, long enough to be judged by, made at one stroke.

Every text is two words of its session among many that any session says. To the raw model those many are most
of it; a projection that looks away from them finds the session.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from types import ModuleType

from support.memory import Memory

from patina_hooks import hookimpl
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import ProjectionSpec

SESSIONS = 68
PAST = 47
BEGUN = 1_700_000_000
DAY = 86_400
MODEL = "version: 2\nembedding_model: acme-64\nprojections:\n"
RECIPE = MODEL + "".join(
    f"  {kind}: {{type: {kind}, layers: [32, 24], epochs: 3}}\n" for kind in ("whitening", "mlp", "residual")
)
"""Small and fast. Of these, whitening and residual pass the gate on this history, and mlp does not."""

_CHATTER = [
    "decide",
    "update",
    "server",
    "because",
    "review",
    "again",
    "release",
    "please",
    "always",
    "module",
    "number",
    "option",
]
_PARTS = ("ba", "ke", "li", "mo", "nu", "pra", "ske", "tri", "vo", "zu")


def moment(number: int) -> int:
    """When a session starts: one a day."""
    return BEGUN + number * DAY


def session_id(number: int) -> str:
    return datetime.fromtimestamp(moment(number), timezone.utc).strftime("%Y%m%d-%H%M%S")


def words(number: int) -> tuple[str, str, str, str]:
    """What a session is about; no other one is."""
    first, second = _PARTS[number // 10 % 10], _PARTS[number % 10]
    return (
        f"{first}{second}n", f"{second}{first}rt", f"{first}{second}{first}", f"{second}{second}{first}x"
    )  # fmt: skip


def saying(first: str, second: str) -> str:
    """The two words, with chatter that they draw."""
    draw = Random(f"{first} {second}")
    chatter = draw.choices(_CHATTER, k=14)
    return " ".join([*chatter[:7], first, *chatter[7:], second])


def document(number: int, more: str = "") -> str:
    """A session's document; more: lines below its decisions."""
    one, two, three, four = words(number)
    before = words(number - 1) if number else ("", "", "", "")
    told = saying(f"{before[0]} {before[1]}", f"{before[2]} {before[3]}")
    said = [(one, two), (two, three), (three, four), (four, one), (one, three), (two, four)]
    decisions = "".join(f"- {saying(*pair)}\n" for pair in said)
    return (
        f"# Session: {one} and {four}\n**ID**: {session_id(number)}\n\n"
        f"## Previous Session Context\n{told if number else '<!-- none -->'}\n\n"
        f"## Goals\n- [ ] {saying(f'{one} {three}', two)}\n\n"
        f"## Activity Log\n### 09:10 - Update\n\n**Key Decisions:**\n{decisions}{more}\n"
    )


def make_history(
    root: Path, sessions: int = SESSIONS, recipe: str = RECIPE, more: Mapping[int, str] | None = None
) -> Memory:
    """Sessions of two commits, with their documents; not synced yet. more: by session, see `document`."""
    memory = Memory.make(root)
    stream = _Stream()
    stream.commit(BEGUN - DAY, "begin", {".patina/oxidize.yaml": recipe, "README.md": "hello"})
    for number in range(sessions):
        session, start = session_id(number), moment(number)
        one, two, three, four = words(number)
        stream.tag(f"session-{session}-start", start)
        stream.commit(
            start + 60, saying(one, four), {f"src/{one}/{two}.py": "1", f"src/{one}/{three}.py": "1"}
        )
        stream.commit(
            start + 120, saying(two, three), {f"src/{one}/{two}.py": "2", f"src/{one}/{four}.py": "1"}
        )
        stream.tag(f"session-{session}-end", start + 180)
        text = document(number, (more or {}).get(number, ""))
        stream.commit(start + 240, f"session: archive {session}", {f"layer/sessions/{session}.md": text})
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input=bytes(stream), check=True)
    memory.git("reset", "-q", "--hard", "main")
    memory.clock = moment(sessions)
    return memory


def projected_by(
    train: Callable[..., object], open_: Callable[..., object] | None = None, *, strict: bool = False
) -> Plugins:
    """All plugins and one more, whose kind of projection is "odd"."""
    module = ModuleType("odd_projection")
    vars(module).update(train=train, open=open_)
    sys.modules[module.__name__] = module
    spec = ProjectionSpec("odd", 1, "odd_projection:train", hidden=96)
    if open_ is not None:
        spec = replace(spec, open="odd_projection:open")

    class Provider:
        @hookimpl
        def patina_register_projections(self) -> list[ProjectionSpec]:
            return [spec]

    providers = Plugins.load(disabled=(), strict=strict)
    providers.register(Provider(), "odd-plugin")
    return providers


def copy_of(memory: Memory, root: Path) -> Memory:
    """The repository and its memory in another place."""
    shutil.copytree(memory.root, root, symlinks=True)
    return Memory(root, memory.clock)


class _Stream:
    """What `git fast-import` reads."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def __bytes__(self) -> bytes:
        return b"".join(self._written)

    def commit(self, when: int, message: str, files: Mapping[str, str]) -> None:
        self._write(f"commit refs/heads/main\ncommitter Ada <ada@example.invalid> {when} +0000\n")
        self._data(message)
        for path, text in files.items():
            self._write(f"M 100644 inline {path}\n")
            self._data(text)

    def tag(self, name: str, when: int) -> None:
        self._write(f"tag {name}\nfrom refs/heads/main\ntagger Ada <ada@example.invalid> {when} +0000\n")
        self._data(name)

    def _data(self, text: str) -> None:
        data = text.encode()
        self._write(f"data {len(data)}\n")
        self._written.append(data + b"\n")

    def _write(self, text: str) -> None:
        self._written.append(text.encode())
