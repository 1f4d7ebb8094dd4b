"""The parts that scanners of markup yield, and functions of lines that all scanners share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from patina_hooks.text.markdown import TextLine

PartKind = Literal["heading", "paragraph", "item", "code", "table", "omitted", "end"]

RULE = "rule"
HEADING = "heading"
BADGE = "badge"
COMMENT = "comment"
FRONT_MATTER = "front matter"
LINK_DEFINITION = "link definition"
CONTENTS = "table of contents"
NO_TEXT = "markup without text"
DIRECTIVE = "directive"

_LONGEST_MARKUP = 2_000  # characters of a line that is searched for badges and tags
_MARKER = re.compile(r"[ \t]*(?:[-*+•]|#\.|\(?(?:\d{1,9}|[A-Za-z])[.)])[ \t]+\S")
_IMAGE = r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])"
_IMAGES = re.compile(rf"(?:(?:\[{_IMAGE}\](?:\([^)]*\)|\[[^\]]*\])|{_IMAGE})[\s\\]*)+")
_TAGS = re.compile(r"(?:\s*</?[A-Za-z][^<>]*>)+\s*")
_BADGE_HOSTS = re.compile(
    r"badge|shields\.io|travis-ci|codecov|coveralls|appveyor|circleci|readthedocs\.org/projects",
    re.IGNORECASE,
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive lines of one kind, as written.

    kind: "end" has no lines: it ends the sections of its level and below.
    text: the title of a heading, or the reason of an omitted part.
    level: of a heading, from 1.
    leads: whether the part introduces the next one.
    """

    kind: PartKind
    lines: tuple[TextLine, ...]
    text: str = ""
    level: int = 0
    leads: bool = False

    @property
    def first(self) -> int:
        return self.lines[0].number

    @property
    def last(self) -> int:
        return self.lines[-1].number


def omitted(lines: Sequence[TextLine], reason: str) -> Part:
    """Build an omitted part."""
    return Part("omitted", tuple(lines), reason)


def paragraph(lines: Sequence[TextLine]) -> Part:
    """Build a paragraph; a colon at its end introduces the next part."""
    return Part("paragraph", tuple(lines), leads=lines[-1].text.rstrip().endswith((":", ":**", ":__")))


def is_blank(line: TextLine) -> bool:
    return not line.text.strip()


def indentation(text: str) -> int:
    """Count the columns before the first character; a tab counts four."""
    blank = text[: len(text) - len(text.lstrip(" \t"))]
    return len(blank) + 3 * blank.count("\t")


def is_item(text: str) -> bool:
    """Return whether a line starts a list item, in any of the markups."""
    return bool(_MARKER.match(text))


def indented_end(lines: Sequence[TextLine], start: int, margin: int) -> int:
    """Find the end of the lines from `start` on that are blank or indented deeper than `margin`."""
    end = index = start
    while index < len(lines) and (is_blank(lines[index]) or indentation(lines[index].text) > margin):
        index += 1
        end = end if is_blank(lines[index - 1]) else index
    return end


def run_end(lines: Sequence[TextLine], start: int) -> int:
    """Find the end of the lines from `start` on that are not blank."""
    end = start
    while end < len(lines) and not is_blank(lines[end]):
        end += 1
    return end


def is_adornment(text: str, signs: str, least: int = 3) -> bool:
    """Return whether a line repeats one of these signs."""
    plain = text.strip()
    return len(plain) >= least and plain[0] in signs and plain == plain[0] * len(plain)


def markup_reason(text: str) -> str:
    """Return the reason to omit a line of Markdown or HTML, "" if it has text."""
    if len(text) > _LONGEST_MARKUP:
        return ""
    if _IMAGES.fullmatch(text.strip()):
        return BADGE if _BADGE_HOSTS.search(text) else ""
    if _TAGS.fullmatch(text):
        return BADGE if "<img" in text.lower() and _BADGE_HOSTS.search(text) else NO_TEXT
    return ""


def link_target(text: str) -> str:
    """Return the target of a text that is a single link, "" for another text."""
    link = _LINK.fullmatch(text.strip().rstrip(".")) if len(text) <= _LONGEST_MARKUP else None
    return link[1] if link else ""
