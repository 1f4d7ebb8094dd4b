"""Recipe and settings are one per repository, whatever is checked out and wherever a command runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks.config.configuration import load_configuration
from patina_hooks.git.repository import Repository

RECIPE = ".patina/oxidize.yaml"
SETTINGS = ".patina/config.toml"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """A repository whose second commit brings the recipe; it has been synced there."""
    memory = Memory.make(tmp_path / "repository")
    (memory.root / RECIPE).unlink()
    memory.commit("before patina", {"a": "a"})
    memory.git("branch", "old")
    folder = '[session]\nfolder = "notes"\n'
    memory.commit("remember", {RECIPE: "version: 2\nembedding_model: acme-64\n", SETTINGS: folder})
    memory.sync()
    return memory


def in_force(memory: Memory, root: Path | None = None) -> tuple[str, str, bool]:
    """Model, folder, and whether there is a remark."""
    known = load_configuration(Repository.open(root or memory.root))
    assert known.faults == ()
    assert known.recipe is not None
    return known.recipe.model, known.settings.sessions_folder, bool(known.remarks)


def test_an_older_commit_changes_nothing_when_it_is_checked_out(memory: Memory) -> None:
    memory.git("checkout", "-q", "old")
    assert in_force(memory) == ("acme-64", "notes", True)
    assert memory.sync().encoded == 0
    memory.commit("on the old branch")
    memory.sync(quick=True)
    assert in_force(memory) == ("acme-64", "notes", True)
    memory.git("checkout", "-q", "main")
    assert in_force(memory) == ("acme-64", "notes", False)


def test_a_recipe_that_was_committed_after_the_first_sync_is_remembered(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.git("commit", "-q", "--allow-empty", "-m", "before patina")
    memory.sync()
    memory.commit("remember", {RECIPE: "version: 2\nembedding_model: acme-64\n"})
    memory.sync(quick=True)
    memory.git("checkout", "-q", "HEAD~")
    memory.sync(quick=True)
    assert in_force(memory)[0] == "acme-64"


def test_a_new_memory_at_an_older_commit_takes_the_default_branch(memory: Memory) -> None:
    import shutil

    memory.git("checkout", "-q", "old")
    shutil.rmtree(memory.state)
    memory.sync()
    assert in_force(memory) == ("acme-64", "notes", True)


def test_a_recipe_is_gone_when_its_removal_is_committed(memory: Memory) -> None:
    memory.git("rm", "-q", RECIPE)
    assert in_force(memory)[0] == "acme-64", "HEAD has it still"
    memory.git("commit", "-q", "-m", "no recipe")
    known = load_configuration(memory.repository)
    assert known.recipe is not None
    assert known.recipe.model != "acme-64"


def test_a_sparse_checkout_reads_the_index(memory: Memory) -> None:
    memory.git("sparse-checkout", "set", "--no-cone", "/a")
    assert not (memory.root / RECIPE).exists()
    assert in_force(memory) == ("acme-64", "notes", True)


def test_the_committed_recipe_holds_when_a_merge_conflicts(memory: Memory) -> None:
    memory.write(RECIPE, "<<<<<<< HEAD\nversion: 2\n=======\nversion: 1\n>>>>>>> side\n")
    assert in_force(memory) == ("acme-64", "notes", True)


def test_every_work_tree_has_the_main_ones_configuration(memory: Memory) -> None:
    tree = memory.root.with_name("tree")
    memory.git("worktree", "add", "-q", str(tree), "old")
    memory.write(RECIPE, "version: 2\nembedding_model: minilm-l6-v2\n", at=tree)
    assert in_force(memory, tree) == ("acme-64", "notes", False)


def test_a_bare_layout_has_the_configuration_of_its_default_branch(memory: Memory, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    memory.git("clone", "-q", "--bare", str(memory.root), str(bare))
    side, main = tmp_path / "side", tmp_path / "main"
    memory.git("worktree", "add", "-q", str(side), "old", at=bare)
    memory.write(RECIPE, "version: 2\nembedding_model: minilm-l6-v2\n", at=side)
    assert in_force(memory, side) == ("acme-64", "notes", False)
    memory.git("worktree", "add", "-q", str(main), "main", at=bare)
    memory.write(RECIPE, "version: 2\nembedding_model: acme-64\nruntime: onnx\n", at=main)
    known = load_configuration(Repository.open(side)).recipe
    assert known is not None
    assert known.runtime == "onnx"


def test_a_committed_link_is_no_recipe(memory: Memory) -> None:
    memory.git("rm", "-q", RECIPE)
    (memory.root / RECIPE).symlink_to("../a")
    memory.git("add", "-f", RECIPE)
    memory.git("commit", "-q", "-m", "a link")
    known = load_configuration(memory.repository)
    assert known.faults == ()
