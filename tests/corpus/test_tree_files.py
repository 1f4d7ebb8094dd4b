"""Which files of a tree are left out, and why: attributes as git reads them, rules, limits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from patina_hooks.corpus.locations import ABSENT
from patina_hooks.corpus.tree_files import limits
from patina_hooks.corpus.tree_files.attributes import Attributes
from patina_hooks.corpus.tree_files.limits import (
    TreeRules,
    find_content_reason,
    find_path_reason,
    rule_files,
)
from patina_hooks.git.repository import Blob

NAMES = ("linguist-generated", "linguist-vendored", "linguist-documentation")
NO_RULES = TreeRules.parse({}, {})

WORDS = st.sampled_from(
    [
        *(f"{sign}{name}" for sign in ("", "-", "!") for name in NAMES),
        *("linguist-generated=true", "linguist-vendored=false", "text", "eol=lf"),
        *(f"{sign}{macro}" for sign in ("", "-", "!") for macro in ("made", "copied")),
    ]
)
LINES = st.builds(
    lambda indent, pattern, words, end: f"{indent}{pattern} {' '.join(words)}{end}",
    st.sampled_from(["", "", " "]),
    st.sampled_from(
        [
            *(
                "*",
                "*.md",
                "a.md",
                "/a.md",
                "doc/",
                "doc/**",
                "doc/*.md",
                "**/b.md",
                "!a.md",
                "#c",
                "[ab].md",
            ),
            *('"a b.md"', '"\\303\\244.md"', '"a\\x"', "[attr]made", "[attr]copied", "ä.md"),
        ]
    ),
    st.lists(WORDS, max_size=4),
    st.sampled_from(["", "\r", "  "]),
)
PATHS = ["a.md", "b.md", "a b.md", "ä.md", "doc/a.md", "doc/x/b.md", "doc/x/a.md"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "doc/x").mkdir(parents=True)
    return root


def stated_by_git(root: Path, files: dict[str, str]) -> dict[tuple[str, str], bool | None]:
    for folder in ("", "doc", "doc/x"):
        (root / folder / ".gitattributes").write_text(files.get(folder, ""), "utf-8", newline="\n")
    asked = subprocess.run(
        ["git", "check-attr", "-z", "--stdin", *NAMES],
        cwd=root, input="\0".join(PATHS).encode(), capture_output=True, check=True,
    )  # fmt: skip
    cells = asked.stdout.decode().split("\0")
    states = {"set": True, "unset": False, "unspecified": None, "true": True, "false": False}
    return {
        (path, name): states[value]
        for path, name, value in zip(cells[::3], cells[1::3], cells[2::3], strict=False)
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["", "doc", "doc/x"]), st.lists(LINES, max_size=5).map("\n".join), min_size=1
    )
)
@example(files={"": "* made -made\n[attr]made linguist-generated"})
@example(files={"": "* made\n* -made\n[attr]made linguist-generated"})
@example(files={"": "* copied\n[attr]made linguist-generated\n[attr]copied made"})
def test_attributes_are_those_that_git_states(repository: Path, files: dict[str, str]) -> None:
    attributes = Attributes(files)
    read = {(path, name): attributes.state(path, name) for path in PATHS for name in NAMES}
    assert read == stated_by_git(repository, files)


@pytest.mark.parametrize(
    ("path", "mode", "reason"),
    [
        ("docs/setup.md", "100644", ""),
        ("docs/setup.md", "100755", ""),
        ("docs/link.md", "120000", limits.LINK),
        ("docs", "160000", limits.SUBMODULE),
        (".env", "100644", limits.SECRETS_FILE),
        ("deploy/.env.production", "100644", limits.SECRETS_FILE),
        (".env.example", "100644", ""),
        ("keys/id_rsa", "100644", limits.SECRETS_FILE),
        ("keys/server.pem", "100644", limits.SECRETS_FILE),
        ("node_modules/x/README.md", "100644", limits.VENDORED_FOLDER),
        ("src/vendor/x/README.md", "100644", limits.VENDORED_FOLDER),
        ("vendor", "100644", ""),
        ("static/app.min.js", "100644", limits.MINIFIED),
    ],
)
def test_a_file_is_left_out_for_its_path_or_mode(path: str, mode: str, reason: str) -> None:
    assert find_path_reason(path, mode, NO_RULES) == reason


def test_a_file_is_left_out_where_the_repository_says_so() -> None:
    rules = TreeRules.parse(
        {"": "/drafts/\n*.tmp.md\n", "docs": "old.md\n!keep.tmp.md\n"},
        {
            "": "docs/api.md linguist-generated\n"
            "copied/** linguist-vendored\n"
            "vendor/ours/** -linguist-vendored\n"
        },
    )
    reasons = {
        "drafts/a.md": limits.IGNORED,
        "docs/old.md": limits.IGNORED,
        "old.md": "",
        "a.tmp.md": limits.IGNORED,
        "docs/keep.tmp.md": "",
        "docs/api.md": limits.MARKED_GENERATED,
        "copied/README.md": limits.MARKED_VENDORED,
        "vendor/ours/README.md": "",
        "vendor/theirs/README.md": limits.VENDORED_FOLDER,
    }
    assert {path: find_path_reason(path, "100644", rules) for path in reasons} == reasons


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"text\n", ""),
        (b"text\0text", limits.BINARY),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", limits.LFS_POINTER),
        (b"# API\n\n<!-- This file is made by a tool. Do not edit. -->\n", limits.GENERATED_TEXT),
        (b"// @generated by a tool\n", limits.GENERATED_TEXT),
        (b"Do not edit a generated file.\n", ""),
        (b"# Do not edit generated files\n", ""),
        (b"x" * 1000, ""),
        (b"x" * limits.HEAD_BYTES, limits.MINIFIED),
    ],
)
def test_a_file_is_left_out_for_its_content(text: bytes, reason: str) -> None:
    assert find_content_reason(Blob("a", len(text), text), by_hand=False) == reason
    guesses = {limits.GENERATED_TEXT, limits.MINIFIED}
    assert find_content_reason(Blob("a", len(text), text), by_hand=True) == (
        "" if reason in guesses else reason
    )


def test_a_file_without_data_is_left_out() -> None:
    assert find_content_reason(Blob("a", -1, None), by_hand=True) == ABSENT
    assert find_content_reason(Blob("a", 9_000_000, None), by_hand=True) == limits.TOO_LARGE


def test_files_of_rules_are_valid_for_their_folder() -> None:
    paths = [".patinaignore", "docs/a/.patinaignore", "docs/.gitattributes", "docs/x.patinaignore"]
    assert rule_files(paths, limits.IGNORE_FILE) == {"": paths[0], "docs/a": paths[1]}
    assert rule_files(paths, limits.ATTRIBUTES_FILE) == {"docs": paths[2]}


def test_the_repository_may_declare_documentation() -> None:
    rules = TreeRules.parse({}, {"": "help/*.txt linguist-documentation\nother/* -linguist-documentation"})
    assert [rules.is_documentation(path) for path in ("help/a.txt", "other/a.txt", "a.txt")] == [
        *(True, False, False)
    ]


def test_files_near_the_root_come_first_when_not_all_are_read() -> None:
    paths = ["docs/a/b.md", "docs/z.md", "README.md", "docs/a.md", "CHANGELOG.md"]
    ordered = ["CHANGELOG.md", "README.md", "docs/a.md", "docs/z.md", "docs/a/b.md"]
    assert sorted(paths, key=lambda path: limits.cap_order(path, "")) == ordered


@given(st.binary(max_size=300), st.text(max_size=60), st.text(max_size=60))
def test_any_bytes_and_rules_have_an_answer(head: bytes, ignore: str, attributes: str) -> None:
    rules = TreeRules.parse({"": ignore}, {"": attributes})
    assert isinstance(find_path_reason("docs/a.md", "100644", rules), str)
    assert isinstance(find_content_reason(Blob("a", len(head), head), by_hand=False), str)


def test_a_chain_of_macros_has_any_length() -> None:
    chain = "".join(f"[attr]m{number} m{number + 1}\n" for number in range(20_000))
    attributes = Attributes(
        {"": f"{chain}[attr]m20000 linguist-generated\n*.md m0\n[attr]loop loop\n*.rst loop\n"}
    )
    assert attributes.state("a.md", "linguist-generated") is True
    assert attributes.state("a.rst", "linguist-generated") is None
