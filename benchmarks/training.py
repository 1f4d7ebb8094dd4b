"""Training and using projections: our numpy trainer against torch on the processor, and the wall times.

python -m benchmarks.training ours|torch      one measure of steps; prints steps/s as JSON
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.rounds import child, medians, milliseconds
from benchmarks.table import Bound, Row
from benchmarks.workshop import Workshop, drawn, opened, space_of

if TYPE_CHECKING:
    from patina_hooks.specs.training import TrainingSettings, TrainingStep, TrainingTask, Weights

_GROUP = "projections"
_TORCH = "torch==2.13.0"
_INPUTS, _HIDDEN, _OUT, _BATCH = 768, 1024, 256, 64
_ROWS, _STEPS, _ROUNDS = 20_000, 50, 9
_TRIPLETS, _EPOCHS = 10_000, 10
_VECTORS, _DIMENSIONS = 100_000, 384


@dataclass
class _Watcher:
    """A watch that only counts."""

    epochs: list[int] = field(default_factory=list)

    def step(self, step: TrainingStep, state: Weights) -> None:
        self.epochs.append(step.epoch)

    def resume(self) -> None:
        return None


def measure(workshop: Workshop) -> Iterator[Row]:
    """Steps in processes of their own, since both libraries' threads wait by spinning; drawn vectors."""
    yield _steps()
    seconds = medians({"mlp": _ancestors_task()}, 3)["mlp"]
    what = f"mlp 384-512-128, {_TRIPLETS:,} triplets x {_EPOCHS} epochs"
    yield Row(_GROUP, what, seconds, "s", 10, f"the ancestor: 100 triplets x {_EPOCHS} epochs")
    yield from _whole_index()
    yield _swap(workshop)


def _steps() -> Row:
    what = f"steps of mlp {_INPUTS}-{_HIDDEN}-{_OUT}, batch {_BATCH}"
    if find_spec("torch") is None:
        absent = f"torch is absent: pip install {_TORCH}"
        return Row(_GROUP, what, child("training", "ours")["steps"], "steps/s", against=absent)
    figures = [{way: child("training", way)["steps"] for way in ("ours", "torch")} for _ in range(3)]
    ours, theirs = (median(figure[way] for figure in figures) for way in ("ours", "torch"))
    return Row(_GROUP, what, ours, "steps/s", theirs, "torch on the processor", Bound(0.5, least=True))


def _ancestors_task() -> Callable[[], float]:
    from patina_hooks.specs.training import TrainingSettings
    from patina_hooks.training.trainers import mlp

    task = _task(TrainingSettings(hidden=512, out=128, epochs=_EPOCHS))

    def train() -> float:
        watcher = _Watcher()
        taken = milliseconds(lambda: mlp.train(task, watcher))
        assert len(watcher.epochs) == _EPOCHS
        return taken / 1000

    return train


def _task(settings: TrainingSettings) -> TrainingTask:
    """Sessions of 20 texts each, as many pairs as triplets are wanted, and none later."""
    import numpy as np

    from patina_hooks.specs.training import PairRows, TrainingTask

    rows = np.arange(_TRIPLETS)
    sessions, texts = rows // 20, _TRIPLETS
    partners = sessions * 20 + (rows + 1) % 20
    weights, none = np.ones(texts, np.float32), np.zeros(0, np.intp)
    groups = [frozenset({int(session)}) for session in sessions]
    train = PairRows(rows, partners, weights, sessions)
    held = PairRows(none, none, weights[:0], none)
    return TrainingTask(drawn(texts, _DIMENSIONS), train, held, groups, settings)


def _whole_index() -> Iterator[Row]:
    import numpy as np

    from patina_hooks.projection.weights import open_projection
    from patina_hooks.training.trainers import whitening
    from patina_hooks.training.trainers.layers import two_layers

    vectors = drawn(_VECTORS, _DIMENSIONS)
    mean, components = whitening.fit(vectors, 256, 0.35)
    white = {"mean": mean, "components": components}
    layers = {name: np.full(shape, 0.01, np.float32) for name, shape in two_layers(256, 512, 256).items()}
    projections = {
        "whitening": open_projection(white, {}),
        "residual": open_projection({**white, **layers}, {}),
    }
    fitted = medians({"fit": lambda: milliseconds(lambda: whitening.fit(vectors, 256, 0.35))}, 3)["fit"]
    yield Row(_GROUP, f"whitening fitted on {_VECTORS:,} x {_DIMENSIONS}", fitted / 1000, "s")
    for name, projection in projections.items():
        taken = milliseconds(lambda use=projection: use(vectors))  # type: ignore[misc]
        what = f"{_VECTORS:,} x {_DIMENSIONS} through {name} to 256"
        yield Row(_GROUP, what, taken / 1000, "s", bound=Bound(10, of="ours"))


