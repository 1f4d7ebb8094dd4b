"""Reconcile: what leaves, what comes, and what a second look costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from support.memory import Memory, session_document
from support.shell import Shell

from patina_hooks.corpus import locations, reconcile
from patina_hooks.extract.extraction import TITLE_CAP
from patina_hooks.git.repository import Repository
from patina_hooks.store.facts import events_hash

FIRST, SECOND = "20251101-090000", "20251102-090000"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    memory.archive(FIRST, title="about sqlite", decisions="chose sqlite")
    memory.sync()
    return memory


def texts(memory: Memory) -> set[str]:
    memory.sync()
    with memory.log() as log:
        return {row[0] for row in log.execute("SELECT text FROM observation WHERE live")}


def test_an_amended_commit_replaces_the_old_one(memory: Memory) -> None:
    memory.commit("a slip of the pen")
    assert "a slip of the pen" in texts(memory)
    memory.git("commit", "-q", "--amend", "--allow-empty", "-m", "as it was meant")
    assert "a slip of the pen" not in texts(memory)
    assert "as it was meant" in texts(memory)
    assert memory.snapshot() == memory.rebuilt()


def test_a_document_that_changes_on_one_branch_is_there_in_both_forms(memory: Memory) -> None:
    path = f"layer/sessions/{FIRST}.md"
    memory.git("switch", "-q", "-c", "side")
    memory.commit("rewrite", {path: session_document(FIRST, title="about numpy", decisions="chose numpy")})
    assert {"chose sqlite", "chose numpy"} <= texts(memory)
    memory.git("branch", "-q", "-f", "main", "side")
    assert "chose sqlite" not in texts(memory)
    assert "chose numpy" in texts(memory)
    assert memory.snapshot() == memory.rebuilt()


def test_a_document_that_is_renamed_is_not_lost(memory: Memory) -> None:
    memory.git("mv", f"layer/sessions/{FIRST}.md", f"layer/sessions/{SECOND}.md")
    memory.commit("rename")
    assert "chose sqlite" in texts(memory)
    with memory.log() as log:
        assert log.execute("SELECT id FROM session").fetchall() == [(SECOND,)]
    assert memory.snapshot() == memory.rebuilt()


def test_a_document_that_only_a_session_tag_reaches_counts(memory: Memory) -> None:
    memory.git("switch", "-q", "-c", "side")
    memory.archive(SECOND, decisions="chose a side")
    memory.git("tag", "-a", "-m", "x", f"session-{SECOND}-end")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    assert "chose a side" in texts(memory)
    memory.git("tag", "-d", f"session-{SECOND}-end")
    assert "chose a side" not in texts(memory)
    assert memory.snapshot() == memory.rebuilt()


def test_drafts_are_searched_and_left_out_of_hash_and_pairs(memory: Memory) -> None:
    before = memory.snapshot()
    memory.write(
        f"layer/sessions/{SECOND}.md",
        session_document(SECOND, goals="a goal", decisions=("draft decision one", "draft decision two")),
    )
    assert "draft decision one" in texts(memory)
    after = memory.snapshot()
    assert (after.events_hash, after.pairs) == (before.events_hash, before.pairs)
    (memory.root / f"layer/sessions/{SECOND}.md").unlink()
    memory.sync()
    assert memory.snapshot() == before


def test_paths_of_commits_are_kept_with_their_status(memory: Memory) -> None:
    memory.commit("three files", {"a": "1", "b/c": "2"})
    memory.git("rm", "-q", "a")
    oid = memory.commit("and one less")
    memory.sync()
    with memory.log() as log:
        rows = log.execute(
            "SELECT p.path, h.status FROM change h JOIN path p ON p.id = h.path_id"
            " JOIN commits c ON c.id = h.commit_id WHERE c.oid = ?", (oid,)
        ).fetchall()  # fmt: skip
    assert rows == [("a", "D")]


def test_a_second_look_opens_no_object(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Repository, asked: Iterable[str], *__: object) -> Iterator[object]:
        assert list(asked) == []
        return iter(())

    for name in ("commits", "blobs", "tree", "trees", "peel"):
        monkeypatch.setattr(Repository, name, refuse)
    report = memory.sync()
    assert (report.commits, report.added, report.removed, report.sessions) == (0, 0, 0, 0)


def test_what_happened_is_in_the_log_in_order(memory: Memory) -> None:
    head = memory.git("rev-parse", "HEAD")
    memory.commit("to be dropped")
    memory.sync()
    memory.git("reset", "-q", "--hard", head)
    memory.sync()
    patina = memory.patina()
    assert [(event.kind, event.detail) for event in patina.events(limit=1)] == [("gone", "")]
    assert patina.events(limit=1, kind="commit")[0].detail == "to be dropped"


def test_events_hash_depends_on_refs_alone(memory: Memory, tmp_path: Path) -> None:
    memory.git("tag", "-a", "-m", "x", f"session-{FIRST}-start", "HEAD~1")
    memory.sync()
    memory.git("clone", "-q", memory.root.as_uri(), str(tmp_path / "clone"))
    clone = Memory(tmp_path / "clone")
    clone.write(".patina/oxidize.yaml", "embedding_model: acme-64\n")
    clone.sync()
    assert clone.snapshot().events_hash == memory.snapshot().events_hash
    clone.git("tag", "-d", f"session-{FIRST}-start")
    clone.sync()
    assert clone.snapshot().events_hash != memory.snapshot().events_hash


def test_titles_and_subjects_of_a_megabyte_are_read_and_cut(memory: Memory) -> None:
    long = "a" * (1 << 20)
    memory.archive(SECOND, title=long, decisions=f"chose {long}")
    memory.write("message", long)
    memory.git("commit", "-q", "--allow-empty", "-F", "message")
    memory.sync()
    with memory.log() as log:
        (title,) = log.execute("SELECT title FROM session WHERE id = ?", (SECOND,)).fetchone()
    assert title == long[:TITLE_CAP]
    assert memory.snapshot() == memory.rebuilt()


def test_drafts_of_a_work_tree_that_was_away_are_read_when_it_is_back(memory: Memory, tmp_path: Path) -> None:
    tree, away = tmp_path / "second", tmp_path / "away"
    memory.git("worktree", "add", "-q", "-b", "side", str(tree))
    memory.write(".patina/local/active/draft.md", session_document(SECOND, goals="feed marmots"), at=tree)
    assert "feed marmots" in texts(memory)
    tree.rename(away)
    assert "feed marmots" not in texts(memory)
    away.rename(tree)
    assert "feed marmots" in texts(memory)


def test_a_border_that_stays_costs_its_sessions_nothing(memory: Memory, tmp_path: Path) -> None:
    """A comparison with everything that is known reads what was cut off again only where the border moved."""
    with memory.session(SECOND):
        memory.commit("work one")
        memory.commit("work two")
    memory.commit("after")
    memory.git("clone", "-q", "--depth", "2", memory.root.as_uri(), str(tmp_path / "clone"))
    clone = Memory(tmp_path / "clone")
    clone.write(".patina/oxidize.yaml", (memory.root / ".patina/oxidize.yaml").read_bytes())
    elsewhere = clone.git(
        "-c", "user.name=Ada", "-c", "user.email=a@b", "commit-tree", "-m", "x", "HEAD^{tree}"
    )
    clone.git("tag", "-f", f"session-{SECOND}-start", elsewhere)
    clone.git("tag", "-f", f"session-{SECOND}-end", "HEAD~1")
    clone.sync()
    held = "SELECT count(*) FROM session_commit sc JOIN commits c ON c.id = sc.commit_id WHERE c.truncated"
    with clone.log() as log:
        assert log.execute(held).fetchone() == (1,)
        log.execute("INSERT OR REPLACE INTO fact VALUES ('reading', 'begun')")
    report = clone.sync()
    assert (report.commits, report.gone) == (0, 0)
    assert clone.snapshot() == clone.rebuilt()


def test_paths_that_are_fetched_later_are_told_later(memory: Memory, tmp_path: Path) -> None:
    """In a clone without trees; its sessions and observations stay as they are."""
    memory.commit("more", {"folder/file": "x"})
    memory.git("config", "uploadpack.allowFilter", "true")
    memory.git(
        "clone", "-q", "--filter=tree:0", "--no-checkout", memory.root.as_uri(), str(tmp_path / "clone")
    )
    clone = Memory(tmp_path / "clone")
    clone.sync()
    paths = "SELECT count(*) FROM change"
    with clone.log() as log:
        assert log.execute("SELECT count(*) FROM commits WHERE NOT truncated").fetchone() == (0,)
        assert log.execute(paths).fetchone() == (0,)
    clone.git("rev-list", "--objects", "HEAD")
    report = clone.sync()
    assert (report.commits, report.gone) == (0, 0)
    with clone.log() as log, memory.log() as whole:
        assert log.execute("SELECT count(*) FROM commits WHERE truncated").fetchone() == (0,)
        memory.sync()
        assert log.execute(paths).fetchone() == whole.execute(paths).fetchone()


def test_names_that_look_like_two_are_another_history(memory: Memory) -> None:
    """A path may hold what a list of paths would be parted by."""

    def seen(*rows: tuple[str, str]) -> str:
        with memory.log() as log:
            log.execute("BEGIN")
            log.execute("DELETE FROM document")
            log.executemany(
                "INSERT INTO document (kind, oid, path, work_tree, read_as, title)"
                " VALUES ('session', ?, ?, '', 'session', '')",
                rows,
            )
            return events_hash(log)

    assert seen(("1", "a.md"), ("2", "b.md")) != seen(("2", "a.md 1\ndocument b.md"))


@pytest.mark.parametrize("moment", ["read_live_refs", "read_draft"])
def test_a_session_that_ends_during_a_look_keeps_its_title(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Its end may be told of at once, and is told of once."""
    shell = Shell(memory.root)
    shell.out("session", "start", "look for marmots")
    memory.sync()
    (active,) = (memory.root / ".patina/local/active").glob("*.md")
    active.write_text(f"{active.read_text()}\n")
    module = reconcile if moment == "read_live_refs" else locations
    usual = getattr(module, moment)
    ended: list[int] = []

    def meanwhile(*arguments: object, **named: object) -> object:
        if not ended:
            ended.append(shell.run("session", "end", env={"PATINA_SKIP": "1"}).returncode)
        return usual(*arguments, **named)

    monkeypatch.setattr(module, moment, meanwhile)
    memory.sync()
    assert ended == [0]
    with memory.log() as log:
        (title,) = log.execute("SELECT title FROM session WHERE id != ?", (FIRST,)).fetchone()
    assert title == "look for marmots"
