"""The tips: live refs and work trees' HEADs, and what changed in the commit graph since the last look."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from patina_hooks.errors import GitError
from patina_hooks.git.repository import Ref, Repository, WorkTree

SESSION_TAGS = "refs/tags/session-*"
_SESSION_TAG = re.compile(r"refs/tags/session-(\d{8}-\d{6})(?:-([a-z0-9_-]+?))?-(start|end)")


@dataclass(frozen=True, slots=True)
class Tip:
    """One live tip. kind: "branch", "tag" (of a session) or "head" (of a work tree).

    session, adapter, side ("start" or "end"): what a session tag's name says.
    skipped: why a session tag counts for nothing, else "".
    """

    name: str
    kind: str
    oid: str
    target: str | None
    dated: int | None = None
    session: str | None = None
    adapter: str | None = None
    side: str | None = None
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Tips:
    """All tips at one moment, and the work trees that hold drafts."""

    tips: dict[str, Tip]
    work_trees: tuple[WorkTree, ...]

    def targets(self, *kinds: str) -> set[str]:
        """The commits that tips of these kinds (of every kind, if none is named) peel to."""
        chosen = (tip for tip in self.tips.values() if not kinds or tip.kind in kinds)
        return {tip.target for tip in chosen if tip.target}


@dataclass(frozen=True, slots=True)
class GraphChange:
    """Commits that became reachable (newest first) and that ceased to be.

    side: session tags' commits that no branch and no HEAD reaches.
    """

    added: list[str]
    gone: list[str]
    side: set[str]


def read_tips(repository: Repository, known: dict[str, Tip]) -> Tips:
    """What is live now. A tag that `known` holds with the same object id is not opened again."""
    work_trees = tuple(repository.work_trees())
    tips = {
        name: Tip(name, "head", tree.head, tree.head)
        for tree in work_trees
        if tree.head
        for name in [f"HEAD {tree.path}"]
    }
    fresh = []
    for name, oid in repository.names_of_refs("refs/heads/", SESSION_TAGS):
        old = known.get(name)
        if old and old.oid == oid:
            tips[name] = old
        else:
            fresh.append((name, oid))
    for ref in repository.peel(fresh):
        branch = ref.name.startswith("refs/heads/")
        tips[ref.name] = Tip(ref.name, "branch", ref.oid, ref.commit) if branch else _tag(ref)
    return Tips(tips, work_trees)


def _tag(ref: Ref) -> Tip:
    name = ref.name
    match = _SESSION_TAG.fullmatch(name)
    if not match:
        return Tip(name, "tag", ref.oid, None, skipped="not a session tag's name")
    if not is_date(match[1]):
        return Tip(name, "tag", ref.oid, None, skipped="no such date")
    if ref.commit is None:
        return Tip(name, "tag", ref.oid, None, skipped="tags no commit that is here")
    return Tip(name, "tag", ref.oid, ref.commit, ref.dated, match[1], match[2], match[3])


def is_date(session: str) -> bool:
    """Whether a session id names a moment that the calendar has."""
    try:
        datetime.strptime(session, "%Y%m%d-%H%M%S")
    except ValueError:
        return False
    return True


def load_tips(connection: sqlite3.Connection) -> dict[str, Tip]:
    """The tips as the last reconcile left them."""
    rows = connection.execute(
        "SELECT name, kind, oid, target, dated, session, adapter, side, skipped FROM tip"
    ).fetchall()
    return {row[0]: Tip(*row) for row in rows}


def store_tips(connection: sqlite3.Connection, old: dict[str, Tip], new: dict[str, Tip]) -> None:
    """Write what differs."""
    connection.executemany("DELETE FROM tip WHERE name = ?", [(n,) for n in old.keys() - new.keys()])
    connection.executemany(
        "INSERT OR REPLACE INTO tip VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (t.name, t.kind, t.oid, t.target, t.dated, t.session, t.adapter, t.side, t.skipped)
            for name, t in new.items()
            if old.get(name) != t
        ],
    )


def graph_change(
    repository: Repository,
    old: dict[str, Tip],
    new: Tips,
    side: set[str],
    *,
    whole: Mapping[str, bool] | None,
) -> GraphChange:
    """Which commits came and went, in proportion to the change where git still has the old tips.

    side: the side commits of the last time. whole: all known commits and whether each was cut off at a
    shallow border, to compare reachability anew with (a first sync, a moved border, pruned old tips); None to
    follow the change.
    """
    before = Tips(old, ())
    if whole is None:
        try:
            return _follow(repository, before, new, side)
        except GitError:
            raise PrunedTips from None
    live = repository.reachable(new.targets())
    return GraphChange(
        added=[oid for oid in live if whole.get(oid, True)],
        gone=sorted(whole.keys() - set(live)),
        side=_side(repository, new),
    )


class PrunedTips(Exception):
    """The old tips are no longer in the object database: reachability must be computed anew."""


def _follow(repository: Repository, old: Tips, new: Tips, side: set[str]) -> GraphChange:
    came = new.targets() - old.targets()
    left = old.targets() - new.targets()
    # Tags stay out of the exclusions: there are many, and what they reach is nearly always a branch's.
    added = repository.reachable(came, old.targets("branch", "head") | side) if came else []
    off_trunk = repository.reachable(left, new.targets("branch", "head")) if left else []
    gone = repository.reachable(left, new.targets()) if off_trunk else []
    tags_moved = old.targets("tag") != new.targets("tag")
    trunk_moved = old.targets("branch", "head") != new.targets("branch", "head")
    if tags_moved or off_trunk or (side and trunk_moved):
        side = _side(repository, new)
    return GraphChange(added, gone, side)


def _side(repository: Repository, new: Tips) -> set[str]:
    tags = new.targets("tag")
    if not tags:
        return set()
    return tags.intersection(repository.reachable(tags, new.targets("branch", "head")))
