"""Specs of retrievers, and of what plugins do to a question and its answers.

A retriever is a function of a question and a *view*, the part of the store that the question may see:
everything in a search, less in an evaluation, where texts that contain the answer are hidden.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

Group = tuple[str, str]
"""A result group, what competes in an answer: ("session", id), ("commit", oid), ("document", path), or, in an
evaluation, ("file", path)."""

Scores = Mapping[int, float] | Mapping[Group, float]
"""By observation or by result group; higher is better."""

USUAL_WEIGHTS: Final[Mapping[str, float]] = {
    "observation": 0.35,
    "session": 0.25,
    "title": 0.10,
    "vector": 0.30,
}
"""The built-in retrievers and their weights, measured on 589 real session documents."""

FILE_WEIGHTS: Final[Mapping[str, float]] = {
    "observation": 0.60,
    "session": 0.0,
    "title": 0.10,
    "vector": 0.30,
}
"""The same for passages of files: the words of a whole file say little about one passage.

On 270 queries over the documentation of simonw/llm (names of passages, and words drawn from them) 0.953
MRR@10 against 0.929 with the weights of sessions.
"""


class VisibleObservation(NamedTuple):
    """One observation that a question may see. number: its number in the view."""

    number: int
    kind: str
    text: str


class View(Protocol):
    """What one question may see of the store. Numbers of observations are valid in one view only."""

    def match_observations(self, question: str, limit: int) -> Mapping[int, float]:
        """Return the best visible observations by BM25; document frequencies count visible ones only."""
        ...

    def match_documents(
        self, column: Literal["title", "body"], question: str, limit: int
    ) -> Mapping[Group, float]:
        """Return the groups of the best session documents by BM25 of their titles, or of their whole text."""
        ...

    def nearest(self, question: str, limit: int) -> Mapping[int, float]:
        """Return the visible observations of the `limit` texts nearest to the question.

        The scores are inner products of unit vectors. The result is empty where no model answers.
        """
        ...

    def visible(self, numbers: Iterable[int]) -> Collection[int]:
        """Return which of these numbers are visible observations."""
        ...

    def observations(self) -> Iterator[VisibleObservation]:
        """Return every visible observation."""
        ...

    def texts(self, numbers: Iterable[int]) -> Mapping[int, str]:
        """Return the texts of visible observations."""
        ...

    def groups(self, numbers: Collection[int]) -> Mapping[int, Sequence[Group]]:
        """Return the result groups of visible observations."""
        ...


@dataclass(frozen=True, slots=True)
class RetrieverSpec:
    """`search(question: str, view: View, limit: int) -> Scores`, the best `limit` at most.

    A group has the score of its best observation. The scores of a question are scaled to 0..1 before they are
    added up by weight.

    name: as recipes, options and listings have it.
    weight: its share of the answer, relative to all retrievers; the built-in ones sum to 1. With 0 only
        `patina eval` measures it.
    vectors: whether it uses the model: it takes part in lexical answers if False, in vector answers if True.
    """

    name: str
    search: str
    weight: float = 0.1
    vectors: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 100:
            raise ValueError(f"retriever {self.name}: weight must be from 0 to 100, not {self.weight!r}")


@dataclass(frozen=True, slots=True)
class RankedGroup:
    """One group that may be an answer. text: of its best observation; score: the fused one."""

    group: Group
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class QueryRewriterSpec:
    """`rewrite(question: str, view: View) -> str`: the question to look up in place of the one asked.

    name: as recipes, options and listings have it.
    """

    name: str
    rewrite: str


@dataclass(frozen=True, slots=True)
class RerankerSpec:
    """`rerank(question: str, candidates: Sequence[RankedGroup], view: View) -> Sequence[float]`.

    It scores the best `pool` candidates, given best first; they are ordered by its scores, higher first, and
    all others follow as they were.

    name: as recipes, options and listings have it.
    """

    name: str
    rerank: str
    pool: int = 60

    def __post_init__(self) -> None:
        if type(self.pool) is not int or not 1 <= self.pool <= 1_000:
            raise ValueError(f"reranker {self.name}: pool must be from 1 to 1000, not {self.pool!r}")


@dataclass(frozen=True, slots=True)
class FilterSpec:
    """`keep(question: str, candidates: Sequence[RankedGroup], view: View) -> Collection[Group]`.

    The candidates are those after all rerankers, best first; what is not kept is no answer.

    name: as recipes, options and listings have it.
    """

    name: str
    keep: str
