"""A recipe that asks for other vectors: of another runtime, precision or length, or computed otherwise.

They are made beside the old ones, which answer until the new ones are whole; a kill costs what was not yet
written; going back costs nothing, until `patina gc` frees what no recipe needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from support.exporting import export
from support.memory import Memory, are_probes
from support.tiny_models import make_twin

from patina_hooks import hookimpl
from patina_hooks.api import Patina
from patina_hooks.config.settings import user_file
from patina_hooks.models.embedding import PieceSize
from patina_hooks.models.encoding import Encoded, Encoder, open_encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index import vector_update
from patina_hooks.search.index.spaces import VectorSpace, active_space
from patina_hooks.specs.models import LocalFile, ModelFile, Role
from patina_hooks.store.log import Log
from patina_hooks.upkeep.sync import SyncReport, synchronise

if TYPE_CHECKING:
    from patina_hooks.search.collection_search import Near

TEXTS = ["begin", *(f"text number {number}" for number in range(10))]
ONE = "embedding_model: several\nruntime: onnx\n"
SWITCHES = {
    "runtime": "embedding_model: several\nruntime: mlx\n",
    "precision": "embedding_model: several\nruntime: onnx/int8\n",
    "length": f"{ONE}truncate: 16\n",
    "pooling": f"{ONE}pooling: cls\n",
}


class Killed(BaseException):
    """Nothing in between catches it."""


@dataclass
class Worker:
    """A sync's model, which counts the texts that it reads and dies before it has read more than `most`."""

    plugins: Plugins
    most: int | None = None
    texts: list[str] = field(default_factory=list)

    def sync(self, memory: Memory, *, full: bool = False, seconds: float | None = None) -> SyncReport:
        return synchronise(
            memory.repository, full=full, seconds=seconds, plugins=self.plugins, open_model=self._opened
        )

    def _opened(self, space: VectorSpace) -> Encoder:
        encoder = open_encoder(self.plugins, space.model, space.runtime, reading=space.reading)
        encode = encoder.encode

        def counted(texts: Sequence[str], *, role: Role) -> Encoded:
            if are_probes(texts):
                return encode(texts, role=role)
            if self.most is not None and len(self.texts) + len(texts) > self.most:
                raise Killed
            self.texts += texts
            return encode(texts, role=role)

        encoder.encode = counted  # type: ignore[method-assign]
        return encoder


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    """One model with files for two runtimes, and of two precisions for one of them."""
    folder = tmp_path_factory.mktemp("several")
    twin = make_twin("bert", folder / "twin")
    tokenizer = LocalFile(twin.tokenizer.absolute())
    graphs = {"onnx": export(twin, folder, "fp32"), "onnx/int8": export(twin, folder, "int8")}
    files: dict[str, dict[str, ModelFile]] = {
        name: {"model": LocalFile(path.absolute()), "tokenizer": tokenizer} for name, path in graphs.items()
    }
    files["mlx"] = {role: LocalFile(path.absolute()) for role, path in twin.files.items()}
    spec = replace(twin.spec("mlx"), name="several", runtimes=files, matryoshka=(16,))
    found = Plugins.load()
    found.register(SimpleNamespace(patina_register_models=hookimpl(lambda: [spec])), "several")
    return found


