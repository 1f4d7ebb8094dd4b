"""The doctor: each planted fault is a finding that says what, why and what mends it."""

from __future__ import annotations

import json
import os
import sqlite3
import sysconfig
import venv
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.husky import husky_8, husky_9
from support.memory import FAST_RECIPE, Memory, plugins
from support.shell import Shell

import patina_hooks
from patina_hooks import hookimpl
from patina_hooks.errors import StateError
from patina_hooks.git import spool
from patina_hooks.git.hook_files import EVENTS
from patina_hooks.git.hooks import install, repair_hooks
from patina_hooks.git.repository import Repository
from patina_hooks.git.stub import manual_line
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import ModelSpec
from patina_hooks.store.database import word_index
from patina_hooks.store.database.word_index import OTHER_PYTHON
from patina_hooks.store.log import Log
from patina_hooks.testing import CHECKS
from patina_hooks.upkeep.doctor import Finding, examine


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots", {"README.md": "x"})
    install(memory.repository)
    memory.sync()
    return memory


def findings(memory: Memory, providers: Plugins | None = None) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in examine(memory.repository, providers or plugins()):
        found.setdefault(finding.check, []).append(finding)
    return found


def settings_that_do_not_parse(memory: Memory) -> None:
    memory.write(".patina/config.toml", "[session\n")


def recipe_with_a_slip(memory: Memory) -> None:
    memory.write(".patina/oxidize.yaml", "modle: x\n")


def model_nobody_has(memory: Memory) -> None:
    memory.write(".patina/oxidize.yaml", "embedding_model: no-such-model\n")


def hook_that_is_gone(memory: Memory) -> None:
    (memory.root / ".git/hooks/post-commit").unlink()


def hook_that_is_not_executable(memory: Memory) -> None:
    (memory.root / ".git/hooks/post-commit").chmod(0o644)


def hook_that_is_a_folder(memory: Memory) -> None:
    hook_that_is_gone(memory)
    (memory.root / ".git/hooks/post-commit").mkdir()


def hooks_that_husky_moved(memory: Memory) -> None:
    husky_9(memory.root)


def hooks_that_husky_rewrites(memory: Memory) -> None:
    husky_9(memory.root)
    repair_hooks(memory.repository)


def script_that_takes_no_line(memory: Memory) -> None:
    husky_8(memory.root)
    memory.write(".husky/post-commit", "#!/bin/zsh\ntrue\n")
    (memory.root / ".husky/post-commit").chmod(0o755)


def line_that_is_not_executable(memory: Memory) -> None:
    husky_8(memory.root)
    install(memory.repository)
    (memory.root / ".husky/post-commit").chmod(0o644)


def rebase_under_way(memory: Memory) -> None:
    (memory.root / ".git/rebase-merge").mkdir()


def shallow_clone(memory: Memory) -> None:
    (memory.root / ".git/shallow").write_text(memory.git("rev-parse", "HEAD") + "\n")


def state_that_others_read(memory: Memory) -> None:
    memory.state.chmod(0o755)


def log_that_is_gone(memory: Memory) -> None:
    for path in memory.state.glob("log.db*"):
        path.unlink()


def log_that_is_no_database(memory: Memory) -> None:
    (memory.state / "log.db").write_bytes(b"something else" * 1_000)


def vectors_cut_off(memory: Memory) -> None:
    (segment,) = memory.state.glob("vectors/*/*.vectors")
    segment.write_bytes(segment.read_bytes()[:-1])


def vectors_with_a_flipped_bit(memory: Memory) -> None:
    (segment,) = memory.state.glob("vectors/*/*.vectors")
    flip_last_bit(segment)


def flip_last_bit(segment: Path) -> None:
    before, data = segment.stat(), bytearray(segment.read_bytes())
    data[-1] ^= 1
    with segment.open("r+b") as file:
        file.write(data)
    os.utime(segment, ns=(before.st_atime_ns, before.st_mtime_ns))


def embeddings_that_are_no_database(memory: Memory) -> None:
    (memory.state / "embeddings.db").write_bytes(b"something else" * 1_000)


def embeddings_that_are_a_folder(memory: Memory) -> None:
    for path in memory.state.glob("embeddings.db*"):
        path.unlink()
    (memory.state / "embeddings.db").mkdir()


