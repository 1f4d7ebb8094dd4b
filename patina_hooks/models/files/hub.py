"""What was pulled from a model hub: where it lies, and what is known of it.

    <the user's data>/patina/models/<repository>/<revision>/<path of the file>
    <the user's data>/patina/models/<repository>/<revision>/.patina.json

The second is the record of the pulls: the commit that the revision was, and each file's sha256 and size. A
file that it does not name counts as not pulled. It has no place for a file of that name: `HubFile` allows no
leading dot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import read
from patina_hooks.errors import ModelError
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
    """The files of a model's repository as hubs usually have them, for the runtimes that open them.

    weights: safetensors, in order, for torch and mlx, beside config.json and tokenizer.json. onnx: the ONNX
    file of token vectors, with all its weights in it, "" where there is none; precisions: further ones, by
    the name of their precision ("int8"). known: path -> sha256 and bytes, "" and 0 where they are not.
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
    """A file of a hub that is absent or altered; to pull it mends that."""


@dataclass(frozen=True, slots=True)
class PulledFile:
    """sha256: 64 hex digits; size: in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class PullRecord:
    """What was pulled of one revision. commit: what it was then, "" before the first pull."""

    commit: str = ""
    files: Mapping[str, PulledFile] = field(default_factory=dict)


def models_folder() -> Path:
    """Where pulled models lie, whether or not there are any."""
    return data_folder() / "models"


def folder_of(file: HubFile) -> Path:
    """The folder of the file's repository and revision."""
    return models_folder() / file.repository / file.revision


def pulled(file: HubFile) -> Path:
    """Where the file lies. `PullNeeded` where it does not, or a link lies in its place."""
    path = plain_file(models_folder(), f"{file.repository}/{file.revision}/{file.path}")
    if path is None or file.path not in read_record(file).files:
        raise PullNeeded(f"{file.path} of {file.repository} was not pulled yet", hint="patina models list")
    return path


def recorded_hash(file: HubFile) -> str:
    """The sha256 that the file must have: the spec's, or that of the first pull. `PullNeeded` before it."""
    if file.sha256:
        return file.sha256.lower()
    known = read_record(file).files.get(file.path)
    if known is None:
        raise PullNeeded(f"{file.path} of {file.repository} was not pulled yet", hint="patina models list")
    return known.sha256


def read_record(file: HubFile) -> PullRecord:
    """What was pulled of the file's revision; nothing where the record is absent or cannot be read."""
    path = plain_file(models_folder(), f"{file.repository}/{file.revision}/{RECORD}")
    if path is None:
        return PullRecord()
    with suppress(OSError, ValueError):
        return read(PullRecord, parse_json(path.read_bytes()), ignore_unknown=True)
    return PullRecord()


def write_record(file: HubFile, record: PullRecord) -> None:
    """Replace the record of the file's revision. Raises OSError."""
    files = {name: {"sha256": one.sha256, "size": one.size} for name, one in sorted(record.files.items())}
    told = json.dumps({"commit": record.commit, "files": files}, indent=2)
    replace_file(folder_of(file) / RECORD, told.encode() + b"\n")
