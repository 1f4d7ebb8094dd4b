"""The plugins in examples/: each installed from its folder into an environment of its own, and used there."""

from __future__ import annotations

import ast
import json
import re
import shutil
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from support.environments import make_environment
from support.excerpt import Place, build_excerpt
from support.marked import ROOT

from patina_hooks.testing import CHECKS

EXAMPLES = ROOT / "examples"
PROVIDED = {
    "patina-acme": {"models": ["acme-64"]},
    "patina-adr": {"extractors": ["adr"], "sources": ["adr"]},
    "patina-diary": {},
    "patina-house": {"models": ["house-64"]},
    "patina-static": {"models": ["static-64"], "runtimes": ["static"]},
}
RUNTIMES = {"acme-64": "onnx", "house-64": "onnx", "static-64": "static"}
QUESTION = "Updated query semantic command to use filtered search by default"  # a note of the history
HOUSE_FILES = ("model.onnx", "tokenizer.json")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The folders of the examples, copied, and an environment into which they were installed."""
    root = tmp_path_factory.mktemp("stranger")
    place = make_environment(root / "environment", root / "examples")
    for name in PROVIDED:
        shutil.copytree(EXAMPLES / name, place.root / name, ignore=shutil.ignore_patterns("__pycache__"))
    place.run(f"pip install {' '.join(f'./{name}' for name in PROVIDED)}")
    home = root / "home"
    (home / "house-models").mkdir(parents=True)
    for name in HOUSE_FILES:
        shutil.copy(EXAMPLES / "patina-acme/patina_acme" / name, home / "house-models")
    return Place(place.root, {**place.environment, "HOME": str(home)})


@pytest.fixture(scope="module")
def excerpt(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return build_excerpt(tmp_path_factory.mktemp("excerpt") / "repository")


@pytest.fixture
def repository(stranger: Place, excerpt: Place, tmp_path: Path) -> Iterator[Place]:
    """A repository of real history in the stranger's hands, and a home folder for this test alone."""
    home = tmp_path / "home"
    shutil.copytree(stranger.environment["HOME"], home)
    copy = excerpt.copy(tmp_path / "repository", **{**stranger.environment, "HOME": str(home)})
    yield copy
    copy.settle()


def choose(repository: Place, model: str) -> None:
    """Name the model in the repository's recipe."""
    recipe = repository.root / ".patina" / "oxidize.yaml"
    recipe.parent.mkdir(exist_ok=True)
    recipe.write_text(f"version: 2\nembedding_model: {model}\n")


def test_there_is_no_example_that_is_not_tested_and_built() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/pyproject.toml")} == set(PROVIDED)
    (line,) = re.findall(r"^EXAMPLES := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert sorted(re.findall(r"acme|adr|diary|house|static", line)) == [
        "acme",
        "adr",
        "diary",
        "house",
        "static",
    ]


def test_they_are_found_without_a_fault(stranger: Place) -> None:
    listed = {info["name"]: info for info in json.loads(stranger.run("patina plugins --json"))}
    assert {name: listed[name]["provides"] for name in PROVIDED} == PROVIDED
    assert listed["patina-diary"]["hears"] == ["patina_commit_recorded", "patina_session_ended"]
    assert [info["faults"] for info in listed.values() if info["faults"]] == []


@pytest.mark.parametrize("name", PROVIDED)
def test_its_readme_works_as_typed(stranger: Place, name: str) -> None:
    commands = re.findall(
        r"^    ((?:cp|mkdir|patina|pip|pytest) .*)$", (EXAMPLES / name / "README.md").read_text(), re.M
    )
    assert commands[-1] == f"pytest {name}"
    said = stranger.run("\n".join(commands), PYTEST_ADDOPTS="-q -W error -p no:cacheprovider")
    (passed,) = re.findall(r"^(\d+) passed in", said, re.M)
    assert int(passed) >= (len(CHECKS) if "models" in PROVIDED[name] else 2)