def _swap(workshop: Workshop) -> Row:
    """From one sync to the next: every vector projected, the new index written, and swapped to."""
    from patina_hooks.projection.active import Active, store_active, store_weights
    from patina_hooks.projection.weights import describe_weights
    from patina_hooks.search.index.spaces import active_space
    from patina_hooks.specs.training import Trained
    from patina_hooks.store.log import Log
    from patina_hooks.training.trainers import whitening
    from patina_hooks.upkeep.sync import synchronise

    mean, components = whitening.fit(drawn(10_000, _DIMENSIONS), 256, 0.35)
    weights = {"mean": mean, "components": components}
    with opened(workshop.settled_copy(workshop.longer, "swap")) as patina:
        state, space = patina.repository.state, space_of(patina.plugins)
        name = store_weights(state, Trained(weights, describe_weights("whitening", weights)), "whitening")
        store_active(
            state,
            Active(
                "whitening", "whitening", name, 256, space.fingerprint, 0.0, 0.0, 0.0, 0, split=0, forced=True
            ),
        )
        report = synchronise(patina.repository, plugins=patina.plugins)
        with Log(state, create=False) as log:
            answering = active_space(log)
        assert answering is not None
        assert answering.projection == name
        assert report.encoded == 0
    what = f"a sync that swaps {report.indexed:,} vectors to a projection"
    return Row(_GROUP, what, report.seconds, "s", bound=Bound(10 * report.indexed / _VECTORS, of="ours"))


def _our_steps() -> Callable[[], None]:
    """Gathering rows, forward, backward and AdamW, as a batch of training does it."""
    import numpy as np

    from patina_hooks.training.trainers.layers import he_initialise, two_layers
    from patina_hooks.training.trainers.mlp import triplet_gradients
    from patina_hooks.training.trainers.optimiser import AdamW, Parameters

    draws = np.random.default_rng(0)
    vectors, weights = drawn(_ROWS, _INPUTS), np.ones(_BATCH, np.float32)
    parameters = Parameters(two_layers(_INPUTS, _HIDDEN, _OUT))
    for name in ("w1.weight", "w2.weight"):
        he_initialise(parameters.tensors[name], draws)
    gradients, optimiser = parameters.like(), AdamW(parameters.flat, 3e-4)

    def steps() -> None:
        for _ in range(_STEPS):
            x = vectors[draws.integers(_ROWS, size=3 * _BATCH)]
            triplet_gradients(parameters.tensors, gradients.tensors, x, weights, 0.2)
            optimiser.step(gradients.flat)

    return steps


def _torch_steps() -> Callable[[], None]:
    """The same in torch, with its fused optimiser."""
    import torch
    from torch.nn.functional import normalize, relu

    torch.manual_seed(0)
    vectors = torch.from_numpy(drawn(_ROWS, _INPUTS))
    first, second = torch.nn.Linear(_INPUTS, _HIDDEN), torch.nn.Linear(_HIDDEN, _OUT)
    parameters = [*first.parameters(), *second.parameters()]
    optimiser = torch.optim.AdamW(parameters, 3e-4, fused=True)

    def steps() -> None:
        for _ in range(_STEPS):
            x = vectors[torch.randint(_ROWS, (3 * _BATCH,))]
            anchor, positive, negative = normalize(second(relu(first(x)))).reshape(3, _BATCH, -1)
            loss = relu(0.2 + (anchor * (negative - positive)).sum(1)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return steps


if __name__ == "__main__":
    steps = {"ours": _our_steps, "torch": _torch_steps}[sys.argv[1]]()
    took = medians({"steps": lambda: milliseconds(steps)}, _ROUNDS)["steps"]
    print(json.dumps({"steps": _STEPS / took * 1000}))
