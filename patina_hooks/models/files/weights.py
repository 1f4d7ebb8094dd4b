"""Locate the files of a model, and check them before anything opens them.

They are in an installed distribution, among the files pulled from a hub, or at a path of the user. Nothing
here uses the network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import read_mapping
from patina_hooks.errors import ModelError
from patina_hooks.models.choice import files_for
from patina_hooks.models.files.hub import PullNeeded, locate_pulled, recorded_hash
from patina_hooks.models.files.packages import locate_packaged, reinstall_hint
from patina_hooks.specs.models import HubFile, LocalFile, ModelFile, ModelSpec, PackageFile
from patina_hooks.system.files import replace_file
from patina_hooks.system.user_folders import cache_folder

_BLOCK = 1 << 20
_ORIGIN = {PackageFile: "published", HubFile: "pulled", LocalFile: "named"}


def model_files(spec: ModelSpec, runtime: str) -> dict[str, Path]:
    """Return role -> path of every file of a runtime, each checked against its hash.

    Raises:
        ModelError: a file is absent or altered, or the model does not list the runtime.
    """
    with _with_pull_hint(spec, runtime):
        return {role: verify_file(file) for role, file in files_for_runtime(spec, runtime).items()}


def file_hashes(spec: ModelSpec, runtime: str) -> dict[str, str]:
    """Return role -> sha256 of every file: from the spec or the pull, or else of its content.

    The hash of content is cached by size, time and inode, since every sync asks for it.
    """
    with _with_pull_hint(spec, runtime):
        return {
            role: expected_hash(file) or cached_hash(locate(file))
            for role, file in files_for_runtime(spec, runtime).items()
        }


def files_for_runtime(spec: ModelSpec, runtime: str) -> Mapping[str, ModelFile]:
    """Return role -> file for a runtime, named as in a recipe.

    Raises:
        ModelError: the model has no files for it.
    """
    files = spec.runtimes.get(files_for(spec, runtime))
    if files is None:
        names = ", ".join(sorted(spec.runtimes)) or "none"
        raise ModelError(f"model {spec.name} has no files for the runtime {runtime}; it has: {names}")
    return files


def verify_file(file: ModelFile, *, reread: bool = False) -> Path:
    """Return the path of a file after comparing its hash.

    Args:
        file: the file.
        reread: read it also where it looks unchanged; files of distributions are always read.

    Raises:
        ModelError: the file is absent or altered.
    """
    path, expected = locate(file), expected_hash(file)
    if not expected:
        return path
    actual = sha256_of(path) if reread or isinstance(file, PackageFile) else cached_hash(path)
    if actual != expected:
        problem = f"{path} is not the file that was {_ORIGIN[type(file)]}:"
        problem += f" expected sha256 {expected}, found {actual}"
        if isinstance(file, HubFile):
            raise PullNeeded(problem, hint="patina models list")
        hint = reinstall_hint(file) if isinstance(file, PackageFile) else "restore the file, or add it again"
        raise ModelError(problem, hint=hint)
    return path


def expected_hash(file: ModelFile) -> str:
    """Return the sha256 that the file must have, "" for any.

    Raises:
        ModelError: as `locate`, for a `HubFile`.
    """
    if isinstance(file, HubFile):
        return recorded_hash(file)
    return (file.sha256 or "").lower()


def locate(file: ModelFile) -> Path:
    """Return the path of the file.

    Raises:
        ModelError: the file is absent; the hint is the command that installs it.
    """
    if isinstance(file, HubFile):
        return locate_pulled(file)
    if isinstance(file, LocalFile):
        if not is_file(file.path):
            raise ModelError(
                f"{file.path} is absent",
                hint="put it there, or correct its path in models.toml",
            )
        return file.path
    return locate_packaged(file)


def is_file(path: Path) -> bool:
    """Return whether the path is a regular file or leads to one; False for an invalid path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def _with_pull_hint(spec: ModelSpec, runtime: str) -> Iterator[None]:
    """Add the command that pulls the model's files to `PullNeeded`."""
    try:
        yield
    except PullNeeded as error:
        error.hint = pull_command(spec, runtime)
        raise


def pull_command(spec: ModelSpec, runtime: str) -> str:
    """Return the command that pulls the model's files for a runtime."""
    return f"patina models pull {spec.name} --runtime {runtime}"


def sha256_of(path: Path) -> str:
    """Return the hash of the file's content.

    Raises:
        ModelError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def cached_hash(path: Path) -> str:
    """Return the hash of the file's content, from the user's cache if the file did not change."""
    status = path.stat()
    change_token = [status.st_size, status.st_mtime_ns, status.st_ino]
    cache = cache_folder() / "hashes.json"
    hashes = _hashes_in(cache)
    entry = hashes.get(str(path))
    if isinstance(entry, list) and entry[:-1] == change_token:
        return str(entry[-1])
    digest = sha256_of(path)
    with suppress(OSError):  # then it is read again
        replace_file(cache, json.dumps({**hashes, str(path): [*change_token, digest]}).encode())
    return digest


def _hashes_in(cache: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        return read_mapping(object, parse_json(cache.read_bytes()))
    return {}
