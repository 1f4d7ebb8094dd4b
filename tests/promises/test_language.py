"""The words of help texts, messages and documents: plain technical English."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest
from support.marked import ROOT

from patina_hooks.commands import patina

AVOIDED: Final = re.compile(
    r"\b(anew|at fault|mends?|nobody|somebody|gone on with|as it stands|to go by|could not be had"
    r"|(?<!there )is no(?! longer\b| more\b| such\b| less\b))\b",
    re.IGNORECASE,
)
"""Write instead: again, error, fixes, no one, "is not a", "cannot X: reason"."""
PACKAGE: Final = ROOT / "patina_hooks"
PRINTING: Final = ("echo", "say", "Finding", "add_warning")
DOCUMENTS: Final = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
FOLDERS: Final = sorted(path for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py")))


def walk_commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the full name and help of a command and those below it."""
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk_commands(child, click.Context(child, info_name=name, parent=context))


def messages_in(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of the strings that a module raises or prints."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and is_message(node):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def is_message(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in PRINTING or name.endswith(("Error", "Damaged", "Unavailable", "Refused", "Needed", "Held"))


def test_help_uses_plain_words() -> None:
    texts = dict(walk_commands(patina, click.Context(patina, info_name="patina")))
    assert len(texts) > 30
    assert {name: AVOIDED.findall(text) for name, text in texts.items() if AVOIDED.search(text)} == {}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_messages_use_plain_words(folder: Path) -> None:
    messages = [
        (f"{path.relative_to(PACKAGE)}:{line}", text)
        for path in folder.rglob("*.py")
        for line, text in messages_in(path)
    ]
    assert [message for message in messages if AVOIDED.search(message[1])] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_documents_use_plain_words(document: Path) -> None:
    lines = enumerate(document.read_text("utf-8").splitlines(), 1)
    assert [(number, line) for number, line in lines if AVOIDED.search(line)] == []
