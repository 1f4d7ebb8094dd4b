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

from patina_hooks.extract.extraction import TITLE_CAP, checked, unread
from patina_hooks.plugins.calls import PluginFunction, failure_of
from patina_hooks.plugins.fault_counts import FaultCounts
from patina_hooks.plugins.kinds import EXTRACTORS, is_provided
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import ExtractorSpec, Fault
from patina_hooks.specs.values import Document, Extraction, Observation, Recorded
from patina_hooks.store.log import Log
from patina_hooks.text.redaction import Redaction
from patina_hooks.text.words import text_to_index

KEY_BYTES = 16

_FAILED = "the extractor % failed"  # as LIKE reads it
_KEPT = "kept extractors"


@dataclass(slots=True)
class Extractors:
    """The extractors in force, and what is redacted. `signature` changes when any output may.

    keeps_absent: whether what extractors made that are not installed here stays. kept: the tags of those.
    failures: how often one failed.
    """

    plugins: Plugins
    redaction: Redaction = field(default_factory=Redaction)
    keeps_absent: bool = True
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
        return {f"{e.name}@{e.version}{rules}": e for e in self.plugins.extractors() if e.reads == kind}

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
        """The kinds of documents, by the sources in force."""
        return tuple(source.name for source in self.plugins.sources())

    @property
    def message_kind(self) -> str:
        """The kind of commit messages."""
        return next(source.name for source in self.plugins.sources() if source.objects == "messages")

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
                found = checked(extract.function(document))
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
        observations = tuple(
            replace(one, text=redact(one.text), section=redact(one.section)) for one in found.observations
        )
        fields = {name: redact(value) for name, value in found.fields.items()}
        return Extraction(observations, redact(found.title), fields, found.omissions)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document lies: the key of a `document` row.

    path: "" for the message of a commit. work_tree: "" for what a ref holds.
    """

    kind: str
    oid: str
    path: str = ""
    work_tree: str = ""
    session: str | None = None


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


def stored_tags(connection: sqlite3.Connection) -> set[str]:
    """Return the tags of all that is stored; reads the index of `source` from end to end."""
    return {row[0] for row in connection.execute("SELECT DISTINCT extractor FROM source")}


def kept_tags(log: Log) -> tuple[str, ...]:
    """Return the tags that the last sync kept. Raises `LogDamaged` for what is no list of them."""
    return log.parsed(_KEPT, "[]", _read_tags)


def remember_kept_tags(log: Log, tags: Iterable[str]) -> None:
    """Store the tags that a sync keeps; inside a transaction."""
    log.remember(_KEPT, json.dumps(list(tags)))


def _read_tags(stored: list[str]) -> tuple[str, ...]:
    if not isinstance(stored, list) or not all(isinstance(tag, str) for tag in stored):
        raise TypeError(stored)
    return tuple(stored)


def text_key(text: str) -> bytes:
    """What an embedding is cached under: 16 bytes of BLAKE2b of the text."""
    return _digest(text)


def store_source(
    connection: sqlite3.Connection, extractors: Extractors, document: Document, skipped: str = ""
) -> str:
    """Extract one object with each extractor that reads its kind and has not yet.

    skipped: why it cannot be read at all. Gives which of its lines were left out by one that reads it now.
    """
    left_out: list[str] = []
    for tag, spec in extractors.tags(document.kind).items():
        known = "SELECT 1 FROM source WHERE oid = ? AND extractor = ?"
        if connection.execute(known, (document.oid, tag)).fetchone():
            continue
        found, reason = (Extraction(()), skipped) if skipped else extractors.extract(spec, document)
        title, fields = _storable(found.title[:TITLE_CAP]), json.dumps(dict(found.fields))
        missed = unread(found)
        source = connection.execute(
            "INSERT INTO source (oid, extractor, title, fields, skipped, unread) VALUES (?, ?, ?, ?, ?, ?)",
            (document.oid, tag, title, fields, reason, missed),
        ).lastrowid
        connection.executemany(
            "INSERT INTO observation (source_id, key, kind, text, line, section, weight, text_key)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(source, *row) for row in _rows(document.oid, spec.name, found)],
        )
        left_out += [missed] if missed else []
    return "; ".join(dict.fromkeys(left_out))


def forget_sources(connection: sqlite3.Connection, tags: Collection[str]) -> None:
    """Drop what is stored under these tags, unredacted texts among it."""
    marks = ", ".join("?" * len(tags))
    connection.execute(f"DELETE FROM source WHERE extractor IN ({marks})", tuple(tags))


def forget_skipped(connection: sqlite3.Connection, oids: Iterable[str]) -> None:
    """Have these objects, which could not be read, read anew."""
    connection.executemany("DELETE FROM source WHERE oid = ? AND skipped != ''", [(oid,) for oid in oids])


def forget_failed(connection: sqlite3.Connection, extractors: Extractors, oids: Iterable[str]) -> None:
    """Have these objects read again by the extractors in force that failed on them."""
    tags = extractors.all_tags
    marks = ", ".join("?" * len(tags))
    connection.executemany(
        f"DELETE FROM source WHERE oid = ? AND skipped != '' AND skipped LIKE ? AND extractor IN ({marks})",
        [(oid, _FAILED, *tags) for oid in oids],
    )


def failed_places(connection: sqlite3.Connection, extractors: Extractors) -> list[Place]:
    """A place on refs of each object that an extractor in force failed on; what was tried last comes last."""
    tags = extractors.all_tags
    marks = ", ".join("?" * len(tags))
    rows = connection.execute(
        # CROSS JOIN: the few sources first, by their own index.
        "SELECT d.kind, d.oid, d.path, d.work_tree, d.session FROM source s CROSS JOIN document d"
        " ON d.oid = s.oid WHERE s.skipped != '' AND s.skipped LIKE ? AND d.work_tree = ''"
        f" AND s.extractor IN ({marks}) GROUP BY d.oid ORDER BY max(s.id)",
        (_FAILED, *tags),
    )
    return [Place(*row) for row in rows]


def outdated_places(connection: sqlite3.Connection, extractors: Extractors) -> list[Place]:
    """Documents that an extractor in force has not read, or that one has whose results do not stay."""
    places: list[Place] = []
    for kind in extractors.kinds:
        tags, live = extractors.tags(kind), extractors.live_tags(kind)
        marks, live_marks = (", ".join("?" * len(each)) for each in (tags, live))
        rows = connection.execute(
            "SELECT d.kind, d.oid, d.path, d.work_tree, d.session FROM document d"
            " LEFT JOIN source s ON s.oid = d.oid WHERE d.kind = ? GROUP BY d.id"
            f" HAVING total(s.extractor IN ({marks})) != ?"
            f" OR total(s.extractor IN ({live_marks})) != count(s.id) ORDER BY d.id",
            (kind, *tags, len(tags), *live),
        )
        places += [Place(*row) for row in rows]
    return places


def missing_sources(
    connection: sqlite3.Connection, extractors: Extractors, kind: str, oids: Iterable[str]
) -> list[str]:
    """Which of these objects some extractor in force has not read."""
    wanted = len(tags := extractors.tags(kind))
    marks = ", ".join("?" * wanted)
    ask = f"SELECT count(*) FROM source WHERE oid = ? AND extractor IN ({marks})"
    return [oid for oid in oids if connection.execute(ask, (oid, *tags)).fetchone()[0] < wanted]


def add_document(
    connection: sqlite3.Connection, extractors: Extractors, place: Place, changed: Changed
) -> None:
    """Put a document into the corpus; its observations become live if it is the first with that object."""
    first = not _held(connection, place.oid)
    title = _title(connection, extractors, place)
    document = connection.execute(
        "INSERT INTO document (kind, oid, path, work_tree, session, title) VALUES (?, ?, ?, ?, ?, ?)",
        (place.kind, place.oid, place.path, place.work_tree, place.session, title),
    ).lastrowid
    if first:
        _wake(connection, extractors, place, changed)
    if place.path:
        _add_words(connection, document, place.oid, title)


def renew_documents(
    connection: sqlite3.Connection, extractors: Extractors, oid: str, changed: Changed
) -> None:
    """Have the documents of an object say what the extractors in force, and those that are kept, found in it:
    what others found rests, and what is new becomes live."""
    ask = "SELECT id, title, kind, oid, path, work_tree, session FROM document WHERE oid = ? ORDER BY id"
    found = [(row[0], row[1], Place(*row[2:])) for row in connection.execute(ask, (oid,))]
    for document, title, place in found:
        if place.path:
            _drop_words(connection, document, oid, title)
    for _, _, place in found[:1]:
        _rest(connection, place, changed, keep=extractors.live_tags(place.kind))
        _wake(connection, extractors, place, changed)
    for document, _, place in found:
        title = _title(connection, extractors, place)
        connection.execute("UPDATE document SET title = ? WHERE id = ?", (title, document))
        if place.path:
            _add_words(connection, document, oid, title)


def remove_document(connection: sqlite3.Connection, place: Place, changed: Changed) -> None:
    """Take a document out; its observations rest in the cache when no other document holds its object."""
    row = connection.execute(
        "SELECT id, session, title FROM document WHERE oid = ? AND path = ? AND work_tree = ?",
        (place.oid, place.path, place.work_tree),
    ).fetchone()
    if row is None:
        return
    if place.path:
        _drop_words(connection, row[0], place.oid, row[2])
    connection.execute("DELETE FROM document WHERE id = ?", (row[0],))
    if not _held(connection, place.oid):
        _rest(connection, Place(place.kind, place.oid, place.path, place.work_tree, row[1]), changed)


def _held(connection: sqlite3.Connection, oid: str) -> bool:
    return connection.execute("SELECT 1 FROM document WHERE oid = ?", (oid,)).fetchone() is not None


def _wake(connection: sqlite3.Connection, extractors: Extractors, place: Place, changed: Changed) -> None:
    tags = extractors.live_tags(place.kind)
    marks = ", ".join("?" * len(tags))
    rows = connection.execute(
        "SELECT o.id, o.key, o.kind, o.text, o.line, o.section, o.weight, o.text_key"
        " FROM source s JOIN observation o ON o.source_id = s.id"
        f" WHERE s.oid = ? AND s.extractor IN ({marks}) AND NOT o.live ORDER BY o.id",
        (place.oid, *tags),
    ).fetchall()
    dated = _dated(connection, place)
    connection.executemany("UPDATE observation SET live = 1 WHERE id = ?", [(row[0],) for row in rows])
    connection.executemany(
        "INSERT INTO observation_words (rowid, words) VALUES (?, ?)",
        [(row[0], text_to_index(row[3])) for row in rows],
    )
    connection.executemany(
        "INSERT INTO text (key, live, dated) VALUES (?, 1, ?)"
        " ON CONFLICT (key) DO UPDATE SET live = live + 1, dated = max(dated, excluded.dated)",
        [(row[7], dated) for row in rows],
    )
    changed.came += len(rows)
    if changed.on_added:
        for row in rows:
            changed.on_added(_recorded(row, place))


def _rest(connection: sqlite3.Connection, place: Place, changed: Changed, keep: Collection[str] = ()) -> None:
    """What is live of an object rests, but for what the extractors in `keep` found."""
    marks = ", ".join("?" * len(keep))
    rows = connection.execute(
        "SELECT o.id, o.key, o.kind, o.text, o.line, o.section, o.weight, o.text_key"
        " FROM source s JOIN observation o ON o.source_id = s.id"
        f" WHERE s.oid = ? AND o.live AND s.extractor NOT IN ({marks}) ORDER BY o.id",
        (place.oid, *keep),
    ).fetchall()
    connection.executemany("UPDATE observation SET live = 0 WHERE id = ?", [(row[0],) for row in rows])
    connection.executemany(
        "INSERT INTO observation_words (observation_words, rowid, words) VALUES ('delete', ?, ?)",
        [(row[0], text_to_index(row[3])) for row in rows],
    )
    connection.executemany("UPDATE text SET live = live - 1 WHERE key = ?", [(row[7],) for row in rows])
    changed.went += len(rows)
    if changed.on_removed:
        for row in rows:
            changed.on_removed(_recorded(row, place))


def _title(connection: sqlite3.Connection, extractors: Extractors, place: Place) -> str:
    tags = extractors.live_tags(place.kind)
    marks = ", ".join("?" * len(tags))
    row = connection.execute(
        f"SELECT title FROM source WHERE oid = ? AND extractor IN ({marks}) AND title != ''"
        " ORDER BY extractor LIMIT 1",
        (place.oid, *tags),
    ).fetchone()
    return str(row[0]) if row else ""


def _dated(connection: sqlite3.Connection, place: Place) -> int:
    """About when a document was written, seconds since 1970: only the order in which texts are embedded."""
    if not place.path:
        row = connection.execute("SELECT committed FROM commits WHERE oid = ?", (place.oid,)).fetchone()
        return int(row[0]) if row else 0
    return timegm(time.strptime(place.session, "%Y%m%d-%H%M%S")) if place.session else 0


def _add_words(connection: sqlite3.Connection, document: int | None, oid: str, title: str) -> None:
    words = _words_of(connection, oid, title)
    connection.execute("INSERT INTO session_words (rowid, title, body) VALUES (?, ?, ?)", (document, *words))


def _drop_words(connection: sqlite3.Connection, document: int, oid: str, title: str) -> None:
    # A contentless index forgets by being told the same words again.
    connection.execute(
        "INSERT INTO session_words (session_words, rowid, title, body) VALUES ('delete', ?, ?, ?)",
        (document, *_words_of(connection, oid, title)),
    )


def _words_of(connection: sqlite3.Connection, oid: str, title: str) -> tuple[str, str]:
    """A whole document's words: its title, and what its live observations say."""
    texts = connection.execute(
        "SELECT o.text FROM source s JOIN observation o ON o.source_id = s.id"
        " WHERE s.oid = ? AND o.live ORDER BY o.id",
        (oid,),
    )
    return text_to_index(title), text_to_index("\n".join(row[0] for row in texts))


def _rows(oid: str, extractor: str, found: Extraction) -> Iterable[tuple[object, ...]]:
    """One row for each; pieces of one line that say the same (a long run of one letter) are one."""
    return dict.fromkeys(_row(oid, extractor, o) for o in found.observations if o.text.strip())


def _row(oid: str, extractor: str, o: Observation) -> tuple[object, ...]:
    text, section = _storable(o.text), _storable(o.section[:TITLE_CAP])
    key = _digest(oid, extractor, o.kind, str(o.line), text)
    return (key, o.kind, text, o.line, section, o.weight, text_key(text))


def _recorded(row: tuple[int, bytes, str, str, int, str, float, bytes], place: Place) -> Recorded:
    _, key, kind, text, line, section, weight, _ = row
    return Recorded(
        id=key.hex(),
        observation=Observation(kind, text, line, section, weight),
        document=place.path or place.oid,
        session=place.session,
        commit=None if place.path else place.oid,
    )


def _storable(text: str) -> str:
    """SQLite and UTF-8 take no lone surrogates, and NUL ends a text for many readers."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=KEY_BYTES).digest()
