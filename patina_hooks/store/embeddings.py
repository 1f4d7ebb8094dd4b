"""The cache of embeddings: (fingerprint, text) -> vector, float16, shared by branches and work trees.

It is content-addressed, so it needs no care when refs move; `patina gc` frees what nothing says any more.
Vectors are always read back from here, also by the process that made them: what an index holds is the same
whether a text was embedded today or a year ago.
"""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.errors import IndexDamaged, StateError
from patina_hooks.store.database.connection import connect, connect_to_read
from patina_hooks.store.database.soundness import schema_problem
from patina_hooks.system.files import make_private, remove_path

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

CACHE_FILE = "embeddings.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS space (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS embedding (
    space INTEGER NOT NULL, key BLOB NOT NULL, vector BLOB NOT NULL, cut INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS embedding_by_key ON embedding (space, key);
CREATE INDEX IF NOT EXISTS embedding_cut ON embedding (space, key) WHERE cut > 0;
CREATE TABLE IF NOT EXISTS refused (
    space INTEGER NOT NULL, key BLOB NOT NULL, reason TEXT NOT NULL, makers TEXT NOT NULL,
    PRIMARY KEY (space, key)) WITHOUT ROWID;
"""
_STATEMENTS = {
    re.sub(r" ON.*| \(.*", "", sql.strip(), flags=re.DOTALL).split()[-1]: sql
    for sql in _SCHEMA.split(";")
    if sql.strip()
}


class EmbeddingCache:
    """Embeddings under one fingerprint.

    A damaged file is removed, since everything in it can be made again: on opening, a new one is begun at
    once; later `IndexDamaged` says that it has to be opened again. Every use raises `StateError` where the
    file cannot be read or written.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        make_private(folder)
        self._path = folder / CACHE_FILE
        with _named(self._path):
            self.connection = _begin(self._path)
        with self._sound(), self.connection:
            self.connection.execute("INSERT OR IGNORE INTO space (fingerprint) VALUES (?)", (fingerprint,))
            ask = "SELECT id FROM space WHERE fingerprint = ?"
            row = self.connection.execute(ask, (fingerprint,)).fetchone()
        self._space = int(row[0])

    def close(self) -> None:
        self.connection.close()

    def missing(self, keys: Iterable[bytes], dimensions: int) -> list[bytes]:
        """Those of `keys` that are not embedded yet, or not with so many dimensions, in their order."""
        ask = (
            "SELECT 1 FROM embedding WHERE space = ? AND key = ?"
            " AND typeof(vector) = 'blob' AND length(vector) = ?"
        )
        with self._sound():
            return [
                key
                for key in keys
                if not self.connection.execute(ask, (self._space, key, 2 * dimensions)).fetchone()
            ]

    def put(self, keys: Sequence[bytes], vectors: Vectors, cut: Sequence[int]) -> None:
        """Keep vectors [n, d]; cut: tokens of each text that the model did not see. All, or none."""
        rows = [
            (self._space, key, vector.astype("<f2").tobytes(), left_out)
            for key, vector, left_out in zip(keys, vectors, cut, strict=True)
        ]
        with self._sound(), self.connection:
            self.connection.executemany("INSERT OR REPLACE INTO embedding VALUES (?, ?, ?, ?)", rows)

    def set_aside(self, key: bytes, reason: str, engine_versions: str) -> None:
        """Record why a model refuses a text, and what ran the model (`EngineVersions.key`)."""
        row = (self._space, key, reason, engine_versions)
        with self._sound(), self.connection:
            self.connection.execute("INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)", row)

    def take_back(self, engine_versions: str = "") -> list[bytes]:
        """Forget texts that other engine versions refused, or all without an argument; return their keys."""
        where = "space = ? AND makers != ?"
        with self._sound(), self.connection:
            ask = f"SELECT key FROM refused WHERE {where}"
            keys = [row[0] for row in self.connection.execute(ask, (self._space, engine_versions))]
            if keys:
                self.connection.execute(f"DELETE FROM refused WHERE {where}", (self._space, engine_versions))
                drop = "DELETE FROM embedding WHERE space = ? AND key = ?"
                self.connection.executemany(drop, [(self._space, key) for key in keys])
        return keys

    def get(self, keys: Sequence[bytes], dimensions: int) -> Vectors:
        """The vectors [n, d] float32 of keys that are all embedded. Raises KeyError for one that is not.

        Raises `IndexDamaged` where a vector is not finite: it is removed, to be made again.
        """
        import numpy as np

        vectors = np.empty((len(keys), dimensions), np.float32)
        ask = "SELECT vector FROM embedding WHERE space = ? AND key = ?"
        for row, key in enumerate(keys):
            with self._sound():
                found = self.connection.execute(ask, (self._space, key)).fetchone()
            if found is None or not _is_vector(found[0], dimensions):
                raise KeyError(key)
            vectors[row] = np.frombuffer(found[0], "<f2")
        if not np.isfinite(vectors).all():
            bad = [(self._space, keys[int(row)]) for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1))]
            with self._sound(), self.connection:
                self.connection.executemany("DELETE FROM embedding WHERE space = ? AND key = ?", bad)
            raise IndexDamaged(f"{self._path} held {len(bad)} damaged vectors", hint="patina sync")
        return vectors

    def keep_only(self, keys: Collection[bytes], others: Collection[str] | None = ()) -> int:
        """Drop every embedding of other texts, and of other fingerprints but `others`, which None keeps all;
        gives how many went."""
        spaces = [str(self._space)]
        with self._sound(), self.connection:
            self.connection.execute("CREATE TEMP TABLE kept (key BLOB PRIMARY KEY)")
            self.connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", [(key,) for key in keys])
            ask = "SELECT id FROM space WHERE fingerprint = ?"
            for one in others or ():
                spaces += [str(row[0]) for row in self.connection.execute(ask, (one,))]
            if others is None:
                spaces = [str(row[0]) for row in self.connection.execute("SELECT id FROM space")]
            kept = ", ".join(spaces)
            dropped = self.connection.execute(
                f"DELETE FROM embedding WHERE space NOT IN ({kept}) OR key NOT IN (SELECT key FROM kept)"
            ).rowcount
            self.connection.execute(
                f"DELETE FROM refused WHERE space NOT IN ({kept}) OR key NOT IN (SELECT key FROM kept)"
            )
            self.connection.execute(f"DELETE FROM space WHERE id NOT IN ({kept})")
            self.connection.execute("DROP TABLE kept")
        with self._sound():
            self.connection.execute("VACUUM")
        return dropped

    @contextmanager
    def _sound(self) -> Iterator[None]:
        try:
            with _named(self._path):
                yield
        except IndexDamaged as damage:
            self.close()
            _remove(self._path)
            raise IndexDamaged(str(damage), hint="patina sync") from damage


