"""Describe pages of prose by their paths."""

from __future__ import annotations

from patina_hooks.specs.sources import DocumentFacts

_LANGUAGES = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdx": "markdown",
    ".rst": "rst",
    ".adoc": "asciidoc",
    ".asciidoc": "asciidoc",
}


def describe_prose_path(path: str) -> DocumentFacts:
    """Return the markup of a page, and the title of a page without headings: its name."""
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    language = _LANGUAGES.get(f".{suffix.lower()}", "text") if dot else "text"
    return DocumentFacts(title=stem or name, language=language)