def documents_that_are_no_database(memory: Memory) -> None:
    (memory.state / "docs/log.db").write_bytes(b"something else" * 1_000)


def documents_with_a_view(memory: Memory) -> None:
    forge_documents(memory, "CREATE VIEW v AS SELECT 1")


def documents_of_another_type(memory: Memory) -> None:
    forge_documents(memory, "UPDATE observation SET text = x'ff'")


def left_out_files_that_are_no_ids(memory: Memory) -> None:
    forge_documents(memory, "INSERT INTO left_out VALUES ('a.md', '--output=x', 'binary', '', '')")


def forge_documents(memory: Memory, statement: str) -> None:
    with closing(sqlite3.connect(memory.state / "docs/log.db")) as connection, connection:
        connection.execute(statement)


def document_vectors_with_a_flipped_bit(memory: Memory) -> None:
    (segment,) = memory.state.glob("docs/vectors/*/*.vectors")
    flip_last_bit(segment)


def document_texts_that_wait(memory: Memory) -> None:
    memory.commit("add a page", {"docs/page.md": "A page of words.\n"})
    memory.sync(most=0)


def texts_that_wait(memory: Memory) -> None:
    memory.commit("not embedded yet")
    memory.sync(most=0)


def events_that_wait(memory: Memory) -> None:
    spool.append_event(memory.state, spool.SpoolEvent("post-commit"))


def worker_that_failed(memory: Memory) -> None:
    (memory.state / "patina.log").write_text("2025-11-01 1 INFO in step\n2025-11-01 2 ERROR no luck\n")


def training_that_failed(memory: Memory) -> None:
    lines = "2025-11-01 1 ERROR training failed; `patina oxidize` tries again\n2025-11-01 2 INFO in step\n"
    (memory.state / "patina.log").write_text(lines)


def link_in_the_state(memory: Memory) -> None:
    (memory.state / "patina.log").symlink_to(memory.root / "elsewhere")


def state_that_is_gone(memory: Memory) -> None:
    import shutil

    shutil.rmtree(memory.state)


FAULTS: list[tuple[Callable[[Memory], None], str, str, str, str]] = [
    (settings_that_do_not_parse, "settings", "fault", ".patina/config.toml:1: ", ".patina/config.toml"),
    (recipe_with_a_slip, "recipe", "fault", "unknown key 'modle'", ".patina/oxidize.yaml"),
    (model_nobody_has, "model", "fault", "no-such-model", ".patina/oxidize.yaml"),
    (hook_that_is_gone, "hooks", "warning", "post-commit: absent", "patina install"),
    (hook_that_is_not_executable, "hooks", "warning", "is not executable", "patina install"),
    (hook_that_is_a_folder, "hooks", "warning", "is not a regular file", "rm -r "),
    (hooks_that_husky_moved, "hooks", "warning", "post-commit: absent", "patina install"),
    (hooks_that_husky_rewrites, "hooks", "warning", "post-commit at its next run", "patina install"),
    (script_that_takes_no_line, "hooks", "warning", "is not a shell script", "add to "),
    (line_that_is_not_executable, "hooks", "warning", "git does not run it", "chmod +x "),
    (rebase_under_way, "git", "warning", "rebase, am or cherry-pick", "git rebase --abort"),
    (shallow_clone, "git", "warning", "shallow", "git fetch --unshallow"),
    (state_that_others_read, "state", "warning", "can be read by other users", "chmod 700 "),
    (link_in_the_state, "state", "fault", "is a link", "rm "),
    (state_that_is_gone, "state", "warning", "does not exist", "patina init"),
    (log_that_is_gone, "log", "fault", "nothing is recorded yet", "patina init"),
    (log_that_is_no_database, "log", "fault", "log.db is damaged", "patina sync"),
    (vectors_cut_off, "vectors", "fault", "altered since it was written", "patina sync"),
    (vectors_with_a_flipped_bit, "vectors", "fault", "altered since it was written", "patina sync"),
    (embeddings_that_are_no_database, "embeddings", "fault", "embeddings.db is damaged", "embeddings.db"),
    (embeddings_that_are_a_folder, "embeddings", "fault", "embeddings.db is a folder", "patina sync"),
    (documents_that_are_no_database, "docs", "fault", "docs/log.db is damaged", "patina sync"),
    (documents_with_a_view, "docs", "fault", "view v is not patina's", "patina sync"),
    (documents_of_another_type, "docs", "fault", "observation holds a value of another type", "--full"),
    (left_out_files_that_are_no_ids, "docs", "fault", "left_out holds a value of another", "--full"),
    (
        document_vectors_with_a_flipped_bit,
        "docs",
        "fault",
        "altered since it was written",
        "patina sync --full",
    ),
    (document_texts_that_wait, "docs", "warning", "1 texts are not embedded yet", "patina sync"),
    (texts_that_wait, "log", "warning", "1 texts are not embedded yet", "patina sync"),
    (events_that_wait, "worker", "warning", "events are pending", "patina sync"),
    (worker_that_failed, "worker", "warning", "ERROR no luck", "patina sync"),
    (training_that_failed, "worker", "warning", "ERROR training failed", "patina oxidize"),
]


