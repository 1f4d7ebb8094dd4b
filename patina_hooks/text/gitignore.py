"""Patterns of paths as git reads them in .gitignore and .gitattributes.

Matched by two pointers, of which only the last `*` (within a step) and the last `**` (between steps) go back.
A repository's patterns are data of strangers: as regular expressions, `*a*a*a*a*b` would take time that grows
with the power of its stars, in git's own matcher too.
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
    """One character of some ranges (each two characters, first and last), or of none of them."""

    ranges: tuple[str, ...]
    is_negated: bool

    def holds(self, character: str) -> bool:
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

    head, tail: what a text begins and ends with; they are compared first.
    tokens: all of it, empty where it is only a head, one star and a tail.
    """

    head: str
    tail: str
    tokens: tuple[Token, ...]

    @classmethod
    def of(cls, tokens: Sequence[Token]) -> Glob:
        """Make the step of these tokens, of which one is no character."""
        wild = [at for at, token in enumerate(tokens) if not isinstance(token, str)]
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
    is_negated: it takes back what an earlier pattern said.
    folders_only: it names folders.
    """

    steps: tuple[Step, ...]
    is_negated: bool = False
    folders_only: bool = False

    def matches(self, path: str, *, is_folder: bool = False) -> bool:
        """Tell whether the pattern names a path, which is relative to the folder of the pattern's file."""
        return self.names(split_path(path), is_folder=is_folder)

    def names(self, steps: Sequence[str], *, is_folder: bool) -> bool:
        """Tell whether the pattern names the path of these steps (`split_path`)."""
        if self.folders_only and not is_folder:
            return False
        if len(self.steps) == 2 and self.steps[0] is _ANY_STEPS and self.steps[1] is not _ANY_STEPS:
            return _step_matches(self.steps[1], steps[-1])  # the usual pattern: a name at any depth
        return _steps_match(self.steps, steps)


def split_path(path: str) -> list[str]:
    """Split a path into its steps, as patterns compare them."""
    return _as_bytes(path).split("/")


def parse_pattern(line: str) -> PathPattern | None:
    """Parse a pattern, None for one that names nothing."""
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
    patterns = (parse_pattern(_trimmed(line)) for line in lines if not line.startswith("#"))
    return tuple(pattern for pattern in patterns if pattern)


def _split_pattern(text: str) -> list[str]:
    """Split a pattern into its steps; a slash between brackets separates none."""
    parts: list[str] = []
    start = at = 0
    while at < len(text):
        character = text[at]
        at += 1
        is_quoted = character == "\\"
        if character == "/" or (is_quoted and text[at : at + 1] == "/"):
            parts.append(text[start : at - 1])
            at += is_quoted
            start = at
        elif is_quoted:
            at += 1
        elif character == "[" and (parsed := _parse_class(text, at)):
            at = parsed[1]
    return [*parts, text[start:]]


class IgnoreRules:
    """What the ignore files of one tree leave out: in each folder, the deepest file that says something wins.

    As in git, what lies in a folder that is left out cannot be taken back.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        """files: the text of each ignore file by its folder, "" for the root."""
        self._patterns = {folder: parse_patterns(text)[::-1] for folder, text in files.items()}
        self._folders: dict[str, bool] = {"": False}

    def ignores(self, path: str) -> bool:
        """Tell whether a file is left out."""
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
        for depth, folder in zip(range(len(steps) - 1, -1, -1), folders_of(path), strict=True):
            for pattern in self._patterns.get(folder, ()):
                if pattern.names(steps[depth:], is_folder=is_folder):
                    return not pattern.is_negated
        return False


class PathChoice:
    """The files that one list of patterns names and another does not."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._included = IgnoreRules({"": "\n".join(include)})
        self._excluded = IgnoreRules({"": "\n".join(exclude)})

    def holds(self, path: str) -> bool:
        """Tell whether a file is chosen."""
        return self._included.ignores(path) and not self._excluded.ignores(path)


