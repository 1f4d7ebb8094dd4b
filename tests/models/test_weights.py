from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.distributions import Site, importable, write

from patina_hooks.errors import ModelError
from patina_hooks.models.files import weights
from patina_hooks.models.files.weights import file_hashes, locate, model_files, sha256_of, verify_file
from patina_hooks.specs.models import LocalFile, ModelSpec, PackageFile

CONTENT = b"weights"
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    with importable(folder):
        yield Site(folder)


def installed(site: Site) -> None:
    # The package must not be imported: it would say so.
    site.add("acme-weights", files={"acme_weights/__init__.py": "1 / 0", "acme_weights/w.bin": CONTENT})


def test_a_file_is_found_without_importing_its_package(site: Site) -> None:
    installed(site)
    assert locate(PackageFile("acme-weights", "acme_weights/w.bin")).read_bytes() == CONTENT
    assert "acme_weights" not in sys.modules


def test_a_file_with_the_right_hash_is_taken(site: Site) -> None:
    installed(site)
    for digest in (HASH, HASH.upper()):
        assert verify_file(PackageFile("acme-weights", "acme_weights/w.bin", digest)).name == "w.bin"


def test_an_altered_file_is_refused_with_both_hashes_and_what_restores_it(site: Site) -> None:
    installed(site)
    (site.folder / "acme_weights/w.bin").write_bytes(b"other")
    with pytest.raises(ModelError) as caught:
        verify_file(PackageFile("acme-weights", "acme_weights/w.bin", HASH))
    for word in ("w.bin", HASH, hashlib.sha256(b"other").hexdigest()):
        assert word in str(caught.value)
    assert caught.value.hint == "pip install --force-reinstall --no-deps acme-weights==1.0"


def test_an_absent_file_names_what_restores_it(site: Site) -> None:
    installed(site)
    with pytest.raises(
        ModelError, match=r"acme-weights 1\.0 is installed, but its file .*x\.bin is absent"
    ) as caught:
        locate(PackageFile("acme-weights", "acme_weights/x.bin"))
    assert "acme-weights==1.0" in caught.value.hint


def test_an_absent_distribution_names_what_installs_it() -> None:
    with pytest.raises(ModelError, match="patina-nowhere, which holds a/b, is not installed") as caught:
        locate(PackageFile("patina-nowhere", "a/b"))
    assert caught.value.hint == "pip install patina-nowhere"


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "a\\b", ""])
def test_a_path_that_leaves_the_distribution_is_refused(site: Site, path: str) -> None:
    installed(site)
    with pytest.raises(ModelError, match="is not a path inside a distribution"):
        locate(PackageFile("acme-weights", path))


@pytest.mark.parametrize("source", [".", "src"])
def test_an_editable_distribution_is_read_where_it_lies(site: Site, tmp_path: Path, source: str) -> None:
    project = tmp_path / "project"
    write(project / source / "acme_edit/__init__.py", "1 / 0")
    write(project / source / "acme_edit/w.bin", CONTENT)
    site.add_editable("acme-edit", project)
    with importable(project / source):
        found = locate(PackageFile("acme-edit", "acme_edit/w.bin"))
    assert found.read_bytes() == CONTENT
    assert "acme_edit" not in sys.modules


def test_a_package_of_that_name_elsewhere_is_not_taken_for_the_editable_one(
    site: Site, tmp_path: Path
) -> None:
    write(tmp_path / "elsewhere/acme_edit/w.bin", b"foreign")
    (tmp_path / "project").mkdir()
    site.add_editable("acme-edit", tmp_path / "project")
    with importable(tmp_path / "elsewhere"), pytest.raises(ModelError, match="is absent"):
        locate(PackageFile("acme-edit", "acme_edit/w.bin"))


def test_a_distribution_that_is_not_editable_is_read_from_its_own_folder_alone(
    site: Site, tmp_path: Path
) -> None:
    write(tmp_path / "project/acme_edit/w.bin", CONTENT)
    site.add_editable("acme-edit", tmp_path / "project", editable=False)
    with importable(tmp_path / "project"), pytest.raises(ModelError, match="is absent"):
        locate(PackageFile("acme-edit", "acme_edit/w.bin"))


def test_a_model_names_the_runtimes_that_it_has_files_for(site: Site) -> None:
    installed(site)
    file = PackageFile("acme-weights", "acme_weights/w.bin")
    spec = ModelSpec("acme", dimensions=8, runtimes={"onnx": {"model": file}})
    assert model_files(spec, "onnx") == {"model": site.folder / "acme_weights/w.bin"}
    with pytest.raises(ModelError, match="no files for the runtime mlx; it has: onnx"):
        model_files(spec, "mlx")


def test_hashes_are_read_only_where_the_spec_gives_none(site: Site) -> None:
    installed(site)
    read = PackageFile("acme-weights", "acme_weights/w.bin")
    given = PackageFile("not-installed-at-all", "w.bin", sha256="AB" * 32)
    spec = ModelSpec("acme", dimensions=8, runtimes={"onnx": {"model": read, "tokenizer": given}})
    assert file_hashes(spec, "onnx") == {"model": HASH, "tokenizer": "ab" * 32}


def test_a_file_is_read_once_and_again_when_it_changed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(site)
    spec = ModelSpec(
        "acme", dimensions=8, runtimes={"onnx": {"model": PackageFile("acme-weights", "acme_weights/w.bin")}}
    )
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return sha256_of(path)

    monkeypatch.setattr(weights, "sha256_of", counted)
    for _ in range(3):
        assert file_hashes(spec, "onnx") == {"model": HASH}
    assert len(read) == 1
    write(site.folder / "acme_weights/w.bin", CONTENT + b"altered")
    assert file_hashes(spec, "onnx") != {"model": HASH}
    (cache,) = Path(os.environ["XDG_CACHE_HOME"]).rglob("hashes.json")
    for nonsense in (b"{", b"[]", b'{"x": 1}'):
        cache.write_bytes(nonsense)
        assert file_hashes(spec, "onnx") != {"model": HASH}


@pytest.mark.parametrize("name", ["x" * 5_000, "nul\0inside"])
def test_a_path_that_no_file_can_have_is_absent(name: str) -> None:
    with pytest.raises(ModelError, match="is absent"):
        locate(LocalFile(Path("/", name)))
