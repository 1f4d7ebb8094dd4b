"""Observations: made once by each extractor from each object, live while a document holds that object.

`source` and `observation` rows are a cache keyed by object id, extractor and version: a branch that is left
and entered again costs nothing. `live` marks what the corpus holds now; the words of live observations are
in the lexical index, and `text` counts how often each text is said, so that vectors follow by difference.

Another environment may have extractors that are not installed here. What they made stays live until
`patina gc`, if it was redacted by the rules that are in force.
"""

from __future__ import annotations

import json
import sqlite3
import time
from calendar import timegm
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from patina_hooks.extract.extraction import TITLE_CAP, check_extraction, describe_unread_lines
from patina_hooks.plugins.calls import PluginFunction, failure_of
from patina_hooks.plugins.fault_counts import FaultCounts
from patina_hooks.plugins.kinds import EXTRACTORS, is_provided
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import ExtractorSpec, Fault
from patina_hooks.specs.sources import HISTORY, DocumentFacts
from patina_hooks.specs.values import Document, Extraction, Observation, Recorded
from patina_hooks.store.corpus import documents, observations
from patina_hooks.store.corpus.commits import read_commit_time
from patina_hooks.store.corpus.documents import DocumentLocation
from patina_hooks.store.corpus.observations import ExtractedObject, NewObservation, StoredObservation
from patina_hooks.store.log import Log
from patina_hooks.text.redaction import Redaction

KEY_BYTES = 16

NO_FACTS = DocumentFacts()

_FAILED = "the extractor % failed"  # as LIKE reads it
_KEPT = "kept extractors"


@dataclass(slots=True)
class Extractors:
    """The extractors in force, and what is redacted. `signature` changes when any output may.

    keeps_absent: whether what extractors made that are not installed here stays. collection: whose documents
    they read. kept: the tags of absent extractors. failures: how often one failed.
    """

    plugins: Plugins
    redaction: Redaction = field(default_factory=Redaction)
    keeps_absent: bool = True
    collection: str = HISTORY
    kept: tuple[str, ...] = ()
    failures: int = 0
    _counts: FaultCounts = field(default_factory=FaultCounts)
    _opened: dict[str, PluginFunction] = field(default_factory=dict)

    @property
    def faults(self) -> list[Fault]:
        """What extractors did wrong, one fault for each cause."""
        return self._counts.faults()

    def tags(self, kind: str) -> dict[str, ExtractorSpec]:
        """Extractors that read this kind, by the tag their output is cached under."""
        rules = f"+{signature}" if (signature := self.redaction.signature) else ""
        return {
            f"{e.name}@{e.version}{rules}": e for e in self.plugins.extractors() if e.document_kind == kind
        }

    def live_tags(self, kind: str) -> tuple[str, ...]:
        """Return the tags whose observations are live: those in force, and those that are kept.

        A kept tag is of any kind: its extractor is not installed here.
        """
        return (*self.tags(kind), *self.kept)

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The tags in force, of every kind."""
        return tuple(tag for kind in self.kinds for tag in self.tags(kind))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the collection's documents."""
        sources = self.plugins.sources()
        return tuple(source.name for source in sources if source.collection == self.collection)

    @property
    def signature(self) -> str:
        return " ".join(sorted(self.all_tags))

    def can_keep(self, tag: str) -> bool:
        """Whether a stored tag is of an absent extractor, and of the rules of redaction that are in force."""
        name, rules = extractor_of(tag)[0], rules_of(tag)
        return rules == self.redaction.signature and not is_provided(name, self.plugins.extractors())

    def extract(self, spec: ExtractorSpec, document: Document) -> tuple[Extraction, str]:
        """What one extractor finds, and "". A plugin that fails finds nothing: a fault, and the reason.

        Raises `PluginError` in strict mode.
        """
        failure: Callable[[BaseException], str] = failure_of
        try:
            if spec.name not in self._opened:
                self._opened[spec.name] = self.plugins.open(EXTRACTORS, spec.name, spec.extract)
            extract = self._opened[spec.name]
            failure = extract.failure
            # Before an extractor sees it, too: a private key stands on many lines.
            document = replace(document, text=self.redaction.redact_known(document.text))
            with extract.guarded():  # what it gave may be lazy
                found = check_extraction(extract.function(document))
            return self._redacted(found), ""
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            owner = self.plugins.owner(EXTRACTORS, spec.name)
            fault = self.plugins.fault(owner, f"extractor {spec.name}", failure(error), error)
            self.failures += 1
            self._counts.add(fault, f"{document.kind} {document.oid[:10]}")
            return Extraction(()), _FAILED.replace("%", spec.name)

    def _redacted(self, found: Extraction) -> Extraction:
        redact = self.redaction.redact
        redacted = tuple(
            replace(
                one,
                text=redact(one.text),
                section=redact(one.section),
                name=redact(one.name),
                fields={name: redact(value) for name, value in one.fields.items()},
            )
            for one in found.observations
        )
        fields = {name: redact(value) for name, value in found.fields.items()}
        return Extraction(redacted, redact(found.title), fields, found.omissions)


