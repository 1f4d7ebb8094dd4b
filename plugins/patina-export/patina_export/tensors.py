"""Weights read from safetensors by the names that transformers gives them, each checked for its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from patina_hooks.authoring import ModelError

if TYPE_CHECKING:
    from patina_hooks.authoring import Vectors

_PREFIX: Final = re.compile(r"(?:model|bert|nomic_bert)\.")
_HARMLESS: Final = re.compile(r"pooler\.|lm_head\.|cls\.|.*\bposition_ids$|.*\binv_freq$")

# Names in the files that Nomic wrote; queries, keys and values are one tensor there.
_NOMIC: Final = (
    ("encoder.layers.", "layers."),
    ("emb_ln.", "embeddings.LayerNorm."),
    (".attn.out_proj.", ".self_attn.o_proj."),
    (".mlp.fc11.", ".mlp.up_proj."),
    (".mlp.fc12.", ".mlp.gate_proj."),
    (".mlp.fc2.", ".mlp.down_proj."),
    (".norm1.", ".post_attention_layernorm."),
    (".norm2.", ".post_mlp_layernorm."),
)
_TOGETHER: Final = ".attn.Wqkv."
_PARTS: Final = (".self_attn.q_proj.", ".self_attn.k_proj.", ".self_attn.v_proj.")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies: in which file under which name, and for one of three in one, which third."""

    file: int
    name: str
    third: int | None = None


class CheckpointTensors:
    """The weights of one model, from one file or several. A context manager: the files stay open in it."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._stack = ExitStack()
        self._read: set[str] = set()

    def __enter__(self) -> CheckpointTensors:
        # ml_dtypes teaches numpy bfloat16, by being imported; onnx brings it along.
        import ml_dtypes  # noqa: F401
        from safetensors import SafetensorError, safe_open

        self._files: list[Any] = []
        for path in self._paths:
            try:
                self._files.append(self._stack.enter_context(safe_open(path, framework="np")))
            except (OSError, SafetensorError) as error:
                self._stack.close()
                raise ModelError(f"{path} is no readable safetensors file: {error}") from error
        self._places = dict(self._found())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def get(self, name: str, *shape: int) -> Vectors:
        """Read a tensor as float32; `ModelError` if it is absent or of another shape."""
        import numpy as np

        if name not in self._places:
            raise ModelError(
                f"{self._paths[0]}: the tensor {name} is absent: the weights are of another model"
            )
        place = self._places[name]
        tensor = self._files[place.file].get_tensor(place.name)
        if place.third is not None:
            tensor = np.array_split(tensor, 3)[place.third]
        if tensor.shape != shape:
            raise ModelError(
                f"{self._paths[place.file]}: the tensor {place.name} has the shape {list(tensor.shape)}, "
                f"and config.json asks for {list(shape)}"
            )
        self._read.add(name)
        return np.asarray(tensor, dtype=np.float32)

    def rows(self, name: str) -> int:
        """How many rows the tensor has: the size of a vocabulary, which only the weights surely tell."""
        if name not in self._places:
            return 0
        place = self._places[name]
        return int(self._files[place.file].get_slice(place.name).get_shape()[0])

    def parameters(self) -> int:
        """How many weights there are in all files: not ids of positions, which some files hold too."""
        slices = (file.get_slice(name) for file in self._files for name in file.keys())  # noqa: SIM118
        return sum(prod(weights.get_shape()) for weights in slices if "F" in weights.get_dtype())

    def refuse_unread(self, *passed: str) -> None:
        """Raise `ModelError` if a tensor was not read and is none of those known to be of no use here.

        passed: patterns of names that the graph was not to hold.
        """
        unread = [name for name in self._places if name not in self._read and not _HARMLESS.match(name)]
        unused = sorted(name for name in unread if not any(re.match(pattern, name) for pattern in passed))
        if unused:
            more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
            raise ModelError(
                f"{self._paths[0]}: nothing is known of the tensors {', '.join(unused[:3])}{more}: "
                "the architecture is not the one that config.json names"
            )

    def _found(self) -> Iterator[tuple[str, _Place]]:
        for number, file in enumerate(self._files):
            for name in file.keys():  # noqa: SIM118 (it is no mapping)
                plain = _PREFIX.sub("", name, count=1) if _PREFIX.match(name) else name
                for old, new in _NOMIC:
                    plain = plain.replace(old, new)
                if _TOGETHER in plain:
                    for third, part in enumerate(_PARTS):
                        yield plain.replace(_TOGETHER, part), _Place(number, name, third)
                else:
                    yield plain, _Place(number, name)
