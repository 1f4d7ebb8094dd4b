"""What is parsed is read by `config/schema.py`: no module validates in its own way."""

from __future__ import annotations

import ast
from pathlib import Path

from support.marked import ROOT

PACKAGE = ROOT / "patina_hooks"
PARSERS = {"parse_json", "parse_toml", "loads"}
OTHERS = {
    "evaluation/comparison/probe.py": "a pipe from the parent process",
    "evaluation/comparison/process.py": "a pipe from a child process",
    "models/files/folder.py": "the configuration of somebody's model",
    "models/files/packages.py": "pip's record of an installation",
    "plugins/installation.py": "the receipt of an installer",
    "projection/weights.py": "a header that safetensors has checked",
    "store/corpus/observations.py": "columns that store/database/soundness.py checks",
    "store/corpus/sessions.py": "columns that store/database/soundness.py checks",
    "store/database/soundness.py": "the check itself",
    "store/log.py": "remembered values, which each caller reads",
    "upkeep/events.py": "pickles of this process",
}
"""Modules that parse what the schema layer does not read."""


def test_every_module_that_parses_reads_by_the_schema() -> None:
    parsing = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if _parses(path)}
    own = {name for name in parsing if not name.startswith("config/parsing.py")}
    assert {name for name in own if not _imports_schema(PACKAGE / name)} == OTHERS.keys()


def _parses(path: Path) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    names = (call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls)
    return not PARSERS.isdisjoint(names)


def _imports_schema(path: Path) -> bool:
    return "from patina_hooks.config.schema import" in path.read_text("utf-8")
