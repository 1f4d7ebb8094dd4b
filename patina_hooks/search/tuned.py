"""Weights of fusion that `patina eval --tune` found for this repository, and the space that they are for.

They lie beside the projection in use and not in the log, which may be derived anew at any time. Vectors of
another model, or seen through another projection, are worth another weight: there the usual ones are used.
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
    # Weights are of any retrievers: a plugin's may be installed no more, or not yet.
    if not weights.keys() & WEIGHTS.keys():
        raise ValueError("of no built-in retriever")


_Weight = Annotated[float, Rule("a number from 0 to 1", least=0, most=1)]


@dataclass(frozen=True, slots=True)
class Tuned:
    """Weights and the verdict on them.

    fingerprint, projection, query: of the space that they were tuned in (see `VectorSpace`). split: questions
    up to this moment (seconds since 1970) were tuned on, later ones judged; past: how many were tuned on.
    delta, low, high, n: hybrid's MRR@10 with these weights minus that with the usual ones, on the later
    questions, with its 95 % interval (None with too little to tell by), and how many those are.
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
        """Only where the whole interval of the gain is above zero."""
        return self.low is not None and self.low > 0

    def why_not(self, space: VectorSpace) -> str:
        """Why weights that were borne out are not used in a space, "" where they are."""
        if self.fingerprint != space.fingerprint:
            return "they were tuned for another model"
        if self.projection != space.projection:
            return "they were tuned for another projection"
        return "" if self.query == space.query else "they were tuned for another prefix of questions"


def load_tuned(state: Path) -> Tuned | None:
    """What the last tuning found, None before the first. Raises `StateError` where the file is damaged."""
    path = state / PROJECTIONS_FOLDER / TUNED_FILE
    try:
        return read_value(Tuned, parse_json(read_state(path)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StateError(f"{path} is damaged: {error}", hint=_AGAIN) from error


def store_tuned(state: Path, tuned: Tuned) -> None:
    """Keep weights and verdict; from now on search follows them."""
    replace_file(state / PROJECTIONS_FOLDER / TUNED_FILE, json.dumps(asdict(tuned)).encode())


def tuned_for(state: Path, space: VectorSpace) -> tuple[Tuned | None, str]:
    """(weights to use in a space, None for the usual ones; why those that were borne out are not used)."""
    try:
        tuned = load_tuned(state)
    except StateError as error:
        return None, str(error)
    if tuned is None or not tuned.is_borne_out:
        return None, ""
    why = tuned.why_not(space)
    return (None, why) if why else (tuned, "")


def stored_weights(state: Path, space: VectorSpace) -> Mapping[str, float]:
    """Return the weights that replace the usual ones in a space, by retriever."""
    tuned, _ = tuned_for(state, space)
    return tuned.weights if tuned else {}


def unknown_names(weights: Iterable[str], retrievers: Iterable[str]) -> tuple[str, ...]:
    """Return the names in stored weights that no installed retriever has."""
    return tuple(sorted(set(weights).difference(retrievers)))


def remark_on_unknown(names: Iterable[str]) -> str:
    """Return what users are told of weights of retrievers that are not installed."""
    return f"stored weights of retrievers that are not installed are ignored: {', '.join(names)}"


def remark(why: str) -> str:
    """What users are told of weights that are not used."""
    return f"the tuned weights of search are not used: {why}"
