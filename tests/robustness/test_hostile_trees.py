"""Files of a clone are data: whatever their names, numbers, sizes and modes, they are indexed or left out."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from support.memory import Memory
from support.shell import Shell

from patina_hooks.errors import PatinaError
from patina_hooks.store.collections import collection_folder
from patina_hooks.store.log import Log

EVIL = "\x1b]0;owned\x1b[31m \u202e"
COMMANDS = (("sync",), ("status",), ("scry", "--mode", "lexical", "parse the tree"), ("doctor",), ("log",))


def outputs(memory: Memory) -> str:
    """What the commands print, none of which may fail."""
    shown = ""
    for arguments in COMMANDS:
        done = Shell(memory.root).invoke(*arguments, catch=True)
        assert done.exception is None or isinstance(done.exception, SystemExit | PatinaError), arguments
        assert done.exit_code in {0, 1}, (arguments, done.output)
        shown += done.output
    return shown


def left_out(memory: Memory) -> dict[str, int]:
    return dict(memory.patina().status().collections["docs"].left_out)


def paths(memory: Memory) -> set[str]:
    """The paths of the documents, but for the README."""
    with closing(Log(collection_folder(memory.state, "docs"), create=False)) as log:
        return {row[0] for row in log.connection.execute("SELECT path FROM document")} - {"README.md"}


def store(memory: Memory, entries: dict[str, tuple[str, str]]) -> None:
    """Commit a tree of (mode, object) by path, without a work tree that could hold it."""
    lines = "".join(f"{mode} {oid}\t{path}\0" for path, (mode, oid) in entries.items())
    memory.git("update-index", "-z", "--index-info", text=lines)
    memory.git("commit", "-q", "-m", "store")


def blob(memory: Memory, text: str) -> str:
    return memory.git("hash-object", "-w", "--stdin", text=text)


def test_names_never_steer_the_terminal(memory: Memory) -> None:
    oid = blob(memory, "Parse the tree of marmots.\n")
    token = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
    names = [
        f"docs/{EVIL}.md", "docs/new\nline.md", "docs/tab\t.md", f"docs/{token}.md", "docs/-rf.md",
        "docs/--output=x.md", "docs/:(exclude)x.md", "docs/a\\b.md", 'docs/"quoted".md',
    ]  # fmt: skip
    store(memory, dict.fromkeys(names, ("100644", oid)))
    memory.sync()
    assert len(paths(memory)) == len(names)
    shown = outputs(memory)
    assert "marmots" in shown
    assert not any(character in shown for character in "\x1b\u202e\t")
    assert memory.snapshot() == memory.rebuilt()
    oid = blob(memory, "Parse the tree of marmots again.\n")
    store(memory, dict.fromkeys(names, ("100644", oid)))
    memory.sync(quick=True)
    assert memory.snapshot() == memory.rebuilt()


def test_names_that_differ_by_case_are_two_documents(memory: Memory) -> None:
    one, other = blob(memory, "Parse the tree here.\n"), blob(memory, "Parse the tree there.\n")
    store(memory, {"docs/Guide.md": ("100644", one), "docs/guide.md": ("100644", other)})
    memory.sync()
    assert paths(memory) == {"docs/Guide.md", "docs/guide.md"}
    assert memory.snapshot() == memory.rebuilt()


def test_links_and_submodules_are_not_followed(memory: Memory, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("Parse the tree of secrets.\n")
    links = {
        "docs/loop.md": "loop.md",
        "docs/up": "..",
        "docs/out.md": str(tmp_path / "secret.md"),
        "a.md": "docs/up/a.md",
    }
    entries = {path: ("120000", blob(memory, target)) for path, target in links.items()}
    store(memory, entries | {"docs/sub.md": ("160000", "1" * 40), "lib": ("160000", "2" * 40)})
    memory.git("reset", "-q", "--hard")
    assert "secret" not in outputs(memory)
    assert paths(memory) == set()
    assert memory.snapshot() == memory.rebuilt()


def test_deep_folders_are_read(memory: Memory) -> None:
    path = "d/" * 500 + "page.md"
    store(memory, {path: ("100644", blob(memory, "Parse the tree at the bottom.\n"))})
    outputs(memory)
    assert paths(memory) == {path}
    assert memory.snapshot() == memory.rebuilt()


def test_large_files_are_left_out(memory: Memory) -> None:
    with (memory.root / "docs.md").open("wb") as file:
        file.truncate(2 << 30)  # not tracked
    oid = memory.git("hash-object", "-w", "--stdin", text="\0" * (64 << 20))
    store(
        memory,
        {"docs/huge.md": ("100644", oid), "docs/small.md": ("100644", blob(memory, "Parse the tree.\n"))},
    )
    outputs(memory)
    assert (paths(memory), left_out(memory)) == ({"docs/huge.md", "docs/small.md"}, {"too large": 1})


def test_a_file_of_rules_of_ten_megabytes_is_named_and_not_obeyed(memory: Memory) -> None:
    rules = blob(memory, "*a*a*a*a*a*a*b linguist-generated\n" * 300_000)
    page = blob(memory, "Parse the tree.\n")
    store(memory, {".gitattributes": ("100644", rules), f"docs/{'a' * 200}.md": ("100644", page)})
    assert "left out: 1 rules larger than 64 KiB" in outputs(memory)
    assert len(paths(memory)) == 1


def test_thousands_of_files_are_read_up_to_the_limit(memory: Memory) -> None:
    many = 10_000
    memory.write(".patina/config.toml", "[docs]\nmax_files = 50\n")
    page = blob(memory, "Parse the tree.\n")
    store(memory, {f"docs/{number // 1000}/{number}.md": ("100644", page) for number in range(many)})
    memory.sync()
    status = memory.patina().status().collections["docs"]
    assert (status.documents, status.left_out) == (50, {"too many files": many - 49})
    found = json.loads(Shell(memory.root).out("status", "--json"))
    assert found["collections"]["docs"]["left_out"] == {"too many files": many - 49}
    memory.commit("no page", {"a.py": "1"})
    report = memory.sync(quick=True)
    assert (report.commits, report.added) == (1, 1)
    memory.commit("one that comes first", {"ADVICE.md": "Parse the tree first.\n"})
    memory.sync(quick=True)
    assert "ADVICE.md" in paths(memory)
    assert memory.patina().status().collections["docs"].left_out == {"too many files": many - 48}
