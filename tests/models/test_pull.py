"""Pulling from a hub that the test itself is: nothing here leaves the machine."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.hub import COMMIT, Hub, served

from patina_hooks.errors import ModelError, StateError
from patina_hooks.git.lock import SyncLock
from patina_hooks.models.files import download
from patina_hooks.models.files.hub import RECORD, models_folder, read_record
from patina_hooks.models.files.pull import pull, remove
from patina_hooks.models.files.weights import file_hashes, locate, model_files
from patina_hooks.specs.models import HubFile, ModelSpec

WEIGHTS = bytes(range(256)) * 1_000
CONFIG = b'{"model_type": "bert"}'
FILES = {
    "model": HubFile("acme/acme-64", "model.safetensors"),
    "config": HubFile("acme/acme-64", "config.json"),
}
SPEC = ModelSpec("acme-64", dimensions=64, runtimes={"torch": FILES, "onnx": {"model": FILES["model"]}})


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "data/patina/models"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import close_session

    download.require_hub()
    with served() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.add("acme/acme-64", "model.safetensors", WEIGHTS)
        hub.add("acme/acme-64", "config.json", CONFIG)
        yield hub
        close_session()


def everything(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )


def test_what_was_pulled_is_found_and_nothing_else_is_left(hub: Hub, data: Path) -> None:
    done = pull(SPEC, "torch")
    assert (done.fetched, done.bytes) == (("model.safetensors", "config.json"), len(WEIGHTS) + len(CONFIG))
    files = model_files(SPEC, "torch")
    assert files["model"].read_bytes() == WEIGHTS
    assert files["config"].read_bytes() == CONFIG
    home = "acme/acme-64/main"
    assert everything(data) == [f"{home}/{RECORD}", f"{home}/config.json", f"{home}/model.safetensors"]


def test_a_second_pull_asks_nobody(hub: Hub) -> None:
    pull(SPEC, "torch")
    hub.asked.clear()
    done = pull(SPEC, "torch")
    assert (done.fetched, done.present) == ((), ("model.safetensors", "config.json"))
    assert hub.asked == []


def test_before_a_pull_the_error_says_what_to_type(hub: Hub) -> None:
    for read in (model_files, file_hashes):
        with pytest.raises(ModelError, match=r"model\.safetensors of acme/acme-64 was not pulled") as caught:
            read(SPEC, "torch")
        assert caught.value.hint == "patina models pull acme-64 --runtime torch"
    assert hub.asked == []


def test_hashes_are_recorded_and_known_without_reading(hub: Hub) -> None:
    pull(SPEC, "torch")
    expected = {"model": hashlib.sha256(WEIGHTS).hexdigest(), "config": hashlib.sha256(CONFIG).hexdigest()}
    assert file_hashes(SPEC, "torch") == expected


def test_a_revision_is_the_commit_that_it_was_at_the_first_pull(hub: Hub) -> None:
    pull(SPEC, "onnx")
    hub.commits["main"] = "d" * 40
    hub.commits["first"] = COMMIT
    hub.asked.clear()
    pull(SPEC, "torch")
    assert read_record(FILES["model"]).commit == COMMIT
    assert [one.path for one in hub.asked if "/resolve/main/" in one.path] == []


@pytest.fixture
def goes_down(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is gone when the library wants to try again; what it writes at once is small."""

    def wait(*_: object) -> None:
        hub.down = True

    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=wait))
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000)


def test_a_cut_connection_is_taken_up_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000)
    hub.cuts = [100_000, 50_000]
    pull(SPEC, "onnx")
    assert hub.downloads() == ["", "bytes=100000-", "bytes=150000-"]
    assert model_files(SPEC, "onnx")["model"].read_bytes() == WEIGHTS


@pytest.mark.usefixtures("goes_down")
def test_a_pull_that_failed_is_gone_on_with_by_the_next(hub: Hub) -> None:
    hub.cuts = [70_000]
    with pytest.raises(ModelError, match=r"could not be had: .*503") as caught:
        pull(SPEC, "onnx")
    assert "goes on there" in caught.value.hint
    with pytest.raises(ModelError, match="not pulled"):
        model_files(SPEC, "onnx")
    hub.down = False
    hub.asked.clear()
    pull(SPEC, "onnx")
    assert hub.downloads() == ["bytes=70000-"]
    assert model_files(SPEC, "onnx")["model"].read_bytes() == WEIGHTS


def test_bytes_that_are_not_those_that_the_hub_names_are_refused_and_deleted(hub: Hub, data: Path) -> None:
    hub.lies = True
    with pytest.raises(ModelError, match="is refused: expected sha256") as caught:
        pull(SPEC, "onnx")
    for content in (WEIGHTS, WEIGHTS[::-1]):
        assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert everything(data) == []


def test_a_file_that_is_not_the_one_of_the_spec_is_not_even_fetched(hub: Hub, data: Path) -> None:
    pinned = replace(SPEC, runtimes={"onnx": {"model": replace(FILES["model"], sha256="ab" * 32)}})
    with pytest.raises(ModelError, match="expected sha256 " + "ab" * 32):
        pull(pinned, "onnx")
    assert hub.downloads() == []
    assert everything(data) == []


def test_a_small_file_that_is_not_the_one_of_the_spec_is_refused(hub: Hub, data: Path) -> None:
    """The hub knows it by another hash, so it is compared when it is here."""
    pinned = replace(SPEC, runtimes={"onnx": {"config": replace(FILES["config"], sha256="ab" * 32)}})
    with pytest.raises(ModelError, match="expected sha256 " + "ab" * 32):
        pull(pinned, "onnx")
    assert everything(data) == []


