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
from patina_hooks.models.engine_versions import installed_version
from patina_hooks.plugins.manager import Plugins
from patina_hooks.store.log import Log

_FACT: Final = "background"
_OWN: Final = "patina-hooks"


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter and the versions of its plugins, patina's own included."""

    interpreter: str
    versions: Mapping[str, str]


def own_environment(plugins: Plugins) -> Environment:
    """Return the environment of this process. Calls no hook of a plugin."""
    names = {name: plugins.distribution_of(name) for name in plugins.names()} | {_OWN: _OWN}
    versions = {name: installed_version(found) if found else "" for name, found in names.items()}
    return Environment(sys.executable, versions)


def version_differences(own: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Write each plugin of which another environment has another version than this one, or none."""
    return [
        f"{name} {other.get(name, 'absent')} (here {own.get(name, 'absent')})"
        for name in sorted(own.keys() | other.keys())
        if own.get(name) != other.get(name)
    ]


def record_background(log: Log, plugins: Plugins) -> None:
    """Remember the environment of this process as that of the last sync in the background."""
    own = own_environment(plugins)
    stored = json.dumps([own.interpreter, dict(own.versions)], sort_keys=True)
    if log.fact(_FACT) != stored:
        with log.writing():
            log.remember(_FACT, stored)


def background_environment(log: Log) -> Environment | None:
    """Return the environment of the last sync in the background, None before the first."""
    return log.parsed(_FACT, "null", _read)


def _read(stored: object) -> Environment | None:
    """Check what `record_background` wrote; raise ValueError for anything else."""
    return None if stored is None else Environment(*read_value(_Stored, stored))


_Stored = tuple[str, Mapping[str, str]]
