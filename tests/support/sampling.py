"""How much of a long test is run: a sample, or with PATINA_EXAMPLES as many examples as it says."""

from __future__ import annotations

import os
from collections.abc import Sequence

_EXAMPLES = os.environ.get("PATINA_EXAMPLES")  # read before a fixture clears it


def examples(default: int) -> int:
    """Return the number of examples to run."""
    return default if _EXAMPLES is None else int(_EXAMPLES)


def sample_steps(kinds: Sequence[str], count: int) -> list[int]:
    """Choose steps, numbered from 1: evenly spaced, first and last among them, and the first of each kind.

    Args:
        kinds: What each step does.
        count: Number of evenly spaced steps; from `len(kinds)` on, all are chosen.
    """
    last = len(kinds)
    if count >= last:
        return list(range(1, last + 1))
    gaps = max(1, count - 1)
    spaced = {1 + gap * (last - 1) // gaps for gap in range(gaps + 1)}
    return sorted(spaced | {kinds.index(kind) + 1 for kind in set(kinds)})
