"""Which projection is in use, and its weights: what is damaged is refused, whatever it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from projection.learning import projected_by
from support.memory import plugins

from patina_hooks.errors import IndexDamaged, PluginError, StateError
from patina_hooks.projection.active import (
    PROJECTIONS_FOLDER,
    Active,
    delete_unused_weights,
    load_active,
    open_tested,
    open_weights,
    store_active,
    store_weights,
    weights_file,
)
from patina_hooks.projection.weights import WeightsDamaged, describe_weights, write_tensors
from patina_hooks.specs.training import Trained

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

USED = Active("mine", "whitening", "ab" * 32, 2, "f", 0.1, 0.05, 0.15, 90, 7, False)
WEIGHTS = {"mean": np.zeros(4, np.float32), "components": np.eye(2, 4, dtype=np.float32)}
WHITENING = Trained(WEIGHTS, describe_weights("whitening", WEIGHTS))


def active_file(state: Path) -> Path:
    return state / PROJECTIONS_FOLDER / "active.json"


def test_what_is_in_use_is_kept_and_forgotten(tmp_path: Path) -> None:
    assert load_active(tmp_path) is None
    store_active(tmp_path, USED)
    assert load_active(tmp_path) == USED
    store_active(tmp_path, None)
    store_active(tmp_path, None)
    assert load_active(tmp_path) is None


def changed(**values: Any) -> str:  # noqa: ANN401
    return json.dumps(asdict(USED) | values)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "\0" * 300, "[]", "3", "null", "{}", "\xff", "[" * 100_000,
        changed(more=1), changed(weights=None), changed(dimensions="256"), changed(delta="much"),
        changed(low="0"), changed(forced="no"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, text: str) -> None:
    store_active(tmp_path, USED)
    active_file(tmp_path).write_text(text, "latin-1")
    with pytest.raises(StateError, match=r"active\.json is damaged") as caught:
        load_active(tmp_path)
    assert caught.value.hint == "patina oxidize"


def test_weights_are_opened_by_their_hash(tmp_path: Path) -> None:
    name = store_weights(tmp_path, WHITENING, "whitening")
    projection = open_weights(tmp_path, plugins(), name)
    assert projection.dimensions == 2
    row = np.array([[0.6, 0.8, 0, 0]], np.float32)
    assert projection(row).tolist() == [pytest.approx([0.6, 0.8])]


def altered(path: Path) -> None:
    write_tensors(path, {**WEIGHTS, "mean": np.ones(4, np.float32)}, {"kind": "whitening"})


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("harm", [Path.unlink, altered, cut_off, lambda path: path.write_bytes(b"\0" * 999)])
def test_weights_that_are_not_what_they_were_are_refused(
    tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    name = store_weights(tmp_path, WHITENING, "whitening")
    harm(weights_file(tmp_path, name))
    with pytest.raises(IndexDamaged) as caught:
        open_weights(tmp_path, plugins(), name)
    assert caught.value.hint == "patina oxidize"


def test_weights_of_a_plugin_that_is_gone_say_so(tmp_path: Path) -> None:
    name = store_weights(tmp_path, WHITENING, "odd")
    with pytest.raises(PluginError, match="odd"):
        open_weights(tmp_path, plugins(), name)


def opening(project: Callable[[Vectors], object], dimensions: int = 2) -> Callable[..., object]:
    class Opened:
        def __call__(self, vectors: Vectors) -> object:
            return project(vectors)

    def open_(weights: object, metadata: object) -> object:
        opened = Opened()
        vars(opened)["dimensions"] = dimensions
        return opened

    return open_


def leave(vectors: Vectors) -> Vectors:
    raise SystemExit("leave")


@pytest.mark.parametrize(
    "open_",
    [
        lambda weights, metadata: None,
        lambda weights, metadata: SimpleNamespace(dimensions=2),
        opening(lambda vectors: None),
        opening(lambda vectors: vectors),
        opening(lambda vectors: vectors[:1, :2]),
        opening(lambda vectors: 2 * vectors[:, :2]),
        opening(lambda vectors: vectors[:, :2] * np.float32(np.nan)),
        opening(lambda vectors: vectors[:, :2].astype(np.float64)),
        opening(lambda vectors: ["a", "b"]),
        opening(lambda vectors: vectors @ vectors),
        opening(leave),
    ],
)
def test_a_projection_of_others_that_gives_no_vectors_is_refused(
    tmp_path: Path, open_: Callable[..., object]
) -> None:
    providers = projected_by(lambda task, watch: None, open_)
    name = store_weights(tmp_path, WHITENING, "odd")
    with pytest.raises((IndexDamaged, WeightsDamaged)):
        open_tested(tmp_path, providers, name, 4)


def test_a_projection_of_others_that_gives_vectors_is_used(tmp_path: Path) -> None:
    providers = projected_by(lambda task, watch: None, opening(lambda vectors: vectors[:, :2]))
    name = store_weights(tmp_path, WHITENING, "odd")
    assert open_tested(tmp_path, providers, name, 4).dimensions == 2


def test_weights_that_nobody_needs_go_and_so_does_what_a_kill_left(tmp_path: Path) -> None:
    name = store_weights(tmp_path, WHITENING, "whitening")
    store_active(tmp_path, USED)
    folder = tmp_path / PROJECTIONS_FOLDER
    (folder / f"{'cd' * 32}.safetensors").write_bytes(b"x")
    (folder / f".{name}.safetensors.k1ll3d").write_bytes(b"x")
    delete_unused_weights(tmp_path, {name})
    assert {path.name for path in folder.iterdir()} == {f"{name}.safetensors", "active.json"}
    delete_unused_weights(tmp_path, set())
    assert [path.name for path in folder.iterdir()] == ["active.json"]
