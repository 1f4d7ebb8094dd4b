"""The log: transactions, events that stay, and a state folder that is its owner's alone."""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from patina_hooks.errors import StateError
from patina_hooks.store.database.schema import recreate_derived
from patina_hooks.store.events import read_events, rewrite_details
from patina_hooks.store.log import Log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "patina"


def test_a_transaction_is_all_or_nothing(folder: Path) -> None:
    with Log(folder) as log:
        with log.writing():
            log.remember("kept", "1")
        with suppress(ZeroDivisionError), log.writing():
            log.remember("kept", "2")
            raise ZeroDivisionError
        assert log.fact("kept") == "1"
    with Log(folder, create=False) as again:
        assert (again.fact("kept"), again.fact("absent"), again.fact("absent", "x")) == ("1", "", "x")


def test_events_newest_first_and_by_kind(folder: Path) -> None:
    with Log(folder) as log:
        with log.writing():
            log.record("commit", [("a", "first"), ("b", "second")])
            log.record("gone", [("a", "")])
        assert [(event.kind, event.subject) for event in read_events(log.connection, 2)] == [
            ("gone", "a"),
            ("commit", "b"),
        ]
        assert [event.detail for event in read_events(log.connection, 9, "commit")] == ["second", "first"]
        assert read_events(log.connection, 9, "unheard of") == []


def test_what_is_derived_can_be_dropped_and_events_stay(folder: Path) -> None:
    with Log(folder) as log:
        with log.writing():
            log.record("commit", [("a", "")])
            log.remember("synced", "1")
        with log.writing():
            recreate_derived(log.connection)
        assert (log.fact("synced"), len(read_events(log.connection, 9))) == ("", 1)


def test_a_log_of_another_version_is_emptied_but_for_its_events(folder: Path) -> None:
    with Log(folder) as log, log.writing() as connection:
        log.record("commit", [("a", "")])
        log.remember("synced", "1")
        connection.execute("PRAGMA user_version = 999")
    with Log(folder) as log:
        assert (log.fact("synced"), len(read_events(log.connection, 9))) == ("", 1)


def test_events_are_listed_by_their_own_dates_when_history_was_read_backwards(folder: Path) -> None:
    with Log(folder) as log:
        with log.writing():
            log.record_once("commit", [("b", "second", 200), ("a", "first", 100)])
            log.record_once("document", [("x.md", "1", None)])
        assert [event.subject for event in read_events(log.connection, 9)] == ["x.md", "b", "a"]
        document, *commits = read_events(log.connection, 9)
        assert document.dated == document.time
        assert [event.dated for event in commits] == [200, 100]


def test_an_event_is_recorded_once_when_the_index_is_built_again(folder: Path) -> None:
    events = (
        ("commit", [("a", "first", 100), ("b", "second", 200)]),
        ("skipped", [("a", "too large", 100)]),
        ("document", [("x.md", "1", None), ("x.md", "2", None)]),
        ("session", [("s", "ended", None)]),
    )
    with Log(folder) as log:
        for _ in range(2):
            with log.writing():
                for kind, rows in events:
                    log.record_once(kind, rows)
        assert len(read_events(log.connection, 99)) == 6
        with log.writing():
            log.record("gone", [("a", "")])
            log.record_once("commit", [("a", "first", 100)])
        assert [event.subject for event in read_events(log.connection, 9, "commit")] == ["b", "a", "a"]


def test_events_of_version_3_get_the_dates_of_their_commits(folder: Path) -> None:
    with Log(folder) as log, log.writing() as connection:
        connection.execute("INSERT INTO commits VALUES (1, 'a', 'Ada', 100, 150, 0, 0, x'', NULL, NULL)")
        log.record("commit", [("a", "first")])
        log.record("gone", [("c", "")])
        connection.execute("DROP INDEX event_by_date")
        connection.execute("ALTER TABLE event DROP COLUMN dated")
        connection.execute("PRAGMA user_version = 3")
    with Log(folder) as log:
        gone, commit = read_events(log.connection, 9)
        assert (commit.dated, gone.dated) == (150, gone.time)
        assert commit.time == gone.time


def test_past_events_are_changed_only_for_a_secrets_sake(folder: Path) -> None:
    with Log(folder) as log:
        with log.writing():
            log.record("commit", [("a", "say xyzzy"), ("b", "say nothing")])
        with log.writing():
            rewrite_details(log.connection, lambda detail: detail.replace("xyzzy", "-"))
        assert [event.detail for event in read_events(log.connection, 9)] == ["say nothing", "say -"]


def test_a_reader_sees_what_was_committed_while_another_writes(folder: Path) -> None:
    with Log(folder) as writer, Log(folder, create=False) as reader:
        with writer.writing():
            writer.remember("x", "1")
            assert reader.fact("x") == ""
        assert reader.fact("x") == "1"


def test_writers_wait_for_each_other(folder: Path) -> None:
    Log(folder).close()

    def add(_: int) -> None:
        with Log(folder) as log, log.writing():
            log.remember("n", str(int(log.fact("n", "0")) + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(40)))
    with Log(folder) as log:
        assert log.fact("n") == "40"


def test_only_its_owner_may_look_in(folder: Path) -> None:
    Log(folder).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_before_anything_is_recorded_reading_says_so(folder: Path) -> None:
    with pytest.raises(StateError, match="nothing is recorded yet") as caught:
        Log(folder, create=False)
    assert caught.value.hint == "patina init"
    assert not folder.exists()


def test_a_mistake_of_ours_stays_one(folder: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError), Log(folder) as log:
        log.connection.execute("INSERT INTO fact VALUES ('x', NULL)")
