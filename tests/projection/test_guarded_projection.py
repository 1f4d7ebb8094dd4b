"""A projection of a plugin that raises or gives odd values is a failure of that plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from patina_hooks.errors import PluginError
from patina_hooks.plugins.calls import PluginFunction
from patina_hooks.projection.guarded_projection import GuardedProjection

VECTORS = np.eye(3, dtype=np.float32)


class Odd:
    dimensions = 3

    def __init__(self, answer: Callable[[Any], object]) -> None:
        self.answer = answer

    def __call__(self, vectors: Any) -> object:  # noqa: ANN401
        return self.answer(vectors)


def guarded(opened: Callable[..., object]) -> GuardedProjection:
    opener = PluginFunction("patina-odd", "kind of projection odd", f"{__name__}:opened", opened)
    return GuardedProjection(opener, {}, {})


def leave(_: object) -> object:
    raise SystemExit(3)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: 1 / 0,
        leave,
        lambda _: None,
        lambda vectors: vectors[:1],
        lambda vectors: vectors.astype(np.float64),
        lambda vectors: vectors * np.float32("nan"),
    ],
)
def test_a_projection_names_its_plugin_when_it_fails(answer: Callable[[Any], object]) -> None:
    projection = guarded(lambda *_: Odd(answer))
    with pytest.raises(PluginError, match="kind of projection odd cannot be used: call: ") as caught:
        projection(VECTORS)
    assert caught.value.plugin == "patina-odd"


@pytest.mark.parametrize("opened", [lambda *_: 1 / 0, lambda *_: None])
def test_opening_a_projection_names_its_plugin_when_it_fails(opened: Callable[..., object]) -> None:
    with pytest.raises(PluginError, match="kind of projection odd cannot be used: open: "):
        guarded(opened)


def test_a_sound_projection_gives_its_vectors() -> None:
    assert np.array_equal(guarded(lambda *_: Odd(lambda vectors: vectors))(VECTORS), VECTORS)
