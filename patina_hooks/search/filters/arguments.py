"""What a caller of the Python API gave, checked, in the form that a search takes.

A notebook has no option parser in front of it: what can mean nothing is a `UsageError` that says what would,
never an empty answer.
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
    """The question with its filters as `Patina.search` takes them. Raises `UsageError`; see there.

    root: the work tree's, absolute; the query's path is from there.
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


def _checked_fields(given: object) -> tuple[tuple[str, str], ...]:
    """Return the names and values of fields, each once, in an order of their own."""
    pairs = given.items() if isinstance(given, Mapping) else given
    if not isinstance(pairs, Iterable):
        raise UsageError(f"fields is {given!r}; expected names and values")
    checked = []
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise UsageError(f"fields holds {pair!r}; expected a name and a value")
        checked.append((checked_text("a field", pair[0]), checked_text("a field's value", pair[1])))
    return tuple(sorted(set(checked)))


def checked_limit(limit: object) -> int:
    """How many answers are wanted: an integer of 1 or more, numpy's too. Raises `UsageError`."""
    try:
        number = index(limit)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if not 0 < number < _BOUND:
        raise UsageError(f"limit is {limit!r}; expected a whole number of 1 or more")
    return number


def from_root(root: Path, path: str | os.PathLike[str]) -> str:
    """A path as the log names it, "" for the root, from one below the root or absolute; it need not exist.

    Raises `UsageError` where it lies outside of the root.
    """
    given = root / _for_the_system("path", os.fspath(path) if isinstance(path, os.PathLike) else path)
    # Absolute ones may lead to the root through a link; what is below it may be a link itself.
    for place in (given, Path(os.path.realpath(given.parent), given.name)):
        inside = Path(os.path.relpath(place, root))
        if os.pardir not in inside.parts:
            return escape_name(inside.as_posix()) if inside.parts else ""
    raise UsageError(f"{os.fspath(path)!r} is outside of this repository, {root}")


def _string(what: str, given: object) -> str:
    if not isinstance(given, str):
        raise UsageError(f"{what} is {given!r}; expected a string")
    try:
        given.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} is {given!r}, which is no text: {error.reason}") from error
    return given


def _for_the_system(what: str, given: object) -> str:
    """A string that may be an argument of git, or lead to a file."""
    text = _string(what, given)
    if "\0" in text:
        raise UsageError(f"{what} is {given!r}; no such name can hold a NUL")
    return text


def checked_text(what: str, given: object) -> str:
    """A string as the log writes names. Raises `UsageError`."""
    return escape_name(_string(what, given))


def _moment(what: str, given: object) -> int | None:
    """Whole seconds since 1970: the first that is not before the moment."""
    if given is None:
        return None
    try:
        seconds = math.ceil(float(given)) if isinstance(given, Real) else _BOUND
    except (ValueError, OverflowError):  # not a number, infinite
        seconds = _BOUND
    if not -_BOUND <= seconds < _BOUND:
        hint = "of a datetime: moment.timestamp()"
        raise UsageError(f"{what} is {given!r}; expected seconds since 1970", hint=hint)
    return seconds
