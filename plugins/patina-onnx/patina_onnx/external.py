"""Weights that an ONNX file keeps in other files: only those of the model, in its own folder.

An ONNX file may name any path for its "external data", and ONNX Runtime reads it. The names are read
here before the file is opened, by walking its protobuf wire format; field numbers are those of
onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from patina_hooks.authoring import ModelError

# Message -> field number -> message: every way from the model to a tensor's external data.
_FIELDS: Final = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "tensor": {13: "entry"},
    "entry": {},
}
_KEY, _VALUE = 1, 2
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_DEEPEST: Final = 64


def check_external_data(model: Path, files: Iterable[Path]) -> list[str]:
    """Return the names of a model's external data: files of `files`, by paths inside its folder.

    Raises:
        ModelError: data is elsewhere or the file is malformed.

    A link is followed to a file of the list only: a hub's cache consists of links. A file that is not
    well-formed protobuf is refused too.
    """
    folder = model.parent
    known = {file.resolve() for file in files}
    names = external_names(model)
    for name in names:
        inner = PurePosixPath(name)
        path = (folder / inner).resolve()
        if inner.is_absolute() or ".." in inner.parts or "\\" in name:
            raise ModelError(f"{model} is refused: it names data outside its folder: {name!r}")
        if path not in known:
            raise ModelError(
                f"{model} is refused: its data {name!r} is not among the files that the model lists",
                hint="list it in the model's spec under a role of its own, with its sha256",
            )
    return names


def external_names(model: Path) -> list[str]:
    """Every location of external data that the file names, in order, each once."""
    try:
        with model.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return list(dict.fromkeys(_locations(data, 0, len(data), "model", 0)))
    except (OSError, ValueError, IndexError) as error:
        raise ModelError(f"{model} is not a readable ONNX file: {error}") from error


def _locations(data: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    key, value = b"", b""
    for field, first, last in _fields(data, start, end):
        if message == "entry" and field == _KEY:
            key = data[first:last]
        elif message == "entry" and field == _VALUE:
            value = data[first:last]
        elif field in _FIELDS[message]:
            yield from _locations(data, first, last, _FIELDS[message][field], depth + 1)
    if key == b"location":
        yield value.decode("utf-8")


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, first, last) of each length-delimited field; skip all others."""
    place = start
    while place < end:
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == _LENGTH:
            length, place = _varint(data, place)
            if place + length > end:
                raise ValueError("truncated")
            yield tag >> 3, place, place + length
            place += length
        elif kind == _VARINT:
            _, place = _varint(data, place)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            place += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"unknown wire type {kind}")
    if place != end:
        raise ValueError("truncated")


def _varint(data: mmap.mmap, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("malformed number")
