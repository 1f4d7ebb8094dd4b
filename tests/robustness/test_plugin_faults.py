"""Plugins of others that raise, exit, give rubbish or never end: the rest works, and the fault is shown."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from support.memory import Memory, open_model
from support.memory import plugins as sound_plugins

from patina_hooks import hookimpl
from patina_hooks.api import Patina
from patina_hooks.errors import ModelError
from patina_hooks.models.encoding import Encoder, open_encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.spaces import VectorSpace
from patina_hooks.specs.plugins import ExtractorSpec, PairGeneratorSpec, SessionScope
from patina_hooks.specs.values import (
    Commit,
    Document,
    Extraction,
    Observation,
    Omission,
    Pair,
    Recorded,
    Session,
)
from patina_hooks.store.log import Log
from patina_hooks.upkeep.doctor import examine
from patina_hooks.upkeep.sync import SyncReport, synchronise

DOCUMENT = (
    "# Session: sqlite\n\n## Goals\n- [ ] why sqlite\n\n**Key Decisions:**\n- chose sqlite over files\n"
)


@pytest.fixture
def memory(memory: Memory) -> Memory:
    memory.git("tag", "-a", "-m", "x", "session-20251101-090000-start")
    memory.commit("parse the tree")
    memory.git("tag", "-a", "-m", "x", "session-20251101-090000-end")
    memory.commit("archive", {"layer/sessions/20251101-090000.md": DOCUMENT})
    return memory


def as_module(name: str, **contents: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    return module


def with_plugin(**hooks: Callable[..., Any]) -> Plugins:
    loaded = Plugins.load(disabled=())
    loaded.register(as_module("bad", **{name: hookimpl(hook) for name, hook in hooks.items()}), name="bad")
    return loaded


def sync(memory: Memory, plugins: Plugins) -> SyncReport:
    return synchronise(memory.repository, plugins=plugins, open_model=open_model)


def shown(memory: Memory, word: str) -> bool:
    """Whether status and doctor, asked later by a process that knows nothing of it, name the fault."""
    sync(memory, sound_plugins())
    status = Patina(memory.repository, sound_plugins()).status()
    findings = examine(memory.repository, sound_plugins())
    return any(word in repr(one) for one in (*status.faults, *status.skipped)) and any(
        word in repr(one) for one in findings if one.level == "fault"
    )


# --- event hooks ------------------------------------------------------------------------------------

EVENTS = {
    "patina_session_started": "session",
    "patina_session_ended": "session, commits",
    "patina_commit_recorded": "commit, documents",
    "patina_observations_changed": "added, removed",
    "patina_pairs_extracted": "pairs",
    "patina_embeddings_updated": "model, added, removed",
}


def hook(event: str, body: str) -> Callable[..., None]:
    scope: dict[str, Any] = {}
    exec(f"def {event}({EVENTS[event]}):\n    {body}\n", scope)  # noqa: S102 (pluggy looks at the signature)
    found: Callable[..., None] = scope[event]
    return found


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('the odd hook')",
        "raise ValueError('the odd hook \\udcff')",
        "raise SystemExit('the odd hook')",
        "yield 'the odd hook'",
    ],
)
def test_an_event_hook_that_fails_is_shown_and_the_rest_goes_on(
    memory: Memory, event: str, body: str
) -> None:
    report = sync(memory, with_plugin(**{event: hook(event, body)}))
    assert {fault.plugin for fault in report.faults} == {"bad"}
    assert memory.snapshot() == memory.rebuilt()
    assert shown(memory, event)


def test_event_hooks_may_look_at_everything_they_are_given(memory: Memory) -> None:
    seen: list[str] = []

    def everything(values: Iterable[object]) -> None:
        seen.extend(repr(value) for value in values)

    def patina_commit_recorded(commit: Commit, documents: Sequence[Document]) -> None:
        everything((commit, *documents, *commit.changes))

    def patina_observations_changed(added: Sequence[Recorded], removed: Sequence[Recorded]) -> None:
        everything((*added, *removed))

    def patina_session_ended(session: Session, commits: Sequence[Commit]) -> None:
        everything((session, *commits))

    hooks = (patina_commit_recorded, patina_observations_changed, patina_session_ended)
    report = sync(memory, with_plugin(**{one.__name__: one for one in hooks}))
    assert report.faults == ()
    assert any("chose sqlite over files" in one for one in seen)


def test_a_mishap_is_forgotten_once_it_does_not_happen_any_more(memory: Memory) -> None:
    event = "patina_commit_recorded"
    sync(memory, with_plugin(**{event: hook(event, "raise ValueError('the odd hook')")}))
    assert shown(memory, event)
    memory.commit("one more")
    assert not shown(memory, event)


# --- extractors -------------------------------------------------------------------------------------


def raises(document: Document) -> None:
    raise ValueError("the odd extractor")


def leaves(document: Document) -> None:
    raise SystemExit("the odd extractor")


def is_cancelled(document: Document) -> None:
    raise asyncio.CancelledError("the odd extractor")  # no Exception


def raises_odd_words(document: Document) -> None:
    raise ValueError("the odd extractor \udcff" + "\x1b" * 1_000_000)


def nothing(document: Document) -> None:
    return None


def rubbish(document: Document) -> object:
    return SimpleNamespace(observations=[1, 2], title=3, fields=4)


def odd_observation(document: Document) -> object:
    return Extraction((Observation("kind", None, 1 << 70),))  # type: ignore[arg-type]


def odd_omission(document: Document) -> object:
    return Extraction((), omissions=(Omission(1, "9", "too many observations"),))  # type: ignore[arg-type]


def hostile_kind(document: Document) -> object:
    return Extraction((Observation("\x1b[31m", "text", 1),))


@pytest.mark.parametrize(
    "function",
    [
        raises,
        leaves,
        is_cancelled,
        raises_odd_words,
        nothing,
        rubbish,
        odd_observation,
        odd_omission,
        hostile_kind,
    ],
    ids=lambda one: one.__name__,
)
def test_an_extractor_that_fails_leaves_the_others_to_their_work(
    memory: Memory, function: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "odd_plugin", as_module("odd_plugin", extract=function))

    def patina_register_extractors() -> Iterator[ExtractorSpec]:
        yield ExtractorSpec("odd", 1, "session", "odd_plugin:extract")

    plugins = with_plugin(patina_register_extractors=patina_register_extractors)
    report = sync(memory, plugins)
    assert {fault.plugin for fault in report.faults} == {"bad"}
    assert all(len(fault.error.encode("utf-8")) < 10_000 for fault in report.faults)
    assert "chose sqlite over files" in str(memory.snapshot().observations)
    status = Patina(memory.repository, plugins).status()
    assert ("layer/sessions/20251101-090000.md", "the extractor odd failed") in status.skipped
    assert sync(memory, plugins).added == 0
    # Uninstalled, it leaves nothing behind.
    sync(memory, sound_plugins())
    assert memory.snapshot() == memory.rebuilt()


# --- pair generators --------------------------------------------------------------------------------


def pair(anchor: str, positive: str, **changed: object) -> Pair:
    return replace(Pair("odd", anchor, positive, None, 1.0, "x"), **changed)  # type: ignore[arg-type]


GENERATORS: dict[str, Callable[[SessionScope], object]] = {
    "raises": lambda scope: 1 / 0,
    "is cancelled": lambda scope: is_cancelled(Document("session", "", "")),
    "nothing": lambda scope: None,
    "numbers": lambda scope: [1, 2, 3],
    "no ids": lambda scope: [pair("zz", "../..")],
    "of nobody": lambda scope: [pair("00" * 16, "11" * 16)],
    "no weight": lambda scope: [pair(scope.document[0].id, scope.document[1].id, weight="heavy")],
    "no negative": lambda scope: [pair(scope.document[0].id, scope.document[1].id, negative="zz")],
    "numbers without end": lambda scope: itertools.count(),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_pair_generator_that_fails_leaves_the_others_to_their_work(
    memory: Memory, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "odd_plugin", as_module("odd_plugin", generate=GENERATORS[name]))

    def patina_register_pair_generators() -> Iterator[PairGeneratorSpec]:
        yield PairGeneratorSpec("odd", 1, "odd_plugin:generate")

    plugins = with_plugin(patina_register_pair_generators=patina_register_pair_generators)
    report = sync(memory, plugins)
    assert {fault.plugin for fault in report.faults} == {"bad"}
    assert {str(row[2]) for row in memory.snapshot().pairs} >= {"goal_observation", "commit_session"}
    sync(memory, sound_plugins())
    assert memory.snapshot() == memory.rebuilt()


def test_a_pair_generator_without_end_is_cut_off(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    def generate(scope: SessionScope) -> Iterator[Pair]:
        first, second, *_ = scope.document
        for number in itertools.count():
            yield pair(first.id, second.id, evidence=str(number // 2))

    monkeypatch.setitem(sys.modules, "odd_plugin", as_module("odd_plugin", generate=generate))

    def patina_register_pair_generators() -> Iterator[PairGeneratorSpec]:
        yield PairGeneratorSpec("odd", 1, "odd_plugin:generate")

    sync(memory, with_plugin(patina_register_pair_generators=patina_register_pair_generators))
    assert 0 < len(memory.snapshot().pairs) <= 20_010


# --- models -----------------------------------------------------------------------------------------


def test_a_model_that_vanished_leaves_the_words(memory: Memory) -> None:
    memory.sync()
    memory.commit("fix crash in worker")
    without = Plugins.load(disabled=["patina-acme"])
    report = synchronise(memory.repository, plugins=without)
    assert [fault.where for fault in report.faults] == ["model acme-64"]
    said: list[str] = []
    hits = Patina(memory.repository, without).search("fix crash in worker", on_fault=said.append)
    assert hits[0].text == "fix crash in worker"
    assert len(said) == 1
    assert any(one.check == "model" and one.level == "fault" for one in examine(memory.repository, without))
    assert any("acme-64" in fault.where for fault in Patina(memory.repository, without).status().faults)
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()


@pytest.mark.parametrize(
    "error", [ModelError("the file was altered", hint="pip install it"), OSError(5, "broken")]
)
def test_a_model_that_cannot_be_opened_leaves_the_words(memory: Memory, error: Exception) -> None:
    def closed(space: VectorSpace) -> Encoder:
        raise error

    try:
        synchronise(memory.repository, plugins=sound_plugins(), open_model=closed)
    except Exception as raised:
        assert getattr(raised, "hint", "")  # noqa: PT017
    with closing(Log(memory.state)) as log:
        pending = log.connection.execute(
            "SELECT count(*) FROM text WHERE live > 0 AND indexed = 0"
        ).fetchone()[0]
    assert pending > 0
    hits = Patina(memory.repository, sound_plugins()).search("chose sqlite", mode="lexical")
    assert hits
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()


def test_an_engine_that_fails_at_work_is_a_fault_and_leaves_the_words(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    with Patina(memory.repository, sound_plugins()) as patina:
        encoder = open_encoder(sound_plugins(), "acme-64")
        monkeypatch.setattr(encoder.model, "forward", fails)
        monkeypatch.setattr("patina_hooks.search.opening.open_encoder", lambda *_, **__: encoder)
        report = patina.sync()
        assert report is not None
        (fault,) = report.faults
        assert fault.where == "model acme-64"
        assert "failed to run model acme-64: RuntimeError: CUDA out of memory" in fault.error
        assert report.pending > 0
        said: list[str] = []
        assert patina.search("chose sqlite", on_fault=said.append)
        assert "CUDA out of memory" in said[0]
    monkeypatch.undo()
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()
