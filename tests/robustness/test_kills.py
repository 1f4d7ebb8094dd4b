"""kill -9 before the write steps of a sync: what the next sync leaves is what a rebuild gives.

`PATINA_EXAMPLES` sets how many evenly spaced steps are tested, 1000 means all; without it 12.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.sampling import examples

_TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("scenario", "least"),
    [("first", 40), ("incremental", 40), ("switch", 25)],
    ids=["a first sync", "a later sync", "a switch to other vectors"],
)
def test_a_killed_sync_is_made_good_by_the_next(scenario: str, least: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "support.crash_points", scenario, str(tmp_path), str(examples(12))],
        env={**os.environ, "PYTHONPATH": str(_TESTS)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step for step in steps if not step["equal"]] == []
    # Were a border no longer met (another way of writing), the test would prove less than it says.
    assert steps[-1]["number"] >= least
    met = {step["what"].split()[-1] for step in steps}
    assert {"BEGIN", "COMMIT", "INSERT", "manifest", "spool"} <= met
