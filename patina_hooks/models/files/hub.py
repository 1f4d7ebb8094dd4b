"""The record of what was pulled from a model hub.

    <the user's data>/patina/models/<repository>/<revision>/.patina.json

The files themselves are in the user's hub cache, which other programs share. The record has the commit that
the revision was at the first pull, and each file's sha256, size and place in the cache. A file that it does
not name counts as not pulled.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import read_value
from patina_hooks.errors import ModelError, StateError
from patina_hooks.specs.models import HubFile
from patina_hooks.system.files import plain_file, replace_file
from patina_hooks.system.user_folders import data_folder

RECORD: Final = ".patina.json"
_NO_PATHS: Final[Mapping[str, str]] = MappingProxyType({})
_NONE_KNOWN: Final[Mapping[str, tuple[str, int]]] = MappingProxyType({})


def hub_runtimes(
    repository: str,
    *,
    weights: Sequence[str] = ("model.safetensors",),
    onnx: str = "",
    precisions: Mapping[str, str] = _NO_PATHS,
    revision: str = "main",
    known: Mapping[str, tuple[str, int]] = _NONE_KNOWN,
) -> dict[str, dict[str, HubFile]]:
    """List the files of a model's repository for each runtime, as hubs usually have them.

    Args:
        repository: "owner/name".
        weights: safetensors, in order, for torch and mlx; config.json and tokenizer.json are added.
        onnx: the ONNX file of token vectors, with all its weights in it, "" where there is none.
        precisions: further ONNX files, by the name of their precision ("int8").
        revision: a branch, tag or commit.
        known: path -> sha256 and bytes, "" and 0 where they are not known.
    """

    def file(path: str) -> HubFile:
        sha256, size = known.get(path, ("", 0))
        return HubFile(repository, path, revision, sha256, size)

    parts = {
        "model" if number == 1 else f"model.{number}": file(path) for number, path in enumerate(weights, 1)
    }
    safetensors = {**parts, "config": file("config.json"), "tokenizer": file("tokenizer.json")}
    named = {**({"onnx": onnx} if onnx else {}), **{f"onnx/{key}": path for key, path in precisions.items()}}
    graphs = {
        name: {"model": file(path), "tokenizer": file("tokenizer.json")} for name, path in named.items()
    }
    return {**graphs, "torch": safetensors, "mlx": safetensors}


class PullNeeded(ModelError):
    """A file of a hub that is absent or altered, and has to be pulled."""


@dataclass(frozen=True, slots=True)
class PulledFile:
    """A file of the hub cache.

    sha256: 64 hex digits. size: in bytes. cache: the resolved folder of the cache. path: below it.
    fetched: whether patina downloaded it; otherwise it was in the cache before.
    """

    sha256: str
    size: int
    cache: str
    path: str
    fetched: bool

    @property
    def location(self) -> Path:
        """The file's path, which is usually a link within the cache."""
        return Path(self.cache, self.path)


@dataclass(frozen=True, slots=True)
class PullRecord:
    """The pulled files of a revision. commit: what it was at the first pull, "" before it."""

    commit: str = ""
    files: Mapping[str, PulledFile] = field(default_factory=dict)


def records_folder() -> Path:
    """Return the folder of the records, whether or not it exists."""
    return data_folder() / "models"


def record_folder(file: HubFile) -> Path:
    """Return the folder of the record of the file's repository and revision."""
    return records_folder() / file.repository / file.revision


def locate_pulled(file: HubFile) -> Path:
    """Return the path of the file in the hub cache.

    Raises:
        PullNeeded: it is absent.
        ModelError: a link leads out of the cache.
    """
    recorded = read_record(file).files.get(file.path)
    if recorded is None or not _is_file(recorded.location):
        raise _not_pulled(file)
    if not (target := recorded.location.resolve()).is_relative_to(recorded.cache):
        raise ModelError(
            f"cannot use {recorded.location}: it leads out of the hub cache, to {target}",
            hint="put the file itself into the cache in place of the link",
        )
    return recorded.location


def _is_file(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.is_file()
    return False


def _not_pulled(file: HubFile) -> PullNeeded:
    return PullNeeded(f"{file.path} of {file.repository} was not pulled yet", hint="patina models list")


def recorded_hash(file: HubFile) -> str:
    """Return the sha256 that the file must have: the spec's, or that of the first pull.

    Raises:
        PullNeeded: neither exists.
    """
    if file.sha256:
        return file.sha256.lower()
    recorded = read_record(file).files.get(file.path)
    if recorded is None:
        raise _not_pulled(file)
    return recorded.sha256


def read_record(file: HubFile) -> PullRecord:
    """Read the record of the file's revision, empty where it is absent or cannot be read."""
    path = plain_file(records_folder(), f"{file.repository}/{file.revision}/{RECORD}")
    if path is None:
        return PullRecord()
    with suppress(OSError, ValueError):
        return read_value(PullRecord, parse_json(path.read_bytes()), ignore_unknown=True)
    return PullRecord()


def write_record(file: HubFile, record: PullRecord) -> None:
    """Replace the record of the file's revision.

    Raises:
        StateError: a link is in the way.
        OSError: it cannot be written.
    """
    folder = records_folder()
    for step in (*file.repository.split("/"), file.revision):
        folder /= step
        if folder.is_symlink():
            hint = f"rm {shlex.quote(str(folder))}"
            raise StateError(f"cannot write below {folder}: it is a link", hint=hint)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = json.dumps(asdict(record), indent=2, sort_keys=True)
    replace_file(folder / RECORD, content.encode() + b"\n")
