"""Patterns of paths: what git says of them, and how long they may take."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patina_hooks.text import gitignore
from patina_hooks.text.gitignore import IgnoreRules, parse_pattern

NAMES = ("a", "b", "ab", "a.md", "b.md", "ba.txt", "a b", "#a", "!a", "[a]", "x", "doc", "é", "**")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
PIECES = (
    *(
        "a",
        "b",
        "ab",
        "*",
        "**",
        "***",
        "?",
        "a*",
        "*.md",
        "*a*b*",
        "[ab]",
        "[!a]",
        "[^b]",
        "[a-x]",
        "[]a]",
        "[a",
    ),
    *(
        "[[:alpha:]]",
        "[[:digit:]x]",
        "[[:bad:]]",
        "\\a",
        "\\*",
        "\\*\\*",
        "a\\",
        "\\",
        "a\\ ",
        "\\#a",
        "\\!a",
        "#a",
        "a b",
        "doc",
    ),
    *("[\\a-b]", "[b-a]", "[a-]", "[]-a]", "a ", "a.md", "é", "[é]"),
)
PATTERNS = st.builds(
    lambda negated, anchored, parts, folder: f"{negated}{anchored}{'/'.join(parts)}{folder}",
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3),
    st.sampled_from(["", "", "/", "  ", "\r", "/ "]),
)
FILES = st.lists(PATTERNS, max_size=5).map("\n".join)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def ignored_by_git(root: Path, files: dict[str, str], paths: list[str]) -> set[str]:
    """Return what git takes for ignored; no path need exist, but those of the ignore files."""
    written = []
    for folder, text in files.items():
        file = root / folder / ".gitignore"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        written.append(file)
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=root, input="\0".join(paths).encode(), capture_output=True, check=False,
    )  # fmt: skip
    for file in written:
        file.unlink()
    assert asked.returncode in (0, 1), asked.stderr
    return {path.decode() for path in asked.stdout.split(b"\0") if path}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["", "doc", "doc/ab"]), FILES, min_size=1),
    st.sets(PATHS, min_size=1, max_size=30).map(sorted),
)
def test_files_are_ignored_that_git_ignores(
    repository: Path, files: dict[str, str], paths: list[str]
) -> None:
    # A path that ends where a folder with an ignore file lies is a folder to git.
    paths = [path for path in paths if path not in ("doc", "doc/ab")]
    rules = IgnoreRules(files)
    assert {path for path in paths if rules.ignores(path)} == ignored_by_git(repository, files, paths)


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        ("*.md", ["a.md", "x/y/a.md"], ["a.mdx"]),
        ("/*.md", ["a.md"], ["x/a.md"]),
        ("docs/**/*.txt", ["docs/a.txt", "docs/x/y/a.txt"], ["x/docs/a.txt", "docs"]),
        ("**/docs/**", ["docs/a", "x/docs/y/a"], ["docs"]),
        ("a?[!0-9]", ["abc"], ["ab1", "a/c"]),
    ],
)
def test_a_pattern_names_paths(pattern: str, names: list[str], others: list[str]) -> None:
    parsed = parse_pattern(pattern)
    assert parsed is not None
    assert [path for path in [*names, *others] if parsed.matches(path)] == names


@pytest.mark.parametrize("pattern", ["*a" * 100 + "*b", "**/a/" * 50 + "b", "[a-z]*" * 60 + "b"])
def test_a_hostile_pattern_takes_steps_by_the_product_of_lengths(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"steps": 0}
    holds: Callable[[gitignore.Token, str], bool] = gitignore._token_matches

    def counted(token: gitignore.Token, character: str) -> bool:
        counts["steps"] += 1
        return holds(token, character)

    monkeypatch.setattr(gitignore, "_token_matches", counted)
    path = "a" * 200 if "/" not in pattern else "/".join("a" * 100)
    parsed = parse_pattern(pattern)
    assert parsed is not None
    assert not parsed.matches(path)
    assert counts["steps"] <= 2 * len(pattern) * len(path)
