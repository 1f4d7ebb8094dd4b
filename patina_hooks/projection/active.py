"""The projection in use: one file names it, and its weights are next to that file, named by their hash.

It is not part of the log, which may be rebuilt at any time: learned weights stay until others replace them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import read_value
from patina_hooks.errors import IndexDamaged, PluginError, StateError
from patina_hooks.plugins.calls import failure_of
from patina_hooks.system.files import read_state, replace_file

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.training import Projection, Trained

PROJECTIONS_FOLDER = "projections"
_ACTIVE = "active.json"
_RAW = "raw"
_TEST_ROWS = 4
_NEAR_ONE = 1e-3


@dataclass(frozen=True, slots=True)
class Active:
    """The projection in use.

    weights: their hash; dimensions: of the projected vectors; fingerprint: of the model that they are for.

    delta, low, high, n: by how much it beat the raw model on later history (`patina_hooks.training.gate`).
    split: the moment (seconds since 1970) from which on it saw nothing. forced: the gate refused it, but the
    user chose it.
    """

    name: str
    kind: str
    weights: str
    dimensions: int
    fingerprint: str
    delta: float
    low: float | None
    high: float | None
    n: int
    split: int
    forced: bool


def load_active(state: Path) -> Active | None:
    """Load the projection in use, None for the raw model.

    Raises:
        StateError: the file is damaged.
    """
    path = state / PROJECTIONS_FOLDER / _ACTIVE
    try:
        active = read_value(Active, parse_json(read_state(path)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StateError(f"{path} is damaged: {error}", hint="patina oxidize") from error
    return active


def store_active(state: Path, active: Active | None) -> None:
    """Use this projection from the next sync on, None for the raw model."""
    path = state / PROJECTIONS_FOLDER / _ACTIVE
    if active is None:
        path.unlink(missing_ok=True)
    else:
        replace_file(path, json.dumps(asdict(active)).encode())


def is_raw_requested(state: Path) -> bool:
    """Return whether the user requested the raw model, until they let the gate decide again."""
    return (state / PROJECTIONS_FOLDER / _RAW).exists()


def request_raw(state: Path, requested: bool) -> None:
    """Store that request, or delete it."""
    path = state / PROJECTIONS_FOLDER / _RAW
    if requested:
        replace_file(path, b"")
    else:
        path.unlink(missing_ok=True)


def store_weights(
    state: Path, trained: Trained, kind: str, about: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Write weights and return their hash.

    Args:
        state: the state folder.
        trained: the weights.
        kind: the kind of projection that opens them.
        about: further metadata, which is not part of the hash.
    """
    from patina_hooks.projection.weights import weights_hash, write_tensors

    name = weights_hash(trained.weights)
    metadata = {**trained.metadata, **about, "kind": kind}
    write_tensors(weights_file(state, name), trained.weights, metadata)
    return name


def weights_file(state: Path, name: str) -> Path:
    """Return the path of weights of this hash."""
    return state / PROJECTIONS_FOLDER / f"{name}.safetensors"


def open_weights(state: Path, plugins: Plugins, name: str) -> Projection:
    """Check weights and open them as a projection.

    Raises:
        IndexDamaged: they cannot be used.
        PluginError: the plugin of their kind is not installed.
    """
    # numpy, only when vectors are projected.
    from patina_hooks.plugins.calls import BUILTIN
    from patina_hooks.plugins.kinds import PROJECTIONS
    from patina_hooks.projection.guarded_projection import GuardedProjection
    from patina_hooks.projection.weights import read_tensors, weights_hash

    weights, metadata = read_tensors(weights_file(state, name))
    if weights_hash(weights) != name:
        raise IndexDamaged(f"{weights_file(state, name)} is not as it was trained", hint="patina oxidize")
    kind = metadata.get("kind", "")
    function = plugins.open(PROJECTIONS, kind, plugins.projection(kind).open)
    if function.plugin == BUILTIN:
        projection: Projection = function.function(weights, _without_kind(metadata))
        return projection
    return GuardedProjection(function, weights, _without_kind(metadata))


def open_tested(state: Path, plugins: Plugins, name: str, dimensions: int) -> Projection:
    """Open a projection and test that it maps a few vectors to unit or zero vectors.

    Raises:
        IndexDamaged: it does not, or as `open_weights`.
        PluginError: as `open_weights`.
    """
    import numpy as np

    try:
        projection = open_weights(state, plugins, name)
        rows = np.eye(dimensions, dtype=np.float32)[:_TEST_ROWS]
        projected = np.asarray(projection(rows))
        lengths = np.linalg.norm(projected, axis=1)
        is_sound = projected.dtype == np.float32 and projected.shape == (len(rows), projection.dimensions)
        is_sound = is_sound and bool(np.all((lengths == 0) | (np.abs(lengths - 1) < _NEAR_ONE)))
    except IndexDamaged:
        raise
    except PluginError as error:
        if plugins.is_strict or not error.plugin:
            raise
        raise IndexDamaged(str(error), hint="patina oxidize") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin's projection
        raise IndexDamaged(f"it cannot be used: {failure_of(error)}", hint="patina oxidize") from error
    if not is_sound:
        raise IndexDamaged(
            "it does not return unit vectors of the dimensions that it states", hint="patina oxidize"
        )
    return projection


def delete_unused_weights(state: Path, names: Collection[str]) -> None:
    """Delete weights that are not named, and files of killed writes."""
    for path in (state / PROJECTIONS_FOLDER).glob("*.safetensors*"):
        if path.name.partition(".")[0] not in names:
            path.unlink(missing_ok=True)


def _without_kind(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key != "kind"}
