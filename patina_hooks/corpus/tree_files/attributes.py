"""Attributes of files, read from the `.gitattributes` blobs of a tree.

`git check-attr --source`, which could do this, needs git 2.40.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from patina_hooks.text.gitignore import PathPattern, parent_folders, parse_pattern, split_path

GENERATED, VENDORED, DOCUMENTATION = "linguist-generated", "linguist-vendored", "linguist-documentation"

_NAMES = (GENERATED, VENDORED, DOCUMENTATION)
_MACRO = "[attr]"
_LONGEST_LINE = 2_048  # git ignores longer ones
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}

State = bool | None
"""Set, unset, or, with "!", not stated after all."""


class _Word(NamedTuple):
    """One attribute of a line. expands: whether it is set to no value, as a macro has to be."""

    name: str
    state: State
    expands: bool


class _Rule(NamedTuple):
    pattern: PathPattern
    words: tuple[_Word, ...]


class Attributes:
    """The attributes of one tree's files that mark documentation, generated and vendored files."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Parse the files. files: the text of each `.gitattributes` by its folder, "" for the root."""
        self._macros = dict(_macros(files.get("", "")))
        names = {*_NAMES, *self._macros}
        self._rules = {folder: tuple(_rules(text, names))[::-1] for folder, text in files.items()}

    def state(self, path: str, name: str) -> State:
        """Return whether an attribute is set or unset for a file, None if it is neither."""
        steps = split_path(path)
        decided: dict[str, State] = {}
        for depth, folder in zip(range(len(steps) - 1, -1, -1), parent_folders(path), strict=True):
            for rule in self._rules.get(folder, ()):
                if rule.pattern.matches_steps(steps[depth:], is_folder=False):
                    self._decide(rule.words, decided)
                    if name in decided:
                        return decided[name]
        return None

    def _decide(self, words: Iterable[_Word], decided: dict[str, State]) -> None:
        """Apply a line as git does: its last word first, and an earlier decision stays.

        A macro may expand to others, in a chain of any length, since a clone brings its own.
        """
        waiting = list(words)
        while waiting:
            word = waiting.pop()
            if word.name in decided:
                continue
            decided[word.name] = word.state
            if word.expands:
                waiting += self._macros.get(word.name, ())


def _macros(text: str) -> Iterator[tuple[str, tuple[_Word, ...]]]:
    """Yield the macros that the root's file defines."""
    for line in _lines(text):
        if line.startswith(_MACRO) and (words := line.removeprefix(_MACRO).split()):
            yield words[0], tuple(map(_word, words[1:]))


def _rules(text: str, names: Collection[str]) -> Iterator[_Rule]:
    """Yield the lines of a file that state one of these attributes."""
    for line in _lines(text):
        name, rest = _pattern_of(line)
        words = tuple(word for word in map(_word, rest.split()) if word.name in names)
        if words and not line.startswith((_MACRO, "!")) and (pattern := parse_pattern(name)):
            yield _Rule(pattern, words)


def _lines(text: str) -> Iterator[str]:
    for line in text.removeprefix("\ufeff").split("\n"):
        plain = line.strip(" \t\r")
        if plain and not plain.startswith("#") and len(line) < _LONGEST_LINE:
            yield plain


def _pattern_of(line: str) -> tuple[str, str]:
    """Split a line into its pattern, which may be quoted as in C, and its attributes."""
    if line.startswith('"') and (quoted := _unquoted(line)):
        return quoted
    end = next((at for at, character in enumerate(line) if character in " \t"), len(line))
    return line[:end], line[end:]


def _unquoted(line: str) -> tuple[str, str] | None:
    characters: list[str] = []
    at = 1
    while at < len(line):
        character = line[at]
        at += 1
        if character == '"':
            return _from_bytes("".join(characters)), line[at:]
        if character == "\\" and at < len(line):
            escaped = line[at]
            octal = line[at : at + 3]
            if len(octal) == 3 and all(digit in "01234567" for digit in octal):
                characters.append(_from_byte(int(octal, 8) & 0xFF))
                at += 3
                continue
            if escaped not in _ESCAPES:
                return None
            character = _ESCAPES[escaped]
            at += 1
        characters.append(character)
    return None


def _from_byte(byte: int) -> str:
    return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)


def _from_bytes(text: str) -> str:
    """Put together the characters whose bytes were escaped one by one."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _word(text: str) -> _Word:
    name, _, value = text.partition("=")
    plain = name.lstrip("-!")
    state = None if name.startswith("!") else not name.startswith("-") and value.lower() != "false"
    return _Word(plain, state, expands=text == plain)
