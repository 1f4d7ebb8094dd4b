"""Pull a model: its files from a hub into the user's hub cache, each checked and recorded.

Where the spec has no hash, that of the first pull is required from then on, and so is the commit that the
revision was: later files of the revision come from that commit, even if the revision has moved.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from patina_hooks.errors import ModelError, StateError
from patina_hooks.git.lock import SyncLock
from patina_hooks.models.files.download import (
    Source,
    connect_to_hub,
    delete_cached,
    fetch,
    find_source,
    hub_cache,
    require_hub,
)
from patina_hooks.models.files.hub import (
    RECORD,
    PulledFile,
    read_record,
    record_folder,
    records_folder,
    write_record,
)
from patina_hooks.models.files.weights import files_for_runtime, sha256_of, verify_file
from patina_hooks.specs.models import HubFile, ModelSpec
from patina_hooks.text.display import format_size

_SPARE: Final = 64 << 20
"""Bytes of the disk that must remain free after the download."""


@dataclass(frozen=True, slots=True)
class PullResult:
    """The result of a pull.

    fetched: paths, in their repositories, of pulled files; present: of those that were there before.
    bytes: downloaded; files that were in the hub cache count nothing. folder: the hub cache.
    """

    fetched: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    bytes: int = 0
    folder: str = ""


def pull(spec: ModelSpec, runtime: str, report: Callable[[str], None] = lambda _: None) -> PullResult:
    """Fetch the hub's files of `spec` for `runtime` that are absent or altered.

    Args:
        spec: the model.
        runtime: a name as a recipe has it.
        report: called with a line for each file.

    Raises:
        ModelError: a file does not exist or has another hash, the network fails, the disk has no room.
        StateError: another pull is running.
        OSError: the disk fails.
    """
    files = hub_files(spec, runtime)
    missing = [file for file in files if not _is_sound(file)]
    present = tuple(file.path for file in files if file not in missing)
    fetched = tuple(file.path for file in missing)
    bytes_fetched = _pull_files(missing, report) if missing else 0
    caches = [read_record(file).files[file.path].cache for file in files]
    return PullResult(fetched, present, bytes_fetched, next(iter(caches), ""))


def hub_files(spec: ModelSpec, runtime: str) -> list[HubFile]:
    """Return the files of the model for `runtime` that come from a hub, each once."""
    files = (file for file in files_for_runtime(spec, runtime).values() if isinstance(file, HubFile))
    return list(dict.fromkeys(files))


def remove_files(files: Sequence[HubFile]) -> int:
    """Forget pulled files, delete those that patina downloaded, and return the bytes freed."""
    with _locked():
        entries = (read_record(file).files.get(file.path) for file in files)
        fetched = [entry for entry in entries if entry and entry.fetched and os.path.lexists(entry.location)]
        if fetched:
            require_hub()
        freed = delete_cached(fetched)
        for file in files:
            _forget(file)
    return freed


def _pull_files(files: Sequence[HubFile], report: Callable[[str], None]) -> int:
    connect_to_hub()
    with _locked():
        sources = _sources(files)
        _check_room(sources)
        return sum(_pull_file(source, report) for source in sources)


def _is_sound(file: HubFile) -> bool:
    try:
        verify_file(file, reread=True)
    except ModelError:
        return False
    return True


def _sources(files: Sequence[HubFile]) -> list[Source]:
    """Find each file, all of a revision at one commit: the recorded one, or that of the first file."""
    sources: list[Source] = []
    commits: dict[tuple[str, str], str] = {}
    for file in files:
        revision = (file.repository, file.revision)
        expected = _expected(file)
        source = find_source(file, read_record(file).commit or commits.get(revision, ""), expected)
        if expected and source.sha256 and source.sha256 != expected:
            raise _wrong_hash(file, expected, source.sha256)
        commits[revision] = source.commit
        sources.append(source)
    return sources


def _expected(file: HubFile) -> str:
    """Return the sha256 that the file must have, "" before the first pull."""
    entry = read_record(file).files.get(file.path)
    return file.sha256.lower() or (entry.sha256 if entry else "")


def _check_room(sources: Sequence[Source]) -> None:
    """Raise `ModelError` if the files to download do not fit on the disk."""
    cache = hub_cache()
    folder = next(parent for parent in (cache, *cache.parents) if parent.exists())
    needed, free = sum(source.size for source in sources), shutil.disk_usage(folder).free
    if needed and needed + _SPARE > free:
        raise ModelError(
            f"cannot download {format_size(needed)}: {format_size(free)} are free in {cache}",
            hint="free some space, or set HF_HUB_CACHE to a folder on a larger disk",
        )


def _pull_file(source: Source, report: Callable[[str], None]) -> int:
    """Check and record a file; return the bytes downloaded."""
    file = source.file
    amount = "in the hub cache" if source.cached else format_size(source.size or None)
    report(f"{file.repository}/{file.path} ({amount})")
    path = fetch(source)
    digest, expected = sha256_of(path), _expected(file) or source.sha256
    if expected and digest != expected:
        raise _wrong_hash(file, expected, digest)
    cache, bytes_on_disk = hub_cache(), path.stat().st_size
    entry = PulledFile(
        digest, bytes_on_disk, str(cache), path.relative_to(cache).as_posix(), fetched=not source.cached
    )
    record = read_record(file)
    write_record(file, replace(record, commit=source.commit, files={**record.files, file.path: entry}))
    return 0 if source.cached else bytes_on_disk


def _wrong_hash(file: HubFile, expected: str, digest: str) -> ModelError:
    return ModelError(
        f"{file.path} of {file.repository} is refused: expected sha256 {expected}, the hub has {digest}",
        hint="retry; if it remains so, the file was replaced on the hub: ask the model's authors, or accept"
        " it with patina models remove_files and patina models pull",
    )


def _forget(file: HubFile) -> None:
    record = read_record(file)
    files = {path: entry for path, entry in record.files.items() if path != file.path}
    if files:
        write_record(file, replace(record, files=files))
        return
    folder = record_folder(file)
    with suppress(OSError):
        (folder / RECORD).unlink()
    while folder != records_folder():
        with suppress(OSError):  # not empty, or absent
            folder.rmdir()
        folder = folder.parent


@contextmanager
def _locked() -> Iterator[None]:
    folder = records_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = SyncLock(folder / ".lock")
    if not lock.acquire():
        raise StateError(
            "another patina process is pulling or removing models", hint="retry when it has finished"
        )
    try:
        yield
    finally:
        lock.release()
