"""Texts laid end to end: what is packed comes apart again, and each sees itself alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.torch

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=8)


@given(lengths=LENGTHS)
def test_every_token_is_packed_once_beside_its_text_and_found_again(lengths: list[int]) -> None:
    from patina_torch.packing import pack

    mask = (np.arange(10) < np.array(lengths)[:, None]).astype(np.int64)
    ids = np.arange(1, 1 + mask.size).reshape(mask.shape) * mask
    packed = pack(ids, mask)
    assert (
        packed.ids.shape
        == packed.positions.shape
        == (1, sum(count * length for count, length in packed.groups))
    )
    assert packed.ids.size >= 16  # below that products are rounded otherwise
    found = np.zeros_like(ids)
    found[packed.rows, packed.columns] = packed.ids[0, : len(packed.rows)]
    assert np.array_equal(found, ids)
    assert np.array_equal(packed.columns, packed.positions[0, : len(packed.rows)])
    expected = [place for count, length in packed.groups for place in [*range(length)] * count]
    assert packed.columns.tolist() == expected[: len(packed.rows)]
    # What fills a run up has the position that every model has.
    assert not packed.positions[0, len(packed.rows) :].any()
    lengthwise = [length for _, length in packed.groups][: len({*lengths} - {0})]
    assert all(one < other for one, other in pairwise(lengthwise))
    rows = packed.rows.tolist()
    assert [row for row, before in zip(rows, [None, *rows], strict=False) if row != before] == sorted(
        (at for at, length in enumerate(lengths) if length), key=lambda at: lengths[at]
    )


@pytest.mark.parametrize("window", [None, 1, 3, 20])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_packed_texts_is_that_of_each_alone(window: int | None, causal: bool) -> None:
    """Against the formula, with half as many heads for keys and values as for queries."""
    import torch
    from patina_torch.packing import attend

    groups, heads, kv_heads, width = ((2, 1), (3, 4), (1, 7)), 4, 2, 8
    total = sum(count * length for count, length in groups)
    generator = torch.Generator().manual_seed(1)
    query, key, value = (
        torch.randn(1, count, total, width, generator=generator) for count in (heads, kv_heads, kv_heads)
    )
    module = torch.nn.Module()
    module.num_key_value_groups, module.is_causal = heads // kv_heads, causal
    window = window if causal else None
    found, _ = attend(
        module, query, key, value, None, groups=groups, scaling=0.5, sliding_window=window, more="ignored"
    )
    assert found.shape == (1, total, heads, width)
    at = 0
    for length in (length for count, length in groups for _ in range(count)):
        part = slice(at, at + length)
        at += length
        wide = [one[0, :, part].repeat_interleave(heads // kv_heads, 0) for one in (key, value)]
        scores = query[0, :, part] @ wide[0].transpose(1, 2) * 0.5
        back = torch.arange(length)[:, None] - torch.arange(length)
        unseen = (back < 0) | (back >= (window or length)) if causal else torch.zeros_like(back, dtype=bool)
        expected = scores.masked_fill(unseen, float("-inf")).softmax(-1) @ wide[1]
        torch.testing.assert_close(found[0, part].transpose(0, 1), expected, atol=1e-5, rtol=1e-5)