@pytest.fixture
def memory(tmp_path: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(vector_update, "_CHUNK", 4)
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", ONE)
    for text in TEXTS:
        memory.commit(text)
    assert Worker(plugins).sync(memory).faults == ()
    return memory


def space_of(memory: Memory) -> VectorSpace:
    with closing(Log(memory.state, create=False)) as log:
        space = active_space(log)
    assert space is not None
    return space


def answers(memory: Memory, plugins: Plugins) -> list[tuple[str, float]]:
    with Patina(memory.repository, plugins) as patina:
        return [(hit.text, hit.score) for hit in patina.search("text number 3", mode="vector")]


def folders(memory: Memory) -> set[str]:
    return {path.name for path in (memory.state / "vectors").iterdir()}


@pytest.mark.parametrize("what", SWITCHES)
def test_the_old_vectors_answer_until_the_new_ones_are_whole(
    memory: Memory, plugins: Plugins, what: str
) -> None:
    before, old = answers(memory, plugins), space_of(memory)
    memory.write(".patina/oxidize.yaml", SWITCHES[what])
    killed = Worker(plugins, most=6)
    with pytest.raises(Killed):
        killed.sync(memory)
    assert space_of(memory) == old
    assert answers(memory, plugins) == before
    half_made = folders(memory)
    assert len(half_made) == 2
    (memory.state / "vectors" / ".DS_Store").touch()
    with Patina(memory.repository, plugins) as patina:
        assert patina.gc().embeddings == 0, "the recipe needs both: one answers, one is half made"
    assert folders(memory) == half_made, "and nobody needs what a file manager leaves there"
    rest = Worker(plugins)
    report = rest.sync(memory)
    assert (report.faults, report.pending) == ((), 0)
    assert sorted([*killed.texts, *rest.texts]) == sorted(TEXTS), "each text once, killed or not"
    new = space_of(memory)
    assert new.fingerprint != old.fingerprint
    assert folders(memory) == {f"{old.fingerprint}-exact", f"{new.fingerprint}-exact"}
    after = answers(memory, plugins)
    assert after[0][0] == "text number 3"
    same = [text for text, _ in after] == [text for text, _ in before] and [
        score for _, score in after
    ] == pytest.approx([score for _, score in before], abs=1e-4)
    assert same == (what == "runtime"), "the same weights give the same answers in either"


def test_what_is_committed_while_a_large_model_reads_is_found_by_its_words(
    memory: Memory, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_update, "PieceSize", partial(PieceSize, size=4))
    old = space_of(memory)
    memory.write(".patina/oxidize.yaml", SWITCHES["runtime"])
    worker, turns = Worker(plugins), 0
    while (report := worker.sync(memory, seconds=0)).postponed:
        turns += 1
        assert report.pending > 0
        assert (space_of(memory), report.faults) == (old, ())
        memory.commit(f"a marmot of turn {turns}")
        with Patina(memory.repository, plugins) as patina:
            assert len(patina.search("marmot", limit=50, mode="lexical")) == turns - 1
            assert patina.search("text number 3", mode="vector")[0].text == "text number 3"
            (warning,) = patina.status().warnings
            assert warning == (
                "the recipe requests several in mlx: several in onnx answers until its vectors are complete;"
                " patina sync"
            )
    assert turns == 3, "four texts a turn, of eleven and those that came"
    assert sorted(worker.texts) == sorted([*TEXTS, *(f"a marmot of turn {turn}" for turn in (1, 2, 3))])
    with Patina(memory.repository, plugins) as patina:
        assert len(patina.search("marmot of turn", mode="vector", limit=50)) == len(worker.texts)
        assert patina.status().warnings == ()


def test_all_that_was_there_answers_while_a_full_sync_makes_other_vectors(
    memory: Memory, plugins: Plugins
) -> None:
    before, old = answers(memory, plugins), space_of(memory)
    memory.write(".patina/oxidize.yaml", SWITCHES["runtime"])
    with pytest.raises(Killed):
        Worker(plugins, most=6).sync(memory, full=True)
    assert (space_of(memory), answers(memory, plugins)) == (old, before)
    Worker(plugins).sync(memory)
    assert space_of(memory).runtime == "mlx"


def test_a_question_beside_a_change_of_index_is_answered_by_the_new_one(
    memory: Memory, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Patina(memory.repository, plugins) as patina:
        opened = patina._engine.history._open_index

        def but_before(log: Log, space: VectorSpace) -> Near:
            if space.index == "exact":
                memory.write(".patina/oxidize.yaml", f"{ONE}index: usearch\n")
                Worker(plugins).sync(memory)
                assert folders(memory) == {f"{space.fingerprint}-usearch"}
            return opened(log, space)

        monkeypatch.setattr(patina._engine.history, "_open_index", but_before)
        said: list[str] = []
        hits = patina.search("text number 3", on_fault=said.append)
    assert (hits[0].text, said) == ("text number 3", [])
    assert "vector" in hits[0].channels
    assert space_of(memory).index == "usearch"


def test_a_model_of_gigabytes_reads_for_seconds_at_a_time(
    memory: Memory, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each turn anew: what it has read is kept, and whoever waits for the lock gets it."""
    monkeypatch.setattr(vector_update, "_CHUNK", 1_024)
    now, read = 0.0, []
    worker = Worker(plugins)
    opened = worker._opened

    def slow(space: VectorSpace) -> Encoder:
        encoder = opened(space)
        encode = encoder.encode

        def at_one_a_second(texts: Sequence[str], *, role: Role) -> Encoded:
            nonlocal now
            if are_probes(texts):
                return encode(texts, role=role)
            now += len(texts)
            read.append(len(texts))
            return encode(texts, role=role)

        encoder.encode = at_one_a_second  # type: ignore[method-assign]
        return encoder

    monkeypatch.setattr(worker, "_opened", slow)
    monkeypatch.setattr("patina_hooks.search.index.vector_update.time.monotonic", lambda: now)
    memory.write(".patina/oxidize.yaml", SWITCHES["runtime"])
    turns = [0.0]
    while worker.sync(memory, seconds=5).postponed:
        turns.append(now)
    assert sum(read) == len(TEXTS)
    assert max(read) <= 2
    assert all(5 < later - before <= 7 for before, later in pairwise(turns))


@pytest.mark.parametrize("what", SWITCHES)
def test_the_way_back_costs_nothing_until_gc_has_freed_it(
    memory: Memory, plugins: Plugins, what: str
) -> None:
    before = answers(memory, plugins)
    for recipe in (SWITCHES[what], ONE):
        memory.write(".patina/oxidize.yaml", recipe)
        worker = Worker(plugins)
        worker.sync(memory)
    assert worker.texts == []
    assert answers(memory, plugins) == before
    with Patina(memory.repository, plugins) as patina:
        assert patina.gc().embeddings == len(TEXTS)
    assert folders(memory) == {f"{space_of(memory).fingerprint}-exact"}
    memory.write(".patina/oxidize.yaml", SWITCHES[what])
    again = Worker(plugins)
    again.sync(memory)
    assert sorted(again.texts) == sorted(TEXTS)


def test_what_left_while_another_model_answered_is_not_back_with_the_old_one(
    memory: Memory, plugins: Plugins
) -> None:
    memory.git("switch", "-q", "-c", "side")
    memory.commit("only on the side")
    Worker(plugins).sync(memory)
    memory.write(".patina/oxidize.yaml", SWITCHES["pooling"])
    Worker(plugins).sync(memory)
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    Worker(plugins).sync(memory)
    memory.write(".patina/oxidize.yaml", ONE)
    Worker(plugins).sync(memory)
    with memory.log() as log:
        live = {row[0] for row in log.execute("SELECT key FROM text WHERE live > 0")}
    assert len(live) == len(TEXTS)
    assert space_of(memory).open(plugins, memory.state).keys() == live


def test_a_setting_that_halves_digits_makes_vectors_of_its_own(memory: Memory, plugins: Plugins) -> None:
    memory.write(".patina/oxidize.yaml", SWITCHES["runtime"])
    Worker(plugins).sync(memory)
    whole = space_of(memory)
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text('[runtime.mlx]\ndtype = "bfloat16"\n')
    killed = Worker(plugins, most=6)
    with suppress(Killed):
        killed.sync(memory)
    assert space_of(memory) == whole
    rest = Worker(plugins)
    rest.sync(memory)
    assert sorted([*killed.texts, *rest.texts]) == sorted(TEXTS)
    half = space_of(memory)
    assert (whole.variant, half.variant) == ("", "bfloat16")
    assert half.fingerprint != whole.fingerprint
    with Patina(memory.repository, plugins) as patina:
        status = patina.status()
    assert (status.model, status.runtime, status.variant) == ("several", "mlx", "bfloat16")
    user_file().unlink()
    back = Worker(plugins)
    back.sync(memory)
    assert (back.texts, space_of(memory)) == ([], whole)


def test_a_precision_that_the_model_lacks_leaves_the_old_vectors_and_says_why(
    memory: Memory, plugins: Plugins
) -> None:
    before, old = answers(memory, plugins), space_of(memory)
    memory.write(".patina/oxidize.yaml", "embedding_model: several\nruntime: onnx/int4\n")
    report = Worker(plugins).sync(memory)
    (fault,) = report.faults
    assert "has no files for the runtime onnx/int4; it has: mlx, onnx, onnx/int8" in fault.error
    assert (space_of(memory), answers(memory, plugins)) == (old, before)


@pytest.mark.parametrize(
    "recipe", ["embedding_model: sevral\n", "runtime: onnx/int4\n", "embedding_model: {\n"]
)
def test_gc_keeps_what_is_half_made_where_it_cannot_tell_what_is_wanted(
    memory: Memory, plugins: Plugins, recipe: str
) -> None:
    memory.write(".patina/oxidize.yaml", SWITCHES["precision"])
    killed = Worker(plugins, most=6)
    with pytest.raises(Killed):
        killed.sync(memory)
    before = folders(memory)
    memory.write(".patina/oxidize.yaml", recipe)
    with Patina(memory.repository, plugins) as patina:
        freed = patina.gc()
    assert freed.embeddings == 0
    assert freed.kept
    assert folders(memory) == before
    memory.write(".patina/oxidize.yaml", SWITCHES["precision"])
    rest = Worker(plugins)
    rest.sync(memory)
    assert sorted([*killed.texts, *rest.texts]) == sorted(TEXTS), "no text was read twice"
    memory.write(".patina/oxidize.yaml", ONE)
    with Patina(memory.repository, plugins) as patina:
        assert patina.gc().kept == ""


def test_a_runtime_named_with_its_plugin_and_a_precision_has_the_same_vectors(
    memory: Memory, plugins: Plugins
) -> None:
    memory.write(".patina/oxidize.yaml", SWITCHES["precision"])
    Worker(plugins).sync(memory)
    short = space_of(memory)
    memory.write(".patina/oxidize.yaml", "embedding_model: several\nruntime: patina-onnx/onnx/int8\n")
    worker = Worker(plugins)
    assert worker.sync(memory).faults == ()
    assert (worker.texts, space_of(memory)) == ([], replace(short, runtime="patina-onnx/onnx/int8"))
    assert answers(memory, plugins)[0][0] == "text number 3"
