"""`patina init`: what it says before anything leaves the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.memory import Memory
from support.shell import Shell


@pytest.mark.parametrize(
    ("runtime", "says"), [("remote", True), ("patina-remote/remote", True), ("onnx", False)]
)
def test_a_recipe_that_sends_texts_away_is_told_of(tmp_path: Path, runtime: str, says: bool) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", f"runtime: {runtime}\n")
    result = Shell(memory.root).invoke("init", "--no-sync", "--no-hooks")
    assert result.exit_code == 0
    assert ("texts are sent to the server of your settings" in result.stderr) == says
