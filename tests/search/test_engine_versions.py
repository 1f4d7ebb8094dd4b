"""A runtime that changed: its vectors are compared with the stored ones, and never mixed with them.

Each test installs a distribution with a runtime as docs/plugins.md writes it, and runs patina in processes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from support.distributions import Site
from support.memory import Memory
from support.shell import Shell

from patina_hooks.models.probes import PROBES_FILE
from patina_hooks.search.index.spaces import active_space
from patina_hooks.store.log import Log

MODULE = """
from patina_hooks import ExtractorSpec, ModelSpec, RuntimeSpec, hookimpl


@hookimpl
def patina_register_extractors():
    yield ExtractorSpec("ticket", 1, "commit", "patina_mine.tickets:extract")


@hookimpl
def patina_register_runtimes():
    yield RuntimeSpec("hash", factory="patina_mine.runtime:open_model", modules=("numpy",))
    yield RuntimeSpec("echo", factory="patina_mine.runtime:open_model", modules=("numpy",))


@hookimpl
def patina_register_models():
    runtimes = {"hash": {}, "echo": {}}
    yield ModelSpec("hash-64", dimensions=64, runtimes=runtimes, max_tokens=128, query_prefix=QUERY_PREFIX)
"""
RUNTIME = """
import re
import zlib

import numpy as np

from patina_hooks import Tokens

WORDS = 65_536


def open_model(model, files):
    return HashModel(model.dimensions)


class HashModel:
    def __init__(self, dimensions):
        self.table = np.random.default_rng(SEED).standard_normal((WORDS, dimensions), dtype=np.float32)

    def tokenize(self, texts, max_tokens):
        words = [re.findall(r"\\w+", text.lower()) for text in texts]
        ids = [[zlib.crc32(word.encode()) % WORDS for word in one] for one in words]
        return [Tokens(one[:max_tokens], cut=len(one[max_tokens:])) for one in ids]

    def forward(self, ids, mask):
        if (ids == zlib.crc32(b"unreadable") % WORDS).any():
            raise MemoryError
        return self.table[ids]
"""
TICKETS = """
from patina_hooks import Extraction


def extract(document):
    return Extraction(())
"""
RECIPE = "version: 2\nembedding_model: hash-64\nruntime: {}\n"
SEARCH_TWICE = """
import patina_hooks

with patina_hooks.open() as patina:
    for _ in range(2):
        messages = []
        hits = patina.search("marmots", on_fault=messages.append)
        print(hits[0].text, "|", "vector" in hits[0].channels, "|", *messages)
