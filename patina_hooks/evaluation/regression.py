"""Compare an evaluation with an earlier one, for CI.

The same queries are compared by set and method. A method is worse in a set if its MRR@10 fell by more than
the tolerance and the interval of the paired difference is below zero; the interval is corrected for the
number of comparisons, so that all together claim a fall by chance in at most 2.5 % of cases (Bonferroni). It
is not worse if no query fell, or if the whole 95 % interval is above the tolerated drop. Otherwise there is
no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Final, Literal, TypedDict

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import Rule, read_value
from patina_hooks.errors import UsageError
from patina_hooks.evaluation.methods import READING, Reading
from patina_hooks.evaluation.results import Answer, Evaluation, SetResult
from patina_hooks.evaluation.statistics.intervals import ERROR, FEWEST, Interval, paired
from patina_hooks.text.display import format_count

Outcome = Literal["worse", "not worse", "cannot tell"]

TOO_FEW: Final = "some answers fell, and fewer than ten sessions have queries: too few for a verdict"
UNSURE: Final = "the interval allows for more than the tolerated drop, and for chance"
GONE: Final = "more than half of the baseline's queries no longer exist"

_HINT: Final = "patina eval --json > baseline.json"

Ranks = Mapping[str, Mapping[str, float]]
"""Question -> method -> 1 / rank of its first right answer."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """An earlier evaluation. ranks: by set."""

    events_hash: str
    ranks: Mapping[str, Ranks]


@dataclass(frozen=True, slots=True)
class MethodChange:
    """The change of one method on the queries of both evaluations, with its 95 % interval.

    reason: of "cannot tell", else "".
    """

    difference: Interval
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SetVerdict:
    """The comparison of one set.

    queries: the number of current ones.
    missing: the number of the baseline's queries that no longer exist.
    new: the number of current queries that the baseline does not have.
    changes: by method, empty if no query is in both.
    """

    name: str
    queries: int
    missing: int
    new: int
    changes: Mapping[Reading, MethodChange]

    @property
    def is_gone(self) -> bool:
        """Whether more than half of the baseline's queries no longer exist."""
        return self.missing > self.queries - self.new


@dataclass(frozen=True, slots=True)
class RegressionVerdict:
    """The verdict on an evaluation.

    overall: by method, over the comparable sets, equally weighted.
    tolerated: how much MRR@10 may fall.
    trouble: why the comparison is not valid, "" if it is.
    """

    overall: Mapping[Reading, MethodChange]
    sets: tuple[SetVerdict, ...]
    tolerated: float
    same_history: bool
    trouble: str

    @property
    def change(self) -> Interval:
        """The change of hybrid over all sets."""
        return self.overall["hybrid"].difference if self.overall else Interval(0.0, None, None, 0)

    @property
    def fell(self) -> bool:
        """Whether any method is worse in a set, or over all sets."""
        changes = chain(self.overall.values(), *(comparison.changes.values() for comparison in self.sets))
        return any(change.outcome == "worse" for change in changes)


