"""On the real history, sessions and commits rank the same to the byte with and without documentation.

The pages that are added are copies of session documents: the very words of history, which would move its word
statistics and take places among its candidates if they were not kept apart. `PATINA_EXAMPLES=1000` asks every
mined question; without it a sample of them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import get_args

import pytest
from evaluation.past import read_past
from support.history import history_folder
from support.memory import FAST_RECIPE, Memory, memory_of
from support.sampling import examples

from patina_hooks.evaluation.evaluate import mine
from patina_hooks.search.query import Mode

_HISTORIES = [folder for folder in [history_folder()] if folder and (folder / "replay.py").is_file()]
_QUESTIONS = examples(40)
_ALL = 1000
_PAGES = 60


def rebuild(history: Path, root: Path) -> Memory:
    """Build the history, with one more commit that adds pages of documentation."""
    replay = [sys.executable, str(history / "replay.py"), "build", str(history), str(root), "--side"]
    subprocess.run(replay, check=True, capture_output=True)
    memory = Memory(root)
    memory.write(".patina/oxidize.yaml", FAST_RECIPE)
    documents = sorted((history / "sessions").glob("*.md"))
    pages = Random(0).sample(documents, _PAGES)
    memory.commit("Add pages", {f"docs/{page.name}": page.read_bytes() for page in pages})
    return memory


def mined_questions(memory: Memory) -> list[str]:
    """Return every mined question, or a sample of them."""
    questions = sorted({query.text for mined in mine(read_past(memory)) for query in mined.queries})
    return questions if _QUESTIONS >= _ALL else Random(0).sample(questions, _QUESTIONS)


def answers(memory: Memory, questions: Sequence[str]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Return the collection and all fields of every hit, scores to the last bit, by mode and question."""
    with memory_of(memory.repository) as patina:
        return {
            (mode, question): [
                (hit.collection, repr(hit)) for hit in patina.search(question, limit=50, mode=mode)
            ]
            for mode in get_args(Mode)
            for question in questions
        }


@pytest.mark.parametrize("history", _HISTORIES, ids=["history"][: len(_HISTORIES)])
def test_history_ranks_the_same_to_the_byte_when_documentation_is_indexed(
    history: Path, tmp_path: Path
) -> None:
    memory = rebuild(history, tmp_path / "repository")
    memory.write(".patina/config.toml", "[docs]\nenabled = false\n")
    memory.sync()
    questions = mined_questions(memory)
    without = answers(memory, questions)
    events_hash = memory.patina().status().events_hash
    memory.write(".patina/config.toml", "[docs]\nenabled = true\n")
    memory.sync()
    answered = answers(memory, questions)
    assert {key: [hit for hit in hits if hit[0] == "history"] for key, hits in answered.items()} == without
    assert all(without.values())
    assert all(any(name == "docs" for name, _ in answered["hybrid", question]) for question in questions)
    assert memory.patina().status().events_hash == events_hash
