"""docs/architecture.md describes the code as it is."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from support.excerpt import Place
from support.marked import ROOT

TEXT = (ROOT / "docs/architecture.md").read_text("utf-8")
PACKAGE = ROOT / "patina_hooks"


def section(heading: str) -> str:
    return TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_every_path_that_it_names_exists() -> None:
    tests = re.findall(r"`(tests/[\w/.]+)`", TEXT)
    folders = re.findall(r"`((?:\w+/)+)`", TEXT.replace(section("What is stored"), ""))
    flow = re.findall(r"  (\w+/)$", section("Data flow"), re.M)
    assert len(tests) > 5
    assert len(folders) > 25
    assert len(flow) > 10
    assert [path for path in tests if not (ROOT / path).exists()] == []
    assert [path for path in [*folders, *flow] if not (PACKAGE / path).is_dir()] == []


def test_every_module_has_a_place_in_it() -> None:
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", section("Modules, in layers")))
    folders = {name for name in named if name.endswith("/")}
    modules = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")]
    assert [
        name
        for name in modules
        if name not in named
        and not name.endswith("__init__.py")
        and not any(name.startswith(folder) for folder in folders)
    ] == []


def test_what_it_says_of_the_state_is_there(remembered: Place) -> None:
    stored = section("What is stored")
    rows = re.findall(r"^\| (`.*?) \|", stored, re.M)
    state = remembered.root / ".git/patina"
    with closing(sqlite3.connect(state / "log.db")) as log:
        tables = {row[0] for row in log.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    named = {name for row in rows if row.startswith("`log.db`") for name in re.findall(r"`(\w+)`", row)}
    own = {name for name in tables if not re.search(r"_(data|idx|docsize|config|terms)$|^sqlite_", name)}
    assert named == own
    for name in ("log.db", "embeddings.db", "hook.sh", "lock"):
        assert f"`{name}`" in stored
        assert (state / name).is_file()
    (folder,) = (state / "vectors").iterdir()
    assert (folder / "manifest.json").is_file()


def test_no_folder_has_more_than_twelve_modules() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    counts = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in modules)
    assert {folder: count for folder, count in counts.items() if count > 12} == {}
    assert {path.stem for path in modules if path.parent == PACKAGE} <= {
        "__main__",
        "api",
        "authoring",
        "errors",
    }


def package_of(path: Path) -> str:
    """Return the folder or module directly below the package."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_classes() -> Iterator[str]:
    """Yield the name of each class that a module imports from another folder of the package."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}
    classes = {
        (".".join(path.relative_to(ROOT).with_suffix("").parts), node.name): package_of(path)
        for path, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    home = classes.get((node.module or "", alias.name))
                    if home and home != package_of(path):
                        yield alias.name


def test_glossary_has_every_class_that_crosses_a_package() -> None:
    rows = re.findall(r"^\| [\w.]+ \| (`.*?) \|", section("Glossary"), re.M)
    names = re.findall(r"`(\w+)`", " ".join(rows))
    crossing = set(imported_classes())
    assert len(crossing) > 100
    assert sorted(crossing - set(names)) == []
    assert sorted(set(names) - crossing) == []
