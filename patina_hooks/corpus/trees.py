"""The trees of documents at the live tips, and what changed between two looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final

from patina_hooks.corpus.sources import HEAD_BYTES, File, Sources, TreeScope
from patina_hooks.corpus.stamps import digest
from patina_hooks.corpus.tree_files.limits import path_reason
from patina_hooks.corpus.tree_files.tree_rules import ScopeRules, are_rules
from patina_hooks.errors import GitError
from patina_hooks.git.repository import Repository, TreeEntry
from patina_hooks.store.corpus import tips
from patina_hooks.store.corpus.documents import DocumentLocation
from patina_hooks.store.log import Log, name_text

_MOST_LOOKUPS = 20_000
_REGULAR: Final = ("100644", "100755")


class DocumentTrees:
    """The trees of one scope that one log has seen at tips; git is asked only for those of new tips."""

    def __init__(self, repository: Repository, log: Log, sources: Sources, scope: TreeScope) -> None:
        self.scope = scope
        self._repository = repository
        self._log = log
        self._db = log.connection
        self._sources = sources
        self.is_incomplete = False
        # What is a document on every ref is one whatever a tree says of its other files.
        self._rules = ScopeRules(repository, log, scope.name) if scope.trees == "heads" else None

    def known(self) -> set[str]:
        """Return the distinct trees at the last look."""
        return tips.read_trees(self._db, self.scope.name)

    def key(self, trees: Iterable[str]) -> str:
        """Return what changes when these trees hold other documents."""
        return digest(" ".join([self._sources.signature, self.scope.folder, *sorted(trees)]))

    def look(self, commits: set[str], valid_for: str) -> set[str]:
        """Return the distinct trees at these commits now.

        Args:
            commits: where the tips are.
            valid_for: what else an answer depends on; where it changed, git is asked for all.
        """
        stored = tips.read_tree_targets(self._db, self.scope.name)
        fresh = sorted(commits - stored)
        name = f"trees valid for {self.scope.name}"
        if self._log.fact(name) != valid_for:
            fresh = sorted(commits)
            self._log.remember(name, valid_for)
        names = self._repository.names([f"{commit}:{self.scope.folder}" for commit in fresh])
        trees = dict(zip(fresh, names, strict=True))
        if (
            not self.scope.folder
        ):  # every commit has a root: one that is not found is absent, and asked for again
            trees = {commit: tree for commit, tree in trees.items() if tree}
        tips.store_trees(self._db, self.scope.name, trees)
        tips.delete_trees(self._db, self.scope.name, stored - commits)
        return self.known()

    def locations(self, trees: set[str]) -> set[DocumentLocation]:
        """Return the locations of all documents in these trees.

        `is_incomplete` tells whether a tree in one of them is absent: none of its documents are returned.
        """
        self.is_incomplete = False
        return self._documents(
            entry for tree, entries in self._listed(trees) for entry in self._allowed(tree, entries)
        )

    def _listed(self, trees: set[str]) -> Iterator[tuple[str, list[TreeEntry]]]:
        """Yield the entries of those trees that are here."""
        if not self.scope.is_deep:
            yield from self._repository.trees(sorted(trees)).items()
            return
        for tree, is_here in self._repository.exists(sorted(trees)).items():
            if is_here:
                try:
                    entries = self._repository.files(tree)
                except GitError:  # a tree in it is absent
                    self.is_incomplete = True
                    continue
                if self._rules is not None:
                    self._rules.list_tree(tree, entries)
                yield tree, entries

    def remember(self, trees: set[str]) -> None:
        """Keep what the next look needs of these trees."""
        if self._rules is not None:
            self._rules.remember(trees)

    def changes(self, old: set[str], new: set[str]) -> tuple[set[DocumentLocation], set[File]] | None:
        """Return locations that may have come and files that left, None where all must be compared."""
        if not old or not new or (self._rules is not None and not self._rules.has(old)):
            return None
        try:
            return self._follow(old, new)
        except GitError:  # a tree that this clone lacks
            return None

    def _follow(self, old: set[str], new: set[str]) -> tuple[set[DocumentLocation], set[File]] | None:
        changed = cache(self._changed)  # of one tree that took another's place, both lists are needed
        came_trees, left_trees = new - old, old - new
        base, other = min(left_trees or old), min(came_trees or new)
        came_of = {tree: changed(base, tree) for tree in sorted(came_trees)}
        gone_of = {tree: changed(tree, other) for tree in sorted(left_trees)}
        if self._rules is not None:
            # Where rules differ, a file that both trees hold may be a document of one of them only.
            lists = (entries for pair in (*came_of.values(), *gone_of.values()) for entries in pair)
            if any(are_rules(entry.name) for entries in lists for entry in entries):
                return None
            for tree in came_of:
                self._rules.follow(tree, base)
        came = [entry for tree, pair in came_of.items() for entry in self._allowed(tree, pair[1])]
        gone = [entry for pair in gone_of.values() for entry in pair[0] if self._is_candidate(entry)]
        irregular = {entry.name for entry in came if not self._is_candidate(entry)}
        if len(gone) * len(new) > _MOST_LOOKUPS or irregular.intersection(entry.name for entry in gone):
            return None
        live = self._live(gone, new)
        left = {self._file(entry) for entry in gone if (entry.name, entry.oid) not in live}
        return self._documents(came), left

    def _allowed(self, tree: str, entries: Iterable[TreeEntry]) -> list[TreeEntry]:
        """Return the entries that the rules of their tree allow; irregular ones stay in."""
        kept = list(entries)
        if self._rules is None or not any(map(self._is_candidate, kept)):
            return kept
        rules = self._rules.of(tree)
        return [
            entry
            for entry in kept
            if not self._is_candidate(entry) or not path_reason(self._file(entry)[0], entry.mode, rules)
        ]

    def _changed(self, old: str, new: str) -> tuple[list[TreeEntry], list[TreeEntry]]:
        return self._repository.changed_entries(old, new, deep=self.scope.is_deep)

    def _live(self, entries: list[TreeEntry], trees: set[str]) -> set[tuple[str, str]]:
        """Return (name, id) of the entries that some tree still has."""
        asked = [(tree, entry) for tree in sorted(trees) for entry in self._allowed(tree, entries)]
        found = self._repository.names([f"{tree}:{entry.name}" for tree, entry in asked])
        return {
            (entry.name, entry.oid) for (_, entry), oid in zip(asked, found, strict=True) if oid == entry.oid
        }

    def _file(self, entry: TreeEntry) -> File:
        return name_text(self.scope.path(entry.name)), entry.oid

    def _is_candidate(self, entry: TreeEntry) -> bool:
        """Whether a source of this scope names an entry: a regular file, never a link."""
        path = self._file(entry)[0]
        return entry.mode in _REGULAR and any(source.includes(path) for source in self.scope.sources)

    def _documents(self, entries: Iterable[TreeEntry]) -> set[DocumentLocation]:
        """Return the locations of those entries that are documents of this scope's sources."""
        files = dict.fromkeys(self._file(entry) for entry in entries if self._is_candidate(entry))
        owners = self._sources.owners(files, self._heads)
        return {
            self._sources.location(owner.kind, oid, path)
            for (path, oid), owner in owners.items()
            if owner in self.scope.sources
        }

    def _heads(self, oids: Sequence[str]) -> dict[str, bytes]:
        largest = max(source.spec.largest for source in self._sources.files)
        return {blob.oid: (blob.data or b"")[:HEAD_BYTES] for blob in self._repository.blobs(oids, largest)}