@pytest.mark.parametrize("name", PROVIDED)
def test_its_code_is_that_of_the_installed_package(stranger: Place, name: str) -> None:
    module = name.replace("-", "_")
    where = stranger.run(["python", "-c", f"import {module}; print({module}.__file__)"])
    assert Path(where.strip()).is_relative_to(stranger.environment["VIRTUAL_ENV"])


@pytest.mark.parametrize("model", ["acme-64", "static-64"])
def test_its_files_are_those_of_the_installed_package(stranger: Place, model: str) -> None:
    shown = json.loads(stranger.run(f"patina models show {model} --json"))
    assert shown["state"] == "ready"
    for file in shown["files"]:
        assert Path(file["path"]).is_relative_to(stranger.environment["VIRTUAL_ENV"])


@pytest.mark.parametrize("model", RUNTIMES)
def test_its_model_answers_in_a_repository(repository: Place, model: str) -> None:
    choose(repository, model)
    repository.run("patina sync")
    status = json.loads(repository.run("patina status --json"))
    assert (status["model"], status["runtime"]) == (model, RUNTIMES[model])
    assert (status["pending"], status["faults"]) == (0, [])
    (hit,) = json.loads(repository.run(f"patina scry --json --mode vector -n 1 '{QUESTION}'"))["hits"]
    assert hit["text"] == QUESTION
    assert set(hit["channels"]) == {"vector"}
    checked = f"{model}: {len(CHECKS)} contract checks pass"
    assert checked in repository.run("patina doctor || true")


def test_the_diary_is_written_by_the_hooks(repository: Place) -> None:
    choose(repository, "static-64")
    repository.run(
        "patina init; patina session start 'Try the diary'; git commit -q --allow-empty -m 'Write a line';"
        "patina session end --commit"
    )
    repository.settle()
    today = Path(repository.environment["HOME"]) / "diary" / f"{date.today()}.md"
    # Hooks of plugins are called after the locks are released.
    deadline = time.monotonic() + 60
    while not today.is_file() or "Try the diary" not in today.read_text():
        assert time.monotonic() < deadline, "no hook told of the session"
        time.sleep(0.02)
    lines = [re.sub(r"\d{8}-\d{6}| \([0-9a-f]{10}\)", "", line) for line in today.read_text().splitlines()]
    assert "- Write a line" in lines
    assert "- session : Try the diary (commits: 1)" in lines
    assert lines.index("- Write a line") < lines.index("- session : Try the diary (commits: 1)")


def test_a_house_without_its_files_says_where_they_should_be(repository: Place) -> None:
    folder = Path(repository.environment["HOME"]) / "house-models"
    (folder / "model.onnx").unlink()
    shown = repository.run("patina models show house-64")
    assert re.search(r"^  state +absent$", shown, re.M)
    assert f"a local file, {folder / 'model.onnx'}\n{'':18}not here" in shown


def test_a_house_refuses_other_weights(repository: Place) -> None:
    folder = Path(repository.environment["HOME"]) / "house-models"
    (folder / "model.onnx").write_bytes(b"other weights")
    choose(repository, "house-64")
    said = repository.run("patina sync 2>&1 || true")
    assert f"{folder / 'model.onnx'} is not the file that was named: expected sha256 7ef2cb62" in said


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("patina-acme", {"python": "patina_acme/__init__.py", "toml": "pyproject.toml"})],
)
def test_a_readme_shows_the_files_as_they_are(name: str, blocks: dict[str, str]) -> None:
    shown = re.findall(r"```(\w+)\n(.*?)```", (EXAMPLES / name / "README.md").read_text(), re.DOTALL)
    for language, file in blocks.items():
        first = next(code for found, code in shown if found == language)
        assert first.strip() in (EXAMPLES / name / file).read_text()


def test_a_model_is_about_six_lines() -> None:
    source = (EXAMPLES / "patina-acme/patina_acme/__init__.py").read_text()
    (hook,) = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    assert hook.end_lineno is not None
    assert hook.end_lineno - hook.lineno + 2 <= 7
