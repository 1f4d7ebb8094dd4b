"""The git version that patina needs, and the variables of git that its children inherit."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Final

# The user decides where configuration is and how far git searches for a repository; everything else that git
# or a caller exports (GIT_DIR, GIT_INDEX_FILE, ...) would point a child at another repository or index.
_INHERITED: Final = frozenset(
    {
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CEILING_DIRECTORIES",
        "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    }
)
SAFE_DIRECTORY: Final = "safe.directory"
_MOST_KEYS: Final = 1_000
OLDEST_GIT: Final = (2, 31)
"""The first version with GIT_CONFIG_COUNT, `rev-parse --path-format` and `--diff-merges=first-parent`."""


def oldest_git() -> str:
    """Format the oldest version of git that is supported."""
    return ".".join(map(str, OLDEST_GIT))


def is_dropped(name: str) -> bool:
    """Return whether git children and the worker do not inherit a variable."""
    return name.startswith("GIT_") and name not in _INHERITED


def trusted_folders(environment: Mapping[str, str]) -> list[str]:
    """Read the values of `safe.directory` in the environment, in git's order.

    Containers name the folders of other owners there, because git takes this key from no repository. No other
    key of GIT_CONFIG_COUNT or of `git -c` (GIT_CONFIG_PARAMETERS) is read.
    """
    return [*_counted(environment), *_parameters(environment.get("GIT_CONFIG_PARAMETERS", ""))]


def configuration_variables(settings: list[tuple[str, str]]) -> dict[str, str]:
    """Build GIT_CONFIG_COUNT, GIT_CONFIG_KEY_<n> and GIT_CONFIG_VALUE_<n> for a child."""
    if not settings:
        return {}
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def trust_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Build the variables that pass on `safe.directory`, and nothing else."""
    return configuration_variables([(SAFE_DIRECTORY, folder) for folder in trusted_folders(environment)])


def _counted(environment: Mapping[str, str]) -> Iterator[str]:
    count = environment.get("GIT_CONFIG_COUNT", "").strip()
    if not (count.isascii() and count.isdigit() and len(count) < 10):
        return
    for number in range(min(int(count), _MOST_KEYS)):
        value = environment.get(f"GIT_CONFIG_VALUE_{number}")
        if environment.get(f"GIT_CONFIG_KEY_{number}", "").lower() == SAFE_DIRECTORY and value is not None:
            yield value


def _parameters(quoted: str) -> Iterator[str]:
    """Parse the export of `git -c`: 'key'='value', or 'key=value' before git 2.31."""
    try:
        words = shlex.split(quoted)
    except ValueError:
        return
    for word in words:
        key, equals, value = word.partition("=")
        if key.lower() == SAFE_DIRECTORY and equals:
            yield value
