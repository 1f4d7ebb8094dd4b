"""`patina models`: what it prints, and that `pull` alone asks the network."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.hub import COMMIT, Hub, served, set_hub_cache
from support.marked import ROOT
from support.memory import Memory
from support.shell import PATINA, Shell
from support.tiny_models import make_twin

from patina_hooks.config.settings import user_file
from patina_hooks.errors import ModelError
from patina_hooks.models.catalog.user import user_models_file
from patina_hooks.models.files.weights import model_files
from patina_hooks.plugins.manager import Plugins

WEIGHTS = bytes(range(256)) * 1_000
MODEL = """\
[acme-hub]
dimensions = 64
languages = ["en"]
parameters = 64000
[acme-hub.files.onnx]
model = {repository = "acme/acme", path = "onnx/model.onnx"}
tokenizer = {repository = "acme/acme", path = "tokenizer.json"}
[acme-twice]
dimensions = 64
[acme-twice.files.onnx]
tokenizer = {repository = "acme/acme", path = "tokenizer.json"}
"""


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    set_hub_cache(tmp_path / "hf", monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    user_models_file().parent.mkdir(parents=True)
    user_models_file().write_text(MODEL)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with served() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.add("acme/acme", "onnx/model.onnx", WEIGHTS)
        hub.add("acme/acme", "tokenizer.json", b"{}")
        yield hub


@pytest.fixture
def anywhere(tmp_path: Path) -> Shell:
    """In no repository at all."""
    (tmp_path / "empty").mkdir()
    return Shell(tmp_path / "empty")


def cached_files(folder: Path) -> list[str]:
    """Return the names of the files in the snapshots of the hub cache."""
    return sorted(path.name for path in (folder / "hf").glob("hub/*/snapshots/**/*") if path.is_file())


def named(listed: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(one for one in listed if one["name"] == name)


def added(shell: Shell, folder: Path) -> None:
    """A model of the user's own, under its folder's name."""
    make_twin("bert", folder)
    assert shell.run("models", "add", "--from-folder", str(folder), "--pooling", "cls").returncode == 0


def documented(command: str) -> set[str]:
    """The keys in the first column of the tables under a heading of docs/json.md."""
    text = (ROOT / "docs/json.md").read_text("utf-8")
    section = text.split(f"\n## patina models {command}")[1].split("\n## ")[0]
    return {key for row in re.findall(r"^\| (`.*?) \|", section, re.M) for key in re.findall(r"`(\w+)`", row)}


# --- what there is ----------------------------------------------------------------------------------


def test_the_list_says_what_is_ready_and_what_to_do_for_the_rest(anywhere: Shell) -> None:
    table = anywhere.out("models", "list")
    rows = {line.split()[0]: line for line in table.splitlines()}
    assert rows["minilm-l6-v2"].endswith("ready")
    assert rows["acme-hub"].endswith("not pulled: patina models pull acme-hub")
    listed = json.loads(anywhere.out("models", "list", "--json"))
    assert all(set(one) == documented("list --json") for one in listed)
    assert [one["name"] for one in listed] == sorted(one["name"] for one in listed)
    assert named(listed, "minilm-l6-v2")["state"] == "ready"
    assert named(listed, "acme-hub") | {"state": "pull", "runtime": "onnx"} == named(listed, "acme-hub")


def test_a_model_that_cannot_be_read_is_said_beside_the_list(anywhere: Shell) -> None:
    user_models_file().write_text(MODEL + "[wrong]\n")
    result = anywhere.invoke("models", "list")
    assert result.exit_code == 0
    assert "acme-hub" in result.stdout
    assert "wrong has no dimensions" in result.stderr


def test_one_model_is_shown_with_its_files(anywhere: Shell) -> None:
    page = anywhere.out("models", "show", "acme-hub")
    assert "onnx/model.onnx of acme/acme at main" in page
    assert "not here" in page
    shown = json.loads(anywhere.out("models", "show", "minilm-l6-v2", "--json"))
    assert set(shown) | {"runtime", "role", "source", "path", "bytes", "sha256"} == documented("show NAME")
    assert {file["role"] for file in shown["files"]} == {"model", "tokenizer"}
    assert all(Path(file["path"]).stat().st_size == file["bytes"] for file in shown["files"])


def test_the_decision_is_explained(anywhere: Shell) -> None:
    assert "* onnx" in anywhere.out("models", "explain", "minilm-l6-v2")
    told = json.loads(anywhere.out("models", "explain", "minilm-l6-v2", "--json"))
    assert set(told) | {"usable", "reason", "remedy", "bytes"} == documented("explain NAME")
    assert (told["runtime"], told["variant"]) == ("onnx", "")
    assert told["runtimes"][0]["bytes"] > 20_000_000


def test_files_of_another_precision_are_listed_explained_and_pulled_by_name(
    anywhere: Shell, hub: Hub, tmp_path: Path
) -> None:
    user_models_file().write_text(
        MODEL
        + """\
