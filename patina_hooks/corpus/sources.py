"""The sources in force for one repository: which files are documents, of what kind, and what paths state."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import commonpath
from typing import Any

from patina_hooks.config.docs import DECLARED_FILES, OTHER_TEXTS
from patina_hooks.config.settings import Settings
from patina_hooks.plugins.calls import BUILTIN, PluginFunction, failure_of
from patina_hooks.plugins.fault_counts import FaultCounts
from patina_hooks.plugins.kinds import SOURCES
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.specs.sources import DOCS, NOT_PROSE, PROSE, SESSIONS, DocumentFacts, SourceSpec, Trees
from patina_hooks.specs.values import Document
from patina_hooks.store.corpus.documents import DocumentLocation
from patina_hooks.text.gitignore import PathChoice
from patina_hooks.text.path_patterns import escape_pattern, is_deep, literal_folder
from patina_hooks.text.session_ids import is_session_id

HEAD_BYTES = 8_000
"""The first bytes of a file, the argument of `SourceSpec.accepts`."""

BY_HAND = " written by hand"
"""Ends `DocumentLocation.read_as` if a tree states that a file is not generated: its text is not tested."""

NO_FACTS = DocumentFacts()
File = tuple[str, str]
"""The path and the object of a file."""


@dataclass(frozen=True, slots=True, eq=False)
class FileSource:
    """A source of files, with its patterns for one repository.

    folder: all its files are below it, "" for the root. is_deep: whether files may be in folders below it.
    drafts: (folder, suffix) of files in work trees. declared: files that belong to it if a tree declares them
    documentation. most: limit of files that are read, None for all.
    """

    spec: SourceSpec
    folder: str
    is_deep: bool
    drafts: tuple[tuple[str, str], ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    choice: PathChoice
    declared: PathChoice
    most: int | None

    @property
    def kind(self) -> str:
        """The kind of its documents."""
        return self.spec.name

    @property
    def signature(self) -> str:
        """A text that changes when other files are documents of this kind, or have other facts."""
        spec = self.spec
        patterns = (self.include, self.exclude, spec.drafts)
        limits = (spec.largest, self.most)
        return json.dumps([spec.name, spec.version, spec.collection, spec.trees, *limits, *patterns])

    def includes(self, path: str) -> bool:
        """Whether its patterns name a path."""
        return self.choice.contains(path)

    def takes_declared(self, path: str) -> bool:
        """Whether a path belongs to it if a tree declares the file documentation."""
        return self.declared.contains(path)


@dataclass(frozen=True, slots=True, eq=False)
class TreeScope:
    """The trees of several sources of one collection: one folder of them is listed once for all."""

    trees: Trees
    folder: str
    sources: tuple[FileSource, ...]

    @property
    def name(self) -> str:
        """The key under which its trees are stored."""
        return f"{self.trees} {self.folder}"

    @property
    def is_deep(self) -> bool:
        """Whether documents may be in folders below its own."""
        return self.trees == "heads" or any(source.is_deep for source in self.sources)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its documents."""
        return frozenset(source.kind for source in self.sources)

    def path(self, name: str) -> str:
        """Return the path of a file by its name in the folder."""
        return f"{self.folder}/{name}" if self.folder else name


