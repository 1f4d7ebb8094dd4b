"""Observations: made once by each extractor from each object, live while a document has that object.

`source` and `observation` rows are a cache keyed by object id, extractor and version: to leave a branch and
return costs nothing. `live` marks the observations of documents that exist now; their words are in the
lexical index, and `text` counts how many observations have each text, so that vectors are updated by
difference.

Another environment may have extractors that are not installed here. Their observations stay live until
`patina gc`, if they were redacted by the rules that are in force.
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
from patina_hooks.specs.plugins import ExtractorSpec, RecordedError
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
    """The extractors in force, with the rules of redaction.

    keeps_absent: whether the results of extractors that are not installed here stay live. collection: whose
    documents are read. kept_tags: the tags of absent extractors. failures: number of failed calls.
    """

    plugins: Plugins
    redaction: Redaction = field(default_factory=Redaction)
    keeps_absent: bool = True
    collection: str = HISTORY
    kept_tags: tuple[str, ...] = ()
    failures: int = 0
    _counts: FaultCounts = field(default_factory=FaultCounts)
    _opened: dict[str, PluginFunction] = field(default_factory=dict)

    @property
    def faults(self) -> list[RecordedError]:
        """Errors of extractors, one fault for each cause."""
        return self._counts.faults()

    def tags(self, kind: str) -> dict[str, ExtractorSpec]:
        """Return the extractors of a kind of document by the tag of their cached results."""
        rules = f"+{signature}" if (signature := self.redaction.signature) else ""
        return {
            f"{e.name}@{e.version}{rules}": e for e in self.plugins.extractors() if e.document_kind == kind
        }

    def live_tags(self, kind: str) -> tuple[str, ...]:
        """Return the tags whose observations are live: those in force and the kept ones.

        A kept tag is of any kind: its extractor is not installed here.
        """
        return (*self.tags(kind), *self.kept_tags)

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
        """A text that changes with every change of an extractor or a rule of redaction."""
        return " ".join(sorted(self.all_tags))

    def can_keep(self, tag: str) -> bool:
        """Whether a stored tag is of an absent extractor and the rules of redaction in force."""
        name, rules = parse_extractor_tag(tag)[0], parse_redaction_rules(tag)
        return rules == self.redaction.signature and not is_provided(name, self.plugins.extractors())

    def extract(self, spec: ExtractorSpec, document: Document) -> tuple[Extraction, str]:
        """Call one extractor.

        Returns:
            Its result and "", or an empty result and the reason if it failed, which is recorded as a fault.

        Raises:
            PluginError: it failed, in strict mode.
        """
        failure: Callable[[BaseException], str] = failure_of
        try:
            if spec.name not in self._opened:
                self._opened[spec.name] = self.plugins.open(EXTRACTORS, spec.name, spec.extract)
            extract = self._opened[spec.name]
            failure = extract.failure
            # Before an extractor reads it, too: a private key has many lines.
            document = replace(document, text=self.redaction.redact_known(document.text))
            with extract.guarded():  # its result may be lazy
                extraction = check_extraction(extract.function(document))
            return self._redact(extraction), ""
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything
            owner = self.plugins.owner(EXTRACTORS, spec.name)
            fault = self.plugins.fault(owner, f"extractor {spec.name}", failure(error), error)
            self.failures += 1
            self._counts.add(fault, f"{document.kind} {document.oid[:10]}")
            return Extraction(()), _FAILED.replace("%", spec.name)

    def _redact(self, extraction: Extraction) -> Extraction:
        redact = self.redaction.redact
        redacted = tuple(
            replace(
                o,
                text=redact(o.text),
                section=redact(o.section),
                name=redact(o.name),
                fields={name: redact(value) for name, value in o.fields.items()},
            )
            for o in extraction.observations
        )
        fields = {name: redact(value) for name, value in extraction.fields.items()}
        return Extraction(redacted, redact(extraction.title), fields, extraction.omissions)


@dataclass(slots=True)
class ObservationChanges:
    """How many observations were added to the live ones and removed from them.

    on_added, on_removed: called with each, if a plugin listens.
    """

    on_added: Callable[[Recorded], object] | None = None
    on_removed: Callable[[Recorded], object] | None = None
    added: int = 0
    removed: int = 0


def parse_extractor_tag(tag: str) -> tuple[str, str]:
    """Return the name and the version of the extractor in a tag."""
    name, _, version = tag.rpartition("@")
    return name, version.partition("+")[0]


def parse_redaction_rules(tag: str) -> str:
    """Return the signature of the rules of redaction in a tag, "" for none."""
    return tag.rpartition("@")[2].partition("+")[2]


def load_kept_tags(log: Log) -> tuple[str, ...]:
    """Return the tags that the last sync kept.

    Raises:
        LogDamaged: the stored value is not a list of tags.
    """
    return log.parsed(_KEPT, "[]", _parse_tags)


def settle_extractors(log: Log, extractors: Extractors) -> bool:
    """Decide which tags of absent extractors are kept; return whether documents must be renewed."""
    if log.fact("extractors") != extractors.signature:
        tags = filter(extractors.can_keep, observations.read_extractor_tags(log.connection))
        extractors.kept_tags = tuple(sorted(tags))
        return True
    extractors.kept_tags = load_kept_tags(log)
    return bool(extractors.kept_tags) and not extractors.keeps_absent


def remember_extractors(log: Log, extractors: Extractors) -> None:
    """Store the extractors in force and the kept tags; inside a transaction."""
    log.remember("extractors", extractors.signature)
    log.remember(_KEPT, json.dumps(list(extractors.kept_tags)))


def _parse_tags(stored: list[str]) -> tuple[str, ...]:
    if not isinstance(stored, list) or not all(isinstance(tag, str) for tag in stored):
        raise TypeError(stored)
    return tuple(stored)


def text_key(text: str) -> bytes:
    """Return the key under which the embedding of a text is cached: 16 bytes of BLAKE2b."""
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
        skipped: the reason if it cannot be read at all, else "".
        read_as: see `DocumentLocation`, by default its kind.

    Returns:
        The lines that an extractor left out now, as a message, else "".
    """
    left_out: list[str] = []
    read_as = read_as or document.kind
    for tag, spec in extractors.tags(document.kind).items():
        if observations.count_extracted(connection, document.oid, read_as, [tag]):
            continue
        extraction, reason = (Extraction(()), skipped) if skipped else extractors.extract(spec, document)
        unread_lines = describe_unread_lines(extraction)
        title = _storable(extraction.title[:TITLE_CAP])
        extracted = ExtractedObject(
            document.oid, read_as, tag, title, extraction.fields, reason, unread_lines
        )
        seed = spec.name if read_as == document.kind else f"{spec.name} {read_as}"
        observations.add_extracted(connection, extracted, _rows(document.oid, seed, extraction))
        left_out += [unread_lines] if unread_lines else []
    return "; ".join(dict.fromkeys(left_out))


