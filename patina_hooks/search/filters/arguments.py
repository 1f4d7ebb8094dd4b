"""Check the arguments of the Python API, and convert them for a search.

A notebook has no option parser: an invalid argument is a `UsageError` with the expected value, never an empty
answer.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from numbers import Real
from operator import index
from pathlib import Path
from typing import get_args

from patina_hooks.errors import UsageError
from patina_hooks.search.query import Mode, Query
from patina_hooks.specs.sources import COLLECTIONS
from patina_hooks.store.log import escape_name

_BOUND = 1 << 63
"""Of SQLite's integers."""


def checked_query(
    root: Path,
    text: object,
    *,
    limit: object,
    mode: Mode,
    collections: str | Iterable[str] = (),
    kinds: str | Iterable[str],
    session: str | None,
    since: float | None,
    until: float | None,
    ref: str | None,
    path: str | os.PathLike[str] | None,
    fields: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    rewriters: Iterable[str] | None = None,
    rerankers: Iterable[str] | None = None,
    filters: Iterable[str] | None = None,
) -> Query:
    """Build a query from the arguments of `Patina.search`; see there. Raises `UsageError`.

    root: of the work tree, absolute; the query's path is relative to it.
    """
    if mode not in get_args(Mode):
        raise UsageError(f"there is no mode {mode!r}", hint=f"one of {', '.join(get_args(Mode))}")
    named = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(named, Iterable):
        raise UsageError(f"kinds is {kinds!r}; expected a kind, or several")
    return Query(
        text=checked_text("the question", text),
        limit=checked_limit(limit),
        mode=mode,
        collections=_collections(collections),
        kinds=tuple(checked_text("a kind", kind) for kind in named),
        session=checked_text("session", session) if session else None,
        since=_moment("since", since),
        until=_moment("until", until),
        ref=_for_the_system("ref", ref) if ref else None,
        path=from_root(root, path) if path else None,
        fields=_checked_fields(fields),
        rewriters=_names("rewriters", rewriters),
        rerankers=_names("rerankers", rerankers),
        filters=_names("filters", filters),
    )


def _collections(names: str | Iterable[str]) -> tuple[str, ...]:
    named = _names("collections", [names] if isinstance(names, str) else names) or ()
    for name in named:
        if name not in COLLECTIONS:
            raise UsageError(f"there is no collection {name!r}", hint=f"one of {', '.join(COLLECTIONS)}")
    return named


def _names(argument: str, names: Iterable[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UsageError(f"{argument} is {names!r}; expected a list of names")
    return tuple(checked_text(f"a name in {argument}", name) for name in names)


def _checked_fields(fields: object) -> tuple[tuple[str, str], ...]:
    """Return the names and values of fields, each once, in an order of their own."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    if not isinstance(pairs, Iterable):
        raise UsageError(f"fields is {fields!r}; expected names and values")
    checked = []
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise UsageError(f"fields holds {pair!r}; expected a name and a value")
        checked.append((checked_text("a field", pair[0]), checked_text("a field's value", pair[1])))
    return tuple(sorted(set(checked)))


def checked_limit(limit: object) -> int:
    """Check the number of answers: an integer of 1 or more, numpy's too. Raises `UsageError`."""
    try:
        number = index(limit)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if not 0 < number < _BOUND:
        raise UsageError(f"limit is {limit!r}; expected a whole number of 1 or more")
    return number


def from_root(root: Path, path: str | os.PathLike[str]) -> str:
    """Convert a path, relative to the root or absolute, to the log's form, "" for the root.

    The path need not exist. Raises `UsageError` if it is outside of the root.
    """
    absolute = root / _for_the_system("path", os.fspath(path) if isinstance(path, os.PathLike) else path)
    # Absolute ones may lead to the root through a link; what is below it may be a link itself.
    for place in (absolute, Path(os.path.realpath(absolute.parent), absolute.name)):
        inside = Path(os.path.relpath(place, root))
        if os.pardir not in inside.parts:
            return escape_name(inside.as_posix()) if inside.parts else ""
    raise UsageError(f"{os.fspath(path)!r} is outside of this repository, {root}")


def _string(label: str, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{label} is {value!r}; expected a string")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageError(f"{label} is {value!r}, which is not valid text: {error.reason}") from error
    return value


def _for_the_system(label: str, value: object) -> str:
    """Check a string that is an argument of git or a path."""
    text = _string(label, value)
    if "\0" in text:
        raise UsageError(f"{label} is {value!r}; no such name can hold a NUL")
    return text


def checked_text(label: str, value: object) -> str:
    """Convert a string to the log's form of names. Raises `UsageError`."""
    return escape_name(_string(label, value))


def _moment(label: str, value: object) -> int | None:
    """Convert a moment to whole seconds since 1970, rounded up."""
    if value is None:
        return None
    try:
        seconds = math.ceil(float(value)) if isinstance(value, Real) else _BOUND
    except (ValueError, OverflowError):  # not a number, infinite
        seconds = _BOUND
    if not -_BOUND <= seconds < _BOUND:
        hint = "of a datetime: moment.timestamp()"
        raise UsageError(f"{label} is {value!r}; expected seconds since 1970", hint=hint)
    return seconds
