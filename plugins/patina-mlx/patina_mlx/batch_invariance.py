"""Batches of texts of about one length, in which a text's vectors do not depend on the other texts.

A product of matrices is faster for many rows, but its kernel takes several rows at a time and the remaining
ones in another way, whose last bits differ: a row's rounding depends on its position in the batch. So each
text is padded to whole blocks of rows, which no other text shares. The rows of a block depend on the kernel
and are measured when a model is opened; where no block works, each text runs in its own batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from patina_mlx.core import mx
from patina_mlx.encoder import TransformerEncoder

_BLOCKS: Final = (1, 4, 8, 12, 16, 24)
"""Rows. Larger blocks would cost short texts more than batching saves."""

_LENGTHS: Final = (1, 3, 9, 17, 40)
_COPIES: Final = 5
"""Texts that a block is tested with: their tokens, and their number in a batch."""


def choose_block(encoder: TransformerEncoder) -> int:
    """Return the rows of a block for this device and model, 0 where texts cannot share a batch."""
    return next((block for block in _BLOCKS if _is_batch_invariant(encoder, block)), 0)


def group_by_blocks(lengths: Sequence[int], block: int) -> list[tuple[int, list[int]]]:
    """Return (padded length, positions of texts) for each batch of texts of these lengths."""
    if not block:
        return [(length, [position]) for position, length in enumerate(lengths) if length]
    positions: defaultdict[int, list[int]] = defaultdict(list)
    for position, length in enumerate(lengths):
        if length:
            positions[-(-length // block) * block].append(position)
    return sorted(positions.items())


def build_mask(encoder: TransformerEncoder, block: int, lengths: list[int], padded: int) -> mx.array | None:
    """Return which tokens [b, padded] of texts of these lengths are real.

    Returns None where nothing is padded, or the model attends to earlier tokens only.
    """
    if block < 2 or not encoder.bidirectional:
        return None
    return mx.arange(padded) < mx.array(lengths)[:, None]


def _is_batch_invariant(encoder: TransformerEncoder, block: int) -> bool:
    """Test the first layer; all others have its shape and round in the same way."""
    for length, _ in group_by_blocks(_LENGTHS, block):
        ids = mx.arange(_COPIES * length).reshape(_COPIES, length) % encoder.vocabulary
        batched = encoder.run_first_layer(ids, build_mask(encoder, block, [length] * _COPIES, length))
        mask = build_mask(encoder, block, [length], length)
        for at in range(_COPIES):
            if not mx.array_equal(batched[at], encoder.run_first_layer(ids[at : at + 1], mask)[0]).item():
                return False
    return True
