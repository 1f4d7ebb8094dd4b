"""docs/plugins.md: every hook with its signature, and a tutorial that works when it is typed in."""

from __future__ import annotations

import doctest
import inspect
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest
from support.distributions import Site, importable
from support.environments import make_environment
from support.excerpt import Place
from support.marked import ROOT, Block, marked
from support.memory import Memory, plugins

from patina_hooks.plugins import hookspecs
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs import values as spec_values

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
    plugins()  # those of all tests, loaded while the ear cannot be found
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
    names = [name for name, _ in heard]
    assert set(names) == set(EVENTS) - TRAINING
    told = [values["commit"].subject for name, values in heard if name == "patina_commit_recorded"]
    assert told[:2] == ["begin", "Store vectors in a file"]
    begun, ended = names.index("patina_session_started"), names.index("patina_session_ended")
    assert begun < names.index("patina_commit_recorded") < ended
    for name, values in heard:
        hints = get_type_hints(HOOKS[name], {**vars(spec_values), "Sequence": Sequence})
        for argument, value in values.items():
            wanted = hints[argument]
            if get_origin(wanted) is Sequence:
                assert all(isinstance(one, get_args(wanted)[0]) for one in value), (name, argument)
            else:
                assert isinstance(value, wanted), (name, argument)


# --- the tutorial -------------------------------------------------------------------------------


@dataclass(slots=True)
class Reader:
    """Somebody who types what the document says, in one terminal, from an empty folder."""

    place: Place
    folder: Path
    screen: str = ""

    def follow(self, block: Block) -> None:
        kind, _, name = block.mark.partition(": ")
        follow = {
            "run": self.type,
            "file": self.write,
            "add": self.add,
            "python": self.try_out,
            "prints": self.see,
        }
        follow[kind](block.code, name)

    def type(self, commands: str, _: str) -> None:
        said = self.place.run(f"cd {shlex.quote(str(self.folder))}\n{commands}pwd")
        self.screen, _, folder = said.removesuffix("\n").rpartition("\n")
        self.folder = Path(folder)

    def write(self, code: str, path: str) -> None:
        (self.folder / path).write_text(code, "utf-8")

    def add(self, code: str, path: str) -> None:
        """Add lines to the end of a file."""
        with (self.folder / path).open("a", encoding="utf-8") as file:
            file.write(code)

    def try_out(self, code: str, _: str) -> None:
        self.place.run(["python", "-c", code])

    def see(self, lines: str, _: str) -> None:
        """Each of the lines stands in what was printed last, in their order; columns may be wider."""
        rest = " ".join(self.screen.split())
        for line in lines.splitlines():
            wanted = " ".join(line.split())
            assert wanted in rest, f"{line!r} is not in\n{self.screen}"
            rest = rest.partition(wanted)[2]


def test_it_works_when_it_is_typed_in(tmp_path: Path) -> None:
    place = make_environment(tmp_path / "environment", tmp_path / "work")
    (tmp_path / "home").mkdir()
    name = {"GIT_AUTHOR_NAME": "Me", "GIT_COMMITTER_NAME": "Me", "EMAIL": "me@example.org"}
    place = Place(place.root, {**place.environment, **name, "HOME": str(tmp_path / "home")})
    blocks = marked(DOCUMENT)
    assert {block.language for block in blocks if block.mark == "run"} == {"sh"}
    reader = Reader(place, place.root)
    try:
        for block in blocks:
            reader.follow(block)
    finally:
        Place(place.root / "try").settle()
    packages = ("mine", "tickets", "names")
    assert {path.name for path in place.root.iterdir()} == {*(f"patina-{name}" for name in packages), "try"}
    for package in packages:
        code = f"import patina_{package}; print(patina_{package}.__file__)"
        where = Path(place.run(["python", "-c", code]).strip())
        assert where.is_relative_to(tmp_path / "environment")  # as the wheel has it


def test_a_clone_installs_what_the_first_command_asks_for(tmp_path: Path) -> None:
    command = "pip install . ./plugins/patina-onnx ./plugins/patina-minilm"
    assert all(
        f"`{command}`" in (ROOT / document).read_text("utf-8") for document in (DOCUMENT, "CONTRIBUTING.md")
    )
    clone = tmp_path / "clone"
    packages = shutil.ignore_patterns(".*", "__pycache__", "dist", "tests", "benchmarks")
    shutil.copytree(ROOT, clone, ignore=packages)
    place = make_environment(tmp_path / "environment", clone)
    place.run(command)
    place = Place(tmp_path, place.environment)
    for module in ("patina_hooks", "patina_onnx", "patina_minilm"):
        where = place.run(["python", "-c", f"import {module}; print({module}.__file__)"]).strip()
        assert Path(where).is_relative_to(tmp_path / "environment")
    assert "patina-minilm" in place.run("patina plugins")


def test_no_command_or_file_of_it_is_left_untried() -> None:
    fences = re.findall(r"^```(\w+)$", (ROOT / DOCUMENT).read_text("utf-8"), re.M)
    assert [block.language for block in marked(DOCUMENT)] == fences
