"""Texts that share a run: each has blocks of rows of its own, and how many rows a block has is found out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patina_mlx.batch_invariance import choose_block, group_by_blocks
from patina_mlx.config import read_config
from patina_mlx.core import mx
from patina_mlx.encoder import TransformerEncoder
from patina_mlx.tensors import Tensors, load_weight_files
from support.tiny_models import make_twin

LENGTHS = st.lists(st.integers(0, 70), max_size=12)


@given(lengths=LENGTHS, block=st.sampled_from([1, 4, 12, 24]))
def test_every_text_is_in_one_run_of_its_own_length_in_whole_blocks(lengths: list[int], block: int) -> None:
    found = {place: filled for filled, places in group_by_blocks(lengths, block) for place in places}
    assert sum(len(places) for _, places in group_by_blocks(lengths, block)) == len(found)
    assert found == {
        place: next(rows for rows in range(block, length + block, block) if rows >= length)
        for place, length in enumerate(lengths)
        if length
    }
    assert len({filled for filled, _ in group_by_blocks(lengths, block)}) == len(
        group_by_blocks(lengths, block)
    )


@given(lengths=LENGTHS)
def test_where_no_block_will_do_each_text_runs_alone(lengths: list[int]) -> None:
    assert group_by_blocks(lengths, 0) == [
        (length, [place]) for place, length in enumerate(lengths) if length
    ]


class Rounding:
    """Stands for an encoder whose rows come out by their place among all rows of a run."""

    vocabulary, bidirectional = 1_000, False

    def __init__(self, error: Callable[[np.ndarray, int], np.ndarray]) -> None:
        self._error = error

    def run_first_layer(self, ids: mx.array, seen: mx.array | None = None) -> mx.array:
        assert seen is None
        errors = self._error(np.arange(ids.size), ids.size).reshape(ids.shape)
        return (ids + mx.array(errors))[..., None]


@pytest.mark.parametrize(
    ("error", "block"),
    [
        (lambda rows, _: rows * 0, 1),
        (lambda rows, _: rows % 4, 4),
        (lambda rows, _: rows % 6, 12),
        (lambda rows, count: (rows >= count // 8 * 8) * 1, 8),
        (lambda rows, count: rows * 0 + count, 0),
    ],
    ids=["by nothing", "by fours", "by sixes", "what is left of eights", "by how many there are"],
)
def test_a_block_is_as_many_rows_as_the_device_takes_at_once(
    error: Callable[[np.ndarray, int], np.ndarray],
    block: int,
) -> None:
    assert choose_block(cast("TransformerEncoder", Rounding(error))) == block


def test_what_fills_a_text_up_beyond_the_last_position_has_the_last_one(tmp_path: Path) -> None:
    """mlx does not check: it would read whatever lies behind the table."""
    twin = make_twin("bert", tmp_path)
    config = read_config(twin.config)
    encoder = TransformerEncoder(
        config, Tensors(load_weight_files([twin.weights], "bert"), config, None), layer=0
    )
    found = np.asarray(encoder(mx.full((1, 96), 7)))[0]
    assert np.array_equal(found[64:], np.repeat(found[[63]], 32, axis=0))
    assert not np.array_equal(found[62], found[63])
