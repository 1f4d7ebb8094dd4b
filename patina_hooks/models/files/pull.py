"""Pulling a model: its files from a hub, each checked before anything can open it, and recorded.

A file is downloaded beside, checked, moved into place, then recorded; killed anywhere, the next pull goes on.
Where the spec gives no hash, that of the first pull holds from then on, and so does the commit that the
revision was: later files of the same revision come from that commit, whatever the revision is by then.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from patina_hooks.errors import ModelError, StateError
from patina_hooks.git.lock import SyncLock
from patina_hooks.models.files.download import Source, fetch, find_source, require_hub
from patina_hooks.models.files.hub import (
    RECORD,
    PulledFile,
    folder_of,
    models_folder,
    read_record,
    write_record,
)
from patina_hooks.models.files.weights import listed, locate, sha256_of, verified
from patina_hooks.specs.models import HubFile, ModelSpec
from patina_hooks.system.files import size_of
from patina_hooks.text.display import size

_INCOMING: Final = ".incoming"
_SPARE: Final = 64 << 20
"""Bytes that must be left when everything has come."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """fetched, present: paths in the hub's repositories; bytes: of what was fetched."""

    fetched: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    bytes: int = 0


def pull(spec: ModelSpec, runtime: str, say: Callable[[str], None] = lambda _: None) -> Pulled:
    """Fetch what `spec` needs for `runtime` and what is not here, or is here but altered.

    say: told in words what is fetched. Raises `ModelError` (no such file, another hash than it must have, the
    network, no room), `StateError` while another pull is at work, OSError where the disk fails.
    """
    files = hub_files(spec, runtime)
    missing = [file for file in files if not _is_sound(file)]
    present = tuple(file.path for file in files if file not in missing)
    if not missing:
        return Pulled(present=present)
    require_hub()
    with _alone():
        sources = _sources(missing)
        _make_room(sources)
        for source in sources:
            say(f"{source.file.repository}/{source.file.path} ({size(source.size or None)})")
            _take_in(source)
    fetched = sum(read_record(file).files[file.path].size for file in missing)
    return Pulled(tuple(file.path for file in missing), present, fetched)


def hub_files(spec: ModelSpec, runtime: str) -> list[HubFile]:
    """The files of the model for `runtime` that come from a hub, each once."""
    files = (file for file in listed(spec, runtime).values() if isinstance(file, HubFile))
    return list(dict.fromkeys(files))


def remove(files: Sequence[HubFile]) -> int:
    """Delete pulled files, their records, and the beginnings of downloads; the bytes that were freed."""
    with _alone():
        freed = size_of(models_folder() / _INCOMING)
        shutil.rmtree(models_folder() / _INCOMING, ignore_errors=True)
        for file in files:
            with suppress(ModelError, FileNotFoundError):
                path = locate(file)
                freed += path.stat().st_size
                path.unlink()
            _forget(file)
    return freed


def _is_sound(file: HubFile) -> bool:
    try:
        verified(file, anew=True)
    except ModelError:
        return False
    return True


def _sources(files: Sequence[HubFile]) -> list[Source]:
    """Where each comes from, all of a revision from one commit: the recorded one, or that of the first."""
    found: list[Source] = []
    for file in files:
        known = (one.commit for one in found if _home(one.file) == _home(file))
        source = find_source(file, read_record(file).commit or next(known, ""))
        expected = _expected(file)
        if expected and source.sha256 and source.sha256 != expected:
            raise _another(file, expected, source.sha256)
        found.append(source)
    return found


def _home(file: HubFile) -> tuple[str, str]:
    return file.repository, file.revision


def _expected(file: HubFile) -> str:
    """The sha256 that it must have, "" before the first pull."""
    known = read_record(file).files.get(file.path)
    return file.sha256.lower() or (known.sha256 if known else "")


def _make_room(sources: Sequence[Source]) -> None:
    """Raise `ModelError` before anything is fetched that would not fit."""
    folder = models_folder()
    here = sum(part.stat().st_size for part in map(_part, sources) if part.is_file())
    needed, free = sum(one.size for one in sources) - here, shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        least = "" if all(one.size for one in sources) else "at least "
        raise ModelError(
            f"{least}{size(needed)} are to be fetched and {size(free)} are free in {folder}",
            hint="patina models list",
        )


def _take_in(source: Source) -> None:
    file, part = source.file, _part(source)
    part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fetch(source, part)
    found, expected = sha256_of(part), _expected(file) or source.sha256
    if expected and found != expected:
        part.unlink()
        raise _another(file, expected, found)
    fetched = PulledFile(found, part.stat().st_size)
    _place(part, file)
    record = read_record(file)
    write_record(file, replace(record, commit=source.commit, files={**record.files, file.path: fetched}))


def _part(source: Source) -> Path:
    """Where it is downloaded to: named by what it is, so that a later pull finds it again."""
    name = f"{source.file.repository} {source.commit} {source.file.path}"
    return models_folder() / _INCOMING / f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.part"


def _place(part: Path, file: HubFile) -> None:
    """Move it where it belongs, unless a link would lead it elsewhere."""
    here = models_folder()
    for step in Path(file.repository, file.revision, file.path).parent.parts:
        here /= step
        if here.is_symlink():
            raise StateError(f"{here} is a link, which is not followed", hint=f"rm {here}")
        here.mkdir(mode=0o700, exist_ok=True)
    part.replace(here / Path(file.path).name)


def _another(file: HubFile, expected: str, found: str) -> ModelError:
    return ModelError(
        f"{file.path} of {file.repository} is refused: expected sha256 {expected}, the hub has {found}",
        hint="pull again; if it stays so, the file was replaced there: ask the model's authors, or remove the"
        " model and pull it anew to take it as it is now",
    )


def _forget(file: HubFile) -> None:
    record = read_record(file)
    files = {path: one for path, one in record.files.items() if path != file.path}
    if files:
        write_record(file, replace(record, files=files))
        return
    with suppress(FileNotFoundError):
        (folder_of(file) / RECORD).unlink()
    _drop_empty(folder_of(file))


def _drop_empty(folder: Path) -> None:
    """The folder and those below and above it, as far as they are empty, up to the models' folder."""
    for inner, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            Path(inner).rmdir()
    while (folder := folder.parent) != models_folder():
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def _alone() -> Iterator[None]:
    folder = models_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = SyncLock(folder / ".lock")
    if not lock.acquire():
        raise StateError("another patina is pulling or removing models", hint="try again in a while")
    try:
        yield
    finally:
        lock.release()
