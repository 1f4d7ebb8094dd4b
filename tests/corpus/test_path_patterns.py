"""Patterns of paths as in .gitignore: what they match, compared with git itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from patina_hooks.text.path_patterns import compile_patterns, escape, is_deep, literal_folder

PATHS = (
    "a.md", "b.txt", "docs/a.md", "docs/b.txt", "docs/deep/c.txt", "docs/deep/er/d.md", "x/docs/a.md",
    "src/docs.md/e.py", "adr/0001-x.md", "adr/0001-[x].md", "x/adr/0002-y.md", ".md", "docs/.hidden.md",
    "node_modules/n.md", "x/node_modules/m/n.md",
)  # fmt: skip
PATTERNS = (
    "*.md", "/*.md", "docs/", "/docs/", "docs/*.md", "docs/**", "docs/**/*.md", "**/adr/*.md", "adr",
    "/adr/[0-9]*.md", "adr/000[!2]-*", "?.md", "**/node_modules/**", "x/**/n.md", "docs/deep", r"\*.md",
)  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_matches_what_git_ignores(tmp_path: Path, pattern: str) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text(pattern + "\n")
    listed = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin", "-z"], cwd=tmp_path, check=False,
        input="\0".join(PATHS), capture_output=True, text=True,
    )  # fmt: skip
    matched = compile_patterns([pattern])
    assert [path for path in PATHS if matched.fullmatch(path)] == listed.stdout.split("\0")[:-1]


def test_an_escaped_path_matches_itself_only() -> None:
    matched = compile_patterns([f"/{escape('adr/0001-[x]*.md')}"])
    assert matched.fullmatch("adr/0001-[x]*.md")
    assert not matched.fullmatch("adr/0001-x.md")


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
