"""A database of the state that holds what patina never wrote is told, set aside, and made again."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.memory import Memory, plugins
from support.shell import Shell

from patina_hooks.errors import PatinaError
from patina_hooks.git.hooks import install
from patina_hooks.upkeep.doctor import examine

pytestmark = pytest.mark.usefixtures("sound_model")

COMMANDS = (
    ("status",), ("sync",), ("scry", "--mode", "lexical", "sqlite"), ("pairs",), ("gc",), ("sync", "--full"),
)  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    memory = Memory.make(tmp_path_factory.mktemp("template") / "repository")
    memory.commit("why sqlite was chosen", {"README.md": "hello"})
    with memory.session("20251101-090000"):
        memory.commit("parse the tree", {"a.py": "a"})
    memory.archive("20251101-090000", decisions="chose sqlite for one reason")
    install(memory.repository)
    memory.sync()
    return memory.root


@pytest.fixture
def memory(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setenv("PATINA_SKIP", "1")
    return Memory(Path(shutil.copytree(template, tmp_path / "repository")))


def forge(memory: Memory, file: str, *statements: str) -> None:
    with closing(sqlite3.connect(memory.state / file)) as connection:
        connection.executescript(";".join(statements))


def assert_no_bug(memory: Memory, *arguments: str) -> None:
    error = Shell(memory.root).invoke(*arguments, catch=True).exception
    assert error is None or isinstance(error, SystemExit | PatinaError), (arguments, error)


FORGED_LOGS = {
    "a view in a table's place": ("DROP TABLE fact", "CREATE VIEW fact AS SELECT '' AS name, '' AS value"),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON fact BEGIN DELETE FROM event; END",),
    "an index of its own": ("CREATE INDEX i ON event (kind)",),
    "a table of another shape": ("DROP TABLE tip", "CREATE TABLE tip (name TEXT)"),
    "no table": ("DROP TABLE session",),
    "events of another shape": ("DROP TABLE event", "CREATE TABLE event (seq INTEGER PRIMARY KEY)"),
    "a space that is a list": ("UPDATE fact SET value = '[]' WHERE name = 'space'",),
    "a space that is no JSON": ("UPDATE fact SET value = '{' WHERE name = 'space'",),
    "a space that is bytes": ("UPDATE fact SET value = x'ff00' WHERE name = 'space'",),
    "a space that nests": (f"UPDATE fact SET value = '{'[' * 100_000}' WHERE name = 'space'",),
    "a space without dimensions": ("UPDATE fact SET value = replace(value, '\"dimensions\": ', '\"x\": ')",),
    "a space of text for a number": (
        "UPDATE fact SET value = replace(value, '\"projected\": 0', '\"projected\": \"a\"')",
    ),
    "a space outside": (
        "UPDATE fact SET value = replace(value, '\"index\": \"exact\"', '\"index\": \"../../x\"')",
    ),
    "faults that are numbers": ("INSERT OR REPLACE INTO fact VALUES ('faults', '[[1, 2, 3, 4, 5, 6]]')",),
    "mishaps that are an object": ("INSERT OR REPLACE INTO fact VALUES ('mishaps', '{\"a\": 1}')",),
    "a time that is a word": ("UPDATE fact SET value = 'yesterday' WHERE name = 'synced'",),
    "a generation that is a word": ("UPDATE fact SET value = 'many' WHERE name = 'generation'",),
    "a side of numbers": ("UPDATE fact SET value = '[1, [2]]' WHERE name = 'side'",),
    "tags of another shape": ("UPDATE fact SET value = x'00' WHERE name IN ('tags', 'trees')",),
    "commits that are no ids": ("UPDATE commits SET oid = 'x' || oid",),
    "tips that are no ids": ("UPDATE tip SET oid = '--output=x', target = '--output=x'",),
    "times that are words": ("UPDATE commits SET committed = 'long ago'",),
    "fields that are a list": ("UPDATE source SET fields = '[1]' WHERE fields != '{}'",),
    "texts that are bytes": ("UPDATE observation SET text = x'ff'",),
    "keys that are texts": ("UPDATE observation SET text_key = 'a'", "UPDATE text SET key = 'k' || rowid"),
    "sessions without time": ("UPDATE session SET started = 'x', ended = 'y', state = 7",),
    "pairs of words": ("UPDATE pair SET weight = 'heavy'",),
    "events of bytes": ("UPDATE event SET subject = x'ff', time = 'x'",),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGED_LOGS)
def test_a_forged_log_is_healed_and_never_a_bug(template: Path, memory: Memory, forgery: str) -> None:
    before = memory.snapshot()
    for arguments in COMMANDS:
        forge(memory, "log.db", *FORGED_LOGS[forgery])
        assert_no_bug(memory, *arguments)
        shutil.rmtree(memory.state)
        shutil.copytree(Memory(template).state, memory.state)
    forge(memory, "log.db", *FORGED_LOGS[forgery])
    memory.sync(full=True)
    assert memory.snapshot() == before
    memory.sync()
    assert [one for one in examine(memory.repository, plugins()) if one.check in {"log", "vectors"}
            and one.level != "ok"] == []  # fmt: skip


@pytest.mark.parametrize(
    "forgery", [name for name in FORGED_LOGS if not name.startswith(("tags of", "a side", "a time that"))]
)
def test_the_doctor_tells_a_forged_log(memory: Memory, forgery: str) -> None:
    forge(memory, "log.db", *FORGED_LOGS[forgery])
    faults = [one for one in examine(memory.repository, plugins()) if one.level == "fault"]
    assert faults
    assert all(one.fix for one in faults)


FORGED_EMBEDDINGS = {
    "vectors cut": ("UPDATE embedding SET vector = substr(vector, 1, 6)",),
    "one vector cut": ("UPDATE embedding SET vector = x'00' WHERE rowid = 1",),
    "vectors that are texts": ("UPDATE embedding SET vector = 'abc'",),
    "vectors that are numbers": ("UPDATE embedding SET vector = 5",),
    "vectors that are not finite": ("UPDATE embedding SET vector = unhex(replace(hex(vector), '3', 'F'))",),
    "a view": ("ALTER TABLE embedding RENAME TO e", "CREATE VIEW embedding AS SELECT * FROM e"),
    "a table of another shape": ("DROP TABLE embedding", "CREATE TABLE embedding (space, key)"),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON embedding BEGIN DELETE FROM space; END",),
}


def forge_embeddings(memory: Memory, forgery: str) -> None:
    if "not finite" in forgery:
        with closing(sqlite3.connect(memory.state / "embeddings.db")) as connection, connection:
            for row, vector in connection.execute("SELECT rowid, vector FROM embedding").fetchall():
                bad = b"\x00\x7e" + vector[2:]
                connection.execute("UPDATE embedding SET vector = ? WHERE rowid = ?", (bad, row))
        return
    forge(memory, "embeddings.db", *FORGED_EMBEDDINGS[forgery])


@pytest.mark.parametrize("forgery", FORGED_EMBEDDINGS)
def test_forged_embeddings_are_made_again(memory: Memory, forgery: str) -> None:
    before = memory.snapshot()
    forge_embeddings(memory, forgery)
    for arguments in COMMANDS:
        assert_no_bug(memory, *arguments)
    memory.sync(full=True)
    assert memory.snapshot() == before


@pytest.mark.parametrize("forgery", [name for name in FORGED_EMBEDDINGS if "not finite" not in name])
def test_the_doctor_tells_forged_embeddings_and_its_remedy_helps(memory: Memory, forgery: str) -> None:
    memory.commit("one more text")
    memory.sync()
    if forgery == "vectors cut":
        pytest.skip("all of the same length: what they should have only the model knows")
    forge_embeddings(memory, forgery)
    (fault,) = [one for one in examine(memory.repository, plugins()) if one.level == "fault"]
    assert fault.check == "embeddings"
    if fault.fix.startswith("rm "):
        for path in memory.state.glob("embeddings.db*"):
            path.unlink()
    else:
        memory.sync(full=True)
    assert [one for one in examine(memory.repository, plugins()) if one.level == "fault"] == []
