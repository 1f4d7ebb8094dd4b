"""What a query is restricted to: each condition alone, all together, and none."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.marked import ROOT
from support.memory import Memory

from patina_hooks.errors import UsageError
from patina_hooks.extract.session_labels import _LEADING, _WHOLE
from patina_hooks.search.filters.filters import KINDS
from patina_hooks.search.query import Hit

OLD, NEW = "20251101-090000", "20251102-100000"


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    memory = Memory.make(tmp_path_factory.mktemp("filters") / "repository")
    memory.commit("begin with marmots", {"README.md": "x"})
    with memory.session(OLD):
        memory.commit("teach marmots to parse", {"src/parse.py": "1"})
    memory.archive(OLD, title="marmots parse", decisions="marmots are parsed by hand")
    memory.commit("undated marmots", {"layer/sessions/free.md": "# Marmots\nmarmots keep no calendar\n"})
    memory.git("switch", "-q", "-c", "side")
    with memory.session(NEW):
        memory.commit("store marmots", {"src/store/db.py": "1", "srcs": "1"})
    memory.archive(NEW, title="marmots stay", decisions="marmots live in sqlite", patterns="marmots first")
    memory.git("switch", "-q", "main")
    memory.commit("feed the marmots")
    memory.sync()
    return memory


def texts(memory: Memory, **conditions: object) -> set[str]:
    hits: list[Hit] = []
    for mode in ("hybrid", "lexical", "vector"):
        found = memory.patina().search("marmots", limit=50, mode=mode, **conditions)  # type: ignore[arg-type]
        hits += found
    return {hit.text for hit in hits}


def test_no_condition_restricts_nothing(memory: Memory) -> None:
    found = texts(memory)
    assert {"begin with marmots", "feed the marmots"} <= found


def test_kinds(memory: Memory) -> None:
    assert texts(memory, kinds=("pattern",)) == {"marmots first"}
    assert texts(memory, kinds=("decision",)) == {"marmots are parsed by hand", "marmots live in sqlite"}
    assert texts(memory, kinds=("decision", "pattern")) >= {"marmots are parsed by hand", "marmots first"}
    assert texts(memory, kinds=["pattern"]) == texts(memory, kinds="pattern") == {"marmots first"}
    assert texts(memory, kinds="challenge") == set()


def test_a_kind_that_nothing_has_is_refused_and_the_others_are_named(memory: Memory) -> None:
    with pytest.raises(UsageError, match="unknown kind 'decisions'; choose from decision, pattern, "):
        texts(memory, kinds=("pattern", "decisions"))


def test_the_kinds_that_are_known_are_those_of_the_reader_and_of_the_documentation(memory: Memory) -> None:
    row = next(row for row in (ROOT / "docs/json.md").read_text("utf-8").splitlines() if "| `kind`" in row)
    assert row.split("| ")[2].startswith(", ".join(KINDS) + ", or a plugin's own")
    assert {str(kind) for kind in [*_LEADING.values(), *_WHOLE.values()]} <= set(KINDS)
    with memory.log() as log:
        assert {row[0] for row in log.execute("SELECT DISTINCT kind FROM observation")} <= set(KINDS)


def test_a_session_has_its_document_and_its_commits(memory: Memory) -> None:
    assert texts(memory, session=OLD, kinds=("commit",)) == {"teach marmots to parse"}
    assert texts(memory, session=OLD, kinds=("decision",)) == {"marmots are parsed by hand"}
    assert texts(memory, session=OLD[:8], kinds=("decision",)) == {"marmots are parsed by hand"}


@pytest.mark.parametrize(
    ("session", "why"),
    [("20200101-000000", "no session '20200101-000000' is recorded"), ("%", "no session '%' is recorded"),
     ("202511", f"2 sessions begin with '202511': {OLD}, {NEW}")],
)  # fmt: skip
def test_a_session_that_is_not_one_is_refused(memory: Memory, session: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        texts(memory, session=session)


def test_a_session_without_tags_has_its_commits_by_time(tmp_path: Path) -> None:
    memory = Memory.make(
        tmp_path / "repository",
    )
    memory.clock = 1_762_185_600 - 600  # 2025-11-03T16:00:00Z, when the document says that it began
    memory.commit("long before the marmots")
    memory.clock += 600
    memory.commit("marmots at work", {"work.py": "1"})
    memory.clock += 7_200
    memory.archive("20251103-090000", decisions="marmots rest")
    memory.sync()
    assert texts(memory, session="20251103-090000", kinds=("commit",)) == {"marmots at work"}
    assert texts(memory, path="work.py") == {"marmots at work", "marmots rest"}


def test_times_are_from_inclusive_until_exclusive(memory: Memory) -> None:
    stamp = int(memory.git("log", "-1", "--format=%ct", "main"))
    assert texts(memory, since=stamp) == {"feed the marmots"}
    assert texts(memory, since=stamp, until=stamp) == set()
    assert "feed the marmots" not in texts(memory, until=stamp)
    assert "begin with marmots" in texts(memory, until=stamp)
    assert texts(memory, since=stamp - 0.5, until=stamp + 0.5) == {"feed the marmots"}


def test_what_tells_no_time_is_neither_before_nor_after(memory: Memory) -> None:
    undated = "marmots keep no calendar"
    assert undated in texts(memory)
    assert undated not in texts(memory, since=0)
    assert undated not in texts(memory, until=1 << 40)


def test_a_ref_has_what_it_reaches(memory: Memory) -> None:
    on_main, on_side = texts(memory, ref="main"), texts(memory, ref="side")
    assert "feed the marmots" in on_main - on_side
    assert {"marmots live in sqlite", "store marmots"} & (on_side - on_main)
    assert texts(memory, ref="side", session=NEW, kinds=("decision",)) == {"marmots live in sqlite"}
    assert texts(memory, ref="main", session=NEW) == set()
    assert texts(memory, ref="main~1", kinds=("decision",)) == {"marmots are parsed by hand"}


@pytest.mark.parametrize("ref", ["nowhere", "--all", "main^{tree}", "main; DROP TABLE text"])
def test_a_ref_that_names_no_commit_is_refused(memory: Memory, ref: str) -> None:
    with pytest.raises(UsageError, match="names no commit in this repository"):
        texts(memory, ref=ref)


def test_a_path_has_its_commits_and_their_sessions(memory: Memory) -> None:
    assert texts(memory, path="src/parse.py", kinds=("commit",)) == {"teach marmots to parse"}
    assert texts(memory, path="src/parse.py", kinds=("decision",)) == {"marmots are parsed by hand"}
    for folder in ("src", "src/"):
        found = texts(memory, path=folder, kinds=("commit",))
        assert found == {"teach marmots to parse", "store marmots"}
    assert texts(memory, path="sr") == set()
    assert texts(memory, path="' OR 1=1 --") == set()


def test_all_conditions_hold_together(memory: Memory) -> None:
    assert texts(memory, path="src", session=NEW, ref="side", kinds=("commit",)) == {"store marmots"}
    assert texts(memory, path="src", session=NEW, ref="main", kinds=("commit",)) == set()
