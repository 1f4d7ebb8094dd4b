"""The rules of the trees of one scope: the files of rules in each tree, stored from one look to the next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from patina_hooks.corpus.tree_files.limits import (
    ATTRIBUTES_FILE,
    IGNORE_FILE,
    RULE_FILE_BYTES,
    TreeRules,
    rule_files,
)
from patina_hooks.git.repository import Repository, TreeEntry
from patina_hooks.store.log import Log

_NAMES = (IGNORE_FILE, ATTRIBUTES_FILE)
RuleFiles = tuple[tuple[str, str], ...]
"""(path, object) of each file of rules in a tree."""


class ScopeRules:
    """The rules of a scope's trees; trees with equal files of rules share them.

    lacks_any: whether a file of rules is not in this clone. too_large: files of rules that are too large to
    read, as (path, object).
    """

    def __init__(self, repository: Repository, log: Log, scope: str) -> None:
        self._repository = repository
        self._log = log
        self._fact = f"rules {scope}"
        self._files = log.parsed(self._fact, "{}", _parse_files)
        self._parsed: dict[RuleFiles, TreeRules] = {}
        self.lacks_any = False
        self.too_large: set[tuple[str, str]] = set()

    def has(self, trees: Iterable[str]) -> bool:
        """Whether the files of rules of these trees are known."""
        return all(tree in self._files for tree in trees)

    def differ(self, trees: Iterable[str]) -> bool:
        """Whether the rules of these trees differ."""
        return len({self._files[tree] for tree in trees}) > 1

    def list_tree(self, tree: str, entries: Iterable[TreeEntry]) -> None:
        """Record the files of rules among all entries of a tree."""
        self._files[tree] = tuple(
            sorted((entry.name, entry.oid) for entry in entries if are_rules(entry.name))
        )

    def follow(self, tree: str, source: str) -> None:
        """Record that a tree has the same files of rules as another."""
        self._files[tree] = self._files[source]

    def of(self, tree: str) -> TreeRules:
        """Return the rules of a tree that is known."""
        files = self._files[tree]
        if files not in self._parsed:
            oids = dict(files)
            blobs = list(self._repository.blobs(oids.values(), RULE_FILE_BYTES))
            self.lacks_any = self.lacks_any or any(blob.missing for blob in blobs)
            large = {blob.oid for blob in blobs if blob.data is None and not blob.missing}
            self.too_large.update(file for file in files if file[1] in large)
            texts = {blob.oid: (blob.data or b"").decode("utf-8", "replace") for blob in blobs}
            ignored, attributes = (
                {folder: texts[oids[path]] for folder, path in rule_files(oids, name).items()}
                for name in _NAMES
            )
            self._parsed[files] = TreeRules.parse(ignored, attributes)
        return self._parsed[files]

    def remember(self, trees: Iterable[str]) -> None:
        """Store the files of rules of these trees for the next look; inside a transaction."""
        files = {tree: self._files[tree] for tree in sorted(trees) if tree in self._files}
        self._log.remember(self._fact, json.dumps(files))


def are_rules(name: str) -> bool:
    """Whether a path is that of a file of rules."""
    return name.rpartition("/")[2] in _NAMES


def _parse_files(stored: Mapping[str, list[list[str]]]) -> dict[str, RuleFiles]:
    files = {tree: tuple((path, oid) for path, oid in rows) for tree, rows in stored.items()}
    if not all(isinstance(text, str) for rows in files.values() for row in rows for text in row):
        raise TypeError(stored)
    return files
