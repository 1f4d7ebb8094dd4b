"""Comparisons that are made up: what each model found, and how fast it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from patina_hooks.evaluation.comparison.agreement import Agreement
from patina_hooks.evaluation.comparison.candidates import Candidate
from patina_hooks.evaluation.comparison.model_comparison import Comparison, Row, lacking
from patina_hooks.evaluation.comparison.speed import Speed
from patina_hooks.evaluation.results import Answer, SetResult
from patina_hooks.evaluation.statistics.metrics import QuestionMetrics
from patina_hooks.search.index.spaces import VectorSpace
from patina_hooks.specs.models import ModelSpec


def row(
    name: str,
    hybrid: Sequence[float],
    vector: Sequence[float] | None = None,
    *,
    rate: float = 100.0,
    clusters: int = 20,
) -> Row:
    """One number a question, in each method; questions are from so many sessions."""
    spec = ModelSpec(name.partition("@")[0], dimensions=8, runtimes={})
    space = VectorSpace(name, name, "onnx", 8, "exact")
    answers = tuple(
        Answer(
            str(place),
            str(place % clusters),
            {"hybrid": QuestionMetrics(*[h] * 3), "vector": QuestionMetrics(*[v] * 3)},
        )
        for place, (h, v) in enumerate(zip(hybrid, vector or hybrid, strict=True))
    )
    speed = Speed(rate, rate * 10, 0.5, 100_000_000, 512, 3)
    return Row(Candidate(name, spec, space, 1_000), speed, (SetResult("goal", answers),) if answers else ())


def shared(name: str, to: str, least: float = 1.0, *, rate: float = 100.0) -> Row:
    """One that has the same files as another, in another runtime."""
    return replace(row(name, [], rate=rate), agreement=Agreement(to, least, mean=1.0, overlap=1.0, texts=200))


def failed(name: str) -> Row:
    candidate = Candidate(name, ModelSpec(name, dimensions=8, runtimes={}), None)
    return Row(candidate, error="its files are absent", remedy=f"patina models pull {name}")


def comparison(*rows: Row) -> Comparison:
    clusters: Mapping[str, None] = {
        cluster: None for row in rows for one in row.sets for cluster in one.clusters
    }
    return Comparison(rows, "ab" * 32, 512, len(clusters), lacking(len(clusters), 3, 5))
