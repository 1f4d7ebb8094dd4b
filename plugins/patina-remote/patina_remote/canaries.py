"""Canaries: a few fixed texts whose vectors tell whether a server still runs the model that it ran.

They are kept with the user's data, by the server's name of the model, and not in a repository's state: that
may be deleted at any time and be made again, with a model that quietly became another one; one server is
there for all repositories of a user; and it may move to another address and be the same.

    <the user's data>/patina/remote/<hash of the model's name>.json, and .lock for who writes it
"""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError
from patina_hooks.files import replace_file
from patina_hooks.git.lock import SyncLock

if TYPE_CHECKING:
    from patina_hooks.types import Vectors

TEXTS: Final = (
    "fix",
    "why do we keep the vectors in a file of their own?",
    "def merge(segments: list[Path]) -> None:  # newest first",
    "Größere Änderungen werden einzeln geprüft, 42 Mal; 日本語も。",
    "The worker takes the lock, reads what the hooks wrote, and embeds what is new. Where it is killed half"
    " way, the next one goes on from there: what was written is whole, and what was not is written anew.",
)
ALIKE: Final = 0.999
"""The cosine above which two vectors of one text, asked with the same others, are of one model."""

BESIDE: Final = 1
"""The place of the one that goes with each request: short, and more than a word."""

ALIKE_BESIDE: Final = 0.9
"""The same beside other texts, by which a model that quantises as it runs comes down to 0.97."""


@dataclass(frozen=True, slots=True)
class Canaries:
    """The vectors of the texts. packed: float32, little-endian, row after row."""

    packed: bytes

    @property
    def dimensions(self) -> int:
        return len(self.packed) // 4 // len(TEXTS)

    @property
    def mark(self) -> str:
        """What tells these from any that are ever kept in their place: 16 hex digits."""
        return hashlib.sha256(self.packed).hexdigest()[:16]

    @property
    def vectors(self) -> Vectors:
        """[n, d] float32."""
        # Not for the mark, which every sync asks for.
        import numpy as np

        return np.frombuffer(self.packed, "<f4").astype(np.float32).reshape(len(TEXTS), -1)

    @classmethod
    def of(cls, vectors: Vectors) -> Canaries:
        return cls(vectors.astype("<f4").tobytes())


def kept(model: str) -> Canaries | None:
    """Those that were kept for a model, None where there are none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(file_of(model).read_bytes())
        packed = base64.b64decode(told["vectors"])
        whole = packed and len(packed) % (4 * len(TEXTS)) == 0
        if whole and (told["model"], told["texts"]) == (model, _texts_hash()):
            return Canaries(packed)
    return None


def keep(model: str, canaries: Canaries) -> None:
    """Replace what is kept for a model. Raises `ModelError` or `StateError` where it cannot be written."""
    with _alone(model):
        _write(model, canaries)


def keep_first(model: str, canaries: Canaries) -> Canaries:
    """Keep them, and give them back, or those that another process kept meanwhile. Raises as `keep`."""
    with _alone(model):
        if (known := kept(model)) is None:
            _write(model, canaries)
        return known or canaries


def _write(model: str, canaries: Canaries) -> None:
    packed = base64.b64encode(canaries.packed).decode("ascii")
    told = {"model": model, "texts": _texts_hash(), "vectors": packed}
    try:
        replace_file(file_of(model), json.dumps(told).encode() + b"\n")
    except OSError as error:
        raise _unwritable(model, error) from error


def _alone(model: str) -> SyncLock:
    """All repositories of a user, and all processes, keep theirs in one place."""
    lock = file_of(model).with_suffix(".lock")
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(model, error) from error
    return SyncLock(lock)


def _unwritable(model: str, error: OSError) -> ModelError:
    return ModelError(f"{file_of(model)} cannot be written: {error.strerror}", hint="patina doctor")


def likeness(these: Vectors, those: Vectors) -> float:
    """The least cosine of the vectors of one text, -1 where they have another length."""
    import numpy as np

    if these.shape != those.shape:
        return -1.0
    one, other = (vectors.astype(np.float64) for vectors in (these, those))  # no product is too large for it
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / np.where(norms == 0, 1, norms)).min())


def _texts_hash() -> str:
    return hashlib.sha256("\0".join(TEXTS).encode()).hexdigest()[:16]


def file_of(model: str) -> Path:
    """Where they are kept, whether or not they are."""
    from platformdirs import user_data_path

    name = hashlib.sha256(model.encode()).hexdigest()[:32]
    return user_data_path("patina", appauthor=False) / "remote" / f"{name}.json"
