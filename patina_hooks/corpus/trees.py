"""The trees of session documents at the live tips, and what changed between two looks at them."""

from __future__ import annotations

from collections.abc import Iterable

from patina_hooks.corpus.observations import Place
from patina_hooks.corpus.places import place_of
from patina_hooks.errors import GitError
from patina_hooks.git.repository import Repository, TreeEntry
from patina_hooks.store.log import Log

_MOST_LOOKUPS = 20_000


class DocumentTrees:
    """The trees of documents that one log has seen at tips; git is asked only for those of new tips."""

    def __init__(self, repository: Repository, log: Log, folder: str) -> None:
        self._repository = repository
        self._log = log
        self._db = log.connection
        self._folder = folder

    def known(self) -> set[str]:
        """Return the distinct trees at the last look."""
        return {row[0] for row in self._db.execute("SELECT DISTINCT tree FROM tip_tree WHERE tree != ''")}

    def look(self, commits: set[str], valid_for: str) -> set[str]:
        """Return the distinct trees at these commits now.

        Args:
            commits: where the tips are.
            valid_for: what else an answer depends on; where it changed, git is asked for all.
        """
        stored = {row[0] for row in self._db.execute("SELECT target FROM tip_tree")}
        fresh = sorted(commits - stored)
        if self._log.fact("trees valid for") != valid_for:
            fresh = sorted(commits)
            self._log.remember("trees valid for", valid_for)
        names = self._repository.names([f"{commit}:{self._folder}" for commit in fresh])
        self._db.executemany(
            "INSERT INTO tip_tree (target, tree) VALUES (?, ?)"
            " ON CONFLICT (target) DO UPDATE SET tree = excluded.tree",
            [(commit, tree or "") for commit, tree in zip(fresh, names, strict=True)],
        )
        self._db.executemany(
            "DELETE FROM tip_tree WHERE target = ?", [(commit,) for commit in stored - commits]
        )
        return self.known()

    def cover(self, parents: set[str], *, anew: bool) -> None:
        """Mark the tips that are among the parents of recorded commits.

        Args:
            parents: of the commits that were recorded since the last look.
            anew: forget older marks, since commits are gone.
        """
        if anew:
            self._db.execute("UPDATE tip_tree SET covered = 0 WHERE covered")
        self._db.executemany(
            "UPDATE tip_tree SET covered = 1 WHERE target = ?", [(parent,) for parent in sorted(parents)]
        )

    def changes(self, old: set[str], new: set[str]) -> tuple[set[Place], set[Place]] | None:
        """Return places that may have come and those that left, None where all must be compared."""
        if not old or not new:
            return None
        try:
            return self._follow(old, new)
        except GitError:  # a tree that this clone lacks
            return None

    def _follow(self, old: set[str], new: set[str]) -> tuple[set[Place], set[Place]] | None:
        came_trees, left_trees = new - old, old - new
        base, other = min(left_trees or old), min(came_trees or new)
        differences = [self._repository.changed_entries(base, tree) for tree in sorted(came_trees)]
        came = [entry for _, after in differences for entry in after]
        gone = [
            entry
            for tree in sorted(left_trees)
            for entry in self._repository.changed_entries(tree, other)[0]
            if place_of(entry, self._folder)
        ]
        irregular = {entry.name for entry in came if not place_of(entry, self._folder)}
        if len(gone) * len(new) > _MOST_LOOKUPS or irregular.intersection(entry.name for entry in gone):
            return None
        live = self._live(gone, new)
        left = [entry for entry in gone if (entry.name, entry.oid) not in live]
        return self._places(came), self._places(left)

    def _live(self, entries: list[TreeEntry], trees: set[str]) -> set[tuple[str, str]]:
        """Return (name, id) of the entries that some tree still has."""
        asked = [(tree, entry) for tree in sorted(trees) for entry in entries]
        found = self._repository.names([f"{tree}:{entry.name}" for tree, entry in asked])
        return {
            (entry.name, entry.oid) for (_, entry), oid in zip(asked, found, strict=True) if oid == entry.oid
        }

    def _places(self, entries: Iterable[TreeEntry]) -> set[Place]:
        return {place for entry in entries if (place := place_of(entry, self._folder))}
