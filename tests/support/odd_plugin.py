"""A plugin patina-odd for tests, and the command line in a process where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from support.distributions import Site
from support.memory import Memory

HOOKIMPL = "from patina_hooks import *\nfrom patina_hooks import hookimpl\n"


def install(site: Site, code: str, **files: str) -> None:
    """Install the plugin patina-odd, whose module is `odd`."""
    modules = {"odd.py": HOOKIMPL + code, **{f"{name}.py": text for name, text in files.items()}}
    site.add("patina-odd", files=modules, entry_points={"patina-odd": "odd"})


def patina(
    memory: Memory,
    site: Site,
    *arguments: str,
    setup: str = "",
    pass_fds: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command line with the plugin installed."""
    code = f"{setup}\nfrom patina_hooks.commands import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=memory.root, capture_output=True, text=True, check=False, timeout=120, pass_fds=pass_fds,
        env={**os.environ, "PYTHONPATH": str(site.folder), "PATINA_SKIP": "1", **(environment or {})},
    )  # fmt: skip