class Sources:
    """The sources in force, in the order in which they may take a file."""

    def __init__(self, plugins: Plugins, settings: Settings) -> None:
        """Read the specs. settings: state where session documents are and which files are prose."""
        specs = plugins.sources()
        self.message_kind = next(spec.name for spec in specs if spec.objects == "messages")
        self.files = tuple(
            _file_source(spec, settings)
            for spec in specs
            if spec.objects == "files" and (settings.docs_enabled or PROSE not in spec.include)
        )
        self._of_kind = {source.kind: source for source in self.files}
        self._plugins = plugins
        self._counts = FaultCounts()
        self._opened: dict[str, PluginFunction] = {}

    @property
    def signature(self) -> str:
        """A text that changes when another source may take a file."""
        return " ".join(source.signature for source in self.files)

    @property
    def faults(self) -> list[RecordedError]:
        """Errors of sources, one fault for each cause."""
        return self._counts.faults()

    def kinds(self, collection: str) -> tuple[str, ...]:
        """Return the kinds of a collection's documents."""
        specs = self._plugins.sources()
        return tuple(spec.name for spec in specs if spec.collection == collection)

    def largest(self, kind: str) -> int:
        """Return how many bytes a document of a kind may have."""
        return self._of_kind[kind].spec.largest

    def scopes(self, collection: str) -> list[TreeScope]:
        """Return the trees in which files of a collection may be."""
        grouped: dict[tuple[Trees, str], list[FileSource]] = {}
        for source in self.files:
            if source.spec.collection == collection:
                # The rules of a tree may be anywhere in it: heads are few, and listed whole.
                folder = source.folder if source.spec.trees == "refs" else ""
                grouped.setdefault((source.spec.trees, folder), []).append(source)
        return [TreeScope(*key, tuple(sources)) for key, sources in grouped.items()]

    def owners(
        self,
        files: Iterable[File],
        read_heads: Callable[[Sequence[str]], Mapping[str, bytes]],
        declared: Collection[File] = (),
    ) -> dict[File, FileSource]:
        """Return the source of each file that has one.

        Args:
            files: those of one scope.
            read_heads: returns the first bytes of those objects that are present.
            declared: those of them that a tree declares documentation.
        """
        claims = {file: self._claims(file[0], is_declared=file in declared) for file in files}
        open_claims = {oid for (_, oid), sources in claims.items() if any(s.spec.accepts for s in sources)}
        heads = read_heads(sorted(open_claims)) if open_claims else {}
        owners: dict[File, FileSource] = {}
        for file, sources in claims.items():
            head = heads.get(file[1], b"")
            owner = next((source for source in sources if self._accepts(source, head, file[0])), None)
            if owner is not None:
                owners[file] = owner
        return owners

    def _claims(self, path: str, *, is_declared: bool) -> list[FileSource]:
        return [
            source
            for source in self.files
            if source.includes(path) or (is_declared and source.takes_declared(path))
        ]

    def draft_source(self, path: str) -> FileSource | None:
        """Return the source of a draft."""
        folder, _, name = path.rpartition("/")
        for source in self.files:
            if any(folder == parent and name.endswith(suffix) for parent, suffix in source.drafts):
                return source
        return None

    def facts(self, kind: str, path: str) -> DocumentFacts:
        """Return the facts that the path of a document states, none for the message of a commit."""
        source = self._of_kind.get(kind)
        if source is None or not source.spec.describe:
            return NO_FACTS
        facts: DocumentFacts | None = self._call(source, source.spec.describe, path, convert=_convert_facts)
        return facts or NO_FACTS

    def location(
        self, kind: str, oid: str, path: str, work_tree: str = "", *, by_hand: bool = False
    ) -> DocumentLocation:
        """Return the location of a document with the facts of its path.

        by_hand: see `BY_HAND`.
        """
        facts = self.facts(kind, path)
        stated = [facts.language, sorted(facts.fields.items())]
        read_as = f"{kind} {json.dumps(stated)}" if any(stated) else kind
        read_as += BY_HAND if by_hand else ""
        return DocumentLocation(kind, oid, path, work_tree, facts.session, read_as, facts.date)

    def document(self, location: DocumentLocation, text: str) -> Document:
        """Return a document as extractors read it."""
        facts = self.facts(location.kind, location.path)
        return Document(location.kind, location.oid, text, facts.language, facts.fields)

    def _accepts(self, source: FileSource, head: bytes, path: str) -> bool:
        reference = source.spec.accepts
        return not reference or self._call(source, reference, head, path) is True

    def _call(
        self,
        source: FileSource,
        reference: str,
        *arguments: object,
        convert: Callable[[Any], Any] = lambda result: result,
    ) -> Any:  # noqa: ANN401 (a plugin's)
        """Call code of a source and convert the result; return None if that fails, which is recorded."""
        try:
            if reference not in self._opened:
                self._opened[reference] = self._plugins.open(SOURCES, source.kind, reference)
            function = self._opened[reference]
            # The guard costs ten times the reading of a path, and there may be many thousands of paths.
            return convert((function.function if function.plugin == BUILTIN else function)(*arguments))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything
            owner = self._plugins.owner(SOURCES, source.kind)
            failure = failure_of(error, reference.partition(":")[0])
            self._counts.add(self._plugins.fault(owner, f"source {source.kind}", failure, error))
            return None


def _convert_facts(result: object) -> DocumentFacts:
    """Return the facts with fields as texts.

    Raises:
        TypeError: they are not facts.
        ValueError: a field is invalid.
    """
    if not isinstance(result, DocumentFacts):
        raise TypeError(f"returned a value of type {type(result).__name__}; expected DocumentFacts")
    if result.session is not None and not is_session_id(result.session):
        raise ValueError(
            f"session is {result.session!r}; expected the id of a session, such as 20260102-090000"
        )
    if result.date is not None and type(result.date) is not int:
        raise TypeError(f"date is a value of type {type(result.date).__name__}; expected seconds since 1970")
    fields = {str(name): str(value) for name, value in result.fields.items()}
    return replace(result, title=str(result.title), language=str(result.language), fields=fields)


def _file_source(spec: SourceSpec, settings: Settings) -> FileSource:
    folder = settings.sessions_folder
    placeholders = {PROSE: settings.docs_include, NOT_PROSE: (*OTHER_TEXTS, *settings.docs_exclude)}

    def expand(patterns: Iterable[str]) -> list[str]:
        return [name for pattern in patterns for name in placeholders.get(pattern, (pattern,))]

    def fill_in(patterns: Iterable[str]) -> tuple[str, ...]:
        return tuple(pattern.replace(SESSIONS, escape_pattern(folder)) for pattern in expand(patterns))

    include, exclude = fill_in(spec.include), fill_in(spec.exclude)
    included = [pattern for pattern in expand(spec.include) if not pattern.startswith("!")]
    folders = [literal_folder(pattern).replace(SESSIONS, folder) for pattern in included]
    common = commonpath(folders) if folders and all(folders) else ""
    return FileSource(
        spec,
        common,
        any(name != common for name in folders) or any(map(is_deep, included)),
        tuple(
            (parent.replace(SESSIONS, folder), name.removeprefix("*"))
            for parent, _, name in (pattern.rpartition("/") for pattern in spec.drafts)
        ),
        include,
        exclude,
        PathChoice(include, exclude),
        PathChoice(DECLARED_FILES if PROSE in spec.include else (), exclude),
        settings.docs_max_files if spec.collection == DOCS and spec.trees == "heads" else None,
    )
