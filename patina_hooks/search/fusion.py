"""Fusion of the scores of several retrievers.

Min-max fusion scales the scores of each retriever to 0..1 over its own candidates and adds them by weight;
results that a retriever did not find score 0 there. The weights were measured on 589 real session documents
(0.70 against 0.62 MRR@10 for reciprocal rank fusion of two lists).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from patina_hooks.specs.retrieval import USUAL_WEIGHTS, RetrieverSpec

K = TypeVar("K", bound=Hashable)

WEIGHTS: Final[Mapping[str, float]] = USUAL_WEIGHTS
"""The weights of the built-in retrievers; see `assign_weights`."""


def assign_weights(
    specs: Iterable[RetrieverSpec], stored: Mapping[str, float] = MappingProxyType({})
) -> dict[str, float]:
    """Return the weight of each retriever, scaled to a sum of 1 if plugins add retrievers.

    stored: weights that replace those of the specs; unknown names are ignored.
    """
    weights = {spec.name: stored.get(spec.name, spec.weight) for spec in specs}
    if weights.keys() <= (stored.keys() or WEIGHTS.keys()):
        return weights
    total = sum(weights.values()) or 1.0
    return {name: weight / total for name, weight in weights.items()}


def fuse(results: Mapping[str, Mapping[K, float]], weights: Mapping[str, float] = WEIGHTS) -> dict[K, float]:
    """Return the weighted sum of scaled scores of all results of any retriever."""
    fused: dict[K, float] = {}
    for name, scores in results.items():
        for key, score in scale(scores).items():
            fused[key] = fused.get(key, 0.0) + weights[name] * score
    return fused


def scale(scores: Mapping[K, float]) -> dict[K, float]:
    """Scale scores from 0 (the worst candidate) to 1 (the best); equal scores become 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}
