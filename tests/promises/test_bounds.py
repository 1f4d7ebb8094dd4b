"""Libraries whose releases changed what a process sends or writes have an upper bound."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
BOUNDED = frozenset(
    {
        "onnxruntime",
        "tokenizers",
        "torch",
        "transformers",
        "mlx",
        "usearch",
        "huggingface-hub",
        "httpx",
        "safetensors",
    }
)
PROJECTS = sorted([ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")])


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.parent.name)
def test_dependency_has_an_upper_bound_when_its_releases_change_behaviour(project: Path) -> None:
    told = tomllib.loads(project.read_text("utf-8"))
    optional = told["project"].get("optional-dependencies", {}).values()
    groups = told.get("dependency-groups", {}).values()
    lines = [line for part in (told["project"]["dependencies"], *optional, *groups) for line in part]
    named = {line: re.split(r"[\[<>=;, ]", line)[0] for line in lines}
    assert [line for line, name in named.items() if name in BOUNDED and "<" not in line] == []
