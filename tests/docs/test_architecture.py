"""docs/architecture.md speaks of the house as it stands."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing

from support.excerpt import Place
from support.marked import ROOT

TEXT = (ROOT / "docs/architecture.md").read_text("utf-8")
PACKAGE = ROOT / "patina_hooks"


def test_every_path_that_it_names_exists() -> None:
    tests = re.findall(r"`(tests/[\w/.]+)`", TEXT)
    modules = re.findall(r"(?<![\w/])((?:\w+/)*\w+\.py)\b", re.sub(r"tests/[\w/.]+", "", TEXT))
    assert len(tests) > 5
    assert len(modules) > 10
    assert [path for path in tests if not (ROOT / path).exists()] == []
    assert [path for path in modules if not (PACKAGE / path).exists()] == []


def test_every_module_has_a_place_in_it() -> None:
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", TEXT.split("## Modules")[1].split("\n## ")[0]))
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
    section = TEXT.split("## What is stored")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.M)
    state = remembered.root / ".git/patina"
    with closing(sqlite3.connect(state / "log.db")) as log:
        tables = {row[0] for row in log.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    named = {name for row in rows if row.startswith("`log.db`") for name in re.findall(r"`(\w+)`", row)}
    own = {name for name in tables if not re.search(r"_(data|idx|docsize|config|terms)$|^sqlite_", name)}
    assert named == own
    for name in ("log.db", "embeddings.db", "hook.sh", "lock"):
        assert f"`{name}`" in section
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
