"""Whatever happens to the files of the state, git's refs are the truth: the next sync mends them, a question
is answered meanwhile, by words alone if need be, or says what to type. Nobody sees a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.memory import Memory, plugins

from patina_hooks.api import Patina
from patina_hooks.commands import patina
from patina_hooks.errors import PatinaError, StateError
from patina_hooks.store.database.connection import connect
from patina_hooks.store.log import Log
from patina_hooks.upkeep.doctor import examine

pytestmark = pytest.mark.usefixtures("sound_model")

Damage = Callable[[Path], None]


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_in_the_header(path: Path) -> None:
    os.truncate(path, 40)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def flipped(path: Path) -> None:
    """One bit of the second half, which is data."""
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 4
    path.write_bytes(bytes(data))


def flipped_unseen(path: Path) -> None:
    """A bit that the disk flipped: neither time of change nor inode tells."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def removed(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("a file")


def scrambled_pages(path: Path) -> None:
    """The header stays, all other pages do not: the file opens, and the first look into it fails."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + os.urandom(len(data) - 4096))


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more than was written")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository worth remembering, not yet remembered."""
    memory = Memory.make(tmp_path_factory.mktemp("template") / "repository")
    memory.git("commit", "-q", "--allow-empty", "-m", "begin")
    memory.git("tag", "-a", "-m", "x", "session-20251101-090000-start")
    for number in range(30):
        memory.git("commit", "-q", "--allow-empty", "-m", f"parse the tree {number}")
    memory.git("tag", "-a", "-m", "x", "session-20251101-090000-end")
    decisions = "".join(f"- chose sqlite for reason {number}\n" for number in range(40))
    text = f"# Session: sqlite\n\n## Goals\n- [ ] why sqlite\n\n**Key Decisions:**\n{decisions}"
    memory.commit("archive", {"layer/sessions/20251101-090000.md": text})
    return memory.root


