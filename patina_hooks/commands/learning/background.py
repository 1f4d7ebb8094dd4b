"""Training in a process of its own, started by a worker when the policy of the recipe asks for it.

    python -m patina_hooks.commands.learning.background <common dir> <work tree>

It runs at the lowest priority, for as long as the recipe allows, and nothing waits for it. Errors are logged
in `<state>/patina.log`.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.config.configuration import load_configuration
from patina_hooks.errors import PatinaError
from patina_hooks.system.worker_log import TRAINING
from patina_hooks.training.policy import is_training_due, record_start
from patina_hooks.upkeep.worker import detach, open_repository, run_logged

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository

_LOWEST_PRIORITY: Final = 19


def main(arguments: list[str]) -> int:
    """Train once. Returns 0: nothing reads the exit code."""
    with suppress(ValueError, OSError, PatinaError):
        common, work_tree = (Path(argument).resolve() for argument in arguments)
        repository = open_repository(common, work_tree)
        run_logged(repository.state, lambda: _train(repository), TRAINING)
    return 0


def _train(repository: Repository) -> None:
    import logging

    from patina_hooks.api import Patina
    from patina_hooks.training.oxidize import oxidize

    recipe = load_configuration(repository).recipe
    if recipe is not None and is_training_due(repository):
        record_start(repository)
        report = oxidize(Patina(repository), seconds=float(recipe.background.seconds))
        logging.getLogger("patina_hooks.training").info(
            "trained in %.0f s: %s", report.seconds, report.sentence
        )


if __name__ == "__main__":
    detach()
    with suppress(AttributeError, OSError):  # Windows has no niceness
        os.nice(_LOWEST_PRIORITY)
    sys.exit(main(sys.argv[1:]))
