"""Optimized graphs of models, shared by all tests of a run: each takes half a second and 90 MB to write."""

from __future__ import annotations

from pathlib import Path

_SHARED = Path(__file__).parents[2] / ".pytest_cache" / "onnx-graphs"


def share_graphs(cache: Path) -> None:
    """Let a cache folder keep its graphs in the folder of all tests."""
    _SHARED.mkdir(parents=True, exist_ok=True)
    folder = cache / "patina"
    folder.mkdir(parents=True)
    (folder / "onnx-graphs").symlink_to(_SHARED)
