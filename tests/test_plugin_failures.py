"""Failures of plugins: strict mode, an index whose server is away, tracebacks in the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.distributions import Site
from support.memory import FAST_RECIPE, Memory
from support.odd_plugin import install, patina

from patina_hooks.system.worker_log import WORKER, unresolved_errors

STRICT = {"PATINA_STRICT": "1"}


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("chose sqlite over files")
    return memory


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


# --- strict mode --------------------------------------------------------------------------------------

MODEL = """
@hookimpl
def patina_register_models():
    yield ModelSpec("odd-4", dimensions=4, runtimes={"odd": {}}, max_tokens=6)
@hookimpl
def patina_register_runtimes():
    yield RuntimeSpec("odd", "odd_work:work")
"""
RECIPE = "version: 2\nembedding_model: odd-4\n"
FAILS = "def work(*_, **__):\n    return [][0]\n"
TOKENIZER = """
class Model:
    def tokenize(self, texts, max_tokens):
        return [][0]
    def forward(self, *arguments):
        return [][0]
def work(*_):
    return Model()
"""
EVENTS = "@hookimpl\ndef patina_commit_recorded(commit):\n    return [][0]\n"
REGISTER = "@hookimpl\ndef patina_register_models():\n    return [][0]\n"
COMMAND = """
@hookimpl
def patina_register_commands():
    yield CommandSpec("odd", "Odd.", "odd_work:work")
"""
CLICK = "import click\n@click.command()\ndef work():\n    return [][0]\n"


@pytest.mark.parametrize(
    ("code", "work", "recipe"),
    [
        pytest.param(REGISTER, "", FAST_RECIPE, id="model"),
        pytest.param(MODEL, FAILS, RECIPE, id="runtime that opens"),
        pytest.param(MODEL, TOKENIZER, RECIPE, id="runtime that reads"),
        pytest.param(EVENTS, "", FAST_RECIPE, id="event hook"),
    ],
)
def test_strict_mode_raises_what_a_plugin_raises_in_a_sync(
    memory: Memory, site: Site, code: str, work: str, recipe: str
) -> None:
    memory.write(".patina/oxidize.yaml", recipe)
    install(site, code, odd_work=work)
    strict = patina(memory, site, "sync", environment=STRICT)
    assert strict.returncode == 1, strict.stderr
    assert "IndexError: list index out of range" in strict.stderr
    assert "bug" not in strict.stderr
    memory.commit("one more")
    lenient = patina(memory, site, "sync")
    assert lenient.returncode == 0, lenient.stderr
    assert "patina-odd" in lenient.stderr
    assert "IndexError: list index out of range (odd" in lenient.stderr


@pytest.mark.parametrize("environment", [STRICT, {}])
def test_a_command_of_a_plugin_that_fails_ends_with_1_in_any_mode(
    memory: Memory, site: Site, environment: dict[str, str]
) -> None:
    install(site, COMMAND, odd_work=CLICK)
    done = patina(memory, site, "odd", environment=environment)
    assert done.returncode == 1
    assert "plugin patina-odd: the command odd failed: IndexError: list index out of range" in done.stderr


# --- an index whose server is away ----------------------------------------------------------------------

INDEX = """
@hookimpl
def patina_register_index_backends():
    yield IndexBackendSpec("far", factory="odd_work:work")
"""
AWAY = "def work(*_, **__):\n    raise ConnectionRefusedError(111, 'the server is away')\n"
HERE = "from patina_hooks.search.index.exact import ExactIndex as work\n"


@pytest.mark.parametrize("was_there", [True, False])
@pytest.mark.parametrize(
    "command",
    [["scry", "sqlite"], ["sync"], ["status"], ["gc"], ["doctor"], ["log"]],
    ids=lambda words: words[0],
)
def test_no_command_ends_in_a_bug_when_the_server_of_an_index_is_away(
    memory: Memory, site: Site, command: list[str], was_there: bool
) -> None:
    memory.write(".patina/oxidize.yaml", f"{FAST_RECIPE}index: far\n")
    install(site, INDEX, odd_work=HERE if was_there else AWAY)
    assert patina(memory, site, "sync").returncode == 0
    if was_there:
        install(site, INDEX, odd_work=AWAY)
        memory.commit("a second commit about sqlite")
    done = patina(memory, site, *command)
    assert done.returncode == (1 if command == ["doctor"] else 0), done.stderr
    assert "bug" not in done.stderr
    if command[0] == "scry":
        assert "chose sqlite over files" in done.stdout
    (fault,) = json.loads(patina(memory, site, "status", "--json").stdout)["faults"]
    assert fault["plugin"] == "patina-odd"
    assert "the server is away" in fault["error"]


# --- the worker's log -----------------------------------------------------------------------------------

HELPER = """
def deeper():
    password = "api_key = 'sk-ant-api03-" + "x9Yz" * 20 + "AA'"
    raise ValueError("\\n2025-11-01 09:00:00,000 1 ERROR not ours " + password)
def work(*_):
    deeper()
"""
DEEP_EVENT = "@hookimpl\ndef patina_commit_recorded():\n    import odd_work\n    odd_work.work()\n"
EXTRACTOR = """
@hookimpl
def patina_register_extractors():
    yield ExtractorSpec("tickets", 1, "commit", "odd_work:work")
"""


@pytest.mark.parametrize(
    ("code", "recipe"),
    [
        pytest.param(EXTRACTOR, FAST_RECIPE, id="extractor"),
        pytest.param(INDEX, f"{FAST_RECIPE}index: far\n", id="index"),
        pytest.param(MODEL, RECIPE, id="runtime"),
        pytest.param(DEEP_EVENT, FAST_RECIPE, id="event hook"),
        pytest.param("import odd_work\nodd_work.work()\n", FAST_RECIPE, id="import"),
    ],
)
def test_the_traceback_of_a_failure_is_in_the_workers_log(
    memory: Memory, site: Site, code: str, recipe: str
) -> None:
    memory.write(".patina/oxidize.yaml", recipe)
    memory.commit("one more")
    install(site, code, odd_work=HELPER)
    (memory.root / ".git/patina").mkdir()
    subprocess.run(
        [sys.executable, "-m", "patina_hooks.upkeep.worker", str(memory.root / ".git"), str(memory.root)],
        env={**os.environ, "PYTHONPATH": str(site.folder)}, check=True, timeout=120,
    )  # fmt: skip
    log = (memory.root / ".git/patina/patina.log").read_text(encoding="utf-8")
    assert log.count("Traceback") >= 1
    assert "in deeper" in log
    assert "in work" in log
    assert "sk-ant" not in log
    assert "in step after" in log
    assert unresolved_errors(memory.root / ".git/patina", WORKER) == []
    if code == EXTRACTOR:
        assert log.count("in deeper") == 1