def forget_failed(connection: sqlite3.Connection, extractors: Extractors, oids: Iterable[str]) -> None:
    """Have these objects read again by the extractors in force that failed on them."""
    observations.delete_failed(connection, oids, extractors.all_tags, _FAILED)


def find_failed_locations(connection: sqlite3.Connection, extractors: Extractors) -> list[DocumentLocation]:
    """Find a location on refs of each object on which an extractor in force failed, the last tried last."""
    return documents.read_failed_locations(connection, extractors.all_tags, _FAILED)


def find_outdated_locations(connection: sqlite3.Connection, extractors: Extractors) -> list[DocumentLocation]:
    """Find documents with results of an extractor that do not stay, or without those of one in force."""
    return [
        location
        for kind in extractors.kinds
        for location in documents.read_outdated_locations(
            connection, kind, list(extractors.tags(kind)), extractors.live_tags(kind)
        )
    ]


def find_unread_objects(
    connection: sqlite3.Connection,
    extractors: Extractors,
    kind: str,
    oids: Iterable[str],
    read_as: str = "",
) -> list[str]:
    """Find the objects that some extractor in force has not read."""
    tags = list(extractors.tags(kind))
    return [
        oid
        for oid in oids
        if observations.count_extracted(connection, oid, read_as or kind, tags) < len(tags)
    ]


