"""The reader of session documents: over real documents, over made ones, and over hostile ones."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from corpus.first_match_reader import first_match
from hypothesis import given
from hypothesis import strategies as st
from support.history import Corpus, corpora, excerpt_folder

from patina_hooks.extract.session_reader import MAX_OBSERVATIONS, extract_session
from patina_hooks.specs.values import Document, Extraction
from patina_hooks.text.markdown import MAX_PASSAGE

CORPORA = [pytest.param(corpus, id=corpus.name) for corpus in corpora()]

# (decisions and patterns, sessions with two or more of them, all items) of the first-match reader; in the
# history without the one document that came after its own count was taken.
FIRST_MATCH = {"excerpt": (32, 3, 61), "history": (1015, 108, 1807)}
LATER = "20251123-104727.md"

# What headings and labels of tools and templates say, in any document.
USUAL = set(
    re.findall(
        r"\w+",
        """
        accomplishments achievement achievements actions activity and architectural architecture benefits
        blockers captured challenges changed changes classification claude commits completed conclusion
        context core covering created critical current decision decisions design details did discovered
        discoveries discussion do done during end faced features files final findings for future git goal
        goals got have i identified impact implementation implemented improvements insight insights is it
        key learned lessons log made major matters modified needed next note notes observations observed
        of original outcome outcomes overview pattern patterns period previous problem problems reasoning
        recommendations request results resuming session should since solution solutions start status
        steps summary technical this to update updated user we what when why work
        """,
    )
)

MARKUP = re.compile(r"^[ \t>]*(?:[-*+]|\d{1,9}[.)])?[ \t]+(?:\[[ xX]\])?", re.MULTILINE)


def read(text: str) -> Extraction:
    return extract_session(Document("session", "0" * 40, text))


def read_file(path: Path) -> Extraction:
    return read(path.read_text("utf-8"))


def found(extraction: Extraction, kind: str) -> list[str]:
    return [observation.text for observation in extraction.observations if observation.kind == kind]


def plain(text: str) -> str:
    """A text for comparison: list markers, check boxes and differences of white space removed."""
    return " ".join(MARKUP.sub(" ", "\n" + text).split())


def uncovered(text: str, extraction: Extraction) -> list[str]:
    """Lines that are in no omission and whose words are in no one observation that starts at or before them.

    Words of a line may be spread over the pieces of a line that was split, so those are looked at together.
    """
    omitted = {line for omission in extraction.omissions for line in range(omission.first, omission.last + 1)}
    said: dict[int, set[str]] = {}
    for observation in extraction.observations:
        words = set(re.findall(r"\w+", observation.text))
        for line in range(observation.line, observation.line + observation.text.count("\n") + 1):
            said.setdefault(line, set()).update(words)
    lines = enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1)
    return [
        line
        for number, line in lines
        if number not in omitted
        and not set(re.findall(r"\w+", MARKUP.sub(" ", " " + line))) <= said.get(number, set())
    ]


# --- real documents ---------------------------------------------------------------------------------


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_reference_gives_the_published_counts(corpus: Corpus) -> None:
    items = [first_match(path.read_text("utf-8")) for path in corpus.sessions if path.name != LATER]
    beliefs = [len(item.beliefs) for item in items]
    counts = (sum(beliefs), sum(count >= 2 for count in beliefs), sum(len(item.all) for item in items))
    assert counts == FIRST_MATCH[corpus.name]


@pytest.mark.parametrize("corpus", CORPORA)
def test_whatever_the_first_match_reader_finds_is_inside_an_observation(corpus: Corpus) -> None:
    missed = []
    for path in corpus.sessions:
        text = path.read_text("utf-8")
        said = [plain(observation.text) for observation in read_file(path).observations]
        missed += [
            (path.name, item)
            for item in first_match(text).all
            if not any(plain(item) in observation for observation in said)
        ]
    assert missed == []


@pytest.mark.parametrize("corpus", CORPORA)
def test_kinds_of_the_first_match_reader_are_kept(corpus: Corpus) -> None:
    wrong = []
    for path in corpus.sessions:
        items = first_match(path.read_text("utf-8"))
        extraction = read_file(path)
        for kind, wanted in (
            ("goal", items.goals),
            ("context", items.context),
            ("decision", items.decisions),
        ):
            said = [plain(text) for text in found(extraction, kind)]
            wrong += [(path.name, item) for item in wanted if not any(plain(item) in text for text in said)]
    assert wrong == []


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_line_ends_in_an_observation_or_a_named_omission(corpus: Corpus) -> None:
    lost = {path.name: uncovered(path.read_text("utf-8"), read_file(path)) for path in corpus.all}
    assert {name: lines for name, lines in lost.items() if lines} == {}


@pytest.mark.parametrize("corpus", CORPORA)
def test_headings_and_labels_leave_out_only_words_that_every_document_has(corpus: Corpus) -> None:
    lost: dict[str, set[str]] = {}
    for path in corpus.all:
        extraction = read_file(path)
        lines = path.read_text("utf-8").split("\n")
        said = {item.line: item.text for item in extraction.observations}
        for omission in extraction.omissions:
            for number in range(omission.first, omission.last + 1):
                if omission.reason in ("heading", "label") and not re.search(r"\[\S+\]", lines[number - 1]):
                    words = re.findall(r"\w+", lines[number - 1])
                    lost.setdefault(path.name, set()).update(
                        {word.lower() for word in words if not word.isdecimal()}
                        - set(re.findall(r"\w+", said.get(number, "").lower()))
                    )
    assert {name: words - USUAL for name, words in lost.items() if words - USUAL} == {}


@pytest.mark.parametrize("corpus", CORPORA)
def test_observations_are_in_order_trimmed_and_of_a_readable_size(corpus: Corpus) -> None:
    for path in corpus.all:
        observations = read_file(path).observations
        assert [item.line for item in observations] == sorted(item.line for item in observations)
        assert all(
            item.text == item.text.strip() and 0 < len(item.text) <= MAX_PASSAGE for item in observations
        )


@pytest.mark.parametrize("corpus", CORPORA)
def test_only_known_reasons_leave_lines_out(corpus: Corpus) -> None:
    reasons = Counter(omission.reason for path in corpus.all for omission in read_file(path).omissions)
    assert set(reasons) <= {
        *("title", "heading", "time", "label", "head field", "session start", "classification", "counter"),
        *("rule", "placeholder", "comment", "empty item", "empty quotation", "front matter"),
    }


def test_fields_of_a_complete_document() -> None:
    extraction = read_file(excerpt_folder() / "20251116-164846.md")
    fields = dict(extraction.fields)
    assert extraction.title
    assert fields["id"] == "20251116-164846"
    assert fields["adapter"] == "claude"
    assert fields["start_tag"] == "session-20251116-164846-start"
    assert fields["end_tag"] == "session-20251116-164846-end"
    assert len(fields["starting_commit"]) == 40
    assert {name: fields[name] for name in ("work_type", "files", "commits", "patterns")} == {
        "work_type": "experiment",
        "files": "9",
        "commits": "2",
        "patterns": "0",
    }


def test_an_init_document_is_no_session_but_is_kept() -> None:
    extraction = read_file(excerpt_folder() / "20250812-123323-init.md")
    assert "id" not in extraction.fields
    assert {item.kind for item in extraction.observations} == {"text"}
    assert any("Eliminate context friction" in item.text for item in extraction.observations)


def test_a_summary_of_prompts_tells_user_and_assistant_apart() -> None:
    extraction = read_file(excerpt_folder() / "session_summary_july27.md")
    assert "ok begin brain to layer codebase edits" in found(extraction, "prompt")
    assert "Let me read the last session summary to understand what actually happened." in found(
        extraction, "activity"
    )
    assert extraction.title == "Claude Session Summary"
    assert "id" not in extraction.fields


# --- labels, kinds, fields --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("**Work Completed:**", "work"),
        ("**Work completed**:", "work"),
        ("**Work completed during this period:**", "work"),
        ("**Key Decisions:**", "decision"),
        ("**Key decisions and reasoning:**", "decision"),
        ("**Key Decisions & Reasoning:**", "decision"),
        ("**Key Decisions**", "decision"),
        ("Key decisions:", "decision"),
        ("## Key Decisions", "decision"),
        ("### Key Architectural Decisions", "decision"),
        ("**Patterns observed:**", "pattern"),
        ("**Challenges & Solutions:**", "challenge"),
        ("**Challenges Faced**:", "challenge"),
        ("**Next Steps (After Decision):**", "next"),
        ("**Discussion Context:**", "discussion"),
        ("## User Prompts (3)", "prompt"),
        ("### ~14:05 - Note [main@0123abc]", "note"),
        ("### 14:05-15:10 - Update (covering since 13:00)", "activity"),
        ("**What we saw:**", "activity"),
    ],
)
def test_a_heading_or_label_gives_its_items_a_kind(label: str, kind: str) -> None:
    extraction = read(f"# Session: x\n\n## Activity Log\n\n{label}\n- one thing\n\n1) another thing\n")
    assert [(item.kind, item.text) for item in extraction.observations if item.weight == 1] == [
        (kind, "one thing"),
        (kind, "another thing"),
    ]


def test_every_block_of_the_same_label_counts() -> None:
    update = "### 1{0}:00 - Update (covering since 09:00)\n\n**Key Decisions:**\n- decision {0}\n\n"
    extraction = read("# Session: x\n\n## Activity Log\n" + "".join(update.format(n) for n in range(4)))
    assert found(extraction, "decision") == [f"decision {n}" for n in range(4)]


def test_a_label_with_text_names_the_kind_of_that_text() -> None:
    extraction = read("# Session: x\n\n**Key Decision**: one file each,\nnever two\n**Why**: less to lock\n")
    assert [(item.kind, item.text) for item in extraction.observations] == [
        ("decision", "one file each,\nnever two"),
        ("decision", "**Why**: less to lock"),
    ]


def test_an_unknown_label_ends_the_known_one() -> None:
    text = "# Session: x\n\n**Key Decisions:**\n- a decision\n\n**Commit**: `abc` - docs\n\n- an item\n"
    assert [(item.kind, item.text) for item in read(text).observations] == [
        ("decision", "a decision"),
        ("text", "**Commit**: `abc` - docs"),
        ("text", "an item"),
    ]


def test_an_unknown_label_with_text_is_the_section_up_to_the_next_blank_line() -> None:
    text = "# Session: x\n\n## Plan\n**Solution**: a lock\n- an item\n\n- another\n"
    assert [(item.section, item.text) for item in read(text).observations] == [
        ("Session: x", "Plan"),
        ("Plan", "**Solution**: a lock"),
        ("Solution", "an item"),
        ("Plan", "another"),
    ]


def test_a_heading_or_label_is_text_of_less_weight_than_what_stands_below_it() -> None:
    text = (
        "# Session: x\n\n## Key Decisions\n\n### Rewrote the parser\n\n### Then\n\n**Only words:**\n\n"
        "#### Deeper\n\ntext\n"
    )
    assert [(item.kind, item.text, item.section, item.weight) for item in read(text).observations] == [
        ("decision", "Rewrote the parser", "Key Decisions", 1.0),
        ("text", "Then", "Key Decisions", 0.75),
        ("decision", "Only words", "Then", 1.0),
        ("text", "Deeper", "Then", 0.75),
        ("decision", "text", "Deeper", 1.0),
    ]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("## Why it fails on drop", [("text", "Why it fails on drop")]),
        ("## Solution", []),
        ("### What We Did", []),
        ("### What's New", []),
        ("**Session Summary:**", []),
        ("## 1. Next Steps Needed", []),
        ("## What's New in 2.0", [("text", "What's New in 2.0")]),
        ("## Decisions for #12", [("text", "Decisions for #12")]),
        ("## 123", [("text", "123")]),
        ("## 🎉", [("text", "🎉")]),
        ("**Odd findings:**", [("text", "Odd findings")]),
        ("## Decision: split the parser", [("text", "Decision: split the parser")]),
        ("### Insights for 2.0 (and 設計)", [("text", "Insights for 2.0 (and 設計)")]),
        ("**Decision: split it**", [("decision", "split it")]),
        ("**Decision on locks:** one", [("decision", "**Decision on locks:** one")]),
        ("**Decision on locks: one file**", [("decision", "**Decision on locks: one file**")]),
        ("### 10:30 - Update (the lock order)", [("activity", "Update (the lock order)")]),
        ("### 10:30 - Note [on the parser]", [("note", "Note [on the parser]")]),
        ("### 10:30 - User request for speed", [("prompt", "User request for speed")]),
        ("**Key Decision:** one", [("decision", "one")]),
        ("**Challenges faced and solutions:**", []),
        ("## Key Decisions & Reasoning", []),
        ("### 10:30 - Update [main@0123abc]", []),
        ("### 10:30 - Final Update (covering since 09:00)", []),
        ("## A title", []),
    ],
)
def test_a_heading_or_label_is_kept_for_its_own_words(line: str, kept: list[tuple[str, str]]) -> None:
    extraction = read(f"# Session: A title\n\nabove\n\n{line}\n\nbelow\n")
    said = [(item.kind, item.text) for item in extraction.observations]
    assert said[0] == ("text", "above")
    assert said[-1][1] == "below"
    assert said[1:-1] == kept


def test_a_heading_that_names_a_kind_and_has_nothing_below_is_of_that_kind() -> None:
    extraction = read("# Session: x\n\n## Decision: split it\n\n**Pattern for locks:**\n\n## Pattern\n")
    assert [(item.kind, item.text) for item in extraction.observations] == [
        ("text", "Decision: split it"),
        ("pattern", "Pattern for locks"),
    ]


@pytest.mark.parametrize(
    "nothing", ["---", "<!-- a comment -->", "<!-- AI: fill in -->", "-", "- <!-- x -->", ">"]
)
def test_what_says_nothing_below_a_heading_leaves_it_its_kind(nothing: str) -> None:
    head = f"# Session: x\n\n## Decision: adopt onnx\n\n{nothing}\n\n"
    said = [
        [(item.kind, item.text, item.weight) for item in read(head + end).observations]
        for end in ("## Next", "")
    ]
    assert said == [[("decision", "Decision: adopt onnx", 1.0)]] * 2
    below = read(head + "It is fast.\n").observations
    assert [(item.kind, item.text, item.weight) for item in below] == [
        ("text", "Decision: adopt onnx", 0.75),
        ("decision", "It is fast.", 1.0),
    ]


def test_a_heading_in_the_summary_of_the_session_before_is_part_of_it() -> None:
    text = "# Session: x\n\n## Previous Session Context\nWe began.\n\n### The cache\nIt moved.\n\n## Goals\n"
    assert [(item.kind, item.text, item.line) for item in read(text).observations] == [
        ("context", "We began.", 4),
        ("context", "The cache\nIt moved.", 6),
    ]


def test_a_first_heading_below_front_matter_with_another_title_is_kept() -> None:
    head = "---\nid: 20260102-030405\ntitle: Stated\n---\n\n"
    assert found(read(f"{head}# Another\n\nwords\n"), "text") == ["Another", "words"]
    assert found(read(f"{head}# Session: Stated\n\nwords\n"), "text") == ["words"]


def test_a_timed_heading_that_tells_something_is_an_activity() -> None:
    extraction = read("# Session: x\n\n## Activity Log\n### 09:10 - Fixed the login\n### 09:20 - Update\n")
    assert [(item.kind, item.text) for item in extraction.observations] == [("activity", "Fixed the login")]


def test_what_the_tools_write_is_no_observation() -> None:
    extraction = read(
        "# Session: a title\n**ID**: 20250102-030405\n**Session Tag**: session-20250102-030405-start\n\n"
        "## Previous Session Context\n<!-- AI: Summarize the last session -->\n\n## Goals\n- [ ] a title\n\n"
        "## Activity Log\n### 03:04 - Session Start\nSession initialized with goal: a title\n"
        "Working on branch: main\nTagged as: session-20250102-030405-start\n\n"
        "### 03:30 - Update (covering since session start)\n\n**Git Activity:**\n"
        "- Commits this session:        4\n- Files changed: 3\n- Last commit: 2 minutes ago\n\n"
        "## Session Classification\n- Work Type: feature\n- Files Changed:        3\n- Commits: 4\n"
        "- Patterns Modified: 0\n"
        "- Session Tags: session-20250102-030405-start..session-20250102-030405-end\n"
    )
    assert [(item.kind, item.text) for item in extraction.observations] == [("goal", "a title")]
    assert dict(extraction.fields) == {
        "id": "20250102-030405",
        "last_activity": "03:30",
        "start_tag": "session-20250102-030405-start",
        "end_tag": "session-20250102-030405-end",
        "branch": "main",
        "work_type": "feature",
        "files": "3",
        "commits": "4",
        "patterns": "0",
    }


def test_a_goal_that_is_not_the_title_stays_a_goal() -> None:
    extraction = read(
        "# Session: short\n### 03:04 - Session Start\nSession initialized with goal: a longer goal\n"
    )
    assert found(extraction, "goal") == ["a longer goal"]


def test_counters_outside_git_activity_are_kept() -> None:
    extraction = read("# Session: x\n\n**Results:**\n- Files changed: all of them, it took an hour\n")
    assert found(extraction, "text") == ["Files changed: all of them, it took an hour"]


@pytest.mark.parametrize(
    ("head", "id_"),
    [("", None), ("**ID**: 20240102-030405\n", "20240102-030405"), ("**ID**: 18038d25-48ed\n", None)],
)
def test_the_id_is_what_the_text_states(head: str, id_: str | None) -> None:
    assert read(f"# Session: x\n{head}").fields.get("id") == id_


def test_the_last_activity_is_the_last_time_in_a_heading() -> None:
    log = "## Activity Log\n### 9:10 - Session Start\n### ~11:05-13:40 - Fixed\n- it\n### Free heading\n"
    assert read(f"# Session: x\n\n{log}").fields["last_activity"] == "13:40"


def test_an_abandoned_session_says_so_in_a_field() -> None:
    extraction = read(
        "# Session: x\n\n## Session Classification\n- Work Type: feature\n- Status: abandoned\n"
    )
    assert extraction.fields["status"] == "abandoned"
    assert extraction.observations == ()


def test_front_matter_states_fields_and_the_rest_is_kept() -> None:
    extraction = read(
        "---\ntype: session\nid: 20260102-030405\ntitle: A later form\nstatus: archived\nllm: gemini\n"
        "created: 2026-01-02T08:04:05Z\ntags: [cache, parser]\ngit:\n  branch: work\n"
        "  starting_commit: 0123abc\n  start_tag: session-20260102-030405-gemini-start\n---\n\n"
        "## Beliefs Captured: 1\n- **small-files**: small files heal\n\n## User Prompts (2)\n"
        "### [08:05]\nmake it fast\n"
    )
    assert extraction.title == "A later form"
    assert dict(extraction.fields) == {
        "id": "20260102-030405",
        "last_activity": "08:05",
        "adapter": "gemini",
        "started": "2026-01-02T08:04:05Z",
        "branch": "work",
        "starting_commit": "0123abc",
        "start_tag": "session-20260102-030405-gemini-start",
    }
    assert [(item.kind, item.text, item.line) for item in extraction.observations] == [
        ("text", "tags: [cache, parser]", 8),
        ("pattern", "**small-files**: small files heal", 16),
        ("prompt", "make it fast", 20),
    ]


@pytest.mark.parametrize(
    "body", ["a: [\n", "- one\n- two\n", "just words\n", "a: " + "[" * 500 + "\n", "\x00: 1\n"]
)
def test_what_is_no_front_matter_is_read_as_text(body: str) -> None:
    text = f"---\n{body}---\n\nafter\n"
    extraction = read(text)
    assert uncovered(text, extraction) == []
    assert found(extraction, "text")[-1] == "after"


def test_front_matter_nested_beyond_reason_is_read_as_text() -> None:
    text = f"---\nid: 20260102-030405\na: {'[' * 300}{']' * 300}\n---\n"
    extraction = read(text)
    assert "id" not in extraction.fields
    assert uncovered(text, extraction) == []


def test_an_unknown_document_is_kept_as_text_with_its_section() -> None:
    extraction = read("Some prose\nover two lines.\n\nMore.\n\n## Setup\n* an item\n+ another\n")
    assert [(item.kind, item.section, item.text) for item in extraction.observations] == [
        ("text", "", "Some prose\nover two lines."),
        ("text", "", "More."),
        ("text", "Setup", "an item"),
        ("text", "Setup", "another"),
    ]
    assert extraction.title == "Setup"


# --- blocks -----------------------------------------------------------------------------------------


def test_an_item_keeps_what_is_nested_in_it() -> None:
    code = "   ```sql\n# not a heading\n   ```\n"
    text = f"**Key Decisions:**\n1. [x] Use WAL\n   because of readers\n   - and a timeout\n\n{code}2. Next\n"
    assert [(item.line, item.text) for item in read(text).observations] == [
        (2, "Use WAL\nbecause of readers\n- and a timeout\n\n```sql\n# not a heading\n```"),
        (9, "Next"),
    ]


def test_text_right_below_an_item_continues_it() -> None:
    assert [item.text for item in read("- one\nand more\n\nprose\n").observations] == [
        "one\nand more",
        "prose",
    ]


def test_a_long_item_is_split_where_its_parts_begin() -> None:
    child = "  - child {} " + "word " * 100 + "\n    - grandchild {}\n"
    text = "- parent\n" + "".join(child.format(n, n) for n in range(5)) + "- sibling\n"
    texts = [item.text for item in read(text).observations]
    assert texts[0] == "parent"
    assert [text.split(" word")[0] for text in texts[1:6]] == [f"child {n}" for n in range(5)]
    assert all(text.endswith(f"- grandchild {n}") for n, text in enumerate(texts[1:6]))
    assert texts[6] == "sibling"


def test_a_long_paragraph_is_split_between_sentences() -> None:
    sentence = "This sentence has about fifty characters in it, so. "
    texts = [item.text for item in read(sentence * 100).observations]
    assert all(text.endswith("so.") for text in texts)
    assert " ".join(texts) == (sentence * 100).strip()


def test_windows_line_ends_change_nothing() -> None:
    text = (excerpt_folder() / "20250902-165735.md").read_text("utf-8")
    assert read(text.replace("\n", "\r\n")) == read(text)
    assert read("\ufeff" + text) == read(text)


def test_code_and_tables_are_text_and_hide_no_headings() -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n"
    text = f"# Session: x\n\n## Key Decisions\n```bash\n# comment\n## more\n```\n- a\n\n{table}"
    assert [(item.kind, item.text) for item in read(text).observations] == [
        ("text", "```bash\n# comment\n## more\n```"),
        ("decision", "a"),
        ("text", "| a | b |\n|---|---|\n| 1 | 2 |"),
    ]


@pytest.mark.parametrize("after", ["", "```python\nx = 1\n```\n"])
def test_a_fence_that_never_closes_ends_at_the_next_section(after: str) -> None:
    text = f"# Session: x\n\n```bash\n# a comment\ncode\n\n## Key Decisions\n- a decision\n\n{after}"
    extraction = read(text)
    assert extraction.observations[0].text == "```bash\n# a comment\ncode"
    assert found(extraction, "decision") == ["a decision"]


def test_comments_are_left_out_but_hide_nothing_else() -> None:
    text = "# Session: x\n\n<!-- two\nlines -->\nkept\n\n<!-- never closed\n\n## Goals\n- a goal\n\nend -->\n"
    extraction = read(text)
    assert [item.text for item in extraction.observations] == [
        "kept",
        "<!-- never closed",
        "a goal",
        "end -->",
    ]
    assert [(item.first, item.last) for item in extraction.omissions if item.reason == "comment"] == [(3, 4)]


# --- any document -----------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["alpha", "beta gamma", "`code_x`", "**Key Decisions:**", "**bold** tail", "x" * 30, ""]
)
STARTS = st.sampled_from(
    [
        *(
            "",
            "- ",
            "* ",
            "  - ",
            "\t- ",
            "1. ",
            "12) ",
            "- [ ] ",
            "> ",
            "| ",
            "---",
            "    ",
            "\x0c",
            "title: ",
        ),
        *("# ", "## ", "### 10:00 - ", "#### ", "```", "~~~py ", "   ```", "<!-- ", "-->", "**What**: "),
        *("**Git Activity:**", "- Files changed: ", "- Work Type: "),
        *("## Previous Session Context", "## Session Classification"),
    ]
)
LINES = st.lists(st.tuples(STARTS, WORDS).map("".join), max_size=40)


@given(LINES, st.sampled_from(["\n", "\r\n"]))
def test_no_line_of_any_document_is_lost(lines: list[str], end: str) -> None:
    text = end.join(lines)
    extraction = read(text)
    assert uncovered(text, extraction) == []
    assert all(0 < len(item.text) <= MAX_PASSAGE for item in extraction.observations)
    assert read(text) == extraction


@given(st.text(max_size=300))
def test_no_text_is_refused(text: str) -> None:
    assert uncovered(text, read(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("".join(f"{' ' * (n // 500)}- item {n}\n" for n in range(100_000)), id="100,000 nested"),
        pytest.param("- " * 100_000 + "x", id="100,000 nested in a line"),
        pytest.param("word and more " * 750_000, id="10 MB line"),
        pytest.param("x" * 10_000_000, id="10 MB word"),
        pytest.param("## a\n\n" * 100_000, id="headings"),
        pytest.param("## x\n## " + "key " * 2_000_000, id="one long heading"),
        pytest.param("```a\n## h\n~~~b\n" * 50_000, id="fences never closed"),
        pytest.param(
            "".join("`" * (3 + n % 9) + "a\n## h\n" for n in range(50_000)), id="longer and longer fences"
        ),
        pytest.param("<!-- a\n" * 100_000, id="comments never closed"),
        pytest.param("- x\n  ```a\n  b\n" * 50_000, id="fences in items"),
        pytest.param("".join(map(chr, range(160))) * 5_000, id="control characters"),
        pytest.param("---\na: " + "[" * 7_900 + "\n---\n", id="open brackets in front matter"),
        pytest.param("### 10:00 - Session Start\n" + "Working on branch: x\n" * 100_000, id="start lines"),
    ],
)
def test_hostile_documents_are_bounded(text: str) -> None:
    """Each takes about a second; what is not linear in them would take minutes."""
    extraction = read(text)
    assert len(extraction.observations) <= MAX_OBSERVATIONS
    assert all(len(item.text) <= MAX_PASSAGE for item in extraction.observations)
    if len(extraction.observations) == MAX_OBSERVATIONS:
        assert extraction.omissions[-1].reason == "too many observations"
        assert extraction.omissions[-1].last == len(re.split("\r\n|\r|\n", text))
