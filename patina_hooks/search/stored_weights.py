"""Fusion weights from `patina eval --tune`, and the vector space that they are for.

They are stored with the projection in use and not in the log, which may be rebuilt at any time. In the space
of another model or projection the default weights are used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import Rule, read_value
from patina_hooks.errors import StateError
from patina_hooks.projection.active import PROJECTIONS_FOLDER
from patina_hooks.search.fusion import WEIGHTS
from patina_hooks.system.files import read_state, replace_file

if TYPE_CHECKING:
    from patina_hooks.search.index.spaces import VectorSpace

TUNED_FILE: Final = "fusion.json"
_AGAIN: Final = "patina eval --tune"


def _check_weights(weights: Mapping[str, float]) -> None:
    # Weights may be of retrievers whose plugin is not installed.
    if not weights.keys() & WEIGHTS.keys():
        raise ValueError("of no built-in retriever")


_Weight = Annotated[float, Rule("a number from 0 to 1", least=0, most=1)]


@dataclass(frozen=True, slots=True)
class TunedWeights:
    """Tuned weights and their evaluation.

    fingerprint, projection, query: of the space that they were tuned in (see `VectorSpace`).
    split: queries up to this moment (seconds since 1970) were tuned on, later ones evaluated.
    past: the number of queries that were tuned on.
    delta, low, high, n: hybrid's MRR@10 with these weights minus that with the default weights, on the later
        queries, its 95 % interval (None with too few clusters), and their number.
    """

    weights: Annotated[Mapping[str, _Weight], Rule(check=_check_weights)]
    fingerprint: str
    projection: str
    events_hash: str
    split: int
    past: int
    delta: float
    low: float | None
    high: float | None
    n: int
    query: str = ""

    @property
    def is_borne_out(self) -> bool:
        """Whether the whole interval of the gain is above zero."""
        return self.low is not None and self.low > 0

    def explain_mismatch(self, space: VectorSpace) -> str:
        """Return why proven weights are not used in a space, "" if they are."""
        if self.fingerprint != space.fingerprint:
            return "they were tuned for another model"
        if self.projection != space.projection:
            return "they were tuned for another projection"
        return "" if self.query == space.query else "they were tuned for another prefix of questions"


def load_tuned_weights(state: Path) -> TunedWeights | None:
    """Load the result of the last tuning, None before the first.

    Raises:
        StateError: the file is damaged.
    """
    path = state / PROJECTIONS_FOLDER / TUNED_FILE
    try:
        return read_value(TunedWeights, parse_json(read_state(path)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StateError(f"{path} is damaged: {error}", hint=_AGAIN) from error


def store_tuned_weights(state: Path, tuned: TunedWeights) -> None:
    """Store weights and their evaluation; searches use them from now on."""
    replace_file(state / PROJECTIONS_FOLDER / TUNED_FILE, json.dumps(asdict(tuned)).encode())


def find_usable_weights(state: Path, space: VectorSpace) -> tuple[TunedWeights | None, str]:
    """Return the weights to use in a space, None for the defaults, and why proven ones are not used."""
    try:
        tuned = load_tuned_weights(state)
    except StateError as error:
        return None, str(error)
    if tuned is None or not tuned.is_borne_out:
        return None, ""
    reason = tuned.explain_mismatch(space)
    return (None, reason) if reason else (tuned, "")


def load_stored_weights(state: Path, space: VectorSpace) -> Mapping[str, float]:
    """Return the weights that replace the usual ones in a space, by retriever."""
    tuned, _ = find_usable_weights(state, space)
    return tuned.weights if tuned else {}


def find_unknown_retrievers(weights: Iterable[str], retrievers: Iterable[str]) -> tuple[str, ...]:
    """Return the names in stored weights that no installed retriever has."""
    return tuple(sorted(set(weights).difference(retrievers)))


def describe_unknown_retrievers(names: Iterable[str]) -> str:
    """Describe for users stored weights of retrievers that are not installed."""
    return f"stored weights of retrievers that are not installed are ignored: {', '.join(names)}"


def describe_unused_weights(reason: str) -> str:
    """Describe for users why tuned weights are not used."""
    return f"the tuned weights of search are not used: {reason}"
