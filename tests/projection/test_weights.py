"""Files of weights: the ancestor's layout, the same bytes each time, and nothing unsound gets in."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from projection.small_trainings import TRAINERS, Watcher, task, unit

from patina_hooks.errors import PatinaError
from patina_hooks.projection.weights import (
    WeightsDamaged,
    open_projection,
    read_tensors,
    read_weights,
    weights_hash,
    write_tensors,
    write_weights,
)
from patina_hooks.specs.training import Trained
from patina_hooks.training.trainers import whitening

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAKERS = {**TRAINERS, "whitening": whitening.train}
_ABOUT = {
    "architecture": "mlp-2layer",
    "input_dim": "3",
    "hidden_dim": "4",
    "output_dim": "2",
    "created_by": "somebody else",
}


def _tensors(dtype: str = "<f4") -> dict[str, NDArray[Any]]:
    draw = np.random.default_rng(0)
    shapes = {"w1.weight": (4, 3), "w1.bias": (4,), "w2.weight": (2, 4), "w2.bias": (2,)}
    return {name: draw.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def _by_hand(
    tensors: Mapping[str, NDArray[Any]], about: Mapping[str, Any] | None, kind: str = "F32", pad: int = 8
) -> bytes:
    """A safetensors file as the format's description has it, in the order of `tensors`."""
    header: dict[str, Any] = {} if about is None else {"__metadata__": dict(about)}
    at = 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % pad)
    return struct.pack("<Q", len(text)) + text + b"".join(tensor.tobytes() for tensor in tensors.values())


def _expected(tensors: Mapping[str, NDArray[Any]], x: NDArray[Any]) -> NDArray[Any]:
    hidden = np.maximum(x @ tensors["w1.weight"].T + tensors["w1.bias"], 0)
    z: NDArray[Any] = hidden @ tensors["w2.weight"].T + tensors["w2.bias"]
    unit_rows: NDArray[Any] = z / np.linalg.norm(z, axis=1, keepdims=True)
    return unit_rows


@pytest.mark.parametrize("name", _MAKERS)
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    trained = _MAKERS[name](task(), Watcher())
    trained = replace(trained, metadata={**trained.metadata, "recipe": "a\nb", "model": "é"})
    path = tmp_path / "new" / "weights.safetensors"
    write_weights(path, trained)
    read = read_weights(path)
    assert read.metadata == trained.metadata
    assert weights_hash(read.weights) == weights_hash(trained.weights)
    vectors = task().vectors
    projected, again = (open_projection(one.weights, one.metadata) for one in (trained, read))
    assert np.array_equal(projected(vectors), again(vectors))
    assert again.dimensions == 12


def test_the_metadata_are_those_of_the_layout() -> None:
    about = TRAINERS["mlp"](task(), Watcher()).metadata
    assert {key: about[key] for key in _ABOUT if key != "created_by"} == {
        "architecture": "mlp-2layer", "input_dim": "24", "hidden_dim": "32", "output_dim": "12",
    }  # fmt: skip
    assert about["created_by"].startswith("patina-hooks ")


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    about = {**_ABOUT, **{f"key{number}": str(number) for number in range(20)}}
    once, again = tmp_path / "once", tmp_path / "again"
    write_weights(once, Trained(_tensors(), about))
    write_weights(again, Trained(dict(reversed(_tensors().items())), dict(reversed(about.items()))))
    assert once.read_bytes() == again.read_bytes()
    assert (int.from_bytes(once.read_bytes()[:8], "little") + 8) % 8 == 0


def test_the_hash_is_of_names_shapes_and_values_alone() -> None:
    tensors = _tensors()
    known = weights_hash(tensors)
    assert weights_hash(dict(reversed(tensors.items()))) == known
    assert weights_hash({**tensors, "w1.weight": np.asfortranarray(tensors["w1.weight"])}) == known
    renamed = {"w2.bias_" if name == "w2.bias" else name: tensor for name, tensor in tensors.items()}
    reshaped = {**tensors, "w1.weight": tensors["w1.weight"].reshape(3, 4)}
    changed = {**tensors, "w2.bias": np.nextafter(tensors["w2.bias"], np.float32(9))}
    assert len({known, *(weights_hash(other) for other in (renamed, reshaped, changed))}) == 4


@pytest.mark.parametrize("about", [_ABOUT, {"format": "pt"}, None])
@pytest.mark.parametrize(("kind", "dtype"), [("F32", "<f4"), ("F16", "<f2")])
def test_a_file_of_another_program_is_read(
    about: dict[str, str] | None, kind: str, dtype: str, tmp_path: Path
) -> None:
    """As the ancestor writes it, and as torch does, with metadata of its own or none."""
    tensors = _tensors(dtype)
    path = tmp_path / "theirs.safetensors"
    path.write_bytes(_by_hand(tensors, about, kind))
    read = read_weights(path)
    shapes = {key: value for key, value in _ABOUT.items() if key != "created_by"}
    assert read.metadata == {**shapes, **(about or {})}
    projection = open_projection(read.weights, read.metadata)
    x = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_allclose(projection(x), _expected(tensors, x), rtol=2e-3 if kind == "F16" else 1e-5)


