"""The reader of prose: over real pages, over made ones in each markup, and over hostile ones."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.marked import ROOT

from patina_hooks.extract import prose
from patina_hooks.extract.extraction import TITLE_CAP
from patina_hooks.extract.prose import extract_prose, plain_title, section_path
from patina_hooks.specs.values import TOO_MANY, Document, Extraction
from patina_hooks.text.markdown import MAX_PASSAGE

LANGUAGES = ("markdown", "rst", "asciidoc", "text")
_HEADING_TAG = re.compile(r"</?h[1-6]\b[^>]*>", re.IGNORECASE)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])


def read(text: str, language: str = "markdown") -> Extraction:
    return extract_prose(Document("prose", "0" * 40, text, language))


def passages(text: str, language: str = "markdown") -> list[tuple[str, str]]:
    """Return (path of headings, text below it) of each passage."""
    return [
        (item.section, item.text.removeprefix(f"{item.section}\n"))
        for item in read(text, language).observations
    ]


def omissions(text: str, language: str = "markdown") -> list[tuple[int, int, str]]:
    return [(item.first, item.last, item.reason) for item in read(text, language).omissions]


def lines_of(text: str) -> list[str]:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def lost_lines(text: str, language: str) -> list[str]:
    """Return lines that are in no omission and whose words are in no passage over them."""
    extraction = read(text, language)
    omitted = {number for item in extraction.omissions for number in range(item.first, item.last + 1)}
    words: dict[int, set[str]] = {}
    for item in extraction.observations:
        of_item = set(re.findall(r"\w+", item.text))
        for number in range(item.line, item.end + 1):
            words.setdefault(number, set()).update(of_item)
    return [
        line
        for number, line in enumerate(lines_of(text), 1)
        if number not in omitted
        and line.strip()
        and (number not in words or not _is_within(line, words[number]))
    ]


def _is_within(line: str, words: set[str]) -> bool:
    """Tell whether the words of a line are all there; a word of a longer line may have been cut."""
    text = _HEADING_TAG.sub(" ", line)
    return len(line) >= MAX_PASSAGE or set(re.findall(r"\w+", text)) <= words


# --- every text -------------------------------------------------------------------------------------

MARKUP = (
    *(
        "# a",
        "## b `c`",
        "a\n===",
        "b\n---",
        "=====\nover\n=====",
        "= t",
        "== u",
        "TITLE",
        "",
        "",
        "text",
        "a: b",
    ),
    *(
        "- x",
        "  - y",
        "* x",
        "1. x",
        "#. x",
        ". x",
        "term::",
        "    indented",
        "\ttab",
        "> quote",
        "[1]: http://x",
    ),
    *(
        "```",
        "```python",
        "~~~",
        "----",
        "....",
        "////",
        "====",
        "|===",
        "| a | b |",
        "|---|---|",
        "a | b",
        "-|-",
    ),
    *("<!--", "-->", "<!-- c -->", "<p>", "<img src='badge.svg'>", "<h1>t</h1>", "---", "+++", "***", "(x)="),
    *(
        ".. note:: x",
        ".. code::",
        "   :opt: v",
        ".. _t:",
        ".. comment",
        "::",
        "text::",
        "+---+",
        "=== ===",
        ":f: v",
    ),
    *(
        "[![b](https://shields.io/x)](y)",
        "- [a](#a)",
        "[toc]",
        "[source]",
        "[[id]]",
        "// c",
        "include::x[]",
        "+",
    ),
    *(
        "long words " * 130,
        "One. Two! " * 140,
        "x" * 2_500,
        "\ufeff",
        "\x00",
        "設計。" * 500,
        "**bold**",
        "**l:** t",
    ),
)
TEXTS = st.one_of(
    st.text(max_size=400),
    st.lists(st.one_of(st.sampled_from(MARKUP), st.text(max_size=20)), max_size=40).map("\n".join),
)


@given(TEXTS, st.sampled_from([*LANGUAGES, "", "unknown"]))
@example("<H1></H1>", "markdown")
@example("<h1>only a title</h1>", "markdown")
def test_every_line_ends_in_a_passage_or_a_named_omission(text: str, language: str) -> None:
    assert lost_lines(text, language) == []
    assert all(item.reason for item in read(text, language).omissions)


@given(TEXTS, st.sampled_from(LANGUAGES))
def test_passages_are_in_order_trimmed_and_of_a_readable_size(text: str, language: str) -> None:
    count = len(lines_of(text))
    observations = read(text, language).observations
    assert [item.line for item in observations] == sorted(item.line for item in observations)
    for item in observations:
        assert 1 <= item.line <= item.end <= count
        assert item.text.strip()
        assert len(item.text) <= MAX_PASSAGE
        assert len(item.section) <= TITLE_CAP
        assert len(item.name) <= TITLE_CAP


@given(TEXTS, st.sampled_from(LANGUAGES))
def test_omissions_are_in_order_and_share_no_line(text: str, language: str) -> None:
    ranges = [(item.first, item.last) for item in read(text, language).omissions]
    assert all(first <= last for first, last in ranges)
    assert all(before[1] < after[0] for before, after in pairwise(ranges))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_pages_of_this_project_lose_no_line(page: Path) -> None:
    text = page.read_text("utf-8")
    assert lost_lines(text, "markdown") == []
    title = next(line.removeprefix("# ") for line in text.split("\n") if line.startswith("# "))
    assert read(text).title == plain_title(title)


# --- Markdown ---------------------------------------------------------------------------------------


def test_a_passage_carries_its_path_of_headings_and_its_lines() -> None:
    text = (
        "# Plugins\n\n## Model plugins\n\n### `register_models`\n\nReturns nothing:\nit registers.\n\nMore.\n"
    )
    first, second = read(text).observations
    assert first.section == "Plugins > Model plugins > register_models"
    assert first.name == "register_models"
    assert first.text == "Plugins > Model plugins > register_models\nReturns nothing:\nit registers."
    assert (first.kind, first.line, first.end, first.weight) == ("passage", 7, 8, 1.0)
    assert (second.line, second.end) == (10, 10)


def test_the_title_is_the_first_heading() -> None:
    assert read("text\n\n## First `code` [link](x) {#id}\n\n# Second\n").title == "First code link"
    assert read("text").title == ""


@pytest.mark.parametrize("sign", ["---", "+++"])
def test_front_matter_gives_the_title_of_a_page_without_headings(sign: str) -> None:
    assign = ": " if sign == "---" else " = "
    page = f"{sign}\ntitle{assign}'API keys'\ntags{assign}[a]\n{sign}\n\ntext\n"
    assert read(page).title == "API keys"
    assert passages(page) == [("API keys", "text")]
    assert omissions(page) == [(1, 4, "front matter")]
    assert passages(page + "\n## Storage\n\nbelow\n")[1] == ("API keys > Storage", "below")
    assert passages(page + "\n# API\n\nbelow\n")[1] == ("API", "below")


def test_a_rule_at_the_start_is_no_front_matter() -> None:
    assert passages("---\n# Title\n\ntext\n\n---\n") == [("Title", "text")]


def test_a_heading_with_nothing_below_is_a_passage_of_less_weight() -> None:
    text = "# Changes\n\n## 2.0\n\n### Nothing\n\n## 1.0\n\ntext\n"
    items = [(item.text, item.line, item.end, item.section, item.weight) for item in read(text).observations]
    assert items == [
        ("Changes > 2.0 > Nothing", 5, 5, "Changes > 2.0", 0.75),
        ("Changes > 1.0\ntext", 9, 9, "Changes > 1.0", 1.0),
    ]
    assert omissions(text) == [(1, 3, "heading"), (7, 7, "heading")]


@pytest.mark.parametrize(
    "text",
    [
        "Store a key:\n\n```bash\nkeys set\n```\n",
        "Store a key\n```bash\nkeys set\n```\n",
        "You can store:\n\n- a key\n- a path\n",
        "**Columns**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        "Columns:\n\na | b\n--|--\n1 | 2\n",
        "Run this:\n\n    keys set\n",
    ],
)
def test_code_lists_and_tables_keep_their_lead(text: str) -> None:
    assert passages(text) == [("", text.rstrip())]


def test_paragraphs_are_passages_of_their_own() -> None:
    assert passages("One.\n\nTwo.\n\n- item\n\nThree.\n") == [
        ("", "One."),
        ("", "Two."),
        ("", "- item"),
        ("", "Three."),
    ]


def test_list_items_share_a_passage_while_they_fit() -> None:
    items = [f"- item {number} " + "word " * 60 for number in range(8)]
    groups = [text.split("\n") for _, text in passages("\n".join(items))]
    assert [len(group) for group in groups] == [3, 3, 2]
    assert [line for group in groups for line in group] == [item.rstrip() for item in items]


def test_a_long_paragraph_is_cut_at_sentence_ends_without_overlap() -> None:
    sentences = [f"Sentence number {number} runs over\nthe end of its line." for number in range(80)]
    extraction = read("# T\n\n" + " ".join(sentences))
    texts = [item.text.removeprefix("T\n") for item in extraction.observations]
    assert len(texts) == 4
    assert all(text.endswith("line.") for text in texts)
    assert " ".join(texts) == " ".join(sentences)
    lines = [(item.line, item.end) for item in extraction.observations]
    assert all(before[1] == after[0] for before, after in pairwise(lines))


def test_long_code_is_cut_between_lines_at_blank_ones() -> None:
    block = "\n".join(f"call({number})  # a comment. And more." for number in range(12))
    texts = [text for _, text in passages("```\n" + "\n\n".join([block] * 8) + "\n```\n")]
    assert len(texts) == 3
    assert all(text.endswith(("And more.", "```")) for text in texts)
    assert texts[1].startswith("call(0)")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<!-- # no heading\n\ntext -->", "comment"),
        ("[![Build](https://img.shields.io/x.svg)](https://y)\n![Docs](https://x/badge.svg)", "badge"),
        ('<a href="x"><img src="https://img.shields.io/x"></a>', "badge"),
        ('<p align="center">', "markup without text"),
        ("[docs]: https://example.org\n[code]: <x> 'title'", "link definition"),
        ("- [One](#one)\n  - [Two](#two)\n- [Three](#three)", "table of contents"),
        ("[[_TOC_]]", "table of contents"),
        ("```{toctree}\n---\nmaxdepth: 2\n---\nsetup\n```", "table of contents"),
        ("(api-keys)=", "anchor"),
        ("***", "rule"),
        ("```\n```", "markup without text"),
        ("-", "markup without text"),
        ("#", "heading"),
    ],
)
def test_markdown_without_text_is_left_out_by_name(text: str, reason: str) -> None:
    lines = text.count("\n") + 1
    page = f"# Title\n\nabove\n\n{text}\n\nbelow\n"
    assert passages(page) == [("Title", "above"), ("Title", "below")]
    assert omissions(page) == [(1, 1, "heading"), (5, 4 + lines, reason)]


def test_links_to_other_pages_are_contents_only_below_such_a_heading() -> None:
    links = "- [Setup](setup.md)\n- [Usage](usage.md)\n"
    assert omissions(f"# Contents\n\n{links}")[-1] == (3, 4, "table of contents")
    assert passages(f"# See also\n\n{links}") == [("See also", links.rstrip())]


def test_a_footnote_and_a_picture_with_words_stay() -> None:
    text = "![How a commit becomes a vector](flow.svg)\n\n[^1]: A note.\n"
    assert [text for _, text in passages(text)] == [
        "![How a commit becomes a vector](flow.svg)",
        "[^1]: A note.",
    ]


def test_headings_in_all_their_forms() -> None:
    text = "Top\n===\n\nSecond\n------\n\na\n\n<h3 align='center'>Third</h3>\n\nb\n\n#### Fourth ####\n\nc\n"
    assert passages(text) == [
        ("Top > Second", "a"),
        ("Top > Second > Third", "b"),
        ("Top > Second > Third > Fourth", "c"),
    ]


# --- reStructuredText -------------------------------------------------------------------------------

RST = """\
:orphan:

