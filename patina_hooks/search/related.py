"""Related paths and sessions of a file."""

from __future__ import annotations

import os
import shlex
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from patina_hooks.errors import UsageError
from patina_hooks.search.filters.paths import near_paths, recorded_path
from patina_hooks.store.search.paths import (
    commits_of_path,
    count_commits_of_path,
    paths_of_commit,
    visits_of_path,
)

_MOST_PATHS = 50
_MOST_COMMITS = 2_000


@dataclass(frozen=True, slots=True)
class Companion:
    """A path that changed in the same commits. weight: the sum of 1/(n-1) over commits of n paths."""

    path: str
    commits: int
    weight: float


@dataclass(frozen=True, slots=True)
class Visit:
    """A session whose commits touched the file, and how many of them did."""

    session: str
    title: str
    commits: int


@dataclass(frozen=True, slots=True)
class Related:
    """The result for a path.

    commits: how many touched the path.
    companions, sessions: the strongest and latest first.
    """

    path: str
    commits: int
    companions: tuple[Companion, ...]
    sessions: tuple[Visit, ...]


def related(connection: sqlite3.Connection, root: Path, path: str, limit: int) -> Related:
    """Find paths and sessions related to a path.

    Companions are those of the latest two thousand commits, without commits of more than fifty paths.

    Raises:
        UsageError: no recorded commit touched the path.
    """
    path = recorded_path(connection, path)
    touched = commits_of_path(connection, path, _MOST_COMMITS)
    if not touched:
        raise _unknown_path(connection, root, path)
    weights: dict[str, tuple[int, float]] = {}
    for number, paths in touched:
        if 1 < paths <= _MOST_PATHS:
            _weigh(connection, number, 1 / (paths - 1), weights)
    weights.pop(path, None)
    best = sorted(weights.items(), key=lambda item: (-item[1][1], item[0]))[:limit]
    return Related(
        path=path,
        commits=count_commits_of_path(connection, path),
        companions=tuple(Companion(name, count, weight) for name, (count, weight) in best),
        sessions=tuple(Visit(*visit) for visit in visits_of_path(connection, path)[:limit]),
    )


def _unknown_path(connection: sqlite3.Connection, root: Path, path: str) -> UsageError:
    """Suggest recorded files like a path, written as from the current folder."""
    if not path:
        return UsageError("the root is a folder, not a file", hint="git ls-files")
    near = near_paths(connection, path)
    if not near:
        hint = f"git log --oneline -- {shlex.quote(f':/{path}')}"
        return UsageError(f"no recorded commit touched {path!r}", hint=hint)
    is_folder = near[0].startswith(f"{path.rstrip('/')}/")
    message = f"{path!r} is a folder, not a file" if is_folder else f"no recorded commit touched {path!r}"
    hint = f"patina scry --file {shlex.quote(os.path.relpath(root / near[0]))}"
    return UsageError(f"{message}; {'it holds' if is_folder else 'similar'}: {', '.join(near)}", hint=hint)


def _weigh(
    connection: sqlite3.Connection, commit: int, share: float, weights: dict[str, tuple[int, float]]
) -> None:
    for name in paths_of_commit(connection, commit):
        count, weight = weights.get(name, (0, 0.0))
        weights[name] = (count + 1, weight + share)