"""
OTHER_VECTORS = "the runtime hash gives other vectors for hash-64"


class Installed:
    """A repository, and a folder with the distribution `patina-mine` on the path of its commands."""

    def __init__(self, folder: Path) -> None:
        self.site = Site(folder / "site")
        self.memory = Memory.make(folder / "repository")
        self.memory.write(".patina/oxidize.yaml", RECIPE.format("hash"))
        self.install("0.1.0")
        for text in ("close the last tab", "marmots sleep in winter", "the parser reads a tree"):
            self.memory.commit(text)

    def install(self, version: str, seed: int = 0, query_prefix: str = "") -> None:
        if self.site.folder.is_dir():
            shutil.rmtree(self.site.folder)
        files = {
            "patina_mine/tickets.py": TICKETS,
            "patina_mine/__init__.py": MODULE.replace("QUERY_PREFIX", repr(query_prefix)),
            "patina_mine/runtime.py": RUNTIME.replace("SEED", str(seed)),
        }
        self.site.add("patina-mine", files=files, entry_points={"mine": "patina_mine"}, version=version)

    @property
    def path(self) -> Mapping[str, str]:
        folders = [str(self.site.folder), os.environ.get("PYTHONPATH", "")]
        # A reinstalled module of the same size and second would otherwise run from stale byte code.
        return {"PYTHONPATH": os.pathsep.join(filter(None, folders)), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return Shell(self.memory.root).run(*arguments, env=self.path)

    def out(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sync(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = self.run("sync", *arguments)
        assert done.returncode == 0, done.stderr
        return done

    def best(self, question: str) -> str:
        """The text that is nearest by its vector."""
        hits = json.loads(self.out("scry", "--json", "--mode", "vector", question))["hits"]
        return str(hits[0]["text"])

    def fingerprint(self) -> str:
        with closing(Log(self.memory.state, create=False)) as log:
            space = active_space(log)
        assert space is not None
        return space.fingerprint

    def doctor(self) -> dict[str, dict[str, str]]:
        done = self.run("doctor", "--json")
        return {found["check"]: found for found in json.loads(done.stdout)}


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    installed = Installed(tmp_path)
    assert "3 texts embedded" in installed.sync().stdout
    return installed


def test_texts_are_embedded_again_when_a_new_version_gives_other_vectors(installed: Installed) -> None:
    before = installed.fingerprint()
    installed.install("0.2.0", seed=1)
    assert installed.best("the last tab") == "close the last tab"
    assert installed.fingerprint() != before
    assert "nothing new" in installed.sync().stdout
    assert installed.doctor()["probes"]["level"] == "ok"


def test_sync_status_and_doctor_tell_that_a_runtime_changed(installed: Installed) -> None:
    installed.install("0.2.0", seed=1)
    done = installed.sync()
    assert "3 texts embedded" in done.stdout
    message = f"{OTHER_VECTORS} than before (now patina-mine 0.2.0): its texts are embedded again"
    assert message in done.stderr
    assert message in installed.out("status")
    finding = installed.doctor()["log"]
    assert (finding["level"], finding["fix"]) == ("fault", "patina sync")
    assert message in finding["why"]
    assert installed.sync().stderr == ""
    assert "log" not in installed.doctor() or installed.doctor()["log"]["level"] == "ok"


def test_nothing_is_embedded_when_a_new_version_gives_the_same_vectors(installed: Installed) -> None:
    before = installed.fingerprint()
    installed.install("0.2.0")
    done = installed.sync()
    assert ("nothing new" in done.stdout, done.stderr) == (True, "")
    assert installed.fingerprint() == before


def test_old_vectors_are_used_again_when_the_old_version_is_back(installed: Installed) -> None:
    before = installed.fingerprint()
    installed.install("0.2.0", seed=1)
    installed.sync()
    installed.install("0.1.0")
    assert "embedded" not in installed.sync().stdout
    assert installed.fingerprint() == before
    assert installed.best("the last tab") == "close the last tab"


def test_a_question_is_answered_by_words_when_the_index_is_of_another_version(
    installed: Installed,
) -> None:
    installed.install("0.2.0", seed=1)
    answers = subprocess.run(
        [sys.executable, "-c", SEARCH_TWICE], cwd=installed.memory.root, env={**os.environ, **installed.path},
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    told = f"answering by words only: {OTHER_VECTORS} than the indexed ones"
    assert answers == [f"marmots sleep in winter | False | {told}"] * 2


def test_the_doctor_finds_other_vectors_when_no_version_and_no_file_of_the_plugin_changed(
    installed: Installed,
) -> None:
    installed.site.add("numbers-of-mine", files={"numbers_of_mine.py": "SEED = 0"})
    runtime = installed.site.folder / "patina_mine" / "runtime.py"
    runtime.write_text("from numbers_of_mine import SEED\n" + RUNTIME)
    installed.sync()
    (installed.site.folder / "numbers_of_mine.py").write_text("SEED = 1234")
    probes = installed.doctor()["probes"]
    assert probes["level"] == "fault"
    assert f"{OTHER_VECTORS} than the indexed ones" in probes["what"]
    assert probes["fix"] == "patina sync --full"
    assert "3 texts embedded" in installed.sync("--full").stdout
    assert installed.doctor()["probes"]["level"] == "ok"
    assert installed.best("the last tab") == "close the last tab"


def test_an_edited_file_is_compared_by_the_next_sync(installed: Installed) -> None:
    (installed.site.folder / "patina_mine" / "runtime.py").write_text(RUNTIME.replace("SEED", "17"))
    done = installed.sync()
    assert "3 texts embedded" in done.stdout
    assert f"{OTHER_VECTORS} than before (with the same versions)" in done.stderr


def test_runtimes_share_vectors_when_their_probes_agree(installed: Installed) -> None:
    before = installed.fingerprint()
    installed.memory.write(".patina/oxidize.yaml", RECIPE.format("echo"))
    assert "embedded" not in installed.sync().stdout
    assert installed.fingerprint() == before


@pytest.mark.parametrize("content", [None, b"", b"{", b"[" * 100_000, b'{"texts": 1, "models": {}}'])
def test_a_new_version_is_noticed_when_the_recorded_probes_are_lost(
    installed: Installed, content: bytes | None
) -> None:
    record = installed.memory.state / PROBES_FILE
    record.unlink()
    if content is not None:
        record.write_bytes(content)
    installed.sync()
    installed.install("0.2.0", seed=1)
    record.unlink(missing_ok=True)
    if content is not None:
        record.write_bytes(content)
    assert installed.best("the last tab") == "close the last tab"
    assert installed.doctor()["probes"]["level"] == "ok"


def test_nothing_is_embedded_when_only_the_recorded_probes_are_lost(installed: Installed) -> None:
    before = installed.fingerprint()
    (installed.memory.state / PROBES_FILE).unlink()
    assert "embedded" not in installed.sync().stdout
    assert installed.fingerprint() == before
    assert (installed.memory.state / PROBES_FILE).is_file()


def test_nothing_is_embedded_when_the_prefix_of_questions_changed(installed: Installed) -> None:
    before = installed.fingerprint()
    installed.install("0.2.0", query_prefix="tree parser tree parser: ")
    done = installed.sync()
    assert "embedded" not in done.stdout
    assert installed.fingerprint() == before
    assert installed.best("tab") == "the parser reads a tree"
    assert json.loads(installed.out("status", "--json"))["pending"] == 0


def test_one_text_is_set_aside_when_a_runtime_fails_on_it(installed: Installed) -> None:
    for text in ("an unreadable text", "badgers dig", "the log is in sqlite"):
        installed.memory.commit(text)
    commit = installed.memory.git("rev-parse", "HEAD~2")
    done = installed.sync()
    assert "3 texts embedded" in done.stdout
    assert f"commit {commit[:12]}: this text has no vector: the runtime hash failed" in done.stderr
    status = json.loads(installed.out("status", "--json"))
    assert (status["pending"], [one[0] for one in status["skipped"]]) == (0, [f"commit {commit[:12]}"])
    assert installed.doctor()["refused"]["fix"] == "patina sync --full"
    assert installed.best("badgers dig") == "badgers dig"
    installed.install("0.2.0")
    runtime = installed.site.folder / "patina_mine" / "runtime.py"
    runtime.write_text(runtime.read_text().replace("raise MemoryError", "pass"))
    assert "1 text embedded" in installed.sync().stdout
    assert "refused" not in installed.doctor()
    assert installed.best("unreadable") == "an unreadable text"


def test_the_doctor_tells_that_an_extractor_changed_when_its_version_did_not(installed: Installed) -> None:
    assert installed.doctor()["plugins"]["level"] == "ok"
    installed.install("0.2.0")
    installed.sync()
    found = installed.doctor()["plugins"]
    message = "extractor ticket: made by patina-mine 0.1.0, installed is patina-mine 0.2.0"
    assert (found["what"], found["fix"]) == (message, "patina sync --full")
    installed.sync("--full")
    assert installed.doctor()["plugins"]["level"] == "ok"
