"""An extension of griffe for the docstrings of this project.

On the site, the lines `name: text` of a class become a list of its fields, and doctests become code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from griffe import Class, Extension, Function

_FIELD: Final = re.compile(r"(?P<names>[a-z_]+(?:, [a-z_]+)*): (?P<text>.*)")


class DocstringMarkup(Extension):
    """Adds Markdown to docstrings."""

    def on_class_instance(self, *, cls: Class, **_: Any) -> None:  # noqa: ANN401
        """List the fields of a class."""
        if cls.docstring:
            cls.docstring.value = "\n".join(_list_fields(cls.docstring.value))

    def on_function_instance(self, *, func: Function, **_: Any) -> None:  # noqa: ANN401
        """Mark the doctest at the end of a docstring as code."""
        if func.docstring:
            text, prompt, code = func.docstring.value.partition("\n>>> ")
            func.docstring.value = f"{text}\n```pycon{prompt}{code}\n```" if code else text


def _list_fields(docstring: str) -> Iterator[str]:
    previous = ""
    for line in docstring.splitlines():
        match = _FIELD.fullmatch(line)
        if match:
            if not previous.startswith(("- ", "  ")):
                yield ""
            names = ", ".join(f"`{name}`" for name in match["names"].split(", "))
            previous = f"- {names}: {match['text']}"
        else:
            previous = line
        yield previous
