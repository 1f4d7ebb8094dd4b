"""The tips: live refs and work trees' HEADs, and what changed in the commit graph since the last look."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from patina_hooks.corpus.folder_stamps import stamp_tags
from patina_hooks.errors import GitError
from patina_hooks.git.repository import Ref, Repository, WorkTree, parse_refs
from patina_hooks.store.corpus.live_refs import LiveRef, read_branches, read_tags, write_live_refs
from patina_hooks.store.log import name_text
from patina_hooks.text.session_ids import HIDDEN_REFS, is_session_id, split_hidden_ref, split_tag

SESSION_TAGS = "refs/tags/session-*"
_HEAD = "HEAD "
_STEPS = 2
_ABSENT = "tags what is not in this clone"
_NO_COMMIT = "tags no commit"


class LiveRefs:
    """All tips at one moment.

    trunk: the commits of branches and HEADs by name. tags: session tags by name, opened when they are asked
    for: there are many and they seldom move. listing: a digest of the tags' names and ids, equal where no tag
    moved; "" where it does not settle them. stamp: see `stamps`, "" where the tags must be listed the next
    time.
    """

    def __init__(
        self,
        trunk: dict[str, str],
        load_tags: Callable[[], dict[str, LiveRef]],
        listing: str,
        stamp: str = "",
    ) -> None:
        self.trunk = trunk
        self.listing = listing
        self.stamp = stamp
        self._load_tags = load_tags

    @cached_property
    def tags(self) -> dict[str, LiveRef]:
        return self._load_tags()

    def branch_targets(self) -> set[str]:
        """Return the commits that branches and HEADs are at; not to be changed."""
        return self._branch_targets

    @cached_property
    def _branch_targets(self) -> set[str]:
        return set(self.trunk.values())

    def head_targets(self, default_branch: str | None) -> set[str]:
        """The commits that HEADs of work trees and the default branch are at."""
        heads = {oid for name, oid in self.trunk.items() if name.startswith(_HEAD)}
        default = self.trunk.get(name_text(f"refs/heads/{default_branch}")) if default_branch else None
        return heads | ({default} if default else set())

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


def read_live_refs(
    repository: Repository, known: LiveRefs, work_trees: Sequence[WorkTree], *, quick: bool = False
) -> LiveRefs:
    """What is live now. A tag that `known` holds with the same object id is not opened again.

    quick: do not list tags either where their stamp is that of `known`.
    """
    stamp = stamp_tags(repository.common)
    trunk = _read_trunk(repository, work_trees)
    if quick and stamp and stamp == known.stamp:
        return LiveRefs(trunk, lambda: known.tags, known.listing, stamp)
    listed = repository.list_refs(SESSION_TAGS, f"{HIDDEN_REFS}/")
    digest = hashlib.sha256(listed).hexdigest()
    if digest == known.listing:
        return LiveRefs(trunk, lambda: known.tags, digest, stamp)
    tags = _read_tags(repository, _stored_names(listed), known.tags)
    settled = all(tip.skipped != _ABSENT for tip in tags.values())
    return LiveRefs(trunk, lambda: tags, *((digest, stamp) if settled else ("", "")))


def _read_trunk(repository: Repository, work_trees: Sequence[WorkTree]) -> dict[str, str]:
    trunk = {name_text(f"{_HEAD}{tree.path}"): tree.head for tree in work_trees if tree.head}
    return trunk | dict(_stored_names(repository.list_refs("refs/heads/")))


def _stored_names(listing: bytes) -> list[tuple[str, str]]:
    if listing.isascii():
        lines = listing.decode("ascii").split("\n")[:-1]
        return [(name, oid) for line in lines for oid, _, name in [line.partition(" ")]]
    return [(name_text(name), oid) for name, oid in parse_refs(listing)]


def _read_tags(
    repository: Repository, listed: list[tuple[str, str]], known: dict[str, LiveRef]
) -> dict[str, LiveRef]:
    hidden = [pair for pair in listed if pair[0].startswith(f"{HIDDEN_REFS}/")]
    listed = [pair for pair in listed if not pair[0].startswith(f"{HIDDEN_REFS}/")]

    def is_known(name: str, oid: str) -> bool:
        return name in known and known[name].oid == oid and known[name].skipped != _ABSENT

    fresh = repository.peel([pair for pair in listed if not is_known(*pair)])
    odd = [ref.oid for ref in fresh if ref.commit is None]
    here = dict(zip(odd, repository.object_ids([f"{oid}^{{}}" for oid in odd]), strict=True))
    kept = {name: known[name] for name, oid in listed if is_known(name, oid)}
    tags = kept | {ref.name: _tag(ref, here=here.get(ref.oid) is not None) for ref in fresh}
    return tags | _deleted_tags(repository, hidden, tags)


def _deleted_tags(
    repository: Repository, hidden: list[tuple[str, str]], tags: dict[str, LiveRef]
) -> dict[str, LiveRef]:
    """The tags that only hidden refs hold any more, as if they were there."""
    live = {tip.oid for tip in tags.values()} | {(tip.session, tip.side) for tip in tags.values()}
    lost = [
        (name, oid)
        for name, oid in hidden
        if (edge := split_hidden_ref(name)) and oid not in live and edge.session_edge not in live
    ]
    if not lost:
        return {}
    listing = repository.git.run("for-each-ref", "--format=%(refname) %(tag)", f"{HIDDEN_REFS}/").out
    stated = dict(line.decode("utf-8", "replace").split(" ", 1) for line in listing.splitlines())
    refs = [
        replace(ref, name=_tag_ref(ref.name, stated.get(ref.name, "")))
        for ref in repository.peel(lost)
        if ref.commit is not None
    ]
    return {ref.name: _tag(ref, here=True) for ref in refs if ref.name not in tags}


def _tag_ref(hidden: str, stated: str) -> str:
    """The full name of the tag that a hidden ref stands for. stated: the name in the tag object."""
    edge, tag = split_hidden_ref(hidden), split_tag(stated)
    name = tag if edge and tag and tag.session_edge == edge.session_edge else edge
    return name.ref if name else hidden


def _tag(ref: Ref, *, here: bool) -> LiveRef:
    """here: whether this clone holds what a tag of no commit tags."""
    name = ref.name
    tag = split_tag(name.removeprefix("refs/tags/"))
    if tag is None:
        return LiveRef(name, "tag", ref.oid, None, skipped="not a session tag's name")
    if not is_session_id(tag.id):
        return LiveRef(name, "tag", ref.oid, None, skipped="no such date")
    if ref.commit is None:
        return LiveRef(name, "tag", ref.oid, None, skipped=_NO_COMMIT if here else _ABSENT)
    return LiveRef(name, "tag", ref.oid, ref.commit, ref.dated, tag.id, tag.adapter, tag.edge)


def load_live_refs(connection: sqlite3.Connection, listing: str, stamp: str) -> LiveRefs:
    """The tips as the last reconcile left them, with the digest and the stamp that it remembered."""

    return LiveRefs(read_branches(connection), lambda: read_tags(connection), listing, stamp)


def store_live_refs(connection: sqlite3.Connection, old: LiveRefs, new: LiveRefs) -> set[str]:
    """Write what differs; gives the sessions whose tags moved."""
    gone = old.trunk.keys() - new.trunk.keys()
    moved = [_trunk_tip(name, oid) for name, oid in sorted(new.trunk.items() - old.trunk.items())]
    write_live_refs(connection, gone, moved)
    if old.listing == new.listing and new.listing:
        return set()
    before, after = old.tags, new.tags
    left = [tip for name, tip in before.items() if name not in after]
    came = [tip for name, tip in after.items() if before.get(name) != tip]
    write_live_refs(connection, [tip.name for tip in left], came)
    changed = [*left, *came, *(before[tip.name] for tip in came if tip.name in before)]
    return {tip.session for tip in changed if tip.session}


def _trunk_tip(name: str, oid: str) -> LiveRef:
    return LiveRef(name, "head" if name.startswith(_HEAD) else "branch", oid, oid)


def graph_change(
    repository: Repository,
    old: LiveRefs,
    new: LiveRefs,
    side: set[str],
    *,
    whole: Mapping[str, bool] | None,
    recorded: Callable[[str], bool],
) -> GraphChange:
    """Which commits came and went, in proportion to the change where git still has the old tips.

    side: the side commits of the last time. whole: all known commits and whether each was cut off at a
    shallow border, to compare reachability anew with (a first sync, a moved border, pruned old tips); None to
    follow the change. recorded: whether the log has a commit, with all that it stands on.
    """
    if whole is None:
        try:
            return _follow(repository, old, new, side, recorded)
        except GitError:
            raise PrunedRefs from None
    live = repository.reachable(new.branch_targets() | new.tag_targets())
    return GraphChange(
        added=[oid for oid in live if whole.get(oid, True)],
        gone=sorted(whole.keys() - set(live)),
        side=_side(repository, new),
    )


class PrunedRefs(Exception):
    """The old tips are no longer in the object database: reachability must be computed anew."""


def _follow(
    repository: Repository, old: LiveRefs, new: LiveRefs, side: set[str], recorded: Callable[[str], bool]
) -> GraphChange:
    tags_moved = old.listing != new.listing or not new.listing
    trunk = old.branch_targets(), new.branch_targets()
    tags = (old.tag_targets(), new.tag_targets()) if tags_moved else (set[str](), set[str]())
    came = (trunk[1] - trunk[0]) | (tags[1] - tags[0])
    left = (trunk[0] - trunk[1]) | (tags[0] - tags[1])
    # Tags stay out of the exclusions: there are many, and what they reach is nearly always a branch's.
    added, border = _step_by_step(repository, came, recorded) or repository.reachable_with_border(
        came, trunk[0] | side
    )
    # What a new commit stands on is not lost: the usual commit asks no more.
    left -= border
    off_trunk = repository.reachable(left, trunk[1]) if left else []
    gone = repository.reachable(left, trunk[1] | new.tag_targets()) if off_trunk else []
    joined = side and came and (not added or not border <= trunk[0])
    if tags_moved or off_trunk or joined:
        side = _side(repository, new)
    return GraphChange(added, gone, side)


def _step_by_step(
    repository: Repository, came: set[str], recorded: Callable[[str], bool]
) -> tuple[list[str], set[str]] | None:
    """Return commits that are new and the recorded ones below them; None where they are not few.

    To exclude thousands of branches takes git longer than to look at a commit's parents.
    """
    added: list[str] = []
    border = {oid for oid in came if recorded(oid)}
    waiting = sorted(came - border)
    for _ in range(_STEPS):
        if not waiting:
            return added, border
        added += waiting
        parents = repository.parents(waiting)
        below = {parent for oid in waiting for parent in parents[oid]}.difference(added)
        border |= {oid for oid in below if recorded(oid)}
        waiting = sorted(below - border)
    return (added, border) if not waiting else None


def _side(repository: Repository, new: LiveRefs) -> set[str]:
    tags = new.tag_targets()
    return tags.intersection(repository.reachable(tags, new.branch_targets())) if tags else set()
