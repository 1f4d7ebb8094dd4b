"""Specs of sources of documents.

A source is a kind of document: where its objects are, and what a document's path states. Extractors name the
kind that they read. Specs are data; code is named as "package.module:callable".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

Objects = Literal["messages", "files"]
Trees = Literal["refs", "heads"]

HISTORY: Final = "history"
DOCS: Final = "docs"
CODE: Final = "code"
COLLECTIONS: Final = (HISTORY, DOCS, CODE)
"""Each has word statistics, candidates, vectors and a projection of its own, in the order of its answers."""

SESSIONS: Final = "{sessions}"
"""Placeholder in a pattern for the folder of session documents, which the settings name."""

_KIND: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_DRAFTS: Final = re.compile(r"[^*?\[\]]+/\*[^*?\[\]/]*")


PROSE: Final = "{docs.include}"
NOT_PROSE: Final = "{docs.exclude}"
"""Stand in `include` and `exclude` for the patterns of the settings `[docs]`; a source of them has no files
where `docs.enabled` is false."""


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """Facts that the path of a document states.

    session: the id of the session that it documents. It competes with that session's commits for one place
        among the answers; a document without a session competes as a file.
    title: used where no extractor states one.
    date: seconds since 1970, None where the path states none. Answers show it, and
        `--since` and `--until` compare it.
    language, fields: handed to extractors, see `Document`.
    """

    session: str | None = None
    title: str = ""
    date: int | None = None
    language: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A kind of document.

    name: the kind, which an extractor names in `document_kind`.
    version: raise it whenever results of `accepts` or `describe` change.
    collection: "history", "docs" or "code".
    objects: "files" of trees, or the "messages" of commits; those have one source, which is built in.
    include, exclude: patterns of paths as in .gitignore, from the root of a tree; an excluded path wins.
        "{sessions}" stands for the folder of session documents, "{docs.include}" and "{docs.exclude}" for the
        patterns that the settings list.
    trees: which trees are read: those of every live ref ("refs"), or those of checked-out HEADs and of the
        default branch ("heads"). Of the latter, what `.patinaignore` and `.gitattributes` of a tree leave out
        is not read, nor files of secrets, generated, minified and vendored ones; in "docs", at most as many
        files as the setting `docs.max_files` allows.
    drafts: patterns "folder/*.suffix" of files in work trees that are read as well while no ref holds them.
    accepts: `(head: bytes, path: str) -> bool`, of the first 8,000 bytes; by default every included file is
        accepted. A file has one source: those of plugins are asked before the built-in ones, then by name.
    describe: `(path: str) -> DocumentFacts`, by default no facts.
    largest: bytes; a larger file is listed by `patina status` and not read.
    """

    name: str
    version: int
    collection: str = DOCS
    objects: Objects = "files"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    trees: Trees = "heads"
    drafts: tuple[str, ...] = ()
    accepts: str = ""
    describe: str = ""
    largest: int = 8 << 20

    def __post_init__(self) -> None:
        rules = (
            (
                bool(_KIND.fullmatch(self.name)),
                "the name must be of lower-case letters, digits, '-' and '_'",
            ),
            (
                self.collection in COLLECTIONS,
                f"collection must be one of {', '.join(COLLECTIONS)}, not {self.collection!r}",
            ),
            *(
                (
                    not isinstance(patterns, str),
                    f"{name} must be a tuple of patterns, not the text {patterns!r}; write ({patterns!r},)",
                )
                for name in ("include", "exclude", "drafts")
                for patterns in [getattr(self, name)]
            ),
            (self.objects in get_args(Objects), f"objects must be messages or files, not {self.objects!r}"),
            (self.trees in get_args(Trees), f"trees must be refs or heads, not {self.trees!r}"),
            (
                self.objects != "files" or bool(self.include),
                "include must hold at least one pattern",
            ),
            (
                self.objects != "messages" or not (self.include or self.exclude or self.drafts),
                "a source of messages has no patterns",
            ),
            (
                all(map(_DRAFTS.fullmatch, self.drafts)),
                f"drafts must be patterns like folder/*.md, not {', '.join(self.drafts)}",
            ),
            (self.largest > 0, f"largest must be at least 1, not {self.largest}"),
        )
        for holds, otherwise in rules:
            if not holds:
                raise ValueError(f"source {self.name}: {otherwise}")
