"""The projection that is in use: one file says which, and its weights lie beside, named by their hash.

It is no part of the log, which may be derived anew at any time: what was learned stays until something else
earns its place.
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
_TRIED = 4
_NEAR_ONE = 1e-3


@dataclass(frozen=True, slots=True)
class Active:
    """weights: their hash; dimensions: of the projected vectors; fingerprint: of the model they are for.

    delta, low, high, n: by how much it beat the raw model on later history (`patina_hooks.training.gate`).
    split: what is from this moment on (seconds since 1970) it never saw. forced: the gate refused it, and the
    user had it all the same.
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
    """The projection in use, None for the raw model. Raises `StateError` where the file is damaged."""
    path = state / PROJECTIONS_FOLDER / _ACTIVE
    try:
        active = read_value(Active, parse_json(read_state(path)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StateError(f"{path} is damaged: {error}", hint="patina oxidize") from error
    return active


def store_active(state: Path, active: Active | None) -> None:
    """Have this projection used from the next sync on, None for the raw model."""
    path = state / PROJECTIONS_FOLDER / _ACTIVE
    if active is None:
        path.unlink(missing_ok=True)
    else:
        replace_file(path, json.dumps(asdict(active)).encode())


def is_raw_wanted(state: Path) -> bool:
    """Whether the user wants the raw model to answer, until they let the gate decide again."""
    return (state / PROJECTIONS_FOLDER / _RAW).exists()


def want_raw(state: Path, wanted: bool) -> None:
    """Keep that wish, or drop it."""
    path = state / PROJECTIONS_FOLDER / _RAW
    if wanted:
        replace_file(path, b"")
    else:
        path.unlink(missing_ok=True)


def keep_weights(
    state: Path, trained: Trained, kind: str, about: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Write weights, with the kind that opens them; gives their hash. about: more to say of them, which is no
    part of the hash."""
    from patina_hooks.projection.weights import weights_hash, write_tensors

    name = weights_hash(trained.weights)
    metadata = {**trained.metadata, **about, "kind": kind}
    write_tensors(weights_file(state, name), trained.weights, metadata)
    return name


def weights_file(state: Path, name: str) -> Path:
    """Where weights of this hash lie."""
    return state / PROJECTIONS_FOLDER / f"{name}.safetensors"


def open_weights(state: Path, plugins: Plugins, name: str) -> Projection:
    """Weights by their hash, checked and opened. Raises `IndexDamaged` where they cannot be used, and
    `PluginError` where the plugin of their kind is gone."""
    # numpy, only when vectors are projected.
    from patina_hooks.plugins.calls import BUILTIN
    from patina_hooks.plugins.kinds import PROJECTIONS
    from patina_hooks.projection.guarded_projection import GuardedProjection
    from patina_hooks.projection.weights import read_tensors, weights_hash

    weights, metadata = read_tensors(weights_file(state, name))
    if weights_hash(weights) != name:
        raise IndexDamaged(f"{weights_file(state, name)} is not as it was trained", hint="patina oxidize")
    kind = metadata.get("kind", "")
    opener = plugins.open(PROJECTIONS, kind, plugins.projection(kind).open)
    if opener.plugin == BUILTIN:
        projection: Projection = opener.function(weights, _own(metadata))
        return projection
    return GuardedProjection(opener, weights, _own(metadata))


def open_tried(state: Path, plugins: Plugins, name: str, dimensions: int) -> Projection:
    """As `open_weights`, and seen to give unit vectors, or none, for a few vectors of these dimensions.

    Raises `IndexDamaged` also where it does not.
    """
    import numpy as np

    try:
        projection = open_weights(state, plugins, name)
        rows = np.eye(dimensions, dtype=np.float32)[:_TRIED]
        seen = np.asarray(projection(rows))
        lengths = np.linalg.norm(seen, axis=1)
        is_sound = seen.dtype == np.float32 and seen.shape == (len(rows), projection.dimensions)
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
            "it does not give unit vectors of the dimensions that it names", hint="patina oxidize"
        )
    return projection


def free_weights(state: Path, kept: Collection[str]) -> None:
    """Drop the weights that are not named, and what a killed write left."""
    for path in (state / PROJECTIONS_FOLDER).glob("*.safetensors*"):
        if path.name.partition(".")[0] not in kept:
            path.unlink(missing_ok=True)


def _own(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key != "kind"}
