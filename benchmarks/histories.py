"""Histories to measure on: a real one replayed where its data is at hand, else one that is made up.

Both are about 765 commits, 300 session documents and 380 session tags, 14,000 observations.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

from benchmarks.stream import Stream, git, pack

FOLDER = "layer/sessions"
BRANCH = "patina"
_YEAR = 31_536_000
_PROSE = re.compile(r"^(?!#|\*\*|\s*$)(.*\w+\W+\w+\W+\w.*)$", re.MULTILINE)
_DATED = re.compile(r"\b20(\d\d)(?=\d{4}-\d{6}|-\d\d-\d\d)")
_SESSIONS, _COMMITS_EACH, _ITEMS = 290, 2, 45
_BEGIN = 1_735_689_600  # 2025-01-01
_TOPICS = (
    "index vector search sqlite commit hook session embedding model projection cache worker tag branch rebase"
    " test parser grammar tree file path error crash memory query ranking fusion lexical adapter container"
    " build release fix refactor decide because faster slower remove add rename split pattern schema"
)


def history_data() -> Path | None:
    """The folder of PATINA_HISTORY, else `../shared/history` beside the project, where it can be replayed."""
    named = os.environ.get("PATINA_HISTORY")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "history"
    return folder if (folder / "replay.py").is_file() else None


def make_history(root: Path, data: Path | None) -> None:
    """A repository at `root`: replayed from `data`, or made up."""
    if data is None:
        root.mkdir(parents=True)
        git(root, "init", "-q", "-b", BRANCH)
        _made_up().write(root)
        return
    command = [sys.executable, str(data / "replay.py"), "build", str(data), str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    git(root, "config", "--unset-all", "core.hooksPath")  # a replay keeps hooks out of its way
    git(root, "reset", "-q", "--hard")
    pack(root)


def lengthen(root: Path, times: int) -> None:
    """Put `times - 1` copies of the whole history upon it, each some years later, in other words.

    Commits come in one line, by date; each copy has its own texts, session ids, documents and tags.
    """
    from patina_hooks.git.repository import Repository

    repository = Repository.open(root)
    commits = list(repository.commits(repository.reachable(["HEAD"])))
    commits.sort(key=lambda commit: (commit.committed, commit.oid))
    tags = repository.refs("refs/tags/session-*")
    documents = {path.name: path.read_text("utf-8", "replace") for path in (root / FOLDER).glob("*.md")}
    stream = Stream(repository.branch() or BRANCH, "HEAD")
    for copy in range(1, times):
        marks = {}
        for commit in commits:
            files: dict[str, bytes | None] = {}
            for change in commit.changes:
                place, name = change.path.rpartition("/")[::2]
                if place == FOLDER and name in documents:
                    files[f"{place}/{_later(name, copy)}"] = _again(documents[name], copy).encode()
                elif place != FOLDER and not change.path.startswith("."):  # git and patina read some of those
                    files[change.path] = None if change.status == "D" else f"{commit.oid} {copy}\n".encode()
            message = _again(commit.message, copy)
            marks[commit.oid] = stream.commit(message, commit.committed + copy * _YEAR, files)
        for tag in tags:
            if tag.commit in marks:
                name = _later(tag.name.removeprefix("refs/tags/"), copy)
                stream.tag(name, marks[tag.commit], (tag.dated or 0) + copy * _YEAR, name)
    stream.write(root)


def _again(text: str, copy: int) -> str:
    """The same text in other words: each line of prose gets one more, dates and ids move on."""
    return _PROSE.sub(rf"\1 again{copy}", _later(text, copy))


def _later(text: str, copy: int) -> str:
    return _DATED.sub(lambda found: f"20{int(found[1]) + copy:02d}", text)


# --- a history that is made up --------------------------------------------------------------------


class _Words:
    """Sentences whose words are as unevenly frequent as in real texts (Zipf)."""

    def __init__(self) -> None:
        self.random = random.Random(1)
        syllables = [a + b for a in "bcdfghklmnprstvz" for b in "aeiou"]
        made = {"".join(self.random.choices(syllables, k=self.random.randint(2, 4))) for _ in range(12_000)}
        self._words = [*_TOPICS.split(), *sorted(made)]
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self._words) + 1)))

    def sentence(self, least: int = 5, most: int = 30) -> str:
        count = self.random.randint(least, most)
        return " ".join(self.random.choices(self._words, cum_weights=self._weights, k=count))


def _made_up() -> Stream:
    words, stream = _Words(), Stream(BRANCH)
    stream.commit("Begin", _BEGIN, {"README.md": b"made up\n"})
    for number in range(_SESSIONS):
        when = _BEGIN + 86_400 * (number + 1)
        session = _session_id(number)
        goal = words.sentence(3, 8)
        for part in range(_COMMITS_EACH):
            path = f"src/part{words.random.randint(0, 400)}.rs"
            message = f"{words.sentence(3, 10)}\n\n{words.sentence()}\n"
            mark = stream.commit(message, when + 600 * part, {path: f"{session} {part}\n".encode()})
            if part == 0:
                stream.tag(f"session-{session}-start", mark, when, f"Session start: {goal}")
        stream.tag(f"session-{session}-end", mark, when + 3_600, f"Session end: {goal}")
        document = _document(words, session, goal)
        stream.commit(f"Archive {session}", when + 3_700, {f"{FOLDER}/{session}.md": document.encode()})
    return stream


def _session_id(number: int) -> str:
    return f"2025{number // 28 + 1:02d}{number % 28 + 1:02d}-093000"


def _document(words: _Words, session: str, goal: str) -> str:
    head = f"# Session: {goal}\n**ID**: {session}\n**Started**: 2025-01-01T09:30:00Z\n\n"
    parts = [head, f"## Goals\n- [ ] {goal}\n\n## Activity Log\n### 09:40 - Update\n\n"]
    for label in ("Work Completed", "Key Decisions", "Challenges Faced", "Patterns Observed"):
        items = "".join(f"- {words.sentence()}\n" for _ in range(_ITEMS // 4))
        parts.append(f"**{label}:**\n{items}\n")
    return "".join(parts)
