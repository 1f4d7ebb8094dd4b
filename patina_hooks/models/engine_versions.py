"""The installed software that computes a model's vectors: once it changed, vectors have to be compared.

An `EngineVersions` value is read from metadata and file times without importing a runtime, so that every sync
and every question can compare it with the recorded one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.plugins.distributions import installed_version

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.models import RuntimeSpec

_OWN: Final = "patina-hooks"


@dataclass(frozen=True, slots=True)
class EngineVersions:
    """The software that computes vectors.

    releases: "distribution version" of the plugins of runtime and model, and of the engines.
    change_token: a hash of the plugin's file times, which shows an edited or reinstalled version.
    """

    releases: tuple[str, ...]
    change_token: str = ""

    @property
    def key(self) -> str:
        """A string that is equal for equal engine versions."""
        return "; ".join((*self.releases, self.change_token))

    def list_new(self, before: str) -> str:
        """Name the releases that the recorded key `before` does not have."""
        return ", ".join(release for release in self.releases if release not in before.split("; "))


UNKNOWN_VERSIONS: Final = EngineVersions(())


@lru_cache(maxsize=16)
def read_engine_versions(plugins: Plugins, model: str, provider: str) -> EngineVersions:
    """Read the engine versions of a model in a runtime, once for each set of loaded plugins.

    A process continues to run what it has imported, whatever is installed meanwhile.

    Args:
        plugins: the loaded plugins.
        model: a model's name.
        provider: the name under which `plugins` finds the runtime.
    """
    runtime = plugins.runtime(provider)
    engines = (module.partition(".")[0].replace("_", "-") for module in runtime.modules)
    names = dict.fromkeys([*plugins.distributions_of(model, provider), *engines, _OWN])
    releases = tuple(f"{name} {version}" for name in names if (version := installed_version(name)))
    return EngineVersions(releases, _change_token(runtime))


def _change_token(runtime: RuntimeSpec) -> str:
    """Hash names, sizes and times of the user's settings and of the package that opens models."""
    from patina_hooks.config.settings import user_file

    files = [user_file(), *_files_of_package(runtime.factory.partition(":")[0])]
    facts = [(path.name, stat.st_size, stat.st_mtime_ns) for path in files if (stat := _stat(path))]
    return sha256(repr(facts).encode()).hexdigest()[:16]


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _files_of_package(module: str) -> list[Path]:
    """List the Python files of a module's package, or the module where it is in none."""
    from importlib.util import find_spec

    try:
        spec = find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    folders = map(Path, spec.submodule_search_locations or ())
    return sorted(path for folder in folders for path in folder.rglob("*.py")) or [Path(spec.origin or "")]
