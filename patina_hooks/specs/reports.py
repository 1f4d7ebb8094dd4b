"""The report of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean, or a mean difference, with its 95 % interval (None with too few sessions) over n questions."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one projection of the recipe.

    pairs: the kind of pairs it learned from, and count: how many; curve: (epoch, loss, loss on later pairs)
    of each epoch; stopped: why it ended before its last epoch. weights: their hash, "" where it was not
    trained, and then why says so. gain: over the raw model, None where it was not judged; mrr, gains: by set.
    lacks: whether there was too little history for it.
    digest: of everything that decides the weights apart from the history; events_hash: that history.
    """

    name: str
    kind: str
    digest: str
    pairs: str = ""
    events_hash: str = ""
    count: int = 0
    epochs: int = 0
    curve: tuple[tuple[int, float, float | None], ...] = ()
    stopped: str = ""
    seconds: float = 0.0
    weights: str = ""
    dimensions: int = 0
    why: str = ""
    lacks: bool = False
    gain: Figure | None = None
    mrr: Mapping[str, Figure] | None = None
    gains: Mapping[str, Figure] | None = None

    @property
    def passes(self) -> bool:
        """Whether it is used: the lower end of its gain is above zero."""
        return self.gain is not None and self.gain.low is not None and self.gain.low > 0


@dataclass(frozen=True, slots=True)
class Report:
    """One run. made: seconds since 1970; split: the moment from which on history was the future.

    variant: what the user's settings changed of the runtime's vectors, "" for nothing.
    sessions, past: how many there are, and how many training saw; pairs: how many there are of all kinds.
    raw: the raw model's MRR@10 by query set; former: what was in use before, judged on the same questions.
    active: what is in use now, "none" for the raw model; weights: their hash, "" for none; forced: against
    the gate. sentence: a summary.
    """

    made: int
    seconds: float
    events_hash: str
    recipe_version: int
    model: str
    runtime: str
    variant: str
    fingerprint: str
    split: int
    sessions: int
    past: int
    pairs: int
    raw: Mapping[str, Figure]
    outcomes: tuple[Outcome, ...]
    former: Outcome | None
    active: str
    weights: str
    forced: bool
    sentence: str

    def outcome(self, name: str) -> Outcome | None:
        return next((outcome for outcome in self.outcomes if outcome.name == name), None)

    def uses(self, outcome: Outcome) -> bool:
        """Return whether this outcome is active; an earlier one of its name may be instead."""
        return (self.active, self.weights) == (outcome.name, outcome.weights)