[acme-both]
dimensions = 64
one_by_one = ["onnx/int8"]
[acme-both.files.onnx]
model = {repository = "acme/acme", path = "onnx/model.onnx", size = 256000}
tokenizer = {repository = "acme/acme", path = "tokenizer.json", size = 2}
[acme-both.files."onnx/int8"]
model = {repository = "acme/acme", path = "onnx/model_int8.onnx", size = 64000}
tokenizer = {repository = "acme/acme", path = "tokenizer.json", size = 2}
"""
    )
    hub.add("acme/acme", "onnx/model_int8.onnx", WEIGHTS[:64_000])
    rows = anywhere.out("models", "list").splitlines()
    place = next(number for number, row in enumerate(rows) if row.startswith("acme-both"))
    assert rows[place + 1].split(None, 3)[:3] == ["onnx/int8", "64.0", "kB"]
    assert rows[place + 1].endswith("not pulled: patina models pull acme-both --runtime onnx/int8")
    (told,) = (
        one for one in json.loads(anywhere.out("models", "list", "--json")) if one["name"] == "acme-both"
    )
    assert (told["runtimes"], told["runtime"]) == (["onnx", "onnx/int8"], "onnx")
    assert told["sizes"] == {"onnx": 256_002, "onnx/int8": 64_002}

    asked = anywhere.out("models", "explain", "acme-both", "--runtime", "onnx/int8")
    assert "* onnx/int8 can run where a recipe names it: runtime: onnx/int8 (64.0 kB)" in asked
    assert "* onnx " in anywhere.out("models", "explain", "acme-both")

    pulled = anywhere.invoke("models", "pull", "acme-both", "--runtime", "onnx/int8", "--json")
    assert json.loads(pulled.stdout)["fetched"] == ["onnx/model_int8.onnx", "tokenizer.json"]
    rows = anywhere.out("models", "list").splitlines()
    assert rows[place].endswith("not pulled: patina models pull acme-both")
    assert rows[place + 1].endswith("ready")
    verified = json.loads(anywhere.out("models", "verify", "--json"))
    assert {(one["model"], one["runtime"]) for one in verified} >= {("acme-both", "onnx/int8")}
    assert "freed" in anywhere.out("models", "remove", "acme-both")
    assert not [name for name in cached_files(tmp_path) if name.endswith(".onnx")]


@pytest.mark.parametrize("wanted", ["patina-onnx/onnx", "onnx"])
def test_a_runtime_may_be_asked_for_by_its_plugin(anywhere: Shell, wanted: str) -> None:
    asked = anywhere.out("models", "explain", "minilm-l6-v2", "--runtime", wanted)
    assert asked.startswith("minilm-l6-v2: onnx (")
    assert "\n* onnx " in asked


def test_a_size_that_nobody_knows_is_shown_as_unknown(anywhere: Shell, hub: Hub) -> None:
    user_models_file().write_text(
        """\
