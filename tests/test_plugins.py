from __future__ import annotations

import doctest
import itertools
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from support.distributions import Site, importable

import patina_hooks
from patina_hooks.commands.setup.plugins import plugins_command, render_lines
from patina_hooks.config.settings import load_settings, user_file
from patina_hooks.errors import PluginError, SettingsError
from patina_hooks.plugins import hookspecs
from patina_hooks.plugins.hookspecs import hookimpl
from patina_hooks.plugins.kinds import KINDS
from patina_hooks.plugins.manager import Plugins, open_callable
from patina_hooks.specs.models import ModelSpec, RuntimeSpec
from patina_hooks.specs.plugins import ExtractorSpec, PluginInfo, RecordedError
from patina_hooks.specs.sources import SourceSpec


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.delenv("PATINA_STRICT", raising=False)
    monkeypatch.delenv("PATINA_DISABLE_PLUGINS", raising=False)
    with importable(tmp_path):
        yield Site(tmp_path)


def source(model: str, *, before: str = "") -> str:
    return f"""
from patina_hooks import ModelSpec, hookimpl
{before}
@hookimpl
def patina_register_models():
    yield ModelSpec({model!r}, dimensions=8, runtimes={{}})
"""


def write_user_settings(text: str) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(text)


def model(name: str) -> ModelSpec:
    return ModelSpec(name, dimensions=8, runtimes={})


def models_plugin(answer: Callable[[], object]) -> object:
    @hookimpl
    def patina_register_models() -> object:
        return answer()

    return SimpleNamespace(patina_register_models=patina_register_models)


def giving(*names: str) -> object:
    return models_plugin(lambda: [model(name) for name in names])


def registered(**plugins: object) -> Plugins:
    found = Plugins()
    for name, plugin in plugins.items():
        found.register(plugin, name)
    return found


# --- loading ------------------------------------------------------------------------------------


def test_an_installed_plugin_is_found_by_its_entry_point(site: Site) -> None:
    site.add(
        "patina-one", files={"one.py": source("one-8")}, entry_points={"patina-one": "one"}, version="2.5"
    )
    plugins = Plugins.load()
    assert plugins.model("one-8").dimensions == 8
    (info,) = [info for info in plugins.info() if info.name == "patina-one"]
    assert info == PluginInfo("patina-one", "2.5", {"models": ("one-8",)}, ())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def", "SyntaxError"),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E"),
    ],
)
def test_a_plugin_that_does_not_load_is_a_fault_and_the_others_go_on(
    site: Site, code: str, said: str
) -> None:
    site.add("patina-bad", files={"bad.py": code}, entry_points={"patina-bad": "bad"})
    site.add("patina-good", files={"good.py": source("good-8")}, entry_points={"patina-good": "good"})
    plugins = Plugins.load()
    assert plugins.model("good-8")
    (fault,) = plugins.faults_of("patina-bad")
    assert fault.where == "bad"
    assert said in fault.error


def test_interrupting_a_load_interrupts(site: Site) -> None:
    site.add(
        "patina-slow",
        files={"slow.py": "raise KeyboardInterrupt"},
        entry_points={"patina-slow": "slow"},
    )
    with pytest.raises(KeyboardInterrupt):
        Plugins.load()


