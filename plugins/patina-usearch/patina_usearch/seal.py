"""Seals: which graphs this user's machine wrote.

Native code follows a graph wherever it leads, and a state folder may come in a stranger's archive. So what
the manifest says of a graph is sealed with a key in the user's own folder, outside every repository: even
someone who writes a whole state folder cannot make a graph that is opened here.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from patina_hooks.authoring import cache_folder, replace_file

if TYPE_CHECKING:
    from patina_hooks.authoring import SidecarFile

_KEY_BYTES: Final = 32


def load_key() -> bytes | None:
    """Read the user's key, made on first use; None if it cannot be kept.

    Graphs that were sealed with a lost key are built again.
    """
    path = cache_folder() / "key"
    try:
        if not path.is_file() or path.stat().st_size != _KEY_BYTES:
            replace_file(path, os.urandom(_KEY_BYTES))
        return path.read_bytes()
    except OSError:
        return None


def seal(sidecar: SidecarFile, key: bytes) -> SidecarFile:
    """Seal what the manifest says of a file: name, size, time of change, inode and hash."""
    content = json.dumps(asdict(replace(sidecar, seal=""))).encode()
    return replace(sidecar, seal=blake2b(content, key=key, digest_size=16).hexdigest())


def is_sealed(sidecar: SidecarFile, key: bytes) -> bool:
    """Tell whether a sidecar has the seal of this key."""
    return sidecar == seal(sidecar, key)
