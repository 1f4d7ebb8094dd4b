"""What git accepts and nobody expects: odd commits, tags, names and documents. Each is read, or skipped with
a recorded reason; none stops a sync."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing

import pytest
from support.memory import Memory

from patina_hooks.store.log import Log

SESSION = "20251101-090000"
DOCUMENT = f"layer/sessions/{SESSION}.md"
DECISION = "# Session: x\n\n**Key Decisions:**\n- keep the sqlite journal\n"


def whole(memory: Memory) -> None:
    """One sync later, all is as a rebuild would have it."""
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()


def rows(memory: Memory, query: str) -> list[tuple[object, ...]]:
    with closing(Log(memory.state, create=False)) as log:
        return log.connection.execute(query).fetchall()


def skipped(memory: Memory) -> dict[str, str]:
    found = rows(memory, "SELECT name, skipped FROM tip WHERE skipped != ''")
    found += rows(
        memory,
        "SELECT d.path, s.skipped FROM source s JOIN document d ON d.oid = s.oid WHERE s.skipped != ''",
    )
    return {str(name): str(why) for name, why in found}


def texts(memory: Memory) -> set[object]:
    return {row[0] for row in rows(memory, "SELECT text FROM observation WHERE live")}


def hash_object(memory: Memory, kind: str, content: bytes) -> str:
    """Write an object as it stands, however odd."""
    done = subprocess.run(
        ["git", "hash-object", "-w", "--literally", "--stdin", "-t", kind],
        cwd=memory.root, input=content, capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.decode().strip()


def raw_commit(
    memory: Memory, *, author: bytes = b"Ada <a@b> 1700000000 +0000", message: bytes = b"x"
) -> str:
    tree = memory.git("rev-parse", "HEAD^{tree}").encode()
    parent = memory.git("rev-parse", "HEAD").encode()
    content = b"tree %s\nparent %s\nauthor %s\ncommitter %s\n\n%s" % (tree, parent, author, author, message)
    oid = hash_object(memory, "commit", content)
    memory.git("update-ref", "refs/heads/odd", oid)
    return oid


# --- documents --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# Session: big\n" + b"- line of text\n" * 4_000_000, "larger than 8 MiB"),
        (b"\x89PNG\r\n\x00\x00", "binary"),
        (b"# Session: x\n- a\0b\n", "binary"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a Git LFS pointer"),
    ],
    ids=["sixty megabytes", "binary", "nul", "lfs"],
)
def test_a_document_that_cannot_be_read_is_skipped_with_its_reason(
    memory: Memory, content: bytes, reason: str
) -> None:
    memory.commit("archive", {DOCUMENT: content})
    whole(memory)
    assert skipped(memory)[DOCUMENT].startswith(reason)
    assert "archive" in texts(memory)


def test_a_document_that_is_no_utf8_is_read_with_the_bytes_replaced(memory: Memory) -> None:
    memory.commit("archive", {DOCUMENT: DECISION.encode() + b"- caf\xe9 \xff\xfe\n"})
    whole(memory)
    assert "keep the sqlite journal" in texts(memory)
    assert "caf\ufffd \ufffd\ufffd" in texts(memory)


def test_drafts_of_the_same_kinds_stop_nothing(memory: Memory) -> None:
    memory.write("layer/sessions/20251102-090000.md", b"x" * (9 << 20))
    memory.write("layer/sessions/20251103-090000.md", b"a\0b")
    memory.write("layer/sessions/20251104-090000.md", b"- caf\xe9\n")
    os.mkfifo(memory.root / "layer/sessions/20251105-090000.md")
    memory.write(".patina/local/active/20251130-090000.md", b"\xff\xfe\0")
    whole(memory)
    assert "caf\ufffd" in texts(memory)


def test_a_hundred_thousand_bullets_are_bounded(memory: Memory) -> None:
    bullets = "".join(f"{' ' * (n % 300)}- bullet {n}\n" for n in range(100_000))
    memory.commit("archive", {DOCUMENT: DECISION + bullets})
    memory.sync()
    assert 0 < len(texts(memory)) <= 10_000


# --- names ------------------------------------------------------------------------------------------


def test_paths_that_are_no_utf8_or_hold_controls(memory: Memory) -> None:
    for name in (b"caf\xe9.py", b"a\nb\x1b[31m.py", b"\xe2\x80\xae.py", b"\x01:x"):
        (memory.root / os.fsdecode(name)).write_bytes(b"x")
    memory.git("add", "-A")
    memory.commit("odd names")
    whole(memory)
    paths = {str(row[0]) for row in rows(memory, "SELECT path FROM path")}
    assert {"caf\\xe9.py", "a\nb\x1b[31m.py", "\u202e.py", "\x01:x"} <= paths


@pytest.mark.parametrize("name", [b"caf\xe9.md", b"\xff\xfe.md", b"a\nb.md", b"\x1b[31m.md"])
def test_documents_whose_names_are_no_utf8_or_hold_controls(memory: Memory, name: bytes) -> None:
    folder = memory.root / "layer/sessions"
    folder.mkdir(parents=True)
    for content in (DECISION, DECISION + "- more of it\n"):
        (folder / os.fsdecode(name)).write_text(content)
        whole(memory)  # a draft
        memory.git("add", "-A")
        memory.commit("archive")
        whole(memory)
    assert "more of it" in texts(memory)


def test_refs_and_work_trees_whose_names_are_no_utf8_or_hold_controls(memory: Memory) -> None:
    names = (b"caf\xe9", b"bidi-\xe2\x80\xae", b"c1-\xc2\x9b31m")
    for name in names:
        subprocess.run([b"git", b"branch", name], cwd=memory.root, check=True)
        subprocess.run([b"git", b"tag", b"session-20251101-090000-" + name], cwd=memory.root, check=True)
    place = memory.root.parent / os.fsdecode(b"tr\xe9e")
    subprocess.run(["git", "worktree", "add", "-q", place, names[0]], cwd=memory.root, check=True)
    folder = place / "layer/sessions"
    folder.mkdir(parents=True)
    (folder / "20251101-090000.md").write_text(DECISION)
    whole(memory)
    assert "keep the sqlite journal" in texts(memory)
    assert len(skipped(memory)) == 3


def test_branches_and_tags_with_the_names_of_others(memory: Memory) -> None:
    tag = f"session-{SESSION}-start"
    memory.git("branch", tag)
    first = memory.git("rev-parse", "HEAD")
    memory.commit("second")
    memory.git("tag", "-a", "-m", "Session start: x", "main", first)
    memory.git("tag", "-a", "-m", "Session start: x", "HEAD", first)
    memory.git("tag", "-a", "-m", "Session start: x", tag)
    memory.git("update-ref", "refs/tags/--output=x", first)
    memory.git("update-ref", "refs/heads/--upload-pack=x", "HEAD")
    whole(memory)
    start = rows(memory, "SELECT start FROM session")
    assert start == [(memory.git("rev-parse", f"refs/tags/{tag}^{{commit}}"),)]
    assert memory.repository.branch() == "main"


# --- commits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\n\n",
        b"caf\xe9 \xff",
        b"a\0b",
        b"\x1b[31mred\x1b[0m",
        b"\x01\x01",
        b"x" * 3_000_000,
        b"\n" * 99,
    ],
    ids=["empty", "blank", "latin", "nul", "escape", "marks", "three megabytes", "newlines"],
)
def test_odd_messages(memory: Memory, message: bytes) -> None:
    oid = raw_commit(memory, message=message)
    whole(memory)
    assert (oid,) in rows(memory, "SELECT oid FROM commits")


@pytest.mark.parametrize(
    "author",
    [
        b"Ada <a@b> 99999999999999999999999 +0000",
        b"Ada <a@b> 9223372036854775807 +9999",
        b"Ada <a@b> 253402300800 +0000",
        b"Ada <a@b> -62135596801 +0000",
        b"Ada <a@b> " + b"9" * 5000 + b" +0000",
        b"Ada <a@b>",
        b"nobody",
        b" <> 0 +0000",
        b"\xff\xfe <\x1b[31m> 1 -9900",
    ],
)
def test_impossible_authors_and_dates(memory: Memory, author: bytes) -> None:
    oid = raw_commit(memory, author=author, message=b"the odd sqlite commit")
    whole(memory)
    assert (oid,) in rows(memory, "SELECT oid FROM commits")


def test_an_octopus_and_two_roots(memory: Memory) -> None:
    for name in ("one", "two", "three"):
        memory.git("switch", "-q", "-c", name, "main")
        memory.commit(f"work on {name}", {f"{name}.py": name})
    memory.git("switch", "-q", "main")
    memory.git("merge", "-q", "-m", "octopus", "one", "two", "three")
    memory.git("switch", "-q", "--orphan", "root")
    memory.commit("another root", {"x": "y"})
    memory.git("switch", "-q", "-f", "main")
    memory.git("merge", "-q", "--allow-unrelated-histories", "-m", "roots joined", "root")
    whole(memory)
    assert rows(memory, "SELECT count(*) FROM commits WHERE merge") == [(2,)]


def test_a_commit_of_21884_paths(memory: Memory) -> None:
    lines = [
        "commit refs/heads/vendored", "committer Ada <a@b> 1700000000 +0000", "data 8\nvendored",
        *(f"M 100644 inline third/{n % 97}/{n}.c\ndata 1\nx" for n in range(21_884)), "",
    ]  # fmt: skip
    memory.git("fast-import", "--quiet", text="\n".join(lines))
    memory.git("tag", f"session-{SESSION}-start", "main")
    memory.git("tag", f"session-{SESSION}-end", "vendored")
    memory.commit("archive", {DOCUMENT: DECISION})
    whole(memory)
    assert rows(memory, "SELECT count(*) FROM change") == [(21_884 + 2,)]
    kinds = memory.patina().status().pair_kinds
    assert kinds["commit_session"].count == 1
    assert sum(kind.count for kind in kinds.values()) < 10


# --- session tags -----------------------------------------------------------------------------------


def test_tags_of_every_odd_kind(memory: Memory) -> None:
    blob = memory.git("hash-object", "-w", "--stdin", text="no commit")
    head = memory.git("rev-parse", "HEAD")
    memory.git("update-ref", "refs/tags/session-20251101-000001-start", blob)
    memory.git("update-ref", "refs/tags/session-20251101-000002-start", "HEAD^{tree}")
    memory.git("tag", "-a", "-m", "x", "session-20251101-000003-start", blob)
    memory.git("tag", "-a", "-m", "x", "session-20251399-000004-start")
    memory.git("tag", "session-x;rm -rf-start".replace(" ", "_"))
    memory.git("tag", "-a", "-m", "x", "inner")
    memory.git("tag", "-a", "-m", "x", "session-20251101-000005-start", "inner")
    date = b"99999999999999999999999"
    tagged = b"object %s\ntype commit\ntag x\ntagger Ada <a@b> %s +0000\n\nx" % (head.encode(), date)
    memory.git("update-ref", "refs/tags/session-20251101-000006-start", hash_object(memory, "tag", tagged))
    tagged = b"object %s\ntype commit\ntag x\n\nno tagger" % head.encode()
    memory.git("update-ref", "refs/tags/session-20251101-000007-start", hash_object(memory, "tag", tagged))
    whole(memory)
    assert skipped(memory) == {
        "refs/tags/session-20251101-000001-start": "tags no commit",
        "refs/tags/session-20251101-000002-start": "tags no commit",
        "refs/tags/session-20251101-000003-start": "tags no commit",
        "refs/tags/session-20251399-000004-start": "no such date",
        "refs/tags/session-x;rm_-rf-start": "not a session tag's name",
    }
    assert [row[0] for row in rows(memory, "SELECT id FROM session ORDER BY id")] == [
        "20251101-000005",
        "20251101-000006",
        "20251101-000007",
    ]


def test_ranges_of_every_kind(memory: Memory) -> None:
    """Start only, end only, start == end, lightweight, with an adapter, start that is no ancestor."""
    memory.git("tag", "session-20251101-000001-start")
    memory.git("tag", "-a", "-m", "x", "session-20251101-000003-start")
    memory.git("tag", "-a", "-m", "x", "session-20251101-000003-end")
    memory.git("tag", "-a", "-m", "x", "session-20251101-000004-gemini-start")
    inside = memory.commit("inside")
    memory.git("tag", "-a", "-m", "x", "session-20251101-000002-end")
    memory.git("tag", "session-20251101-000004-gemini-end")
    memory.git("switch", "-q", "-c", "side", "HEAD~1")
    aside = memory.commit("aside")
    memory.git("tag", "session-20251101-000005-start", inside)
    memory.git("tag", "session-20251101-000005-end")
    whole(memory)
    ranges = rows(
        memory,
        "SELECT s.id, group_concat(c.oid) FROM session s LEFT JOIN session_commit sc ON sc.session = s.id"
        " LEFT JOIN commits c ON c.id = sc.commit_id GROUP BY s.id",
    )
    assert {session: oids for session, oids in ranges} == {  # noqa: C416 (dict() wants to know the types)
        "20251101-000001": None,
        "20251101-000002": None,
        "20251101-000003": None,
        "20251101-000004": inside,
        "20251101-000005": aside,
    }
    assert rows(memory, "SELECT adapter FROM session WHERE id LIKE '%4'") == [("gemini",)]


def test_tags_that_move_go_or_are_packed(memory: Memory) -> None:
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-start")
    inside = memory.commit("inside")
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-end")
    whole(memory)
    before = rows(memory, "SELECT max(seq) FROM event")
    memory.git("pack-refs", "--all", "--prune")
    memory.sync()
    assert rows(memory, "SELECT max(seq) FROM event") == before, "packing refs changes nothing"
    later = memory.commit("later")
    memory.git("tag", "-f", "-a", "-m", "x", f"session-{SESSION}-end")
    whole(memory)
    assert {
        row[0] for row in rows(memory, "SELECT oid FROM commits JOIN session_commit ON commit_id = id")
    } == {
        inside,
        later,
    }
    memory.git("tag", "-d", f"session-{SESSION}-end")
    whole(memory)
    assert rows(memory, "SELECT state FROM session") == [("open",)]
    assert rows(memory, "SELECT * FROM session_commit") == []


def test_grafts_of_one_clone_are_not_followed(memory: Memory) -> None:
    """Parents that `.git/info/grafts` makes up are in no other clone, and may change without a ref."""
    first = memory.git("rev-parse", "HEAD")
    for name in ("two", "three", "four"):
        memory.commit(name, {f"{name}.py": "x", "shared.py": name})
    memory.sync()
    before = memory.snapshot()
    memory.write(".git/info/grafts", f"{memory.git('rev-parse', 'HEAD')} {first}\n")
    memory.sync()
    assert memory.snapshot() == memory.rebuilt() == before
    memory.commit("five", {"five.py": "x"})
    whole(memory)
    assert {"two", "three"} <= texts(memory)


def test_no_advice_about_grafts_is_taken_for_an_error(memory: Memory) -> None:
    memory.write(".git/info/grafts", f"{memory.git('rev-parse', 'HEAD')}\n")
    assert memory.repository.git.run("rev-list", "--all").err == ""