def test_strict_mode_raises_the_first_fault(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("patina-bad", files={"bad.py": "1 / 0"}, entry_points={"patina-bad": "bad"})
    monkeypatch.setenv("PATINA_STRICT", "1")
    with pytest.raises(PluginError, match=r"(?s)patina-bad, bad: .*ZeroDivisionError"):
        Plugins.load()
    assert Plugins.load(strict=False).faults_of("patina-bad")


@pytest.mark.parametrize("listed", ["bad", "other, patina-bad", "*", "bad,patina-good"])
def test_disabled_plugins_are_never_imported(
    site: Site, monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    site.add("patina-bad", files={"bad.py": "1 / 0"}, entry_points={"bad": "bad"})
    monkeypatch.setenv("PATINA_DISABLE_PLUGINS", listed)
    plugins = Plugins.load()
    assert "bad" not in [info.name for info in plugins.info()]
    assert not plugins.faults_of("bad")
    (info,) = [info for info in plugins.disabled() if info.name == "bad"]
    assert (info.version, info.provides, info.disabled_by) == ("1.0", {}, "PATINA_DISABLE_PLUGINS")


@pytest.mark.parametrize("listed", ['["bad"]', '["other", "patina-bad"]', '["*"]'])
def test_plugins_are_disabled_by_user_settings(site: Site, listed: str) -> None:
    site.add("patina-bad", files={"bad.py": "1 / 0"}, entry_points={"bad": "bad"})
    write_user_settings(f"[plugins]\ndisable = {listed}\n")
    shell = CliRunner()
    (row,) = [
        row for row in json.loads(shell.invoke(plugins_command, ["--json"]).output) if row["name"] == "bad"
    ]
    assert (row["disabled_by"], row["provides"], row["faults"]) == ("config.toml", {}, [])
    assert re.search(r"(?m)^bad +1\.0 +disabled by config\.toml$", shell.invoke(plugins_command).output)
    with pytest.raises(PluginError, match=r"no model is named 'x-8' .*\(disabled: .*bad"):
        Plugins.load().model("x-8")


def test_plugins_are_not_disabled_by_repository_settings(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("patina-one", files={"one.py": source("one-8")}, entry_points={"patina-one": "one"})
    (tmp_path / ".patina").mkdir()
    (tmp_path / ".patina/config.toml").write_text('[plugins]\ndisable = ["patina-one"]\n')
    monkeypatch.chdir(tmp_path)
    assert Plugins.load().model("one-8")


@pytest.mark.parametrize("text", ["[plugins\n", "[plugins]\ndisable = 'one'\n", "plugins = 1\n"])
def test_invalid_settings_disable_no_plugin(site: Site, tmp_path: Path, text: str) -> None:
    site.add("patina-one", files={"one.py": source("one-8")}, entry_points={"patina-one": "one"})
    write_user_settings(text)
    assert Plugins.load().model("one-8")
    with pytest.raises(SettingsError, match=r"config\.toml:\d: "):
        load_settings(tmp_path)


def test_with_all_plugins_disabled_the_built_ins_stay() -> None:
    assert [info.name for info in Plugins.load(disabled={"*"}).info()] == ["patina-hooks"]


def test_two_distributions_with_one_entry_point_name_both_stay(site: Site) -> None:
    site.add("patina-left", files={"left.py": source("left-8")}, entry_points={"embed": "left"})
    site.add("patina-right", files={"right.py": source("right-8")}, entry_points={"embed": "right"})
    plugins = Plugins.load()
    names = [info.name for info in plugins.info() if info.name.startswith("embed")]
    assert names == ["embed@patina-left", "embed@patina-right"]
    assert plugins.model("embed@patina-left/left-8") == plugins.model("left-8")
    assert plugins.model("right-8")


def test_a_second_plugin_of_one_name_is_a_fault_and_the_first_counts() -> None:
    plugins = registered(acme=giving("a-8"))
    plugins.register(giving("b-8"), "acme")
    assert [one.name for one in plugins.models()] == ["a-8"]
    assert "already registered" in plugins.faults[0].error


def test_one_module_under_two_names_counts_once() -> None:
    plugin = giving("a-8")
    plugins = registered(acme=plugin, other=plugin)
    assert plugins.model("a-8")
    assert [fault.plugin for fault in plugins.faults] == ["other"]


def test_nobody_takes_the_name_of_the_built_ins(site: Site) -> None:
    site.add("patina-thief", files={"thief.py": source("t-8")}, entry_points={"patina-hooks": "thief"})
    plugins = Plugins.load()
    assert plugins.model("patina-hooks@patina-thief/t-8")


def test_a_hook_that_nobody_knows_is_a_fault_and_the_other_hooks_count() -> None:
    plugin = giving("a-8")
    plugin.patina_register_modles = hookimpl(lambda: [])  # type: ignore[attr-defined]
    plugins = registered(acme=plugin)
    (fault,) = plugins.faults
    assert (fault.plugin, fault.where) == ("acme", "patina_register_modles")
    assert "did you mean patina_register_models" in fault.error
    assert "patina_commit_recorded" in fault.error
    assert plugins.model("a-8")


def test_a_signature_that_the_hook_does_not_have_is_a_fault() -> None:
    @hookimpl
    def patina_commit_recorded(commit: object, colour: object) -> None:
        raise NotImplementedError

    plugins = registered(
        acme=SimpleNamespace(patina_commit_recorded=patina_commit_recorded), good=giving("a-8")
    )
    (fault,) = plugins.faults
    assert fault.plugin == "acme"
    expected = "patina_commit_recorded takes no argument 'colour' (it has: commit, documents, repository)"
    assert fault.error == expected
    assert plugins.notify("patina_commit_recorded", commit=1, documents=()) == ()
    assert plugins.model("a-8")


def test_hook_without_its_mark_is_an_error() -> None:
    def patina_register_models() -> list[ModelSpec]:
        return [model("a-8")]

    plugins = registered(acme=SimpleNamespace(patina_register_models=patina_register_models))

    (fault,) = plugins.faults
    assert (fault.plugin, fault.where) == ("acme", "patina_register_models")
    assert fault.error == "is not marked with @hookimpl, so it is never called"


# --- registering --------------------------------------------------------------------------------


def raising() -> Iterator[ModelSpec]:
    yield model("kept-8")
    raise RuntimeError("no licence")


def expected() -> Iterator[ModelSpec]:
    raise PluginError("an error of our own tree is a fault of the plugin like any other")


def leaving() -> Iterator[ModelSpec]:
    raise SystemExit(1)


def invalid() -> Iterator[ModelSpec]:
    yield ModelSpec("a/b", dimensions=8, runtimes={})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: None, "returned a value of type NoneType; return a list, or yield"),
        (lambda: model("a-8"), "returned a value of type ModelSpec; return a list, or yield"),
        (lambda: "a-8", "returned a value of type str"),
        (lambda: {"a": model("a-8")}, "returned a value of type dict"),
        (lambda: [42], "gave a value of type int; expected ModelSpec"),
        (lambda: [RuntimeSpec("a", "b:c")], "gave a value of type RuntimeSpec; expected ModelSpec"),
        (lambda: [model("a-8"), model("a-8")], "gave the model 'a-8' twice"),
        (raising, "RuntimeError: no licence"),
        (invalid, "ValueError: model name 'a/b'"),
        (expected, "PluginError: an error of our own tree"),
        (leaving, "SystemExit: 1"),
    ],
)
def test_what_is_no_list_of_valid_specs_is_a_fault(answer: Callable[[], object], said: str) -> None:
    plugins = registered(acme=models_plugin(answer), good=giving("good-8"))
    assert plugins.model("good-8")
    (fault,) = plugins.faults
    assert (fault.plugin, fault.where) == ("acme", "patina_register_models")
    assert said in fault.error


