"""Pulling from a hub that the test itself serves, into a hub cache of the test's own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.hub import COMMIT, Hub, served, set_hub_cache

from patina_hooks.errors import ModelError, StateError
from patina_hooks.git.lock import SyncLock
from patina_hooks.models.files import download
from patina_hooks.models.files.hub import RECORD, read_record, records_folder
from patina_hooks.models.files.pull import pull, remove_files
from patina_hooks.models.files.weights import file_hashes, locate, model_files
from patina_hooks.specs.models import HubFile, ModelSpec

WEIGHTS = bytes(range(256)) * 1_000
CONFIG = b'{"model_type": "bert"}'
FILES = {
    "model": HubFile("acme/acme-64", "model.safetensors"),
    "config": HubFile("acme/acme-64", "config.json"),
}
SPEC = ModelSpec("acme-64", dimensions=64, runtimes={"torch": FILES, "onnx": {"model": FILES["model"]}})
REPOSITORY = "models--acme--acme-64"


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the records."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data/patina/models"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the hub cache."""
    return set_hub_cache(tmp_path / "hf", monkeypatch)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import close_session

    with served() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.add("acme/acme-64", "model.safetensors", WEIGHTS)
        hub.add("acme/acme-64", "config.json", CONFIG)
        yield hub
        close_session()


