"""What is drawn while training: orders, negatives, and which rows may stand against which.

Every draw is seeded by the task's seed and the epoch, so that an epoch is the same whether training came
to it in one go or from a checkpoint. No state is shared with anything else that draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from patina_hooks.specs.training import PairRows, TooLittleToLearn

if TYPE_CHECKING:
    from patina_hooks.specs.training import Rows

_ROUNDS = 16


class Purpose(IntEnum):
    """What a draw is for: two purposes of one epoch share no numbers."""

    WEIGHTS = 0
    ORDER = 1
    PARTNERS = 2


def draws(seed: int, epoch: int, purpose: Purpose) -> np.random.Generator:
    """The generator for one purpose in one epoch. seed: 0 or more."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, epoch, purpose))))


def batches(order: Rows, size: int) -> Iterator[Rows]:
    """Parts of `order` of at most `size`, as even as can be: a last batch of one teaches nothing in-batch."""
    yield from np.array_split(order, max(1, -(-len(order) // size))) if len(order) else ()


class Membership:
    """Which groups (sessions, commits) each row belongs to, for many questions at once."""

    def __init__(self, groups: Sequence[frozenset[int]]) -> None:
        self.groups = groups
        counts = np.fromiter((len(of) for of in groups), np.intp, len(groups))
        self._offsets = np.concatenate([np.zeros(1, np.intp), np.cumsum(counts)])
        named = np.fromiter((one for of in groups for one in sorted(of)), np.int64, int(counts.sum()))
        known, self._members = np.unique(named, return_inverse=True)
        self._known = len(known)
        rows = np.repeat(np.arange(len(groups)), counts)
        self._keys = np.sort(rows * self._known + self._members)

    def clash(self, left: Rows, right: Rows) -> NDArray[np.bool_]:
        """[p]: whether left[i] and right[i] are one row or share a group."""
        clash: NDArray[np.bool_] = np.equal(left, right)
        which, groups = self._expand(left)
        keys = right[which] * self._known + groups
        clash[which[_in_sorted(keys, self._keys)]] = True
        return clash

    def clashes(self, left: Rows, right: Rows) -> NDArray[np.bool_]:
        """[l, r]: whether left[i] and right[j] are one row or share a group."""
        which, groups = self._expand(left)
        columns, at = np.unique(groups, return_inverse=True)
        of_left = np.zeros((len(left), len(columns)), np.float32)
        of_left[which, at] = 1
        which, groups = self._expand(right)
        shared = _in_sorted(groups, columns)
        of_right = np.zeros((len(right), len(columns)), np.float32)
        of_right[which[shared], np.searchsorted(columns, groups[shared])] = 1
        found: NDArray[np.bool_] = (of_left @ of_right.T > 0) | (left[:, None] == right[None, :])
        return found

    def _expand(self, rows: Rows) -> tuple[Rows, Rows]:
        """One entry for each group of each row: the place in `rows`, and the group."""
        counts = self._offsets[rows + 1] - self._offsets[rows]
        which = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self._members[self._offsets[rows][which] + within]


class Negatives:
    """Rows of a pool, drawn for pairs: one that shares neither group nor text with anchor or positive."""

    def __init__(self, membership: Membership, pool: Rows) -> None:
        """pool: the distinct rows to draw from, at least one."""
        self._membership = membership
        self._pool = pool

    def draw(self, pairs: PairRows, generator: np.random.Generator) -> Rows:
        """[p]: a negative for each pair, each that may be equally likely; -1 where there is none.

        Drawn again while it clashes; what is left after some rounds is drawn from what may be, which costs
        a pass over the pool for each set of groups that fills most of it.
        """
        found = np.full(len(pairs), -1, np.intp)
        left = np.arange(len(pairs))
        for _ in range(_ROUNDS):
            drawn = self._pool[generator.integers(len(self._pool), size=len(left))]
            clash = self._membership.clash(pairs.anchors[left], drawn)
            clash |= self._membership.clash(pairs.positives[left], drawn)
            found[left[~clash]] = drawn[~clash]
            left = left[clash]
            if not len(left):
                break
        allowed: dict[tuple[frozenset[int], int, int], Rows] = {}
        for pair in left:
            anchor, positive = int(pairs.anchors[pair]), int(pairs.positives[pair])
            key = self._key(anchor, positive)
            if key not in allowed:
                allowed[key] = self._allowed(anchor, positive)
            if len(allowed[key]):
                found[pair] = generator.choice(allowed[key])
        return found

    def _key(self, anchor: int, positive: int) -> tuple[frozenset[int], int, int]:
        """Pairs of rows that have groups clash with the rows of those alone."""
        first, second = self._membership.groups[anchor], self._membership.groups[positive]
        return first | second, -1 if first else anchor, -1 if second else positive

    def _allowed(self, anchor: int, positive: int) -> Rows:
        both = np.array([anchor, positive], np.intp)
        free: Rows = self._pool[~self._membership.clashes(both, self._pool).any(axis=0)]
        return free


def rows_of(*pairs: PairRows) -> Rows:
    """The distinct rows that these pairs are of, ascending."""
    return np.unique(np.concatenate([side for some in pairs for side in (some.anchors, some.positives)]))


def counted(pairs: PairRows) -> PairRows:
    """The pairs that weigh anything and are of two texts."""
    there = (pairs.weights > 0) & (pairs.anchors != pairs.positives)
    return PairRows(pairs.anchors[there], pairs.positives[there], pairs.weights[there], pairs.scopes[there])


def enough(pairs: PairRows) -> PairRows:
    """Those that count; raises `TooLittleToLearn` where there is none."""
    weighing = counted(pairs)
    if not len(weighing):
        raise TooLittleToLearn("there are no pairs to train on", hint="patina pairs")
    return weighing


def _in_sorted(values: Rows, of: Rows) -> NDArray[np.bool_]:
    if not len(of):
        return np.zeros(len(values), np.bool_)
    at = np.minimum(np.searchsorted(of, values), len(of) - 1)
    found: NDArray[np.bool_] = of[at] == values
    return found
