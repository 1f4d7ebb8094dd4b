"""Hooks in a folder of the work tree: one line in a file that the team commits.

husky and similar tools point core.hooksPath into the work tree. Only `patina install` and `patina uninstall`,
which a user types, change files there that git tracks or would track.

husky 9 rewrites `.husky/_/<event>` at each `npm install`; such a file runs `.husky/<event>` with `sh -e`,
which is not rewritten. With husky 8 and similar tools git runs `.husky/<event>` itself.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from patina_hooks.git import hook_files, stub
from patina_hooks.git.hook_files import INSTALL, Hook, absent_hook, missing_line, not_executable, write_hook

_GENERATED = "_"
_HUSKY = "npx husky"
# husky 8 runs the whole script again at this line.
_HUSKY_8 = re.compile(rb"^[ \t]*\.[ \t][^\n]*/_/husky\.sh[^\n]*\n", re.MULTILINE)


def script_of(folder: Path, event: str) -> Path:
    """Return the file of an event that the team commits.

    folder: where git searches for hooks.
    """
    return folder.parent / event if _is_generated(folder) else folder / event


def find_line_hook(folder: Path, event: str) -> Hook:
    """Return the state of an event's hook in a folder of a work tree."""
    path = script_of(folder, event)
    content = path.read_bytes() if path.is_file() else b""
    if not stub.has_line(content, event):
        refused = _refusal(path, event, _is_generated(folder))
        return _find_block(folder, event) or refused or absent_hook(event)
    method: hook_files.InstallMethod = "line" if stub.has_added_line(content, event) else "by hand"
    if not _is_generated(folder):
        return Hook(event, method) if hook_files.is_executable(path) else not_executable(path, event, method)
    if not hook_files.is_executable(folder / event):
        return Hook(event, method, f"husky has not written {folder / event}", _HUSKY, enabled=False)
    return Hook(event, method)


def add_line(folder: Path, event: str) -> Hook:
    """Add the line to the file of an event, if it is absent."""
    path = script_of(folder, event)
    hook = find_line_hook(folder, event)
    if hook.method != "absent":
        if not hook.enabled and path.is_file() and path.read_bytes() == stub.line_file(event):
            hook_files.make_executable(path)
        return find_line_hook(folder, event)
    if not os.path.lexists(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_hook(path, stub.line_file(event))
    else:
        content = path.read_bytes()
        position = _position(content, _is_generated(folder)) or 0
        write_hook(path, content[:position] + stub.line(event) + content[position:], like=path)
    return find_line_hook(folder, event)


def remove_lines(folder: Path) -> None:
    """Remove the lines that `add_line` added to the files of a folder."""
    for event in hook_files.EVENTS:
        path = script_of(folder, event)
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if content == stub.line_file(event):
            path.unlink()
        elif stub.has_added_line(content, event):
            write_hook(path, stub.without_line(content, event), like=path)


def _is_generated(folder: Path) -> bool:
    return folder.name == _GENERATED


def _find_block(folder: Path, event: str) -> Hook | None:
    """Return a hook that was installed in this folder as a file, None if there is none."""
    hook = hook_files.find_hook(folder, event)
    if hook.method not in ("whole", "block", "wrapper"):
        return None
    if hook.enabled and _is_generated(folder):
        note = f"husky rewrites {folder / event} at its next run"
        return Hook(event, hook.method, note, INSTALL)
    return hook


def _refusal(path: Path, event: str, generated: bool) -> Hook | None:
    """Return a hook with the reason why the line cannot be added, None if it can."""
    if not os.path.lexists(path):
        return None
    if path.is_symlink() or not path.is_file():
        return missing_line(path, event, f"{path} is not a regular file")
    if not generated and not hook_files.is_executable(path):
        return missing_line(path, event, f"{path} is not executable")
    if _position(path.read_bytes(), generated) is None:
        return missing_line(path, event, f"{path} is not a shell script that a line can be added to")
    return None


def _position(content: bytes, generated: bool) -> int | None:
    """Return the position for the line, None if it cannot be added."""
    if not hook_files.accepts_lines(content):
        return None
    if generated and not content.startswith(b"#!"):
        return 0
    if not hook_files.is_shell(content):
        return None
    if b"/_/husky.sh" not in content:
        return content.index(b"\n") + 1
    start = _HUSKY_8.search(content)
    return start.end() if start else None
