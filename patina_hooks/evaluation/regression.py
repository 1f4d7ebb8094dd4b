"""Whether answers became worse since an earlier evaluation: for CI.

The same questions, then and now: the paired difference of hybrid's MRR@10 over those that both have. It is
a drop only where it is larger than what is tolerated and its whole 95 % interval is below zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patina_hooks.errors import UsageError
from patina_hooks.evaluation.intervals import Interval, paired
from patina_hooks.evaluation.results import Evaluation

_HINT = "patina eval --json > baseline.json"


@dataclass(frozen=True, slots=True)
class Baseline:
    """An earlier evaluation. ranks: set -> question -> 1 / rank of its first right answer by hybrid."""

    events_hash: str
    ranks: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """change: now minus then, over all sets, each weighing the same; n questions are in both.

    sets: the same for each set alone, for eyes: they decide nothing, since of six sets one easily seems to
    fall by chance. tolerated: how much MRR@10 may fall.
    """

    change: Interval
    sets: Mapping[str, Interval]
    tolerated: float
    same_history: bool

    @property
    def fell(self) -> bool:
        return self.change.value < -self.tolerated and self.change.is_below_zero


def read_baseline(path: Path) -> Baseline:
    """What `patina eval --json` printed. Raises `UsageError` for anything else."""
    try:
        data = json.loads(path.read_text("utf-8"))
        return _baseline(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=_HINT) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path} is no output of patina eval --json: {error!r}", hint=_HINT) from error


def compare(evaluation: Evaluation, baseline: Baseline, tolerated: float) -> Verdict:
    """Raises `UsageError` where no question is in both."""
    now: dict[str, list[float]] = {}
    then: dict[str, list[float]] = {}
    clusters: dict[str, list[str]] = {}
    for one in evaluation.asked:
        known = baseline.ranks.get(one.name, {})
        shared = [answer for answer in one.answers if answer.id in known]
        if shared:
            now[one.name] = [answer.worth["hybrid"].rr for answer in shared]
            then[one.name] = [known[answer.id] for answer in shared]
            clusters[one.name] = [answer.cluster for answer in shared]
    if not now:
        raise UsageError("no question of the baseline is asked here", hint=_HINT)
    return Verdict(
        change=paired(now, then, clusters),
        sets={name: paired({name: now[name]}, then, clusters) for name in now},
        tolerated=tolerated,
        same_history=baseline.events_hash == evaluation.measured.events_hash,
    )


def _baseline(data: Any) -> Baseline:  # noqa: ANN401 (whatever a file holds; what it is not raises)
    ranks = {
        str(name): {str(number): float(answer["rr"]) for number, answer in answers.items()}
        for name, answers in data["queries"].items()
    }
    return Baseline(str(data["measured"]["events_hash"]), ranks)