def files_of(folder: Path) -> list[str]:
    """Return the paths of all files below a folder but locks."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )


def snapshot(cache: Path) -> Path:
    return cache / REPOSITORY / "snapshots" / COMMIT


def other_program(path: str, revision: str = "main") -> Path:
    """Download as another program does; returns the path in the cache."""
    from huggingface_hub import hf_hub_download

    download.connect_to_hub()
    endpoint = os.environ["HF_ENDPOINT"]
    return Path(hf_hub_download("acme/acme-64", path, revision=revision, endpoint=endpoint))


def test_pulled_files_are_in_the_hub_cache(hub: Hub, records: Path, cache: Path) -> None:
    done = pull(SPEC, "torch")
    assert (done.fetched, done.bytes) == (("model.safetensors", "config.json"), len(WEIGHTS) + len(CONFIG))
    assert done.folder == str(cache)
    files = model_files(SPEC, "torch")
    assert files == {role: snapshot(cache) / file.path for role, file in FILES.items()}
    assert files["model"].read_bytes() == WEIGHTS
    assert files["config"].read_bytes() == CONFIG
    assert files_of(records) == [f"acme/acme-64/main/{RECORD}"]
    assert other_program("model.safetensors", revision=COMMIT) == files["model"]


def test_only_listed_files_are_downloaded(hub: Hub, cache: Path) -> None:
    hub.add("acme/acme-64", "pytorch_model.bin", b"a pickle")
    hub.add("acme/acme-64", "modeling.py", b"code")
    pull(SPEC, "torch")
    assert files_of(snapshot(cache)) == ["config.json", "model.safetensors"]


def test_files_of_the_cache_are_not_downloaded_again(hub: Hub) -> None:
    other_program("model.safetensors")
    hub.asked.clear()
    done = pull(SPEC, "onnx")
    assert (done.fetched, done.bytes) == (("model.safetensors",), 0)
    assert hub.downloads() == []
    assert model_files(SPEC, "onnx")["model"].read_bytes() == WEIGHTS


def test_files_of_the_cache_are_used_offline(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other_program("model.safetensors")
    hub.asked.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pull(SPEC, "onnx")
    assert model_files(SPEC, "onnx")["model"].read_bytes() == WEIGHTS
    with pytest.raises(ModelError, match=r"config\.json .*: HF_HUB_OFFLINE is set") as caught:
        pull(SPEC, "torch")
    assert caught.value.hint == "unset HF_HUB_OFFLINE"
    assert hub.asked == []


def test_files_of_the_cache_store_are_used(hub: Hub, cache: Path) -> None:
    """The library may keep content once for several repositories: a blob is a link then, too."""
    blob = other_program("model.safetensors").resolve()
    store = cache / "blobs/ab" / ("ab" * 32)
    store.parent.mkdir(parents=True)
    blob.rename(store)
    blob.symlink_to(store)
    hub.asked.clear()
    pull(SPEC, "onnx")
    assert hub.downloads() == []
    assert model_files(SPEC, "onnx")["model"].resolve() == store


def test_altered_file_of_the_cache_is_downloaded_again_at_the_first_pull(hub: Hub) -> None:
    other_program("model.safetensors").resolve().write_bytes(WEIGHTS[::-1])
    pull(SPEC, "onnx")
    assert model_files(SPEC, "onnx")["model"].read_bytes() == WEIGHTS


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


def test_download_resumes_when_the_connection_is_cut(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000)
    hub.cuts = [100_000, 50_000]
    pull(SPEC, "onnx")
    assert hub.downloads() == ["", "bytes=100000-", "bytes=150000-"]
    assert model_files(SPEC, "onnx")["model"].read_bytes() == WEIGHTS


def test_complete_files_are_kept_when_a_pull_fails(hub: Hub, cache: Path) -> None:
    hub.add("acme/acme-64", "model-2.safetensors", WEIGHTS[::-1])
    second = HubFile("acme/acme-64", "model-2.safetensors")
    spec = replace(SPEC, runtimes={"torch": {"model": FILES["model"], "model.2": second}})

    def stop_serving(line: str) -> None:
        hub.down = "model-2" in line

    with pytest.raises(ModelError, match=r"cannot download model-2.*: .*503") as caught:
        pull(spec, "torch", stop_serving)
    assert "complete files are not fetched again" in caught.value.hint
    assert files_of(snapshot(cache)) == ["model.safetensors"]
    assert not list(cache.rglob("*.incomplete"))
    hub.down = False
    assert pull(spec, "torch").fetched == ("model-2.safetensors",)


def test_interrupted_pull_leaves_no_partial_file_and_succeeds_later(hub: Hub, cache: Path) -> None:
    """Ctrl-C, in a process of its own."""
    code = (
        "import os, signal\n"
        "from patina_hooks.models.files.pull import pull\n"
        "from test_pull import SPEC\n"
        "from huggingface_hub import HfApi, file_download\n"
        "file_download.http_get = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)\n"
        "pull(SPEC, 'onnx')\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent), *sys.path]))}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT, done.stderr
    assert files_of(cache / REPOSITORY / "blobs") == []
    assert pull(SPEC, "onnx").fetched == ("model.safetensors",)


def test_content_that_the_hub_did_not_state_is_refused(hub: Hub, records: Path) -> None:
    hub.lies = True
    with pytest.raises(ModelError, match="is refused: expected sha256") as caught:
        pull(SPEC, "onnx")
    for content in (WEIGHTS, WEIGHTS[::-1]):
        assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert files_of(records) == []
    hub.lies = False
    pull(SPEC, "onnx")
    assert model_files(SPEC, "onnx")["model"].read_bytes() == WEIGHTS


def test_a_file_that_is_not_the_one_of_the_spec_is_not_even_fetched(hub: Hub, records: Path) -> None:
    pinned = replace(SPEC, runtimes={"onnx": {"model": replace(FILES["model"], sha256="ab" * 32)}})
    with pytest.raises(ModelError, match="expected sha256 " + "ab" * 32):
        pull(pinned, "onnx")
    assert hub.downloads() == []
    assert files_of(records) == []


def test_a_small_file_that_is_not_the_one_of_the_spec_is_refused(hub: Hub, records: Path) -> None:
    """The hub knows it by another hash, so it is compared when it is here."""
    pinned = replace(SPEC, runtimes={"onnx": {"config": replace(FILES["config"], sha256="ab" * 32)}})
    with pytest.raises(ModelError, match="expected sha256 " + "ab" * 32):
        pull(pinned, "onnx")
    assert files_of(records) == []


def test_a_file_that_changed_on_disk_is_refused_and_mended_by_a_pull(hub: Hub) -> None:
    pull(SPEC, "torch")
    path = model_files(SPEC, "torch")["model"]
    path.write_bytes(WEIGHTS[:-1] + b"!")
    with pytest.raises(ModelError, match="is not the file that was pulled") as caught:
        model_files(SPEC, "torch")
    assert caught.value.hint == "patina models pull acme-64 --runtime torch"
    assert pull(SPEC, "torch").fetched == ("model.safetensors",)
    assert model_files(SPEC, "torch")["model"].read_bytes() == WEIGHTS


def test_what_was_recorded_holds_when_the_hub_has_another(hub: Hub, cache: Path) -> None:
    pull(SPEC, "torch")
    shutil.rmtree(cache)
    hub.add("acme/acme-64", "model.safetensors", WEIGHTS[::-1])
    with pytest.raises(ModelError, match="is refused"):
        pull(SPEC, "torch")
    remove_files(list(FILES.values()))
    pull(SPEC, "torch")  # now it is taken as it is
    assert model_files(SPEC, "torch")["model"].read_bytes() == WEIGHTS[::-1]


def test_without_room_nothing_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=len(WEIGHTS)))
    with pytest.raises(ModelError, match=r"cannot download 256 kB: 256 kB are free in .*hub") as caught:
        pull(SPEC, "onnx")
    assert "HF_HUB_CACHE" in caught.value.hint
    assert hub.downloads() == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda hub: hub.files.clear(), "the repository does not exist or is private"),
        (
            lambda hub: hub.files.pop(("acme/acme-64", "config.json")),
            "the repository has no such file",
        ),
        (lambda hub: hub.commits.clear(), "the repository has no revision 'main'"),
        (lambda hub: hub.gated.add("acme/acme-64"), "its authors restrict access"),
        (lambda hub: hub.commits.update(main="../../etc"), "does not answer like a model hub"),
    ],
)
def test_what_the_hub_will_not_give_is_said_in_words(
    hub: Hub, spoil: object, message: str, records: Path
) -> None:
    assert callable(spoil)
    spoil(hub)
    with pytest.raises(ModelError, match=message):
        pull(SPEC, "torch")
    assert files_of(records) == []


def test_a_token_reaches_the_hub_and_not_the_host_of_large_files(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull(SPEC, "onnx")
    tokens = {one.host.partition(":")[0]: one.headers.get("authorization") for one in hub.asked}
    assert tokens == {"127.0.0.1": "Bearer hf_secret", "localhost": None}


def test_errors_do_not_show_the_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.gated.add("acme/acme-64")
    with pytest.raises(ModelError) as caught:
        pull(SPEC, "onnx")
    assert "hf auth login" in caught.value.hint
    assert "hf_secret" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_record_is_not_written_through_a_link(hub: Hub, records: Path, tmp_path: Path) -> None:
    (records / "acme").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (records / "acme/acme-64").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="it is a link"):
        pull(SPEC, "onnx")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_link_out_of_the_cache_is_not_followed(hub: Hub, tmp_path: Path) -> None:
    pull(SPEC, "onnx")
    path = model_files(SPEC, "onnx")["model"]
    shutil.move(path.resolve(), tmp_path / "moved")
    path.resolve().symlink_to(tmp_path / "moved")
    assert path.read_bytes() == WEIGHTS
    with pytest.raises(ModelError, match=r"it leads out of the hub cache, to .*moved"):
        model_files(SPEC, "onnx")


def test_linked_cache_folder_is_used(hub: Hub, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "large disk").mkdir()
    cache.parent.mkdir()
    cache.symlink_to(tmp_path / "large disk")
    pull(SPEC, "onnx")
    assert model_files(SPEC, "onnx")["model"].is_relative_to(tmp_path / "large disk")


def test_second_pull_at_a_time_is_refused(hub: Hub, records: Path) -> None:
    records.mkdir(parents=True)
    with SyncLock(records / ".lock"), pytest.raises(StateError, match="another patina process is pulling"):
        pull(SPEC, "onnx")


@pytest.mark.parametrize("nonsense", [b"", b"[]", b'{"commit": 1, "files": [1]}', b'{"files": {}}'])
def test_a_record_that_cannot_be_read_is_none(hub: Hub, records: Path, nonsense: bytes) -> None:
    pull(SPEC, "torch")
    (records / "acme/acme-64/main" / RECORD).write_bytes(nonsense)
    with pytest.raises(ModelError, match="not pulled"):
        model_files(SPEC, "torch")
    with pytest.raises(ModelError, match="not pulled"):
        locate(FILES["config"])
    pull(SPEC, "torch")
    assert model_files(SPEC, "torch")


def test_removed_files_leave_the_cache(hub: Hub, records: Path, cache: Path) -> None:
    pull(SPEC, "torch")
    assert remove_files([FILES["config"]]) == len(CONFIG)
    assert files_of(snapshot(cache)) == ["model.safetensors"]
    assert files_of(records) == [f"acme/acme-64/main/{RECORD}"]
    assert remove_files(list(FILES.values())) == len(WEIGHTS)
    assert files_of(cache / REPOSITORY / "blobs") == files_of(snapshot(cache)) == []
    assert not (records / "acme").exists()
    assert json.dumps(read_record(FILES["model"]).files) == "{}"


def test_removal_keeps_what_was_in_the_cache_before(hub: Hub, cache: Path) -> None:
    other_program("model.safetensors")
    pull(SPEC, "torch")
    assert remove_files(list(FILES.values())) == len(CONFIG)
    assert files_of(snapshot(cache)) == ["model.safetensors"]


def test_removal_forgets_files_when_the_cache_is_gone(hub: Hub, records: Path, cache: Path) -> None:
    pull(SPEC, "torch")
    shutil.rmtree(cache)
    assert remove_files(list(FILES.values())) == 0
    assert files_of(records) == []


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
    with pytest.raises(ValueError, match="is not a repository, path or revision"):
        HubFile(*fields)


def test_pull_names_the_extra_when_the_library_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match="huggingface_hub is not installed") as caught:
        pull(SPEC, "onnx")
    assert caught.value.hint == "pip install 'patina-hooks[hub]'"


def test_records_are_in_the_users_data() -> None:
    assert records_folder() == Path(os.environ["XDG_DATA_HOME"], "patina/models")
