"""The files of a model: found, and checked before anything opens them.

They lie in an installed distribution, among what was pulled from a hub, or where the user says. Nothing here
goes to the network.
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
from patina_hooks.models.files.hub import PullNeeded, pulled, recorded_hash
from patina_hooks.models.files.packages import packaged, reinstall
from patina_hooks.specs.models import HubFile, LocalFile, ModelFile, ModelSpec, PackageFile
from patina_hooks.system.files import replace_file
from patina_hooks.system.user_folders import cache_folder

_BLOCK = 1 << 20
_ORIGIN = {PackageFile: "published", HubFile: "pulled", LocalFile: "named"}


def model_files(spec: ModelSpec, runtime: str) -> dict[str, Path]:
    """Role -> path of every file that `spec` lists for `runtime`, each with the hash that it must have.

    Raises `ModelError` where a file is absent or altered, or the model does not list the runtime.
    """
    with _told_apart(spec, runtime):
        return {role: verified(file) for role, file in listed(spec, runtime).items()}


def file_hashes(spec: ModelSpec, runtime: str) -> dict[str, str]:
    """Role -> sha256 of every file: as the spec or the pull gives it, read only where neither does.

    Such a file is read once and then known by size, time and inode: a sync asks each time.
    """
    with _told_apart(spec, runtime):
        return {
            role: expected_hash(file) or remembered_hash(locate(file))
            for role, file in listed(spec, runtime).items()
        }


def listed(spec: ModelSpec, runtime: str) -> Mapping[str, ModelFile]:
    """Role -> file for `runtime`, a name as a recipe has it; `ModelError` where the model has none."""
    files = spec.runtimes.get(files_for(spec, runtime))
    if files is None:
        names = ", ".join(sorted(spec.runtimes)) or "none"
        raise ModelError(f"model {spec.name} has no files for the runtime {runtime}; it has: {names}")
    return files


def verified(file: ModelFile, *, anew: bool = False) -> Path:
    """Where the file lies, after its hash was compared; `ModelError` where it is absent or altered.

    anew: read it even where it was read before and looks unchanged. A file of a distribution always is.
    """
    path, expected = locate(file), expected_hash(file)
    if not expected:
        return path
    found = sha256_of(path) if anew or isinstance(file, PackageFile) else remembered_hash(path)
    if found != expected:
        what = f"{path} is not the file that was {_ORIGIN[type(file)]}:"
        what += f" expected sha256 {expected}, found {found}"
        if isinstance(file, HubFile):
            raise PullNeeded(what, hint="patina models list")
        restores = reinstall(file) if isinstance(file, PackageFile) else "put the file back, or add it anew"
        raise ModelError(what, hint=restores)
    return path


def expected_hash(file: ModelFile) -> str:
    """The sha256 that the file must have, "" where nobody said so. Raises as `locate` for a `HubFile`."""
    if isinstance(file, HubFile):
        return recorded_hash(file)
    return (file.sha256 or "").lower()


def locate(file: ModelFile) -> Path:
    """Where the file lies; `ModelError` where it does not, with the command that brings it."""
    if isinstance(file, HubFile):
        return pulled(file)
    if isinstance(file, LocalFile):
        if not is_there(file.path):
            raise ModelError(
                f"{file.path} is absent",
                hint="put it there, or correct its path in models.toml, unless a plugin names it",
            )
        return file.path
    return packaged(file)


def is_there(path: Path) -> bool:
    """Whether a regular file lies there, or a link leads to one; a path that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def _told_apart(spec: ModelSpec, runtime: str) -> Iterator[None]:
    """A file does not know whose it is; the command that fetches it names the model."""
    try:
        yield
    except PullNeeded as error:
        error.hint = pull_command(spec, runtime)
        raise


def pull_command(spec: ModelSpec, runtime: str) -> str:
    """What fetches the model's files for a runtime."""
    return f"patina models pull {spec.name} --runtime {runtime}"


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


def remembered_hash(path: Path) -> str:
    """The hash of the file's bytes, from the user's cache where the file is the one that was read."""
    status = path.stat()
    stamp = [status.st_size, status.st_mtime_ns, status.st_ino]
    cache = cache_folder() / "hashes.json"
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
        return read_mapping(object, parse_json(cache.read_bytes()))
    return {}
