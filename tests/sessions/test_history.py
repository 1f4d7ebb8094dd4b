"""Numbers and types recomputed over real history equal those that its documents state.

Of 182 documents with both tags and numbers, 181 state the numbers that their tags give. The other one is
20250828-101709: it moved files and edited them on the way, and the rebuilt repository holds placeholders for
program sources, by which git cannot see the two as one. Three more state the type `unknown`, with no numbers,
where the ancestor did not find their start tag.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.history import history_folder

from patina_hooks import sessions
from patina_hooks.git.repository import Repository
from patina_hooks.sessions.documents.document import read_facts
from patina_hooks.sessions.metrics import Numbers, measure_range

HISTORY = history_folder()


@dataclass(frozen=True, slots=True)
class Stated:
    """What a document states of itself, and the numbers recomputed from the tags it names."""

    id: str
    work_type: str
    stated: Numbers
    recomputed: Numbers


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    assert HISTORY is not None
    rebuilt = tmp_path_factory.mktemp("history") / "repository"
    replay = [sys.executable, str(HISTORY / "replay.py"), "build", str(HISTORY), str(rebuilt), "--side"]
    subprocess.run(replay, check=True, capture_output=True)
    return Repository.open(rebuilt)


def _stated(repository: Repository, folder: Path) -> Iterator[Stated]:
    commits = {
        ref.name.removeprefix("refs/tags/"): ref.commit for ref in repository.refs("refs/tags/session-*")
    }
    for path in sorted(folder.glob("*.md")):
        facts = read_facts(path.read_text("utf-8", "replace"))
        first, _, last = facts.get("Session Tags", "").partition("..")
        start, end = commits.get(first), commits.get(last)
        written = [facts.get(name, "") for name in ("Commits", "Files Changed", "Patterns Modified")]
        if start and end and all(number.isdigit() for number in written):
            numbers = Numbers(*(int(number) for number in written))
            yield Stated(path.stem, facts["Work Type"], numbers, measure_range(repository, start, end))


if HISTORY is not None:

    def test_numbers_and_types_equal_those_in_the_documents(repository: Repository) -> None:
        assert HISTORY is not None
        found = list(_stated(repository, HISTORY / "sessions"))
        assert len(found) == 182
        assert [item for item in found if item.recomputed != item.stated] == [
            Stated("20250828-101709", "pattern-work", Numbers(9, 9, 1), Numbers(9, 10, 1))
        ]
        other_types = {
            item.id: item.work_type for item in found if item.recomputed.work_type != item.work_type
        }
        assert other_types == dict.fromkeys(
            ("20250819-091818", "20251002-120643", "20251030-150739"), "unknown"
        )

    def test_every_real_session_is_listed_with_a_title(repository: Repository) -> None:
        assert HISTORY is not None
        found = sessions.list_sessions(repository)
        ids = {path.stem for path in (repository.root / "layer/sessions").glob("????????-??????.md")}
        assert ids <= {item.id for item in found}
        assert [item.id for item in found if not item.title] == []
        assert sum(item.commits is not None for item in found) > 170
