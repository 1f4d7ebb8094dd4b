"""The example plugin, installed as a user would install it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from patina_hooks.testing import Check, contract

EXAMPLE = Path(__file__).parents[1] / "examples" / "patina-acme"


@contract("acme-64")
def test_contract(check: Check) -> None:
    check()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the example as its wheel installs it, and nothing else."""
    folder = tmp_path_factory.mktemp("acme")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("dist", "__pycache__"))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=folder / "source", check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    shutil.rmtree(folder / "source")
    return folder / "site"


def run(code: str, site: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=site, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_its_wheel_carries_weights_tokenizer_and_entry_point(installed: Path) -> None:
    names = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert {f"patina_acme/{name}" for name in ("__init__.py", "model.onnx", "tokenizer.json")} <= names
    (points,) = installed.glob("*.dist-info/entry_points.txt")
    assert points.read_text().strip().splitlines() == ["[patina]", "patina-acme = patina_acme"]


def test_once_installed_it_is_found_and_encodes_with_its_own_files(installed: Path) -> None:
    code = """
from patina_hooks.models.encoding import open_encoder
from patina_hooks.models.weights import model_files
from patina_hooks.plugins import Plugins

plugins = Plugins.load()
print(*model_files(plugins.model("acme-64"), "onnx").values(), sep="\\n")
near, far = open_encoder(plugins, "acme-64").encode(
    ["fix the index", "fix an index", "why do we store vectors?"], role="passage"
).vectors[1:] @ open_encoder(plugins, "acme-64").encode(["fix the index"], role="passage").vectors[0]
print(near > far + 0.3)
"""
    *files, nearer = run(code, installed).splitlines()
    assert [Path(file) for file in files] == [
        installed / "patina_acme" / name for name in ("model.onnx", "tokenizer.json")
    ]
    assert nearer == "True"


def test_it_is_about_six_lines() -> None:
    (hook,) = (
        node
        for node in ast.parse((EXAMPLE / "patina_acme/__init__.py").read_text()).body
        if isinstance(node, ast.FunctionDef)
    )
    assert hook.end_lineno is not None
    assert hook.end_lineno - hook.lineno + 2 <= 7


def test_its_tutorial_shows_the_files_as_they_are() -> None:
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)[:2])
    assert blocks["python"].strip() in (EXAMPLE / "patina_acme/__init__.py").read_text()
    assert blocks["toml"].strip() in (EXAMPLE / "pyproject.toml").read_text()
