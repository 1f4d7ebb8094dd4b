"""Words of the lexical index: prepare texts and queries for FTS5's unicode61 tokenizer.

unicode61 splits at punctuation and underscores. Three cases that it does not cover are prepared here, in a
text before it is inserted into a table and in a query before MATCH:

- CamelCase: the parts of such a word are appended, so that "http response" matches `getHTTPResponse`.
- Scripts without spaces (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese): a run of their characters is
  one token for unicode61. It is replaced by its characters and bigrams; a query has the bigrams, and a single
  character only if it is a run of its own.
- Vowel signs of Indic and South-East Asian scripts, at which unicode61 splits, become private characters,
  which it keeps.

Full-width and half-width forms, compatibility ideographs and decomposed letters are composed first. ASCII
text is unchanged, except for CamelCase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_CAPITAL = re.compile(r"[A-Z]")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# Marks of U+0900 to U+1AFF are moved into the private use area, order kept.
_FIRST_MARK, _LAST_MARK, _PRIVATE = 0x0900, 0x1AFF, 0xE000
_SIGNS: Final = {
    code: _PRIVATE + code - _FIRST_MARK
    for code in range(_FIRST_MARK, _LAST_MARK + 1)
    if unicodedata.category(chr(code)).startswith("M")
}
# Points above and below Hebrew and Arabic letters are rarely written.
_POINTS: Final = dict.fromkeys(
    [*range(0x0591, 0x05BE), *range(0x0610, 0x061B), *range(0x064B, 0x0660), 0x0670]
)

_COMPATIBLE = re.compile(  # compatibility characters, and those that compose with them
    "[\u1100-\u11ff\u2e80-\u2fdf\u3040-\u318f\u3200-\u33ff\ua960-\ua97f\ud7b0-\ud7ff\uf900-\ufaff\uff00-\uffef"
    "\U0002f800-\U0002fa1f]+"
)
_UNSPACED = re.compile(
    # Han with its iteration mark and zero; Hiragana; Katakana except its middle dot; Bopomofo; Hangul
    "(?:[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af\u3041-\u3096\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3105-\u312f\u31a0-\u31bf\uac00-\ud7a3]+"
    # Thai, Lao, Burmese, Khmer, and their marks in the private use area
    "|[\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0ec6\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u1780-\u17b3\u17d7"
    "\ue500-\ue5ff\ue700-\ue79f\uee80-\ueeff]+)"
)
_NO_WORD = re.compile(r"[^\w\s\x00-\x7f]")
_TERM = re.compile("(?:[^\\W_]|[\ue000-\uf1ff])+")


def append_parts(text: str) -> str:
    """Append the parts of CamelCase words to a text."""
    # Two patterns, each in linear time: a single pattern would backtrack over a long word.
    camels = (word for word in _WORD.findall(text) if _CAPITAL.search(word, 1))
    parts = [part for word in camels if len(subwords := _PARTS.findall(word)) > 1 for part in subwords]
    return f"{text} {' '.join(parts)}" if parts else text


def prepare_index_text(text: str) -> str:
    """Prepare a text for a table of the lexical index."""
    text = append_parts(_compose(text))
    return (
        text
        if text.isascii()
        else _UNSPACED.sub(lambda characters: f" {' '.join(_grams(characters[0]))} ", text)
    )


def split_query(query: str) -> Iterator[str]:
    """Split a query into words, each a single token, in the query's order."""
    for term in _TERM.findall(append_parts(_compose(query))):
        yield from _split(term)


def _split(term: str) -> list[str]:
    if term.isascii():
        return [term]
    return _UNSPACED.sub(
        lambda characters: f" {' '.join(_pairs(characters[0]) or characters[0])} ", term
    ).split()


def _compose(text: str) -> str:
    if text.isascii():
        return text
    text = _COMPATIBLE.sub(lambda characters: unicodedata.normalize("NFKC", characters[0]), text)
    text = _NO_WORD.sub(_replace_unassigned, text)
    return unicodedata.normalize("NFC", text).translate(_POINTS).translate(_SIGNS)


def _replace_unassigned(character: re.Match[str]) -> str:
    """Replace an unassigned character: unicode61 keeps it in a word, a query splits there."""
    return " " if unicodedata.category(character[0]) == "Cn" else character[0]


def _grams(characters: str) -> list[str]:
    return [*characters, *_pairs(characters)]


def _pairs(characters: str) -> list[str]:
    return [characters[start : start + 2] for start in range(len(characters) - 1)]
