"""The weights of a projection: in a file, checked, hashed, and opened for use.

Files are safetensors in the layout of the ancestor project, extended for two more projections:

    mlp-2layer    w1.weight [hidden, in], w1.bias [hidden], w2.weight [out, hidden], w2.bias [out]
    whitening     mean [in], components [out, in]
    residual      mean, components, and the two layers with in = out = the whitened dimensions

float32, or float16, which is widened. The metadata say architecture, input_dim, hidden_dim, output_dim and
created_by; other keys are kept. Where they are absent, the names and shapes of the tensors decide.
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
    """Write weights and metadata atomically; the same content gives the same bytes.

    Raises:
        OSError: nothing was changed.
    """
    write_tensors(path, trained.weights, trained.metadata)


def read_weights(path: Path) -> Trained:
    """Read weights and metadata of a file; the curve is empty.

    Raises:
        WeightsDamaged: they are invalid.
    """
    weights, metadata = read_tensors(path)
    try:
        facts = _check(weights, metadata)
    except WeightsDamaged as error:
        raise _damaged(path, str(error)) from None
    return Trained(weights, {**metadata, **facts})


def write_tensors(path: Path, tensors: Weights, metadata: Mapping[str, str]) -> None:
    """Write any float32 tensors by name (a checkpoint's), with metadata, as `write_weights` does."""
    # Imported here: most commands train nothing.
    from safetensors.numpy import save

    plain = save({name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()})
    # safetensors writes metadata in another order each time; a header of our own keeps the bytes the same.
    size = int.from_bytes(plain[:8], "little")
    tensors_header = json.loads(plain[8 : 8 + size])
    header = json.dumps(
        {"__metadata__": dict(sorted(metadata.items())), **tensors_header}, separators=(",", ":")
    ).encode()
    header += b" " * (-len(header) % 8)
    replace_file(path, len(header).to_bytes(8, "little") + header + plain[8 + size :])


def read_tensors(path: Path) -> tuple[dict[str, Vectors], dict[str, str]]:
    """Read tensors as float32, and metadata.

    Raises:
        WeightsDamaged: it is not such a file, or too large.
    """
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
        raise _damaged(path, f"it is not a safetensors file of numbers ({error})") from error
    for name, tensor in loaded.items():
        if tensor.dtype not in (np.float32, np.float16):
            raise _damaged(path, f"{name!r} is {tensor.dtype}, not float32 or float16")
    return {name: tensor.astype(np.float32) for name, tensor in loaded.items()}, metadata


def weights_hash(weights: Weights) -> str:
    """Hash names, shapes and float32 values, in the order of names, with sha256.

    Metadata are left out, so that two clones that train the same have the same hash.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name}\0{','.join(map(str, tensor.shape))}\0".encode())
        digest.update(np.ascontiguousarray(tensor, "<f4").tobytes())
    return digest.hexdigest()


def describe_weights(architecture: str, weights: Weights) -> dict[str, str]:
    """Return the metadata of weights that this version trained."""
    return {**_dimensions(architecture, weights), "created_by": f"patina-hooks {version('patina-hooks')}"}


def open_projection(weights: Weights, metadata: Mapping[str, str]) -> OpenProjection:
    """Open weights for use.

    Raises:
        WeightsDamaged: they have an unknown layout, or contradict their metadata.
    """
    facts = _check(weights, metadata)
    return OpenProjection(weights, facts["architecture"], int(facts["input_dim"]), int(facts["output_dim"]))


@dataclass(frozen=True, slots=True, eq=False)
class OpenProjection:
    """A `Projection` of one of the built-in layouts, from `inputs` dimensions to `dimensions`."""

    weights: Weights
    architecture: str
    inputs: int
    dimensions: int

    def __call__(self, vectors: Vectors) -> Vectors:
        """Map unit vectors [n, inputs] to unit vectors [n, dimensions]; rows do not affect each other.

        Raises:
            WeightsDamaged: the vectors have other dimensions.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.inputs:
            shape = "x".join(map(str, vectors.shape))
            problem = f"the projection takes vectors of {self.inputs} dimensions, not {shape}"
            raise WeightsDamaged(problem, hint="patina oxidize")
        result = np.zeros((len(vectors), self.dimensions), np.float32)
        for start in range(0, len(vectors), _BLOCK):
            rows = np.ascontiguousarray(vectors[start : start + _BLOCK], np.float32)
            # Foreign weights may overflow; such rows stay zero.
            with np.errstate(over="ignore", invalid="ignore"):
                result[start : start + _BLOCK] = self._unit(rows)
        return result

    def _unit(self, rows: Vectors) -> Vectors:
        z = self._mapped(rows)
        square = np.matmul(z[:, None, :], z[:, :, None])[:, :, 0]
        is_valid = (square > 0) & np.isfinite(square) & rows.any(axis=1, keepdims=True)
        unit: Vectors = np.divide(z, np.sqrt(square), out=np.zeros_like(z), where=is_valid)
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
    """Multiply rows [n, d] by a transposed matrix [k, d] to [n, k], one matrix-vector product for each row.

    One product for all rows is up to six times faster, but a row's last bits then depend on its position: the
    AVX2 kernels of OpenBLAS add in another order at an edge.
    """
    products: Vectors = np.matmul(rows[:, None, :], matrix.T)[:, 0, :]
    return products


def _check(weights: Weights, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return architecture and dimensions; raise `WeightsDamaged` for a contradiction."""
    if not all(isinstance(text, str) for text in metadata.values()):
        raise WeightsDamaged("the metadata are not texts", hint="patina oxidize")
    architecture = metadata.get("architecture") or _architecture_of(weights)
    facts = _dimensions(architecture, weights)
    for key, value in facts.items():
        if metadata.get(key, value) != value:
            raise WeightsDamaged(
                f"{key} is {metadata[key]!r}, but by the tensors {value}", hint="patina oxidize"
            )
    for name, tensor in weights.items():
        if not np.isfinite(tensor).all():
            raise WeightsDamaged(f"{name} holds values that are not finite", hint="patina oxidize")
    return facts


def _architecture_of(weights: Weights) -> str:
    """Return the architecture that has these tensors, "" where none has."""
    return next((name for name, layout in LAYOUTS.items() if layout.keys() == weights.keys()), "")


def _dimensions(architecture: str, weights: Weights) -> dict[str, str]:
    """Return the architecture and its dimensions, read from the tensors' shapes, as metadata."""
    layout = LAYOUTS.get(architecture)
    if layout is None:
        names = ", ".join(sorted(LAYOUTS))
        raise WeightsDamaged(f"the architecture {architecture!r} is none of {names}", hint="patina oxidize")
    if layout.keys() != weights.keys():
        names, actual = ", ".join(sorted(layout)), ", ".join(sorted(map(repr, weights)))
        raise WeightsDamaged(
            f"{architecture} needs the tensors {names}; there are {actual}", hint="patina oxidize"
        )
    sizes: dict[str, int] = {}
    for name, symbols in layout.items():
        shape = weights[name].shape
        expected = tuple(sizes.setdefault(symbol, size) for symbol, size in zip(symbols, shape, strict=False))
        if len(shape) != len(symbols) or expected != shape or 0 in shape:
            raise WeightsDamaged(f"the shape {list(shape)} of {name} does not fit", hint="patina oxidize")
    return {"architecture": architecture} | {key: str(size) for key, size in sorted(sizes.items())}


def _damaged(path: Path, reason: str) -> WeightsDamaged:
    return WeightsDamaged(f"{path} holds no usable weights: {reason}", hint="patina oxidize")
