"""Sync: what plugins are told, what a fault stops, and what a killed sync leaves for the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.marked import ROOT
from support.memory import FAST_RECIPE, Memory, plugins

from patina_hooks import hookimpl
from patina_hooks.api import Patina
from patina_hooks.corpus.outcome import ReconcileResult
from patina_hooks.corpus.reconcile import reconcile
from patina_hooks.errors import ModelError
from patina_hooks.models.embedding import PieceSize
from patina_hooks.models.encoding import Encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.spaces import VectorSpace
from patina_hooks.specs.values import Commit, Document, Pair, Recorded, Session
from patina_hooks.store.log import LOG_FILE
from patina_hooks.upkeep import sync as sync_module
from patina_hooks.upkeep.sync import synchronise

SESSION = "20251101-090000"


@dataclass
class Listener:
    """Hears every event, and looks at the log from outside when it does."""

    memory: Memory
    heard: list[tuple[str, Any]] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)

    def hear(self, event: str, *what: object) -> None:
        self.heard.append((event, what[0] if len(what) == 1 else what))
        with self.memory.log() as log:
            self.seen.append(log.execute("SELECT count(*) FROM commits").fetchone()[0])

    def told(self, event: str) -> list[Any]:
        return [what for name, what in self.heard if name == event]

    @hookimpl
    def patina_session_started(self, session: Session) -> None:
        self.hear("started", session)

    @hookimpl
    def patina_session_ended(self, session: Session, commits: list[Commit]) -> None:
        self.hear("ended", session, list(commits))

    @hookimpl
    def patina_commit_recorded(self, commit: Commit, documents: list[Document]) -> None:
        self.hear("commit", commit, list(documents))

    @hookimpl
    def patina_observations_changed(self, added: list[Recorded], removed: list[Recorded]) -> None:
        self.hear("observations", list(added), list(removed))

    @hookimpl
    def patina_pairs_extracted(self, pairs: list[Pair]) -> None:
        self.hear("pairs", list(pairs))

    @hookimpl
    def patina_embeddings_updated(self, model: str, added: int, removed: int) -> None:
        self.hear("embeddings", model, added, removed)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    memory.sync()
    return memory


@pytest.fixture
def listener(memory: Memory) -> Listener:
    return Listener(memory)


@pytest.fixture
def providers(listener: Listener) -> Plugins:
    plugins = Plugins.load()
    plugins.register(listener, "listener")
    assert plugins.faults == ()
    return plugins


def test_a_commit_is_told_once_and_after_it_is_stored(
    memory: Memory, listener: Listener, providers: Plugins
) -> None:
    oid = memory.commit("a subject\n\nand a body", {"a": "1"})
    memory.sync(providers=providers)
    ((commit, documents),) = listener.told("commit")
    assert (commit.oid, commit.subject) == (oid, "a subject")
    assert [change.path for change in commit.changes] == ["a"]
    assert documents == [Document("commit", oid, "a subject\n\nand a body")]
    assert set(listener.seen) == {2}
    listener.heard.clear()
    memory.sync(providers=providers)
    assert listener.heard == []


def test_a_session_starts_and_ends_once(memory: Memory, listener: Listener, providers: Plugins) -> None:
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-start")
    memory.sync(providers=providers)
    ((session),) = listener.told("started")
    assert isinstance(session, Session)
    assert (session.id, session.state, session.start) == (SESSION, "open", memory.git("rev-parse", "HEAD"))
    assert listener.told("ended") == []
    oid = memory.commit("work", {"a": "1"})
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-end")
    memory.sync(providers=providers)
    memory.archive(SESSION, decisions="chose sqlite over files")
    memory.sync(providers=providers)
    assert len(listener.told("started")) == 1
    ((ended, commits),) = listener.told("ended")
    assert (ended.id, ended.state, [commit.oid for commit in commits]) == (SESSION, "ended", [oid])


def test_observations_come_and_go_with_their_document(
    memory: Memory, listener: Listener, providers: Plugins
) -> None:
    memory.archive(SESSION, decisions="chose sqlite over files")
    memory.sync(providers=providers)
    ((added, removed),) = listener.told("observations")
    assert removed == []
    (one,) = (one for one in added if one.observation.kind == "decision")
    assert one.observation.text == "chose sqlite over files"
    assert (one.document, one.session, one.commit) == (f"layer/sessions/{SESSION}.md", SESSION, None)
    listener.heard.clear()
    memory.git("reset", "-q", "--hard", "HEAD~1")
    memory.sync(providers=providers)
    ((none, gone),) = listener.told("observations")
    assert none == []
    assert {recorded.id for recorded in gone} == {recorded.id for recorded in added}


def test_only_new_pairs_are_told(memory: Memory, listener: Listener, providers: Plugins) -> None:
    memory.archive(SESSION, goals="choose a store", decisions=("chose sqlite over files", "one file it is"))
    memory.sync(providers=providers)
    (first,) = listener.told("pairs")
    assert isinstance(first, list)
    listener.heard.clear()
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-start", "HEAD~1")
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-end", "HEAD")
    memory.sync(providers=providers)
    (second,) = listener.told("pairs")
    assert isinstance(second, list)
    assert {pair.kind for pair in first} == {"goal_observation", "same_session", "commit_files"}
    assert {pair.kind for pair in second} == {"commit_session"}
    told = [*first, *second]
    assert len(set(told)) == len(told)
    assert memory.patina().status().pair_kinds["commit_session"].count == len(second)


def test_embeddings_are_counted(memory: Memory, listener: Listener, providers: Plugins) -> None:
    memory.commit("one more text")
    memory.sync(providers=providers)
    assert listener.told("embeddings") == [("acme-64", 1, 0)]
    memory.git("reset", "-q", "--hard", "HEAD~1")
    memory.sync(providers=providers)
    assert listener.told("embeddings")[1:] == [("acme-64", 0, 1)]


def test_what_nobody_listens_to_is_counted_and_not_kept(
    memory: Memory, providers: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first sync reads a history that may be larger than memory."""
    kept: list[ReconcileResult] = []

    def spy(*arguments: object, quick: bool) -> ReconcileResult:
        kept.append(reconcile(*arguments, quick=quick))  # type: ignore[arg-type]
        return kept[-1]

    monkeypatch.setattr(sync_module, "reconcile", spy)
    memory.commit("one more text")
    report = memory.sync()
    assert (report.commits, report.added) == (1, 1)
    assert (kept[0].on_commit, kept[0].changed.on_added, kept[0].changed.on_removed) == (None, None, None)
    memory.commit("and another")
    report = memory.sync(providers=providers)
    assert (report.commits, report.added) == (1, 1)
    assert None not in (kept[1].on_commit, kept[1].changed.on_added, kept[1].changed.on_removed)


