"""Each remedy that the doctor prints is executed in the state that prints it, and the remark is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.husky import husky_9
from support.memory import FAST_RECIPE, Memory, plugins
from test_doctor import (
    FAULTS,
    model_nobody_has,
    rebase_under_way,
    recipe_with_a_slip,
    settings_that_do_not_parse,
    shallow_clone,
    training_that_failed,
)

from patina_hooks import (
    Document,
    Extraction,
    ExtractorSpec,
    Pair,
    PairGeneratorSpec,
    SessionScope,
    hookimpl,
)
from patina_hooks.api import Patina
from patina_hooks.git.hooks import install
from patina_hooks.models.catalog.user import user_models_file
from patina_hooks.models.files.weights import locate
from patina_hooks.plugins.manager import Plugins
from patina_hooks.upkeep.doctor import Finding, examine

EDITS: dict[str, str] = {".patina/config.toml": "[session]\n", ".patina/oxidize.yaml": FAST_RECIPE}
"""What a user writes where a remedy says to edit a file."""

OWN_STATES = {rebase_under_way, shallow_clone, training_that_failed}
"""States of the table that are planted as files only; the real ones are made below."""


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "a repository")
    memory.commit("begin with marmots", {"README.md": "x"})
    install(memory.repository)
    memory.sync()
    return memory


def remarks(memory: Memory) -> list[Finding]:
    return [finding for finding in examine(memory.repository, plugins()) if finding.level != "ok"]


def follow(memory: Memory, remedy: str) -> None:
    """Do what a remedy says: edit the file that it names, or type its last command into a shell."""
    if remedy.startswith("edit "):
        path = remedy.removeprefix("edit ").split(":")[0]
        memory.write(path, EDITS[path])
        return
    if remedy.startswith("add to "):
        path, _, line = remedy.removeprefix("add to ").partition(": ")
        first, newline, rest = Path(path).read_text().partition("\n")
        Path(path).write_text(f"{first}{newline}{line}\n{rest}")
        return
    command = remedy.rpartition("or: ")[2]
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=memory.root,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stdout, done.stderr)


PLANTED = [(plant, check, what) for plant, check, _, what, _ in FAULTS if plant not in OWN_STATES]


@pytest.mark.parametrize(("plant", "check", "what"), PLANTED, ids=[plant.__name__ for plant, *_ in PLANTED])
def test_remark_is_gone_when_its_remedy_was_followed(
    memory: Memory, plant: Callable[[Memory], None], check: str, what: str
) -> None:
    plant(memory)
    finding = next(one for one in remarks(memory) if one.check == check and what in f"{one.what} {one.why}")
    follow(memory, finding.fix)
    if plant in (settings_that_do_not_parse, recipe_with_a_slip, model_nobody_has):
        memory.sync()
    # A log that was set aside is told once more, by the sync that did it.
    for other in [one for one in remarks(memory) if one.check == check]:
        assert (other.what, other.why) != (finding.what, finding.why)
        follow(memory, other.fix)
    assert [one for one in remarks(memory) if one.check == check] == []


def test_hooks_run_when_husky_generated_its_folder(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    husky_9(memory.root)
    install(memory.repository)
    generated = memory.root / ".husky/_"
    generated.rename(tmp_path / "generated")
    npx = tmp_path / "bin/npx"
    npx.parent.mkdir()
    npx.write_text(f'#!/bin/sh\n[ "$*" = husky ] && cp -R {tmp_path}/generated .husky/_\n')
    npx.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npx.parent}:{os.environ['PATH']}")
    finding = next(one for one in remarks(memory) if one.check == "hooks")
    follow(memory, finding.fix)
    assert [one for one in remarks(memory) if one.check == "hooks"] == []


class Absent:
    """An extractor and a pair generator that only another environment has."""

    @hookimpl
    def patina_register_extractors(self) -> list[ExtractorSpec]:
        return [ExtractorSpec("absent", 1, "commit", f"{__name__}:read_nothing")]

    @hookimpl
    def patina_register_pair_generators(self) -> list[PairGeneratorSpec]:
        return [PairGeneratorSpec("absent", 1, f"{__name__}:pair_nothing")]


def read_nothing(document: Document) -> Extraction:
    return Extraction(())


def pair_nothing(scope: SessionScope) -> list[Pair]:
    return []


def test_results_of_absent_plugins_are_gone_when_their_remedy_was_followed(memory: Memory) -> None:
    providers = Plugins.load()
    providers.register(Absent(), "absent")
    memory.sync(providers=providers)
    memory.sync()
    found = [one for one in remarks(memory) if one.check == "plugins"]
    assert [one.what.partition(",")[0] for one in found] == [
        "results of extractor absent", "results of pair generator absent",
    ]  # fmt: skip
    follow(memory, found[0].fix)
    assert [one for one in remarks(memory) if one.check == "plugins"] == []


def test_unfinished_operation_is_gone_when_its_remedy_was_followed(memory: Memory) -> None:
    memory.git("switch", "-q", "-c", "side")
    memory.commit("side one", {"README.md": "side"})
    memory.commit("side two", {"README.md": "sides"})
    memory.git("switch", "-q", "main")
    memory.commit("main", {"README.md": "main"})
    for command in (("rebase", "side"), ("cherry-pick", "main..side")):
        memory.git(*command, check=False)
        (finding,) = [one for one in remarks(memory) if one.check == "git"]
        assert f"git {command[0]} --continue" in finding.fix
        follow(memory, finding.fix)
        assert [one for one in remarks(memory) if one.check == "git"] == []


def test_rebase_of_another_work_tree_is_gone_when_its_remedy_was_followed(memory: Memory) -> None:
    linked = memory.root.parent / "linked tree"
    memory.git("worktree", "add", "-q", "-b", "side", str(linked))
    memory.write("README.md", "side", at=linked)
    memory.git("commit", "-qam", "side", at=linked)
    memory.commit("main", {"README.md": "main"})
    memory.git("rebase", "main", at=linked, check=False)
    (finding,) = [one for one in remarks(memory) if one.check == "git"]
    follow(memory, finding.fix)
    assert [one for one in remarks(memory) if one.check == "git"] == []


def test_shallow_clone_is_whole_when_its_remedy_was_followed(memory: Memory, tmp_path: Path) -> None:
    memory.commit("marmots dig")
    clone = Memory(tmp_path / "clone")
    memory.git("clone", "-q", "--depth", "1", f"file://{memory.root}", str(clone.root))
    clone.write(".patina/oxidize.yaml", FAST_RECIPE)
    (finding,) = [one for one in remarks(clone) if one.check == "git"]
    follow(clone, finding.fix)
    assert [one for one in remarks(clone) if one.check == "git"] == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_state_is_writable_when_its_remedy_was_followed(memory: Memory) -> None:
    memory.state.chmod(0o500)
    (finding,) = [one for one in remarks(memory) if one.check == "state"]
    follow(memory, finding.fix)
    assert [one for one in remarks(memory) if one.check == "state"] == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("name", ["spool", "lock", "worker.lock", "patina.log", "log.db", "embeddings.db"])
def test_file_of_the_state_is_writable_when_its_remedy_was_followed(memory: Memory, name: str) -> None:
    path = memory.state / name
    path.touch()
    path.chmod(0)
    (finding,) = [one for one in remarks(memory) if one.check == "state"]
    assert str(path) in finding.what
    follow(memory, finding.fix)
    assert [one for one in remarks(memory) if one.check == "state"] == []


def test_settings_of_a_home_without_folders_are_no_fault(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", os.devnull)
    done = subprocess.run(
        [sys.executable, "-c", "from patina_hooks.commands import main; main()", "doctor"],
        cwd=memory.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "ERROR" in done.stdout) == (0, False), done.stdout


@pytest.mark.parametrize("role", ["model", "tokenizer"])
@pytest.mark.parametrize("size", [0, 500])
@pytest.mark.parametrize("restored", [False, True])
def test_cut_off_model_file_is_gone_when_its_remedy_was_followed(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, size: int, restored: bool
) -> None:
    spec = plugins().model("acme-64")
    originals = {name: locate(file) for name, file in spec.runtimes["onnx"].items()}
    copies = {name: Path(shutil.copy(path, tmp_path)) for name, path in originals.items()}
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    user_models_file().parent.mkdir(parents=True)
    lines = "".join(f'{name} = "{path}"\n' for name, path in copies.items())
    user_models_file().write_text(f"[mine]\ndimensions = 64\nmax_tokens = 128\n[mine.files.onnx]\n{lines}")
    content = copies[role].read_bytes()
    copies[role].write_bytes(content[:size])
    memory.write(".patina/oxidize.yaml", "embedding_model: mine\n")
    providers = Plugins.load(disabled=())
    with Patina(memory.repository, plugins=providers) as patina:
        patina.sync()
        for check in ("log", "model"):
            (finding,) = [
                one
                for one in examine(memory.repository, providers)
                if (one.check, one.level) == (check, "fault")
            ]
            assert str(copies[role]) in f"{finding.what} {finding.why}"
        if restored:
            assert "or restore its files and run patina sync" in finding.fix
            copies[role].write_bytes(content)
        else:
            follow(memory, finding.fix)
        patina.sync()
    assert [one for one in examine(memory.repository, providers) if one.level == "fault"] == []
