"""The sides of a pair: an observation by its id, or a path."""

from __future__ import annotations

from patina_hooks.text.words import append_parts

_PATH = "path:"


def path_member(path: str) -> str:
    """How a pair names a path.

    >>> path_member("src/main.rs")
    'path:src/main.rs'
    """
    return _PATH + path


def member_path(side: str) -> str | None:
    """The path that a side names, None for an observation (whose id is hexadecimal).

    >>> member_path("path:src/main.rs")
    'src/main.rs'
    """
    return side[len(_PATH) :] if side.startswith(_PATH) else None


def path_text(path: str) -> str:
    """What a model reads for a path: the path, then the parts of its CamelCase words.

    >>> path_text("src/gitHook.rs")
    'src/gitHook.rs git Hook'
    """
    return append_parts(path)
