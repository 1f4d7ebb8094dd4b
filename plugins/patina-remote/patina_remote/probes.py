"""Probe vectors of a server: whether it still runs the model that it ran.

The texts, their vectors and the comparison are patina's (`patina_hooks.models.probes`). Other runtimes are
compared where their version changed; a server has none, so it is held to the vectors at each request. They
are kept with the user's data, by the server's name of the model, and not in a repository's state: that may be
deleted at any time and be made again, with a model that became another one; one server is there for all
repositories of a user; and it may move to another address and be the same.

    <the user's data>/patina/remote/<hash of the model's name>.json, and .lock for who writes it
"""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Final

from patina_hooks.authoring import (
    PROBE_TEXTS,
    ModelError,
    ProbeVectors,
    SyncLock,
    data_folder,
    replace_file,
    texts_hash,
)

ALIKE: Final = 0.999
"""The cosine above which two vectors of one text, asked with the same others, are of one model: servers
compute in half precision, and do not give the same bits twice."""

AMONG: Final = 1
"""The place of the probe text that goes with each request: short, and more than a word."""

STEADY: Final = 0.9999
"""The cosine above which a text's vector does not depend on the others of its request; where it does, all
probe texts are asked again before vectors are given."""

ALIKE_AMONG_OTHERS: Final = 0.9
"""The same among other texts, by which a model that quantises as it runs comes down to 0.97."""


def load_probes(model: str) -> ProbeVectors | None:
    """Read the vectors that were kept for a model, None where there are none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        stored = json.loads(file_of(model).read_bytes())
        packed = base64.b64decode(stored["vectors"])
        whole = packed and len(packed) % (4 * len(PROBE_TEXTS)) == 0
        if whole and (stored["model"], stored["texts"]) == (model, texts_hash()):
            return ProbeVectors(packed)
    return None


def replace_probes(model: str, probes: ProbeVectors) -> None:
    """Replace what is kept for a model.

    Raises:
        ModelError: the file cannot be written.
        StateError: another process writes it.
    """
    with _locked(model):
        _write(model, probes)


def store_first_probes(model: str, probes: ProbeVectors) -> ProbeVectors:
    """Store the vectors, unless another process stored some, and return the stored ones.

    Raises:
        ModelError: as `replace_probes`.
        StateError: as `replace_probes`.
    """
    with _locked(model):
        if (stored := load_probes(model)) is None:
            _write(model, probes)
        return stored or probes


def _write(model: str, probes: ProbeVectors) -> None:
    packed = base64.b64encode(probes.packed).decode("ascii")
    stored = {"model": model, "texts": texts_hash(), "vectors": packed}
    try:
        replace_file(file_of(model), json.dumps(stored).encode() + b"\n")
    except OSError as error:
        raise _unwritable(model, error) from error


def _locked(model: str) -> SyncLock:
    """Lock the file: all repositories of a user, and all processes, share it."""
    lock = file_of(model).with_suffix(".lock")
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(model, error) from error
    return SyncLock(lock)


def _unwritable(model: str, error: OSError) -> ModelError:
    return ModelError(f"cannot write {file_of(model)}: {error.strerror}", hint="patina doctor")


def file_of(model: str) -> Path:
    """Name the file of a model's probe vectors, which need not exist."""
    name = hashlib.sha256(model.encode()).hexdigest()[:32]
    return data_folder() / "remote" / f"{name}.json"
