"""Whether the interpreter that the hooks run can do what this one does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from patina_hooks.doctor.finding import Finding
from patina_hooks.parsing import parse_json
from patina_hooks.plugins import Plugins

_SECONDS = 60
_QUERY = """
import json
from importlib.metadata import version
from patina_hooks.plugins import Plugins
known = {info.name: info.version for info in Plugins.load().info()}
print()
print(json.dumps({**known, "patina-hooks": version("patina-hooks")}))
"""


def compare_environments(interpreter: str, plugins: Plugins) -> Iterator[Finding]:
    """Start the hooks' interpreter once and compare its plugins with these.

    Nothing is started where it is this very interpreter.
    """
    from importlib.metadata import version

    if interpreter == sys.executable:
        return
    try:
        other = _installed_in(interpreter)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        what = f"the hooks run {interpreter}, which cannot start patina: {error}"
        yield Finding("hooks", "fault", what, "nothing is recorded in the background", "patina install")
        return
    own = {info.name: info.version for info in plugins.info()} | {"patina-hooks": version("patina-hooks")}
    if differences := _differences(own, other):
        what = f"the hooks run {interpreter}, where other plugins are installed: {', '.join(differences)}"
        yield Finding(
            "hooks", "warning", what, "each environment indexes with its own plugins", "patina install"
        )


def _installed_in(interpreter: str) -> dict[str, str]:
    # As a hook starts it: outside the repository, where -c and -m find nothing to import.
    done = subprocess.run(
        [interpreter, "-c", _QUERY], cwd=Path(interpreter).anchor or "/", stdin=subprocess.DEVNULL,
        capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ValueError(done.stderr.strip().rpartition("\n")[2] or f"exit {done.returncode}")
    found = parse_json(done.stdout.strip().rpartition("\n")[2])
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ValueError("it is another program")
    return found


def _differences(own: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    names = sorted(own.keys() | other.keys())
    return [
        f"{name} {other.get(name, 'absent')} (here {own.get(name, 'absent')})"
        for name in names
        if own.get(name) != other.get(name)
    ]