def test_what_came_before_a_fault_counts() -> None:
    assert registered(acme=models_plugin(raising)).model("kept-8")


@pytest.mark.parametrize("opener", ["os.system", "a:b:c", "../a:b", "a: b", "", ":f"])
def test_a_reference_that_names_no_code_is_a_fault(opener: str) -> None:
    @hookimpl
    def patina_register_runtimes() -> Iterable[RuntimeSpec]:
        return [RuntimeSpec("acme", opener)]

    plugins = registered(acme=SimpleNamespace(patina_register_runtimes=patina_register_runtimes))
    assert plugins.runtimes() == ()
    assert "expected 'package.module:callable'" in plugins.faults[0].error


def test_register_hooks_are_called_once_and_only_when_asked() -> None:
    calls = []
    plugins = registered(acme=models_plugin(lambda: calls.append(1) or [model("a-8")]))  # type: ignore[func-returns-value]
    assert plugins.runtimes() == ()
    assert calls == []
    for _ in range(3):
        plugins.model("a-8")
        plugins.info()
    assert calls == [1]


def test_a_thread_that_asks_while_another_registers_gets_all_of_it() -> None:
    plugins = Plugins.load(disabled=["*"])
    asked = threading.Event()

    def slowly() -> Iterator[ModelSpec]:
        yield model("first")
        other.start()
        asked.wait(0.2)  # ends at once where the other thread did not wait for us
        yield model("second")

    found: list[tuple[str, ...]] = []

    def ask() -> None:
        found.append(tuple(spec.name for spec in plugins.models()))
        asked.set()

    other = threading.Thread(target=ask)
    plugins.register(models_plugin(slowly), "slow")
    assert [spec.name for spec in plugins.models()] == ["first", "second"]
    other.join()
    assert found == [("first", "second")]