class Breaks:
    @hookimpl
    def patina_commit_recorded(self) -> None:
        raise RuntimeError("no network")


def test_a_listener_that_fails_is_a_fault_and_the_rest_goes_on(memory: Memory) -> None:
    plugins = Plugins.load()
    plugins.register(Breaks(), "breaks")
    memory.commit("one more text")
    report = memory.sync(providers=plugins)
    assert [(fault.plugin, fault.where) for fault in report.faults] == [("breaks", "patina_commit_recorded")]
    assert report.pending == 0
    stored = memory.patina().status().faults
    assert [(fault.plugin, fault.where) for fault in stored] == [("breaks", "patina_commit_recorded")]


# --- settings and recipe ---


@pytest.mark.parametrize(
    ("path", "text", "where"),
    [
        (".patina/oxidize.yaml", "modle: x\n", "recipe"),
        (".patina/config.toml", "[session]\nfoldr = 1\n", "settings"),
        (".patina/oxidize.yaml", "embedding_model: no-such-model\n", "model no-such-model"),
        (".patina/oxidize.yaml", f"{FAST_RECIPE}runtime: no-such-runtime\n", "model acme-64"),
        (".patina/oxidize.yaml", f"{FAST_RECIPE}index: no-such-index\n", "model acme-64"),
    ],
)
def test_what_is_invalid_is_a_fault_and_words_still_work(
    memory: Memory, path: str, text: str, where: str
) -> None:
    memory.write(path, text)
    memory.commit("feed the marmots")
    report = memory.sync()
    (fault,) = report.faults
    assert (fault.plugin, fault.where) == ("patina-hooks", where)
    assert memory.patina().search("marmots", mode="lexical")[0].text == "feed the marmots"
    assert memory.patina().status().faults == report.faults
    memory.write(".patina/oxidize.yaml", FAST_RECIPE)
    (memory.root / ".patina/config.toml").unlink(missing_ok=True)
    assert memory.sync().faults == ()
    assert memory.patina().status().faults == ()
    assert memory.snapshot() == memory.rebuilt()


