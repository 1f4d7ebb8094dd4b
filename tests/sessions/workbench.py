"""A real repository to hold sessions in."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from patina_hooks.git.repository import Repository

NEW_YORK = timezone(timedelta(hours=-5))
NOON = datetime(2025, 11, 21, 18, 30, 26, tzinfo=NEW_YORK)
NOON_ID = "20251121-183026"


@dataclass(frozen=True, slots=True)
class Workbench:
    root: Path

    @classmethod
    def make(cls, root: Path) -> Workbench:
        root.mkdir(parents=True)
        bench = cls(root)
        bench.git("init", "-q", "-b", "main")
        return bench

    @property
    def repository(self) -> Repository:
        return Repository.open(self.root)

    @property
    def local(self) -> Path:
        return self.root / ".patina" / "local"

    @property
    def active(self) -> Path:
        """The document of the session under way: the one that is there, or would begin at noon."""
        return next((self.local / "active").glob("*.md"), self.local / "active" / f"{NOON_ID}.md")

    @property
    def store(self) -> Path:
        return self.root / ".git" / "patina-sessions"

    def records(self) -> list[str]:
        """The files of the store, by their paths in it."""
        return sorted(p.relative_to(self.store).as_posix() for p in self.store.rglob("*") if p.is_file())

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True, encoding="utf-8"
        )
        return done.stdout.strip()

    def commit(self, message: str, files: Mapping[str, str]) -> str:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            self.git("add", "--", name)
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def tags(self) -> list[str]:
        return self.git("tag").splitlines()

    def archived(self, session: str) -> str:
        return (self.root / "layer/sessions" / f"{session}.md").read_text(encoding="utf-8")