def test_strict_mode_raises_what_a_register_hook_gives_wrong() -> None:
    plugins = Plugins(strict=True)
    plugins.register(models_plugin(lambda: [42]), "acme")
    with pytest.raises(PluginError, match="acme, patina_register_models: gave a value of type int"):
        plugins.models()


# --- finding ------------------------------------------------------------------------------------


def test_an_unknown_name_lists_near_and_installed_ones_and_what_to_type() -> None:
    with pytest.raises(PluginError) as caught:
        registered(acme=giving("minilm-l6-v2", "other")).model("minilm-l6")
    assert "no model is named 'minilm-l6' (there are: minilm-l6-v2, other)" in str(caught.value)
    assert "did you mean minilm-l6-v2?" in str(caught.value)
    assert caught.value.hint == "patina plugins"
    with pytest.raises(PluginError) as caught:
        registered(acme=giving("other")).model("minilm-l6-v2")
    assert caught.value.hint == "pip install patina-onnx patina-minilm"


def test_an_unknown_name_mentions_plugins_with_faults() -> None:
    with pytest.raises(PluginError, match="with errors: acme"):
        registered(acme=models_plugin(lambda: None)).model("a-8")


def test_an_ambiguous_name_is_an_error_only_when_it_is_used() -> None:
    plugins = registered(left=giving("same", "l-8"), right=giving("same"))
    assert plugins.model("l-8").name == "l-8"
    with pytest.raises(PluginError, match="several plugins provide the model 'same'") as caught:
        plugins.model("same")
    assert caught.value.hint == "name one of: left/same, right/same"
    assert plugins.model("right/same").name == "same"
    assert [one.name for one in plugins.models()] == ["l-8", "same", "same"]
    assert plugins.faults == ()


def reading(*names: str) -> object:
    specs = [ExtractorSpec(name, version=1, document_kind="adr", extract="acme:extract") for name in names]
    return SimpleNamespace(patina_register_extractors=hookimpl(lambda: specs))


def test_listings_do_not_depend_on_the_order_of_loading() -> None:
    kinds = sourcing(SourceSpec("adr", 1, include=("*.md",)))
    parts = {"a": reading("z", "same"), "b": reading("y"), "c": reading("same", "x"), "d": kinds}
    seen = {
        tuple(one.name for one in registered(**{name: parts[name] for name in order}).extractors())
        for order in itertools.permutations(parts)
    }
    assert seen == {("a/same", "c/same", "x", "y", "z")}


def sourcing(*specs: SourceSpec) -> object:
    return SimpleNamespace(patina_register_sources=hookimpl(lambda: specs))


