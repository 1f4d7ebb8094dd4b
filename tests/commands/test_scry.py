"""`patina scry`: for eyes, and for programs."""

from __future__ import annotations

import json
import subprocess
import unicodedata
from pathlib import Path

import pytest
from commands.conftest import SESSION
from support.memory import Memory
from support.shell import Shell

from patina_hooks.errors import StateError
from patina_hooks.system import files

KEYS = {
    *("session", "commit", "path", "line", "kind", "text", "score", "channels", "title", "when", "draft"),
    *("also", "also_commits", "name", "end", "fields", "collection"),
}


def test_json_is_as_documented(shell: Shell) -> None:
    found = json.loads(shell.out("scry", "marmots parse by hand", "--json"))
    assert found.keys() == {"query", "mode", "close_match", "reason", "hits"}
    assert (found["query"], found["mode"]) == ("marmots parse by hand", "hybrid")
    first = found["hits"][0]
    assert all(hit.keys() == KEYS for hit in found["hits"])
    assert (first["session"], first["commit"], first["kind"]) == (SESSION, None, "decision")
    assert (first["path"], first["text"]) == (f"layer/sessions/{SESSION}.md", "marmots parse by hand")
    assert isinstance(first["line"], int)
    assert isinstance(first["score"], float)
    assert first["channels"].keys() == {"observation", "session", "title", "vector"}
    commit = next(hit for hit in found["hits"] if hit["session"] is None)
    assert len(commit["commit"]) == 40
    assert commit["path"] is None


def test_a_page_says_what_where_and_why(shell: Shell) -> None:
    page = shell.out("scry", "--in", "history", "marmots", "parse", "by", "hand")
    first = page.partition("\n\n")[0].splitlines()
    assert first[0].startswith("1. marmots parse  20")
    assert first[1] == "   marmots parse by hand"
    assert f"decision · layer/sessions/{SESSION}.md:" in first[2]
    assert "vector " in first[2]


def test_filters_reach_the_search(shell: Shell) -> None:
    def kinds(*arguments: str) -> set[str]:
        hits = json.loads(shell.out("scry", "marmots", "--json", *arguments))["hits"]
        return {hit["kind"] for hit in hits}

    assert kinds("--kind", "goal") == {"goal"}
    assert kinds("--session", SESSION, "--kind", "commit") == {"commit"}
    assert kinds("--until", "2020-01-01") == set()
    assert kinds("--since", "2020-01-01", "--mode", "lexical")
    assert kinds("--ref", "HEAD~2") == {"commit", "passage"}
    assert kinds("--ref", "HEAD~2", "--in", "history") == {"commit"}
    assert kinds("--in", "docs") == {"passage"}
    assert kinds("--path", "src", "--kind", "commit") == {"commit"}
    best = json.loads(shell.out("scry", "marmots", "-n", "1", "--json"))["hits"]
    assert [hit["collection"] for hit in best] == ["history", "docs"]


def test_nothing_found(shell: Shell) -> None:
    done = shell.invoke("scry", "zzyzx\x1b[2J", "--mode", "lexical")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == ("patina: no hits for 'zzyzx[2J': no indexed text has a word of the question\n")
    assert json.loads(shell.out("scry", "zzyzx", "--mode", "lexical", "--json"))["hits"] == []


def test_escape_sequences_of_the_repository_are_not_printed(memory: Memory, shell: Shell) -> None:
    memory.commit("\x1b[2Jclear \u202eunicorn")
    memory.write("\x1b]0;title\x07.py", "x")
    memory.git("add", ".")
    memory.commit("unicorn files", {"other.py": "x"})
    page = shell.out("scry", "unicorn") + shell.out("log") + shell.out("scry", "--file", "other.py")
    assert "unicorn" in page
    assert not {"\x1b", "\x07", "\u202e"} & set(page)


def test_a_draft_is_marked(memory: Memory, shell: Shell) -> None:
    text = "# Session: unicorns\n**ID**: 20251104-090000\n\n## Goals\n- [ ] ride a unicorn\n"
    memory.write(".patina/local/active/20251130-090000.md", text)
    assert shell.out("scry", "--in", "history", "unicorn").splitlines()[0].endswith("  draft")
    assert json.loads(shell.out("scry", "ride unicorn", "--json"))["hits"][0]["draft"] is True


def test_a_file_and_what_belongs_to_it(shell: Shell) -> None:
    page = shell.out("scry", "--file", "src/parse.py")
    assert page.splitlines()[0] == "src/parse.py: 1 commit"
    assert "  1.00      1 time  src/tree.py" in page
    assert f"  {SESSION}    1 commit  marmots parse" in page
    found = json.loads(shell.out("scry", "--file", "src/parse.py", "--json"))
    assert found == {
        "path": "src/parse.py", "commits": 1,
        "companions": [{"path": "src/tree.py", "commits": 1, "weight": 1.0}],
        "sessions": [{"session": SESSION, "title": "marmots parse", "commits": 1}],
    }  # fmt: skip


