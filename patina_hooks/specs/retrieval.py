"""What answers questions: retrievers, and what plugins do to a question and to its answers.

A retriever is a function of a question and a *view*, which is what that question may see of the store:
everything in a search, less in an evaluation, where what would tell the answer is hidden.
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
"""The same where a passage answers for its file: all words of a file say little of one passage.

On 270 queries over the documentation of simonw/llm (names of passages, and words drawn from them) 0.953
MRR@10 against 0.929 with the weights of sessions.
"""


class VisibleObservation(NamedTuple):
    """One observation that a question may see. number: what a view calls it."""

    number: int
    kind: str
    text: str


class View(Protocol):
    """What one question may see of the store. Numbers of observations mean something in one view alone."""

    def match_observations(self, question: str, limit: int) -> Mapping[int, float]:
        """Return the best visible observations by BM25; how common a word is counts visible ones alone."""
        ...

    def match_documents(
        self, column: Literal["title", "body"], question: str, limit: int
    ) -> Mapping[Group, float]:
        """Return the groups of the best session documents by BM25 of their titles, or of all they say."""
        ...

    def nearest(self, question: str, limit: int) -> Mapping[int, float]:
        """Return the visible observations of the `limit` texts nearest to the question.

        The scores are inner products of unit vectors. Nothing is near where no model answers.
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
        """Return the groups that visible observations speak for."""
        ...


@dataclass(frozen=True, slots=True)
class RetrieverSpec:
    """`search(question: str, view: View, limit: int) -> Scores`, the best `limit` at most.

    A group has the score of its best observation. The scores of a question are scaled to 0..1 before they are
    added up by weight.

    weight: its share of the answer; those of all retrievers together count as 1, and the built-in ones have
        1 in all. 0 has it measured by `patina eval` alone.
    vectors: whether it asks the model; it is left out of an answer by words alone, and alone takes part in an
        answer by vectors.
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
    """`rewrite(question: str, view: View) -> str`: the question to look up in place of the one asked."""

    name: str
    rewrite: str


@dataclass(frozen=True, slots=True)
class RerankerSpec:
    """`rerank(question: str, candidates: Sequence[RankedGroup], view: View) -> Sequence[float]`.

    It scores the best `pool` candidates, given best first; they are ordered by its scores, higher first, and
    all others follow as they were.
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
    """

    name: str
    keep: str
