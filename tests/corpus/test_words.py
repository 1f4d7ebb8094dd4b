"""Identifiers are found whole and by their parts."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from contextlib import closing
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.history import Corpus, corpora

from patina_hooks.text.words import append_parts, prepare_index_text, split_query


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("getHTTPResponse", "get HTTP Response"),
        ("call SyncLock now", "Sync Lock"),
        ("utf8Decoder", "utf 8 Decoder"),
        ("a JSONLoader and an OrderedDict", "JSON Loader Ordered Dict"),
    ],
)
def test_parts_follow_the_text(text: str, parts: str) -> None:
    assert append_parts(text) == f"{text} {parts}"


@pytest.mark.parametrize("text", ["", "plain words", "snake_case", "HTTP", "Capital", "naïve Größe"])
def test_what_is_no_camel_case_stays_as_it_is(text: str) -> None:
    assert append_parts(text) == text


@given(st.text())
def test_nothing_of_the_text_is_lost(text: str) -> None:
    assert append_parts(text).startswith(text)


@pytest.mark.parametrize("word", ["a", "A", "aB", "Ab", "a1", "9z"])
def test_a_megabyte_without_a_space_is_a_matter_of_moments(word: str) -> None:
    """An hour, where a letter is looked at once for each letter before it: it need not be timed."""
    text = word * (1 << 19)
    assert append_parts(text).startswith(text)


# --- scripts without spaces ---


@pytest.mark.parametrize("corpus", corpora(), ids=lambda corpus: corpus.name)
def test_english_words_are_unchanged_when_real_documents_are_indexed_and_asked(corpus: Corpus) -> None:
    for path in corpus.all:
        for line in path.read_text(errors="replace").splitlines():
            assert prepare_index_text(line) == append_parts(line)
            assert list(split_query(line)) == re.findall(r"[^\W_]+", append_parts(line))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("替换连接池为Druid", ["替换", "换连", "连接", "接池", "池为", "Druid"]),
        ("修 bug", ["修", "bug"]),
        ("日本語・データ", ["日本", "本語", "デー", "ータ"]),
        ("첫번째 커밋", ["첫번", "번째", "커밋"]),
        ("ﾃﾞｰﾀ", ["デー", "ータ"]),
        (
            "\uff24\uff52\uff55\uff49\uff44 get\uff28\uff34\uff34\uff30Codes",
            ["Druid", "getHTTPCodes", "get", "HTTP", "Codes"],
        ),
        ("か\u3099く", ["がく"]),
    ],
)
def test_query_becomes_pairs_of_neighbours_when_it_has_no_spaces(query: str, words: list[str]) -> None:
    assert list(split_query(query)) == words


def tokens(text: str) -> list[str]:
    """The tokens that FTS5 makes of a prepared text."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'porter unicode61')")
        connection.execute("CREATE VIRTUAL TABLE term USING fts5vocab (words, instance)")
        connection.execute("INSERT INTO words VALUES (?)", (text,))
        return [row[0] for row in connection.execute("SELECT term FROM term ORDER BY offset")]


@pytest.mark.parametrize(
    "text",
    [
        "替换数据库连接池为Druid", "データベース接続を切り替える", "커밋 메시지를 고침", "𠀀𠀁𠀂",
        "ปรับปรุงฐานข้อมูล", "ແກ້ໄຂຖານຂໍ້ມູນ", "កែប្រែមូលដ្ឋានទិន្នន័យ", "ဒေတာဘေ့စ် ပြင်ဆင်",
        "डेटाबेस कनेक्शन बदला", "இணைப்பை மாற்று", "كِتَاب الذاكرة", "cơ sở dữ liệu",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_every_word_of_a_query_is_a_token_when_its_text_is_indexed(
    text: str, form: Literal["NFC", "NFD"]
) -> None:
    indexed = set(tokens(prepare_index_text(text)))
    for word in split_query(unicodedata.normalize(form, text)):
        assert len(found := tokens(word)) == 1
        assert set(found) <= indexed


@example("0\u3097")
@given(
    st.text("".join(map(chr, [*range(32, 127), *range(0xE01, 0xE3B), *range(0x3041, 0x30FF)])) + "数据库커밋")
)
def test_words_of_a_text_are_its_tokens_when_scripts_are_mixed(text: str) -> None:
    asked = {token for word in split_query(text) for token in tokens(word)}
    assert asked <= set(tokens(prepare_index_text(text)))


def test_single_character_is_a_word_when_a_text_holds_it() -> None:
    for character in "替换数据库":
        assert list(split_query(character)) == [character]
        assert character in tokens(prepare_index_text("替换数据库"))