def test_all_is_well(memory: Memory) -> None:
    found = findings(memory)
    assert {one.level for every in found.values() for one in every} == {"ok"}
    assert found.keys() == {
        "git", "sqlite", "settings", "recipe", "hooks", "state", "log", "embeddings", "vectors", "docs",
        "projection", "fusion", "model", "probes", "plugins", "worker",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("plant", "check", "level", "what", "fix"), FAULTS, ids=[plant.__name__ for plant, *_ in FAULTS]
)
def test_a_fault_is_found_with_what_mends_it(
    memory: Memory, plant: Callable[[Memory], None], check: str, level: str, what: str, fix: str
) -> None:
    plant(memory)
    found = findings(memory)
    wrong = [one for one in found[check] if one.level != "ok"]
    (finding,) = [one for one in wrong if what in f"{one.what} {one.why}"]
    assert finding.level == level
    assert fix in finding.fix
    others = [one for name, every in found.items() if name != check for one in every if one.level == "fault"]
    assert all(one.fix for one in others)


@pytest.mark.parametrize(
    "damage",
    [documents_that_are_no_database, documents_with_a_view, documents_of_another_type,
     left_out_files_that_are_no_ids, document_vectors_with_a_flipped_bit],
    ids=lambda damage: damage.__name__,
)  # fmt: skip
def test_documents_are_sound_again_when_the_command_of_the_finding_ran(
    memory: Memory, damage: Callable[[Memory], None]
) -> None:
    before = memory.snapshot()
    damage(memory)
    (fault,) = [one for one in findings(memory)["docs"] if one.level != "ok"]
    memory.sync(full=fault.fix == "patina sync --full")
    assert {one.level for one in findings(memory)["docs"]} == {"ok"}
    assert memory.snapshot() == before


class Broken:
    @hookimpl
    def patina_register_models(self) -> list[object]:
        raise RuntimeError("half installed")


def test_a_plugin_at_fault_is_named_with_how_to_turn_it_off(memory: Memory) -> None:
    providers = Plugins.load()
    providers.register(Broken(), "broken")
    (finding,) = [one for one in findings(memory, providers)["plugins"] if one.level == "fault"]
    assert finding.what == "broken: patina_register_models"
    assert "half installed" in finding.why
    assert "PATINA_DISABLE_PLUGINS=broken" in finding.fix


