"""Random choices of training: orders, negatives, and which rows may be negatives.

Every draw is seeded by the task's seed and the epoch, so that an epoch is the same with and without an
interruption before it. Generators are not shared.
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
    """The purpose of a draw: two purposes of one epoch share no random numbers."""

    WEIGHTS = 0
    ORDER = 1
    PARTNERS = 2


def random_generator(seed: int, epoch: int, purpose: Purpose) -> np.random.Generator:
    """Create the generator for one purpose in one epoch. seed: 0 or more."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, epoch, purpose))))


def batches(order: Rows, size: int) -> Iterator[Rows]:
    """Split `order` evenly into batches of at most `size`: a batch of one has no in-batch negatives."""
    yield from np.array_split(order, max(1, -(-len(order) // size))) if len(order) else ()


class Membership:
    """The groups (sessions, commits) of each row, for vectorised lookups."""

    def __init__(self, groups: Sequence[frozenset[int]]) -> None:
        self.groups = groups
        counts = np.fromiter((len(row_groups) for row_groups in groups), np.intp, len(groups))
        self._offsets = np.concatenate([np.zeros(1, np.intp), np.cumsum(counts)])
        flat = np.fromiter(
            (group for row_groups in groups for group in sorted(row_groups)), np.int64, int(counts.sum())
        )
        distinct, self._members = np.unique(flat, return_inverse=True)
        self._group_count = len(distinct)
        rows = np.repeat(np.arange(len(groups)), counts)
        self._keys = np.sort(rows * self._group_count + self._members)

    def clash(self, left: Rows, right: Rows) -> NDArray[np.bool_]:
        """Return [p]: whether left[i] and right[i] are the same row or share a group."""
        clash: NDArray[np.bool_] = np.equal(left, right)
        positions, groups = self._expand(left)
        keys = right[positions] * self._group_count + groups
        clash[positions[_in_sorted(keys, self._keys)]] = True
        return clash

    def clashes(self, left: Rows, right: Rows) -> NDArray[np.bool_]:
        """Return [l, r]: whether left[i] and right[j] are the same row or share a group."""
        positions, groups = self._expand(left)
        columns, columns_of = np.unique(groups, return_inverse=True)
        of_left = np.zeros((len(left), len(columns)), np.float32)
        of_left[positions, columns_of] = 1
        positions, groups = self._expand(right)
        shared = _in_sorted(groups, columns)
        of_right = np.zeros((len(right), len(columns)), np.float32)
        of_right[positions[shared], np.searchsorted(columns, groups[shared])] = 1
        clash: NDArray[np.bool_] = (of_left @ of_right.T > 0) | (left[:, None] == right[None, :])
        return clash

    def _expand(self, rows: Rows) -> tuple[Rows, Rows]:
        """Return one entry for each group of each row: the position in `rows`, and the group."""
        counts = self._offsets[rows + 1] - self._offsets[rows]
        positions = np.repeat(np.arange(len(rows)), counts)
        offsets = np.arange(len(positions)) - np.repeat(np.cumsum(counts) - counts, counts)
        return positions, self._members[self._offsets[rows][positions] + offsets]


class Negatives:
    """Rows of a pool, drawn for pairs, that share no group or text with anchor or positive."""

    def __init__(self, membership: Membership, pool: Rows) -> None:
        """Draw from `pool`, distinct rows, at least one."""
        self._membership = membership
        self._pool = pool

    def draw(self, pairs: PairRows, generator: np.random.Generator) -> Rows:
        """Draw a negative for each pair [p], uniformly from those allowed; -1 without any.

        A draw that clashes is repeated; after some rounds, the rest is drawn from the allowed rows, which
        takes a pass over the pool for each set of groups.
        """
        negatives = np.full(len(pairs), -1, np.intp)
        pending = np.arange(len(pairs))
        for _ in range(_ROUNDS):
            drawn = self._pool[generator.integers(len(self._pool), size=len(pending))]
            clash = self._membership.clash(pairs.anchors[pending], drawn)
            clash |= self._membership.clash(pairs.positives[pending], drawn)
            negatives[pending[~clash]] = drawn[~clash]
            pending = pending[clash]
            if not len(pending):
                break
        allowed: dict[tuple[frozenset[int], int, int], Rows] = {}
        for pair in pending:
            anchor, positive = int(pairs.anchors[pair]), int(pairs.positives[pair])
            key = self._key(anchor, positive)
            if key not in allowed:
                allowed[key] = self._allowed(anchor, positive)
            if len(allowed[key]):
                negatives[pair] = generator.choice(allowed[key])
        return negatives

    def _key(self, anchor: int, positive: int) -> tuple[frozenset[int], int, int]:
        """Return a key of the rows that clash with a pair: rows with groups clash by groups only."""
        first, second = self._membership.groups[anchor], self._membership.groups[positive]
        return first | second, -1 if first else anchor, -1 if second else positive

    def _allowed(self, anchor: int, positive: int) -> Rows:
        pair_rows = np.array([anchor, positive], np.intp)
        allowed: Rows = self._pool[~self._membership.clashes(pair_rows, self._pool).any(axis=0)]
        return allowed


def rows_of(*pairs: PairRows) -> Rows:
    """Return the distinct rows of these pairs, ascending."""
    return np.unique(np.concatenate([rows for part in pairs for rows in (part.anchors, part.positives)]))


def usable_pairs(pairs: PairRows) -> PairRows:
    """Return the pairs with a weight and two different texts."""
    usable = (pairs.weights > 0) & (pairs.anchors != pairs.positives)
    return PairRows(
        pairs.anchors[usable], pairs.positives[usable], pairs.weights[usable], pairs.scopes[usable]
    )


def require_pairs(pairs: PairRows) -> PairRows:
    """Return the usable pairs.

    Raises:
        TooLittleToLearn: there is none.
    """
    usable = usable_pairs(pairs)
    if not len(usable):
        raise TooLittleToLearn("there are no pairs to train on", hint="patina pairs")
    return usable


def _in_sorted(values: Rows, array: Rows) -> NDArray[np.bool_]:
    if not len(array):
        return np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(array, values), len(array) - 1)
    matches: NDArray[np.bool_] = array[places] == values
    return matches