=======
Product
=======

|build| |docs|

.. |build| image:: https://x/badge.svg

.. contents::
   :local:

Install it::

    pip install product

    product run

.. _keys:

API keys
--------

Where they are
~~~~~~~~~~~~~~

Keys are in :file:`keys.json`.

.. note:: Not in the
   repository.

   Never.

.. code-block:: bash

   keys set

.. autoclass:: product.Keys
   :members:

.. comment
   of two lines

- one
  line
- two

=====  =====
a      b
=====  =====
1      2
=====  =====

----

Last
----

+---+---+
| a | b |
+---+---+
"""


def test_restructured_text_is_split_by_its_underlines() -> None:
    assert passages(RST, "rst") == [
        ("Product", "Install it::\n\n    pip install product\n\n    product run"),
        ("Product > API keys > Where they are", "Keys are in :file:`keys.json`."),
        ("Product > API keys > Where they are", ".. note:: Not in the\n   repository."),
        ("Product > API keys > Where they are", "Never."),
        ("Product > API keys > Where they are", ".. code-block:: bash\n\n   keys set"),
        ("Product > API keys > Where they are", "- one\n  line\n- two"),
        (
            "Product > API keys > Where they are",
            "=====  =====\na      b\n=====  =====\n1      2\n=====  =====",
        ),
        ("Product > Last", "+---+---+\n| a | b |\n+---+---+"),
    ]
    assert [reason for _, _, reason in omissions(RST, "rst")] == [
        *("front matter", "heading", "badge", "table of contents", "link definition", "heading"),
        *("directive", "comment", "rule", "heading"),
    ]
    assert read(RST, "rst").title == "Product"


def test_restructured_text_names_documented_objects_in_the_path() -> None:
    text = (
        "API\n===\n\n.. py:data:: SECRET_KEY\n   :type: str\n\n   Signs cookies.\n\n   Default: ``None``\n\n"
        ".. class:: App(name)\n\n   An app.\n\n   .. method:: run()\n\n      Runs it.\n\nAfter.\n"
    )
    assert passages(text, "rst") == [
        ("API > SECRET_KEY", "Signs cookies."),
        ("API > SECRET_KEY", "Default: ``None``"),
        ("API > App(name)", "An app."),
        ("API > App(name) > run()", "Runs it."),
        ("API", "After."),
    ]


# --- AsciiDoc and plain text ------------------------------------------------------------------------

ASCIIDOC = """\
= Product
:toc:

