"""What the commands of models share: plugins, the state of a model, its files and their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from patina_hooks.commands.messages import say
from patina_hooks.text.display import clean_line

if TYPE_CHECKING:
    from patina_hooks.models.catalog.registry import ModelState
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.models import ModelSpec

runtime_option: Final = click.option(
    "--runtime", default="auto", show_default=True, metavar="NAME", help="Runtime to use."
)


def load_plugins() -> Plugins:
    """Load the plugins that are installed."""
    from patina_hooks.plugins.manager import Plugins

    return Plugins.load()


def model_state(name: str) -> ModelState:
    """Look up a model and the state of its files."""
    from patina_hooks.models.catalog.registry import read_state_of
    from patina_hooks.models.choice import installed_runtimes

    plugins = load_plugins()
    return read_state_of(plugins.model(name), installed_runtimes(plugins))


def select_files(name: str, runtime: str) -> tuple[ModelSpec, str]:
    """Return a model and the runtime whose files are meant; one that is named need not be installed."""
    from patina_hooks.models.choice import AUTO, runtime_for
    from patina_hooks.models.files.weights import files_for_runtime

    plugins = load_plugins()
    spec = plugins.model(name)
    if runtime == AUTO:
        runtime = runtime_for(plugins, spec).runtime
    files_for_runtime(spec, runtime)
    return spec, runtime


def say_faults(plugins: Plugins) -> None:
    """Print which plugins' models are missing from the list, and why, on stderr."""
    for fault in plugins.faults:
        say(f"{clean_line(fault.plugin)}: {fault.error}")