def test_nothing_is_changed_by_looking(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATINA_SKIP", "1")  # the hook's worker would write meanwhile
    memory.commit("not synced yet")
    before = {path: path.read_bytes() for path in sorted(memory.state.rglob("*")) if path.suffix != ".db-shm"
              and path.is_file()}  # fmt: skip
    findings(memory)
    for path, data in before.items():
        assert not path.exists() or path.read_bytes() == data


def test_the_command_prints_and_ends_by_the_worst(memory: Memory) -> None:
    shell = Shell(memory.root)
    done = shell.run("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok    vectors    1 vectors in 1 files, checksums match\n" in done.stdout
    events_that_wait(memory)
    assert shell.run("doctor").returncode == 0
    recipe_with_a_slip(memory)
    done = shell.run("doctor")
    assert done.returncode == 1
    assert "ERROR recipe     .patina/oxidize.yaml:1: unknown key 'modle'" in done.stdout
    listed = json.loads(shell.run("doctor", "--json").stdout)
    assert listed[0].keys() == {"check", "level", "what", "why", "fix", "figures"}
    memory.write(".patina/oxidize.yaml", FAST_RECIPE)


def test_a_line_that_the_user_added_is_a_hook(memory: Memory) -> None:
    folder = memory.root.parent / "shared-hooks"
    folder.mkdir()
    memory.git("config", "core.hooksPath", str(folder))
    assert {one.level for one in findings(memory)["hooks"]} == {"warning"}
    for event in EVENTS:
        (folder / event).write_text(f"#!/bin/sh\n{manual_line(event)}\n")
        (folder / event).chmod(0o755)
    assert {one.level for one in findings(memory)["hooks"]} == {"ok"}


def test_a_linked_work_tree_is_read_with_the_configuration_of_the_main_one(memory: Memory) -> None:
    linked = memory.root.parent / "linked"
    memory.git("worktree", "add", "-q", str(linked))
    memory.write(".patina/config.toml", "[session]\nfoldr = 1\n")
    memory.write(".patina/oxidize.yaml", "modle: x\n", at=linked)
    levels = {one.check: one.level for one in examine(Repository.open(linked), plugins())}
    assert (levels["settings"], levels["recipe"]) == ("fault", "ok")


class Cut:
    """acme-64, whose vectors may be cut off."""

    @hookimpl
    def patina_register_models(self) -> list[ModelSpec]:
        files = plugins().model("acme-64").runtimes
        return [ModelSpec("cut-64", 64, runtimes=files, max_tokens=128, matryoshka=(16,))]


def test_the_model_is_checked_as_the_recipe_reads_it(memory: Memory) -> None:
    providers = Plugins.load()
    providers.register(Cut(), "cut")
    recipe = "embedding_model: cut-64\n"
    memory.write(".patina/oxidize.yaml", f"{recipe}truncate: 16\npooling: cls\n")
    (found,) = findings(memory, providers)["model"]
    assert (found.level, found.what) == (
        "ok",
        f"cut-64 (pooling: cls, truncate: 16): {len(CHECKS)} contract checks pass",
    )
    memory.write(".patina/oxidize.yaml", f"{recipe}extraction_layer: 3\n")
    (found,) = findings(memory, providers)["model"]
    assert (found.level, found.what) == ("fault", "cut-64 (extraction_layer: 3): opens")
    assert "extraction_layer is 3, expected -1" in found.why


@pytest.fixture
def graphs(memory: Memory) -> Memory:
    """A memory whose index may miss some."""
    from support.small_graphs import NAME, providers

    memory.archive("20251101-090000", decisions=tuple(f"decision {n} on marmots" for n in range(130)))
    memory.write(".patina/oxidize.yaml", f"{FAST_RECIPE}index: {NAME}\n")
    memory.sync(providers=providers())
    return memory


def test_an_index_that_may_miss_some_says_how_many_it_finds(graphs: Memory) -> None:
    from support.small_graphs import providers

    assert list((graphs.state / "vectors").glob("*/*.usearch"))
    (finding,) = findings(graphs, providers())["recall"]
    assert (finding.level, finding.why) == ("ok", "")
    assert "% of the 10 nearest that an exact scan finds (32 stored texts as queries, 13" in finding.what
    assert finding.figures["recall@10"] == pytest.approx(1, abs=0.1)
    assert (finding.figures["questions"], finding.figures["vectors"] > 130) == (32, True)


def test_an_index_that_misses_many_is_told_of_with_the_fix(
    graphs: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from patina_usearch.index import GraphIndex
    from support.small_graphs import providers

    search = GraphIndex.search
    monkeypatch.setattr(GraphIndex, "search", lambda self, query, *more: search(self, -query, *more))
    (finding,) = findings(graphs, providers())["recall"]
    assert (finding.level, finding.fix) == ("warning", "write in .patina/oxidize.yaml: index: exact")


def test_a_text_is_not_its_own_neighbour(graphs: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that gives back nothing but what it was asked with finds nothing."""
    from patina_usearch.index import GraphIndex
    from support.small_graphs import providers

    search = GraphIndex.search
    monkeypatch.setattr(GraphIndex, "search", lambda self, query, limit, *more: search(self, query, 1, *more))
    (finding,) = findings(graphs, providers())["recall"]
    assert finding.figures["recall@10"] < 0.05, "with itself it would be a tenth"


def test_where_embeddings_are_gone_no_figure_is_shown(graphs: Memory) -> None:
    """Against those that came since, an index would look better than it is."""
    from support.small_graphs import providers

    for path in graphs.state.glob("embeddings.db*"):
        path.unlink()
    for more in (None, "one more text", "and one more"):
        if more:
            graphs.commit(more)
            graphs.sync(providers=providers())
        (finding,) = findings(graphs, providers())["recall"]
        assert (finding.level, finding.figures) == ("warning", {})
        assert "embeddings.db does not hold every text that the index does" in finding.why
        assert finding.fix == "patina sync --full"
    assert [one.level for one in findings(graphs, providers())["vectors"]] == ["ok"]
    graphs.sync(full=True, providers=providers())
    (finding,) = findings(graphs, providers())["recall"]
    assert finding.level == "ok"


def test_an_exact_index_needs_no_sample(memory: Memory) -> None:
    assert "recall" not in findings(memory)


def test_an_interpreter_without_patina_is_told_when_the_hooks_run_it(memory: Memory, tmp_path: Path) -> None:
    venv.EnvBuilder(symlinks=True).create(tmp_path / "empty")
    install(memory.repository, str(tmp_path / "empty/bin/python"))
    (fault,) = [one for one in findings(memory)["hooks"] if one.level == "fault"]
    assert "cannot start patina" in fault.what
    assert "No module named" in fault.what
    assert fault.fix == "patina install"
    install(memory.repository)
    assert [one.level for one in findings(memory)["hooks"]] == ["ok"]


def test_other_plugins_are_told_when_the_hooks_run_another_environment(
    memory: Memory, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\necho noise\n"
        'echo \'{"versions": {"patina-hooks": "0.0.1", "acme": "2"}, "problem": ""}\'\n'
    )
    python.chmod(0o755)
    install(memory.repository, str(python))
    (warning,) = [one for one in findings(memory)["hooks"] if one.level != "ok"]
    assert warning.level == "warning"
    assert "acme 2 (here absent)" in warning.what
    assert "patina-hooks 0.0.1 (here " in warning.what
    assert warning.fix == "patina install"


def test_model_is_looked_up_when_the_hooks_run_another_environment(memory: Memory, tmp_path: Path) -> None:
    """An environment with patina itself and none of the plugins that provide the model."""
    environment = tmp_path / "without plugins"
    venv.EnvBuilder(symlinks=True).create(environment)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "patina_hooks").symlink_to(Path(patina_hooks.__file__).parent)
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        is_plugin = "patina_" in entry.name and "patina_hooks" not in entry.name
        if not is_plugin and not (packages / entry.name).exists():
            (packages / entry.name).symlink_to(entry)
    install(memory.repository, str(environment / "bin/python"))
    problems = [one for one in findings(memory)["hooks"] if one.level != "ok"]
    (finding,) = [one for one in problems if "cannot run the recipe's model" in one.what]
    assert "acme-64" in finding.what
    assert finding.fix == "patina install"
    install(memory.repository)
    assert [one.level for one in findings(memory)["hooks"]] == ["ok"]


def test_missing_word_index_is_named_when_the_log_is_made(tmp_path: Path) -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("CREATE VIRTUAL TABLE x USING fts99 (word)")
    connection.close()
    message = str(caught.value).replace("fts99", "fts5")
    with pytest.raises(StateError, match="has no FTS5") as refused, Log(tmp_path / "state"):
        raise sqlite3.OperationalError(message)
    assert refused.value.hint == OTHER_PYTHON


def test_missing_word_index_is_a_fault(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_index, "has_word_index", lambda: False)
    (finding,) = findings(memory)["sqlite"]
    assert (finding.level, finding.fix) == ("fault", OTHER_PYTHON)