Words of `code`.

// a comment

[[keys]]
== API keys

.Store a key
[source,bash]
----
# no heading
keys set
----

NOTE: Not in the repository.

* one
** two
* three

=== Table

|===
|a |b
|===

include::more.adoc[]

'''

====
An example.
====
"""


def test_asciidoc_is_split_by_its_headings() -> None:
    assert passages(ASCIIDOC, "asciidoc") == [
        ("Product", "Words of `code`."),
        ("Product > API keys", ".Store a key\n\n----\n# no heading\nkeys set\n----"),
        ("Product > API keys", "NOTE: Not in the repository."),
        ("Product > API keys", "* one\n** two\n* three"),
        ("Product > API keys > Table", "|===\n|a |b\n|==="),
        ("Product > API keys > Table", "An example."),
    ]
    assert {reason for _, _, reason in omissions(ASCIIDOC, "asciidoc")} == {
        *("heading", "front matter", "comment", "link definition", "markup without text", "directive", "rule")
    }


def test_plain_text_is_split_by_underlines_and_capitals() -> None:
    head = "Product\n=======\n\nWords.\n\nSYNOPSIS\n\n    keys set\n"
    text = f"{head}\n  - one\n  - two\n\nFiles\n-----\nkeys.json\n"
    assert passages(text, "text") == [
        ("Product", "Words."),
        ("Product > SYNOPSIS", "keys set"),
        ("Product > SYNOPSIS", "- one\n- two"),
        ("Product > Files", "keys.json"),
    ]


# --- limits -----------------------------------------------------------------------------------------


def test_what_has_no_room_is_one_named_omission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prose, "MAX_OBSERVATIONS", 3)
    text = "# Title\n\n" + "\n\n".join(f"Paragraph {number}." for number in range(9)) + "\n\n***\n"
    extraction = read(text)
    assert len(extraction.observations) == 3
    assert omissions(text) == [(1, 1, "heading"), (9, 22, TOO_MANY)]


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("`register_models(register)`", "register_models(register)"),
        ("Why **bold** and *soft* `a*b`", "Why bold and soft a*b"),
        ("[Keys](keys.md) <a name='x'></a>", "Keys"),
        ("![Logo](logo.png)", "Logo"),
        (":func:`open` and {ref}`more`", "open and more"),
        ("Setup {#setup}", "Setup"),
        ("__init__ of Vec<T>", "__init__ of Vec<T>"),
        ("``", "``"),
    ],
)
def test_a_heading_is_cleaned_of_markup(title: str, plain: str) -> None:
    assert plain_title(title) == plain


def test_a_path_that_is_too_long_loses_its_outermost_headings() -> None:
    assert section_path(["a" * 150, "b" * 150, "c" * 100]) == "b" * 150 + " > " + "c" * 100
    assert section_path(["c" * TITLE_CAP]) == "c" * TITLE_CAP
