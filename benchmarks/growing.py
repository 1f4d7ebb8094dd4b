"""Synthetic histories of a chosen length, alike at every length, for measuring how costs grow."""

from __future__ import annotations

import random
from itertools import accumulate
from pathlib import Path
from time import gmtime, strftime
from typing import Final

from benchmarks.histories import FOLDER
from benchmarks.stream import Stream, git

BRANCH: Final = "main"
EARLY_BRANCH: Final = "early"
"""A branch at the hundredth commit: a narrow `--ref`."""
MIDDLE_BRANCH: Final = "middle"
"""A branch at half of the history."""
RARE_PATH: Final = "tools/rare.py"
COMMITS_PER_SESSION: Final = 100
_BEGIN: Final = 1_500_000_000
_SECONDS_PER_COMMIT: Final = 600
_ITEMS: Final = 6
_COMMON: Final = (
    "fix the session cache add test to index of commit in worker search query update remove hook model for"
    " vector projection tag branch parser file path error crash memory rank build release refactor rename"
)


def make_growing_history(root: Path, commits: int) -> None:
    """Write a repository of so many commits, with a session and its document per hundred."""
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", BRANCH)
    vocabulary = Vocabulary()
    stream = Stream(BRANCH)
    stream.commit("begin the history", _BEGIN, {".patina/oxidize.yaml": RECIPE.encode()})
    for number in range(1, commits):
        _add_commit(stream, vocabulary, number)
    stream.write(root)
    git(root, "branch", MIDDLE_BRANCH, f"{BRANCH}~{commits // 2}")
    git(root, "branch", EARLY_BRANCH, f"{BRANCH}~{commits - 100}")


RECIPE: Final = "version: 2\nembedding_model: static-64\n"


class Vocabulary:
    """Sentences of words that are as unevenly frequent as in real texts (Zipf)."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        syllables = [a + b for a in "bcdfghklmnprstvz" for b in "aeiou"]
        made = {"".join(self._random.choices(syllables, k=self._random.randint(2, 4))) for _ in range(12_000)}
        self._words = [*_COMMON.split(), *sorted(made)]
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(len(self._words))))

    def number(self, below: int) -> int:
        return self._random.randrange(below)

    def sentence(self, least: int, most: int) -> str:
        count = self._random.randint(least, most)
        return " ".join(self._random.choices(self._words, cum_weights=self._weights, k=count))


def session_of_commit(number: int) -> str:
    """The id of the session that the numbered commit belongs to."""
    first = number - number % COMMITS_PER_SESSION
    return strftime("%Y%m%d-%H%M%S", gmtime(_BEGIN + first * _SECONDS_PER_COMMIT))


def time_of_commit(number: int) -> int:
    return _BEGIN + number * _SECONDS_PER_COMMIT


def _add_commit(stream: Stream, vocabulary: Vocabulary, number: int) -> None:
    when, place = time_of_commit(number), number % COMMITS_PER_SESSION
    message = f"{vocabulary.sentence(4, 9)} {number}\n\n{vocabulary.sentence(8, 20)}\n"
    path = f"src/part{vocabulary.number(20)}/file{vocabulary.number(40)}.py"
    files: dict[str, bytes | None] = {path: b"%d\n" % number}
    if number in (150, 151):
        files[RARE_PATH] = b"%d\n" % number
    if place == COMMITS_PER_SESSION - 1:
        session = session_of_commit(number)
        files[f"{FOLDER}/{session}.md"] = _document(vocabulary, session).encode()
    mark = stream.commit(message, when, files)
    if place in (0, COMMITS_PER_SESSION - 1):
        edge = "start" if place == 0 else "end"
        stream.tag(f"session-{session_of_commit(number)}-{edge}", mark, when, f"Session {edge}")


def _document(vocabulary: Vocabulary, session: str) -> str:
    goal = vocabulary.sentence(3, 8)
    head = f"# Session: {goal}\n**ID**: {session}\n\n## Goals\n- [ ] {goal}\n\n"
    log = "## Activity Log\n### 09:40 - Update\n\n"
    labels = ("Work Completed", "Key Decisions", "Challenges Faced", "Patterns Observed")
    blocks = [
        f"**{label}:**\n" + "".join(f"- {vocabulary.sentence(6, 20)}\n" for _ in range(_ITEMS)) + "\n"
        for label in labels
    ]
    return head + log + "".join(blocks)
