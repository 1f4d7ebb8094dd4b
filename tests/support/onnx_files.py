"""Tiny ONNX files written in the wire format, so that tests need no package to make them.

Field numbers are those of onnx.proto. Every message is the bytes of its fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOAT: Final = 1
INT32: Final = 6
INT64: Final = 7
STRING: Final = 8
FLOAT16: Final = 10
_NUMPY: Final = {"float32": FLOAT, "int64": INT64, "float16": FLOAT16}


def number(field: int, value: int) -> bytes:
    """A varint field."""
    return _varint(field << 3) + _varint(value)


def message(field: int, content: bytes | str) -> bytes:
    """A length-delimited field: a message, text or bytes."""
    raw = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(raw)) + raw


def model(graph: bytes) -> bytes:
    return number(1, 8) + message(7, graph) + message(8, message(1, "") + number(2, 17))


def graph(
    nodes: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes], tensors: Sequence[bytes] = ()
) -> bytes:
    named = ((1, nodes), (5, tensors), (11, inputs), (12, outputs))
    return message(2, "test") + b"".join(message(field, one) for field, ones in named for one in ones)


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], *attributes: bytes) -> bytes:
    places = [message(1, name) for name in inputs] + [message(2, name) for name in outputs]
    return b"".join(places) + message(4, operator) + b"".join(message(5, one) for one in attributes)


def integer(name: str, value: int) -> bytes:
    """An attribute of type INT."""
    return message(1, name) + number(3, value) + number(20, 2)


def value(name: str, kind: int, axes: Sequence[int | str]) -> bytes:
    """An input or output: type and axes (fixed, or free by name)."""
    sizes = (number(1, axis) if isinstance(axis, int) else message(2, axis) for axis in axes)
    shape = b"".join(message(1, size) for size in sizes)
    return message(1, name) + message(2, message(1, number(1, kind) + message(2, shape)))


def tensor(name: str, content: NDArray[np.generic]) -> bytes:
    """An initializer that holds its data."""
    return _tensor_head(name, content) + message(9, content.tobytes())


def external_tensor(name: str, content: NDArray[np.generic], location: str) -> bytes:
    """An initializer whose data lies in another file."""
    entry = message(1, "location") + message(2, location)
    return _tensor_head(name, content) + message(13, entry) + number(14, 1)


def embedding(
    table: bytes,
    dimensions: int,
    *,
    inputs: Sequence[bytes] = (),
    more: Sequence[bytes] = (),
    output: str = "last_hidden_state",
) -> bytes:
    """A model whose token vectors are the rows of `table`, the tensor "table", by id.

    inputs: further inputs; more: further nodes, which turn "rows" into `output`.
    """
    gather = node("Gather", ["table", "input_ids"], ["rows" if more else output])
    ids = value("input_ids", INT64, ["b", "s"])
    out = value(output, FLOAT, ["b", "s", dimensions])
    return model(graph([gather, *more], [ids, *inputs], [out], [table]))


def _tensor_head(name: str, content: NDArray[np.generic]) -> bytes:
    sizes = b"".join(number(1, size) for size in content.shape)
    return sizes + number(2, _NUMPY[str(content.dtype)]) + message(8, name)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
