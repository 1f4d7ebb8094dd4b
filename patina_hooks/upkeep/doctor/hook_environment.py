"""Compare the interpreter that the hooks run with this one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.recipe import Recipe
from patina_hooks.config.schema import SchemaError, read_value
from patina_hooks.plugins.manager import Plugins
from patina_hooks.upkeep.doctor.finding import Finding
from patina_hooks.upkeep.environments import list_version_differences, read_own_environment

_SECONDS = 60
# The model is looked up and not opened: that its plugin, its runtime and the runtime's modules are there.
_QUERY = """
import json, sys
from importlib.metadata import version
from patina_hooks.errors import PatinaError
from patina_hooks.models.choice import runtime_for
from patina_hooks.plugins.manager import Plugins
plugins = Plugins.load()
known = {info.name: info.version for info in plugins.info()}
problem = ""
try:
    if sys.argv[1:]:
        runtime_for(plugins, plugins.model(sys.argv[1]), sys.argv[2])
except PatinaError as error:
    problem = str(error)
print()
print(json.dumps({"versions": {**known, "patina-hooks": version("patina-hooks")}, "problem": problem}))
"""


@dataclass(frozen=True, slots=True)
class _HookEnvironment:
    """The plugins of an interpreter. problem: why it cannot run the recipe's model, "" if it can."""

    versions: Mapping[str, str]
    problem: str


def compare_environments(interpreter: str, plugins: Plugins, recipe: Recipe | None) -> Iterator[Finding]:
    """Start the hooks' interpreter once, compare its plugins with these, and look up the recipe's model.

    Nothing is started if it is this interpreter.
    """
    if interpreter == sys.executable:
        return
    try:
        environment = _read_environment(interpreter, recipe)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        message = f"the hooks run {interpreter}, which cannot start patina: {error}"
        yield Finding("hooks", "fault", message, "nothing is recorded in the background", "patina install")
        return
    if environment.problem:
        message = f"the hooks run {interpreter}, which cannot run the recipe's model: {environment.problem}"
        yield Finding("hooks", "warning", message, "nothing is embedded in the background", "patina install")
    if differences := list_version_differences(read_own_environment(plugins).versions, environment.versions):
        message = f"the hooks run {interpreter}, where other plugins are installed: {', '.join(differences)}"
        yield Finding(
            "hooks", "warning", message, "each environment indexes with its own plugins", "patina install"
        )


def _read_environment(interpreter: str, recipe: Recipe | None) -> _HookEnvironment:
    # As a hook starts it: outside the repository, where -c and -m find nothing to import.
    model = [recipe.model, recipe.runtime] if recipe else []
    result = subprocess.run(
        [interpreter, "-c", _QUERY, *model], cwd=Path(interpreter).anchor or "/", stdin=subprocess.DEVNULL,
        capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=False,
    )  # fmt: skip
    if result.returncode:
        raise ValueError(result.stderr.strip().rpartition("\n")[2] or f"exit {result.returncode}")
    answer = parse_json(result.stdout.strip().rpartition("\n")[2])
    try:
        return read_value(_HookEnvironment, answer, ignore_unknown=True)
    except SchemaError as error:
        raise ValueError("it is another program") from error