def cut_keys(folder: Path, fingerprint: str) -> list[bytes]:
    """The embedded texts that were longer than the model reads. Changes nothing.

    None are told where there is no cache, or a damaged one, which the next sync makes anew.
    """
    ask = "SELECT key FROM embedding WHERE cut > 0 AND space = (SELECT id FROM space WHERE fingerprint = ?)"
    path = folder / CACHE_FILE
    if not path.is_file():
        return []
    with suppress(sqlite3.DatabaseError), closing(connect_to_read(path)) as connection:
        return [row[0] for row in connection.execute(ask, (fingerprint,))]
    return []


def refused_keys(folder: Path, fingerprint: str) -> dict[bytes, str]:
    """The texts that the model refused, with its reason; {} also where the cache cannot be read."""
    ask = "SELECT key, reason FROM refused WHERE space = (SELECT id FROM space WHERE fingerprint = ?)"
    path = folder / CACHE_FILE
    if not path.is_file():
        return {}
    with suppress(sqlite3.DatabaseError), closing(connect_to_read(path)) as connection:
        return dict(connection.execute(ask, (fingerprint,)))
    return {}


def embedded_keys(folder: Path, fingerprint: str, most: int) -> list[bytes]:
    """Give up to `most` of the texts that are embedded; [] also where the cache cannot be read."""
    ask = "SELECT key FROM embedding WHERE space = (SELECT id FROM space WHERE fingerprint = ?) LIMIT ?"
    path = folder / CACHE_FILE
    if not path.is_file():
        return []
    with suppress(sqlite3.DatabaseError), closing(connect_to_read(path)) as connection:
        return [row[0] for row in connection.execute(ask, (fingerprint, most))]
    return []