def add_live_document(
    connection: sqlite3.Connection,
    extractors: Extractors,
    location: DocumentLocation,
    changed: ObservationChanges,
    facts: DocumentFacts = NO_FACTS,
) -> None:
    """Add a document; its observations become live if it is the first one with that object."""
    is_first = not documents.has_object(connection, location.oid, location.read_as)
    title = _title(connection, extractors, location, facts)
    document = documents.add_document(connection, location, title)
    if is_first:
        _activate(connection, extractors, location, changed, facts.date)
    if location.path:
        observations.index_document_words(connection, document, location.oid, location.read_as, title)


def renew_live_documents(
    connection: sqlite3.Connection,
    extractors: Extractors,
    oid: str,
    changed: ObservationChanges,
    find_facts: Callable[[str, str], DocumentFacts],
) -> None:
    """Make the live observations of an object those of the extractors in force and of the kept tags.

    find_facts: (kind, path) -> facts of a document.
    """
    by_reading: dict[str, list[documents.StoredDocument]] = {}
    for stored in documents.read_documents_of_object(connection, oid):
        by_reading.setdefault(stored.location.read_as, []).append(stored)
    for read_as, rows in by_reading.items():
        for row in rows:
            if row.location.path:
                observations.unindex_document_words(connection, row.id, oid, read_as, row.title)
        first = rows[0].location
        _deactivate(connection, first, changed, keep=extractors.live_tags(first.kind))
        _activate(connection, extractors, first, changed, first.date)
        for row in rows:
            facts = find_facts(row.location.kind, row.location.path)
            title = _title(connection, extractors, row.location, facts)
            documents.set_title(connection, row.id, title)
            if row.location.path:
                observations.index_document_words(connection, row.id, oid, read_as, title)


def remove_live_document(
    connection: sqlite3.Connection, location: DocumentLocation, changed: ObservationChanges
) -> None:
    """Remove a document; its observations stay in the cache, not live, if no other has its object."""
    stored = documents.read_document(connection, location.oid, location.path, location.work_tree)
    if stored is None:
        return
    location = stored.location
    if location.path:
        oid, read_as = location.oid, location.read_as
        observations.unindex_document_words(connection, stored.id, oid, read_as, stored.title)
    documents.delete_document(connection, stored.id)
    if not documents.has_object(connection, location.oid, location.read_as):
        _deactivate(connection, location, changed)


def _activate(
    connection: sqlite3.Connection,
    extractors: Extractors,
    location: DocumentLocation,
    changed: ObservationChanges,
    date: int | None,
) -> None:
    tags = extractors.live_tags(location.kind)
    rows = observations.read_inactive_observations(connection, location.oid, location.read_as, tags)
    observations.activate_observations(connection, rows, _date(connection, location, date))
    changed.added += len(rows)
    if changed.on_added:
        for row in rows:
            changed.on_added(_recorded(row, location))


def _deactivate(
    connection: sqlite3.Connection,
    location: DocumentLocation,
    changed: ObservationChanges,
    keep: Collection[str] = (),
) -> None:
    """Deactivate the live observations of an object, except those of the tags in `keep`."""
    rows = observations.read_live_observations(connection, location.oid, location.read_as, keep)
    observations.deactivate_observations(connection, rows)
    changed.removed += len(rows)
    if changed.on_removed:
        for row in rows:
            changed.on_removed(_recorded(row, location))


def _title(
    connection: sqlite3.Connection, extractors: Extractors, location: DocumentLocation, facts: DocumentFacts
) -> str:
    tags = extractors.live_tags(location.kind)
    stated = observations.read_title(connection, location.oid, location.read_as, tags)
    return stated or _storable(facts.title[:TITLE_CAP])


def _date(connection: sqlite3.Connection, location: DocumentLocation, date: int | None) -> int:
    """Return about when a document was written, in seconds since 1970; texts are embedded in this order."""
    if not location.path:
        return read_commit_time(connection, location.oid) or 0
    if location.session:
        return timegm(time.strptime(location.session, "%Y%m%d-%H%M%S"))
    return date or 0


def _rows(oid: str, seed: str, extraction: Extraction) -> list[NewObservation]:
    """Build the rows to store; equal parts of one line (a long run of one letter) are one row."""
    rows = (_row(oid, seed, o) for o in extraction.observations if o.text.strip())
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
    """Replace what cannot be stored: UTF-8 has no lone surrogates, and NUL ends a text for many readers."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=KEY_BYTES).digest()
