"""One ranking: the question rewritten, retrievers asked, their scores fused, the best candidates refined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from patina_hooks.search.fusion import fuse
from patina_hooks.specs.retrieval import RankedGroup

if TYPE_CHECKING:
    from patina_hooks.search.retrieval.ranked_view import RankedView
    from patina_hooks.search.retrieval.refinement import Refinement
    from patina_hooks.search.retrieval.retrieve import Evidence
    from patina_hooks.specs.retrieval import Group


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Result groups, best first. scores: the fused ones; shown: the best observation of each."""

    order: list[Group]
    scores: Mapping[Group, float]
    shown: Mapping[Group, int]


def rank(
    question: str,
    view: RankedView,
    evidence: Evidence,
    weights: Mapping[str, float],
    refinement: Refinement | None = None,
) -> Ranking:
    """Fuse evidence, and let rerankers and filters look at it. question: as it was asked."""
    scores = fuse(evidence.groups, weights)
    order = sorted(scores, key=lambda group: (-scores[group], group))
    shown = best_observations(view, evidence, weights)
    if refinement and refinement.orders and order:
        order = refinement.order(question, list_candidates(view, Ranking(order, scores, shown)), view)
    return Ranking(order, scores, shown)


def best_observations(view: RankedView, evidence: Evidence, weights: Mapping[str, float]) -> dict[Group, int]:
    """Return the observation to show of each group; a commit's body is weaker evidence than its subject."""
    scores = fuse(evidence.observations, weights)
    ranked = sorted(
        view.rows(scores), key=lambda row: (scores[row.number] * row.weight, row.key), reverse=True
    )
    groups = view.groups(scores)
    return {group: row.number for row in reversed(ranked) for group in groups[row.number]}


def list_candidates(view: RankedView, ranking: Ranking) -> list[RankedGroup]:
    """Return what a reranker sees; a group without visible observations is not a candidate."""
    shown = ranking.shown
    numbers = {group: shown[group] if group in shown else view.first(group) for group in ranking.order}
    visible = {group: number for group, number in numbers.items() if number is not None}
    texts = view.texts(visible.values())
    return [RankedGroup(group, texts[number], ranking.scores[group]) for group, number in visible.items()]
