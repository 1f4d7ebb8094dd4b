"""Requests to a server and its answers, in the OpenAI embeddings protocol.

    POST <url>/embeddings  {"model": "...", "input": ["...", ...], "encoding_format": "float"}
    200  {"data": [{"index": 0, "embedding": [0.1, ...]}, ...]}

The entries of `data` may come in any order; an embedding may also be its float32 values, little-endian, in
base64. An answer is validated like any untrusted input.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from patina_hooks.authoring import Vectors

MOST_BYTES: Final = 1_000_000
"""Of texts in one request, unless a single text has more: servers take about two million."""

_BYTES_A_VECTOR: Final = 512 * 1024  # 16,384 numbers of 32 characters
_BYTES_AROUND: Final = 64 * 1024


class Unusable(Exception):
    """The problem of an answer, as the rest of a sentence that begins with the server."""


class UnusableVectors(Unusable):
    """The vectors of an answer cannot be used, of which one text may be the cause."""


def batch_by_size(texts: Sequence[str], most: int, most_bytes: int = MOST_BYTES) -> Iterator[list[int]]:
    """Group texts of similar length, at most `most` texts and `most_bytes` of UTF-8, or one text.

    Yields positions. Servers that pad, pad to the longest text of a request.
    """
    sizes = [len(text.encode("utf-8", "replace")) for text in texts]
    batch: list[int] = []
    total = 0
    for position in sorted(range(len(texts)), key=lambda position: (sizes[position], position)):
        if batch and (len(batch) == most or total + sizes[position] > most_bytes):
            yield batch
            batch, total = [], 0
        batch.append(position)
        total += sizes[position]
    if batch:
        yield batch


def build_request(model: str, texts: Sequence[str]) -> bytes:
    """Return the body of a request."""
    content = {"model": model, "input": list(texts), "encoding_format": "float"}
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def answer_limit(texts: int) -> int:
    """Return the most bytes of a valid answer for this many texts."""
    return _BYTES_AROUND + texts * _BYTES_A_VECTOR


def read_vectors(body: bytes, texts: int) -> Vectors:
    """Read the vectors [texts, d] float32 of an answer, ordered by index.

    Raises:
        Unusable: the answer is invalid.
    """
    import numpy as np

    entries = _entries(body, texts)
    rows = [_row(entries[position]) for position in range(texts)]
    if len({len(row) for row in rows}) != 1:
        raise Unusable("gave vectors of different lengths")
    vectors = np.stack(rows)
    if not np.isfinite(vectors).all():
        raise UnusableVectors("gave values that are not finite numbers")
    if not vectors.any(axis=1).all():
        raise UnusableVectors("gave a vector of zeros")
    return vectors


def _entries(body: bytes, texts: int) -> dict[int, object]:
    """Return index -> embedding, one for each text."""
    content = _parse(body)
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, list):
        raise Unusable("gave no list of vectors: is it an embeddings server?")
    if len(data) != texts:
        raise Unusable(f"gave {len(data)} vectors for {texts} texts")
    entries: dict[int, object] = {}
    for entry in data:
        index = entry.get("index") if isinstance(entry, dict) else None
        if type(index) is not int or not 0 <= index < texts:
            raise Unusable("gave a vector without the index of its text")
        if index in entries:
            raise Unusable(f"gave two vectors for the text {index}")
        entries[index] = entry.get("embedding")
    return entries


def _parse(body: bytes) -> object:
    try:
        content: object = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Unusable("gave what is not JSON: is it an embeddings server?") from None
    return content


def _no_number(constant: str) -> NoReturn:
    raise UnusableVectors(f"gave values that are not finite numbers ({constant})")


def _row(embedding: object) -> Vectors:
    import numpy as np

    try:
        if isinstance(embedding, str):
            return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
        if isinstance(embedding, list):
            with np.errstate(over="ignore"):  # too large for float32: infinite, which is refused
                row = np.asarray(embedding, dtype=np.float32)
            if row.ndim == 1:
                return row
    except (ValueError, TypeError, OverflowError):
        pass
    raise Unusable("gave a vector that is not a list of numbers")
