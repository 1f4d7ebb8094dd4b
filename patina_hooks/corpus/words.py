"""Words for the lexical index: identifiers are found whole and by their parts.

FTS5's unicode61 splits at punctuation and underscores already; what it cannot see is CamelCase. The parts
of such a word are added at the end, so that `getHTTPResponse` is found by "http response".
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_CAPITAL = re.compile(r"[A-Z]")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def with_parts(text: str) -> str:
    """The text, followed by the parts of its CamelCase words."""
    # Two patterns that each look at a letter once: one for both would go back over a long word.
    camels = (word for word in _WORD.findall(text) if _CAPITAL.search(word, 1))
    parts = [part for word in camels if len(found := _PARTS.findall(word)) > 1 for part in found]
    return f"{text} {' '.join(parts)}" if parts else text
