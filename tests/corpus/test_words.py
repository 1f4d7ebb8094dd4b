"""Identifiers are found whole and by their parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patina_hooks.corpus.words import with_parts


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
    assert with_parts(text) == f"{text} {parts}"


@pytest.mark.parametrize("text", ["", "plain words", "snake_case", "HTTP", "Capital", "naïve Größe"])
def test_what_is_no_camel_case_stays_as_it_is(text: str) -> None:
    assert with_parts(text) == text


@given(st.text())
def test_nothing_of_the_text_is_lost(text: str) -> None:
    assert with_parts(text).startswith(text)


@pytest.mark.parametrize("word", ["a", "A", "aB", "Ab", "a1", "9z"])
def test_a_megabyte_without_a_space_is_a_matter_of_moments(word: str) -> None:
    """An hour, where a letter is looked at once for each letter before it: it need not be timed."""
    text = word * (1 << 19)
    assert with_parts(text).startswith(text)
