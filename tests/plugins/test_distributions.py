"""Entry points of installed distributions: what `importlib.metadata` finds, without it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from pathlib import Path

import pytest
from support.distributions import Site, importable

from patina_hooks.plugins.distributions import (
    EntryPoint,
    find_distribution,
    installed_version,
    read_entry_points,
)

ENTRIES = """\
# comment
[console_scripts]
tool = a:b

[patina]
first = one
second=two:plugin.inner
  third  =  three : plugin [extra]

[patina.other]
fourth = four
"""


def of_importlib(group: str) -> list[EntryPoint]:
    found = entry_points(group=group)
    return sorted(
        EntryPoint(entry.name, entry.dist.name if entry.dist else "", entry.value) for entry in found
    )


def add(folder: Path, name: str, entries: str, metadata: str = "METADATA") -> None:
    place = folder / name
    place.mkdir(parents=True)
    (place / "entry_points.txt").write_text(entries)
    (place / metadata).write_text("Metadata-Version: 2.1\nName: A.Name\nVersion: 1\n\nName: not-this\n")


@pytest.mark.parametrize("group", ["patina", "console_scripts", "no.such.group"])
def test_entry_points_are_those_of_importlib_when_packages_are_installed(group: str) -> None:
    assert read_entry_points(group) == of_importlib(group)
    assert group != "patina" or read_entry_points(group)


@pytest.mark.parametrize(
    ("name", "metadata"), [("a_name-1.dist-info", "METADATA"), ("a_name-1.egg-info", "PKG-INFO")]
)
def test_entry_points_are_those_of_importlib_when_the_file_is_odd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, metadata: str
) -> None:
    add(tmp_path, name, ENTRIES, metadata)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert read_entry_points("patina") == of_importlib("patina")
    names = {entry.name: entry.distribution for entry in read_entry_points("patina")}
    assert names["first"] == names["third"] == "A.Name"


def test_first_distribution_counts_when_one_is_installed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path / "a", "a.name-1.dist-info", "[patina]\nold = one\n")
    add(tmp_path / "b", "A_Name-2.dist-info", "[patina]\nnew = two\n")
    for folder in ("a", "b"):
        monkeypatch.syspath_prepend(str(tmp_path / folder))
    assert read_entry_points("patina") == of_importlib("patina")
    assert {"new", "old"} & {entry.name for entry in read_entry_points("patina")} == {"new"}


def test_entry_points_in_a_zip_file_are_found_when_one_is_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as file:
        file.writestr("packed-1.dist-info/entry_points.txt", "[patina]\npacked = packed\n")
        file.writestr("packed-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: packed\nVersion: 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "packed.zip"))
    assert EntryPoint("packed", "packed", "packed") in read_entry_points("patina")


def test_entry_point_opens_what_it_names(tmp_path: Path) -> None:
    with importable(tmp_path):
        Site(tmp_path).add("patina-inner", files={"inner_module.py": "class A:\n    b = 5\n"})
        assert EntryPoint("x", "", "inner_module:A.b").load() == 5
        assert EntryPoint("x", "", "inner_module : A [extra]").load().b == 5  # type: ignore[attr-defined]
        assert EntryPoint("x", "", "inner_module").load() is sys.modules["inner_module"]
    with pytest.raises(ValueError, match="invalid entry point"):
        EntryPoint("x", "", "not a module!").load()


def test_plugins_are_loaded_without_importlib_metadata() -> None:
    code = (
        "import sys; from patina_hooks.plugins.manager import Plugins; Plugins.load(); "
        "assert 'importlib.metadata' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["numpy", "Patina_Hooks", "patina.onnx", "no-such-distribution", ""])
def test_installed_version_equals_importlib(name: str) -> None:
    try:
        expected = distribution(name).version
    except (PackageNotFoundError, ValueError):
        expected = ""

    assert installed_version(name) == expected


def test_first_distribution_on_the_path_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.0", "2.0"):
        folder = tmp_path / version / f"Two.Words-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Name: Two.Words\nVersion: {version}\n\nVersion: 3.0\n")
        monkeypatch.syspath_prepend(tmp_path / version)

    owner = find_distribution("two-words")

    assert owner is not None
    assert installed_version("two_words") == "2.0"
    assert Path(str(owner.locate_file("two/words.bin"))) == tmp_path / "2.0" / "two" / "words.bin"
    assert owner.read_text("absent.json") is None
