"""`patina models`: which models are installed, what runs them, and how to get them."""

from __future__ import annotations

from typing import Final

import click

from patina_hooks.commands.lazy_group import LazyGroup

_COMMANDS: Final = {
    "list": ("models.list:list_command", "List installed models and whether they are ready."),
    "show": ("models.show:show_command", "Show how a model makes vectors, and its files."),
    "explain": ("models.explain:explain_command", "Explain which runtime runs a model here."),
    "pull": ("models.pull:pull_command", "Download the files of a model."),
    "remove": ("models.remove:remove_command", "Delete the files that were pulled for a model."),
    "verify": ("models.verify:verify_command", "Compare the hashes of model files."),
    "add": ("models.add:add_command", "Add a model of your own from a folder."),
    "recommend": (
        "models.recommend:recommend_command",
        "Recommend a model for this machine and its languages.",
    ),
    "compare": ("models.compare:compare_command", "Compare models on this repository's history."),
}


@click.group("models", cls=LazyGroup, table=_COMMANDS)
def models_command() -> None:
    """List, download, verify, add and choose models.

    A repository names its model in .patina/oxidize.yaml, as `embedding_model`. Only `pull` uses the network;
    a runtime that is a server of yours is asked if you name it.
    """
