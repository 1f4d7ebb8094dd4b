"""Collections other than history: indexed apart, in line with git, without any effect on history."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.memory import QUESTIONS, Memory, memory_of

from patina_hooks import Document, Extraction, ExtractorSpec, Observation, SourceSpec, hookimpl
from patina_hooks.errors import IndexDamaged, UsageError
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.spaces import active_space
from patina_hooks.store.collections import collection_folder, stored_collections
from patina_hooks.store.log import LOG_FILE, Log
from patina_hooks.store.search.indexed_texts import read_live_texts, read_waiting_keys
from patina_hooks.upkeep.sync import SyncReport

if TYPE_CHECKING:
    from patina_hooks.search.query import Mode

GUIDE = "docs/guide.md"
TEXT = "Why sqlite: one file.\nParse the tree.\nSession goals fix a crash in the worker.\n"


def read_lines(document: Document) -> Extraction:
    lines = enumerate(document.text.splitlines(), 1)
    return Extraction(tuple(Observation("line", line, at) for at, line in lines if line))


class Guides:
    @hookimpl
    def patina_register_sources(self) -> Iterator[SourceSpec]:
        yield SourceSpec("guide", 1, "docs", include=("*.md",), exclude=("layer/", ".patina/"))

    @hookimpl
    def patina_register_extractors(self) -> Iterator[ExtractorSpec]:
        yield ExtractorSpec("guide", 1, "guide", f"{__name__}:read_lines")


def with_guides() -> Plugins:
    providers = Plugins.load(disabled=())
    providers.register(Guides(), "patina-guides")
    return providers


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """Without `with_guides` nothing is indexed in docs: the built-in source of prose is off."""
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/config.toml", "[docs]\nenabled = false\n")
    memory.commit("Begin: why sqlite", {"README.md": "hello sqlite\n", "a.py": "1"})
    with memory.session("20251101-090000"):
        memory.commit("Parse the tree of the worker", {"src/parse.py": "1"})
    memory.archive("20251101-090000", goals="session goals", decisions=("sqlite over files", "fix the crash"))
    memory.commit("Write a guide", {GUIDE: TEXT})
    for number in range(40):
        memory.commit(f"Fix crash {number} in worker", {"a.py": str(number)})
    return memory


def sync(memory: Memory, **options: bool) -> SyncReport:
    return memory.sync(providers=with_guides(), **options)


def texts(memory: Memory) -> list[tuple[str, str]]:
    """(path, text) of what is live in docs, each with a vector."""
    folder = collection_folder(memory.state, "docs")
    with closing(Log(folder, create=False)) as log:
        space = active_space(log)
        assert space is not None
        live = {row[0] for row in log.connection.execute("SELECT key FROM text WHERE live > 0")}
        assert space.open(with_guides(), folder).keys() == live
        return log.connection.execute(
            "SELECT d.path, o.text FROM document d JOIN source s ON s.oid = d.oid AND s.read_as = d.read_as"
            " JOIN observation o ON o.source_id = s.id AND o.live ORDER BY 1, o.line"
        ).fetchall()


def answers(memory: Memory) -> list[str]:
    """Everything of every hit: scores to the last bit, ranks and channels."""
    with memory_of(memory.repository) as patina:
        return [
            repr(hit)
            for mode in ("hybrid", "lexical", "vector")
            for question in (*QUESTIONS, "hello", "one file", "sqlite tree crash goals")
            for hit in patina.search(question, limit=50, mode=mode)
            if hit.collection == "history"
        ]


def test_history_answers_the_same_to_the_byte_with_and_without_documents(memory: Memory) -> None:
    memory.sync()
    alone, events = answers(memory), memory.patina().status().events_hash
    snapshot = memory.snapshot()
    sync(memory)
    assert len(texts(memory)) == 4
    assert answers(memory) == alone
    assert memory.patina().status().events_hash == events
    # Its answers have a block of documents; those of history were compared above.
    assert replace(memory.snapshot(), answers={}, collections={}) == replace(
        snapshot, answers={}, collections={}
    )
    sync(memory, full=True)
    assert answers(memory) == alone


def test_documents_follow_the_trees_of_heads(memory: Memory) -> None:
    sync(memory)
    memory.git("switch", "-q", "-c", "side")
    steps = [
        lambda: memory.commit("edit", {GUIDE: TEXT + "More.\n"}),
        lambda: memory.git("mv", GUIDE, "docs/manual.md"),
        lambda: memory.git("rm", "-q", "README.md"),
        lambda: memory.commit("add", {"docs/deep/er.md": "deep words\n"}),
        lambda: memory.git("switch", "-q", "main"),
    ]
    for step in steps:
        step()  # type: ignore[no-untyped-call]
        memory.commit("step")
        sync(memory, quick=True)
        followed = texts(memory)
        sync(memory, full=True)
        assert texts(memory) == followed
    assert {path for path, _ in texts(memory)} == {"README.md", GUIDE}


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ({".patinaignore": "docs/\n"}, GUIDE),
        ({"docs/.patinaignore": "*.md\n"}, GUIDE),
        ({".gitattributes": "docs/** linguist-generated\n"}, GUIDE),
        ({}, "vendor/lib/README.md"),
        ({}, "docs/.env.md"),
    ],
)
def test_files_that_a_tree_leaves_out_are_no_documents(
    memory: Memory, rules: dict[str, str], path: str
) -> None:
    sync(memory)
    memory.commit("add", {path: "left out\n"})
    sync(memory)
    memory.commit("add rules", rules)
    sync(memory)
    followed = texts(memory)
    assert path not in {path for path, _ in followed}
    sync(memory, full=True)
    assert texts(memory) == followed
    for name in rules:
        memory.git("rm", "-q", name)
    memory.commit("remove rules")
    sync(memory)
    assert (path in {path for path, _ in texts(memory)}) == bool(rules)


def test_each_tree_has_rules_of_its_own(memory: Memory) -> None:
    second = memory.root.with_name("second")
    memory.git("worktree", "add", "-q", str(second))
    memory.commit("ignore", {".patinaignore": "docs/\n"})
    sync(memory)
    assert GUIDE in {path for path, _ in texts(memory)}  # the second work tree has no such rule
    memory.git("reset", "-q", "--hard", "main", at=second)
    sync(memory)
    assert GUIDE not in {path for path, _ in texts(memory)}


def test_nothing_is_read_again_when_nothing_changed(memory: Memory) -> None:
    sync(memory)
    report = sync(memory)
    assert (report.added, report.removed, report.encoded, report.indexed) == (0, 0, 0, 0)
    memory.commit("no document", {"a.py": "x"})
    assert sync(memory).added == 1  # the commit


def test_status_counts_collections_apart(memory: Memory) -> None:
    sync(memory)
    status = memory.patina().status()
    assert (status.documents, status.collections["docs"].documents) == (1, 2)
    assert (status.collections["docs"].observations, status.collections["docs"].pending) == (4, 0)
    first = status.collections["docs"].hash
    memory.commit("edit", {GUIDE: "other words\n"})
    sync(memory)
    assert memory.patina().status().collections["docs"].hash != first


def test_words_are_there_before_vectors(memory: Memory) -> None:
    report = memory.sync(providers=with_guides(), most=0)
    assert report.pending == memory.patina().status().pending + 4
    with closing(Log(collection_folder(memory.state, "docs"), create=False)) as log:
        found = log.connection.execute(
            "SELECT count(*) FROM observation_words WHERE observation_words MATCH 'sqlite'"
        )
        assert found.fetchone() == (2,)


def test_history_answers_by_vectors_when_those_of_documents_are_gone(memory: Memory) -> None:
    sync(memory)
    before = answers(memory)
    shutil.rmtree(collection_folder(memory.state, "docs") / "vectors")
    assert answers(memory) == before
    remarks: list[str] = []
    with memory_of(memory.repository) as patina:
        hits = patina.search("sqlite", on_fault=remarks.append)
        assert {hit.collection for hit in hits} == {"history", "docs"}
        assert [remark.partition(":")[0] for remark in remarks] == ["answering from docs by words only"]
        assert {hit.collection for hit in patina.search("sqlite", mode="vector")} == {"history"}
        with pytest.raises(IndexDamaged, match="the vectors"):
            patina.search("sqlite", mode="vector", collections="docs")


def test_documents_leave_when_their_plugin_is_not_installed(memory: Memory) -> None:
    sync(memory)
    memory.sync()
    assert memory.patina().status().collections["docs"].documents == 0
    sync(memory)
    assert len(texts(memory)) == 4


def test_gc_keeps_what_collections_need(memory: Memory) -> None:
    sync(memory)
    with memory_of(memory.repository, with_guides()) as patina:
        patina.gc()
    assert sync(memory, full=True).encoded == 0
    assert len(texts(memory)) == 4


def test_a_damaged_collection_is_built_again_and_history_stays(memory: Memory) -> None:
    sync(memory)
    path = collection_folder(memory.state, "docs") / LOG_FILE
    path.write_bytes(b"no database" * 1000)
    events = memory.patina().events(limit=999)
    sync(memory)
    assert stored_collections(memory.state) == ("docs",)
    assert len(texts(memory)) == 4
    assert memory.patina().events(limit=999) == events


def test_documents_answer_in_a_block_of_their_own_after_history(memory: Memory) -> None:
    sync(memory)
    with memory_of(memory.repository) as patina:
        hits = patina.search("why sqlite")
        assert [hit.collection for hit in hits] == sorted((h.collection for h in hits), reverse=True)
        (guide,) = [hit for hit in hits if hit.path == GUIDE]
        assert (guide.text, guide.line, guide.session, guide.commit) == (
            "Why sqlite: one file.",
            1,
            None,
            None,
        )
        assert [hit.path for hit in patina.search("one file", limit=1, collections="docs")] == [GUIDE]
        assert {hit.collection for hit in patina.search("one file", collections=("history",))} == {"history"}


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "vector"])
def test_filters_hold_for_documents(memory: Memory, mode: Mode) -> None:
    sync(memory)
    with memory_of(memory.repository) as patina:

        def paths(**filters: Any) -> set[str | None]:  # noqa: ANN401 (any filter)
            hits = patina.search("sqlite", mode=mode, **filters)
            return {hit.path for hit in hits if hit.collection == "docs"}

        assert paths() == {GUIDE, "README.md"}
        assert paths(kinds="line") == {GUIDE, "README.md"}
        assert paths(kinds="decision") == set()
        assert paths(path="docs") == {GUIDE}
        assert paths(path="README.md") == {"README.md"}
        assert paths(session="20251101-090000") == set()
        assert paths(since=0) == set()
        assert paths(ref="HEAD~41") == {"README.md"}


def test_a_filter_that_no_collection_knows_is_an_error(memory: Memory) -> None:
    sync(memory)
    with memory_of(memory.repository) as patina:
        with pytest.raises(UsageError, match="unknown kind 'lines'"):
            patina.search("sqlite", kinds="lines")
        with pytest.raises(UsageError, match="there is no collection 'doc'"):
            patina.search("sqlite", collections="doc")


def test_an_empty_answer_names_a_collection_that_is_not_indexed(memory: Memory) -> None:
    memory.sync()
    with memory_of(memory.repository) as patina:
        hits = patina.search("sqlite", collections="docs")
    assert (list(hits), hits.reason) == ([], "nothing is indexed in docs")


def test_settings_say_what_is_prose(memory: Memory) -> None:
    def pages() -> set[str]:
        memory.sync()
        return {path for path, _ in texts(memory)}

    memory.write(".patina/config.toml", "[docs]\nenabled = true\n")
    memory.commit("add", {"LICENSE.md": "You may.\n", "docs/api.rst": "Keys\n====\nA key is a name.\n"})
    assert pages() == {"README.md", GUIDE, "docs/api.rst"}
    assert ("docs/api.rst", "Keys\nA key is a name.") in texts(memory)
    memory.write(".patina/config.toml", '[docs]\ninclude = ["*.rst"]\n')
    assert pages() == {"docs/api.rst"}
    memory.write(".patina/config.toml", '[docs]\nexclude = ["docs/"]\n')
    assert pages() == {"README.md"}
    memory.write(".patina/config.toml", "[docs]\nenabled = false\n")
    assert pages() == set()


def test_documents_come_back_when_an_absent_tree_is_back(memory: Memory) -> None:
    sync(memory)
    before = texts(memory)
    oid = memory.git("rev-parse", "HEAD:docs")
    path = memory.root / ".git/objects" / oid[:2] / oid[2:]
    data = path.read_bytes()
    path.chmod(0o600)
    path.unlink()
    assert sync(memory, full=True).faults == ()
    assert texts(memory) == []
    path.write_bytes(data)
    sync(memory)
    assert texts(memory) == before


def test_vectors_of_documents_come_newest_first_when_commits_changed_them_in_turn(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    paths = ["docs/b.md", "docs/c.md", "docs/a.md"]
    for path in paths:
        memory.commit(f"Write {path}", {path: f"# A page\n\nWhat {path} says.\n"})
    memory.commit("Correct the first page", {"docs/b.md": "# A page\n\nWhat docs/b.md says now.\n"})
    memory.sync(most=0)
    with closing(Log(collection_folder(memory.state, "docs"), create=False)) as log:
        keys = read_waiting_keys(log.connection, 10)
        order = [text for text in read_live_texts(log.connection, keys) if "What" in text]
    assert [text.split("What ")[1].split()[0] for text in order] == ["docs/b.md", "docs/a.md", "docs/c.md"]
