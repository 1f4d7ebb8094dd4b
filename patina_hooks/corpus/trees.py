"""The trees of documents at live refs, and what changed between two looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from patina_hooks.corpus.folder_stamps import hash_text
from patina_hooks.corpus.sources import HEAD_BYTES, File, Sources, TreeScope
from patina_hooks.corpus.tree_files.limits import LARGE_RULES, NO_RULES, find_path_reason
from patina_hooks.corpus.tree_files.tree_rules import ScopeRules, are_rules
from patina_hooks.errors import GitError
from patina_hooks.git.repository import Repository, TreeEntry
from patina_hooks.store.corpus import live_refs
from patina_hooks.store.corpus.documents import DocumentLocation
from patina_hooks.store.log import Log, escape_name

_MOST_LOOKUPS = 20_000
_REGULAR: Final = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class TreeFiles:
    """Files of trees that a source names: documents, and files that rules leave out, with the reason."""

    documents: set[DocumentLocation]
    left_out: dict[File, str]


class DocumentTrees:
    """The trees of one scope at live refs, stored in one log; git is read only for new commits."""

    def __init__(self, repository: Repository, log: Log, sources: Sources, scope: TreeScope) -> None:
        self.scope = scope
        self._repository = repository
        self._log = log
        self._db = log.connection
        self._sources = sources
        self.is_incomplete = False
        # A document of all refs is one whatever the rules of a tree are.
        self._rules = ScopeRules(repository, log, scope.name) if scope.trees == "heads" else None

    def known(self) -> set[str]:
        """Return the distinct trees at the last look."""
        return live_refs.read_trees(self._db, self.scope.name)

    def key(self, trees: Iterable[str]) -> str:
        """Return a digest that changes when these trees have other documents."""
        return hash_text(" ".join([self._sources.signature, self.scope.folder, *sorted(trees)]))

    def look(self, commits: set[str], valid_for: str) -> set[str]:
        """Return the distinct trees at these commits now.

        Args:
            commits: those of live refs.
            valid_for: a text for everything else that the result depends on; all trees are read if it
                changed.
        """
        stored = live_refs.read_tree_targets(self._db, self.scope.name)
        fresh = sorted(commits - stored)
        name = f"trees valid for {self.scope.name}"
        if self._log.fact(name) != valid_for:
            fresh = sorted(commits)
            self._log.remember(name, valid_for)
        names = self._repository.object_ids([f"{commit}:{self.scope.folder}" for commit in fresh])
        trees = dict(zip(fresh, names, strict=True))
        # Every commit has a root tree: one that git does not name is absent, and looked up the next time.
        if not self.scope.folder:
            trees = {commit: tree for commit, tree in trees.items() if tree}
        live_refs.store_trees(self._db, self.scope.name, trees)
        live_refs.delete_trees(self._db, self.scope.name, stored - commits)
        return self.known()

    def files(self, trees: set[str]) -> TreeFiles:
        """Return all files of these trees that a source names.

        `is_incomplete` is set if a file of rules is absent, or a tree within one, whose files are not
        returned.
        """
        self.is_incomplete = False
        files = self._sort((tree, entry) for tree, entries in self._list(trees) for entry in entries)
        if self._rules is not None:
            self.is_incomplete = self.is_incomplete or self._rules.lacks_any
            files.left_out.update(
                {(escape_name(path), oid): LARGE_RULES for path, oid in self._rules.too_large}
            )
        return files

    def _list(self, trees: set[str]) -> Iterator[tuple[str, list[TreeEntry]]]:
        """Yield the entries of those trees that are present."""
        if not self.scope.is_deep:
            yield from self._repository.trees(sorted(trees)).items()
            return
        for tree, is_present in self._repository.exists(sorted(trees)).items():
            if is_present:
                try:
                    entries = self._repository.files(tree)
                except GitError:  # a tree within it is absent
                    self.is_incomplete = True
                    continue
                if self._rules is not None:
                    self._rules.list_tree(tree, entries)
                yield tree, entries

    def remember(self, trees: set[str]) -> None:
        """Store the rules of these trees for the next look."""
        if self._rules is not None:
            self._rules.remember(trees)

    def changes(self, old: set[str], new: set[str]) -> tuple[TreeFiles, set[File]] | None:
        """Return possibly added files and removed files, None if all files must be compared."""
        if not old or not new or (self._rules is not None and not self._rules.has(old)):
            return None
        try:
            return self._follow(old, new)
        except GitError:  # a tree that this clone lacks
            return None

    def _follow(self, old: set[str], new: set[str]) -> tuple[TreeFiles, set[File]] | None:
        compare = cache(self._compare)  # of a tree that replaced another, both lists are needed
        new_trees, old_trees = new - old, old - new
        base, target = min(old_trees or old), min(new_trees or new)
        by_new_tree = {tree: compare(base, tree) for tree in sorted(new_trees)}
        by_old_tree = {tree: compare(tree, target) for tree in sorted(old_trees)}
        if self._rules is not None:
            # If rules differ, a file of both trees may be a document of one of them only.
            lists = (entries for pair in (*by_new_tree.values(), *by_old_tree.values()) for entries in pair)
            if any(are_rules(entry.name) for entries in lists for entry in entries):
                return None
            for tree in by_new_tree:
                self._rules.follow(tree, base)
        added = [(tree, entry) for tree, pair in by_new_tree.items() for entry in pair[1]]
        removed = [entry for pair in by_old_tree.values() for entry in pair[0] if self._is_candidate(entry)]
        irregular = {entry.name for _, entry in added if not self._is_candidate(entry)}
        if irregular.intersection(entry.name for entry in removed):
            return None
        if self._rules is not None and self._rules.differ(old | new):
            return self._look_up([entry for _, entry in added if self._is_candidate(entry)] + removed, new)
        if len(removed) * len(new) > _MOST_LOOKUPS:
            return None
        live = {self._file(entry) for _, entry in self._find_holders(removed, new)}
        return self._sort(added), {self._file(entry) for entry in removed} - live

    def _look_up(self, entries: list[TreeEntry], trees: set[str]) -> tuple[TreeFiles, set[File]] | None:
        """Look these files up in each tree, for trees with different rules."""
        if len(entries) * len(trees) > _MOST_LOOKUPS:
            return None
        files = self._sort(self._find_holders(entries, trees))
        listed = {self._file(entry) for entry in entries}
        return files, listed - files.left_out.keys() - {(d.path, d.oid) for d in files.documents}

    def _find_holders(self, entries: list[TreeEntry], trees: set[str]) -> list[tuple[str, TreeEntry]]:
        """Return each (tree, entry) such that the tree has the entry."""
        pairs = [(tree, entry) for tree in sorted(trees) for entry in entries]
        oids = self._repository.object_ids([f"{tree}:{entry.name}" for tree, entry in pairs])
        return [pair for pair, oid in zip(pairs, oids, strict=True) if oid == pair[1].oid]

    def _compare(self, old: str, new: str) -> tuple[list[TreeEntry], list[TreeEntry]]:
        return self._repository.changed_entries(old, new, deep=self.scope.is_deep)

    def _file(self, entry: TreeEntry) -> File:
        return escape_name(self.scope.path(entry.name)), entry.oid

    def _is_candidate(self, entry: TreeEntry) -> bool:
        """Whether a source of this scope may take an entry: a regular file, never a link."""
        path = self._file(entry)[0]
        return entry.mode in _REGULAR and (self._is_named(path) or self._may_be_declared(path))

    def _is_named(self, path: str) -> bool:
        return any(source.includes(path) for source in self.scope.sources)

    def _may_be_declared(self, path: str) -> bool:
        return any(source.takes_declared(path) for source in self.scope.sources)

    def _sort(self, entries: Iterable[tuple[str, TreeEntry]]) -> TreeFiles:
        """Return the files among the entries of trees; a document of one tree is one in every tree."""
        allowed: dict[File, bool] = {}
        declared: set[File] = set()
        left_out: dict[File, str] = {}
        for tree, entry in entries:
            path, _ = file = self._file(entry)
            if entry.mode not in _REGULAR:
                continue
            is_named = self._is_named(path)
            if not is_named and not self._may_be_declared(path):
                continue
            rules = self._rules.of(tree) if self._rules else NO_RULES
            if not is_named and not rules.is_documentation(path):
                continue
            if self._rules and (reason := find_path_reason(path, entry.mode, rules)):
                left_out[file] = min(reason, left_out.get(file, reason))
                continue
            allowed[file] = allowed.get(file, False) or rules.is_written_by_hand(path)
            if not is_named:
                declared.add(file)
        owners = self._sources.owners(allowed, self._heads, declared)
        documents = {
            self._sources.location(owner.kind, oid, path, by_hand=allowed[path, oid])
            for (path, oid), owner in owners.items()
            if owner in self.scope.sources
        }
        return TreeFiles(documents, {file: left_out[file] for file in left_out.keys() - allowed.keys()})

    def _heads(self, oids: Sequence[str]) -> dict[str, bytes]:
        largest = max(source.spec.largest for source in self._sources.files)
        return {blob.oid: (blob.data or b"")[:HEAD_BYTES] for blob in self._repository.blobs(oids, largest)}
