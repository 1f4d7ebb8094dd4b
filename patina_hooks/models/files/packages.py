"""Locate files of installed distributions without importing them.

A distribution installed in the usual way is found through its record. One installed editable (PEP 660)
has its files elsewhere: they are looked for next to the package that `importlib` would import, and only
accepted inside the folder that the distribution's own `direct_url.json` (PEP 610) names as editable.
"""

from __future__ import annotations

import json
import os
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath

from patina_hooks.errors import ModelError
from patina_hooks.plugins.distributions import (
    InstalledDistribution,
    find_distribution,
    installed_version,
    version_of,
)
from patina_hooks.plugins.installation import install_command, reinstall_command
from patina_hooks.specs.models import PackageFile


def locate_packaged(file: PackageFile) -> Path:
    """Return the path of the file.

    Raises:
        ModelError: the file or its distribution is absent.
    """
    inner = PurePosixPath(file.path)
    if inner.is_absolute() or ".." in inner.parts or "\\" in file.path or not inner.parts:
        raise ModelError(f"{file.distribution}: {file.path!r} is not a path inside a distribution")
    owner = find_distribution(file.distribution)
    if owner is None:
        raise ModelError(
            f"the distribution {file.distribution}, which holds {file.path}, is not installed",
            hint=install_command(file.distribution),
        )
    installed = Path(str(owner.locate_file(file.path))).absolute()
    if installed.is_file():
        return installed
    editable = _editable(owner, inner)
    if editable is not None and editable.is_file():
        return editable
    raise ModelError(
        f"{file.distribution} {version_of(owner)} is installed, but its file {file.path} is absent",
        hint=reinstall_hint(file),
    )


def reinstall_hint(file: PackageFile) -> str:
    """Return the command that restores the file as it was published."""
    version = installed_version(file.distribution)
    return reinstall_command(f"{file.distribution}=={version}" if version else file.distribution)


def _editable(owner: InstalledDistribution, inner: PurePosixPath) -> Path | None:
    root = _editable_root(owner)
    # The path-based finder looks a top-level package up without importing it.
    package = PathFinder.find_spec(inner.parts[0]) if root and len(inner.parts) > 1 else None
    for folder in (package.submodule_search_locations if package else None) or ():
        path = Path(folder, *inner.parts[1:])
        if root and path.resolve().is_relative_to(root):
            return path
    return None


def _editable_root(owner: InstalledDistribution) -> Path | None:
    # Only for files that are not where their record states.
    from urllib.parse import unquote, urlsplit

    try:
        direct = json.loads(owner.read_text("direct_url.json") or "{}")
        url = urlsplit(direct["url"])
        editable = direct["dir_info"]["editable"] is True and url.scheme == "file"
    except (ValueError, KeyError, TypeError):
        return None
    # "file:///C:/..." on Windows. urllib.request has a function for this, and imports http and ssl.
    path = unquote(url.path)
    return Path(path.lstrip("/") if os.name == "nt" else path).resolve() if editable else None
