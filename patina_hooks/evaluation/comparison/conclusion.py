"""The conclusions of a comparison in words, limited to what the figures support."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from patina_hooks.evaluation.statistics.intervals import ERROR
from patina_hooks.text.display import format_count

if TYPE_CHECKING:
    from patina_hooks.evaluation.comparison.agreement import Agreement
    from patina_hooks.evaluation.comparison.model_comparison import Comparison, Row
    from patina_hooks.evaluation.statistics.intervals import Interval

_AS_FAST: Final = 1.25
"""Rates nearer than this are no difference: as much passes between two runs on a machine with other work."""


def conclude(comparison: Comparison) -> list[str]:
    """Write a sentence for each model but the reference.

    The claims hold together: each has its share of the error of a single claim.
    """
    reference = comparison.reference
    if reference is None:
        return []
    compared = [row for row in comparison.measured if row is not reference]
    error = claim_error(comparison)
    return [
        f"{_conclude_answers(comparison, reference, row, error)}; {_conclude_speed(comparison, row)}."
        for row in compared
    ]


def claim_error(comparison: Comparison) -> float:
    """Return how often the interval of a claim may miss."""
    return ERROR / max(1, len(comparison.answered) - 1)


def _conclude_answers(comparison: Comparison, reference: Row, row: Row, error: float) -> str:
    if row.agreement:
        return _conclude_agreement(row.name, row.agreement)
    names = f"{row.name} and {reference.name}"
    hybrid, vector = (
        comparison.difference(row, method, "mrr", error=error) for method in ("hybrid", "vector")
    )
    if hybrid is None or vector is None or not comparison.questions:
        return f"What {names} find was not compared"
    if hybrid.low is None:
        return f"It cannot be told whether {row.name} finds more than {reference.name}: too few sessions ask"
    basis = f"on {comparison.basis}"
    if _is_sure(hybrid):
        more = "more" if hybrid.is_above_zero else "less"
        return f"{row.name} finds {more} than {reference.name}: MRR@10 {in_words(hybrid)} {basis}"
    return f"{names} cannot be told apart {basis}: MRR@10 {in_words(hybrid)}{_qualify(vector)}"


def _conclude_agreement(name: str, agreement: Agreement) -> str:
    figures = f"least cosine {agreement.least:.5f} on {format_count(agreement.texts, 'text')}"
    if agreement.holds:
        return f"{name} shares its vectors with {agreement.to} by fingerprint: {figures}"
    return (
        f"WARNING: {name} does not give the vectors of {agreement.to}, though both have the same files:"
        f" {figures}. Index with neither before `patina doctor` passes with each as the recipe's runtime"
    )


def _qualify(vector: Interval) -> str:
    """Words may make up for what a model does not see."""
    if not _is_sure(vector):
        return ""
    more = "more" if vector.is_above_zero else "less"
    return f", though by vectors only the former finds {more}, {in_words(vector)}"


def _is_sure(difference: Interval) -> bool:
    return difference.is_above_zero or difference.is_below_zero


def in_words(difference: Interval) -> str:
    """ "+0.040 (+0.010 to +0.070)"."""
    if difference.low is None or difference.high is None:
        return f"{difference.value:+.3f}"
    return f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"


def _conclude_speed(comparison: Comparison, row: Row) -> str:
    """Beside the row that the sentence names."""
    reference_name = row.agreement.to if row.agreement else ""
    other = next((candidate for candidate in comparison.rows if candidate.name == reference_name), None)
    ratio = comparison.ratio(row, "texts_per_second", other)
    if ratio is None:
        return "how fast it reads is not known"
    if 1 / _AS_FAST < ratio < _AS_FAST:
        return "it is about as fast"
    times = max(ratio, 1 / ratio)
    return f"it is {times:.{0 if times >= 10 else 1}f} times {'faster' if ratio > 1 else 'slower'}"
