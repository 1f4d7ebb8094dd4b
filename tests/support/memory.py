"""A repository with its memory, and what of the memory must equal a rebuild."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

from patina_hooks.api import Patina
from patina_hooks.config.recipe import Reading
from patina_hooks.git.repository import Repository
from patina_hooks.models.encoding import Encoder, open_encoder
from patina_hooks.models.probes import PROBE_TEXTS
from patina_hooks.pairs.stored import TrainingPair, training_pairs
from patina_hooks.plugins.manager import Plugins
from patina_hooks.projection.active import PROJECTIONS_FOLDER
from patina_hooks.search.index.spaces import VectorSpace, active_space
from patina_hooks.store.collections import collection_folder, stored_collections
from patina_hooks.store.embeddings import EmbeddingCache
from patina_hooks.store.facts import CollectionFacts, events_hash
from patina_hooks.store.log import Log
from patina_hooks.upkeep.sync import SyncReport, synchronise

FAST_RECIPE = "version: 2\nembedding_model: acme-64\n"
QUESTIONS = ("why sqlite", "parse the tree", "session goals", "fix crash in worker")


@cache
def plugins() -> Plugins:
    return Plugins.load(disabled=())


@cache
def opened(model: str, runtime: str, reading: Reading) -> Encoder:
    return open_encoder(plugins(), model, runtime, reading=reading)


def open_model(space: VectorSpace) -> Encoder:
    return opened(space.model, space.runtime, space.reading)


def are_probes(texts: Sequence[str]) -> bool:
    """Whether a model is asked for probe texts, not for those of a repository."""
    return texts[0] in PROBE_TEXTS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a rebuild must reproduce. vectors: text key -> the index's and the cache's bytes."""

    events_hash: str
    parents: Mapping[str, frozenset[str]]
    documents: frozenset[tuple[object, ...]]
    observations: frozenset[tuple[object, ...]]
    sessions: frozenset[tuple[object, ...]]
    pairs: frozenset[tuple[object, ...]]
    training: tuple[TrainingPair, ...]
    vectors: Mapping[bytes, bytes]
    answers: Mapping[str, tuple[tuple[object, ...], ...]]
    collections: Mapping[str, CollectionSnapshot]


@dataclass(frozen=True, slots=True)
class CollectionSnapshot:
    """What a rebuild must reproduce of a collection other than history."""

    facts: CollectionFacts
    documents: frozenset[tuple[object, ...]]
    left_out: frozenset[tuple[object, ...]]
    observations: frozenset[tuple[object, ...]]
    vectors: Mapping[bytes, bytes]


@dataclass(slots=True)
class Memory:
    """A real repository whose memory is kept by syncs of this process, with a small fast model.

    providers: the plugins of a sync that names no others, by default those that are installed.
    """

    root: Path
    clock: int = field(default=1_700_000_000)
    providers: Plugins | None = None

    @classmethod
    def make(cls, root: Path, *arguments: str) -> Memory:
        root.mkdir(parents=True)
        memory = cls(root)
        memory.git("init", "-q", "-b", "main", *arguments)
        for key, value in (("user.name", "Ada"), ("user.email", "ada@example.invalid"), ("gc.auto", "0")):
            memory.git("config", key, value)
        memory.write(".patina/oxidize.yaml", FAST_RECIPE)
        return memory

    @property
    def repository(self) -> Repository:
        return Repository.open(self.root)

    @property
    def state(self) -> Path:
        return self.repository.state

    def git(
        self, *arguments: str, check: bool = True, at: Path | None = None, text: str | None = None
    ) -> str:
        """Run git with a clock that only goes forward by itself; gives what it printed."""
        self.clock += 60
        stamp = f"{self.clock} +0000"
        environment = {
            **os.environ,
            "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_DATE": stamp,
            "GIT_EDITOR": "true",
        }
        done = subprocess.run(
            ["git", *arguments], cwd=at or self.root, env=environment, capture_output=True, text=True,
            encoding="utf-8", errors="replace", input=text, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"git {' '.join(arguments)}: {done.stderr}")
        return done.stdout.strip()

    def write(self, path: str, text: str | bytes, *, at: Path | None = None) -> None:
        place = (at or self.root) / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode() if isinstance(text, str) else text)

    def commit(self, message: str, files: Mapping[str, str | bytes] | None = None) -> str:
        for path, text in (files or {}).items():
            self.write(path, text)
            self.git("add", "-f", "--", path)
        self.git("commit", "-q", "--allow-empty", "--allow-empty-message", "-m", message)
        return self.git("rev-parse", "HEAD")

    def sync(
        self,
        *,
        full: bool = False,
        quick: bool = False,
        keep_absent: bool = True,
        most: int | None = None,
        providers: Plugins | None = None,
    ) -> SyncReport:
        return synchronise(
            self.repository, full=full, quick=quick, keep_absent=keep_absent, most=most,
            plugins=providers or self.providers or plugins(), open_model=open_model,
        )  # fmt: skip

    def patina(self) -> Patina:
        """The Python API on what the last sync left."""
        return memory_of(self.repository, self.providers)

    def archive(self, session: str, **parts: str | tuple[str, ...]) -> str:
        """Commit the document of a session; gives the commit."""
        path = f"layer/sessions/{session}.md"
        return self.commit(f"session: archive {session}", {path: session_document(session, **parts)})

    @contextmanager
    def session(self, session: str, adapter: str = "") -> Iterator[None]:
        """Tag HEAD before and after the block as start and end of a session."""
        name = f"session-{session}-{adapter}".rstrip("-")
        self.git("tag", "-a", "-m", "Session start: x", f"{name}-start")
        yield
        self.git("tag", "-a", "-m", "Session end: x", f"{name}-end")

    @contextmanager
    def log(self) -> Iterator[sqlite3.Connection]:
        """The log, to look into."""
        with closing(Log(self.state, create=False)) as log:
            yield log.connection

    def snapshot(self) -> Snapshot:
        return snapshot(self.repository)

    def rebuilt(self) -> Snapshot:
        """The snapshot of a memory built from nothing on the same refs and work trees, with the same
        projection in use."""
        kept = self.state.with_name("patina-kept")
        self.state.rename(kept)
        try:
            if (kept / PROJECTIONS_FOLDER).is_dir():
                shutil.copytree(kept / PROJECTIONS_FOLDER, self.state / PROJECTIONS_FOLDER)
            self.sync()
            return self.snapshot()
        finally:
            shutil.rmtree(self.state)
            kept.rename(self.state)