def test_session_documents_in_a_folder_of_choice(memory: Memory) -> None:
    memory.write(".patina/config.toml", '[session]\nfolder = "notes/"\n')
    memory.archive(SESSION, decisions="marmots in the old place")
    text = f"# Session: x\n**ID**: {SESSION}\n\n- about marmots\n"
    memory.commit("document", {f"notes/{SESSION}.md": text})
    memory.sync()
    assert memory.patina().status().documents == 1
    assert {hit.path for hit in memory.patina().search("about marmots", kinds=("text",))} <= {
        f"notes/{SESSION}.md"
    }
    assert memory.patina().search("marmots", ref="main", session=SESSION)
    assert memory.snapshot() == memory.rebuilt()


# --- killed ---


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["update_pairs", "_queue_sessions", "_update_vectors", "_store_faults"])
def test_what_a_killed_sync_left_is_done_by_the_next(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    memory.archive(SESSION, goals="choose a store", decisions=("chose sqlite over files", "one file it is"))

    def kill(*_: object, **__: object) -> Iterator[None]:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sync_module, step, kill)
        with pytest.raises(Killed):
            memory.sync()
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()
    with memory.log() as log:
        assert log.execute("SELECT count(*) FROM pair").fetchone()[0] > 0


def test_a_full_sync_derives_anew_and_embeds_nothing_again(memory: Memory) -> None:
    memory.archive(SESSION, decisions="chose sqlite over files")
    memory.sync()
    before = memory.snapshot()
    report = memory.sync(full=True)
    assert (report.commits, report.encoded) == (2, 0)
    assert memory.snapshot() == before


def test_what_is_wrong_with_a_model_is_said_until_it_was_tried_again(memory: Memory) -> None:
    memory.archive(SESSION, decisions=tuple(f"decision number {n}" for n in range(20)))
    memory.sync()
    memory.write(".patina/oxidize.yaml", "embedding_model: minilm-l6-v2\nruntime: onnx\n")

    def fails(space: VectorSpace) -> Encoder:
        raise ModelError(f"{space.model} cannot be opened")

    report = synchronise(memory.repository, plugins=plugins(), open_model=fails)
    (fault,) = report.faults
    assert fault.error == "minilm-l6-v2 cannot be opened"
    assert memory.sync(most=5).faults == (fault,), "it was not tried"
    assert memory.patina().status().faults == (fault,)
    memory.write(".patina/oxidize.yaml", FAST_RECIPE)
    assert memory.sync(most=5).faults == ()


