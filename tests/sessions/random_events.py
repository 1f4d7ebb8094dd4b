"""Random events on sessions in several work trees, with kills.

`python -m sessions.random_events SEED COUNT FOLDER` runs them.
It forks, so it runs in a process of its own. It fails where a session is lost, ended though its work tree is
there, or has another's id, where a typed text is lost, or where the index differs from a rebuild.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sessions.crashing import kill_at
from sessions.workbench import Workbench
from support.memory import Memory

from patina_hooks import sessions
from patina_hooks.errors import SessionError
from patina_hooks.git.repository import Repository

ADAPTERS = (None, "claude", "gemini")
WORK_TREES = 4


class Driver:
    """The repository, and what was typed: session -> its texts."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.memory = Memory.make(folder / "main")
        self.main = Workbench(self.memory.root)
        self.main.commit("first", {"readme": "hello\n"})
        self.trees = [self.main]
        self.texts: dict[str, list[str]] = {}
        self.home: dict[str, Workbench] = {}
        self.unseen: dict[str, list[str]] = {}
        self.count = 0

    def run(self, count: int) -> None:
        events: list[Callable[[Workbench], None]] = [
            self.start, self.note, self.note, self.note, self.update, self.end, self.commit, self.checkout,
            self.clean, self.remove_tree, self.add_tree, self.delete_tag, self.edit, self.worker,
        ]  # fmt: skip
        for _ in range(count):
            self.count += 1
            self.random.choice(events)(self.random.choice(self.trees))
        self.check()
        self.memory.sync()
        if self.memory.snapshot() != self.memory.rebuilt():
            raise AssertionError("the index differs from a rebuild")

    def check(self) -> None:
        """Everything that was typed is there; who is not listed as ended lives or lost its work tree."""
        repository = self.main.repository
        listed = sessions.list_sessions(repository)
        ids = [item.id for item in listed]
        assert len(ids) == len(set(ids)), ids
        assert self.texts.keys() <= set(ids), self.texts.keys() - set(ids)
        assert "unfinished" not in {item.state for item in listed}, listed
        for session, texts in self.texts.items():
            document = self.document(session)
            assert all(text in document for text in texts), (session, texts, document)
            if "- Status: abandoned" in document:
                assert self.home[session] not in self.trees, session

    def document(self, session: str) -> str:
        """A document lies in the work tree of its session, or where it was archived."""
        parts = []
        for tree in self.trees:
            with suppress(SessionError):
                parts.append(sessions.find_session(tree.repository, session).text)
        return "".join(parts)

    # --- events ---

    def under_way(self, tree: Workbench) -> list[str]:
        return [progress.session.id for progress in sessions.active_sessions(tree.repository)]

    def attempt(self, tree: Workbench, command: Callable[[Repository], object]) -> bool:
        """Run a command, or have it killed; whether it came to its end."""
        if self.random.random() < 0.3:
            if kill_at(self.random.randint(1, 25), tree.repository, command) is not None:
                return False
        else:
            command(tree.repository)
        self.seen()
        return True

    def seen(self) -> None:
        for session, texts in self.unseen.items():
            self.texts[session] += texts
        self.unseen.clear()

    def start(self, tree: Workbench) -> None:
        before = set(self.under_way(tree))
        adapter = self.random.choice(ADAPTERS)
        self.attempt(tree, lambda repository: sessions.start(repository, f"s{self.count}", adapter=adapter))
        for session in set(self.under_way(tree)) - before:
            assert session not in self.texts, session
            self.texts[session], self.home[session] = [], tree

    def note(self, tree: Workbench) -> None:
        if under_way := self.under_way(tree):
            session, text = self.random.choice(under_way), f"note {self.count}."
            if self.attempt(tree, lambda repository: sessions.note(repository, text, session=session)):
                self.texts[session].append(text)

    def update(self, tree: Workbench) -> None:
        if under_way := self.under_way(tree):
            session = self.random.choice(under_way)
            self.attempt(tree, lambda repository: sessions.update(repository, session=session))

    def end(self, tree: Workbench) -> None:
        if under_way := self.under_way(tree):
            session = self.random.choice(under_way)
            self.attempt(tree, lambda repository: sessions.end(repository, session=session))

    def commit(self, tree: Workbench) -> None:
        tree.git("add", "-A", "--", ":!layer")
        tree.commit(f"work {self.count}", {f"f{self.count}": "x"})
        assert ".patina/local/" not in tree.git("ls-files")

    def checkout(self, tree: Workbench) -> None:
        commits = tree.git("rev-list", "HEAD").split()
        tree.git("checkout", "-q", "-f", "--detach", self.random.choice(commits))

    def clean(self, tree: Workbench) -> None:
        self.drop_unseen(tree)
        tree.git("clean", "-q", "-fdX")

    def remove_tree(self, tree: Workbench) -> None:
        if tree != self.main:
            self.drop_unseen(tree)
            self.main.git("worktree", "remove", "--force", str(tree.root))
            self.trees.remove(tree)

    def add_tree(self, _: Workbench) -> None:
        if len(self.trees) < WORK_TREES:
            tree = Workbench(self.folder / f"tree-{self.count}")
            self.main.git("worktree", "add", "-q", "--detach", str(tree.root))
            self.trees.append(tree)

    def delete_tag(self, tree: Workbench) -> None:
        if tags := tree.git("tag", "--list", "session-*").split():
            tree.git("tag", "-d", self.random.choice(tags))

    def edit(self, tree: Workbench) -> None:
        if under_way := self.under_way(tree):
            session, text = self.random.choice(under_way), f"by hand {self.count}."
            with (tree.local / "active" / f"{session}.md").open("a") as file:
                file.write(f"\n{text}\n")
            self.unseen.setdefault(session, []).append(text)

    def drop_unseen(self, tree: Workbench) -> None:
        for session in [session for session in self.unseen if self.home[session] == tree]:
            del self.unseen[session]

    def worker(self, tree: Workbench) -> None:
        self.attempt(tree, sessions.keep_sessions)


if __name__ == "__main__":
    try:
        Driver(int(sys.argv[1]), Path(sys.argv[3])).run(int(sys.argv[2]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.cmd}: {error.stderr}")
