"""Live refs: branches, session tags and HEADs of work trees, and what changed in the commit graph."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from patina_hooks.corpus.folder_stamps import stamp_tags
from patina_hooks.errors import GitError
from patina_hooks.git.repository import Ref, Repository, WorkTree, parse_refs
from patina_hooks.store.corpus.live_refs import (
    LiveRef,
    delete_live_refs,
    read_branches,
    read_session_tags,
    write_live_refs,
)
from patina_hooks.store.log import escape_name
from patina_hooks.text.session_ids import HIDDEN_REFS, is_session_id, split_hidden_ref, split_tag

SESSION_TAGS = "refs/tags/session-*"
_HEAD = "HEAD "
_STEPS = 2
_ABSENT = "tags what is not in this clone"
_NO_COMMIT = "tags no commit"


class LiveRefs:
    """All live refs at one moment.

    branches: commits by name, of branches and of the HEADs of work trees. tags: session tags by name, read
    when they are first used: there are many, and they seldom move. listing: a digest of the tags' names and
    ids, equal if no tag moved; "" if a tag's commit may still arrive. stamp: see `folder_stamps`; "" if the
    tags must be listed the next time.
    """

    def __init__(
        self,
        branches: dict[str, str],
        load_tags: Callable[[], dict[str, LiveRef]],
        listing: str,
        stamp: str = "",
    ) -> None:
        self.branches = branches
        self.listing = listing
        self.stamp = stamp
        self._load_tags = load_tags

    @cached_property
    def tags(self) -> dict[str, LiveRef]:
        """Session tags by name."""
        return self._load_tags()

    def branch_targets(self) -> set[str]:
        """Return the commits of branches and HEADs; not to be changed."""
        return self._branch_targets

    @cached_property
    def _branch_targets(self) -> set[str]:
        return set(self.branches.values())

    def head_targets(self, default_branch: str | None) -> set[str]:
        """Return the commits of the default branch and of the HEADs of work trees."""
        heads = {oid for name, oid in self.branches.items() if name.startswith(_HEAD)}
        default = self.branches.get(escape_name(f"refs/heads/{default_branch}")) if default_branch else None
        return heads | ({default} if default else set())

    def tag_targets(self) -> set[str]:
        """Return the commits of session tags."""
        return {tag.target for tag in self.tags.values() if tag.target}


@dataclass(frozen=True, slots=True)
class GraphChange:
    """Commits that became reachable (newest first) and commits that are not reachable any more.

    tag_only_commits: commits of session tags that no branch and no HEAD reaches.
    """

    added: list[str]
    removed: list[str]
    tag_only_commits: set[str]


def read_live_refs(
    repository: Repository, previous: LiveRefs, work_trees: Sequence[WorkTree], *, quick: bool = False
) -> LiveRefs:
    """Read the live refs from git.

    A tag with the same object id in `previous` is not opened again.

    Args:
        repository: the repository.
        previous: the live refs of the last reconcile.
        work_trees: those of the repository.
        quick: list no tags if their stamp is that of `previous`.
    """
    stamp = stamp_tags(repository.common)
    branches = _read_branches(repository, work_trees)
    if quick and stamp and stamp == previous.stamp:
        return LiveRefs(branches, lambda: previous.tags, previous.listing, stamp)
    listed = repository.list_refs(SESSION_TAGS, f"{HIDDEN_REFS}/")
    digest = hashlib.sha256(listed).hexdigest()
    if digest == previous.listing:
        return LiveRefs(branches, lambda: previous.tags, digest, stamp)
    tags = _read_tags(repository, _parse_names(listed), previous.tags)
    is_settled = all(tag.skipped != _ABSENT for tag in tags.values())
    return LiveRefs(branches, lambda: tags, *((digest, stamp) if is_settled else ("", "")))


def _read_branches(repository: Repository, work_trees: Sequence[WorkTree]) -> dict[str, str]:
    heads = {escape_name(f"{_HEAD}{tree.path}"): tree.head for tree in work_trees if tree.head}
    return heads | dict(_parse_names(repository.list_refs("refs/heads/")))


def _parse_names(listing: bytes) -> list[tuple[str, str]]:
    """Return (name as it is stored, object id) of each ref."""
    if listing.isascii():
        lines = listing.decode("ascii").split("\n")[:-1]
        return [(name, oid) for line in lines for oid, _, name in [line.partition(" ")]]
    return [(escape_name(name), oid) for name, oid in parse_refs(listing)]


def _read_tags(
    repository: Repository, listed: list[tuple[str, str]], previous: dict[str, LiveRef]
) -> dict[str, LiveRef]:
    hidden = [pair for pair in listed if pair[0].startswith(f"{HIDDEN_REFS}/")]
    listed = [pair for pair in listed if not pair[0].startswith(f"{HIDDEN_REFS}/")]

    def is_unchanged(name: str, oid: str) -> bool:
        return name in previous and previous[name].oid == oid and previous[name].skipped != _ABSENT

    fresh = repository.peel([pair for pair in listed if not is_unchanged(*pair)])
    odd = [ref.oid for ref in fresh if ref.commit is None]
    targets = dict(zip(odd, repository.object_ids([f"{oid}^{{}}" for oid in odd]), strict=True))
    unchanged = {name: previous[name] for name, oid in listed if is_unchanged(name, oid)}
    tags = unchanged | {
        ref.name: _build_tag(ref, has_target=targets.get(ref.oid) is not None) for ref in fresh
    }
    return tags | _read_deleted_tags(repository, hidden, tags)


def _read_deleted_tags(
    repository: Repository, hidden: list[tuple[str, str]], tags: dict[str, LiveRef]
) -> dict[str, LiveRef]:
    """Return the tags that were deleted and are kept by hidden refs."""
    live = {tag.oid for tag in tags.values()} | {(tag.session, tag.edge) for tag in tags.values()}
    deleted = [
        (name, oid)
        for name, oid in hidden
        if (tag := split_hidden_ref(name)) and oid not in live and tag.session_edge not in live
    ]
    if not deleted:
        return {}
    listing = repository.git.run("for-each-ref", "--format=%(refname) %(tag)", f"{HIDDEN_REFS}/").out
    tag_names = dict(line.decode("utf-8", "replace").split(" ", 1) for line in listing.splitlines())
    refs = [
        replace(ref, name=_restore_tag_ref(ref.name, tag_names.get(ref.name, "")))
        for ref in repository.peel(deleted)
        if ref.commit is not None
    ]
    return {ref.name: _build_tag(ref, has_target=True) for ref in refs if ref.name not in tags}


def _restore_tag_ref(hidden_ref: str, tag_name: str) -> str:
    """Return the full name of the tag that a hidden ref stands for.

    tag_name: the name in the tag object; it counts only if it is a tag of the same session and edge.
    """
    hidden, tag = split_hidden_ref(hidden_ref), split_tag(tag_name)
    name = tag if hidden and tag and tag.session_edge == hidden.session_edge else hidden
    return name.ref if name else hidden_ref


def _build_tag(ref: Ref, *, has_target: bool) -> LiveRef:
    """Build the live ref of a session tag.

    has_target: whether this clone has the object of a tag that is not of a commit.
    """
    name = ref.name
    tag = split_tag(name.removeprefix("refs/tags/"))
    if tag is None:
        return LiveRef(name, "tag", ref.oid, None, skipped="not a session tag's name")
    if not is_session_id(tag.id):
        return LiveRef(name, "tag", ref.oid, None, skipped="no such date")
    if ref.commit is None:
        return LiveRef(name, "tag", ref.oid, None, skipped=_NO_COMMIT if has_target else _ABSENT)
    return LiveRef(name, "tag", ref.oid, ref.commit, ref.dated, tag.id, tag.adapter, tag.edge)


def load_live_refs(connection: sqlite3.Connection, listing: str, stamp: str) -> LiveRefs:
    """Load the live refs of the last reconcile, with the digest and the stamp that it stored."""
    return LiveRefs(read_branches(connection), lambda: read_session_tags(connection), listing, stamp)


def store_live_refs(connection: sqlite3.Connection, old: LiveRefs, new: LiveRefs) -> set[str]:
    """Write the differences; return the sessions whose tags moved."""
    delete_live_refs(connection, old.branches.keys() - new.branches.keys())
    moved = sorted(new.branches.items() - old.branches.items())
    write_live_refs(connection, [_build_branch(name, oid) for name, oid in moved])
    if old.listing == new.listing and new.listing:
        return set()
    before, after = old.tags, new.tags
    removed = [tag for name, tag in before.items() if name not in after]
    changed_tags = [tag for name, tag in after.items() if before.get(name) != tag]
    delete_live_refs(connection, [tag.name for tag in removed])
    write_live_refs(connection, changed_tags)
    changed = [*removed, *changed_tags, *(before[tag.name] for tag in changed_tags if tag.name in before)]
    return {tag.session for tag in changed if tag.session}


def _build_branch(name: str, oid: str) -> LiveRef:
    return LiveRef(name, "head" if name.startswith(_HEAD) else "branch", oid, oid)


def compute_graph_change(
    repository: Repository,
    old: LiveRefs,
    new: LiveRefs,
    tag_only_commits: set[str],
    *,
    whole: Mapping[str, bool] | None,
    is_recorded: Callable[[str], bool],
) -> GraphChange:
    """Compute which commits became reachable and which are not reachable any more.

    The cost follows the change if git still has the commits of the old refs.

    Args:
        repository: the repository.
        old: the live refs of the last reconcile.
        new: the live refs now.
        tag_only_commits: those of the last reconcile.
        whole: all recorded commits and whether each was cut off at a shallow border, to compute reachability
            from nothing (a first sync, a moved border, pruned commits); None to follow the change.
        is_recorded: whether the log has a commit and all its ancestors.

    Raises:
        PrunedRefs: git lacks a commit of the old refs.
    """
    if whole is None:
        try:
            return _follow(repository, old, new, tag_only_commits, is_recorded)
        except GitError:
            raise PrunedRefs from None
    live = repository.reachable(new.branch_targets() | new.tag_targets())
    return GraphChange(
        added=[oid for oid in live if whole.get(oid, True)],
        removed=sorted(whole.keys() - set(live)),
        tag_only_commits=_find_tag_only_commits(repository, new),
    )


class PrunedRefs(Exception):
    """The commits of old refs were pruned: reachability must be computed from nothing."""


def _follow(
    repository: Repository,
    old: LiveRefs,
    new: LiveRefs,
    tag_only_commits: set[str],
    is_recorded: Callable[[str], bool],
) -> GraphChange:
    tags_moved = old.listing != new.listing or not new.listing
    branches = old.branch_targets(), new.branch_targets()
    tags = (old.tag_targets(), new.tag_targets()) if tags_moved else (set[str](), set[str]())
    new_targets = (branches[1] - branches[0]) | (tags[1] - tags[0])
    old_targets = (branches[0] - branches[1]) | (tags[0] - tags[1])
    # Tags stay out of the exclusions: there are many, and a branch reaches nearly all that they reach.
    added, border = _follow_parents(repository, new_targets, is_recorded) or repository.reachable_with_border(
        new_targets, branches[0] | tag_only_commits
    )
    # The parents of a new commit are still reachable: for the usual commit no more work follows.
    old_targets -= border
    off_branches = repository.reachable(old_targets, branches[1]) if old_targets else []
    removed = repository.reachable(old_targets, branches[1] | new.tag_targets()) if off_branches else []
    joined = tag_only_commits and new_targets and (not added or not border <= branches[0])
    if tags_moved or off_branches or joined:
        tag_only_commits = _find_tag_only_commits(repository, new)
    return GraphChange(added, removed, tag_only_commits)


def _follow_parents(
    repository: Repository, targets: set[str], is_recorded: Callable[[str], bool]
) -> tuple[list[str], set[str]] | None:
    """Return new commits and the recorded commits below them; None if there are more than a few.

    To exclude thousands of branches takes git longer than to read a commit's parents.
    """
    added: list[str] = []
    border = {oid for oid in targets if is_recorded(oid)}
    waiting = sorted(targets - border)
    for _ in range(_STEPS):
        if not waiting:
            return added, border
        added += waiting
        parents = repository.parents(waiting)
        below = {parent for oid in waiting for parent in parents[oid]}.difference(added)
        border |= {oid for oid in below if is_recorded(oid)}
        waiting = sorted(below - border)
    return (added, border) if not waiting else None


def _find_tag_only_commits(repository: Repository, live_refs: LiveRefs) -> set[str]:
    tags = live_refs.tag_targets()
    return tags.intersection(repository.reachable(tags, live_refs.branch_targets())) if tags else set()
