"""Patterns of paths as git reads them in .gitignore and .gitattributes.

Matched with two pointers, and backtracking only to the last `*` (within a step) and the last `**` (between
steps). A repository's patterns are untrusted: with regular expressions, as in git's own matcher, the time for
`*a*a*a*a*b` is exponential in the number of stars.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

_WILD = frozenset("*?[\\")
_CLASSES = {
    "alnum": ("09", "AZ", "az"),
    "alpha": ("AZ", "az"),
    "blank": ("  ", "\t\t"),
    "cntrl": ("\x00\x1f", "\x7f\x7f"),
    "digit": ("09",),
    "graph": ("!~",),
    "lower": ("az",),
    "print": (" ~",),
    "punct": ("!/", ":@", "[`", "{~"),
    "space": ("\t\r", "  "),
    "upper": ("AZ",),
    "xdigit": ("09", "AF", "af"),
}


@dataclass(frozen=True, slots=True)
class CharacterClass:
    """A character class: one of these ranges (two characters, first and last), or none of them."""

    ranges: tuple[str, ...]
    is_negated: bool

    def contains(self, character: str) -> bool:
        return any(ends[0] <= character <= ends[1] for ends in self.ranges) != self.is_negated


class _Star:
    """Any characters within a step."""


class _Any:
    """One character of any kind."""


class _AnySteps:
    """Any number of steps."""


_STAR, _ANY, _ANY_STEPS = _Star(), _Any(), _AnySteps()
Token = str | CharacterClass | _Star | _Any


@dataclass(frozen=True, slots=True)
class Glob:
    """One step with wildcards.

    head, tail: the literal beginning and end, which are compared first.
    tokens: the whole step, empty if it is only a head, one star and a tail.
    """

    head: str
    tail: str
    tokens: tuple[Token, ...]

    @classmethod
    def from_tokens(cls, tokens: Sequence[Token]) -> Glob:
        """Build a step from tokens, at least one of which is a wildcard."""
        wild = [index for index, token in enumerate(tokens) if not isinstance(token, str)]
        head, tail = (cast("Sequence[str]", part) for part in (tokens[: wild[0]], tokens[wild[-1] + 1 :]))
        is_simple = len(wild) == 1 and tokens[wild[0]] is _STAR
        return cls("".join(head), "".join(tail), () if is_simple else tuple(tokens))

    def matches(self, text: str) -> bool:
        if len(text) < len(self.head) + len(self.tail):
            return False
        if not (text.startswith(self.head) and text.endswith(self.tail)):
            return False
        return not self.tokens or _tokens_match(self.tokens, text)


Step = str | Glob | _AnySteps


@dataclass(frozen=True, slots=True)
class PathPattern:
    """One pattern.

    steps: literal ones as text.
    is_negated: it reverses an earlier pattern.
    folders_only: it matches only folders.
    """

    steps: tuple[Step, ...]
    is_negated: bool = False
    folders_only: bool = False

    def matches(self, path: str, *, is_folder: bool = False) -> bool:
        """Return whether the pattern matches a path, relative to the folder of the pattern's file."""
        return self.matches_steps(split_path(path), is_folder=is_folder)

    def matches_steps(self, steps: Sequence[str], *, is_folder: bool) -> bool:
        """Return whether the pattern matches the path of these steps (`split_path`)."""
        if self.folders_only and not is_folder:
            return False
        if len(self.steps) == 2 and self.steps[0] is _ANY_STEPS and self.steps[1] is not _ANY_STEPS:
            return _step_matches(self.steps[1], steps[-1])  # the usual pattern: a name at any depth
        return _steps_match(self.steps, steps)


def split_path(path: str) -> list[str]:
    """Split a path into the steps that patterns are compared with."""
    return _as_bytes(path).split("/")


def parse_pattern(line: str) -> PathPattern | None:
    """Parse a pattern, None if it matches nothing."""
    is_negated = line.startswith("!")
    text = _as_bytes(line[is_negated:])
    folders_only = text.endswith("/")
    text = text[:-1] if folders_only else text
    if not text:
        return None
    is_anchored = "/" in text
    parts = _split_pattern(text.removeprefix("/"))
    if is_anchored:
        steps = [_ANY_STEPS if len(part) > 1 and not part.strip("*") else _parse_step(part) for part in parts]
    else:
        steps = [_ANY_STEPS, _parse_step(text)]
    return (
        PathPattern(tuple(step for step in steps if step is not None), is_negated, folders_only)
        if None not in steps
        else None
    )


def parse_patterns(text: str) -> tuple[PathPattern, ...]:
    """Parse the lines of a .gitignore."""
    lines = text.removeprefix("\ufeff").split("\n")
    patterns = (parse_pattern(_trim_line(line)) for line in lines if not line.startswith("#"))
    return tuple(pattern for pattern in patterns if pattern)


def _split_pattern(text: str) -> list[str]:
    """Split a pattern into its steps.

    A slash between brackets is not a separator.
    """
    steps: list[str] = []
    start = index = 0
    while index < len(text):
        character = text[index]
        index += 1
        is_quoted = character == "\\"
        if character == "/" or (is_quoted and text[index : index + 1] == "/"):
            steps.append(text[start : index - 1])
            index += is_quoted
            start = index
        elif is_quoted:
            index += 1
        elif character == "[" and (parsed := _parse_class(text, index)):
            index = parsed[1]
    return [*steps, text[start:]]


