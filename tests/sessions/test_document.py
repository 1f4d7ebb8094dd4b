from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessions.workbench import NOON, NOON_ID

from patina_hooks.errors import SessionError, UsageError
from patina_hooks.sessions.documents import document
from patina_hooks.sessions.documents.document import TITLE_LIMIT, Ending, Header
from patina_hooks.sessions.metrics import Numbers
from patina_hooks.text.session_ids import TagName

HEADER = Header(
    title="build",
    id=NOON_ID,
    started="2025-11-21T23:30:26Z",
    adapter="claude",
    branch="main",
    start_tag=TagName(NOON_ID, None, "start"),
    starting_commit="0bf27fd3c3e92b3740238b6c780cac1387c28996",
)
ENDING = Ending(
    "build", HEADER.start_tag, HEADER.start_tag.with_edge("end"), "0" * 40, Numbers(9, 8, 4), abandoned=False
)

# What real titles and hostile ones are made of.
_titles = st.text(
    st.one_of(st.characters(), st.sampled_from("\x1b[31m\x9b\u202e\u2028\r\n\t\x00\ud800 #*:`\"'$🎉"))
).map(lambda text: text + "x")


def test_the_document_is_the_ancestors_byte_for_byte() -> None:
    assert document.render_document(HEADER, NOON) == (
        "# Session: build\n"
        "**ID**: 20251121-183026\n"
        "**Started**: 2025-11-21T23:30:26Z\n"
        "**LLM**: claude\n"
        "**Git Branch**: main\n"
        "**Session Tag**: session-20251121-183026-start\n"
        "**Starting Commit**: 0bf27fd3c3e92b3740238b6c780cac1387c28996\n"
        "\n"
        "## Previous Session Context\n"
        "<!-- AI: Summarize the last session from last-session.md -->\n"
        "\n"
        "## Goals\n"
        "- [ ] build\n"
        "\n"
        "## Activity Log\n"
        "### 18:30 - Session Start\n"
        "Session initialized with goal: build\n"
        "Working on branch: main\n"
        "Tagged as: session-20251121-183026-start\n"
        "\n"
    )


def test_what_is_appended_is_the_ancestors_byte_for_byte() -> None:
    assert document.render_update(NOON, "18:30", 3, 1, "20 seconds ago") == (
        "\n### 18:30 - Update (covering since 18:30)\n"
        "\n**Git Activity:**\n- Commits this session: 3\n- Files changed: 1\n"
        "- Last commit: 20 seconds ago\n\n"
    )
    assert document.render_note(NOON, "work@c181633", "a\nb") == "\n### 18:30 - Note [work@c181633]\na\nb\n"
    assert document.render_classification(ENDING) == (
        "\n## Session Classification\n- Work Type: pattern-work\n- Files Changed: 8\n- Commits: 9\n"
        "- Patterns Modified: 4\n"
        "- Session Tags: session-20251121-183026-start..session-20251121-183026-end\n"
    )
    assert document.render_pointer(ENDING, "layer/sessions/20251121-183026.md") == (
        "# Last Session: build\n"
        "\nSee: layer/sessions/20251121-183026.md\n"
        "Tags: session-20251121-183026-start..session-20251121-183026-end\n"
        "Classification: pattern-work\n"
        '\nQuick start: patina session start "continue from build"\n'
    )


def test_an_abandoned_session_says_so_and_unknown_numbers_are_called_unknown() -> None:
    block = document.render_classification(replace(ENDING, abandoned=True, numbers=None))
    assert "- Status: abandoned\n" in block
    assert "- Work Type: unknown\n" in block


def test_the_line_to_paste_cannot_run_the_title() -> None:
    pointer = document.render_pointer(replace(ENDING, title='$(rm) `rm` "x" \\'), "p")
    assert r'"continue from \$(rm) \`rm\` \"x\" \\"' in pointer


@given(_titles)
def test_any_title_is_one_line_and_is_read_back(text: str) -> None:
    try:
        title, _ = document.clean_title(text)
    except UsageError:
        return  # nothing but an escape sequence
    assert len(title) <= TITLE_LIMIT
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", title)
    assert document.clean_title(title) == (title, False)
    written = document.render_document(replace(HEADER, title=title), NOON)
    assert document.read_header(written, "x") == replace(HEADER, title=title)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("two\nlines\r\nand three", "two lines and three"),
        ("\x1b[1;31mred\x1b[0m and \x1b]0;window\x07plain", "red and plain"),
        ("a\u202eb\u009b31mc", "abc"),
        ("naïve 🎉 \"quoted\" 'so'", "naïve 🎉 \"quoted\" 'so'"),
        ("bytes that are no text: \udcff", "bytes that are no text:"),
    ],
)
def test_titles_are_folded_and_freed_of_what_a_terminal_would_obey(text: str, title: str) -> None:
    assert document.clean_title(text) == (title, False)


@pytest.mark.parametrize("text", ["", "  \n ", "\x1b[31m\x1b[0m", "\u202e\x00"])
def test_a_title_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="title"):
        document.clean_title(text)


def test_a_long_title_is_cut_and_says_so() -> None:
    title, cut = document.clean_title("word " * 2000)
    assert cut
    assert len(title) <= TITLE_LIMIT
    assert title.endswith("…")


@given(st.text())
def test_facts_are_read_from_any_text(text: str) -> None:
    assert isinstance(document.read_facts(text), dict)
    assert isinstance(document.read_facts("---\n" + text), dict)


def test_padded_numbers_front_matter_and_the_last_classification_are_read() -> None:
    padded = "# Session: x\n**ID**: 1\n\n## Session Classification\n- Commits: 1\n"
    padded += "\n## Session Classification\n- Work Type: feature\n- Files Changed:        8\n"
    assert document.read_facts(padded) == {
        "title": "x",
        "ID": "1",
        "Work Type": "feature",
        "Files Changed": "8",
    }
    front = '---\ntype: session\nid: "1"\ntitle: A title\nllm: gemini\ngit:\n  branch: work\n---\n\n# other\n'
    assert document.read_facts(front) == {
        "ID": "1",
        "title": "A title",
        "LLM": "gemini",
        "Git Branch": "work",
    }


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("# Session: ", "first line"),
        (f"**ID**: {NOON_ID}", "ID"),
        ("**Session Tag**: ", "Session Tag"),
        ("**Starting Commit**: ", "Starting Commit"),
    ],
)
def test_a_document_without_a_needed_line_is_refused_by_name(broken: str, why: str) -> None:
    text = document.render_document(HEADER, NOON).replace(broken, "gone ", 1)
    with pytest.raises(SessionError, match=re.escape(why)) as caught:
        document.read_header(text, ".patina/local/active-session.md")
    assert ".patina/local/active-session.md" in caught.value.hint


def test_a_block_starts_on_its_own_line() -> None:
    assert document.append_block("no newline at the end", "\n## x\n") == "no newline at the end\n\n## x\n"
    assert document.append_block("one\n", "\n## x\n") == "one\n\n## x\n"
