"""Two environments with different plugins take turns on one repository: neither undoes the other's work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.memory import Memory, memory_of, plugins
from support.shell import Shell

from patina_hooks import (
    Document,
    Extraction,
    ExtractorSpec,
    ModuleScope,
    Observation,
    Pair,
    PairGeneratorSpec,
    SessionScope,
    hookimpl,
)
from patina_hooks.models.provenance import KeptProvider
from patina_hooks.pairs.members import path_member
from patina_hooks.plugins.manager import Plugins
from patina_hooks.store.log import Log
from patina_hooks.upkeep.doctor import examine

SESSION = "20251101-090000"
DRAFT = ".patina/local/active/20251130-090000.md"
READ: list[str] = []
PAIRED: list[str] = []


def last_line(document: Document) -> Extraction:
    READ.append(document.oid)
    lines = document.text.strip().splitlines()
    return Extraction((Observation("last", f"at last: {lines[-1]}", len(lines)),) if lines else ())


def both_ends(scope: SessionScope | ModuleScope) -> Iterator[Pair]:
    if isinstance(scope, SessionScope):
        PAIRED.append(scope.id)
        ends = [one.id for one in scope.document]
    else:
        PAIRED.append(scope.folder)
        ends = [path_member(path) for path in scope.paths]
    if len(ends) > 1:
        yield Pair("ends", ends[0], ends[-1], None, 1.0, "")


class OfTheEditor:
    @hookimpl
    def patina_register_extractors(self) -> list[ExtractorSpec]:
        return [
            ExtractorSpec("last_of_session", 1, "session", f"{__name__}:last_line"),
            ExtractorSpec("last_of_commit", 1, "commit", f"{__name__}:last_line"),
        ]

    @hookimpl
    def patina_register_pair_generators(self) -> list[PairGeneratorSpec]:
        return [PairGeneratorSpec("ends_of_module", 1, f"{__name__}:both_ends", "module")]


class OfTheShell:
    @hookimpl
    def patina_register_pair_generators(self) -> list[PairGeneratorSpec]:
        return [PairGeneratorSpec("ends_of_session", 1, f"{__name__}:both_ends", "session")]


class OfBoth(OfTheEditor):
    @hookimpl
    def patina_register_pair_generators(self) -> list[PairGeneratorSpec]:
        return [
            PairGeneratorSpec("ends_of_module", 1, f"{__name__}:both_ends", "module"),
            PairGeneratorSpec("ends_of_session", 1, f"{__name__}:both_ends", "session"),
        ]


def with_plugin(plugin: object, name: str) -> Plugins:
    providers = Plugins.load(disabled=())
    providers.register(plugin, name, distribution="patina-acme")
    return providers


@pytest.fixture
def editor() -> Plugins:
    return with_plugin(OfTheEditor(), "of-the-editor")


@pytest.fixture
def shell() -> Plugins:
    return with_plugin(OfTheShell(), "of-the-shell")


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin\n\nwith marmots", {"src/a.py": "x", "src/b.py": "y"})
    memory.archive(SESSION, goals="dig a burrow", decisions=("chose sqlite", "kept it simple"))
    memory.archive("20251102-090000", goals="whistle", decisions="chose numpy")
    memory.write(DRAFT, "# Session: a draft\n\n**Key Decisions:**\n- chose to wait\n")
    READ.clear()
    PAIRED.clear()
    return memory


def stored(memory: Memory) -> dict[str, list[tuple[object, ...]]]:
    """Every row, with its id, of what a sync writes."""
    tables = ("event", "document", "source", "observation", "text", "unit", "pair", "pair_total", "session")
    with memory.log() as log:
        return {table: sorted(log.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}


def turns(memory: Memory, *environments: Plugins) -> None:
    """Sync in each environment until each has had two turns, and hold every row against the first round."""
    for providers in environments:
        memory.sync(providers=providers)
    READ.clear()
    PAIRED.clear()
    before = stored(memory)
    for providers in environments * 2:
        report = memory.sync(providers=providers)
        done = (report.encoded, report.indexed, report.added, report.removed, report.pairs, report.sessions)
        assert done == (0, 0, 0, 0, 0, 0)
        assert stored(memory) == before
    assert (READ, PAIRED) == ([], [])


def test_nothing_is_made_again_when_two_environments_take_turns(
    memory: Memory, editor: Plugins, shell: Plugins
) -> None:
    turns(memory, shell, editor, shell)
    kinds = memory.patina().status().pair_kinds
    assert kinds["ends"].count == len(memory.patina().pairs(kind="ends")) == 4
    memory.commit("more marmots", {"src/c.py": "z"})
    memory.archive("20251103-090000", goals="dig on", decisions="chose a spade")
    turns(memory, shell, editor, shell)
    kept = memory.snapshot()
    memory.sync(providers=with_plugin(OfBoth(), "of-both"), full=True)
    assert memory.snapshot() == kept


def test_only_what_came_is_read_when_the_other_environment_synced_it(
    memory: Memory, editor: Plugins, shell: Plugins
) -> None:
    for providers in (shell, editor):
        memory.sync(providers=providers)
    READ.clear()
    oid = memory.commit("more marmots\n\ncome out")
    memory.sync(providers=shell)
    assert READ == []
    report = memory.sync(providers=editor)
    assert [oid] == READ
    assert (report.added, report.encoded, report.removed) == (1, 1, 0)


def test_gc_frees_what_absent_plugins_made(memory: Memory, editor: Plugins) -> None:
    memory.sync()
    without = memory.snapshot()
    memory.sync(providers=editor)
    with memory.log() as log:
        (made,) = log.execute(
            "SELECT count(*) FROM observation o JOIN source s ON s.id = o.source_id"
            " WHERE s.extractor LIKE 'last_of_%'"
        ).fetchone()
        (pairs,) = log.execute("SELECT count(*) FROM pair p JOIN generator g ON g.id = p.generator_id"
                               " WHERE g.name = 'ends_of_module'").fetchone()  # fmt: skip
    freed = memory.patina().gc()
    assert (freed.observations, freed.pairs) == (made, pairs)
    assert (made, pairs) == (6, 2)
    assert freed.embeddings > 0
    assert memory.snapshot() == without == memory.rebuilt()
    assert memory.patina().status().kept == ()
    assert memory.patina().gc().observations == 0
    memory.sync(providers=editor)
    with memory_of(memory.repository, editor) as patina:
        assert patina.gc().observations == 0, "everything is installed there"


def test_status_names_whose_results_are_kept(memory: Memory, editor: Plugins) -> None:
    memory.sync()
    assert memory.patina().status().kept == ()
    memory.sync(providers=editor)
    with memory_of(memory.repository, editor) as patina:
        assert patina.status().kept == ()
    for _ in range(2):
        memory.sync()
        assert memory.patina().status().kept == (
            KeptProvider("extractor", "last_of_commit", "1", "patina-acme 0.1.0"),
            KeptProvider("extractor", "last_of_session", "1", "patina-acme 0.1.0"),
            KeptProvider("pair generator", "ends_of_module", "1", "patina-acme 0.1.0"),
        )
    line = (
        "kept          extractor last_of_commit, extractor last_of_session, pair generator ends_of_module:"
        " not installed here (patina gc)\n"
    )
    shell = Shell(memory.root)
    assert line in shell.out("status")
    shown = json.loads(shell.out("status", "--json"))["kept"]
    assert shown[0] == {
        "kind": "extractor", "name": "last_of_commit", "version": "1", "made_by": "patina-acme 0.1.0",
    }  # fmt: skip
    assert shell.out("gc").startswith("freed 6 observations, 2 pairs, ")
    assert "\nkept " not in shell.out("status")


def test_doctor_names_whose_results_are_kept(memory: Memory, editor: Plugins) -> None:
    memory.sync(providers=editor)
    memory.sync()
    found = [
        one for one in examine(memory.repository, plugins()) if one.level != "ok" and one.fix == "patina gc"
    ]
    assert found[0].what == (
        "results of extractor last_of_commit, made by patina-acme 0.1.0, are kept: it is not installed here"
    )
    assert {one.check for one in found} == {"plugins"}
    assert len(found) == 3


@pytest.mark.parametrize("forged", ['{"a": 1}', "[1]", "[", '"x"'])
def test_a_forged_list_of_kept_extractors_is_healed(memory: Memory, forged: str) -> None:
    memory.sync()
    before = memory.snapshot()
    with Log(memory.state) as log, log.writing():
        log.remember("kept extractors", forged)
    memory.sync()
    assert memory.patina().status().kept == ()
    assert memory.snapshot() == before
