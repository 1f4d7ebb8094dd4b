"""Texts of different lengths in one batch without padding: end to end, each attending to itself only.

Apart from attention, a layer treats each token separately, so the tokens of all texts go through its matrices
as one batch. Attention is computed for the texts of one length at a time. It is registered with transformers
as an attention function, as inference servers do: such a function gets no mask, and arguments of the
network's `forward` reach it by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

ATTENTION: Final = "patina_packed"
"""The name of `attend` among transformers' attention functions."""

_FEWEST_TOKENS: Final = 16
"""Of a batch: kernels for fewer tokens round differently."""

Group = tuple[int, int]
"""The number of adjacent texts of one length, and that length."""


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Texts end to end, in the order of their lengths.

    ids, positions: [1, t], each text's positions counted from 0; groups: of neighbours with one length, t
    tokens together, with what fills a short run up, all at position 0; rows, columns: [u], where the first u
    of them come from.
    """

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    groups: tuple[Group, ...]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


def pack(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Packed:
    """Pack rows [b, s] that are padded on the right, without their padding."""
    import numpy as np

    lengths = mask.sum(axis=1)
    order = np.argsort(lengths, kind="stable")
    rows = np.repeat(order, lengths[order])
    columns = np.concatenate([np.arange(length) for length in lengths[order]])
    groups = [(count, length) for length, count in sorted(Counter(lengths.tolist()).items()) if length]
    filling = max(_FEWEST_TOKENS - len(rows), 0)
    if filling:
        groups.append((1, filling))
    return Packed(
        ids=np.concatenate([ids[rows, columns], np.zeros(filling, np.int64)])[None],
        positions=np.concatenate([columns, np.zeros(filling, np.int64)])[None],
        groups=tuple(groups),
        rows=rows,
        columns=columns,
    )


def register() -> None:
    """Register `attend` with transformers; repeated calls are harmless."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, attend)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    groups: Sequence[Group],
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,  # noqa: ANN401  (further arguments of transformers)
) -> tuple[torch.Tensor, None]:
    """Attend within each text: [1, t, h, d] of queries, keys and values [1, h, t, d]."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    outputs, at = [], 0
    for count, length in groups:
        parts = [
            tensor[0, :, at : at + count * length].unflatten(1, (count, length)).transpose(0, 1)
            for tensor in (query, key, value)
        ]
        mask = _window(length, sliding_window, query.device)
        output, _weights = sdpa_attention_forward(module, *parts, mask, scaling=scaling)
        outputs.append(output.flatten(0, 1))
        at += count * length
    return torch.cat(outputs)[None], None


def _window(length: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Return the mask [s, s] of a sliding window, None where no mask is needed."""
    import torch

    if window is None or length <= window:
        return None
    back = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)
    return (back >= 0) & (back < window)
