"""Vectors follow the live texts: only what is missing is encoded, and the old space answers meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.memory import FAST_RECIPE, Memory, are_probes, memory_of, open_model, plugins

from patina_hooks import ModelSpec, PackageFile, hookimpl
from patina_hooks.models.encoding import Encoded, Encoder, open_encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index import vector_update
from patina_hooks.search.index.exact import ExactIndex
from patina_hooks.search.index.spaces import VectorSpace, active_space
from patina_hooks.specs.models import Role
from patina_hooks.store.embeddings import read_cut_keys
from patina_hooks.upkeep.sync import SyncReport, synchronise

SESSION = "20251101-090000"


class Killed(BaseException):
    pass


@dataclass
class Counting:
    """Opens models and keeps what they were asked to encode; `after` texts it is killed."""

    providers: Plugins = field(default_factory=plugins)
    texts: list[str] = field(default_factory=list)
    opened: int = 0
    after: int | None = None

    def __call__(self, space: VectorSpace) -> Encoder:
        self.opened += 1
        encoder = open_encoder(self.providers, space.model, space.runtime)
        encode = encoder.encode

        def counted(texts: Sequence[str], *, role: Role) -> Encoded:
            if are_probes(texts):
                return encode(texts, role=role)
            if self.after is not None and len(self.texts) + len(texts) > self.after:
                raise Killed
            self.texts += texts
            return encode(texts, role=role)

        encoder.encode = counted  # type: ignore[method-assign]
        return encoder

    def sync(self, memory: Memory, **named: int | None) -> SyncReport:
        return synchronise(memory.repository, plugins=self.providers, open_model=self, **named)  # type: ignore[arg-type]


class Twin:
    """acme-64 under another name and with another prefix: another space."""

    @hookimpl
    def patina_register_models(self) -> list[ModelSpec]:
        model = PackageFile("patina-acme", "patina_acme/model.onnx")
        tokenizer = PackageFile("patina-acme", "patina_acme/tokenizer.json")
        files = {"onnx": {"model": model, "tokenizer": tokenizer}}
        return [ModelSpec("twin-64", 64, runtimes=files, max_tokens=128, passage_prefix="passage: ")]


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    return memory


@pytest.fixture
def twin() -> Plugins:
    providers = Plugins.load()
    providers.register(Twin(), "twin")
    return providers


def space_of(memory: Memory) -> VectorSpace:
    from contextlib import closing

    from patina_hooks.store.log import Log

    with closing(Log(memory.state, create=False)) as log:
        space = active_space(log)
    assert space is not None
    return space


def index_of(memory: Memory) -> ExactIndex:
    index = space_of(memory).open(plugins(), memory.state)
    assert isinstance(index, ExactIndex)
    return index


def test_each_text_is_encoded_once(memory: Memory) -> None:
    counting = Counting()
    memory.archive(SESSION, decisions=("said twice", "said twice", "said once"))
    memory.commit("said once")
    counting.sync(memory)
    assert sorted(text for text in counting.texts if text.startswith("said")) == ["said once", "said twice"]
    before = len(counting.texts)
    counting.sync(memory)
    memory.commit("a new text")
    counting.sync(memory)
    assert counting.texts[before:] == ["a new text"]


def test_without_a_new_text_no_model_is_opened(memory: Memory) -> None:
    Counting().sync(memory)
    counting = Counting()
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-start")
    memory.commit("begin")
    assert counting.sync(memory).encoded == 0
    assert counting.opened == 0


def test_a_branch_that_returns_costs_no_encoding(memory: Memory) -> None:
    counting = Counting()
    memory.git("switch", "-q", "-c", "side")
    memory.commit("on the side")
    counting.sync(memory)
    kept = memory.git("rev-parse", "side")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    assert counting.sync(memory).removed == 1
    assert index_of(memory).stats().rows == 1
    before = len(counting.texts)
    memory.git("branch", "side", kept)
    assert counting.sync(memory).indexed == 1
    assert len(counting.texts) == before
    assert memory.snapshot() == memory.rebuilt()


def test_newest_first_and_on_where_it_was_killed(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_update, "_FIRST_CHUNK", 4)
    monkeypatch.setattr(vector_update, "_CHUNK", 4)
    for number in range(20):
        memory.commit(f"text number {number}")
    killed = Counting(after=8)
    with pytest.raises(Killed):
        killed.sync(memory)
    assert sorted(killed.texts) == sorted(f"text number {number}" for number in range(12, 20))
    hits = memory.patina().search("text number 19", mode="vector")
    assert hits[0].text == "text number 19"
    assert memory.patina().status().pending == 13
    rest = Counting()
    rest.sync(memory)
    assert not set(rest.texts) & set(killed.texts)
    assert len(rest.texts) == 13 + 1
    assert rest.texts[-1] == "x", "the page of documentation comes after history"
    assert memory.snapshot() == memory.rebuilt()


def test_another_model_answers_only_once_it_is_whole(
    memory: Memory, twin: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_update, "_CHUNK", 4)
    for number in range(10):
        memory.commit(f"text number {number}")
    memory.sync()
    before = memory.patina().search("text number 3", mode="vector")
    memory.write(".patina/oxidize.yaml", "embedding_model: twin-64\n")
    killed = Counting(providers=twin, after=6)
    with pytest.raises(Killed):
        killed.sync(memory)
    assert memory.patina().status().model == "acme-64"
    assert memory.patina().search("text number 3", mode="vector") == before
    rest = Counting(providers=twin)
    report = rest.sync(memory)
    assert (report.pending, report.faults) == (0, ())
    texts = ["begin", "x", *(f"text number {n}" for n in range(10))]
    assert sorted([*killed.texts, *rest.texts]) == sorted(texts)
    assert space_of(memory).model == "twin-64"
    assert len(list((memory.state / "vectors").iterdir())) == 2
    memory_of(memory.repository, twin).gc()
    assert [path.name for path in (memory.state / "vectors").iterdir()] == [
        f"{space_of(memory).fingerprint}-exact"
    ]


def test_back_to_the_old_model_costs_no_encoding(memory: Memory, twin: Plugins) -> None:
    memory.sync()
    memory.write(".patina/oxidize.yaml", "embedding_model: twin-64\n")
    Counting(providers=twin).sync(memory)
    memory.commit("a new text")
    Counting(providers=twin).sync(memory)
    memory.write(".patina/oxidize.yaml", FAST_RECIPE)
    back = Counting()
    back.sync(memory)
    assert back.texts == ["a new text"]
    assert memory.snapshot() == memory.rebuilt()


def test_the_runtime_in_use_is_told(memory: Memory) -> None:
    memory.sync()
    status = memory.patina().status()
    assert (status.model, status.runtime) == ("acme-64", "onnx")
    memory.write(".patina/oxidize.yaml", f"{FAST_RECIPE}runtime: onnx\n")
    counting = Counting()
    assert counting.sync(memory).indexed == 0
    assert counting.opened == 0


def test_an_index_of_another_day_is_compared_not_trusted(memory: Memory, tmp_path: Path) -> None:
    memory.sync()
    folder = space_of(memory).folder(memory.state)
    shutil.copytree(folder, tmp_path / "kept")
    memory.commit("a later text")
    memory.sync()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder)
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()


def test_texts_beyond_the_model_are_cut_and_counted(memory: Memory) -> None:
    memory.commit("word " * 1_000)
    memory.sync()
    assert read_cut_keys(memory.state, space_of(memory).fingerprint)
    assert open_model(space_of(memory)).dimensions == 64
