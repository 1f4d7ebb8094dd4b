"""The reader of prose: megabytes a second, and whether hostile texts cost more than their length says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.rounds import cpu_milliseconds
from benchmarks.table import Bound, Row
from benchmarks.workshop import Workshop
from patina_hooks.extract.prose import extract_prose
from patina_hooks.specs.values import Document

_GROUP = "prose"
_LANGUAGES = ("markdown", "rst", "asciidoc", "text")
_LENGTH = 200_000  # characters
_ROUNDS = 3
_PAGES = Path(__file__).parents[1] / "docs"
_SEEDS = (
    *(
        "text\n",
        "- item\n",
        "a\n- b\n\n",
        "> a\n",
        "```a\n",
        "```a\n## h\n",
        "<!-- a\n",
        "![",
        "<p ",
        "[",
        "`",
    ),
    *(
        "[![a](b)](c) ",
        "- [a](#",
        "word\n---\n",
        "a\n--\n",
        "====\n",
        "TITLE\n\n",
        "One. ",
        " ",
        "\ta\n",
        "|a|\n",
    ),
    *(
        ".. note:: a\n   b\n\n",
        ".. data:: a\n\n  b\n",
        ".. _a:\n",
        "=== ===\na b\n\n",
        "a::\n\n  b\n\n",
        "+--+\n",
    ),
    *(
        "----\na\n",
        "a\n//c\n",
        "include::[",
        "|===\n",
        "* a\n** b\n",
        "**a:** b\n",
        "<h1>a",
        "---\na: b\n",
        "# a\n",
    ),
)


def measure(workshop: Workshop) -> Iterator[Row]:
    """Yield the rows: processor time, the least of some rounds."""
    pages = [page.read_text("utf-8") for page in sorted(_PAGES.glob("*.md"))]
    took = sum(_milliseconds(page, "markdown") for page in pages)
    yield Row(_GROUP, "pages of this project", sum(map(len, pages)) / took / 1e3, "MB/s")
    for language in _LANGUAGES:
        halves, wholes = zip(*(_figures(seed, language) for seed in _SEEDS), strict=True)
        worst = max(range(len(_SEEDS)), key=lambda at: wholes[at] / halves[at])
        what = f"{language}: of {len(_SEEDS)} hostile texts the one that grows most"
        yield Row(_GROUP, what, wholes[worst], "ms", halves[worst], "half of it", Bound(3))
        yield Row(_GROUP, "  the slowest; the median", max(wholes), "ms", median(wholes), "")


def _figures(seed: str, language: str) -> tuple[float, float]:
    text = (seed * (_LENGTH // len(seed) + 1))[:_LENGTH]
    return _milliseconds(text[: _LENGTH // 2], language), _milliseconds(text, language)


def _milliseconds(text: str, language: str) -> float:
    document = Document("prose", "0" * 40, text, language)
    return min(cpu_milliseconds(lambda: extract_prose(document)) for _ in range(_ROUNDS))
