"""Listings without a row say why, on stderr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.memory import Memory
from support.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    memory = Memory.make(tmp_path / "repository")
    memory.sync()
    return Shell(memory.root)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("pairs",), "no pairs: no recorded commit or session document yields any"),
        (("pairs", "--kind", "co_changed"), "no pairs of kind 'co_changed'"),
        (("log",), "no events yet: no branch or tag has a commit"),
        (("session", "list"), "no sessions yet"),
        (("session", "list", "--adapter", "codex"), "no sessions of the adapter codex"),
        (("scry", "marmots"), "nothing is indexed yet"),
    ],
)
def test_listing_says_why_when_it_is_empty(shell: Shell, arguments: tuple[str, ...], reason: str) -> None:
    done = shell.run(*arguments)
    assert (done.returncode, done.stdout) == (0, "")
    assert reason in done.stderr
    listed = shell.run(*arguments, "--json")
    rows = json.loads(listed.stdout)
    assert (rows["hits"] if isinstance(rows, dict) else rows) == []
