"""Law: whatever happens to work trees, tags and processes, no session and no typed text is lost.

`PATINA_EXAMPLES` sets how many runs of 200 events there are; without it one short run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_RUNS = int(os.environ.get("PATINA_EXAMPLES", "1"))
_EVENTS = 200 if "PATINA_EXAMPLES" in os.environ else 60


@pytest.mark.parametrize("seed", range(_RUNS))
def test_no_session_is_lost_when_random_events_and_kills_happen(seed: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sessions.random_events", str(seed), str(_EVENTS), str(tmp_path / "r")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