def read_baseline(path: Path) -> Baseline:
    """Read the output of `patina eval --json`. Raises `UsageError` for anything else."""
    try:
        return _baseline(parse_json(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    except ValueError as error:
        raise UsageError(f"{path} is not output of patina eval --json: {error}", hint=_HINT) from error


def compare_with_baseline(
    evaluation: Evaluation, baseline: Baseline, tolerated: float, *, narrowed: bool = False
) -> RegressionVerdict:
    """Compare an evaluation with a baseline.

    Args:
        evaluation: the current results.
        baseline: the earlier results.
        tolerated: how much MRR@10 may fall.
        narrowed: only some sets were evaluated, so that others of the baseline are not missing.

    Raises:
        UsageError: no query is in both.
    """
    comparisons = _pair_sets(evaluation, baseline, narrowed=narrowed)
    if not any(comparison.shared for comparison in comparisons):
        raise UsageError("the baseline has no query of this evaluation", hint=_HINT)
    comparable = [
        comparison for comparison in comparisons if comparison.shared and not comparison.counts.is_gone
    ]
    groups = [*([comparison] for comparison in comparable), comparable]
    number_of_comparisons = len(READING) * sum(_clusters(group) >= FEWEST for group in groups)
    error = ERROR / max(1, number_of_comparisons)
    *changes_by_set, overall = [_changes(group, tolerated, error) for group in groups]
    changes_by_name = {
        comparison.counts.name: change for comparison, change in zip(comparable, changes_by_set, strict=True)
    }
    sets = tuple(
        replace(comparison.counts, changes=changes_by_name.get(comparison.counts.name) or comparison.gone())
        for comparison in comparisons
    )
    return RegressionVerdict(
        overall=overall,
        sets=sets,
        tolerated=tolerated,
        same_history=baseline.events_hash == evaluation.measured.events_hash,
        trouble=_explain_trouble(sets, overall, evaluation.measured.after),
    )


@dataclass(frozen=True, slots=True)
class _SetPair:
    """One set in both evaluations.

    counts: without changes yet.
    shared: the answers whose queries the baseline has, with its ranks.
    """

    counts: SetVerdict
    shared: Sequence[tuple[Answer, Mapping[str, float]]]

    def gone(self) -> Mapping[Reading, MethodChange]:
        """Return the changes of a set with too few common queries."""
        methods = READING if self.shared else ()
        return {
            method: MethodChange(_difference([self], method, ERROR), "cannot tell", GONE)
            for method in methods
        }


def _pair_sets(evaluation: Evaluation, baseline: Baseline, *, narrowed: bool) -> list[_SetPair]:
    """Pair the current sets and those that only the baseline has."""
    missed = [] if narrowed else baseline.ranks.keys() - {result.name for result in evaluation.sets}
    comparisons = []
    for current in (*evaluation.sets, *(SetResult(name, ()) for name in sorted(missed))):
        previous = baseline.ranks.get(current.name, {})
        shared = [(answer, previous[answer.id]) for answer in current.answers if answer.id in previous]
        counts = SetVerdict(current.name, current.n, len(previous) - len(shared), current.n - len(shared), {})
        comparisons.append(_SetPair(counts, shared))
    return comparisons


def _changes(group: Sequence[_SetPair], tolerated: float, error: float) -> dict[Reading, MethodChange]:
    return {method: _change(group, method, tolerated, error) for method in READING if group}


def _change(group: Sequence[_SetPair], method: Reading, tolerated: float, error: float) -> MethodChange:
    """Compute the change of a method. error: of the interval by which a fall is claimed."""
    difference = _difference(group, method, ERROR)
    is_never_lower = all(
        answer.metrics[method].rr >= previous[method]
        for comparison in group
        for answer, previous in comparison.shared
    )
    if is_never_lower:
        return MethodChange(difference, "not worse")
    if difference.low is None:
        return MethodChange(difference, "cannot tell", TOO_FEW)
    if difference.value < -tolerated and _difference(group, method, error).is_below_zero:
        return MethodChange(difference, "worse")
    if difference.low >= -tolerated:
        return MethodChange(difference, "not worse")
    return MethodChange(difference, "cannot tell", UNSURE)


def _difference(group: Sequence[_SetPair], method: Reading, error: float) -> Interval:
    current = {
        comparison.counts.name: [answer.metrics[method].rr for answer, _ in comparison.shared]
        for comparison in group
    }
    previous = {
        comparison.counts.name: [previous_ranks[method] for _, previous_ranks in comparison.shared]
        for comparison in group
    }
    clusters = {
        comparison.counts.name: [answer.cluster for answer, _ in comparison.shared] for comparison in group
    }
    return paired(current, previous, clusters, error=error)


def _clusters(group: Sequence[_SetPair]) -> int:
    return len({answer.cluster for comparison in group for answer, _ in comparison.shared})


def _explain_trouble(
    sets: Sequence[SetVerdict], overall: Mapping[Reading, MethodChange], after: int | None
) -> str:
    """Explain why the comparison could not have failed, "" if it could."""
    if lost := [
        f"{comparison.name} {_describe_lost(comparison)}" for comparison in sets if comparison.is_gone
    ]:
        excluded = "; queries that a projection or weights were trained on are excluded"
        learned = excluded if after is not None else ""
        return f"most of the baseline's queries no longer exist: {', '.join(lost)}{learned}"
    if any(change.reason == TOO_FEW for change in overall.values()):
        return "cannot decide whether answers became worse: " + TOO_FEW
    return ""


def _describe_lost(verdict: SetVerdict) -> str:
    return (
        f"({verdict.missing} of {format_count(verdict.missing + verdict.queries - verdict.new, 'question')})"
    )


_Share = Annotated[float, Rule("a number from 0 to 1", least=0, most=1)]


class _Answer(TypedDict):
    rr: object
    others: Mapping[str, object]


class _Measured(TypedDict):
    events_hash: str


class _StoredFigures(TypedDict):
    measured: _Measured
    queries: Mapping[str, Mapping[str, _Answer]]


def _baseline(stored: object) -> Baseline:
    file = read_value(_StoredFigures, stored, ignore_unknown=True)
    ranks = {
        name: {question: dict(_ranks(question, answer)) for question, answer in answers.items()}
        for name, answers in file["queries"].items()
    }
    return Baseline(file["measured"]["events_hash"], ranks)


def _ranks(question: str, answer: _Answer) -> Iterator[tuple[str, float]]:
    for method in READING:
        value = answer["rr"] if method == "hybrid" else answer["others"].get(method)
        yield method, read_value(_Share, value, (f"{method} of question {question}",))