def test_a_file_that_changed_on_disk_is_refused_and_mended_by_a_pull(hub: Hub, data: Path) -> None:
    pull(SPEC, "torch")
    path = model_files(SPEC, "torch")["model"]
    path.write_bytes(WEIGHTS[:-1] + b"!")
    with pytest.raises(ModelError, match="is not the file that was pulled") as caught:
        model_files(SPEC, "torch")
    assert caught.value.hint == "patina models pull acme-64 --runtime torch"
    assert pull(SPEC, "torch").fetched == ("model.safetensors",)
    assert model_files(SPEC, "torch")["model"].read_bytes() == WEIGHTS


def test_what_was_recorded_holds_when_the_hub_has_another(hub: Hub) -> None:
    pull(SPEC, "torch")
    model_files(SPEC, "torch")["model"].unlink()
    hub.add("acme/acme-64", "model.safetensors", WEIGHTS[::-1])
    with pytest.raises(ModelError, match="is refused"):
        pull(SPEC, "torch")
    remove(list(FILES.values()))
    pull(SPEC, "torch")  # now it is taken as it is
    assert model_files(SPEC, "torch")["model"].read_bytes() == WEIGHTS[::-1]


def test_without_room_nothing_is_fetched(hub: Hub, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=len(WEIGHTS)))
    with pytest.raises(
        ModelError, match=r"256 kB are to be fetched and 256 kB are free in .*models"
    ) as caught:
        pull(SPEC, "onnx")
    assert caught.value.hint == "patina models list"
    assert hub.downloads() == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda hub: hub.files.clear(), "the hub has no repository acme/acme-64"),
        (lambda hub: hub.files.pop(("acme/acme-64", "config.json")), "has no file config.json"),
        (lambda hub: hub.commits.clear(), "has no revision 'main'"),
        (lambda hub: hub.gated.add("acme/acme-64"), "to those alone who agreed to its terms"),
        (lambda hub: hub.commits.update(main="../../etc"), "does not say which commit"),
    ],
)
def test_what_the_hub_will_not_give_is_said_in_words(
    hub: Hub, spoil: object, message: str, data: Path
) -> None:
    assert callable(spoil)
    spoil(hub)
    with pytest.raises(ModelError, match=message):
        pull(SPEC, "torch")
    assert not [name for name in everything(data) if "acme" in name]


def test_a_token_reaches_the_hub_and_not_the_host_of_large_files(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull(SPEC, "onnx")
    tokens = {one.host.partition(":")[0]: one.headers.get("authorization") for one in hub.asked}
    assert tokens == {"127.0.0.1": "Bearer hf_secret", "localhost": None}


def test_a_link_in_the_way_is_not_followed(hub: Hub, data: Path, tmp_path: Path) -> None:
    (data / "acme").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (data / "acme/acme-64").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="is a link, which is not followed"):
        pull(SPEC, "onnx")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_pulled_file_that_became_a_link_is_not_read(hub: Hub, data: Path, tmp_path: Path) -> None:
    pull(SPEC, "onnx")
    path = model_files(SPEC, "onnx")["model"]
    shutil.move(path, tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(ModelError, match="was not pulled yet"):
        model_files(SPEC, "onnx")


def test_two_pulls_do_not_meet(hub: Hub, data: Path) -> None:
    data.mkdir(parents=True)
    with SyncLock(data / ".lock"), pytest.raises(StateError, match="another patina is pulling"):
        pull(SPEC, "onnx")


@pytest.mark.parametrize("nonsense", [b"", b"[]", b'{"commit": 1, "files": [1]}', b'{"files": {}}'])
def test_a_record_that_cannot_be_read_is_none(hub: Hub, data: Path, nonsense: bytes) -> None:
    pull(SPEC, "torch")
    (data / "acme/acme-64/main" / RECORD).write_bytes(nonsense)
    with pytest.raises(ModelError, match="not pulled"):
        model_files(SPEC, "torch")
    with pytest.raises(ModelError, match="not pulled"):
        locate(FILES["config"])
    pull(SPEC, "torch")
    assert model_files(SPEC, "torch")


def test_removing_frees_it_all(hub: Hub, data: Path) -> None:
    pull(SPEC, "torch")
    assert remove([FILES["config"]]) == len(CONFIG)
    assert [Path(name).name for name in everything(data)] == [RECORD, "model.safetensors"]
    assert remove(list(FILES.values())) == len(WEIGHTS)
    assert everything(data) == []
    assert not (data / "acme").exists()
    assert json.dumps(read_record(FILES["model"]).files) == "{}"


@pytest.mark.parametrize(
    "fields",
    [
        ("../acme", "model", "main"),
        ("acme/acme/acme", "model", "main"),
        ("acme/acme", "../model", "main"),
        ("acme/acme", "/etc/passwd", "main"),
        ("acme/acme", "a//b", "main"),
        ("acme/acme", ".patina.json", "main"),
        ("acme/acme", "a\\b", "main"),
        ("acme/acme", "model", "../main"),
        ("acme/acme", "model", "refs/pr/1"),
        ("acme/acme", "model", ""),
        ("acme/acme", "model\n", "main"),
    ],
)
def test_a_hub_file_names_no_place_outside_its_folder(fields: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="is no repository, path or revision"):
        HubFile(*fields)


def test_the_library_that_pulls_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match="not installed") as caught:
        download.require_hub()
    assert caught.value.hint == "pip install 'patina-hooks[hub]'"


def test_models_lie_among_the_users_data() -> None:
    assert models_folder() == Path(os.environ["XDG_DATA_HOME"], "patina/models")
