"""Settings of plugins: a dataclass of the plugin checks its table in the user's file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from traceback import format_exception
from typing import Annotated, Literal

import pytest
from support.distributions import Site, importable
from support.memory import Memory
from support.shell import Shell

from patina_hooks.authoring import Rule, SettingsError, plugin_settings, runtime_settings
from patina_hooks.config.settings import load_settings, user_file
from patina_hooks.plugins.manager import Plugins


def check_even(number: int) -> None:
    if number % 2:
        raise ValueError("expected an even number")


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int = 80


@dataclass(frozen=True, slots=True)
class Tickets:
    project: str = ""
    order: Literal["newest", "oldest"] = "newest"
    limit: Annotated[int, Rule(least=1, most=500)] = 50
    pages: Annotated[int, Rule(check=check_even)] = 2
    states: tuple[str, ...] = ("open",)
    server: Server = field(default_factory=lambda: Server("localhost"))
    names: Mapping[str, str] = field(default_factory=dict)


def write_settings(text: str) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(text)


def test_defaults_hold_without_file_or_table(tmp_path: Path) -> None:
    assert plugin_settings("tickets", Tickets) == Tickets()
    write_settings("[worker]\ndefer_seconds = 5\n")
    assert plugin_settings("tickets", Tickets) == Tickets()


def test_a_plugin_reads_its_own_table(tmp_path: Path) -> None:
    write_settings(
        '[plugins.tickets]\nproject = "ACME"\norder = "oldest"\nstates = ["open", "new"]\nnames = {a = "b"}\n'
        '[plugins.tickets.server]\nhost = "example.org"\n[plugins.other]\nproject = 3\n'
    )
    server = Server("example.org")
    expected = Tickets("ACME", "oldest", states=("open", "new"), server=server, names={"a": "b"})
    assert plugin_settings("tickets", Tickets) == expected
    assert load_settings(tmp_path)  # a plugin's table is valid there, whatever its keys


def test_a_runtime_reads_its_own_table() -> None:
    write_settings('[runtime.tickets]\nproject = "R"\n[plugins.tickets]\nproject = "P"\n')
    assert runtime_settings("tickets", Tickets).project == "R"


@pytest.mark.parametrize("kind", ["plugins", "runtime"])
@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("limit = 2\nprojekt = 1\n", 3, "unknown key '{}.projekt'; expected one of: project, order"),
        ("limit = 'secret'\n", 2, "{}.limit: expected a whole number from 1 to 500"),
        ("limit = 501\n", 2, "{}.limit: expected a whole number from 1 to 500"),
        ("pages = 7\n", 2, "{}.pages: expected an even number"),
        ("order = 'secret'\n", 2, '{}.order: expected one of: newest, oldest; write: order = "newest"'),
        ("states = 'secret'\n", 2, "{}.states: expected a list"),
        ("states = ['open', 3]\n", 2, "{}.states[1]: expected a text"),
        ("server = {}\n", 2, "{}.server has no host"),
        ("server = {host = 'secret', port = '80'}\n", 2, "{}.server.port: expected a whole number"),
    ],
)
def test_an_invalid_setting_is_named_with_its_line_and_without_its_value(
    kind: str, text: str, line: int, message: str
) -> None:
    write_settings(f"[{kind}.tickets]\n{text}")
    read = plugin_settings if kind == "plugins" else runtime_settings
    with pytest.raises(SettingsError) as caught:
        read("tickets", Tickets)
    expected = message.replace("{}", f"{kind}.tickets", 1)
    assert str(caught.value).startswith(f"{user_file()}:{line}: {expected}")
    assert "secret" not in "".join(format_exception(caught.value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[plugins]\ntickets = 3\n", r":2: expected a table \[plugins.tickets\]"),
        ("plugins = 3\n", r":1: expected a table \[plugins.tickets\]"),
        ("[plugins.tickets\n", ":1: Expected"),
    ],
)
def test_what_is_not_a_table_is_refused(text: str, message: str) -> None:
    write_settings(text)
    with pytest.raises(SettingsError, match=message):
        plugin_settings("tickets", Tickets)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[plugins]\ntickets = 3\n", r":2: unknown key plugins.tickets; expected 'disable', or a table"),
        ("[plugins]\ndisable = 'tickets'\n", r":2: plugins.disable is 'tickets', expected a list"),
        ("plugins = 3\n", r":1: expected a table \[plugins\]"),
    ],
)
def test_an_invalid_table_of_plugins_is_an_error_of_the_settings(
    tmp_path: Path, text: str, message: str
) -> None:
    write_settings(text)
    with pytest.raises(SettingsError, match=message):
        load_settings(tmp_path)


def test_a_field_that_the_schema_cannot_check_is_an_error_of_the_author() -> None:
    @dataclass(frozen=True)
    class Unsupported:
        path: Path = Path()

    write_settings("[plugins.tickets]\npath = 'x'\n")
    with pytest.raises(TypeError, match=r"plugins\.tickets\.path: the schema has no form"):
        plugin_settings("tickets", Unsupported)


READER = """
from dataclasses import dataclass
import click
from patina_hooks import CommandSpec, hookimpl
from patina_hooks.authoring import plugin_settings

@dataclass(frozen=True)
class Settings:
    prefix: str = "usual"

@hookimpl
def patina_register_commands():
    yield CommandSpec("prefix", help="Print the prefix.", command="reader:command")

@click.command()
def command():
    click.echo(plugin_settings("patina-reader", Settings).prefix)

@hookimpl
def patina_commit_recorded(commit, repository):
    prefix = plugin_settings("patina-reader", Settings).prefix
    with (repository.common / "recorded").open("a") as file:
        file.write(f"{prefix} {commit.subject}\\n")
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with importable(tmp_path / "site"):
        site = Site(tmp_path / "site")
        site.add("patina-reader", files={"reader.py": READER}, entry_points={"patina-reader": "reader"})
        yield site


def test_an_installed_plugin_reads_settings_in_hooks_and_commands(tmp_path: Path, site: Site) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("first")
    write_settings('[plugins.patina-reader]\nprefix = "chosen"\n')
    memory.sync(providers=Plugins.load(disabled=()))
    assert (memory.repository.common / "recorded").read_text() == "chosen first\n"
    assert Shell(memory.root).invoke("prefix").output == "chosen\n"


def test_an_invalid_setting_is_an_error_of_its_plugin(tmp_path: Path, site: Site) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("first")
    write_settings('[plugins.patina-reader]\nprefiks = "chosen"\n')
    message = f"{user_file()}:2: unknown key 'plugins.patina-reader.prefiks'; expected one of: prefix"
    (fault,) = memory.sync(providers=Plugins.load(disabled=())).faults
    assert (fault.plugin, fault.where) == ("patina-reader", "patina_commit_recorded")
    assert fault.error.startswith(f"{message} (reader.py:")
    with pytest.raises(SettingsError, match=re.escape(message)):
        Shell(memory.root).invoke("prefix")
