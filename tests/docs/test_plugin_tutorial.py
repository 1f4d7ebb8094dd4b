"""docs/plugins.md: every hook with its signature, and a tutorial that works when it is typed in."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest
from support.distributions import Site, importable
from support.excerpt import Place, clean_environment
from support.marked import ROOT, files, marked
from support.memory import Memory

from patina_hooks import hookspecs, types
from patina_hooks.plugins import Plugins

DOCUMENT = "docs/plugins.md"
HOOKS = {name: value for name, value in vars(hookspecs).items() if name.startswith("patina_")}
EVENTS = [name for name in HOOKS if not name.startswith("patina_register_")]
RECORDER = """
from patina_hooks import hookimpl

heard = []
"""


def test_every_hook_is_documented_with_its_signature() -> None:
    text = (ROOT / DOCUMENT).read_text("utf-8")
    rows = re.findall(r"^\| `(patina_\w+\(.*?)` \|", text, re.M)
    assert rows == [f"{name}{inspect.signature(hook)}".replace("'", "") for name, hook in HOOKS.items()]


@pytest.mark.parametrize("name", HOOKS)
def test_the_example_of_each_hook_runs(name: str) -> None:
    (test,) = doctest.DocTestFinder(recurse=False).find(HOOKS[name], name)
    assert test.examples
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


TRAINING = {"patina_projection_trained"}  # tests/projection/test_oxidize.py


def test_event_hooks_bring_what_their_signatures_say(tmp_path: Path) -> None:
    functions = (
        f"@hookimpl\ndef {name}({', '.join(inspect.signature(HOOKS[name]).parameters)}):\n"
        f"    heard.append(({name!r}, dict(locals())))\n"
        for name in EVENTS
        if name not in TRAINING
    )
    site = Site(tmp_path / "site")
    site.add("ear", files={"ear.py": RECORDER + "\n".join(functions)}, entry_points={"ear": "ear"})
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin")
    with importable(site.folder), memory.session("20251101-093000"):
        memory.commit("Store vectors in a file", {"a.py": "1"})
    memory.archive("20251101-093000", decisions=("Use SQLite for the log", "Use a file for the vectors"))
    with importable(site.folder):
        providers = Plugins.load()
        memory.sync(providers=providers)
        memory.git("reset", "-q", "--hard", "HEAD~1")
        memory.sync(providers=providers)
        import ear  # type: ignore[import-not-found]

        heard = list(ear.heard)
    assert providers.faults == ()
    assert {name for name, _ in heard} == set(EVENTS) - TRAINING
    for name, values in heard:
        hints = get_type_hints(HOOKS[name], {**vars(types), "Sequence": Sequence})
        for argument, value in values.items():
            wanted = hints[argument]
            if get_origin(wanted) is Sequence:
                assert all(isinstance(one, get_args(wanted)[0]) for one in value), (name, argument)
            else:
                assert isinstance(value, wanted), (name, argument)


@pytest.fixture
def installed(tmp_path: Path) -> Site:
    """The tutorial's two packages as pip would leave them."""
    content = files(DOCUMENT)
    points = dict(re.findall(r"^(patina-\w+) = \"(\w+)\"$", content.pop("entry points"), re.M))
    assert list(points) == ["patina-hash", "patina-tickets"]
    site = Site(tmp_path / "site")
    for name, module in points.items():
        own = {path: code for path, code in content.items() if path.startswith(f"{module}/")}
        site.add(name, files=own, entry_points={name: module})
    (site.folder / "test_hash.py").write_text(content["test_hash.py"])
    return site


def test_the_tutorials_runtime_holds_the_contract(installed: Site) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hash.py"]
    environment = {**clean_environment(), "PYTHONPATH": str(installed.folder)}
    done = subprocess.run(
        command, cwd=installed.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^1\d passed", done.stdout, re.M), done.stdout


def test_the_tutorials_plugins_work_together(installed: Site, place: Place) -> None:
    plugged = Place(place.root, {**place.environment, "PYTHONPATH": str(installed.folder)})
    (block,) = (block for block in marked(DOCUMENT) if block.mark == "run")
    said = plugged.run(block.code)
    place.settle()
    assert re.search(r"patina-hash .*models: hash-64\n +runtimes: hash", said)
    found = plugged.run("patina tickets")
    assert re.search(r"^[0-9a-f]{10} #42: Close #42, the ticket for plugins$", found, re.M)
    diary = (Path(place.environment["HOME"]) / "sessions.txt").read_text()
    assert re.search(r"^\d{8}-\d{6} #42: try the plugin: 0 commits$", diary, re.M)


def test_the_tutorials_model_answers_in_a_repository(installed: Site, place: Place) -> None:
    plugged = Place(place.root, {**place.environment, "PYTHONPATH": str(installed.folder)})
    (place.root / ".patina/oxidize.yaml").write_text("version: 2\nembedding_model: hash-64\n")
    plugged.run("patina sync")
    assert '"model": "hash-64"' in plugged.run("patina status --json")
    assert "Immutable Index" in plugged.run("patina scry --mode vector -n 1 'USearch Immutable Index Error'")
