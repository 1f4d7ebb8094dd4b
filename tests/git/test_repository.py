"""What is read of a repository: refs, commits, objects, in all the shapes that git allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks.errors import GitError, NotARepository
from patina_hooks.git.commit_log import FIELD_CAP
from patina_hooks.git.repository import Repository
from patina_hooks.specs.values import Change


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory.make(tmp_path / "repository")


def read(memory: Memory, *oids: str) -> dict[str, tuple[Change, ...]]:
    return {commit.oid: commit.changes for commit in memory.repository.commits(oids)}


def test_an_unborn_branch_has_a_name_and_no_commit(memory: Memory) -> None:
    repository = memory.repository
    assert (repository.head(), repository.branch()) == (None, "main")
    assert [(tree.head, tree.branch) for tree in repository.work_trees()] == [(None, "main")]
    assert repository.refs("refs/heads/") == []


def test_a_commit_with_its_paths(memory: Memory) -> None:
    first = memory.commit("first", {"a": "1", "b": "2"})
    memory.git("mv", "a", "with space\tand tab")
    memory.git("rm", "-q", "b")
    second = memory.commit("\n\nsubject\n\nbody", {"c": "3"})
    changes = read(memory, first, second)
    assert changes[first] == (Change("a", "A"), Change("b", "A"))
    assert set(changes[second]) == {
        Change("a", "D"), Change("b", "D"), Change("c", "A"), Change("with space\tand tab", "A"),
    }  # fmt: skip
    (commit,) = memory.repository.commits([second])
    assert (commit.author, commit.subject, commit.message) == ("Ada", "subject", "subject\n\nbody")
    assert commit.parents == (first,)
    assert not commit.is_merge


def test_odd_paths_and_messages_are_told_apart(memory: Memory) -> None:
    paths = {"./:100644 x": "1", "\x01begin": "2", "new\nline": "3", "naïve": "4"}
    oid = memory.commit("\x01 not the next commit\n:100644 000000 x", paths)
    after = memory.commit("after")
    changes = read(memory, oid, after)
    assert {change.path for change in changes[oid]} == {path.removeprefix("./") for path in paths}
    assert changes[after] == ()


def test_a_message_in_another_encoding(memory: Memory) -> None:
    memory.git("config", "i18n.commitEncoding", "ISO-8859-1")
    memory.write("message", "Größe".encode("latin-1"))
    memory.git("commit", "-q", "--allow-empty", "-F", "message")
    (commit,) = memory.repository.commits([memory.git("rev-parse", "HEAD")])
    assert commit.message == "Größe"


def test_a_merge_is_told_against_its_first_parent(memory: Memory) -> None:
    memory.commit("first", {"a": "1"})
    memory.git("switch", "-q", "-c", "side")
    memory.commit("side", {"side": "1"})
    memory.git("switch", "-q", "main")
    memory.commit("main", {"main": "1"})
    memory.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    (commit,) = memory.repository.commits([memory.git("rev-parse", "HEAD")])
    assert commit.is_merge
    assert commit.changes == (Change("side", "A"),)


def test_no_commit_is_asked_for_and_none_comes(memory: Memory) -> None:
    assert list(memory.repository.commits([])) == []
    assert list(memory.repository.blobs([], 10)) == []
    assert memory.repository.object_ids([]) == []


def test_a_commit_that_is_not_here_is_an_error(memory: Memory) -> None:
    memory.commit("first")
    with pytest.raises(GitError, match="fatal"):
        list(memory.repository.commits(["1" * 40]))


def test_a_shallow_clone_ends_at_its_border(memory: Memory, tmp_path: Path) -> None:
    for number in range(3):
        memory.commit(f"number {number}", {f"file {number}": "x"})
    memory.git("clone", "-q", "--depth", "2", memory.root.as_uri(), str(tmp_path / "clone"))
    clone = Repository.open(tmp_path / "clone")
    head = memory.git("rev-parse", "HEAD")
    newest, border = clone.commits(clone.reachable([head]))
    assert (newest.truncated, newest.changes) == (False, (Change("file 2", "A"),))
    assert (border.truncated, border.changes) == (True, ())
    assert clone.shallow() == {border.oid}


def test_refs_are_peeled_to_commits_or_to_nothing(memory: Memory) -> None:
    head = memory.commit("first")
    memory.git("tag", "light")
    memory.git("tag", "-a", "-m", "x", "annotated")
    dated = memory.clock
    memory.git("tag", "-a", "-m", "x", "nested", "annotated")
    memory.git("update-ref", "refs/tags/blob", memory.git("hash-object", "-w", "--stdin", text="tagger 1 2"))
    memory.git("update-ref", "refs/tags/tree", "HEAD^{tree}")
    refs = {ref.name.removeprefix("refs/tags/"): ref for ref in memory.repository.refs("refs/tags/")}
    assert {name: ref.commit for name, ref in refs.items()} == {
        "light": head, "annotated": head, "nested": head, "blob": None, "tree": None,
    }  # fmt: skip
    assert (refs["light"].dated, refs["annotated"].dated, refs["nested"].dated) == (None, dated, dated + 60)


def test_a_revision_is_never_an_option(memory: Memory) -> None:
    head = memory.commit("first")
    repository = memory.repository
    assert repository.resolve("main") == repository.resolve("HEAD") == head
    for revision in ("--all", "--output=x", "nowhere", "", "main:README", "HEAD^{tree}"):
        assert repository.resolve(revision) is None
    assert not (memory.root / "x").exists()


def test_blobs_come_in_order_and_within_the_cap(memory: Memory) -> None:
    small = memory.git("hash-object", "-w", "--stdin", text="small\n")
    large = memory.git("hash-object", "-w", "--stdin", text="x" * 100)
    repository = memory.repository
    blobs = list(repository.blobs([large, "2" * 40, small, small], 50))
    assert [(blob.data, blob.missing) for blob in blobs] == [
        (None, False), (None, True), (b"small\n", False), (b"small\n", False),
    ]  # fmt: skip
    assert blobs[0].size == 100
    assert repository.exists([small, "2" * 40]) == {small: True, "2" * 40: False}


def test_a_tree_tells_files_from_links(memory: Memory) -> None:
    (memory.root / "link").symlink_to("/etc/passwd")
    memory.git("add", "link")
    memory.commit("first", {"file": "x"})
    repository = memory.repository
    (tree,) = repository.object_ids(["HEAD^{tree}"])
    assert tree
    assert {entry.name: entry.mode for entry in repository.tree(tree)} == {"file": "100644", "link": "120000"}
    assert repository.tree("3" * 40) == []


def test_a_sha256_repository(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository", "--object-format=sha256")
    oid = memory.commit("first", {"a": "1"})
    repository = memory.repository
    assert (repository.object_format, len(oid)) == ("sha256", 64)
    assert read(memory, oid) == {oid: (Change("a", "A"),)}
    (tree,) = repository.object_ids([f"{oid}^{{tree}}"])
    assert [(entry.name, len(entry.oid)) for entry in repository.tree(tree or "")] == [("a", 64)]


def test_work_trees_share_the_state(memory: Memory, tmp_path: Path) -> None:
    head = memory.commit("first")
    memory.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "second"))
    memory.git("worktree", "add", "-q", "--detach", str(tmp_path / "third"))
    second = Repository.open(tmp_path / "second")
    assert second.state == memory.state
    assert second.branch() == "side"
    assert Repository.open(tmp_path / "third").branch() is None
    assert [(tree.path.name, tree.head, tree.branch) for tree in memory.repository.work_trees()] == [
        ("repository", head, "main"), ("second", head, "side"), ("third", head, None),
    ]  # fmt: skip


def test_a_bare_repository_has_no_work_tree(tmp_path: Path, memory: Memory) -> None:
    memory.git("init", "-q", "--bare", str(tmp_path / "bare"))
    for place in (tmp_path / "bare", memory.root / ".git"):
        with pytest.raises(NotARepository, match="bare repository, or a repository's own folder") as caught:
            Repository.open(place)
        assert "safe.bareRepository" not in str(caught.value)
        assert "git worktree add FOLDER" in caught.value.hint


def test_a_folder_with_the_end_of_a_line_in_its_name(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "a\nb" / "reposi\ntory")
    memory.archive("20251101-090000", decisions="keep sqlite")
    assert memory.repository.root == memory.root
    assert memory.repository.common == memory.root / ".git"
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()
    assert memory.patina().search("keep sqlite")[0].session == "20251101-090000"


def test_a_rebase_under_way_is_seen_from_every_work_tree(memory: Memory, tmp_path: Path) -> None:
    memory.commit("first", {"a": "1"})
    memory.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "second"))
    memory.commit("main", {"a": "2"})
    memory.write("a", "3", at=tmp_path / "second")
    memory.git("commit", "-q", "-am", "side", at=tmp_path / "second")
    assert not memory.repository.in_progress()
    memory.git("rebase", "-q", "main", at=tmp_path / "second", check=False)
    assert memory.repository.in_progress()
    memory.git("rebase", "--abort", at=tmp_path / "second")
    assert not memory.repository.in_progress()


def partial(memory: Memory, folder: Path) -> Memory:
    """A clone without trees, that has since fetched those of its newest commit and of that one's parent."""
    memory.git("config", "uploadpack.allowFilter", "true")
    memory.git("config", "uploadpack.allowAnySHA1InWant", "true")
    memory.git("clone", "-q", "--filter=tree:0", "--no-checkout", memory.root.as_uri(), str(folder))
    clone = Memory(folder)
    clone.git("rev-list", "--objects", "-2", "HEAD")
    return clone


