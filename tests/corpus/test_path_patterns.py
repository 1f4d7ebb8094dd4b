"""Patterns of paths: which folder holds their matches. What they match: test_gitignore.py."""

from __future__ import annotations

import pytest

from patina_hooks.text.gitignore import PathChoice
from patina_hooks.text.path_patterns import escape_pattern, is_deep, literal_folder


def test_an_escaped_path_matches_itself_only() -> None:
    choice = PathChoice([f"/{escape_pattern('adr/0001-[x]*.md')}"], [])
    assert choice.contains("adr/0001-[x]*.md")
    assert not choice.contains("adr/0001-x.md")


@pytest.mark.parametrize(
    ("pattern", "folder", "deep"),
    [
        ("*.md", "", True),
        ("/*.md", "", False),
        ("docs/adr/*.md", "docs/adr", False),
        ("docs/**/*.md", "docs", True),
        ("docs/*/x.md", "docs", True),
        ("docs/", "", True),
        ("/docs/", "", True),
        ("docs/**", "docs", True),
    ],
)
def test_the_folder_of_a_pattern_holds_every_match(pattern: str, folder: str, deep: bool) -> None:
    assert (literal_folder(pattern), is_deep(pattern)) == (folder, deep)