class IgnoreRules:
    """The ignore files of one tree.

    Of several matching patterns, the one in the deepest folder decides.

    As in git, a file in an ignored folder cannot be included again.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        """Parse the ignore files.

        files: the text of each by its folder, "" for the root.
        """
        self._patterns = {folder: parse_patterns(text)[::-1] for folder, text in files.items()}
        self._folders: dict[str, bool] = {"": False}

    def ignores(self, path: str) -> bool:
        """Return whether a file is ignored."""
        return self._ignores_folder(path.rpartition("/")[0]) or self._is_named(path, is_folder=False)

    def _ignores_folder(self, folder: str) -> bool:
        pending = []
        while folder not in self._folders:
            pending.append(folder)
            folder = folder.rpartition("/")[0]
        for inner in reversed(pending):
            above = self._folders[inner.rpartition("/")[0]]
            self._folders[inner] = above or self._is_named(inner, is_folder=True)
        return self._folders[pending[0] if pending else folder]

    def _is_named(self, path: str, *, is_folder: bool) -> bool:
        steps = split_path(path)
        for depth, folder in zip(range(len(steps) - 1, -1, -1), parent_folders(path), strict=True):
            for pattern in self._patterns.get(folder, ()):
                if pattern.matches_steps(steps[depth:], is_folder=is_folder):
                    return not pattern.is_negated
        return False


class PathChoice:
    """The files that one list of patterns matches and another does not."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._included = IgnoreRules({"": "\n".join(include)})
        self._excluded = IgnoreRules({"": "\n".join(exclude)})

    def contains(self, path: str) -> bool:
        """Return whether a file is chosen."""
        return self._included.ignores(path) and not self._excluded.ignores(path)


def parent_folders(path: str) -> Iterator[str]:
    """Yield the parent folders of a path, the deepest first, "" for the root last."""
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        yield folder


def _as_bytes(text: str) -> str:
    """Map each byte to one character: git matches bytes, so `?` is half of an umlaut."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def _trim_line(line: str) -> str:
    """Remove unquoted spaces at the end of a line."""
    line = line.removesuffix("\r")
    end = len(line)
    while end and line[end - 1] == " ":
        end -= 1
    slashes = end - len(line[:end].rstrip("\\"))
    return line[: end + 1] if slashes % 2 and end < len(line) else line[:end]


def _parse_step(text: str) -> Step | None:
    """Parse one step of a pattern, None if it matches nothing."""
    if not _WILD.intersection(text):
        return text
    tokens: list[Token] = []
    index = 0
    while index < len(text):
        character = text[index]
        index += 1
        if character == "*":
            if not (tokens and tokens[-1] is _STAR):
                tokens.append(_STAR)
        elif character == "?":
            tokens.append(_ANY)
        elif character == "[":
            parsed = _parse_class(text, index)
            if parsed is None:
                return None
            token, index = parsed
            tokens.append(token)
        elif character == "\\":
            if index == len(text):
                return None
            tokens.append(text[index])
            index += 1
        else:
            tokens.append(character)
    return "".join(literal) if (literal := _literal(tokens)) is not None else Glob.from_tokens(tokens)


def _literal(tokens: Sequence[Token]) -> list[str] | None:
    """Return the characters of tokens, None unless all are characters."""
    characters = [token for token in tokens if isinstance(token, str)]
    return characters if len(characters) == len(tokens) else None


def _parse_class(text: str, index: int) -> tuple[CharacterClass, int] | None:
    """Parse what follows a bracket: the class, and its end."""
    is_negated = text[index : index + 1] in ("!", "^")
    index += is_negated
    ranges: list[str] = []
    start = index
    while index < len(text):
        if text[index] == "]" and index > start:
            return CharacterClass(tuple(ranges), is_negated), index + 1
        if text.startswith("[:", index) and (end := text.find(":]", index + 2)) >= 0:
            named = _CLASSES.get(text[index + 2 : end])
            if named is None:
                return None
            ranges += named
            index = end + 2
            continue
        low, index = _class_character(text, index)
        ranges.append(low + low)  # in git, a reversed range contains its first character
        if text[index : index + 1] == "-" and text[index + 1 : index + 2] not in ("", "]"):
            high, index = _class_character(text, index + 1)
            ranges.append(low + high)
    return None


def _class_character(text: str, index: int) -> tuple[str, int]:
    if text[index] == "\\" and index + 1 < len(text):
        return text[index + 1], index + 2
    return text[index], index + 1


def _steps_match(pattern: Sequence[Step], steps: Sequence[str]) -> bool:
    index = position = 0
    star_index, star_position = -1, 0
    while position < len(steps):
        if index < len(pattern) and pattern[index] is _ANY_STEPS:
            if index == len(pattern) - 1:
                return True
            star_index, star_position = index, position
            index += 1
        elif index < len(pattern) and _step_matches(pattern[index], steps[position]):
            index, position = index + 1, position + 1
        elif star_index >= 0:
            star_position += 1
            index, position = star_index + 1, star_position
        else:
            return False
    return index == len(pattern)


def _step_matches(pattern: Step, text: str) -> bool:
    return pattern.matches(text) if isinstance(pattern, Glob) else pattern == text


def _tokens_match(pattern: Sequence[Token], text: str) -> bool:
    index = position = 0
    star_index, star_position = -1, 0
    while position < len(text):
        token = pattern[index] if index < len(pattern) else None
        if token is _STAR:
            star_index, star_position = index, position
            index += 1
        elif token is not None and _token_matches(token, text[position]):
            index, position = index + 1, position + 1
        elif star_index >= 0:
            star_position += 1
            index, position = star_index + 1, star_position
        else:
            return False
    return all(token is _STAR for token in pattern[index:])


def _token_matches(token: Token, character: str) -> bool:
    if isinstance(token, CharacterClass):
        return token.contains(character)
    return token is _ANY or token == character
