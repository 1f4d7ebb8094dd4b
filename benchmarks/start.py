"""What a whole process costs: the commands that a user waits for, and imports."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.rounds import Contender, medians, process
from benchmarks.table import Bound, Row
from benchmarks.workshop import QUERIES, Workshop

_ROUNDS = 25
_GROUP = "a whole process, files in memory"
# What answers a question must do at the least: onnxruntime with our settings, the model, one text.
_BARE = """\
import sys
import numpy as np
import onnxruntime
from tokenizers import BertWordPieceTokenizer
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, sys.argv[5])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
tokenizer = BertWordPieceTokenizer(sys.argv[2], lowercase=True)
ids = np.array([tokenizer.encode(sys.argv[4]).ids])
feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
session.run(None, feed)
"""


def measure(workshop: Workshop) -> Iterator[Row]:
    python, patina = sys.executable, str(Path(sys.executable).with_name("patina"))
    root = workshop.settled_copy(workshop.history, "start")
    took = _processes(
        {
            "click": [python, "-c", "import click"],
            "help": [patina, "--help"],
            "status": [patina, "status"],
            "nothing": [python, "-c", "pass"],
            "patina_hooks": [python, "-c", "import patina_hooks"],
            "api": [python, "-c", "import patina_hooks.api"],
            "upkeep.worker": [python, "-c", "import patina_hooks.upkeep.worker"],
            "lexical": [patina, "scry", "--mode", "lexical", QUERIES[0]],
            "scry": [patina, "scry", QUERIES[0]],
            "raw": [python, "-c", _BARE, *_files(), QUERIES[0], "ORT_ENABLE_EXTENDED"],
            "raw, default": [python, "-c", _BARE, *_files(), QUERIES[0], "ORT_ENABLE_ALL"],
        },
        root,
    )
    click, bare = "python -c 'import click'", "onnxruntime + model + one text"
    yield Row(_GROUP, "patina --help", took["help"], "ms", took["click"], click, Bound(3.0))
    yield Row(_GROUP, "patina scry, cold", took["scry"], "ms", took["raw"], bare, Bound(1.2))
    yield Row(
        _GROUP, "patina scry, cold", took["scry"], "ms", took["raw, default"], f"{bare}, default settings"
    )
    for what, name in (("patina scry --mode lexical", "lexical"), ("patina status", "status")):
        yield Row(_GROUP, what, took[name], "ms", took["click"], click, Bound(5.0))
    for name in ("patina_hooks", "upkeep.worker", "api"):
        module = "patina_hooks" if name == "patina_hooks" else f"patina_hooks.{name}"
        yield Row(_GROUP, f"import {module}", took[name], "ms", took["nothing"], "python -c pass", Bound(6.0))


def _processes(commands: Mapping[str, list[str]], root: Path) -> dict[str, float]:
    def contender(command: list[str]) -> Contender:
        return lambda: process(command, root)

    return medians({name: contender(command) for name, command in commands.items()}, _ROUNDS, warm=2)


def _files() -> list[str]:
    """Model, vocabulary and threads, as the runtime takes them."""
    from patina_hooks.config.recipe import DEFAULT_MODEL
    from patina_hooks.models.encoding import processors
    from patina_hooks.models.files.weights import model_files
    from patina_hooks.plugins.manager import Plugins

    files = model_files(Plugins.load().model(DEFAULT_MODEL), "onnx")
    return [str(files["model"]), str(files["tokenizer"]), str(processors())]