def test_sources_of_plugins_come_before_the_built_in_ones_then_by_name() -> None:
    plugins = Plugins.load(disabled=["*"])
    for kind in ("wiki", "adr"):
        plugins.register(sourcing(SourceSpec(kind, 1, include=("*.md",))), f"patina-{kind}")
    assert [source.name for source in plugins.sources()] == ["adr", "wiki", "commit", "prose", "session"]
    assert plugins.faults == ()


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (SourceSpec("session", 1, include=("*.md",)), "source 'session' is provided by patina-hooks"),
        (SourceSpec("mail", 1, objects="messages"), "only the built-in source 'commit' reads messages"),
        (SourceSpec("adr", 1, include=("*",), describe="os.system"), "describe is 'os.system'; expected"),
    ],
)
def test_a_source_that_cannot_be_used_is_a_fault_of_its_plugin(spec: SourceSpec, problem: str) -> None:
    plugins = Plugins.load(disabled=["*"])
    plugins.register(sourcing(spec), "patina-acme")
    assert [source.name for source in plugins.sources()] == ["commit", "prose", "session"]
    (fault,) = plugins.faults_of("patina-acme")
    assert fault.where == "patina_register_sources"
    assert problem in fault.error


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"name": "Two Words"}, "lower-case"),
        ({"collection": "mail"}, "one of history, docs, code"),
        ({"include": ()}, "at least one pattern"),
        ({"objects": "messages"}, "no patterns"),
        ({"drafts": ("**/*.md",)}, "patterns like folder/"),
        ({"largest": 0}, "at least 1"),
    ],
)
def test_a_source_is_refused_when_a_field_is_invalid(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        SourceSpec(**{"name": "adr", "version": 1, "include": ("*.md",), **given})


@pytest.mark.parametrize(
    ("spec", "old", "new"),
    [
        ("Extractor", "reads", "document_kind"),
        ("PairGenerator", "reads", "scope"),
        ("Runtime", "opener", "factory"),
        ("Runtime", "gives", "output"),
        ("IndexBackend", "opener", "factory"),
        ("Model", "one_by_one", "unbatched_runtimes"),
    ],
)
def test_an_error_names_the_new_field_when_a_plugin_uses_that_of_0_1_0(spec: str, old: str, new: str) -> None:
    hook = {"PairGenerator": "pair_generator", "IndexBackend": "index_backend"}.get(spec, spec.lower())

    def register() -> list[object]:
        return [getattr(patina_hooks, f"{spec}Spec")("adr", **{old: "session"})]

    plugins = registered(acme=SimpleNamespace(**{f"patina_register_{hook}s": hookimpl(register)}))
    plugins.info()
    (fault,) = plugins.faults_of("acme")
    assert f"'{old}'" in fault.error
    assert fault.error.endswith(f"; the field is now '{new}'")


def test_an_extractor_of_an_unknown_kind_is_a_fault_that_lists_the_kinds() -> None:
    plugins = Plugins.load(disabled=["*"])
    spec = ExtractorSpec("adr", version=1, document_kind="adr", extract="acme:extract")
    plugins.register(SimpleNamespace(patina_register_extractors=hookimpl(lambda: [spec])), "patina-acme")
    assert [extractor.name for extractor in plugins.extractors()] == ["commit", "prose", "session"]
    (fault,) = plugins.faults_of("patina-acme")
    assert (
        fault.error == "extractor 'adr': unknown kind of document 'adr'; choose from commit, prose, session"
    )


# --- events -------------------------------------------------------------------------------------


def listening(function: Callable[..., Any]) -> object:
    return SimpleNamespace(patina_commit_recorded=hookimpl(function))


def test_each_plugin_gets_the_arguments_that_it_takes() -> None:
    heard: list[object] = []

    def keep(commit: object) -> None:
        heard.append(commit)

    plugins = registered(
        a=listening(lambda documents, commit: heard.append((commit, documents))),
        b=listening(lambda: heard.append("nothing")),
        c=listening(keep),
    )
    assert plugins.notify("patina_commit_recorded", commit="c1", documents=("d1",)) == ()
    assert heard == [("c1", ("d1",)), "nothing", "c1"]


def test_one_that_raises_does_not_silence_the_others() -> None:
    heard: list[object] = []

    def fail(commit: object) -> None:
        raise SystemExit(f"no {commit}")

    def keep(commit: object) -> None:
        heard.append(commit)

    plugins = registered(a=listening(fail), b=listening(keep))
    (fault,) = plugins.notify("patina_commit_recorded", commit="c1", documents=())
    assert (fault.plugin, fault.where) == ("a", "patina_commit_recorded")
    line = fail.__code__.co_firstlineno + 1
    assert fault.error == f"SystemExit: no c1 (tests/test_plugins.py:{line})"
    assert plugins.faults == ()
    assert heard == ["c1"]


def test_interrupting_an_event_hook_interrupts() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registered(a=listening(stop)).notify("patina_commit_recorded", commit=1, documents=())


def test_an_event_hook_that_yields_would_never_run_and_is_a_fault() -> None:
    def lazy(commit: object) -> Iterator[object]:
        yield commit

    (fault,) = registered(a=listening(lazy)).notify("patina_commit_recorded", commit=1, documents=())
    assert fault.error == "returned a value of type generator; an event hook returns None"


def test_an_event_that_does_not_exist_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="no hook is named 'patina_comit_recorded'"):
        Plugins().notify("patina_comit_recorded")


