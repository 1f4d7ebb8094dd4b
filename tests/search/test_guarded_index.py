"""An index of a plugin that raises or gives odd values: words answer, and the plugin is named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.memory import Memory, open_model

from patina_hooks import hookimpl
from patina_hooks.api import Patina
from patina_hooks.errors import IndexUnavailable
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.index.exact import ExactIndex
from patina_hooks.specs.plugins import IndexBackendSpec
from patina_hooks.upkeep.doctor import examine
from patina_hooks.upkeep.sync import synchronise

RECIPE = "version: 2\nembedding_model: acme-64\nindex: far\n"


class Far:
    """A sound index with one method replaced."""

    def __init__(self, method: str, replacement: Callable[..., Any], *arguments: Any) -> None:  # noqa: ANN401
        self._index, self._method, self._replacement = ExactIndex(*arguments), method, replacement

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return self._replacement if name == self._method else getattr(self._index, name)


def away(*_: object, **__: object) -> None:
    raise ConnectionRefusedError("the server is away")


def leave(*_: object, **__: object) -> None:
    raise SystemExit(3)


def odd(*_: object, **__: object) -> object:
    return [("key", float("nan"))]


class Provider:
    @hookimpl
    def patina_register_index_backends(self) -> Iterator[IndexBackendSpec]:
        yield IndexBackendSpec("far", factory="far_plugin:open_far")


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", RECIPE)
    memory.commit("chose sqlite over files")
    return memory


def plugins_with(
    monkeypatch: pytest.MonkeyPatch, opener: Callable[..., object], strict: bool = False
) -> Plugins:
    module = ModuleType("far_plugin")
    vars(module)["open_far"] = opener
    monkeypatch.setitem(sys.modules, "far_plugin", module)
    plugins = Plugins.load(disabled=(), strict=strict)
    plugins.register(Provider(), "patina-far")
    return plugins


METHODS = ["open", "stats", "keys", "upsert", "verify", "tend"]


def failing(method: str, failure: Callable[..., Any]) -> Callable[..., object]:
    return failure if method == "open" else lambda *arguments: Far(method, failure, *arguments)


@pytest.mark.parametrize("failure", [away, leave])
@pytest.mark.parametrize("method", METHODS)
def test_words_answer_and_the_plugin_is_named_when_its_index_fails(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, method: str, failure: Callable[..., Any]
) -> None:
    plugins = plugins_with(monkeypatch, failing(method, failure))
    report = synchronise(memory.repository, plugins=plugins, open_model=open_model)
    (fault,) = report.faults
    assert (fault.plugin, fault.where) == ("patina-far", "index far")
    assert "test_guarded_index.py:" in fault.error
    with Patina(memory.repository, plugins) as patina:
        assert patina.search("chose sqlite", on_fault=lambda _: None)[0].text == "chose sqlite over files"
        assert fault in patina.status().faults
        patina.gc()
    assert any("patina-far" in repr(finding) for finding in examine(memory.repository, plugins))


@pytest.mark.parametrize("failure", [away, leave, odd])
def test_words_answer_when_a_search_fails(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, failure: Callable[..., Any]
) -> None:
    plugins = plugins_with(monkeypatch, failing("search", failure))
    assert synchronise(memory.repository, plugins=plugins, open_model=open_model).faults == ()
    remarks: list[str] = []
    with Patina(memory.repository, plugins) as patina:
        assert patina.search("chose sqlite", on_fault=remarks.append)[0].text == "chose sqlite over files"
        with pytest.raises(IndexUnavailable, match="index backend far"):
            patina.search("chose sqlite", mode="vector")
    assert "index backend far cannot be used: search:" in remarks[0]


def test_sync_does_in_turns_what_an_index_put_off(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter([True, True, False])
    plugins = plugins_with(monkeypatch, failing("tend", lambda: next(left, False)))
    turns = [synchronise(memory.repository, plugins=plugins, open_model=open_model) for _ in range(3)]
    assert [turn.postponed for turn in turns] == [True, True, False]
    assert [turn.faults for turn in turns] == [(), (), ()]


def test_strict_mode_raises_what_an_index_raises(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = plugins_with(monkeypatch, away, strict=True)
    with pytest.raises(IndexUnavailable, match="ConnectionRefusedError: the server is away"):
        synchronise(memory.repository, plugins=plugins, open_model=open_model)
