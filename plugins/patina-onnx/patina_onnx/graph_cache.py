"""Optimized graphs in the user's cache: a model opens from one in a tenth of the time.

Most of the time that opening takes goes into optimizing the graph and unfolding quantized weights. The result
is kept as ONNX Runtime writes it, a graph and a file of weights that is mapped into memory. It belongs to the
content of the model file, a version of ONNX Runtime and a type of machine, and computes the same bits.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.authoring import cache_folder, cached_hash

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

_FOLDER: Final = "onnx-graphs"
_GRAPH, _WEIGHTS = "model.onnx", "weights.bin"
_LARGEST_MODEL: Final = 256 << 20
"""Bytes of a model file: a graph with unfolded weights takes up to four times as much."""
_SMALLEST_WEIGHT: Final = 1024
"""Bytes from which a tensor is stored in the file of weights."""
_UNUSED_DAYS: Final = 90
_NEW: Final = ".new."
_NEW_DAYS: Final = 1


def graph_folder(model: Path, version: str) -> Path | None:
    """Return the folder for the optimized graph of a model, None where none is kept.

    Args:
        model: the ONNX file, which holds all its weights.
        version: of ONNX Runtime.
    """
    with suppress(OSError):
        if model.stat().st_size <= _LARGEST_MODEL:
            key = "\n".join((cached_hash(model), version, platform.machine()))
            return cache_folder() / _FOLDER / sha256(key.encode()).hexdigest()[:32]
    return None


def read_graph(folder: Path) -> Path | None:
    """Return the path of the graph in a folder, None where there is none; mark it as used."""
    graph = folder / _GRAPH
    if not graph.is_file():
        return None
    with suppress(OSError):
        os.utime(folder)
    return graph


def delete_graph(folder: Path) -> None:
    """Delete a graph that cannot be opened."""
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def write_graph(folder: Path, options: SessionOptions) -> Iterator[None]:
    """Let a session that is opened with `options` write its optimized graph, and keep it in the folder.

    Raises:
        OSError: the cache cannot be written.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _delete_unused(folder.parent)
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=folder.parent))
    try:
        options.optimized_model_filepath = str(new / _GRAPH)
        entry = "session.optimized_model_external_initializers_"
        options.add_session_config_entry(f"{entry}file_name", _WEIGHTS)
        options.add_session_config_entry(f"{entry}min_size_in_bytes", str(_SMALLEST_WEIGHT))
        yield
        for path in new.iterdir():
            _flush(path)
        if not (folder / _GRAPH).is_file():
            delete_graph(folder)
        # Another process may have written the same graph: then this one is not needed.
        with suppress(OSError):
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _delete_unused(parent: Path) -> None:
    """Delete graphs that were not used for a long time, and what a killed process left."""
    now = time.time()
    for folder in parent.iterdir():
        days = _NEW_DAYS if folder.name.startswith(_NEW) else _UNUSED_DAYS
        with suppress(OSError):
            if now - folder.stat().st_mtime > days * 86_400:
                shutil.rmtree(folder, ignore_errors=True)