def read_embeddings(
    folder: Path, fingerprint: str, keys: Sequence[bytes], dimensions: int
) -> tuple[list[bytes], Vectors]:
    """Those of `keys` that are embedded, and their vectors [n, d] float32. Changes nothing.

    Raises `StateError` where the file cannot be read, `IndexDamaged` where it is damaged.
    """
    import numpy as np

    ask = (
        "SELECT vector FROM embedding WHERE space = (SELECT id FROM space WHERE fingerprint = ?) AND key = ?"
    )
    path, found = folder / CACHE_FILE, {}
    if path.is_file():
        with _named(path), closing(connect_to_read(path)) as connection:
            for key in keys:
                row = connection.execute(ask, (fingerprint, key)).fetchone()
                if row and _is_vector(row[0], dimensions):
                    found[key] = row[0]
    vectors = np.frombuffer(b"".join(found.values()), "<f2").reshape(len(found), dimensions)
    return list(found), vectors.astype(np.float32)


def check_embeddings(folder: Path) -> int:
    """Read every page; gives how many embeddings there are, of all models. Changes nothing.

    Raises as `read_embeddings`.
    """
    path = folder / CACHE_FILE
    if path.is_dir():
        raise IndexDamaged(f"{path} is a folder", hint="patina sync")
    if not path.is_file():
        return 0
    with _named(path), closing(connect_to_read(path)) as connection:
        said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
        if said != ["ok"]:
            raise sqlite3.DatabaseError("; ".join(said))
        _refuse_schema(connection)
        if bad := len(_malformed(connection)):
            raise IndexDamaged(f"{path}: {bad:,} entries are damaged", hint="patina sync --full")
        return int(connection.execute("SELECT count(*) FROM embedding").fetchone()[0])


def drop_malformed(folder: Path) -> None:
    """Delete entries that no embedding can be; what lives of them is embedded again by the next sync.

    A file that cannot be read is left to `EmbeddingCache`.
    """
    path = folder / CACHE_FILE
    if path.is_file():
        with suppress(sqlite3.DatabaseError), closing(connect(path)) as connection:
            rows = [(row,) for row in _malformed(connection)]
            connection.executemany("DELETE FROM embedding WHERE rowid = ?", rows)


def _malformed(connection: sqlite3.Connection) -> list[int]:
    """Return the rows of another type, of another length than most of their model, or not finite."""
    import numpy as np

    lengths: dict[int, tuple[int, int]] = {}  # space -> (how many, their length)
    ask = "SELECT space, length(vector), count(*) FROM embedding WHERE typeof(vector) = 'blob' GROUP BY 1, 2"
    for space, length, many in connection.execute(ask):
        lengths[space] = max(lengths.get(space, (0, 0)), (many, length))
    ask = "SELECT rowid, space, typeof(key) = 'blob' AND typeof(cut) = 'integer', vector FROM embedding"
    return [
        row
        for row, space, typed, vector in connection.execute(ask)
        if not typed
        or not _is_vector(vector, lengths.get(space, (0, 0))[1] // 2)
        or not np.isfinite(np.frombuffer(vector, "<f2")).all()
    ]


def _is_vector(stored: object, dimensions: int) -> bool:
    return isinstance(stored, bytes) and len(stored) == 2 * dimensions


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What SQLite raises is said of this file: a caller has the log open, and would take it for the log's."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            hint = f"rm {shlex.quote(str(path))}*"  # a sync looks only at what it needs
            raise IndexDamaged(f"{path} is damaged: {error}", hint=hint) from error
        if isinstance(error, sqlite3.OperationalError):
            hint = "patina sync" if "no such table" in str(error) else "patina doctor"
            raise StateError(f"{path} cannot be used: {error}", hint=hint) from error
        raise


def _begin(path: Path) -> sqlite3.Connection:
    """Open the file, or a new one in the place of what is none."""
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if not (_is_damage(error) or path.is_dir()):
            raise
    _remove(path)
    return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    try:
        _refuse_schema(connection)
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    connection.isolation_level = "IMMEDIATE"  # `with connection:` is one transaction
    return connection


def _refuse_schema(connection: sqlite3.Connection) -> None:
    """Raise what SQLite raises of a damaged file where the schema is not ours."""
    if problem := schema_problem(connection, _STATEMENTS):
        raise sqlite3.DatabaseError(problem)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Its subclasses are a lock, a full disk, a file that may not be written, and mistakes of ours."""
    return type(error) is sqlite3.DatabaseError


def _remove(path: Path) -> None:
    """With its journal: a new database would take what stands there for its own."""
    for suffix in ("", "-wal", "-shm"):
        remove_path(path.with_name(path.name + suffix))