@dataclass(slots=True)
class Changed:
    """How many observations became live and ceased to be.

    on_added, on_removed: called with each of them, where a plugin listens.
    """

    on_added: Callable[[Recorded], object] | None = None
    on_removed: Callable[[Recorded], object] | None = None
    came: int = 0
    went: int = 0


def extractor_of(tag: str) -> tuple[str, str]:
    """Return the name and the version of the extractor that a tag is of."""
    name, _, version = tag.rpartition("@")
    return name, version.partition("+")[0]


def rules_of(tag: str) -> str:
    """Return the signature of the rules of redaction that a tag is of, "" for none."""
    return tag.rpartition("@")[2].partition("+")[2]


def kept_tags(log: Log) -> tuple[str, ...]:
    """Return the tags that the last sync kept. Raises `LogDamaged` for what is no list of them."""
    return log.parsed(_KEPT, "[]", _read_tags)


def settle_extractors(log: Log, extractors: Extractors) -> bool:
    """Decide what absent extractors made is kept; return whether documents must be held against it."""
    if log.fact("extractors") != extractors.signature:
        kept = filter(extractors.can_keep, observations.read_tags(log.connection))
        extractors.kept = tuple(sorted(kept))
        return True
    extractors.kept = kept_tags(log)
    return bool(extractors.kept) and not extractors.keeps_absent


def remember_extractors(log: Log, extractors: Extractors) -> None:
    """Store the extractors in force and the tags that are kept; inside a transaction."""
    log.remember("extractors", extractors.signature)
    log.remember(_KEPT, json.dumps(list(extractors.kept)))


def _read_tags(stored: list[str]) -> tuple[str, ...]:
    if not isinstance(stored, list) or not all(isinstance(tag, str) for tag in stored):
        raise TypeError(stored)
    return tuple(stored)


def text_key(text: str) -> bytes:
    """What an embedding is cached under: 16 bytes of BLAKE2b of the text."""
    return _digest(text)


def store_source(
    connection: sqlite3.Connection,
    extractors: Extractors,
    document: Document,
    skipped: str = "",
    read_as: str = "",
) -> str:
    """Extract one object with each extractor that reads its kind and has not yet.

    Args:
        connection: of the log, inside a transaction.
        extractors: those in force.
        document: the object with its text.
        skipped: why it cannot be read at all.
        read_as: see `DocumentLocation`, by default its kind.

    Returns:
        Which of its lines were left out by an extractor that reads it now.
    """
    left_out: list[str] = []
    read_as = read_as or document.kind
    for tag, spec in extractors.tags(document.kind).items():
        if observations.count_extracted(connection, document.oid, read_as, [tag]):
            continue
        found, reason = (Extraction(()), skipped) if skipped else extractors.extract(spec, document)
        missed = describe_unread_lines(found)
        title = _storable(found.title[:TITLE_CAP])
        extracted = ExtractedObject(document.oid, read_as, tag, title, found.fields, reason, missed)
        seed = spec.name if read_as == document.kind else f"{spec.name} {read_as}"
        observations.add_extracted(connection, extracted, _rows(document.oid, seed, found))
        left_out += [missed] if missed else []
    return "; ".join(dict.fromkeys(left_out))


def forget_failed(connection: sqlite3.Connection, extractors: Extractors, oids: Iterable[str]) -> None:
    """Have these objects read again by the extractors in force that failed on them."""
    observations.delete_failed(connection, oids, extractors.all_tags, _FAILED)


def failed_locations(connection: sqlite3.Connection, extractors: Extractors) -> list[DocumentLocation]:
    """Return a location on refs of each object that an extractor in force failed on, the last tried last."""
    return documents.read_failed_locations(connection, extractors.all_tags, _FAILED)


def outdated_locations(connection: sqlite3.Connection, extractors: Extractors) -> list[DocumentLocation]:
    """Return documents that an extractor in force has not read, or that one has whose results do not stay."""
    return [
        location
        for kind in extractors.kinds
        for location in documents.read_outdated_locations(
            connection, kind, list(extractors.tags(kind)), extractors.live_tags(kind)
        )
    ]


def missing_sources(
    connection: sqlite3.Connection,
    extractors: Extractors,
    kind: str,
    oids: Iterable[str],
    read_as: str = "",
) -> list[str]:
    """Return which of these objects some extractor in force has not read."""
    tags = list(extractors.tags(kind))
    return [
        oid
        for oid in oids
        if observations.count_extracted(connection, oid, read_as or kind, tags) < len(tags)
    ]


def add_document(
    connection: sqlite3.Connection,
    extractors: Extractors,
    location: DocumentLocation,
    changed: Changed,
    facts: DocumentFacts = NO_FACTS,
) -> None:
    """Put a document into the corpus; its observations become live if it is the first with that object."""
    first = not documents.has_object(connection, location.oid, location.read_as)
    title = _title(connection, extractors, location, facts)
    document = documents.add_document(connection, location, title)
    if first:
        _make_live(connection, extractors, location, changed, facts)
    if location.path:
        observations.add_document_words(connection, document, location.oid, location.read_as, title)


