"""Nothing that came from a repository can move the cursor or reorder a line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from patina_hooks.text.display import clean_line, format_count, format_size, strip_controls

ANY = st.text(st.characters())


@given(ANY)
def test_what_is_left_has_no_control_and_no_bidi_character(text: str) -> None:
    cleaned = strip_controls(text)
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
@example("0 \x1b\r0")
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert strip_controls(strip_controls(text)) == strip_controls(text)
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
    assert format_count(number, "commit") == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (250_000, "250 kB"), (2_340_000_000, "2.3 GB"),
     (5_000_000_000_000, "5000 GB")],
)  # fmt: skip
def test_size(number: int, shown: str) -> None:
    assert format_size(number) == shown


HIDDEN = st.text(
    st.characters() | st.sampled_from("a\u0915\u0937\u2764\ufe0f\ufe0e\u200c\u200d\u200b\U0001f525")
)


@given(HIDDEN)
def test_cleaning_twice_changes_nothing_when_joiners_are_mixed(text: str) -> None:
    assert strip_controls(strip_controls(text)) == strip_controls(text)


@pytest.mark.parametrize(
    "hidden",
    ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u180e",
     "\u3164", "\ufe0f", "\ufe00",
     "\U000e0100",
     "\U000e0001\U000e0069\U000e0067\U000e007f"],
)  # fmt: skip
def test_a_character_that_shows_nothing_is_removed(hidden: str) -> None:
    assert strip_controls(f"git{hidden}hub") == "github"
    assert strip_controls(f"{hidden}x{hidden}") == "x"


@pytest.mark.parametrize(
    "text", ["\u2764\ufe0f\u200d\U0001f525", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
             "\u0915\u094d\u200d\u0937", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "1\ufe0f\u20e3",
             "\u00a9\ufe0f"],
)  # fmt: skip
def test_joiners_stay_where_a_script_or_an_emoji_needs_them(text: str) -> None:
    assert strip_controls(text) == text
