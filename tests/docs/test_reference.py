"""The site of `make docs`: built without warnings, and with every public name."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from support.marked import ROOT

import patina_hooks
from patina_hooks.plugins import hookspecs

PAGES = {
    "patina_hooks": "patina_hooks",
    "authoring": "patina_hooks.authoring",
    "testing": "patina_hooks.testing",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_has_every_name_of_the_public_surface(site: Path, page: str) -> None:
    text = (site / "reference" / page / "index.html").read_text("utf-8")
    module = PAGES[page]
    names = import_module(module).__all__
    assert [name for name in names if f'id="{module}.{name}"' not in text] == []


def test_the_reference_has_every_hook(site: Path) -> None:
    text = (site / "reference/hooks/index.html").read_text("utf-8")
    hooks = [name for name in vars(hookspecs) if name.startswith("patina_")]
    assert len(hooks) > 15
    assert [name for name in hooks if f'id="{hookspecs.__name__}.{name}"' not in text] == []


def constants_with_docstrings(module: ModuleType) -> set[str]:
    """Return the names that a module assigns and documents in the text below."""
    body = [*ast.parse(Path(str(module.__file__)).read_text("utf-8")).body]
    blocks = [body, *(node.body for node in body if isinstance(node, ast.If))]
    return {
        ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        for block in blocks
        for node, text in pairwise(block)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


@pytest.mark.parametrize("module", PAGES.values())
def test_every_name_of_the_public_surface_has_a_docstring(module: str) -> None:
    surface = import_module(module)
    names = {name for name in surface.__all__ if not has_own_docstring(getattr(surface, name), name)}
    loaded = [value for name, value in sys.modules.items() if name.partition(".")[0] == "patina_hooks"]
    documented = set().union(*(constants_with_docstrings(home) for home in loaded if home.__file__))
    assert sorted(names - documented) == []


def has_own_docstring(value: object, name: str) -> bool:
    if inspect.isclass(value):
        text = vars(value).get("__doc__") or ""
        return bool(text) and not text.startswith(f"{name}(")  # the text that a dataclass makes
    return (inspect.isfunction(value) or inspect.ismodule(value)) and bool(value.__doc__)


@pytest.mark.parametrize("name", [name for name in patina_hooks.__all__ if name.endswith(("Spec", "Scope"))])
def test_every_field_of_a_spec_is_documented(name: str) -> None:
    spec = getattr(patina_hooks, name)
    text = str(spec.__doc__)
    assert [field.name for field in fields(spec) if not re.search(rf"\b{field.name}\b", text)] == []


def test_every_guide_is_a_page_of_the_site(site: Path) -> None:
    guides = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    assert [name for name in guides if not (site / name / "index.html").is_file()] == []
