"""docs/evaluation.md speaks of the sets and methods that there are, and its examples work."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from support.excerpt import Place
from support.marked import ROOT, files

from patina_hooks.evaluation.evaluate import MINED
from patina_hooks.evaluation.methods import METHODS

TEXT = (ROOT / "docs/evaluation.md").read_text("utf-8")


def named(heading: str) -> list[str]:
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.M)


def test_its_tables_are_complete() -> None:
    assert named("The questions") == list(MINED)
    assert named("Who answers") == list(METHODS)


def test_its_file_of_questions_is_answered(remembered: Place, tmp_path: Path) -> None:
    for name, code in files("docs/evaluation.md").items():
        (tmp_path / name).write_text(code)
    page = remembered.run(f"patina eval --set queries --queries {tmp_path / 'mine.json'}")
    assert page.startswith("queries  2 questions\n")


def test_its_python_runs(remembered: Place) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    said = remembered.run([sys.executable, "-c", code])
    assert said.startswith("goal ")
    assert "Interval(value=" in said
