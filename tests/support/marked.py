"""Blocks of a Markdown document that carry a mark, so that what is written there can be run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^<!-- (?P<mark>[^\n]+?) -->\n```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block under a comment: `<!-- run -->`, `<!-- prints -->`, `<!-- file: a/b.py -->`.

    `<!-- add: a/b.py -->` adds to the end of a file.
    """

    mark: str
    language: str
    code: str


def marked(document: str) -> list[Block]:
    """The marked blocks of a document (its path from the top of the project), in order."""
    text = (ROOT / document).read_text("utf-8")
    return [Block(found["mark"], found["language"], found["code"]) for found in _BLOCK.finditer(text)]


def files(document: str) -> dict[str, str]:
    """Blocks that say which file they are: name -> content."""
    prefix = "file: "
    return {
        block.mark.removeprefix(prefix): block.code
        for block in marked(document)
        if block.mark.startswith(prefix)
    }
