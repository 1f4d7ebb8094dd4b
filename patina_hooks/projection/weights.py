"""The weights of a projection: in a file, checked, hashed, and opened for use.

Files are safetensors in the ancestor project's layout, with what the other two projections add to it:

    mlp-2layer    w1.weight [hidden, in], w1.bias [hidden], w2.weight [out, hidden], w2.bias [out]
    whitening     mean [in], components [out, in]
    residual      mean, components, and the two layers with in = out = the whitened dimensions

float32, or float16, which is widened. The metadata say architecture, input_dim, hidden_dim, output_dim and
created_by; other keys are kept. Where they say none of that, the names and shapes of the tensors do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.errors import IndexDamaged
from patina_hooks.specs.training import Trained
from patina_hooks.system.files import replace_file

if TYPE_CHECKING:
    from patina_hooks.specs.training import Weights
    from patina_hooks.specs.vectors import Vectors

_LARGEST_FILE = 1 << 29
_LARGEST_HEADER = 1 << 20
_BLOCK = 4096
_LAYERS = {
    "w1.weight": ("hidden_dim", "input_dim"),
    "w1.bias": ("hidden_dim",),
    "w2.weight": ("output_dim", "hidden_dim"),
    "w2.bias": ("output_dim",),
}
_WHITENING = {"mean": ("input_dim",), "components": ("output_dim", "input_dim")}
LAYOUTS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "mlp-2layer": _LAYERS,
    "whitening": _WHITENING,
    "residual": {**_WHITENING, **_LAYERS, "w1.weight": ("hidden_dim", "output_dim")},
}


class WeightsDamaged(IndexDamaged):
    """Weights that cannot be read, contradict themselves, or do not fit what they are used for."""


def write_weights(path: Path, trained: Trained) -> None:
    """Write weights and metadata; a reader sees the old file or the new one. Same content, same bytes.

    Raises OSError with nothing changed.
    """
    write_tensors(path, trained.weights, trained.metadata)


def read_weights(path: Path) -> Trained:
    """Weights and metadata of a file, its curve empty. Raises `WeightsDamaged` where they are unsound."""
    weights, metadata = read_tensors(path)
    try:
        known = _checked(weights, metadata)
    except WeightsDamaged as error:
        raise _damaged(path, str(error)) from None
    return Trained(weights, {**metadata, **known})


def write_tensors(path: Path, tensors: Weights, metadata: Mapping[str, str]) -> None:
    """Any float32 tensors by name (a checkpoint's), with metadata, as `write_weights` does."""
    # safetensors costs a command that trains nothing its import.
    from safetensors.numpy import save

    plain = save({name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()})
    # safetensors writes metadata in another order each time; a header of our own keeps the bytes the same.
    size = int.from_bytes(plain[:8], "little")
    listed = json.loads(plain[8 : 8 + size])
    header = json.dumps(
        {"__metadata__": dict(sorted(metadata.items())), **listed}, separators=(",", ":")
    ).encode()
    header += b" " * (-len(header) % 8)
    replace_file(path, len(header).to_bytes(8, "little") + header + plain[8 + size :])


def read_tensors(path: Path) -> tuple[dict[str, Vectors], dict[str, str]]:
    """Tensors as float32 and metadata. Raises `WeightsDamaged` for what is no such file of a sane size."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise _damaged(path, f"it cannot be read ({error.strerror})") from error
    size = int.from_bytes(data[:8], "little")
    if len(data) > _LARGEST_FILE or size > _LARGEST_HEADER:
        raise _damaged(path, "it is too large")
    try:
        loaded = load(data)
        metadata = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError, AttributeError, RecursionError, MemoryError) as error:
        raise _damaged(path, f"it is no safetensors file of numbers ({error})") from error
    for name, tensor in loaded.items():
        if tensor.dtype not in (np.float32, np.float16):
            raise _damaged(path, f"{name!r} is {tensor.dtype}, not float32 or float16")
    return {name: tensor.astype(np.float32) for name, tensor in loaded.items()}, metadata


def weights_hash(weights: Weights) -> str:
    """sha256 of names, shapes and float32 values, in the order of names; metadata do not count.

    Metadata say who made the weights and when; two clones that train the same have the same hash.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name}\0{','.join(map(str, tensor.shape))}\0".encode())
        digest.update(np.ascontiguousarray(tensor, "<f4").tobytes())
    return digest.hexdigest()


def described(architecture: str, weights: Weights) -> dict[str, str]:
    """The metadata of weights made here."""
    return {**_dimensions(architecture, weights), "created_by": f"patina-hooks {version('patina-hooks')}"}


def open_projection(weights: Weights, metadata: Mapping[str, str]) -> OpenProjection:
    """Weights opened for use. Raises `WeightsDamaged` where they are no known layout or contradict it."""
    known = _checked(weights, metadata)
    return OpenProjection(weights, known["architecture"], int(known["input_dim"]), int(known["output_dim"]))


