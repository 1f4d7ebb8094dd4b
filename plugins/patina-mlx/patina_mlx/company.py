"""Texts of about one length in one run, so that a text's vectors are still the same in any company.

A product of matrices is faster for many rows, but its kernel takes them several at a time, and what is left
at the end in another way, whose last bits differ: a row's rounding depends on its place among the others. So
each text is filled up to whole blocks of rows, which no other text shares. How many rows a block has is the
kernel's own affair, and is tried when a model is opened; where no block will do, texts run one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from patina_mlx.core import mx
from patina_mlx.encoder import Encoder

_BLOCKS: Final = (1, 4, 8, 12, 16, 24)
"""Rows. More would cost a short text more than company saves."""

_LENGTHS: Final = (1, 3, 9, 17, 40)
_COPIES: Final = 5
"""What a block is tried with: texts of so many tokens, alone and so many of them."""


def block_of(encoder: Encoder) -> int:
    """Rows of a block on this device, for this model's matrices; 0 where texts have to run alone."""
    return next((block for block in _BLOCKS if _is_same_in_company(encoder, block)), 0)


def runs(lengths: Sequence[int], block: int) -> list[tuple[int, list[int]]]:
    """(tokens that each is filled up to, places of texts) for each run of texts of these lengths."""
    if not block:
        return [(length, [place]) for place, length in enumerate(lengths) if length]
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place, length in enumerate(lengths):
        if length:
            places[-(-length // block) * block].append(place)
    return sorted(places.items())


def mask_of(encoder: Encoder, block: int, lengths: list[int], filled: int) -> mx.array | None:
    """Which tokens [b, filled] of texts of these lengths are seen; None where nothing is filled up, or the
    model looks back alone and never meets what is."""
    if block < 2 or not encoder.bidirectional:
        return None
    return mx.arange(filled) < mx.array(lengths)[:, None]


def _is_same_in_company(encoder: Encoder, block: int) -> bool:
    """All layers are of the first one's shape: what it rounds in one way, they do."""
    for length, _ in runs(_LENGTHS, block):
        ids = mx.arange(_COPIES * length).reshape(_COPIES, length) % encoder.vocabulary
        together = encoder.begin(ids, mask_of(encoder, block, [length] * _COPIES, length))
        alone = mask_of(encoder, block, [length], length)
        for at in range(_COPIES):
            if not mx.array_equal(together[at], encoder.begin(ids[at : at + 1], alone)[0]).item():
                return False
    return True