[acme-some]
dimensions = 64
[acme-some.files.onnx]
model = {repository = "acme/acme", path = "onnx/model.onnx"}
tokenizer = {repository = "acme/acme", path = "tokenizer.json", size = 2}
"""
    )
    (row,) = (line for line in anywhere.out("models", "list").splitlines() if line.startswith("acme-some"))
    assert re.search(r" onnx +\? MB +not pulled", row)
    shown = anywhere.out("models", "show", "acme-some")
    assert re.findall(r"not here  (.*)", shown) == ["? MB", "2 B"]
    explained = anywhere.out("models", "explain", "acme-some")
    assert "(? MB)" in explained
    told = json.loads(anywhere.out("models", "show", "acme-some", "--json"))
    assert (told["bytes"], told["sizes"]) == (None, {"onnx": None})
    assert [file["bytes"] for file in told["files"]] == [None, 2]
    told = json.loads(anywhere.out("models", "explain", "acme-some", "--json"))
    sizes = {one["runtime"]: one["bytes"] for one in told["runtimes"]}
    assert sizes["onnx"] is None
    assert set(sizes.values()) <= {None, 0}, "it has no files for others"

    anywhere.run("models", "pull", "acme-some")
    assert json.loads(anywhere.out("models", "show", "acme-some", "--json"))["bytes"] == len(WEIGHTS) + 2


def test_what_settings_change_of_vectors_is_explained(anywhere: Shell, tmp_path: Path) -> None:
    make_twin("bert", tmp_path / "twin")
    folder = str(tmp_path / "twin")
    assert anywhere.run("models", "add", "--from-folder", folder, "--pooling", "cls").returncode == 0
    user_file().write_text('[runtime.mlx]\ndtype = "bfloat16"\n')
    told = anywhere.out("models", "explain", "twin", "--runtime", "mlx")
    assert "your settings compute in bfloat16: its vectors are kept apart" in told
    explained = json.loads(anywhere.out("models", "explain", "twin", "--runtime", "mlx", "--json"))
    assert explained["variant"] == "bfloat16"


def test_a_runtime_that_cannot_run_fails_with_why(anywhere: Shell) -> None:
    result = anywhere.run("models", "explain", "minilm-l6-v2", "--runtime", "abacus")
    assert result.returncode == 1
    assert "minilm-l6-v2: cannot be run by abacus" in result.stdout
    assert "no runtime is named 'abacus'" in result.stderr


def test_an_unknown_model_is_an_error_that_names_those_there_are(anywhere: Shell) -> None:
    result = anywhere.run("models", "show", "minilm")
    assert result.returncode == 1
    assert "did you mean minilm-l6-v2?" in result.stderr


@pytest.mark.parametrize(
    "command", ["list", "list --json", "show minilm-l6-v2", "explain minilm-l6-v2", "recommend"]
)
def test_nothing_heavy_is_imported_to_say_what_there_is(anywhere: Shell, command: str) -> None:
    code = (
        "import atexit, sys; heavy = {'numpy', 'onnxruntime', 'tokenizers', 'torch', 'mlx', 'git', 'yaml',"
        " 'huggingface_hub'}\n"
        "atexit.register(lambda: print('loaded', *(heavy & set(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['patina', 'models', *{command.split()!r}]\n"
        "from patina_hooks.commands import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "loaded"


# --- getting them -----------------------------------------------------------------------------------


def test_pull_show_verify_remove(anywhere: Shell, hub: Hub, tmp_path: Path) -> None:
    done = anywhere.run("models", "pull", "acme-hub")
    assert (done.returncode, done.stdout) == (0, "downloaded acme-hub for onnx: 2 files, 256 kB\n"), (
        done.stderr
    )
    assert done.stderr.splitlines()[:1] == ["acme/acme/onnx/model.onnx (256 kB)"]
    assert {one.path for one in hub.asked} == {
        "/api/models/acme/acme/revision/main",
        f"/acme/acme/resolve/{COMMIT}/onnx/model.onnx",
        f"/acme/acme/resolve/{COMMIT}/tokenizer.json",
    }
    hub.asked.clear()

    shown = json.loads(anywhere.out("models", "show", "acme-hub", "--json"))
    assert shown["state"] == "ready"
    assert all(file["sha256"] and "c0ffee" in file["source"] for file in shown["files"])
    assert "already" in anywhere.run("models", "pull", "acme-hub").stdout

    checked = json.loads(anywhere.out("models", "verify", "acme-hub", "--json"))
    assert all(set(one) == documented("verify") for one in checked)
    assert [one["state"] for one in checked] == ["ok"] * 2
    Path(shown["files"][0]["path"]).write_bytes(WEIGHTS[::-1])
    altered = anywhere.run("models", "verify", "acme-hub")
    assert altered.returncode == 1
    assert "is not the file that was pulled" in altered.stdout
    assert "try: patina models pull acme-hub --runtime onnx" in altered.stderr

    freed = json.loads(anywhere.out("models", "remove", "acme-hub", "--json"))
    assert set(freed) == documented("remove")
    assert freed["bytes"] == len(WEIGHTS)
    assert cached_files(tmp_path) == ["tokenizer.json"], "acme-twice has the same tokenizer"
    assert hub.asked == []


def test_a_file_of_two_models_is_verified_by_the_one_that_knows_its_hash(
    anywhere: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text("{}")
    models = "".join(
        f'[{name}]\ndimensions = 64\n[{name}.files.onnx]\ntokenizer = {{path = "{file}"{known}}}\n'
        for name, known in (
            ("a-trusts", ""), ("b-pins", f', sha256 = "{"0" * 64}"'), ("c-pins", f', sha256 = "{"0" * 64}"')
        )
    )  # fmt: skip
    user_models_file().write_text(models)
    done = anywhere.run("models", "verify", "--json")
    checked = [one for one in json.loads(done.stdout) if one["path"] == str(file)]
    assert [(one["model"], one["state"]) for one in checked] == [
        ("a-trusts", "present, no hash is stated"),
        ("b-pins", "altered"),
    ]
    assert done.returncode == 1


def test_a_file_that_is_gone_is_found_by_who_names_no_model(anywhere: Shell, tmp_path: Path) -> None:
    added(anywhere, tmp_path / "twin")
    (tmp_path / "twin/tokenizer.json").unlink()
    done = anywhere.run("models", "verify", "--json")
    wrong = [one for one in json.loads(done.stdout) if one["error"]]
    assert [(one["model"], one["role"], one["state"]) for one in wrong] == [("twin", "tokenizer", "absent")]
    assert done.returncode == 1
    assert wrong[0]["hint"].startswith("put it there, or correct its path in models.toml")
    assert f"try: {wrong[0]['hint']}" in done.stderr
    shutil.rmtree(tmp_path / "twin")
    assert anywhere.run("models", "verify").returncode == 0, "nothing of it is here"


def test_a_pulled_file_that_is_gone_is_found_too(anywhere: Shell, hub: Hub, tmp_path: Path) -> None:
    anywhere.run("models", "pull", "acme-hub")
    shutil.rmtree(tmp_path / "hf/hub/models--acme--acme/snapshots" / COMMIT / "onnx")
    done = anywhere.run("models", "verify")
    assert done.returncode == 1
    assert "onnx/model.onnx of acme/acme was not pulled yet" in done.stdout
    assert "try: patina models pull acme-hub --runtime onnx" in done.stderr


def test_a_file_is_read_anew_however_unchanged_it_looks(anywhere: Shell, tmp_path: Path) -> None:
    added(anywhere, tmp_path / "twin")
    weights = tmp_path / "twin/model.safetensors"
    model_files(Plugins.load().model("twin"), "mlx")  # by now its size and time are known
    before = weights.stat()
    with weights.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    done = anywhere.run("models", "verify", "twin")
    assert done.returncode == 1
    assert "model.safetensors is not the file that was named" in done.stdout
    assert "try: restore the file, or add it again" in done.stderr


def test_a_file_of_several_runtimes_counts_once(anywhere: Shell) -> None:
    tokenizer = 'tokenizer = {repository = "acme/acme", path = "tokenizer.json"}\n'
    user_models_file().write_text(
        "[acme-both]\ndimensions = 64\n"
        f"[acme-both.files.onnx]\n{tokenizer}"
        f'[acme-both.files."onnx/int8"]\n{tokenizer}'
    )
    done = anywhere.run("models", "verify", "acme-both")
    assert done.stdout == "tokenizer.json of acme/acme was not pulled yet\n"
    assert "cannot use 1 file of 1" in done.stderr


def test_a_pull_tells_programs_what_it_did(anywhere: Shell, hub: Hub) -> None:
    done = anywhere.run("models", "pull", "acme-hub", "--runtime", "onnx", "--json")
    told = json.loads(done.stdout)
    assert set(told) == documented("pull")
    assert (told["fetched"], told["present"]) == (["onnx/model.onnx", "tokenizer.json"], [])


def test_what_needs_no_pull_asks_nobody(anywhere: Shell, hub: Hub) -> None:
    assert anywhere.run("models", "pull", "minilm-l6-v2").returncode == 0
    assert hub.asked == []


def test_offline_is_offline(anywhere: Shell, hub: Hub) -> None:
    done = anywhere.run("models", "pull", "acme-hub", env={"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 1
    assert "HF_HUB_OFFLINE is set and it is not in the hub cache" in done.stderr
    assert "try: unset HF_HUB_OFFLINE" in done.stderr
    assert hub.asked == []


def test_no_hub_at_all_is_an_error_in_words(anywhere: Shell) -> None:
    done = anywhere.run("models", "pull", "acme-hub", env={"HF_ENDPOINT": "http://127.0.0.1:1"})
    assert done.returncode == 1
    assert "cannot download onnx/model.onnx of acme/acme: " in done.stderr
    assert "try: check the network and retry" in done.stderr
    assert "bug" not in done.stderr


def test_pull_fails_with_a_remedy_when_the_disk_is_full(anywhere: Shell, hub: Hub, tmp_path: Path) -> None:
    def no_file_larger_than_100_kb() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [*PATINA, "models", "pull", "acme-hub"], cwd=anywhere.folder, capture_output=True, text=True,
        check=False, preexec_fn=no_file_larger_than_100_kb,
    )  # fmt: skip
    assert done.returncode == 1
    assert ": File too large" in done.stderr
    assert "try: df -h" in done.stderr
    assert cached_files(tmp_path) == []
    assert anywhere.run("models", "pull", "acme-hub").returncode == 0


def test_without_room_it_is_said_beforehand(
    anywhere: Shell, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=9))
    with pytest.raises(ModelError, match="cannot download 256 kB: 9 B are free"):
        anywhere.invoke("models", "pull", "acme-hub")
    assert hub.downloads() == []


def test_files_of_a_package_are_not_removed(anywhere: Shell) -> None:
    done = anywhere.run("models", "remove", "minilm-l6-v2")
    assert done.returncode == 1
    assert "cannot remove minilm-l6-v2: its files are those of a package" in done.stderr


# --- adding and choosing ----------------------------------------------------------------------------


def test_a_model_in_a_folder_is_added_and_listed(anywhere: Shell, tmp_path: Path) -> None:
    make_twin("bert", tmp_path / "Twin-Bert")
    added = anywhere.invoke("models", "add", "--from-folder", str(tmp_path / "Twin-Bert"), "--pooling", "cls")
    assert added.exit_code == 0
    assert added.stdout in user_models_file().read_text()
    assert "written to" in added.stderr
    listed = json.loads(anywhere.out("models", "list", "--json"))
    assert named(listed, "twin-bert")["pooling"] == "cls"
    told = json.loads(
        anywhere.out(
            "models", "add", "--from-folder", str(tmp_path / "Twin-Bert"), "--pooling", "mean", "--name", "b",
            "--json",
        )
    )  # fmt: skip
    assert (told["name"], told["file"]) == ("b", str(user_models_file()))
    again = anywhere.run("models", "add", "--from-folder", str(tmp_path / "Twin-Bert"), "--pooling", "cls")
    assert again.returncode == 1
    assert "has a model twin-bert already" in again.stderr


def test_a_name_that_a_plugin_has_is_refused(anywhere: Shell, tmp_path: Path) -> None:
    make_twin("bert", tmp_path / "minilm-l6-v2")
    add = ("models", "add", "--from-folder", str(tmp_path / "minilm-l6-v2"), "--pooling", "cls")
    done = anywhere.run(*add)
    assert done.returncode == 1
    assert "the plugin patina-minilm has a model minilm-l6-v2 already" in done.stderr
    assert "--name OTHER" in done.stderr
    assert user_models_file().read_text() == MODEL
    assert anywhere.run(*add, "--name", "mine").returncode == 0


def test_a_folder_whose_name_no_entry_can_have(anywhere: Shell, tmp_path: Path) -> None:
    make_twin("bert", tmp_path / "My Model (v2)")
    add = ("models", "add", "--from-folder", str(tmp_path / "My Model (v2)"), "--pooling", "cls")
    done = anywhere.run(*add)
    assert done.returncode == 2
    assert "'my model (v2)' cannot be the name of a model" in done.stderr
    assert "try: --name my-model-v2" in done.stderr
    assert user_models_file().read_text() == MODEL
    assert anywhere.run(*add, "--name", "my-model-v2").returncode == 0


def test_a_place_where_nothing_can_be_written_is_no_bug(anywhere: Shell, hub: Hub, tmp_path: Path) -> None:
    added(anywhere, tmp_path / "twin")
    (tmp_path / "file").write_text("in the way")
    inside = str(tmp_path / "file/inside")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/patina").symlink_to(tmp_path / "nowhere/at all")
    add = ("models", "add", "--from-folder", str(tmp_path / "twin"), "--pooling", "cls", "--name", "b")
    for command in (
        anywhere.run("export", "twin", "--output", inside),
        anywhere.run("export", "twin", "--output", str(tmp_path / ("a" * 300))),
        anywhere.run("models", "pull", "acme-hub", env={"XDG_DATA_HOME": inside}),
        anywhere.run(*add, env={"XDG_CONFIG_HOME": inside}),
        anywhere.run(*add, env={"XDG_CONFIG_HOME": str(tmp_path / "config")}),
    ):
        assert command.returncode == 1, command.stderr
        assert str(tmp_path) in command.stderr
        assert "bug" not in command.stderr


def test_a_recommendation_has_reasons_for_and_against(anywhere: Shell) -> None:
    told = json.loads(anywhere.out("models", "recommend", "--json"))
    assert set(told) == documented("recommend")
    reasons = {one["model"]: one["why"] for one in told["others"]} | {told["model"]: told["why"]}
    listed = json.loads(anywhere.out("models", "list", "--json"))
    assert set(reasons) == {one["name"] for one in listed}
    assert all(reasons.values())
    assert f"embedding_model: {told['model']}" in anywhere.out("models", "recommend")


@pytest.mark.parametrize(
    ("code", "written"),
    [("en", "EN"), ("en", "en-US"), ("en", "en_US.UTF-8"), ("de", "de-AT"), ("pt", "pt-BR"), ("pt", "PT")],
)
def test_a_language_is_known_however_it_is_written(anywhere: Shell, code: str, written: str) -> None:
    user_models_file().write_text(
        MODEL.replace('["en"]', '["en", "pt-BR"]').replace("64000", "150_000_000").split("[acme-twice]")[0]
    )
    told = anywhere.out("models", "recommend", "--language", code)
    assert anywhere.out("models", "recommend", "--language", written) == told
    assert f"knows {code} " in told or "knows many languages" in told
    assert ("not acme-hub: it was not trained for" in told) == (code == "de")


# --- naming one in a recipe -------------------------------------------------------------------------


def test_a_model_that_is_not_here_yet_is_told_with_what_brings_it(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "embedding_model: acme-hub\n")
    memory.commit("one")
    memory.commit("two")
    shell, pull = Shell(memory.root), "patina models pull acme-hub --runtime onnx"
    synced = shell.invoke("sync")
    assert "2 texts pending, without a vector until the model is available" in synced.stdout
    assert f"was not pulled yet\n  try: {pull}\n" in synced.stderr
    page = shell.invoke("status")
    assert f"was not pulled yet\n    try: {pull}" in page.stdout
    (fault,) = json.loads(shell.invoke("status", "--json").stdout)["faults"]
    assert fault["hint"] == pull
    findings = json.loads(shell.invoke("doctor", "--json").stdout)
    assert pull in [one["fix"] for one in findings if one["check"] == "log"]


def test_no_worker_is_woken_for_texts_that_it_could_not_embed_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "embedding_model: acme-hub\n")
    memory.commit("one")
    memory.sync()
    woken: list[object] = []
    monkeypatch.setattr("patina_hooks.upkeep.worker.wake_worker", lambda *what: woken.append(what))
    Shell(memory.root).invoke("status")
    assert woken == []
