"""Members of a pair: an observation by its id, or a path."""

from __future__ import annotations

from patina_hooks.text.words import append_parts

_PATH = "path:"


def path_member(path: str) -> str:
    """Return the name of a path in a pair.

    >>> path_member("src/main.rs")
    'path:src/main.rs'
    """
    return _PATH + path


def member_path(member: str) -> str | None:
    """Return the path of a member, None for an observation (whose id is hexadecimal).

    >>> member_path("path:src/main.rs")
    'src/main.rs'
    """
    return member[len(_PATH) :] if member.startswith(_PATH) else None


def path_text(path: str) -> str:
    """Return the text of a path for a model: the path, then the parts of its CamelCase words.

    >>> path_text("src/gitHook.rs")
    'src/gitHook.rs git Hook'
    """
    return append_parts(path)
