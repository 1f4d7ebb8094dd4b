"""Parse untrusted TOML and JSON: return a value of bounded depth, or raise ValueError.

Deep nesting is a RecursionError or MemoryError of the parser, a long number a ValueError of int() or, in
hexadecimal, of the repr() in a message.
"""

from __future__ import annotations

import json
from typing import Any

_DEEPEST = 32
_LARGEST = 1 << 128  # repr() of a longer one may fail


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError, with the line if the parser reports it."""
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


def parse_json(data: str | bytes) -> Any:  # noqa: ANN401 (any JSON)
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
