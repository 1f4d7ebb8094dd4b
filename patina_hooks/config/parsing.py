"""TOML and JSON of strangers: a value of a sane shape, or a ValueError, whatever the text.

A deep nest is a RecursionError or MemoryError of the parser, a long number a ValueError of int() or, in
hexadecimal, of the repr() that would show it.
"""

from __future__ import annotations

import json
from typing import Any

_DEEPEST = 32
_LARGEST = 1 << 128  # repr() of a longer one may fail


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError, whose text names the line where it is known."""
    import tomli

    try:
        tables = tomli.loads(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {_DEEPEST} levels") from None
    except MemoryError:
        raise ValueError("too large") from None
    except tomli.TOMLDecodeError:
        raise
    except ValueError:  # more digits than int() takes
        raise ValueError("a number is too large") from None
    _refuse_extremes(tables)
    return tables


def parse_json(data: str | bytes) -> Any:  # noqa: ANN401 (JSON is what it is)
    """Parse JSON. Raises ValueError."""
    try:
        return json.loads(data)
    except (RecursionError, MemoryError):
        raise ValueError("nested too deep, or too large") from None


def _refuse_extremes(value: object, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST} levels")
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise ValueError("a number is too large")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        _refuse_extremes(child, depth + 1)