def test_only_the_commit_whose_trees_are_absent_comes_without_paths(memory: Memory, tmp_path: Path) -> None:
    for number in range(4):
        memory.commit(f"number {number}", {f"folder/{number}": "x"})
    clone = partial(memory, tmp_path / "clone")
    oids = clone.repository.reachable(["HEAD"])
    for order in (oids, oids[::-1]):
        found = {commit.subject: commit for commit in clone.repository.commits(order)}
        assert found["number 3"].changes == (Change("folder/3", "A"),)
        assert [name for name, commit in sorted(found.items()) if commit.truncated] == [
            "number 0", "number 1", "number 2",
        ]  # fmt: skip


def test_a_folder_that_is_absent_costs_only_its_commits_their_paths(memory: Memory) -> None:
    oids = [memory.commit(f"number {number}", {f"folder{number}/file": str(number)}) for number in range(4)]
    tree = memory.git("rev-parse", "HEAD~1:folder2")
    (memory.root / ".git/objects" / tree[:2] / tree[2:]).unlink()
    for order in (oids, oids[::-1]):
        found = {commit.oid: commit for commit in memory.repository.commits(order)}
        assert [found[oid].truncated for oid in oids] == [False, False, True, False]
        assert [len(found[oid].changes) for oid in oids] == [1, 1, 0, 1]


