"""Which files are prose, and what their paths state."""

from __future__ import annotations

import pytest

from patina_hooks.config.docs import OTHER_TEXTS, PROSE_FILES
from patina_hooks.extract.prose_source import describe_prose_path
from patina_hooks.text.gitignore import PathChoice

PROSE = [
    *(
        "README.md",
        "docs/setup.md",
        "docs/adr/0001-use-sqlite.md",
        "CHANGELOG.rst",
        "AGENTS.md",
        "a/CLAUDE.md",
    ),
    *("rfcs/0001.adoc", "docs/notes.txt", "packages/x/docs/deep/notes.txt", "docs/licensing.md"),
    *("docs/license-keys.md", "docs/third-party.md", "docs/requirements.md"),
]
OTHER = [
    *(
        "LICENSE.md",
        "LICENCE.rst",
        "license.md",
        "packages/x/LICENSE-MIT.md",
        "LICENSES/MIT.md",
        "COPYING.rst",
    ),
    *("NOTICE.md", "THIRD_PARTY_NOTICES.md", "docs/requirements.txt", "docs/requirements-dev.txt"),
    *(
        "docs/requirements/base.txt",
        "docs/CMakeLists.txt",
        "notes.txt",
        "src/main.py",
        ".patina/local/x.md",
        "md",
    ),
]


@pytest.mark.parametrize("path", PROSE)
def test_pages_are_prose(path: str) -> None:
    assert PathChoice(PROSE_FILES, OTHER_TEXTS).contains(path)


@pytest.mark.parametrize("path", OTHER)
def test_licences_and_lists_of_packages_are_not_prose(path: str) -> None:
    assert not PathChoice(PROSE_FILES, OTHER_TEXTS).contains(path)


def test_what_is_excluded_wins() -> None:
    choice = PathChoice(["docs/", "/*.md", "!/draft.md"], ["docs/old/", "docs/new/*.txt"])
    paths = [
        "docs/a.md",
        "docs/new/a.md",
        "docs/new/a.txt",
        "docs/old/a.md",
        "x/docs/a.md",
        "a.md",
        "draft.md",
    ]
    assert [path for path in paths if choice.contains(path)] == [
        *("docs/a.md", "docs/new/a.md", "x/docs/a.md", "a.md")
    ]


@pytest.mark.parametrize(
    ("path", "language", "title"),
    [
        ("docs/setup.md", "markdown", "setup"),
        ("README.MD", "markdown", "README"),
        ("docs/index.rst", "rst", "index"),
        ("a/b.adoc", "asciidoc", "b"),
        ("docs/notes.txt", "text", "notes"),
        ("docs/NEWS", "text", "NEWS"),
        (".md", "markdown", ".md"),
    ],
)
def test_the_path_states_markup_and_title(path: str, language: str, title: str) -> None:
    facts = describe_prose_path(path)
    assert (facts.language, facts.title) == (language, title)
    assert (facts.session, facts.date) == (None, None)
