"""What lies on the disk: the installed packages, and the memory of a history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from benchmarks.table import Row
from benchmarks.workshop import Workshop, opened

_GROUP = "on the disk"
_CORE = ("patina-hooks",)
_WITH_MODEL = ("patina-hooks", "patina-onnx", "patina-minilm")


def measure(workshop: Workshop) -> Iterator[Row]:
    core, whole = _with_needs(_CORE), _with_needs(_WITH_MODEL)
    yield Row(_GROUP, f"core and what it needs, {len(core)} packages", _megabytes(core), "MB")
    yield Row(_GROUP, f"with the default model, {len(whole)} packages", _megabytes(whole), "MB")
    with opened(workshop.history) as patina:
        status = patina.status()
        folder = patina.repository.state
    vectors = sum(path.stat().st_size for path in (folder / "vectors").rglob("*") if path.is_file())
    for what, size in (
        ("memory, all of it", status.bytes),
        ("  log and full text", (folder / "log.db").stat().st_size),
        ("  cached embeddings", (folder / "embeddings.db").stat().st_size),
        ("  vector index", vectors),
    ):
        yield Row(_GROUP, what, size / status.observations, "bytes/observation")


def _with_needs(names: tuple[str, ...]) -> set[str]:
    """These distributions and all that they require here, without extras; what is absent is left out."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        todo += [
            match[0] for need in needs if "extra ==" not in need and (match := re.match(r"[\w.-]+", need))
        ]
    return found


def _megabytes(names: set[str]) -> float:
    """Without byte code. An editable install counts with its record alone."""
    files = [file for name in names for file in distribution(name).files or [] if file.suffix != ".pyc"]
    paths = [Path(file.locate()) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