def renew_documents(
    connection: sqlite3.Connection,
    extractors: Extractors,
    oid: str,
    changed: Changed,
    facts_of: Callable[[str, str], DocumentFacts],
) -> None:
    """Make the documents of an object hold what the extractors in force, and those that are kept, read.

    What others read rests, and what is new becomes live. facts_of: gives the facts of a kind and a path.
    """
    by_reading: dict[str, list[documents.StoredDocument]] = {}
    for stored in documents.read_documents_of_object(connection, oid):
        by_reading.setdefault(stored.location.read_as, []).append(stored)
    for read_as, rows in by_reading.items():
        for row in rows:
            if row.location.path:
                observations.delete_document_words(connection, row.id, oid, read_as, row.title)
        first = rows[0].location
        facts = facts_of(first.kind, first.path)
        _make_resting(connection, first, changed, keep=extractors.live_tags(first.kind))
        _make_live(connection, extractors, first, changed, facts)
        for row in rows:
            facts = facts_of(row.location.kind, row.location.path)
            title = _title(connection, extractors, row.location, facts)
            documents.set_title(connection, row.id, title)
            if row.location.path:
                observations.add_document_words(connection, row.id, oid, read_as, title)


def remove_document(connection: sqlite3.Connection, location: DocumentLocation, changed: Changed) -> None:
    """Take a document out; its observations rest in the cache when no other document holds its object."""
    stored = documents.read_document(connection, location.oid, location.path, location.work_tree)
    if stored is None:
        return
    location = stored.location
    if location.path:
        oid, read_as = location.oid, location.read_as
        observations.delete_document_words(connection, stored.id, oid, read_as, stored.title)
    documents.delete_document(connection, stored.id)
    if not documents.has_object(connection, location.oid, location.read_as):
        _make_resting(connection, location, changed)


def _make_live(
    connection: sqlite3.Connection,
    extractors: Extractors,
    location: DocumentLocation,
    changed: Changed,
    facts: DocumentFacts,
) -> None:
    tags = extractors.live_tags(location.kind)
    rows = observations.read_resting(connection, location.oid, location.read_as, tags)
    observations.make_live(connection, rows, _dated(connection, location, facts))
    changed.came += len(rows)
    if changed.on_added:
        for row in rows:
            changed.on_added(_recorded(row, location))


def _make_resting(
    connection: sqlite3.Connection,
    location: DocumentLocation,
    changed: Changed,
    keep: Collection[str] = (),
) -> None:
    """What is live of an object rests, but for what the extractors in `keep` read."""
    rows = observations.read_live(connection, location.oid, location.read_as, keep)
    observations.make_resting(connection, rows)
    changed.went += len(rows)
    if changed.on_removed:
        for row in rows:
            changed.on_removed(_recorded(row, location))


def _title(
    connection: sqlite3.Connection, extractors: Extractors, location: DocumentLocation, facts: DocumentFacts
) -> str:
    tags = extractors.live_tags(location.kind)
    stated = observations.read_title(connection, location.oid, location.read_as, tags)
    return stated or _storable(facts.title[:TITLE_CAP])


def _dated(connection: sqlite3.Connection, location: DocumentLocation, facts: DocumentFacts) -> int:
    """About when a document was written, seconds since 1970: only the order in which texts are embedded."""
    if not location.path:
        return read_commit_time(connection, location.oid) or 0
    if location.session:
        return timegm(time.strptime(location.session, "%Y%m%d-%H%M%S"))
    return facts.date or 0


def _rows(oid: str, seed: str, found: Extraction) -> list[NewObservation]:
    """One row for each; pieces of one line that say the same (a long run of one letter) are one."""
    rows = (_row(oid, seed, o) for o in found.observations if o.text.strip())
    return list({row.key: row for row in reversed([*rows])}.values())[::-1]


def _row(oid: str, seed: str, o: Observation) -> NewObservation:
    text = _storable(o.text)
    fields = {_storable(name): _storable(value) for name, value in o.fields.items()}
    stored = replace(
        o,
        text=text,
        section=_storable(o.section[:TITLE_CAP]),
        name=_storable(o.name[:TITLE_CAP]),
        fields=fields,
    )
    return NewObservation(_digest(oid, seed, o.kind, str(o.line), text), text_key(text), stored)


def _recorded(row: StoredObservation, location: DocumentLocation) -> Recorded:
    return Recorded(
        id=row.key.hex(),
        observation=row.observation,
        document=location.path or location.oid,
        session=location.session,
        commit=None if location.path else location.oid,
    )


def _storable(text: str) -> str:
    """SQLite and UTF-8 take no lone surrogates, and NUL ends a text for many readers."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=KEY_BYTES).digest()
