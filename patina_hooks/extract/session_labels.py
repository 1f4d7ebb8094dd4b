"""Classify headings and labels by their words, with tables of data."""

from __future__ import annotations

import re
from typing import NamedTuple

_QUALIFIERS = frozenset(
    {
        *("key", "major", "main", "core", "final", "important", "critical", "overall", "strategic"),
        *("technical", "architectural", "architecture", "design", "additional", "initial", "original"),
    }
)

_LEADING = {
    "decision": "decision",
    "decisions": "decision",
    "pattern": "pattern",
    "patterns": "pattern",
    "insight": "pattern",
    "insights": "pattern",
    "lesson learned": "pattern",
    "lessons learned": "pattern",
    "beliefs captured": "pattern",
    "work completed": "work",
    "work done": "work",
    "completed work": "work",
    "accomplishment": "work",
    "accomplishments": "work",
    "achievement": "work",
    "achievements": "work",
    "challenge": "challenge",
    "challenges": "challenge",
    "blockers": "challenge",
    "problems encountered": "challenge",
    "issues encountered": "challenge",
    "next step": "next",
    "next steps": "next",
    "next action": "next",
    "next actions": "next",
    "remaining work": "next",
    "future work": "next",
    "future recommendations": "next",
    "recommendations for next session": "next",
    "discussion": "discussion",
    "discussions": "discussion",
    "goals": "goal",
    "previous session": "context",
    "previous context": "context",
    "session context": "context",
    "user prompt": "prompt",
    "user prompts": "prompt",
    "user request": "prompt",
    "user requests": "prompt",
    "activity log": "activity",
}
"""Words that name a kind, whatever follows: "Key Decisions and Reasoning"."""

_WHOLE = {
    "completed": "work",
    "problem": "challenge",
    "problems": "challenge",
    "next": "next",
    "todo": "next",
    "follow up": "next",
    "context": "discussion",
    "goal": "goal",
    "objective": "goal",
    "objectives": "goal",
    "user": "prompt",
    "note": "note",
    "notes": "note",
    "claude": "activity",
    "assistant": "activity",
}
"""Words that name a kind only by themselves: "Next", but not "Next.js"."""

_USUAL = frozenset(
    {
        *("a", "an", "and", "as", "at", "by", "during", "for", "from", "in", "of", "on", "or", "the", "to"),
        *("this", "that", "these", "it", "s", "they", "we", "i", "you", "our", "my", "all", "also", "more"),
        *("what", "when", "where", "which", "why", "how", "should", "other", "with"),
        *("is", "are", "was", "has", "have", "had", "did", "do", "does", "done", "got", "made", "used"),
        *("added", "captured", "changed", "completed", "created", "discovered", "encountered", "faced"),
        *("fixed", "found", "happened", "identified", "implemented", "learned", "matters", "modified"),
        *("needed", "observed", "removed", "resuming", "taken", "updated"),
        *("key", "major", "main", "final", "important", "critical", "overall", "technical", "additional"),
        *("new", "next", "now", "current", "previous", "future", "remaining", "period", "session", "context"),
        *("summary", "overview", "introduction", "background", "details", "status", "conclusion"),
        *("conclusions", "outcome", "outcomes", "results", "findings", "discoveries", "observations"),
        *("insights", "lessons", "notes", "reasoning", "rationale", "decision", "decisions", "goals"),
        *("challenges", "problem", "problems", "solution", "solutions", "work", "steps", "files", "commits"),
        *("change", "changes", "update", "updates", "improvements", "implementation", "features"),
        *("benefits", "impact"),
    }
)
"""Words that are not distinctive: "Challenges Faced and Solutions", "What We Did", "Summary of Changes"."""

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"#\d|\d\.\d")
_LONGEST_PHRASE = max(phrase.count(" ") + 1 for phrase in _LEADING)
_CLOCK = re.compile(r"(?<![\d:])\d{1,2}:\d{2}")
_TIME = re.compile(r"\[?~?\d{1,2}:\d{2}(?::\d{2})?(?:\s{0,3}[-\u2013]\s{0,3}~?\d{1,2}:\d{2})?\]?(?!\S)")
_BOILERPLATE = re.compile(
    r"(?:session start|session end|(?:final )?update|note)\s*(?:\[[^\s\]]*\]|\(covering [^)]*\))?$",
    re.IGNORECASE,
)


class Entry(NamedTuple):
    """A heading that starts with a time: `### 14:05 - Fixed the parser`.

    time: HH:MM, the end of a range.
    kind: of its content, None for a bare time.
    text: of the heading, "" for the headings that tools write.
    """

    time: str
    kind: str | None
    text: str


def kind_of(name: str) -> str | None:
    """Return the kind that a heading or label names, None if it names none."""
    return _split_name(name)[0]


def has_distinctive_words(name: str) -> bool:
    """Whether a heading or label has distinctive words, in addition to those of a kind.

    The number of a version or of an issue is one. A name without any word is distinctive.
    """
    kind, words = _split_name(name)
    if _NUMBER.search(name.lstrip("0123456789. ")) or (kind is None and not words):
        return True
    return not _USUAL.issuperset(words)


def _split_name(name: str) -> tuple[str | None, list[str]]:
    """Split a name into the kind at its start, None if it has none, and the remaining words."""
    outside, _, inside = name.lower().partition("(")
    words, inner_words = _WORD.findall(outside), _WORD.findall(inside)
    first = next((index for index, word in enumerate(words[:-1]) if word not in _QUALIFIERS), len(words) - 1)
    words = words[max(first, 0) :]
    if whole := _WHOLE.get(" ".join(words)):
        return whole, inner_words
    for length in range(_LONGEST_PHRASE, 0, -1):
        if kind := _LEADING.get(" ".join(words[:length])):
            return kind, [*words[length:], *inner_words]
    return None, [*words, *inner_words]


def parse_timed_entry(title: str) -> Entry | None:
    """Parse a heading with a time at its start, None without a time."""
    time = _TIME.match(title)
    if time is None:
        return None
    text = title[time.end() :].lstrip(" \t-\u2013\u2014:")
    last = _CLOCK.findall(time[0])[-1].zfill(5)
    if not text:
        return Entry(last, None, "")
    kind = "note" if re.match(r"note\b", text, re.IGNORECASE) else kind_of(text) or "activity"
    is_from_tool = _BOILERPLATE.match(text) or (kind == "prompt" and not has_distinctive_words(text))
    return Entry(last, kind, "" if is_from_tool else text)


def is_session_start(title: str) -> bool:
    """Whether a heading is `### HH:MM - Session Start`, whose lines repeat the document's head."""
    return _TIME.match(title) is not None and title.lower().endswith("session start")
