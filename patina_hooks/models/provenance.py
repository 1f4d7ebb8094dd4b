"""Record which release of a plugin made the stored results, and find extractors that changed silently.

An extractor or pair generator whose output changes raises its `version`, and everything is read again. Where
that was forgotten, the release of its distribution differs from the recorded one.

Results of an extractor or generator that is not installed here are kept until `patina gc`: another
environment may have it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from patina_hooks.config.schema import read_mapping
from patina_hooks.corpus.observations import load_kept_tags, parse_extractor_tag
from patina_hooks.plugins.calls import BUILTIN
from patina_hooks.plugins.distributions import installed_version
from patina_hooks.plugins.kinds import EXTRACTORS, GENERATORS, is_provided
from patina_hooks.plugins.manager import Plugins
from patina_hooks.store.log import Log
from patina_hooks.store.pairs.generators import read_generator_versions

_FACT: Final = "made by"


@dataclass(frozen=True, slots=True)
class KeptProvider:
    """An extractor or pair generator that is not installed here, and whose results are kept.

    kind: "extractor" or "pair generator"; made_by: the release that made the results, "" where unknown.
    """

    kind: str
    name: str
    version: str
    made_by: str


def kept_providers(log: Log, plugins: Plugins) -> tuple[KeptProvider, ...]:
    """Return the providers that are not installed here, and whose results the last sync kept."""
    releases, extractors, generators = (
        log.parsed(_FACT, "{}", _read),
        plugins.extractors(),
        plugins.pair_generators(),
    )
    stored = read_generator_versions(log.connection)
    return (
        *(
            _kept_provider(EXTRACTORS.noun, name, version, releases)
            for name, version in map(parse_extractor_tag, load_kept_tags(log))
            if not is_provided(name, extractors)
        ),
        *(
            _kept_provider(GENERATORS.noun, name, str(version), releases)
            for name, version in stored
            if not is_provided(name, generators)
        ),
    )


def _kept_provider(kind: str, name: str, version: str, releases: Mapping[str, str]) -> KeptProvider:
    return KeptProvider(kind, name, version, releases.get(_key(kind, name, version), ""))


def _key(kind: str, name: str, version: object) -> str:
    return f"{kind} {name} {version}"


def record_releases(log: Log, plugins: Plugins) -> None:
    """Record the installed release for each extractor and generator of a new version."""
    recorded = log.parsed(_FACT, "{}", _read)
    owners = dict(_owners(plugins))
    kept = {
        _key(provider.kind, provider.name, provider.version): provider.made_by
        for provider in kept_providers(log, plugins)
        if provider.made_by
    }
    if owners.keys() | kept.keys() == recorded.keys():
        return
    releases = kept | {key: recorded.get(key) or _release(plugins, owner) for key, owner in owners.items()}
    with log.writing():
        log.remember(_FACT, json.dumps(releases))


def changed_releases(log: Log, plugins: Plugins) -> Iterator[tuple[str, str, str]]:
    """Yield results of another release than the installed one: (name, made by, installed)."""
    recorded = log.parsed(_FACT, "{}", _read)
    for key, owner in _owners(plugins):
        installed = _release(plugins, owner)
        if recorded.get(key, installed) != installed:
            yield key.rpartition(" ")[0], recorded[key], installed


def _owners(plugins: Plugins) -> Iterator[tuple[str, str]]:
    """Yield the key and the plugin of each extractor and generator that patina does not provide."""
    extractors = [(spec.name, spec.version) for spec in plugins.extractors()]
    generators = [(spec.name, spec.version) for spec in plugins.pair_generators()]
    for name, version in extractors:
        if (owner := plugins.owner(EXTRACTORS, name)) != BUILTIN:
            yield _key(EXTRACTORS.noun, name, version), owner
    for name, version in generators:
        if (owner := plugins.owner(GENERATORS, name)) != BUILTIN:
            yield _key(GENERATORS.noun, name, version), owner


def _release(plugins: Plugins, plugin: str) -> str:
    distribution = plugins.distribution_of(plugin)
    version = installed_version(distribution) if distribution else ""
    return f"{distribution} {version}" if version else plugin


def _read(stored: object) -> dict[str, str]:
    """Read what `record_releases` wrote; raise ValueError for anything else."""
    return read_mapping(str, stored)