# --- opening ------------------------------------------------------------------------------------


def test_code_is_opened_by_name() -> None:
    assert open_callable("json:dumps") is json.dumps
    assert open_callable("json.decoder:JSONDecoder.decode") is json.JSONDecoder.decode


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("json", "expected 'package.module:callable'"),
        ("no_such_module_here:run", "No module named 'no_such_module_here'"),
        ("json:no_such_function", "has no attribute 'no_such_function'"),
        ("json:__name__", "is not callable"),
    ],
)
def test_code_that_cannot_be_opened_says_why(reference: str, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        open_callable(reference)


# --- showing ------------------------------------------------------------------------------------


def test_the_command_lists_plugins_as_json_and_ends_well_also_with_faults(site: Site) -> None:
    site.add("patina-bad", files={"bad.py": "1 / 0"}, entry_points={"patina-bad": "bad"})
    site.add("patina-good", files={"good.py": source("good-8")}, entry_points={"patina-good": "good"})
    done = CliRunner().invoke(plugins_command, ["--json"])
    assert done.exit_code == 0
    listed = {row["name"]: row for row in json.loads(done.stdout)}
    assert listed["patina-good"] == {
        "name": "patina-good",
        "version": "1.0",
        "provides": {"models": ["good-8"]},
        "hears": [],
        "disabled_by": "",
        "faults": [],
    }
    (fault,) = listed["patina-bad"]["faults"]
    assert fault["where"] == "bad"
    assert "ZeroDivisionError" in fault["error"]


def test_the_command_shows_a_table(site: Site) -> None:
    site.add("patina-good", files={"good.py": source("good-8")}, entry_points={"patina-good": "good"})
    done = CliRunner().invoke(plugins_command)
    assert done.exit_code == 0
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("patina-good")]
    assert row.split() == ["patina-good", "1.0", "models:", "good-8"]


def test_what_a_plugin_hears_is_shown(site: Site) -> None:
    code = "from patina_hooks import hookimpl\n@hookimpl\ndef patina_session_ended(session): pass\n"
    site.add("patina-ear", files={"ear.py": code}, entry_points={"patina-ear": "ear"})
    table = CliRunner().invoke(plugins_command).stdout.splitlines()
    (row,) = [line for line in table if line.startswith("patina-ear")]
    assert row.split() == ["patina-ear", "1.0", "event", "hooks:", "session_ended"]
    listed = {one["name"]: one for one in json.loads(CliRunner().invoke(plugins_command, "--json").stdout)}
    assert listed["patina-ear"]["hears"] == ["patina_session_ended"]
    assert listed["patina-hooks"]["hears"] == []


def test_nothing_that_a_plugin_says_reaches_the_terminal_raw() -> None:
    fault = RecordedError("a\x1b[31m", "hook\x9b", "first\x1b]0;x\x07\nsecond\u202e\r")
    shown = "\n".join(render_lines([PluginInfo("a\x1b[31m", "1\x07", {"models": ("m\u202e",)}, (fault,))]))
    assert not any(ord(character) < 32 and character != "\n" for character in shown)
    assert not set(shown) & {"\x7f", "\x9b", "\u202e"}
    assert "second" in shown


# --- the hooks themselves -----------------------------------------------------------------------


def test_every_hook_has_a_docstring_whose_example_runs() -> None:
    hooks = [name for name in dir(hookspecs) if name.startswith("patina_")]
    assert {kind.hook for kind in KINDS} < set(hooks)
    for name in hooks:
        example = doctest.DocTestParser().get_doctest(getattr(hookspecs, name).__doc__, {}, name, None, 0)
        assert example.examples, f"{name} has no example"
        assert doctest.DocTestRunner(verbose=False).run(example).failed == 0, name


def test_listing_plugins_loads_nothing_heavy() -> None:
    code = (
        "import sys; from patina_hooks.plugins.manager import Plugins; Plugins.load().info();"
        "print(*{'numpy', 'onnxruntime', 'tokenizers', 'torch', 'mlx', 'git'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
