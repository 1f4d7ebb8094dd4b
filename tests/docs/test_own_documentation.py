"""This project's documentation is found by its own search, under the names that readers know it by."""

from __future__ import annotations

import pytest
from support.marked import ROOT
from support.memory import Memory, memory_of

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/*/README.md", "plugins/*/README.md", "tests/*/README.md")
    for path in ROOT.glob(pattern)
)
NAMES = ("plugins", "projections", "architecture", "evaluation", "choosing-a-model")


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    memory = Memory.make(tmp_path_factory.mktemp("own") / "repository")
    pages = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in PAGES}
    memory.commit("Add the documentation", pages)
    memory.sync(most=0)
    return memory


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_among_the_first_three_when_its_name_is_asked_for(memory: Memory, name: str) -> None:
    with memory_of(memory.repository) as patina:
        hits = patina.search(name, limit=3, mode="lexical", collections="docs")
    page = f"docs/{name}.md"
    (hit,) = [hit for hit in hits if hit.path == page]
    assert hit.text.splitlines()[-1] in (ROOT / page).read_text("utf-8")
