"""Commits that say the same: a merge, a squash and a cherry-pick repeat a subject, and are one answer.

Two result groups are duplicates where one of their texts is the same: the observation that would be shown,
the subject of its commit, or what a merge says of the branch that it merges. Case, list marks, a number in
brackets at the end ("(#12)") and a full stop do not count. Sessions are answers of their own: a commit joins
a session, and a session never joins another one. A revert says another text and stays.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from patina_hooks.specs.retrieval import Group
from patina_hooks.store.search.answers import read_repeated_texts

_MARK = re.compile(r"^(?:[*+-]|\d+[.)])\s+")
_NUMBER = re.compile(r"\s*\((?:#|!|gh-)\d+\)$")


@dataclass(frozen=True, slots=True)
class RepeatableTexts:
    """What a result group would show. texts: in comparable form; is_merge, committed: of its commit."""

    texts: frozenset[str]
    oid: str = ""
    is_merge: bool = False
    committed: int = 0


@dataclass(slots=True)
class Duplicates:
    """Result groups that are one answer, best first."""

    groups: list[Group] = field(default_factory=list)

    @property
    def best(self) -> Group:
        """The one whose score counts."""
        return self.groups[0]

    @property
    def has_session(self) -> bool:
        """Whether one of them is a session."""
        return any(kind == "session" for kind, _ in self.groups)

    def original(self, texts: Mapping[Group, RepeatableTexts]) -> Group:
        """Return the one to show: a session before commits, a change before its merges, the oldest first."""

        def order(group: Group) -> tuple[bool, bool, int, Group]:
            commit = texts[group]
            return (group[0] == "commit", commit.is_merge, commit.committed, group)

        return min(self.groups, key=order) if len(self.groups) > 1 else self.best


def group_duplicates(groups: Iterable[Group], texts: Mapping[Group, RepeatableTexts]) -> list[Duplicates]:
    """Join result groups, given best first; an answer stands where its best group stood."""
    answers: list[Duplicates] = []
    by_text: dict[str, Duplicates] = {}
    for group in groups:
        own = texts[group].texts if group in texts else frozenset()
        answer = next((by_text[text] for text in sorted(own) if text in by_text), None)
        if answer is None or (group[0] == "session" and answer.has_session):
            answer = Duplicates()
            answers.append(answer)
        answer.groups.append(group)
        for text in own:
            by_text.setdefault(text, answer)
    return answers


def repeatable_texts(
    connection: sqlite3.Connection, observations: Mapping[Group, int]
) -> dict[Group, RepeatableTexts]:
    """Return what sessions and commits say by the observation (its id) that each would show."""
    by_id = {
        row.number: RepeatableTexts(
            frozenset(_comparable((row.text, row.subject, row.merged))),
            row.oid,
            bool(row.merge),
            row.committed or 0,
        )
        for row in read_repeated_texts(connection, observations.values())
    }
    return {group: by_id[number] for group, number in observations.items() if number in by_id}


def _comparable(texts: Iterable[str | None]) -> Iterator[str]:
    for text in texts:
        plain = _MARK.sub("", " ".join((text or "").casefold().split()))
        plain = _NUMBER.sub("", plain.rstrip(" .")).rstrip(" .")
        if plain:
            yield plain
