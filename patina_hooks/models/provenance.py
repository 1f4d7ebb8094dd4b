"""Remember which release of a plugin made what is derived, and find extractors that changed unannounced.

An extractor or pair generator whose output changes raises its `version`, and everything is read again. Where
that was forgotten, the release of its distribution differs from the one that made what is stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from patina_hooks.models.makers import installed_version
from patina_hooks.plugins.calls import BUILTIN
from patina_hooks.plugins.kinds import EXTRACTORS, GENERATORS
from patina_hooks.plugins.manager import Plugins
from patina_hooks.store.log import Log

_FACT: Final = "made by"


def record_releases(log: Log, plugins: Plugins) -> None:
    """Remember the installed release for each extractor and generator whose version is new to the log."""
    known = log.parsed(_FACT, "{}", _read)
    owners = dict(_owners(plugins))
    if owners.keys() == known.keys():
        return
    made = {key: known.get(key) or _release(plugins, owner) for key, owner in owners.items()}
    with log.writing():
        log.remember(_FACT, json.dumps(made))


def changed_releases(log: Log, plugins: Plugins) -> Iterator[tuple[str, str, str]]:
    """Yield what was made by another release than the installed one: (name, made by, installed)."""
    known = log.parsed(_FACT, "{}", _read)
    for key, owner in _owners(plugins):
        installed = _release(plugins, owner)
        if known.get(key, installed) != installed:
            yield key.rpartition(" ")[0], known[key], installed


def _owners(plugins: Plugins) -> Iterator[tuple[str, str]]:
    """Yield the key and the plugin of each extractor and generator that patina does not provide."""
    extractors = [(spec.name, spec.version) for spec in plugins.extractors()]
    generators = [(spec.name, spec.version) for spec in plugins.pair_generators()]
    for name, version in extractors:
        if (owner := plugins.owner(EXTRACTORS, name)) != BUILTIN:
            yield f"{EXTRACTORS.noun} {name} {version}", owner
    for name, version in generators:
        if (owner := plugins.owner(GENERATORS, name)) != BUILTIN:
            yield f"{GENERATORS.noun} {name} {version}", owner


def _release(plugins: Plugins, plugin: str) -> str:
    distribution = plugins.distribution_of(plugin)
    version = installed_version(distribution) if distribution else ""
    return f"{distribution} {version}" if version else plugin


def _read(stored: dict[str, str]) -> dict[str, str]:
    """Check what `record_releases` wrote; raise TypeError for anything else."""
    if not isinstance(stored, dict) or not all(isinstance(release, str) for release in stored.values()):
        raise TypeError(stored)
    return stored
