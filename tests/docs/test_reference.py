"""The site of `make docs`: built without warnings, and with every public name."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from support.marked import ROOT

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


def test_every_guide_is_a_page_of_the_site(site: Path) -> None:
    guides = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    assert [name for name in guides if not (site / name / "index.html").is_file()] == []
