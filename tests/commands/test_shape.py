"""The shape of the command line: small modules, lazy groups, one `--json`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from support.marked import ROOT

from patina_hooks.commands import patina
from patina_hooks.commands.lazy_group import LazyGroup

COMMANDS = ROOT / "patina_hooks/commands"
MOST_LINES = 120
LISTINGS = {
    "patina scry", "patina status", "patina pairs", "patina log", "patina doctor", "patina plugins",
    "patina eval", "patina oxidize", "patina models list", "patina models show", "patina models explain",
    "patina models pull", "patina models remove", "patina models verify", "patina models add",
    "patina models recommend", "patina models compare", "patina session start", "patina session note",
    "patina session update", "patina session status", "patina session end", "patina session list",
    "patina session show",
}  # fmt: skip


def walk_commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for child_name in command.list_commands(context):
            child = command.get_command(context, child_name)
            assert child is not None
            yield from walk_commands(child, f"{name} {child_name}")


def json_options() -> dict[str, click.Option]:
    return {
        name: option
        for name, command in walk_commands(patina, "patina")
        for option in command.params
        if isinstance(option, click.Option) and "--json" in option.opts
    }


def test_command_modules_have_at_most_120_lines() -> None:
    lengths = {
        path.relative_to(COMMANDS).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in COMMANDS.rglob("*.py")
    }
    assert len(lengths) > 30
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_listings_have_the_same_json_option() -> None:
    options = json_options()
    assert set(options) == LISTINGS
    assert {option.help for option in options.values()} == {"Print JSON for programs."}


def test_groups_are_lazy() -> None:
    groups = {name for name, command in walk_commands(patina, "patina") if isinstance(command, click.Group)}
    lazy = {name for name, command in walk_commands(patina, "patina") if isinstance(command, LazyGroup)}
    assert groups == lazy == {"patina", "patina session", "patina models"}


@pytest.mark.parametrize("group", ["", "session", "models"])
def test_help_of_a_group_imports_no_command(group: str) -> None:
    code = (
        "import sys\n"
        "from patina_hooks.commands import patina\n"
        "before = {*sys.modules}\n"
        f"try: patina({[*group.split(), '--help']!r})\n"
        "except SystemExit: pass\n"
        "new = {name for name in {*sys.modules} - before if name.startswith('patina_hooks.commands.')}\n"
        "print(sorted(new))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    allowed = ["patina_hooks.commands.plugin_commands"] if not group else [f"patina_hooks.commands.{group}"]
    assert result.stdout.splitlines()[-1] == repr(allowed)


@pytest.mark.parametrize("group", ["", "session", "models"])
def test_table_of_a_group_has_the_help_of_its_commands(group: str) -> None:
    command = dict(walk_commands(patina, "patina"))[f"patina {group}".strip()]
    assert isinstance(command, LazyGroup)
    context = click.Context(command)
    for name, text in command.list_help():
        child = command.get_command(context, name)
        assert child is not None
        assert text.endswith(".")
        assert child.help
