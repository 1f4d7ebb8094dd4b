"""A model's tensors: read from safetensors files, named as transformers names them, packed or not.

A packed matrix lies in three tensors, as mlx-community has it: `weight` (uint32), `scales` and `biases`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, cast

from safetensors import SafetensorError, safe_open

from patina_hooks.authoring import ModelError
from patina_mlx.config import Config, Quantisation
from patina_mlx.core import mx

_PREFIXES: Final = ("model.", "bert.", "nomic_bert.")
_UNUSED: Final = re.compile(r"(pooler|lm_head|cls)\.|.*\b(position_ids|token_type_ids|inv_freq)$")
"""What embeddings have no use for; any other tensor that is left over means another architecture."""

_NOMIC: Final = (
    (r"^encoder\.layers\.", "layers."),
    (r"^emb_ln\.", "embeddings.LayerNorm."),
    (r"\battn\.out_proj\.", "self_attn.o_proj."),
    (r"\battn\.Wqkv\.", "self_attn.qkv_proj."),
    (r"\bfc11\.", "up_proj."),
    (r"\bfc12\.", "gate_proj."),
    (r"\bfc2\.", "down_proj."),
    (r"\bnorm1\.", "post_attention_layernorm."),
    (r"\bnorm2\.", "post_mlp_layernorm."),
)
"""NomicBERT's own names, and those of transformers."""


class Matrix(Protocol):
    """A matrix [rows, columns], in memory as it was published."""

    @property
    def rows(self) -> int: ...

    def products(self, x: mx.array) -> mx.array:
        """x [..., columns] times the matrix transposed: [..., rows]."""
        ...

    def take(self, ids: mx.array) -> mx.array:
        """Return the rows of these numbers: [..., columns]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class DenseMatrix:
    weight: mx.array

    @property
    def rows(self) -> int:
        return int(self.weight.shape[0])

    def products(self, x: mx.array) -> mx.array:
        return x @ self.weight.T

    def take(self, ids: mx.array) -> mx.array:
        return self.weight[ids]


@dataclass(frozen=True, slots=True, eq=False)
class PackedMatrix:
    weight: mx.array
    scales: mx.array
    biases: mx.array
    how: Quantisation

    @property
    def rows(self) -> int:
        return int(self.weight.shape[0])

    def products(self, x: mx.array) -> mx.array:
        return mx.quantized_matmul(
            x, self.weight, self.scales, self.biases, group_size=self.how.group_size, bits=self.how.bits
        )

    def take(self, ids: mx.array) -> mx.array:
        return mx.dequantize(
            self.weight[ids],
            self.scales[ids],
            self.biases[ids],
            group_size=self.how.group_size,
            bits=self.how.bits,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    matrix: Matrix
    bias: mx.array | None

    def __call__(self, x: mx.array) -> mx.array:
        y = self.matrix.products(x)
        return y if self.bias is None else y + self.bias


class Tensors:
    """Tensors by name, each used once; unused ones are an error at the end."""

    def __init__(self, tensors: Mapping[str, mx.array], config: Config, dtype: mx.Dtype | None) -> None:
        """Hold tensors. dtype: of unpacked tensors and of computation; None for that of the file."""
        self._unused = dict(tensors)
        self._packed = {_bare(name): how for name, how in config.packed.items()}
        self._dtype = dtype

    def array(self, name: str) -> mx.array:
        """Take a tensor.

        Raises:
            ModelError: there is no such tensor.
        """
        try:
            tensor = self._unused.pop(name)
        except KeyError:
            raise ModelError(f"the weights hold no tensor {name}") from None
        return tensor if self._dtype is None else tensor.astype(self._dtype)

    def matrix(self, name: str) -> Matrix:
        """Take the matrix `name`.weight, packed where it has scales."""
        if f"{name}.scales" not in self._unused:
            return DenseMatrix(self.array(f"{name}.weight"))
        how = self._packed.get(name, self._packed.get(""))
        if how is None:
            raise ModelError(f"{name} has scales, but config.json does not describe its packing")
        weight = self._unused.pop(f"{name}.weight", None)
        if weight is None or weight.dtype != mx.uint32:
            raise ModelError(f"{name} has scales, but is not packed")
        return PackedMatrix(weight, self.array(f"{name}.scales"), self.array(f"{name}.biases"), how)

    def linear(self, name: str) -> Linear:
        """Take a matrix with its bias, if it has one."""
        matrix = self.matrix(name)
        return Linear(matrix, self.array(f"{name}.bias") if f"{name}.bias" in self._unused else None)

    def finish(self) -> None:
        """Check that all tensors were used.

        Raises:
            ModelError: the architecture does not have some of them.
        """
        if unused := sorted(name for name in self._unused if not _UNUSED.match(name)):
            more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
            raise ModelError(f"the weights hold tensors that have no place: {', '.join(unused[:3])}{more}")


def load_weight_files(paths: Iterable[Path], architecture: str) -> dict[str, mx.array]:
    """Load the tensors of files by their names in transformers' base model.

    Their values are read when they are first used.

    Raises:
        ModelError: a file is not a safetensors file.
    """
    tensors: dict[str, mx.array] = {}
    for path in paths:
        try:
            # mlx trusts a header; this checks it against the file.
            with safe_open(path, framework="numpy"):
                loaded = cast("dict[str, mx.array]", mx.load(str(path), format="safetensors"))
        except (SafetensorError, OSError, RuntimeError, ValueError) as error:
            raise ModelError(f"{path} holds no readable tensors: {error}") from error
        tensors |= {_bare(name): tensor for name, tensor in loaded.items()}
    return _of_nomic(tensors) if architecture == "nomic_bert" else tensors


def _bare(name: str) -> str:
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), "")
    return name[len(prefix) :]


def _of_nomic(tensors: Mapping[str, mx.array]) -> dict[str, mx.array]:
    renamed: dict[str, mx.array] = {}
    for name, tensor in tensors.items():
        for pattern, replacement in _NOMIC:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        if ".qkv_proj." not in name:
            renamed[name] = tensor
            continue
        for letter, part in zip("qkv", mx.split(tensor, 3), strict=True):
            renamed[name.replace(".qkv_proj.", f".{letter}_proj.")] = part
    return renamed
