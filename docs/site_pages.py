"""Pages of the site that are not files of docs/, and links that lead out of it. mkdocs calls this module."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

MODULES: Final = {
    "reference/patina_hooks.md": "patina_hooks",
    "reference/authoring.md": "patina_hooks.authoring",
    "reference/testing.md": "patina_hooks.testing",
}
"""The public surface: each page has every name of a module's `__all__`."""
HOOKS: Final = "patina_hooks.plugins.hookspecs"
_OUTSIDE: Final = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference."""
    pages = {path: _reference(module) for path, module in MODULES.items()}
    for path, content in {
        **pages,
        "reference/hooks.md": f"# Hooks of plugins\n\n{_directive(HOOKS)}",
    }.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Leave the text of links to files of the repository, which the site does not have."""
    return _OUTSIDE.sub(r"\1", markdown)


def _reference(module: str) -> str:
    names = import_module(module).__all__
    head = f"# {module}\n\n{_directive(module, 'members: false', 'show_root_heading: false')}"
    return "\n".join([head, *(_directive(f"{module}.{name}") for name in names)])


def _directive(identifier: str, *options: str) -> str:
    lines = [f"::: {identifier}", "    options:", "      heading_level: 2"]
    return "\n".join([*lines, *(f"      {option}" for option in options), ""])