def test_a_sync_goes_on_in_turns_and_looks_at_git_in_each(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patina_hooks.upkeep.sync.SLICE_SECONDS", 0.0)
    monkeypatch.setattr("patina_hooks.search.index.vector_update._FIRST_CHUNK", 2)
    monkeypatch.setattr("patina_hooks.search.index.vector_update._CHUNK", 2)
    monkeypatch.setattr(
        "patina_hooks.search.index.vector_update.PieceSize", lambda *_: PieceSize(size=2, most=2)
    )
    for number in range(5):
        memory.commit(f"text number {number}")
    shown: list[tuple[int, int]] = []

    def show(stage: str, done: int, total: int) -> None:
        if stage == "embedding":
            shown.append((done, total))
            if len(shown) == 1:
                memory.commit("a marmot came meanwhile")

    with memory.patina() as patina:
        report = patina.sync(progress=show)
        assert report is not None
        assert (report.commits, report.encoded, report.indexed, report.pending) == (6, 6, 6, 0)
        assert not report.postponed
        assert shown == [(2, 5), (4, 6), (6, 6)]
        hits = patina.search("a marmot came meanwhile", mode="vector", collections="history")
        assert (len(hits), hits[0].text) == (7, "a marmot came meanwhile")


def test_what_a_plugin_did_wrong_in_the_first_turn_is_still_seen_after_the_last(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patina_hooks.upkeep.sync.SLICE_SECONDS", 0.0)
    monkeypatch.setattr("patina_hooks.search.index.vector_update._FIRST_CHUNK", 2)
    for number in range(5):
        memory.commit(f"text number {number}")
    heard: list[int] = []

    class Clumsy:
        @hookimpl
        def patina_commit_recorded(self) -> None:
            raise ValueError("out of cheese")

        @hookimpl
        def patina_embeddings_updated(self, added: int) -> None:
            heard.append(added)
            if len(heard) == 1:
                raise ValueError("out of milk")

    providers = Plugins.load()
    providers.register(Clumsy(), "clumsy")
    with Patina(memory.repository, providers) as patina:
        patina.sync()
        assert len(heard) > 1
        wrong = [fault.error for fault in patina.status().faults]
    cheese, milk = wrong
    assert cheese.startswith("ValueError: out of cheese (")
    assert "test_sync.py:" in cheese
    assert cheese.splitlines()[0].endswith("(5 times)")
    assert milk.startswith("ValueError: out of milk (")


def test_a_full_sync_reads_again_what_the_cache_has_lost(memory: Memory) -> None:
    memory.archive(SESSION, decisions="chose sqlite over files")
    memory.sync()
    before = memory.snapshot()
    (memory.state / "embeddings.db").unlink()
    assert memory.sync().encoded == 0
    pages = memory.patina().status().collections["docs"].observations
    assert pages == 1
    assert memory.sync(full=True).encoded == len(before.vectors) + pages
    assert memory.snapshot() == before


def test_many_texts_are_left_for_later_when_asked(memory: Memory) -> None:
    memory.archive(SESSION, decisions=tuple(f"decision number {n}" for n in range(20)))
    report = memory.sync(most=5)
    assert (report.encoded, report.pending > 20) == (0, True)
    assert memory.patina().status().pending == report.pending
    assert memory.sync(most=100).pending == 0
    assert memory.patina().status().pending == 0


def test_a_log_of_version_4_keeps_its_events_and_is_rebuilt_from_git(memory: Memory) -> None:
    memory.archive(SESSION, decisions="chose sqlite over files")
    memory.sync()
    before, events = memory.snapshot(), memory.patina().events(limit=99)
    with closing(sqlite3.connect(memory.state / LOG_FILE)) as log:
        rows = log.execute("SELECT * FROM event").fetchall()
    for file in memory.state.glob(f"{LOG_FILE}*"):
        file.unlink()
    with closing(sqlite3.connect(memory.state / LOG_FILE)) as log:
        log.executescript((ROOT / "tests/data/log_version_4.sql").read_text("utf-8"))
        log.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", rows)
        log.execute("INSERT INTO tip_tree VALUES ('a', 'b', 0)")
        log.execute("INSERT INTO fact VALUES ('synced', '1')")
        log.commit()
    memory.sync()
    assert memory.snapshot() == before
    assert memory.patina().events(limit=99) == events


def test_a_log_of_another_version_is_made_anew(memory: Memory) -> None:
    memory.archive(SESSION, decisions="chose sqlite over files")
    memory.sync()
    before, events = memory.snapshot(), memory.patina().events(limit=99)
    tables = "SELECT name, sql FROM sqlite_master WHERE name != 'sqlite_sequence' ORDER BY name"
    with closing(sqlite3.connect(memory.state / LOG_FILE)) as log:
        schema = log.execute(tables).fetchall()
        log.executescript(
            "DROP INDEX source_unread; DROP TABLE unit; CREATE TABLE unit (name TEXT);"
            "PRAGMA user_version = 1;"
        )
    memory.sync()
    with memory.log() as connection:
        assert connection.execute(tables).fetchall() == schema
    assert memory.snapshot() == before == memory.rebuilt()
    assert memory.patina().events(limit=99) == events