@dataclass(frozen=True, slots=True, eq=False)
class OpenProjection:
    """A `Projection` of one of the built-in layouts, from `inputs` dimensions to `dimensions`."""

    weights: Weights
    architecture: str
    inputs: int
    dimensions: int

    def __call__(self, vectors: Vectors) -> Vectors:
        """Unit vectors [n, inputs] -> unit vectors [n, dimensions], each row as if it came alone.

        Raises `WeightsDamaged` where the vectors are of other dimensions.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.inputs:
            shape = "x".join(map(str, vectors.shape))
            why = f"the projection takes vectors of {self.inputs} dimensions, and was given {shape}"
            raise WeightsDamaged(why, hint="patina oxidize")
        result = np.zeros((len(vectors), self.dimensions), np.float32)
        for start in range(0, len(vectors), _BLOCK):
            rows = np.ascontiguousarray(vectors[start : start + _BLOCK], np.float32)
            # What weights of somebody else's overflow to is no vector, and left at zero.
            with np.errstate(over="ignore", invalid="ignore"):
                result[start : start + _BLOCK] = self._unit(rows)
        return result

    def _unit(self, rows: Vectors) -> Vectors:
        z = self._mapped(rows)
        square = np.matmul(z[:, None, :], z[:, :, None])[:, :, 0]
        there = (square > 0) & np.isfinite(square) & rows.any(axis=1, keepdims=True)
        unit: Vectors = np.divide(z, np.sqrt(square), out=np.zeros_like(z), where=there)
        return unit

    def _mapped(self, rows: Vectors) -> Vectors:
        if "mean" not in self.weights:
            return self._layers(rows)
        u = row_products(rows - self.weights["mean"], self.weights["components"])
        return u + self._layers(u) if "w1.weight" in self.weights else u

    def _layers(self, rows: Vectors) -> Vectors:
        hidden = row_products(rows, self.weights["w1.weight"]) + self.weights["w1.bias"]
        return row_products(np.maximum(hidden, 0), self.weights["w2.weight"]) + self.weights["w2.bias"]


def row_products(rows: Vectors, matrix: Vectors) -> Vectors:
    """rows [n, d] times matrix [k, d] transposed: [n, k], one matrix-vector product a row.

    One product for all rows is up to six times faster, but there a row's last bits depend on its place: the
    kernels that OpenBLAS has for AVX2 add in another order where they come to an edge.
    """
    products: Vectors = np.matmul(rows[:, None, :], matrix.T)[:, 0, :]
    return products


def _checked(weights: Weights, metadata: Mapping[str, str]) -> dict[str, str]:
    """Architecture and dimensions; raises `WeightsDamaged` where anything contradicts them."""
    if not all(isinstance(text, str) for text in metadata.values()):
        raise WeightsDamaged("the metadata are not texts", hint="patina oxidize")
    architecture = metadata.get("architecture") or _named_by(weights)
    known = _dimensions(architecture, weights)
    for key, value in known.items():
        if metadata.get(key, value) != value:
            raise WeightsDamaged(
                f"{key} is {metadata[key]!r}, but by the tensors {value}", hint="patina oxidize"
            )
    for name, tensor in weights.items():
        if not np.isfinite(tensor).all():
            raise WeightsDamaged(f"{name} holds values that are not finite", hint="patina oxidize")
    return known


def _named_by(weights: Weights) -> str:
    """The architecture that has these tensors, "" where none has."""
    return next((name for name, layout in LAYOUTS.items() if layout.keys() == weights.keys()), "")


def _dimensions(architecture: str, weights: Weights) -> dict[str, str]:
    """The architecture and its dimensions, as metadata say them, by the tensors' shapes."""
    layout = LAYOUTS.get(architecture)
    if layout is None:
        known = ", ".join(sorted(LAYOUTS))
        raise WeightsDamaged(f"the architecture {architecture!r} is none of {known}", hint="patina oxidize")
    if layout.keys() != weights.keys():
        wants, has = ", ".join(sorted(layout)), ", ".join(sorted(map(repr, weights)))
        raise WeightsDamaged(
            f"{architecture} wants the tensors {wants}; there are {has}", hint="patina oxidize"
        )
    found: dict[str, int] = {}
    for name, symbols in layout.items():
        shape = weights[name].shape
        wanted = tuple(found.setdefault(symbol, size) for symbol, size in zip(symbols, shape, strict=False))
        if len(shape) != len(symbols) or wanted != shape or 0 in shape:
            raise WeightsDamaged(f"the shape {list(shape)} of {name} does not fit", hint="patina oxidize")
    return {"architecture": architecture} | {key: str(size) for key, size in sorted(found.items())}


def _damaged(path: Path, why: str) -> WeightsDamaged:
    return WeightsDamaged(f"{path} holds no usable weights: {why}", hint="patina oxidize")
