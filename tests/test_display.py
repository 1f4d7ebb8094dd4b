"""Nothing that came from a repository can move the cursor or reorder a line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patina_hooks.display import clean, clean_line, count, size

ANY = st.text(st.characters())


@given(ANY)
def test_what_is_left_has_no_control_and_no_bidi_character(text: str) -> None:
    cleaned = clean(text)
    assert {one for one in cleaned if unicodedata.category(one) in ("Cc", "Cs")} <= {"\t", "\n"}
    assert not {one for one in cleaned if unicodedata.bidirectional(one) in BIDI}
    cleaned.encode()


BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(ANY)
def test_a_line_is_one_line(text: str) -> None:
    line = clean_line(text)
    assert line.splitlines() in ([], [line])
    assert line == line.strip()


@given(ANY)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    assert clean_line(clean_line(text)) == clean_line(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb\x9b1m", "a[2Jb1m"),
        ("user\u202etxt.exe", "usertxt.exe"),
        ("two\n  lines\tand\rmore", "two lines and more"),
        ("naïve 日本語 🎉", "naïve 日本語 🎉"),
    ],
)
def test_on_a_line(text: str, shown: str) -> None:
    assert clean_line(text) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0 commits"), (1, "1 commit"), (3_000, "3,000 commits")])
def test_count(number: int, shown: str) -> None:
    assert count(number, "commit") == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (250_000, "250 kB"), (2_340_000_000, "2.3 GB"),
     (5_000_000_000_000, "5000 GB")],
)  # fmt: skip
def test_size(number: int, shown: str) -> None:
    assert size(number) == shown
