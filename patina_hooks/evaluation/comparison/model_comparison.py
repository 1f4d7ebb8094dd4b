"""What a comparison says, as values, and as the JSON that `patina models compare --json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.evaluation.comparison.model_answers import METHODS
from patina_hooks.evaluation.statistics.intervals import ERROR, FEWEST, Interval, interval, paired
from patina_hooks.text.display import format_count

if TYPE_CHECKING:
    from patina_hooks.evaluation.comparison.agreement import Agreement
    from patina_hooks.evaluation.comparison.candidates import Candidate
    from patina_hooks.evaluation.comparison.speed import Speed
    from patina_hooks.evaluation.results import SetResult

METRICS: Final[Mapping[str, str]] = {"mrr": "rr", "ndcg": "ndcg", "recall": "recall"}
"""Name of a figure -> field of `evaluation.statistics.metrics.QuestionMetrics`."""

ALL: Final = "all"
COSTS: Final = ("texts_per_second", "cold_start", "memory", "bytes")

_ONCE_MORE: Final = "commit_files_cold"
"""The set that asks the questions of `commit_files` once more: it has a line, and is no further evidence."""


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate. speed: None where it could not be run; sets: (), too, where there are no questions.

    agreement: with an earlier row of the same fingerprint, and so the same vectors in the cache: nothing is
    asked of such a row, and sets is (). embedded: how many texts had to be for it. error, remedy: as in
    `Candidate`, or of what went wrong later.
    """

    candidate: Candidate
    speed: Speed | None = None
    sets: tuple[SetResult, ...] = ()
    agreement: Agreement | None = None
    embedded: int = 0
    error: str = ""
    remedy: str = ""

    @property
    def name(self) -> str:
        return self.candidate.name

    def cost(self, name: str) -> float | None:
        """One of `COSTS`, None where it is not known."""
        if name == "bytes":
            return self.candidate.bytes or None
        value: float | None = getattr(self.speed, name) if self.speed else None
        return value

    def values(self, method: str, metric: str, names: Sequence[str]) -> dict[str, list[float]]:
        """Set -> one number a question, of these sets."""
        share = METRICS[metric]
        return {
            result.name: [getattr(answer.metrics[method], share) for answer in result.answers]
            for result in self.sets
            if result.name in names
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of models.

    rows: in the requested order.
    sample: the number of texts for the measurement of speed.
    lacks: what is missing to compare answers, or for intervals, "" if nothing is.
    """

    rows: tuple[Row, ...]
    events_hash: str
    sample: int
    sessions: int
    lacks: str = ""

    @property
    def measured(self) -> list[Row]:
        """Those that ran."""
        return [row for row in self.rows if not row.error]

    @property
    def answered(self) -> list[Row]:
        """Those whose answers are compared."""
        return [row for row in self.measured if row.sets]

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if row.error]

    @property
    def reference(self) -> Row | None:
        """What the others are compared with: the first that ran."""
        return next(iter(self.measured), None)

    @property
    def sets(self) -> dict[str, int]:
        """Set -> how many questions it has."""
        return {result.name: result.n for result in self.reference.sets} if self.reference else {}

    @property
    def judged(self) -> list[str]:
        """The sets that figures over all of them are of."""
        return [name for name in self.sets if name != _ONCE_MORE]

    @property
    def questions(self) -> int:
        """Of these sets."""
        return sum(self.sets[name] for name in self.judged)

    @property
    def basis(self) -> str:
        """In words: "1,335 questions of 5 sets"."""
        return f"{format_count(self.questions, 'question')} of {format_count(len(self.judged), 'set')}"

    def figure(self, row: Row, method: str, metric: str, name: str = ALL) -> Interval:
        """Compute a mean over one set, or over all `judged` sets, equally weighted."""
        return interval(row.values(method, metric, self._names(name)), self._clusters(row, name))

    def difference(
        self, row: Row, method: str, metric: str, name: str = ALL, *, error: float = ERROR
    ) -> Interval | None:
        """Compute the paired difference to the reference, None for the reference or without queries.

        error: how often the interval may miss.
        """
        reference = self.reference
        if reference is None or row is reference or not row.sets:
            return None
        names = self._names(name)
        own, compared = row.values(method, metric, names), reference.values(method, metric, names)
        return paired(own, compared, self._clusters(row, name), error=error)

    def ratio(self, row: Row, cost: str, reference: Row | None = None) -> float | None:
        """Divide a cost by that of another row or the reference; None if either is not known."""
        reference = reference or self.reference
        own, reference_cost = row.cost(cost), reference.cost(cost) if reference else None
        return own / reference_cost if own is not None and reference_cost else None

    def _names(self, name: str) -> list[str]:
        return self.judged if name == ALL else [name]

    def _clusters(self, row: Row, name: str) -> dict[str, list[str]]:
        names = self._names(name)
        return {result.name: result.clusters for result in row.sets if result.name in names}


def lacking(sessions: int, documents: int, commits: int) -> str:
    """Describe what is missing to compare answers. sessions: the number of those with queries."""
    if not sessions:
        present = f"{format_count(documents, 'session document')} and {format_count(commits, 'commit')}"
        return f"no answers are compared: {present} give no question"
    if sessions < FEWEST:
        return (
            f"no intervals: the questions are from {format_count(sessions, 'session')}"
            f" (or days of commits), and it takes {FEWEST}: {FEWEST - sessions} more"
        )
    return ""


def comparison_as_json(comparison: Comparison, conclusion: Sequence[str]) -> dict[str, object]:
    """Build the object that `--json` prints; docs/json.md has the keys."""
    reference = comparison.reference
    return {
        "reference": reference.name if reference else None,
        "models": [_row(comparison, row) for row in comparison.rows],
        "questions": comparison.questions,
        "sessions": comparison.sessions,
        "lacks": comparison.lacks,
        "sample": comparison.sample,
        "events_hash": comparison.events_hash,
        "conclusion": list(conclusion),
    }


def _row(comparison: Comparison, row: Row) -> dict[str, object]:
    candidate, space = row.candidate, row.candidate.space
    return {
        "name": row.name,
        "model": candidate.spec.name,
        "runtime": space.runtime if space else None,
        "fingerprint": space.fingerprint if space else None,
        "dimensions": space.dimensions if space else candidate.spec.width,
        "licence": candidate.spec.licence,
        "bytes": candidate.bytes or None,
        "error": row.error or None,
        "remedy": row.remedy or None,
        "embedded": row.embedded,
        "speed": asdict(row.speed) if row.speed else None,
        "agreement": asdict(row.agreement) if row.agreement else None,
        "ratios": {cost: comparison.ratio(row, cost) for cost in COSTS},
        "answers": {name: _answers(comparison, row, name) for name in _names(comparison, row)},
    }


def _names(comparison: Comparison, row: Row) -> list[str]:
    return [*comparison.sets, ALL] if row.sets and not row.error else []


def _answers(comparison: Comparison, row: Row, name: str) -> dict[str, object]:
    n = comparison.questions if name == ALL else comparison.sets[name]
    return {
        "n": n,
        **{
            method: {metric: _figure(comparison, row, method, metric, name) for metric in METRICS}
            for method in METHODS
        },
    }


def _figure(comparison: Comparison, row: Row, method: str, metric: str, name: str) -> dict[str, float | None]:
    figure = comparison.figure(row, method, metric, name)
    gain = comparison.difference(row, method, metric, name)
    return {
        "value": figure.value, "low": figure.low, "high": figure.high,
        "delta": gain.value if gain else None,
        "delta_low": gain.low if gain else None, "delta_high": gain.high if gain else None,
    }  # fmt: skip
