"""Find the lines of keys in a TOML text, for error messages; the parser does not report them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from patina_hooks.config.schema import KeyPath, SchemaError

_HEAD: Final = re.compile(r"\s*\[\[?\s*(?P<keys>[^\]]+)\]")
_ASSIGNMENT: Final = re.compile(
    r"\s*(?P<keys>(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)
_KEY: Final = re.compile(r"[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'")
_LINE: Final = re.compile(r"line (\d+)")


def find_key_line(text: str, path: KeyPath) -> int:
    """Return the line of a key, else of the innermost table around it, else 1."""
    lines: dict[KeyPath, int] = {}
    for keys, line in _keys(text):
        for length in range(1, len(keys) + 1):
            lines.setdefault(keys[:length], line)
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 1)


def explain_syntax(error: ValueError, file: str) -> str:
    """Return the message of a TOML parser with file and line."""
    line = _LINE.search(str(error))
    return f"{file}:{line[1] if line else 1}: {error}"


def explain(error: SchemaError, file: str, text: str) -> str:
    """Return the message of an invalid value with file and line."""
    return error.explain(file, find_key_line(text, error.path))


def _keys(text: str) -> Iterator[tuple[KeyPath, int]]:
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if assignment := _ASSIGNMENT.match(line):
            yield (*table, *_split(assignment["keys"])), number
        elif head := _HEAD.match(line):
            table = _split(head["keys"])
            yield table, number


def _split(keys: str) -> KeyPath:
    return tuple(key.strip("\"'") for key in _KEY.findall(keys))