def session_document(
    session: str,
    *,
    title: str | tuple[str, ...] = "a stretch of work",
    goals: str | tuple[str, ...] = (),
    decisions: str | tuple[str, ...] = (),
    patterns: str | tuple[str, ...] = (),
) -> str:
    """A session document with items under its headings."""
    goal_lines = "".join(f"- [ ] {item}\n" for item in _items(goals))
    blocks = "".join(
        f"**{label}:**\n" + "".join(f"- {item}\n" for item in _items(items)) + "\n"
        for label, items in (("Key Decisions", decisions), ("Patterns Observed", patterns))
        if items
    )
    return (
        f"# Session: {title}\n**ID**: {session}\n**Started**: 2025-11-03T16:00:00Z\n**LLM**: claude\n\n"
        f"## Goals\n{goal_lines}\n## Activity Log\n### 09:10 - Update\n\n{blocks}"
    )


def _items(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def snapshot(repository: Repository) -> Snapshot:
    log = Log(repository.state, create=False)
    try:
        connection = log.connection
        pending = connection.execute("SELECT count(*) FROM text WHERE live > 0 AND indexed = 0").fetchone()
        assert pending == (0,)
        return Snapshot(
            events_hash=events_hash(connection),
            parents=_parents(log),
            documents=_rows(log, "SELECT kind, oid, path, work_tree, session, title FROM document"),
            observations=_rows(log, _OBSERVATIONS),
            sessions=_rows(
                log,
                "SELECT s.*, (SELECT group_concat(oid) FROM (SELECT c.oid FROM session_commit sc"
                " JOIN commits c ON c.id = sc.commit_id WHERE sc.session = s.id ORDER BY 1)) FROM session s",
            ),
            pairs=_rows(log, _PAIRS),
            training=_training(log),
            vectors=_vectors(repository, log),
            answers=_answers(repository),
            collections={
                name: _snapshot_of_collection(repository, name)
                for name in stored_collections(repository.state)
            },
        )
    finally:
        log.close()


def _snapshot_of_collection(repository: Repository, name: str) -> CollectionSnapshot:
    with closing(Log(collection_folder(repository.state, name), create=False)) as log:
        return CollectionSnapshot(
            facts=CollectionFacts.read(log.connection),
            documents=_rows(log, "SELECT kind, oid, path, work_tree, read_as, title FROM document"),
            left_out=_rows(log, "SELECT * FROM left_out"),
            observations=_rows(log, _OBSERVATIONS),
            vectors=_vectors(repository, log),
        )


_OBSERVATIONS = """
SELECT s.oid, s.read_as, s.extractor, o.key, o.kind, o.text, o.line, o.section, o.weight, o.text_key, o.name,
 o.last_line, (SELECT group_concat(f.name || '=' || f.value, ' ') FROM field f WHERE f.observation_id = o.id)
FROM observation o JOIN source s ON s.id = o.source_id WHERE o.live
"""

_PAIRS = """
SELECT g.name, u.reads || ' ' || u.name, coalesce(nullif(p.kind, ''), g.name), coalesce(a.key, v.path),
 coalesce(b.key, w.path), coalesce(c.key, x.path), p.weight, p.evidence
FROM pair p JOIN unit u ON u.id = p.unit_id JOIN generator g ON g.id = p.generator_id
LEFT JOIN observation a ON a.id = p.anchor AND a.live LEFT JOIN path v ON v.id = -p.anchor
LEFT JOIN observation b ON b.id = p.positive AND b.live LEFT JOIN path w ON w.id = -p.positive
LEFT JOIN observation c ON c.id = p.negative AND c.live LEFT JOIN path x ON x.id = -p.negative
"""


def _parents(log: Log) -> dict[str, frozenset[str]]:
    """The parents of each commit: as they are stored, which its place and its edges must agree with."""
    rows = log.connection.execute("SELECT oid, hex(parents), chain, position FROM commits").fetchall()
    stored = {oid: frozenset(re.findall(f".{{{len(oid)}}}", parents.lower())) for oid, parents, *_ in rows}
    places = {(chain, position): oid for oid, _, chain, position in rows}
    assert len(places) == len(rows), "two commits have the same place, or none"
    decoded: dict[str, set[str]] = {oid: set() for oid in stored}
    for (chain, position), oid in places.items():
        decoded[oid] |= {places[chain, position - 1]} if position else set()
    for chain, position, *parent in log.connection.execute(
        "SELECT chain, position, parent_chain, parent_position FROM chain_edge"
    ):
        decoded[places[chain, position]].add(places[parent[0], parent[1]])
    assert decoded == stored
    return stored


def _training(log: Log) -> tuple[TrainingPair, ...]:
    """As training reads the pairs, in its order: all that there are, each side of them live."""
    kinds = {str(row[2]) for row in log.connection.execute(_PAIRS)}
    pairs = tuple(training_pairs(log.connection, kinds))
    assert log.connection.execute("SELECT count(*) FROM pair").fetchone() == (len(pairs),)
    assert not any(None in row[3:5] for row in log.connection.execute(_PAIRS)), "a side of a pair is gone"
    return pairs


def _rows(log: Log, query: str) -> frozenset[tuple[object, ...]]:
    rows = log.connection.execute(query).fetchall()
    assert len(rows) == len(set(rows)), "a row is there twice"
    return frozenset(rows)


def _vectors(repository: Repository, log: Log) -> dict[bytes, bytes]:
    space = active_space(log)
    if space is None:
        return {}
    index = space.open(plugins(), log.path.parent)
    index.verify()
    live = {row[0] for row in log.connection.execute("SELECT key FROM text WHERE live > 0")}
    assert index.keys() == live
    cache = EmbeddingCache(repository.state, space.fingerprint)
    try:
        vectors = cache.get(sorted(live), space.dimensions)
    finally:
        cache.close()
    project = space.open_projection(plugins(), repository.state)
    vectors = project(vectors) if project else vectors
    for key, vector in zip(sorted(live), vectors, strict=True):
        best = index.search(vector, 1, frozenset({key}))
        assert best[0][0] == key
        assert abs(best[0][1] - float(vector @ vector)) < 1e-3
    return {key: vector.tobytes() for key, vector in zip(sorted(live), vectors, strict=True)}


def _answers(repository: Repository) -> dict[str, tuple[tuple[object, ...], ...]]:
    with memory_of(repository) as patina:
        return {
            question: tuple(
                (
                    hit.session,
                    hit.commit,
                    hit.path,
                    hit.line,
                    hit.kind,
                    hit.text,
                    round(hit.score, 3),
                    hit.draft,
                )
                for hit in patina.search(question, limit=5)
            )
            for question in QUESTIONS
        }


def memory_of(repository: Repository, providers: Plugins | None = None) -> Patina:
    """The Python API on a repository; the model stays open from one test to the next."""
    patina = Patina(repository, providers or plugins())
    patina._engine.models._encoders = _Opened()
    return patina


class _Opened(dict[object, Encoder]):
    def __contains__(self, opened_by: object) -> bool:
        return True

    def __missing__(self, opened_by: object) -> Encoder:
        return opened(*cast("tuple[str, str, Reading]", opened_by))
