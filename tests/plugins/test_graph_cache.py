"""Optimized graphs in the user's cache: the same vectors, from whatever is or is not there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from patina_onnx.runtime import open_model

from patina_hooks.models.files.weights import model_files
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import TokenModel

SPEC = Plugins.load().model("minilm-l6-v2")
FILES = model_files(SPEC, "onnx")
SHAPES = ((1, 3), (2, 40), (8, 256))


@pytest.fixture
def graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "patina" / "onnx-graphs"


def opened() -> TokenModel:
    model: TokenModel = open_model(SPEC, FILES)
    return model


def outputs(model: TokenModel) -> list[bytes]:
    random = np.random.default_rng(0)
    results = []
    for shape in SHAPES:
        ids = random.integers(1000, 20_000, shape)
        mask = np.ones_like(ids)
        mask[:, -1] = 0
        results.append(np.asarray(model.forward(ids, mask)).tobytes())
    return results


def only_graph(graphs: Path) -> Path:
    (folder,) = graphs.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "weights.bin"]
    return folder


def test_cached_graph_computes_the_same_bits(graphs: Path) -> None:
    graphs.parent.mkdir(parents=True)
    graphs.write_text("a file where the folder should be: nothing can be cached")
    uncached = outputs(opened())
    graphs.unlink()

    first = outputs(opened())
    weights = only_graph(graphs) / "weights.bin"
    written = weights.stat()
    second = outputs(opened())

    assert first == uncached
    assert second == uncached
    assert weights.stat().st_mtime_ns == written.st_mtime_ns
    assert weights.stat().st_ino == written.st_ino


@pytest.mark.parametrize("name", ["model.onnx", "weights.bin"])
@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_damaged_graph_is_written_again(graphs: Path, name: str, content: bytes | None) -> None:
    expected = outputs(opened())
    path = only_graph(graphs) / name
    size = path.stat().st_size
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    assert outputs(opened()) == expected
    assert outputs(opened()) == expected
    assert (only_graph(graphs) / name).stat().st_size == size


def test_unused_graphs_and_leftovers_are_deleted(graphs: Path) -> None:
    ages = {"used": 80, "unused": 100, ".new.killed": 2, ".new.running": 0}
    for name, days in ages.items():
        (graphs / name).mkdir(parents=True)
        (graphs / name / "weights.bin").write_bytes(b"")
        past = time.time() - days * 86_400 - 60
        os.utime(graphs / name, (past, past))

    opened()

    names = {path.name for path in graphs.iterdir()}
    assert names >= {"used", ".new.running"}
    assert not names & {"unused", ".new.killed"}


def test_opening_marks_a_graph_as_used(graphs: Path) -> None:
    opened()
    folder = only_graph(graphs)
    past = time.time() - 80 * 86_400
    os.utime(folder, (past, past))

    opened()

    assert folder.stat().st_mtime > past + 86_400


def test_processes_write_the_graph_at_once(graphs: Path) -> None:
    code = (
        "from patina_onnx.runtime import open_model\n"
        "from patina_hooks.models.files.weights import model_files\n"
        "from patina_hooks.plugins.manager import Plugins\n"
        "spec = Plugins.load().model('minilm-l6-v2')\n"
        "open_model(spec, model_files(spec, 'onnx'))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]

    assert [process.wait() for process in processes] == [0, 0, 0]
    only_graph(graphs)
