"""`patina init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.freshness import open_patina
from patina_hooks.commands.messages import say, say_fault
from patina_hooks.commands.setup.install import render_installed
from patina_hooks.commands.state.sync import summarize
from patina_hooks.config.recipe import DEFAULT_TEXT, load_recipe
from patina_hooks.config.shared_files import RECIPE_FILE
from patina_hooks.errors import PluginError
from patina_hooks.git.hooks import install
from patina_hooks.git.repository import Repository
from patina_hooks.models.choice import remote_runtimes
from patina_hooks.sessions.documents.workspace import Workspace
from patina_hooks.system.files import replace_file
from patina_hooks.system.progress import show_progress

if TYPE_CHECKING:
    from patina_hooks.api import Patina

IGNORE_FILE = ".patina/.gitignore"


@click.command("init")
@click.option("--no-hooks", is_flag=True, help="Do not install git hooks.")
@click.option("--no-sync", is_flag=True, help="Do not sync now; the next git event does.")
def init_command(no_hooks: bool, no_sync: bool) -> None:
    """Set up this repository: recipe, git hooks and first sync.

    Running it again leaves existing files as they are.
    """
    with open_patina() as patina:
        root = patina.repository.root
        if write_recipe(root):
            click.echo(f"wrote {RECIPE_FILE} (commit it: the team shares the recipe)")
        if ignore_local(patina.repository):
            click.echo(f"wrote {IGNORE_FILE} (commit it too)")
        runtime = load_recipe(root).runtime.rpartition("/")[2]
        if runtime in remote_runtimes(patina.plugins):
            say(f"the recipe has runtime: {runtime}: texts are sent to the server of your settings")
        if not no_hooks:
            for line in render_installed(install(patina.repository)):
                click.echo(line)
        if not no_sync:
            with show_progress("first sync") as progress:
                report = patina.sync(progress=progress)
            if report is not None:
                click.echo(f"read {summarize(report)}")
                for fault in report.faults:
                    say_fault(fault)
                say_languages(patina)
    click.echo('try: patina scry "why did we ..."')


def say_languages(patina: Patina) -> None:
    """Warn that much of the history is in a language that the model does not read."""
    from patina_hooks.models.catalog.languages import language_remark
    from patina_hooks.store.log import Log

    try:
        model = patina.plugins.model(load_recipe(patina.repository.root).model)
    except PluginError:
        return  # the report has this error
    with Log(patina.repository.state, create=False) as log:
        remark = language_remark(log.connection, model, patina.plugins)
    if remark:
        say(remark[0], hint=remark[1])


def ignore_local(repository: Repository) -> bool:
    """Have git ignore the local files of a work tree.

    Returns:
        Whether the file had to be written.
    """
    workspace = Workspace.of(repository)
    if workspace.read(IGNORE_FILE) is not None:
        return False
    workspace.write(IGNORE_FILE, "/local/\n")
    return True


def write_recipe(root: Path) -> bool:
    """Write the default recipe if there is none.

    Returns:
        Whether it was written.

    Raises:
        SettingsError: there is an invalid recipe.
    """
    load_recipe(root)
    path = root / RECIPE_FILE
    if path.exists() or path.is_symlink():
        return False
    replace_file(path, DEFAULT_TEXT.encode())
    path.chmod(0o644)
    return True
