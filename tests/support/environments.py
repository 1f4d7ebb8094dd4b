"""A Python environment to install into, which leaves that of the tests as it is.

What the tests have, patina and its plugins from their sources among it, is there already: to install it by
its name succeeds, does nothing, and proves nothing of a package index. What a test installs from files is
built and put there as anywhere.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import venv
from pathlib import Path

from support.excerpt import Place, clean_environment

_SCRIPT = """#!{python}
import sys

from {module} import {function}

sys.exit({function}())
"""
# What is not here cannot be fetched, so what builds a package must be found where the tests have it.
_PIP = """#!/bin/sh
command=$1
shift
exec "{python}" -m pip "$command" --quiet --disable-pip-version-check --no-index --no-build-isolation "$@"
"""


def make_environment(folder: Path, root: Path) -> Place:
    """A new environment in `folder`, to type commands in at `root`: pip, python, pytest and patina.

    It sees every package of the tests' own environment. What is installed goes into it alone, from files:
    there is no network.
    """
    venv.EnvBuilder(symlinks=True).create(folder)
    scripts = folder / "bin"
    python = scripts / "python"
    _see_ours(folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages")
    _write(scripts / "pip", _PIP.format(python=python))
    for name, module, function in (
        ("patina", "patina_hooks.commands", "run"),
        ("pytest", "pytest", "main"),
    ):
        _write(scripts / name, _SCRIPT.format(python=python, module=module, function=function))
    path = os.pathsep.join([str(scripts), clean_environment()["PATH"]])
    root.mkdir(parents=True, exist_ok=True)
    return Place(root, {"PATH": path, "VIRTUAL_ENV": str(folder)})


def _see_ours(packages: Path) -> None:
    # Not PYTHONPATH: editable packages are found through .pth files, which Python reads in such folders only.
    ours = sysconfig.get_path("purelib")
    packages.joinpath("tests.pth").write_text(f"import site; site.addsitedir({ours!r})\n")


def _write(script: Path, text: str) -> None:
    script.write_text(text)
    script.chmod(0o755)
