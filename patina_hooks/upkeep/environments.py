"""Compare the plugins of this process with those of the last sync in the background.

The hooks may run another interpreter than the user's shell or editor. Each environment indexes with its own
plugins.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from patina_hooks.config.schema import read_value
from patina_hooks.plugins.distributions import installed_version
from patina_hooks.plugins.manager import Plugins
from patina_hooks.store.log import Log

_FACT: Final = "background"
_OWN: Final = "patina-hooks"


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter and the versions of its plugins, patina's own included."""

    interpreter: str
    versions: Mapping[str, str]


def read_own_environment(plugins: Plugins) -> Environment:
    """Return the environment of this process, without a call of a plugin's hook."""
    distributions = {name: plugins.distribution_of(name) for name in plugins.names()} | {_OWN: _OWN}
    versions = {name: installed_version(dist) if dist else "" for name, dist in distributions.items()}
    return Environment(sys.executable, versions)


def list_version_differences(own: Mapping[str, str], hooks: Mapping[str, str]) -> list[str]:
    """List the plugins whose version in this environment and in that of the hooks differs."""
    return [
        f"{name} {hooks.get(name, 'absent')} (here {own.get(name, 'absent')})"
        for name in sorted(own.keys() | hooks.keys())
        if own.get(name) != hooks.get(name)
    ]


def record_background(log: Log, plugins: Plugins) -> None:
    """Store the environment of this process as that of the last sync in the background."""
    own = read_own_environment(plugins)
    stored = json.dumps([own.interpreter, dict(own.versions)], sort_keys=True)
    if log.fact(_FACT) != stored:
        with log.writing():
            log.remember(_FACT, stored)


def load_background_environment(log: Log) -> Environment | None:
    """Return the environment of the last sync in the background, None before the first."""
    return log.parsed(_FACT, "null", _parse)


def _parse(stored: object) -> Environment | None:
    """Check the value that `record_background` stored; raise ValueError for any other."""
    return None if stored is None else Environment(*read_value(_Stored, stored))


_Stored = tuple[str, Mapping[str, str]]
