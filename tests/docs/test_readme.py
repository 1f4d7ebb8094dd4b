"""What the README and the guides show is what happens."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import pytest
from support.distributions import Site
from support.excerpt import Place
from support.marked import ROOT, marked

TEXT = (ROOT / "README.md").read_text("utf-8")
PICTURE = next(block.code for block in marked("README.md") if block.mark == "prints")
COMMANDS = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", PICTURE, re.M)
DOCUMENTS = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]
GUIDES = ("docs/searching.md", "docs/sessions.md", "docs/getting-started.md")
"""Pages with commands for a repository of the reader's, in the order of use: the last one removes patina."""
CONTRACT = """
from patina_hooks.plugins.manager import Plugins
from patina_hooks.testing import run_contract

for result in run_contract(Plugins.load(), "acme-64"):
    print(result.name, result.passed, result.detail)
"""


def without_scores(text: str) -> str:
    """The last digits of a score may differ from one processor to the next."""
    return re.sub(r"\d+\.\d\d", "#", text).strip()


@pytest.mark.parametrize(("command", "printed"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_the_picture_is_what_is_printed(remembered: Place, command: str, printed: str) -> None:
    assert without_scores(remembered.run(command)) == without_scores(printed)


def test_commands_of_the_guides_work_from_the_first_to_the_last(place: Place) -> None:
    blocks = [block for page in GUIDES for block in marked(page) if block.mark.startswith("run")]
    assert [(block.mark, block.language) for block in blocks] == [
        ("run", "sh"),
        ("run", "python"),
        ("run", "sh"),
        ("run last", "sh"),
    ]
    for block in blocks:
        place.run(block.code if block.language == "sh" else [sys.executable, "-c", block.code])
        place.settle()
    assert not (place.root / ".git/patina").exists()
    assert not (place.root / ".patina").exists()
    assert not [hook for hook in (place.root / ".git/hooks").iterdir() if hook.suffix != ".sample"]
    assert len(list((place.root / "layer/sessions").iterdir())) == 19


def test_settings_of_the_guide_are_valid(remembered: Place, tmp_path: Path) -> None:
    (settings,) = (block.code for block in marked("docs/getting-started.md") if block.mark == "settings")
    (tmp_path / "patina").mkdir()
    (tmp_path / "patina/config.toml").write_text(settings)
    (settings_check,) = (
        check
        for check in json.loads(remembered.run("patina doctor --json", XDG_CONFIG_HOME=str(tmp_path)))
        if check["check"] == "settings"
    )
    assert settings_check["level"] == "ok", settings_check


def test_its_six_lines_are_a_model_that_holds_the_contract(tmp_path: Path, remembered: Place) -> None:
    (code,) = re.findall(r"```python\n(from patina_hooks import ModelSpec.*?)```", TEXT, re.S)
    (hook,) = (node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef))
    assert hook.end_lineno is not None
    assert hook.end_lineno - hook.lineno + 1 + len(hook.decorator_list) <= 6
    site = Site(tmp_path)
    site.add("readme", files={"readme.py": code}, entry_points={"readme": "readme"})
    said = remembered.run(
        [sys.executable, "-c", CONTRACT], PYTHONPATH=str(tmp_path), PATINA_DISABLE_PLUGINS="patina-acme"
    )
    assert said
    assert [line for line in said.splitlines() if " True" not in line] == []


def test_it_is_short_and_answers_a_newcomers_questions_in_order() -> None:
    assert len(TEXT.splitlines()) <= 150
    parts = (
        "```console",
        "## Try it",
        "## Install",
        "## Read on",
        "## Add a model",
        "## What does not hold yet",
    )
    places = [TEXT.index(part) for part in parts]
    assert places == sorted(places)
    assert TEXT.index("make demo") < TEXT.index("make test") < TEXT.index("patina init")


def test_it_links_to_every_page() -> None:
    assert [page for page in DOCUMENTS if f"]({page})" not in TEXT] == []


def test_every_command_is_in_the_table_of_commands(remembered: Place) -> None:
    table = (ROOT / "docs/getting-started.md").read_text("utf-8").split("\n## All commands\n")[1]
    rows = re.findall(r"^\| (`patina .*?) \|", table.split("\n## ")[0], re.M)
    listed = re.findall(r"^  ([a-z]+)  ", remembered.run("patina --help"), re.M)
    inner = {"check", "hook"}  # run by pre-commit, not typed
    assert len(listed) > 10
    assert [name for name in listed if name not in inner and f"`patina {name}" not in "".join(rows)] == []


def slug(heading: str) -> str:
    """Return the anchor of a heading, as forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "examples/README.md", *DOCUMENTS])
def test_links_lead_to_a_file_and_a_heading(document: str) -> None:
    page = ROOT / document
    links = re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", page.read_text("utf-8"))
    targets = [(page.parent / path if path else page, anchor) for path, anchor in links]
    assert [str(target) for target, _ in targets if not target.exists()] == []
    assert [
        f"{target.name}#{anchor}"
        for target, anchor in targets
        if anchor and anchor not in map(slug, re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.M))
    ] == []
