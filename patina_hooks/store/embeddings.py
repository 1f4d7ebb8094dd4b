"""The cache of embeddings: (fingerprint, text) -> vector, float16, shared by branches and work trees.

It is content-addressed, so it does not change when refs move; `patina gc` removes vectors of texts that no
observation has. Vectors are always read back from here, also by the process that computed them: an index has
the same vector whether a text was embedded today or a year ago.
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

    A damaged file is removed, since all of it can be computed again: if it is damaged on opening, a new one
    is created at once; later `IndexDamaged` is raised, and it must be opened again. Every method raises
    `StateError` if the file cannot be read or written.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        make_private(folder)
        self._path = folder / CACHE_FILE
        with _named(self._path):
            self.connection = _begin(self._path)
        with self._sound(), self.connection:
            self.connection.execute("INSERT OR IGNORE INTO space (fingerprint) VALUES (?)", (fingerprint,))
            query = "SELECT id FROM space WHERE fingerprint = ?"
            row = self.connection.execute(query, (fingerprint,)).fetchone()
        self._space = int(row[0])

    def close(self) -> None:
        self.connection.close()

    def missing(self, keys: Iterable[bytes], dimensions: int) -> list[bytes]:
        """Return those of `keys` that are not embedded with so many dimensions, in their order."""
        query = (
            "SELECT 1 FROM embedding WHERE space = ? AND key = ?"
            " AND typeof(vector) = 'blob' AND length(vector) = ?"
        )
        with self._sound():
            return [
                key
                for key in keys
                if not self.connection.execute(query, (self._space, key, 2 * dimensions)).fetchone()
            ]

    def put(self, keys: Sequence[bytes], vectors: Vectors, cut: Sequence[int]) -> None:
        """Store vectors [n, d], all or none. cut: tokens of each text that the model did not read."""
        rows = [
            (self._space, key, vector.astype("<f2").tobytes(), left_out)
            for key, vector, left_out in zip(keys, vectors, cut, strict=True)
        ]
        with self._sound(), self.connection:
            self.connection.executemany("INSERT OR REPLACE INTO embedding VALUES (?, ?, ?, ?)", rows)

    def record_refused(self, key: bytes, reason: str, engine_versions: str) -> None:
        """Record the reason why a model refuses a text, and what ran the model (`EngineVersions.key`)."""
        row = (self._space, key, reason, engine_versions)
        with self._sound(), self.connection:
            self.connection.execute("INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)", row)

    def forget_refused(self, engine_versions: str = "") -> list[bytes]:
        """Forget texts that other engine versions refused, or all without an argument; return their keys."""
        condition = "space = ? AND makers != ?"
        with self._sound(), self.connection:
            query = f"SELECT key FROM refused WHERE {condition}"
            keys = [row[0] for row in self.connection.execute(query, (self._space, engine_versions))]
            if keys:
                delete = f"DELETE FROM refused WHERE {condition}"
                self.connection.execute(delete, (self._space, engine_versions))
                drop = "DELETE FROM embedding WHERE space = ? AND key = ?"
                self.connection.executemany(drop, [(self._space, key) for key in keys])
        return keys

    def get(self, keys: Sequence[bytes], dimensions: int) -> Vectors:
        """Return the vectors [n, d] float32 of keys that are all embedded.

        Raises:
            KeyError: a key is not embedded.
            IndexDamaged: a vector is not finite; it was removed, to be computed again.
        """
        import numpy as np

        vectors = np.empty((len(keys), dimensions), np.float32)
        query = "SELECT vector FROM embedding WHERE space = ? AND key = ?"
        for number, key in enumerate(keys):
            with self._sound():
                row = self.connection.execute(query, (self._space, key)).fetchone()
            if row is None or not _is_vector(row[0], dimensions):
                raise KeyError(key)
            vectors[number] = np.frombuffer(row[0], "<f2")
        if not np.isfinite(vectors).all():
            bad = [(self._space, keys[int(row)]) for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1))]
            with self._sound(), self.connection:
                self.connection.executemany("DELETE FROM embedding WHERE space = ? AND key = ?", bad)
            raise IndexDamaged(f"{self._path} held {len(bad)} damaged vectors", hint="patina sync")
        return vectors

    def keep_only(self, keys: Collection[bytes], fingerprints: Collection[str] | None = ()) -> int:
        """Delete all other embeddings; return their number.

        Args:
            keys: texts to keep.
            fingerprints: further fingerprints to keep, None for all.
        """
        spaces = [str(self._space)]
        with self._sound(), self.connection:
            self.connection.execute("CREATE TEMP TABLE kept (key BLOB PRIMARY KEY)")
            self.connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", [(key,) for key in keys])
            query = "SELECT id FROM space WHERE fingerprint = ?"
            for fingerprint in fingerprints or ():
                spaces += [str(row[0]) for row in self.connection.execute(query, (fingerprint,))]
            if fingerprints is None:
                spaces = [str(row[0]) for row in self.connection.execute("SELECT id FROM space")]
            listed = ", ".join(spaces)
            deleted = self.connection.execute(
                f"DELETE FROM embedding WHERE space NOT IN ({listed}) OR key NOT IN (SELECT key FROM kept)"
            ).rowcount
            self.connection.execute(
                f"DELETE FROM refused WHERE space NOT IN ({listed}) OR key NOT IN (SELECT key FROM kept)"
            )
            self.connection.execute(f"DELETE FROM space WHERE id NOT IN ({listed})")
            self.connection.execute("DROP TABLE kept")
        with self._sound():
            self.connection.execute("VACUUM")
        return deleted

    @contextmanager
    def _sound(self) -> Iterator[None]:
        try:
            with _named(self._path):
                yield
        except IndexDamaged as damage:
            self.close()
            _remove(self._path)
            raise IndexDamaged(str(damage), hint="patina sync") from damage


def read_cut_keys(folder: Path, fingerprint: str) -> list[bytes]:
    """Return the embedded texts that were longer than the model reads; [] if the cache cannot be read."""
    query = "SELECT key FROM embedding WHERE cut > 0 AND space = (SELECT id FROM space WHERE fingerprint = ?)"
    path = folder / CACHE_FILE
    if not path.is_file():
        return []
    with suppress(sqlite3.DatabaseError), closing(connect_to_read(path)) as connection:
        return [row[0] for row in connection.execute(query, (fingerprint,))]
    return []


def read_refused_keys(folder: Path, fingerprint: str) -> dict[bytes, str]:
    """Return the texts that the model refused, with the reasons; {} if the cache cannot be read."""
    query = "SELECT key, reason FROM refused WHERE space = (SELECT id FROM space WHERE fingerprint = ?)"
    path = folder / CACHE_FILE
    if not path.is_file():
        return {}
    with suppress(sqlite3.DatabaseError), closing(connect_to_read(path)) as connection:
        return dict(connection.execute(query, (fingerprint,)))
    return {}


def read_embedded_keys(folder: Path, fingerprint: str, most: int) -> list[bytes]:
    """Return up to `most` of the embedded texts; [] if the cache cannot be read."""
    query = "SELECT key FROM embedding WHERE space = (SELECT id FROM space WHERE fingerprint = ?) LIMIT ?"
    path = folder / CACHE_FILE
    if not path.is_file():
        return []
    with suppress(sqlite3.DatabaseError), closing(connect_to_read(path)) as connection:
        return [row[0] for row in connection.execute(query, (fingerprint, most))]
    return []


def read_embeddings(
    folder: Path, fingerprint: str, keys: Sequence[bytes], dimensions: int
) -> tuple[list[bytes], Vectors]:
    """Return those of `keys` that are embedded, and their vectors [n, d] float32; change nothing.

    Raises:
        StateError: the file cannot be read.
        IndexDamaged: it is damaged.
    """
    import numpy as np

    query = (
        "SELECT vector FROM embedding WHERE space = (SELECT id FROM space WHERE fingerprint = ?) AND key = ?"
    )
    path, rows = folder / CACHE_FILE, {}
    if path.is_file():
        with _named(path), closing(connect_to_read(path)) as connection:
            for key in keys:
                row = connection.execute(query, (fingerprint, key)).fetchone()
                if row and _is_vector(row[0], dimensions):
                    rows[key] = row[0]
    vectors = np.frombuffer(b"".join(rows.values()), "<f2").reshape(len(rows), dimensions)
    return list(rows), vectors.astype(np.float32)


def check_embeddings(folder: Path) -> int:
    """Read every page and return the number of embeddings of all models; change nothing.

    Raises:
        StateError: the file cannot be read.
        IndexDamaged: it is damaged.
    """
    path = folder / CACHE_FILE
    if path.is_dir():
        raise IndexDamaged(f"{path} is a folder", hint="patina sync")
    if not path.is_file():
        return 0
    with _named(path), closing(connect_to_read(path)) as connection:
        problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
        if problems != ["ok"]:
            raise sqlite3.DatabaseError("; ".join(problems))
        _refuse_schema(connection)
        if bad := len(_malformed(connection)):
            raise IndexDamaged(f"{path}: {bad:,} entries are damaged", hint="patina sync --full")
        return int(connection.execute("SELECT count(*) FROM embedding").fetchone()[0])


def drop_malformed(folder: Path) -> None:
    """Delete entries that are not embeddings; the next sync embeds their live texts again.

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

    lengths: dict[int, tuple[int, int]] = {}  # space -> (number of vectors, their length)
    query = (
        "SELECT space, length(vector), count(*) FROM embedding WHERE typeof(vector) = 'blob' GROUP BY 1, 2"
    )
    for space, length, count in connection.execute(query):
        lengths[space] = max(lengths.get(space, (0, 0)), (count, length))
    query = "SELECT rowid, space, typeof(key) = 'blob' AND typeof(cut) = 'integer', vector FROM embedding"
    return [
        row
        for row, space, typed, vector in connection.execute(query)
        if not typed
        or not _is_vector(vector, lengths.get(space, (0, 0))[1] // 2)
        or not np.isfinite(np.frombuffer(vector, "<f2")).all()
    ]


def _is_vector(stored: object, dimensions: int) -> bool:
    return isinstance(stored, bytes) and len(stored) == 2 * dimensions


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Raise errors of SQLite with the name of this file: a caller has the log open, too."""
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
    """Open the file; replace it by a new one if it is not a database."""
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
    """Raise SQLite's error of a damaged file if the schema is not patina's."""
    if problem := schema_problem(connection, _STATEMENTS):
        raise sqlite3.DatabaseError(problem)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether a file is damaged; subclasses are a lock, a full disk, missing permissions and bugs."""
    return type(error) is sqlite3.DatabaseError


def _remove(path: Path) -> None:
    """Remove the file with its journal, which a new database would apply."""
    for suffix in ("", "-wal", "-shm"):
        remove_path(path.with_name(path.name + suffix))
