"""The tips: live refs and work trees' HEADs, and what changed in the commit graph since the last look."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property

from patina_hooks.corpus.log import name_text
from patina_hooks.corpus.stamps import stamp_of_tags
from patina_hooks.errors import GitError
from patina_hooks.git.repository import Ref, Repository, WorkTree, names_in
from patina_hooks.session_ids import is_session_id, split_tag

SESSION_TAGS = "refs/tags/session-*"
_ABSENT = "tags what is not in this clone"
_NO_COMMIT = "tags no commit"


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


class Tips:
    """All tips at one moment.

    trunk: branches and HEADs by name. tags: session tags by name, opened when they are asked for: there are
    many and they seldom move. listing: a digest of the tags' names and ids, equal where no tag moved; ""
    where it does not settle them. stamp: see `stamps`, "" where the tags must be listed the next time.
    """

    def __init__(
        self,
        trunk: dict[str, Tip],
        load_tags: Callable[[], dict[str, Tip]],
        listing: str,
        stamp: str = "",
    ) -> None:
        self.trunk = trunk
        self.listing = listing
        self.stamp = stamp
        self._load_tags = load_tags

    @cached_property
    def tags(self) -> dict[str, Tip]:
        return self._load_tags()

    def trunk_targets(self) -> set[str]:
        """The commits that branches and HEADs are at."""
        return {tip.target for tip in self.trunk.values() if tip.target}

    def tag_targets(self) -> set[str]:
        """The commits that session tags peel to."""
        return {tip.target for tip in self.tags.values() if tip.target}


@dataclass(frozen=True, slots=True)
class GraphChange:
    """Commits that became reachable (newest first) and that ceased to be.

    side: session tags' commits that no branch and no HEAD reaches.
    """

    added: list[str]
    gone: list[str]
    side: set[str]


def read_tips(
    repository: Repository, known: Tips, work_trees: Sequence[WorkTree], *, quick: bool = False
) -> Tips:
    """What is live now. A tag that `known` holds with the same object id is not opened again.

    quick: do not list tags either where their stamp is that of `known`.
    """
    stamp = stamp_of_tags(repository.common)
    trunk = _read_trunk(repository, work_trees)
    if quick and stamp and stamp == known.stamp:
        return Tips(trunk, lambda: known.tags, known.listing, stamp)
    listed = repository.listing_of_refs(SESSION_TAGS)
    digest = hashlib.sha256(listed).hexdigest()
    if digest == known.listing:
        return Tips(trunk, lambda: known.tags, digest, stamp)
    tags = _read_tags(repository, _stored_names(listed), known.tags)
    settled = all(tip.skipped != _ABSENT for tip in tags.values())
    return Tips(trunk, lambda: tags, *((digest, stamp) if settled else ("", "")))


def _read_trunk(repository: Repository, work_trees: Sequence[WorkTree]) -> dict[str, Tip]:
    trunk = {
        name: Tip(name, "head", tree.head, tree.head)
        for tree in work_trees
        if tree.head
        for name in [name_text(f"HEAD {tree.path}")]
    }
    for name, oid in _stored_names(repository.listing_of_refs("refs/heads/")):
        trunk[name] = Tip(name, "branch", oid, oid)
    return trunk


def _stored_names(listing: bytes) -> list[tuple[str, str]]:
    return [(name_text(name), oid) for name, oid in names_in(listing)]


def _read_tags(
    repository: Repository, listed: list[tuple[str, str]], known: dict[str, Tip]
) -> dict[str, Tip]:
    def is_known(name: str, oid: str) -> bool:
        return name in known and known[name].oid == oid and known[name].skipped != _ABSENT

    fresh = repository.peel([pair for pair in listed if not is_known(*pair)])
    odd = [ref.oid for ref in fresh if ref.commit is None]
    here = dict(zip(odd, repository.names([f"{oid}^{{}}" for oid in odd]), strict=True))
    kept = {name: known[name] for name, oid in listed if is_known(name, oid)}
    return kept | {ref.name: _tag(ref, here=here.get(ref.oid) is not None) for ref in fresh}


def _tag(ref: Ref, *, here: bool) -> Tip:
    """here: whether this clone holds what a tag of no commit tags."""
    name = ref.name
    tag = split_tag(name.removeprefix("refs/tags/"))
    if tag is None:
        return Tip(name, "tag", ref.oid, None, skipped="not a session tag's name")
    if not is_session_id(tag.id):
        return Tip(name, "tag", ref.oid, None, skipped="no such date")
    if ref.commit is None:
        return Tip(name, "tag", ref.oid, None, skipped=_NO_COMMIT if here else _ABSENT)
    return Tip(name, "tag", ref.oid, ref.commit, ref.dated, tag.id, tag.adapter, tag.edge)


def load_tips(connection: sqlite3.Connection, listing: str, stamp: str) -> Tips:
    """The tips as the last reconcile left them, with the digest and the stamp that it remembered."""

    def rows(condition: str) -> dict[str, Tip]:
        found = connection.execute(
            "SELECT name, kind, oid, target, dated, session, adapter, side, skipped FROM tip"
            f" WHERE {condition}"
        )
        return {row[0]: Tip(*row) for row in found}

    return Tips(rows("kind != 'tag'"), lambda: rows("kind = 'tag'"), listing, stamp)


def store_tips(connection: sqlite3.Connection, old: Tips, new: Tips) -> set[str]:
    """Write what differs; gives the sessions whose tags moved."""
    pairs = [(old.trunk, new.trunk)]
    if old.listing != new.listing or not new.listing:
        pairs.append((old.tags, new.tags))
    moved: set[str] = set()
    for before, after in pairs:
        left = [tip for name, tip in before.items() if name not in after]
        came = [tip for name, tip in after.items() if before.get(name) != tip]
        connection.executemany("DELETE FROM tip WHERE name = ?", [(tip.name,) for tip in left])
        connection.executemany(
            "INSERT OR REPLACE INTO tip VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [astuple(tip) for tip in came]
        )
        changed = [*left, *came, *(before[tip.name] for tip in came if tip.name in before)]
        moved |= {tip.session for tip in changed if tip.session}
    return moved


def graph_change(
    repository: Repository,
    old: Tips,
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
    if whole is None:
        try:
            return _follow(repository, old, new, side)
        except GitError:
            raise PrunedTips from None
    live = repository.reachable(new.trunk_targets() | new.tag_targets())
    return GraphChange(
        added=[oid for oid in live if whole.get(oid, True)],
        gone=sorted(whole.keys() - set(live)),
        side=_side(repository, new),
    )


class PrunedTips(Exception):
    """The old tips are no longer in the object database: reachability must be computed anew."""


def _follow(repository: Repository, old: Tips, new: Tips, side: set[str]) -> GraphChange:
    tags_moved = old.listing != new.listing or not new.listing
    trunk = old.trunk_targets(), new.trunk_targets()
    tags = (old.tag_targets(), new.tag_targets()) if tags_moved else (set[str](), set[str]())
    came = (trunk[1] - trunk[0]) | (tags[1] - tags[0])
    left = (trunk[0] - trunk[1]) | (tags[0] - tags[1])
    # Tags stay out of the exclusions: there are many, and what they reach is nearly always a branch's.
    added, border = repository.reachable_with_border(came, trunk[0] | side) if came else ([], set[str]())
    # What a new commit stands on is not lost: the usual commit asks no more.
    left -= border
    off_trunk = repository.reachable(left, trunk[1]) if left else []
    gone = repository.reachable(left, trunk[1] | new.tag_targets()) if off_trunk else []
    joined = side and came and (not added or not border <= trunk[0])
    if tags_moved or off_trunk or joined:
        side = _side(repository, new)
    return GraphChange(added, gone, side)


def _side(repository: Repository, new: Tips) -> set[str]:
    tags = new.tag_targets()
    return tags.intersection(repository.reachable(tags, new.trunk_targets())) if tags else set()