@pytest.fixture
def memory(template: Path, tmp_path: Path) -> Memory:
    """Remembered, with everything in the files that are about to be damaged, and nothing in a journal."""
    memory = Memory(Path(shutil.copytree(template, tmp_path / "repository")))
    memory.sync()
    for name in ("log.db", "embeddings.db"):
        with closing(connect(memory.state / name)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return memory


def run(memory: Memory, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.chdir(memory.root)
    return CliRunner().invoke(patina, list(arguments))


def is_said(error: BaseException | None) -> bool:
    return isinstance(error, PatinaError) and bool(error.hint)


def vector_file(memory: Memory) -> Path:
    return max((memory.state / "vectors").rglob("*.vectors"), key=lambda path: path.stat().st_size)


def vectors_folder(memory: Memory) -> Path:
    return memory.state / "vectors"


def index_folder(memory: Memory) -> Path:
    return vector_file(memory).parent


def manifest(memory: Memory) -> Path:
    (found,) = (memory.state / "vectors").rglob("manifest.json")
    return found


# --- the log ----------------------------------------------------------------------------------------

LOG_DAMAGES = [truncated, cut_in_the_header, emptied, garbage, removed, scrambled_pages]


@pytest.mark.parametrize("damage", LOG_DAMAGES)
def test_a_damaged_log_is_begun_anew_by_the_next_sync(memory: Memory, damage: Damage) -> None:
    before = memory.snapshot()
    damage(memory.state / "log.db")
    report = memory.sync()
    assert memory.snapshot() == before == memory.rebuilt()
    assert report.encoded == 0, "the embeddings are still there"
    assert memory.sync().commits == 0


@pytest.mark.parametrize("damage", [garbage, scrambled_pages])
def test_a_damaged_log_is_kept_for_a_look_and_told_of(memory: Memory, damage: Damage) -> None:
    damage(memory.state / "log.db")
    kept = (memory.state / "log.db").read_bytes()
    report = memory.sync()
    assert [fault.where for fault in report.faults] == ["log"]
    assert (memory.state / "log.db.damaged").read_bytes() == kept


@pytest.mark.parametrize("damage", LOG_DAMAGES)
def test_reading_a_damaged_log_says_what_to_type(memory: Memory, damage: Damage) -> None:
    """As where a sync cannot run first."""
    damage(memory.state / "log.db")
    memory_of = Patina(memory.repository, plugins())
    for look in (memory_of.status, memory_of.events, memory_of.pairs, lambda: memory_of.search("sqlite")):
        try:
            look()
        except StateError as error:
            assert error.hint  # noqa: PT017 (a truncated log may still hold what is asked for)
    findings = examine(memory.repository, plugins())
    assert any(one.level == "fault" and one.check == "log" for one in findings)


@pytest.mark.parametrize("damage", LOG_DAMAGES)
def test_a_command_mends_a_damaged_log_and_answers(
    memory: Memory, damage: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(memory.state / "log.db")
    done = run(memory, "scry", "--mode", "lexical", "why sqlite", monkeypatch=monkeypatch)
    assert done.exit_code == 0, done.output
    assert "layer/sessions/20251101-090000.md" in done.output


def test_a_sound_but_scrambled_event_table_is_found_by_the_doctor_and_mended(memory: Memory) -> None:
    """What no sync reads: `patina sync --full` looks at every page."""
    with closing(Log(memory.state)) as log:
        page = log.connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()[0]
        size = log.connection.execute("PRAGMA page_size").fetchone()[0]
        log.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (memory.state / "log.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size))
    finding = next(one for one in examine(memory.repository, plugins()) if one.check == "log")
    assert (finding.level, finding.fix) == ("fault", "patina sync --full")
    assert "set aside" in memory.sync(full=True).faults[0].error
    assert memory.snapshot() == memory.rebuilt()
    memory.sync()
    checks = [one.check for one in examine(memory.repository, plugins()) if one.level == "fault"]
    assert "log" not in checks, "told once, it is over"


# --- embeddings -------------------------------------------------------------------------------------


EMBEDDING_DAMAGES = [
    truncated, cut_in_the_header, emptied, garbage, removed, scrambled_pages, a_folder,
]  # fmt: skip


@pytest.mark.parametrize("damage", EMBEDDING_DAMAGES)
def test_damaged_embeddings_are_made_again(memory: Memory, damage: Damage) -> None:
    damage(memory.state / "embeddings.db")
    memory.commit("one more text, why sqlite", {"a": "b"})
    memory.sync()
    memory.sync(full=True)
    shutil.rmtree(memory.state / "vectors")
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()


@pytest.mark.parametrize("damage", [cut_in_the_header, garbage, scrambled_pages, a_folder])
def test_the_doctor_says_which_file_is_damaged(memory: Memory, damage: Damage) -> None:
    damage(memory.state / "embeddings.db")
    findings = examine(memory.repository, plugins())
    (fault,) = [one for one in findings if one.level == "fault"]
    assert fault.check == "embeddings"
    assert str(memory.state / "embeddings.db") in fault.what
    if fault.fix == "patina sync":
        memory.sync()
    else:
        subprocess.run(["sh", "-c", fault.fix], check=True)
    assert all(one.level != "fault" for one in examine(memory.repository, plugins()))


# --- vectors ----------------------------------------------------------------------------------------

VECTOR_DAMAGES = [truncated, cut_in_the_header, emptied, garbage, flipped, removed, a_folder, grown]


@pytest.mark.parametrize(
    ("which", "damage"),
    [
        *((which, damage) for which in (vector_file, manifest) for damage in VECTOR_DAMAGES),
        *((which, a_file) for which in (vectors_folder, index_folder)),
    ],
)
def test_damaged_vectors_are_made_again(
    memory: Memory, which: Callable[[Memory], Path], damage: Damage
) -> None:
    before = memory.snapshot()
    damage(which(memory))
    said: list[str] = []
    hits = Patina(memory.repository, plugins()).search("why sqlite", on_fault=said.append)
    assert hits
    if not (which is manifest and damage is removed):  # then there is simply nothing yet
        assert said
        assert said[0].startswith("answering by words only")
        assert any(one.check == "vectors" and one.fix for one in examine(memory.repository, plugins()))
    memory.sync()
    assert memory.snapshot() == before == memory.rebuilt()


def test_a_bit_that_flipped_unseen_is_found_by_the_doctor_and_mended_as_it_says(memory: Memory) -> None:
    before = memory.snapshot()
    flipped_unseen(vector_file(memory))
    finding = next(one for one in examine(memory.repository, plugins()) if one.check == "vectors")
    assert (finding.level, finding.fix) == ("fault", "patina sync --full")
    memory.sync(full=True)
    assert memory.snapshot() == before


def test_vectors_of_another_model_are_not_taken_for_ours(memory: Memory) -> None:
    before = memory.snapshot()
    (folder,) = (memory.state / "vectors").iterdir()
    other = folder.with_name("0" * 32 + "-exact")
    folder.rename(other)
    memory.sync()
    assert memory.snapshot() == before
    shutil.rmtree(folder)
    shutil.copytree(other, folder)
    data = bytearray(vector_file(memory).read_bytes())
    data[28:44] = b"another's" + bytes(7)  # where a segment says whose it is
    vector_file(memory).write_bytes(bytes(data))
    memory.sync()
    assert memory.snapshot() == before


def test_what_a_killed_write_left_is_cleared_away(memory: Memory) -> None:
    (folder,) = (memory.state / "vectors").iterdir()
    left = [folder / ".manifest.json.abc", folder / "0000.vectors", memory.state / ".spool.offset.xyz"]
    for path in left:
        path.write_bytes(b"half of it")
    memory.commit("one more text", {"a": "b"})
    memory.sync()
    assert [path for path in left[:2] if path.exists()] == []
    assert memory.snapshot() == memory.rebuilt()


def test_the_whole_state_gone_or_a_file_in_its_place(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    before = memory.snapshot()
    shutil.rmtree(memory.state)
    done = run(memory, "status", monkeypatch=monkeypatch)
    assert is_said(done.exception)
    memory.state.write_text("a file")
    for command in (("status",), ("sync",), ("scry", "x"), ("gc",), ("log",)):
        assert is_said(run(memory, *command, monkeypatch=monkeypatch).exception), command
    memory.state.unlink()
    memory.sync()
    assert memory.snapshot() == before
