"""What functions of plugins give to a search, read and checked; any other shape raises.

It may be anything: an endless generator, a mapping whose methods raise, a number that SQLite cannot hold.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from itertools import islice
from numbers import Real
from typing import TYPE_CHECKING, Final, TypeGuard

from patina_hooks.plugins.kinds import describe_type

if TYPE_CHECKING:
    from patina_hooks.specs.retrieval import Group, RankedGroup, View

_LONGEST: Final = 100_000
"""Characters that a rewriter may make of a question."""
_LARGEST: Final = 1e100
"""A score, so that the difference of two is finite."""
_MOST_SCORES: Final = 1_000_000
_NUMBERS: Final = 1 << 63


def read_scores(answer: object, view: View, limit: int) -> dict[int | Group, float]:
    """Return the best `limit` visible scores of a retriever, best first.

    Raises:
        TypeError: it is not a mapping of observations or groups to numbers.
        ValueError: a score is not finite, or there are more than a million.
    """
    if not isinstance(answer, Mapping):
        raise TypeError(f"gave {describe_type(answer)}; wants a mapping of observations or groups to scores")
    scores: dict[int | Group, float] = {}
    for key, score in islice(answer.items(), _MOST_SCORES + 1):
        if not _is_number(key) and not is_group(key):
            raise TypeError(f"gave {describe_type(key)}; wants the number of an observation, or a group")
        scores[key] = _finite(score)
    if len(scores) > _MOST_SCORES:
        raise ValueError(f"gave more than {_MOST_SCORES:,} scores; wants the best {limit}")
    visible = frozenset(view.visible([key for key in scores if isinstance(key, int)]))
    visible_scores = [
        (key, score) for key, score in scores.items() if not isinstance(key, int) or key in visible
    ]
    # Equals in an order of their own: a set of strings has another one in each process.
    visible_scores.sort(key=lambda item: (-item[1], isinstance(item[0], int), item[0]))
    return dict(visible_scores[:limit])


def read_question(answer: object) -> str:
    """Return the question of a rewriter.

    Raises:
        TypeError: it is not a text, or it is empty.
        ValueError: it has no UTF-8.
    """
    if not isinstance(answer, str) or not answer.strip():
        raise TypeError(f"gave {describe_type(answer)}; wants a question that is not empty")
    answer.encode()  # raises for a lone surrogate
    return answer[:_LONGEST]


def read_order(answer: object, candidates: Sequence[RankedGroup]) -> tuple[RankedGroup, ...]:
    """Return candidates in the order of a reranker's scores.

    Raises:
        TypeError: it is not a sequence of scores.
        ValueError: it has not one finite score for each candidate.
    """
    if isinstance(answer, (str, bytes, Mapping, Set)) or not isinstance(answer, Iterable):
        raise TypeError(f"gave {describe_type(answer)}; wants a score for each candidate")
    scores = [_finite(score) for score in islice(answer, len(candidates) + 1)]
    if len(scores) != len(candidates):
        many = f"{len(scores)} scores" if len(scores) < len(candidates) else "more scores"
        raise ValueError(f"gave {many} for {len(candidates)} candidates")
    order = sorted(range(len(candidates)), key=lambda place: (-scores[place], place))
    return tuple(candidates[place] for place in order)


def read_groups(answer: object) -> frozenset[Group]:
    """Return the groups that a filter keeps. Raises `TypeError` where it is not a collection of groups."""
    if isinstance(answer, (str, bytes)) or not isinstance(answer, Collection):
        raise TypeError(f"gave {describe_type(answer)}; wants a collection of groups")
    groups = []
    for group in answer:
        if not is_group(group):
            raise TypeError(f"gave {describe_type(group)} in a collection; wants groups")
        groups.append(group)
    return frozenset(groups)


def is_group(key: object) -> TypeGuard[Group]:
    """Tell whether this has the shape of a result group, and can be looked up."""
    return isinstance(key, tuple) and len(key) == 2 and all(map(_is_text, key))


def _is_text(part: object) -> bool:
    # SQLite takes no lone surrogate.
    return isinstance(part, str) and not any("\ud800" <= character <= "\udfff" for character in part)


def _is_number(key: object) -> TypeGuard[int]:
    return isinstance(key, int) and not isinstance(key, bool) and -_NUMBERS <= key < _NUMBERS


def _finite(score: object) -> float:
    if not isinstance(score, Real):
        raise TypeError(f"a score is {describe_type(score)}; wants a number")
    value = float(score)
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise ValueError(f"a score is {value}, which is not finite")
    return value
