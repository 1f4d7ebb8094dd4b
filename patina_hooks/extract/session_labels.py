"""What the words of a heading or label say about what stands under it: tables of data."""

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
"""Words that name a kind whatever follows them: "Key Decisions and Reasoning"."""

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
"""Words that name a kind only when they stand alone: "Next", but not "Next.js"."""

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
"""Words of any document: "Challenges Faced and Solutions", "What We Did", "Summary of Changes"."""

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
    """A heading that begins with a time: `### 14:05 - Fixed the parser`.

    time: HH:MM, the later one of a range; kind: what stands under it, None for a bare time; said: what
        the heading itself tells, "" for the headings that tools write.
    """

    time: str
    kind: str | None
    said: str


def kind_of(name: str) -> str | None:
    """The kind that a heading or label names, None for a name that says nothing of kinds."""
    return _told_apart(name)[0]


def says_more(name: str) -> bool:
    """Whether a heading or label has words of its own: beside those of a kind, others than any document has.

    The number of a version or of an issue is one. A name without any word stands for itself.
    """
    kind, words = _told_apart(name)
    if _NUMBER.search(name.lstrip("0123456789. ")) or (kind is None and not words):
        return True
    return not _USUAL.issuperset(words)


def _told_apart(name: str) -> tuple[str | None, list[str]]:
    """The kind that a name begins with, None for none, and the words that are left."""
    outside, _, inside = name.lower().partition("(")
    words, more = _WORD.findall(outside), _WORD.findall(inside)
    first = next((at for at, word in enumerate(words[:-1]) if word not in _QUALIFIERS), len(words) - 1)
    words = words[max(first, 0) :]
    if whole := _WHOLE.get(" ".join(words)):
        return whole, more
    for count in range(_LONGEST_PHRASE, 0, -1):
        if kind := _LEADING.get(" ".join(words[:count])):
            return kind, [*words[count:], *more]
    return None, [*words, *more]


def timed_entry(title: str) -> Entry | None:
    """What a heading with a time at its start tells; None without a time."""
    time = _TIME.match(title)
    if time is None:
        return None
    said = title[time.end() :].lstrip(" \t-\u2013\u2014:")
    last = _CLOCK.findall(time[0])[-1].zfill(5)
    if not said:
        return Entry(last, None, "")
    kind = "note" if re.match(r"note\b", said, re.IGNORECASE) else kind_of(said) or "activity"
    tool_wrote = _BOILERPLATE.match(said) or (kind == "prompt" and not says_more(said))
    return Entry(last, kind, "" if tool_wrote else said)


def is_session_start(title: str) -> bool:
    """`### HH:MM - Session Start`, whose lines repeat the document's head."""
    return _TIME.match(title) is not None and title.lower().endswith("session start")
