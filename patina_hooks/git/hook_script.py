"""`hook.sh`, the script that the hooks of a repository source."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from patina_hooks.git import stub
from patina_hooks.system.files import make_private, read_regular, replace_file

_SCRIPT_CAP = 64 * 1024


def write_script(state: Path, interpreter: str) -> None:
    """Write `hook.sh` for an interpreter, unless it is up to date."""
    make_private(state)
    path, content = state / stub.SCRIPT, stub.hook_script(interpreter)
    if not path.is_file() or path.read_bytes() != content:
        replace_file(path, content)


def renew_script(state: Path, interpreter: str) -> bool:
    """Rewrite the hook script if another version of patina wrote it for this interpreter.

    The script starts a module by its name in the version that wrote it. Returns whether it was rewritten;
    False if it cannot be written.
    """
    if recorded_interpreter(state) != interpreter:
        return False
    path, content = state / stub.SCRIPT, stub.hook_script(interpreter)
    with suppress(OSError):
        if read_regular(path, _SCRIPT_CAP) != content:
            replace_file(path, content)
            return True
    return False


def recorded_interpreter(state: Path) -> str | None:
    """Return the interpreter that the hooks run, None if none is recorded."""
    try:
        return stub.interpreter_of(read_regular(state / stub.SCRIPT, _SCRIPT_CAP))
    except (OSError, ValueError):  # ValueError: unbalanced quotes
        return None