def test_a_broken_list_of_submodules_in_the_work_tree_is_not_read(memory: Memory) -> None:
    head = memory.commit("first", {"a": "1"})
    memory.git("update-index", "--add", "--cacheinfo", f"160000,{head},inner")
    memory.git("commit", "-q", "-m", "a submodule")
    oid = memory.git("rev-parse", "HEAD")
    memory.write(".gitmodules", "[submodule inner\n")
    assert read(memory, oid) == {oid: (Change("inner", "A"),)}


def test_a_message_beyond_the_cap_is_cut_and_what_follows_is_read(memory: Memory) -> None:
    memory.write("message", "x" * (3 * FIELD_CAP) + "\n")
    memory.git("commit", "-q", "--allow-empty", "-F", "message")
    memory.commit("after", {"a": "1"})
    after, huge = memory.repository.commits(memory.repository.reachable(["HEAD"]))
    assert huge.message == "x" * FIELD_CAP
    assert (after.message, after.changes) == ("after", (Change("a", "A"),))


def test_many_trees_are_read_at_once_and_what_is_none_is_left_out(memory: Memory) -> None:
    memory.commit("first", {"one/a": "x", "two/b": "y", "file": "z"})
    repository = memory.repository
    one, two, file, commit = repository.object_ids(["HEAD:one", "HEAD:two", "HEAD:file", "HEAD"])
    found = repository.trees([one or "", two or "", file or "", commit or "", "4" * 40])
    assert {oid: [entry.name for entry in entries] for oid, entries in found.items()} == {
        one: ["a"],
        two: ["b"],
    }
    assert found[one or ""] == repository.tree(one or "")