def test_a_file_of_ours_is_read_by_the_library(tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "ours.safetensors"
    write_weights(path, Trained(_tensors(), _ABOUT))
    with safe_open(path, framework="np") as file:
        assert file.metadata() == _ABOUT
        assert {name: file.get_tensor(name).tolist() for name in file.keys()} == {  # noqa: SIM118
            name: tensor.tolist() for name, tensor in _tensors().items()
        }


def _without(name: str) -> dict[str, NDArray[Any]]:
    return {key: tensor for key, tensor in _tensors().items() if key != name}


def _infinite() -> dict[str, NDArray[Any]]:
    return {**_tensors(), "w2.bias": np.array([1, np.inf], "<f4")}


_WHOLE = _by_hand(_tensors(), _ABOUT)
_HOSTILE = {
    "empty": (b"", "not a safetensors"),
    "cut in the header": (_WHOLE[:40], "not a safetensors"),
    "cut in the values": (_WHOLE[:-1], "not a safetensors"),
    "more after the values": (_WHOLE + b"more", "not a safetensors"),
    "header longer than the file": (struct.pack("<Q", 1 << 19) + b"{}", "not a safetensors"),
    "header too long": (struct.pack("<Q", 1 << 62) + b"{}", "too large"),
    "header full of brackets": (struct.pack("<Q", 1 << 18) + b"[" * (1 << 18), "not a safetensors"),
    "header that is no object": (struct.pack("<Q", 8) + b"[1, 2]  ", "not a safetensors"),
    "pickle": (b"\x80\x04\x95" + bytes(64), "too large|not a safetensors"),
    "metadata that are no text": (_by_hand(_tensors(), {"architecture": 1}), "not a safetensors"),
    "whole numbers": (_by_hand(_tensors("<i4"), _ABOUT, "I32"), "int32"),
    "double precision": (_by_hand(_tensors("<f8"), _ABOUT, "F64"), "float64"),
    "brain floats": (_by_hand(_tensors("<f2"), _ABOUT, "BF16"), "no safetensors|BF16"),
    "a tensor is absent": (_by_hand(_without("w2.bias"), _ABOUT), "needs the tensors"),
    "a tensor too many": (_by_hand({**_tensors(), "w3": np.ones(1, "<f4")}, _ABOUT), "needs the tensors"),
    "no tensors": (_by_hand({}, _ABOUT), "needs the tensors|not a safetensors"),
    "unknown architecture": (_by_hand(_tensors(), {**_ABOUT, "architecture": "vae"}), "'vae' is none of"),
    "unknown names": (_by_hand({"x": np.ones(1, "<f4")}, None), "'' is none of"),
    "other dimensions": (_by_hand(_tensors(), {**_ABOUT, "input_dim": "9"}), "input_dim is '9'"),
    "dimensions in words": (_by_hand(_tensors(), {**_ABOUT, "output_dim": "\x1b[2J"}), r"'\\x1b\[2J'"),
    "layers that do not meet": (
        _by_hand({**_tensors(), "w2.weight": np.ones((2, 5), "<f4")}, None), "w2.weight does not fit",
    ),
    "too few axes": (_by_hand({**_tensors(), "w1.weight": np.ones(12, "<f4")}, None), "does not fit"),
    "nothing in it": (_by_hand({**_tensors(), "w2.bias": np.ones(0, "<f4")}, None), "does not fit"),
    "not finite": (_by_hand(_infinite(), _ABOUT), "w2.bias holds values that are not finite"),
}  # fmt: skip


@pytest.mark.parametrize("case", _HOSTILE)
def test_a_file_that_is_unsound_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    data, why = _HOSTILE[case]
    path = tmp_path / "weights.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsDamaged, match=why) as refused:
        read_weights(path)
    assert str(path) in str(refused.value)
    assert refused.value.hint == "patina oxidize"
    assert isinstance(refused.value, PatinaError)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(WeightsDamaged, match="cannot be read"):
        read_weights(path)
    with path.open("wb") as file:
        file.write(_WHOLE)
        file.truncate(1 << 40)
    with pytest.raises(WeightsDamaged, match="too large"):
        read_weights(path)


def test_a_checkpoint_is_kept_to_the_bit(tmp_path: Path) -> None:
    watcher = Watcher()
    whole = TRAINERS["residual"](task(), watcher)
    write_tensors(tmp_path / "checkpoint", watcher.states[2], {"task": "this very one"})
    state, about = read_tensors(tmp_path / "checkpoint")
    assert about == {"task": "this very one"}
    resumed = TRAINERS["residual"](task(), Watcher(begin_with=state))
    assert weights_hash(resumed.weights) == weights_hash(whole.weights)
    assert resumed.steps == whole.steps


def test_vectors_of_another_model_are_refused() -> None:
    projection = open_projection(_tensors(), _ABOUT)
    with pytest.raises(WeightsDamaged, match="takes vectors of 3 dimensions, not 2x4"):
        projection(unit(np.ones((2, 4))))
    with pytest.raises(WeightsDamaged, match="input_dim is"):
        open_projection(_tensors(), {**_ABOUT, "input_dim": "4"})