def folders_of(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the deepest first, "" for the root last."""
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        yield folder


def _as_bytes(text: str) -> str:
    """Write each byte as one character: git matches bytes, so `?` is half of an umlaut."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def _trimmed(line: str) -> str:
    """Cut the spaces at the end of a line that no backslash quotes."""
    line = line.removesuffix("\r")
    end = len(line)
    while end and line[end - 1] == " ":
        end -= 1
    slashes = end - len(line[:end].rstrip("\\"))
    return line[: end + 1] if slashes % 2 and end < len(line) else line[:end]


def _parse_step(text: str) -> Step | None:
    """Parse one step of a pattern, None for one that matches nothing."""
    if not _WILD.intersection(text):
        return text
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        if character == "*":
            if not (tokens and tokens[-1] is _STAR):
                tokens.append(_STAR)
        elif character == "?":
            tokens.append(_ANY)
        elif character == "[":
            parsed = _parse_class(text, at)
            if parsed is None:
                return None
            token, at = parsed
            tokens.append(token)
        elif character == "\\":
            if at == len(text):
                return None
            tokens.append(text[at])
            at += 1
        else:
            tokens.append(character)
    return "".join(literal) if (literal := _literal(tokens)) is not None else Glob.of(tokens)


def _literal(tokens: Sequence[Token]) -> list[str] | None:
    """Return the characters of tokens that are all characters, such as those that were quoted."""
    characters = [token for token in tokens if isinstance(token, str)]
    return characters if len(characters) == len(tokens) else None


def _parse_class(text: str, at: int) -> tuple[CharacterClass, int] | None:
    """Parse what follows a bracket: the class, and where it ends."""
    is_negated = text[at : at + 1] in ("!", "^")
    at += is_negated
    ranges: list[str] = []
    start = at
    while at < len(text):
        if text[at] == "]" and at > start:
            return CharacterClass(tuple(ranges), is_negated), at + 1
        if text.startswith("[:", at) and (end := text.find(":]", at + 2)) >= 0:
            named = _CLASSES.get(text[at + 2 : end])
            if named is None:
                return None
            ranges += named
            at = end + 2
            continue
        low, at = _class_character(text, at)
        ranges.append(low + low)  # to git, a range that runs backwards holds its first character
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("", "]"):
            high, at = _class_character(text, at + 1)
            ranges.append(low + high)
    return None


def _class_character(text: str, at: int) -> tuple[str, int]:
    if text[at] == "\\" and at + 1 < len(text):
        return text[at + 1], at + 2
    return text[at], at + 1


def _steps_match(pattern: Sequence[Step], steps: Sequence[str]) -> bool:
    at = position = 0
    wide, mark = -1, 0
    while position < len(steps):
        if at < len(pattern) and pattern[at] is _ANY_STEPS:
            if at == len(pattern) - 1:
                return True
            wide, mark = at, position
            at += 1
        elif at < len(pattern) and _step_matches(pattern[at], steps[position]):
            at, position = at + 1, position + 1
        elif wide >= 0:
            mark += 1
            at, position = wide + 1, mark
        else:
            return False
    return at == len(pattern)


def _step_matches(pattern: Step, text: str) -> bool:
    return pattern.matches(text) if isinstance(pattern, Glob) else pattern == text


def _tokens_match(pattern: Sequence[Token], text: str) -> bool:
    at = position = 0
    star, mark = -1, 0
    while position < len(text):
        token = pattern[at] if at < len(pattern) else None
        if token is _STAR:
            star, mark = at, position
            at += 1
        elif token is not None and _holds(token, text[position]):
            at, position = at + 1, position + 1
        elif star >= 0:
            mark += 1
            at, position = star + 1, mark
        else:
            return False
    return all(token is _STAR for token in pattern[at:])


def _holds(token: Token, character: str) -> bool:
    if isinstance(token, CharacterClass):
        return token.holds(character)
    return token is _ANY or token == character
