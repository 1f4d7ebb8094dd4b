"""Commands that a message, a remedy or a hint tells the user to type exist, with their options."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import patina_hooks
from patina_hooks.commands import patina

PACKAGE = Path(patina_hooks.__file__).parent
NO_COMMANDS = {"patina needs git 31"}
"""Texts that begin with the name of the program and are no command."""
VALUE = "31"
"""What stands for a value that is known at run time: a text, a path, or a number."""


def texts_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of every string literal, with a stand-in for each value."""
    tree = ast.parse(path.read_text("utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        place = f"{path.relative_to(PACKAGE.parent)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield place, node.value
        elif isinstance(node, ast.JoinedStr):
            values = (str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values)
            yield place, "".join(values)


def commands_of(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each `patina` command in a hint; others and redirections are left out."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|>")
    lexer.whitespace_split = True
    command: list[str] = []
    for token in [*lexer, ";"]:
        if set(token) <= set(";&|>"):
            if command[:1] == ["patina"]:
                yield command[1:]
            command = []
        else:
            command.append(token)


HINTS = sorted(
    {
        (place, text)
        for path in PACKAGE.rglob("*.py")
        for place, text in texts_of(path)
        if text.startswith("patina ") and text not in NO_COMMANDS
    }
)


def parse(arguments: list[str]) -> None:
    """Parse a command line down to its last command, running none."""
    command: click.Command = patina
    context = click.Context(patina, info_name="patina")
    while isinstance(command, click.Group) and arguments:
        name, inner, arguments = command.resolve_command(context, arguments)
        assert inner is not None
        command, context = inner, click.Context(inner, parent=context, info_name=name)
    if not isinstance(command, click.Group):
        command.make_context(context.info_name, arguments, parent=context.parent)


@pytest.mark.parametrize(("place", "text"), HINTS, ids=[f"{place} {text}" for place, text in HINTS])
def test_hint_can_be_typed_when_it_begins_with_patina(place: str, text: str) -> None:
    commands = list(commands_of(text))
    assert commands, place
    for arguments in commands:
        try:
            parse(arguments)
        except click.ClickException as error:
            pytest.fail(f"{place}: {text!r} cannot be typed: {error.format_message()}")


@pytest.mark.parametrize("text", ["patina frobnicate", "patina sync --no-such", "patina session show"])
def test_hint_is_refused_when_a_command_or_option_is_absent(text: str) -> None:
    with pytest.raises(click.ClickException):
        parse(next(commands_of(text)))
