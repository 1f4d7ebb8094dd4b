"""What `import patina_hooks` offers: all of it listed, sorted, and there."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import tomli
from support.marked import ROOT

import patina_hooks
from patina_hooks import authoring
from patina_hooks.plugins import hookspecs
from patina_hooks.specs import models, plugins, retrieval, sources, values, vectors


def test_all_is_sorted_and_each_name_opens() -> None:
    assert patina_hooks.__all__ == sorted(set(patina_hooks.__all__))
    assert [name for name in patina_hooks.__all__ if getattr(patina_hooks, name, None) is None] == []


def test_all_is_what_type_checkers_see() -> None:
    tree = ast.parse(Path(patina_hooks.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = (node for node in block.body if isinstance(node, ast.ImportFrom))
    shown = {
        alias.name for node in imports if str(node.module).startswith("patina_hooks.") for alias in node.names
    }
    assert shown == set(patina_hooks.__all__)


def test_every_value_and_protocol_of_plugins_is_offered() -> None:
    own = {
        name
        for module in (values, plugins, sources, vectors, models, retrieval)
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__
    }
    assert own <= set(patina_hooks.__all__)
    hooks = [value for name, value in vars(hookspecs).items() if name.startswith("patina_")]
    mentioned = {
        word
        for hook in hooks
        for word in str(inspect.signature(hook)).replace("[", " ").replace("]", " ").replace("'", " ").split()
        if word[0].isupper()
    }
    assert mentioned - {"Iterable", "Sequence", "None,", "None"} <= {*own, "Outcome", "Report", "Sequence,"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(patina_hooks, "nonsense")


def test_each_name_for_authors_opens() -> None:
    assert len(authoring.__all__) == len(set(authoring.__all__))
    assert [name for name in authoring.__all__ if getattr(authoring, name, None) is None] == []
    assert not set(authoring.__all__) & set(patina_hooks.__all__)


def test_packages_accept_one_minor_version_of_the_core() -> None:
    projects = sorted(
        path for folder in ("plugins", "examples") for path in (ROOT / folder).glob("*/pyproject.toml")
    )
    assert len(projects) > 15
    for path in projects:
        project = tomli.loads(path.read_text("utf-8"))["project"]
        extras = project.get("optional-dependencies", {}).values()
        listed = [*project["dependencies"], *(name for extra in extras for name in extra)]
        own = {
            name.partition(">")[0]: name for name in listed if name.startswith("patina-") and "[" not in name
        }
        assert "patina-hooks" in own
        assert list(own.values()) == [f"{name}>=0.1,<0.2" for name in own], path


def test_plugins_import_public_modules_only() -> None:
    public = {"patina_hooks", "patina_hooks.authoring", "patina_hooks.testing"}
    imports = {
        (path.relative_to(ROOT).as_posix(), node.module)
        for folder in ("plugins", "examples")
        for path in (ROOT / folder).glob("patina-*/**/*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "patina_hooks"
    }
    assert len(imports) > 20
    assert sorted(pair for pair in imports if pair[1] not in public) == []
