"""Real session documents: a committed excerpt, and the whole history where this machine has it.

Tests take `corpora()` as parameters: without the whole history its cases are not collected, so that a run
shows what it did not see.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Corpus:
    """name: "excerpt" or "history"; sessions: documents of `layer/sessions`; all: drafts and others too."""

    name: str
    sessions: tuple[Path, ...]
    all: tuple[Path, ...]


def history_folder() -> Path | None:
    """The folder of the environment variable PATINA_HISTORY, else `../shared/history`, where it exists."""
    named = os.environ.get("PATINA_HISTORY")
    folder = Path(named) if named else _REPOSITORY.parent / "shared" / "history"
    return folder if (folder / "sessions").is_dir() else None


def excerpt_folder() -> Path:
    """A dozen real documents that cover the variants, with their licence."""
    return _REPOSITORY / "tests" / "data" / "sessions"


def corpora() -> list[Corpus]:
    """The excerpt, and the whole history where there is one."""
    excerpt = tuple(sorted(excerpt_folder().glob("*.md")))
    found = [Corpus("excerpt", excerpt, excerpt)]
    history = history_folder()
    if history is not None:
        sessions = tuple(sorted((history / "sessions").glob("*.md")))
        others = sorted([*history.glob("docs/*.md"), *history.glob("side/docs/*.md")])
        found.append(Corpus("history", sessions, (*sessions, *others)))
    return found