@pytest.mark.parametrize("written", ["parse.py", "./parse.py", "../src/parse.py"])
def test_a_path_is_meant_from_where_one_stands(memory: Memory, written: str) -> None:
    inside = Shell(memory.root / "src")
    assert json.loads(inside.out("scry", "--file", written, "--json"))["path"] == "src/parse.py"
    absolute = str(memory.root / "src/parse.py")
    assert json.loads(inside.out("scry", "--file", absolute, "--json"))["path"] == "src/parse.py"
    hits = json.loads(inside.out("scry", "marmots", "--path", written, "--kind", "commit", "--json"))["hits"]
    assert [hit["text"] for hit in hits] == ["teach marmots to parse"]


def test_a_path_outside_of_the_repository_is_usage(shell: Shell) -> None:
    done = shell.run("scry", "--file", "/etc/passwd")
    assert done.returncode == 2
    assert "is outside of this repository" in done.stderr


def test_a_path_that_is_no_utf8(memory: Memory, shell: Shell) -> None:
    memory.write("caf\udce9.py", "x")
    memory.git("add", ".")
    memory.commit("odd name")
    done = shell.run("scry", "--file", b"caf\xe9.py", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["commits"] == 1
    assert shell.run("scry", "--mode", "lexical", "--json", b"caf\xe9").returncode == 0


def test_what_no_hook_told_is_seen_all_the_same(memory: Memory, shell: Shell) -> None:
    memory.commit("a unicorn, unheard of")
    assert "a unicorn, unheard of" in shell.out("scry", "unicorn")


def test_invalid_settings_do_not_silence_it(memory: Memory, shell: Shell) -> None:
    memory.write(".patina/config.toml", "[session]\nfoldr = 1\n")
    memory.write(".patina/oxidize.yaml", "modle: x\n")
    assert "marmots parse by hand" in shell.run("scry", "marmots by hand").stdout


def test_a_read_only_state_still_answers(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise StateError(f"{folder} cannot be made")

    monkeypatch.setattr(files, "make_private", refuse)
    done = shell.invoke("scry", "marmots parse by hand")
    assert "marmots parse by hand" in done.stdout
    assert done.stderr.startswith("patina: the index was not updated: ")


@pytest.mark.parametrize("columns", ["1", "5", "80"])
def test_a_terminal_may_be_narrow(shell: Shell, columns: str) -> None:
    done = shell.run("scry", "marmots", "parse", "by", "hand", env={"COLUMNS": columns})
    assert (done.returncode, done.stderr) == (0, "")
    assert "hand" in done.stdout


def test_a_session_may_be_named_by_its_beginning(shell: Shell) -> None:
    found = json.loads(shell.out("scry", "marmots", "--session", SESSION[:8], "--kind", "commit", "--json"))
    assert [hit["session"] for hit in found["hits"]] == [SESSION]


def test_shown_day_is_the_one_asked_for_when_the_zone_is_ahead_of_utc(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """18:00 UTC of the 9th is the 10th in Tokyo."""
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-03-09T18:00:00Z")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty"]
    subprocess.run([*git, "-m", "the badger counts"], cwd=shell.folder, check=True)

    def shown(zone: str, *filters: str) -> str:
        done = shell.run("scry", "--mode", "lexical", "badger counts", *filters, env={"TZ": zone})
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("\n")[0][-10:]

    assert shown("Asia/Tokyo", "--since", "2026-03-10") == "2026-03-10"
    assert shown("Asia/Tokyo", "--until", "2026-03-10") == ""
    assert shown("America/Los_Angeles", "--until", "2026-03-10") == "2026-03-09"
    assert shown("Asia/Kathmandu", "--since", "9 Mar 2026 23:45") == "2026-03-09"
    assert shown("UTC", "--since", "yesterday") == ""


def test_date_is_refused_with_an_example_when_it_means_nothing(shell: Shell) -> None:
    done = shell.run("scry", "x", "--since", "nonsense")
    assert done.returncode == 2
    assert "invalid date 'nonsense'; use YYYY-MM-DD, 'yesterday' or '2 weeks ago'" in done.stderr


def test_path_and_kind_are_found_when_they_are_written_otherwise(shell: Shell) -> None:
    """A shell on macOS completes a name with decomposed letters; git stores it composed."""
    (shell.folder / "größe").mkdir()
    (shell.folder / "größe" / "日本.txt").write_text("x")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "add", "größe"], cwd=shell.folder, check=True)
    subprocess.run([*git, "commit", "-qm", "the badger counts"], cwd=shell.folder, check=True)
    decomposed = unicodedata.normalize("NFD", "größe")
    filters = ("--mode", "lexical", "--kind", "Commit", "--path", decomposed)
    assert "the badger counts" in shell.run("scry", "badger", *filters).stdout
    assert "größe/日本.txt: 1 commit" in shell.run("scry", "--file", f"{decomposed}/日本.txt").stdout
