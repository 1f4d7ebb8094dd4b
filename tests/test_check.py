"""`patina check`: exact words about what is staged, and silence about all else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from support.history import history_folder
from support.sandbox import Sandbox, make_sandbox

from patina_hooks.commands.setup.check import check_command
from patina_hooks.config.settings import user_file
from patina_hooks.git.repository import DOCUMENT_CAP, Repository
from patina_hooks.upkeep.check import (
    StagedFile,
    StagedFinding,
    check_entry,
    check_session,
    check_staged,
    list_staged,
)

ID = "20251101-093000"
PATH = f"layer/sessions/{ID}.md"
DOCUMENT = f"""\
# Session: why sqlite
**ID**: {ID}
**Started**: 2025-11-01T08:30:00Z
**LLM**: claude
**Git Branch**: main
**Session Tag**: session-{ID}-start
**Starting Commit**: 0123456789abcdef0123456789abcdef01234567

## Previous Session Context
<!-- AI: Summarize the last session from last-session.md -->

## Goals
- [ ] why sqlite
"""


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    sandbox = make_sandbox(tmp_path, monkeypatch)
    monkeypatch.chdir(sandbox.root)
    return sandbox


def stage(sandbox: Sandbox, path: str, content: str | bytes) -> None:
    sandbox.write(path, content)
    sandbox.out("add", "-f", path)


def check() -> Result:
    return CliRunner().invoke(check_command)


def findings(content: str | bytes, path: str = PATH) -> list[tuple[int, str]]:
    data = content.encode() if isinstance(content, str) else content
    return [(finding.line, finding.message) for finding in check_session(path, data)]


# --- what is looked at ------------------------------------------------------------------------------


def test_nothing_staged_and_all_well_are_silent(sandbox: Sandbox) -> None:
    assert (check().exit_code, check().output) == (0, "")
    stage(sandbox, PATH, DOCUMENT)
    stage(sandbox, ".patina/oxidize.yaml", "version: 2\n")
    stage(sandbox, ".patina/config.toml", '[session]\nadapter = "gemini"\n')
    stage(sandbox, "spool", "a file of the user's with such a name")
    assert (check().exit_code, check().output) == (0, "")


def test_each_finding_is_a_line_with_its_place(sandbox: Sandbox) -> None:
    stage(sandbox, PATH, DOCUMENT.replace("claude", "Claude Code"))
    stage(sandbox, ".patina/oxidize.yaml", "version: 2\nembeding_model: x\n")
    stage(sandbox, ".patina/config.toml", '[session]\nadapter = "gemini"\nbranch_policy = "sometimes"\n')
    stage(sandbox, ".patina/local/active-session.md", DOCUMENT)
    done = check()
    assert done.exit_code == 1
    places = [line.split(": ")[0] for line in done.output.splitlines()]
    assert places == [
        ".patina/config.toml:3",
        ".patina/local/active-session.md:1",
        ".patina/oxidize.yaml:2",
        f"{PATH}:4",
    ]
    assert f"{PATH}:4: **LLM** is 'Claude Code', expected lower-case letters, digits" in done.output


def test_only_what_is_staged_is_looked_at(sandbox: Sandbox) -> None:
    """A fault in the work tree, in HEAD, or on its way out is not this commit's."""
    stage(sandbox, PATH, DOCUMENT)
    sandbox.write(PATH, "\0")
    assert check().exit_code == 0
    stage(sandbox, PATH, DOCUMENT.replace("claude", "?"))
    assert check().exit_code == 1
    sandbox.commit()
    assert check().exit_code == 0
    sandbox.out("rm", "-q", "--cached", PATH)
    assert check().exit_code == 0


def test_the_index_that_git_hands_over_is_the_one(sandbox: Sandbox) -> None:
    """`git commit -a` and `git commit PATH` work on an index of their own."""
    stage(sandbox, PATH, DOCUMENT)
    stage(sandbox, "other", "x")
    sandbox.commit()
    program = "from patina_hooks.commands import main; import sys; sys.argv = ['patina', 'check']; main()"
    command = f'exec {sys.executable} -c "{program}"'
    sandbox.write(".git/hooks/pre-commit", f"#!/bin/sh\n{command}\n", 0o755)
    sandbox.write(PATH, DOCUMENT.replace("claude", "?"))
    sandbox.write("other", "y")
    for options in (["-a"], [PATH], ["-i", "other", PATH]):
        done = sandbox.git("commit", "-q", "-m", "x", *options)
        assert done.returncode == 1, options
        assert f"{PATH}:4: **LLM** is '?'" in done.stdout + done.stderr
    sandbox.out("add", PATH)
    done = sandbox.git("commit", "-q", "-m", "only the other", "other")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    tree = sandbox.folder / "linked"
    sandbox.out("worktree", "add", "-q", str(tree))
    (tree / PATH).write_text(DOCUMENT.replace("claude", "?"))
    assert sandbox.git("commit", "-qam", "x", cwd=tree).returncode == 1


def test_staged_entries_before_the_first_commit_and_after(sandbox: Sandbox) -> None:
    repository = Repository.open(sandbox.root)
    stage(sandbox, "a b\n\u00fc", "x")
    assert [entry.path for entry in list_staged(repository)] == ["a b\n\u00fc"]
    sandbox.commit()
    assert list_staged(repository) == []
    sandbox.out("mv", "a b\n\u00fc", "moved")
    assert [entry.path for entry in list_staged(repository)] == ["moved"]


def test_the_folder_of_the_sessions_is_a_setting(sandbox: Sandbox) -> None:
    sandbox.write(".patina/config.toml", '[session]\nfolder = "notes"\n')
    stage(sandbox, PATH, b"\0")
    assert check().exit_code == 0
    stage(sandbox, f"notes/{ID}.md", b"\0")
    assert check().output == f"notes/{ID}.md:1: a NUL byte; this is not text\n"


def test_a_path_cannot_write_to_the_terminal(sandbox: Sandbox) -> None:
    stage(sandbox, ".patina/local/\x1b[31mred\nline", "x")
    output = check().output
    assert "\x1b" not in output
    assert output.count("\n") == 1


def test_a_hostile_configuration_starts_nothing(sandbox: Sandbox) -> None:
    witness = sandbox.folder / "witness"
    program = sandbox.write("../program", f"#!/bin/sh\ntouch '{witness}'\n", 0o755)
    stage(sandbox, PATH, DOCUMENT)
    sandbox.write(".gitattributes", "* diff=evil filter=evil\n")
    for key in (
        "core.fsmonitor",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
    ):
        sandbox.out("config", key, str(program))
    check_staged(Repository.open(sandbox.root))
    assert not witness.exists()


def test_it_loads_nothing_heavy(sandbox: Sandbox) -> None:
    stage(sandbox, PATH, DOCUMENT)
    code = "import sys; from patina_hooks.commands.setup.check import check_command\n"
    code += "check_command(standalone_mode=False); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert not {"numpy", "onnxruntime", "tokenizers", "pluggy"} & set(done.stdout.split())


# --- local state ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        ".patina/local/active-session.md",
        ".patina/local/last-session.md",
        ".patina/local/deep/er",
        ".patina/active-session.md",
        ".patina/index.vectors",
        ".patina/log.db",
        ".patina/log.db-wal",
        ".patina/patina.log.1",
        ".patina/spool",
    ],
)
def test_local_state_does_not_belong_into_a_commit(path: str) -> None:
    (finding,) = check_entry(StagedFile(path, "100644", ""))
    assert finding.path == path
    assert f"git rm --cached '{path}'" in finding.message


@pytest.mark.parametrize(
    "path",
    [
        ".patina",
        ".patina/oxidize.yaml",
        ".patina/oxidize.lock",
        ".patina/.gitignore",
        "log.db",
        "a/.patina/local/x",
        PATH,
    ],
)
def test_what_belongs_there_is_let_through(path: str) -> None:
    assert list(check_entry(StagedFile(path, "100644", ""))) == []


@pytest.mark.parametrize("path", [PATH, ".patina/oxidize.yaml", ".patina/config.toml"])
def test_a_link_is_pointed_out_and_not_followed(sandbox: Sandbox, path: str) -> None:
    link = sandbox.write(path, "")
    link.unlink()
    link.symlink_to("=\n- no document")
    sandbox.out("add", path)
    (finding,) = check_staged(Repository.open(sandbox.root))
    assert "symbolic link" in finding.message


# --- session documents ------------------------------------------------------------------------------


def test_the_document_that_we_write_is_well_formed() -> None:
    assert findings(DOCUMENT) == []
    assert findings(DOCUMENT.replace(f"session-{ID}-start", f"session-{ID}-gemini-start")) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("why sqlite\n**", " \n**", 1, "no title"),
        (f"**ID**: {ID}", "**ID**: yesterday", 2, "expected YYYYMMDD-HHMMSS"),
        (f"**ID**: {ID}", "**ID**: 20251101-093001", 2, f"named '{ID}.md'"),
        (f"**ID**: {ID}", "**ID**: 20251399-999999", 2, "of a moment that exists"),
        ("08:30:00Z", "08:30:00", 3, "(UTC)"),
        ("2025-11-01T08:30:00Z", "2025-13-99T99:99:99Z", 3, "of a moment that exists"),
        (f"session-{ID}-start", "session-20251399-999999-start", 6, "expected session-<id>"),
        ("**LLM**: claude\n", "", 2, "**LLM** is missing"),
        ("**Started**: 2025-11-01T08:30:00Z\n", "", 2, "**Started** is missing"),
        ("**Git Branch**: main", "**Git Branch**:", 5, "expected a branch"),
        (f"session-{ID}-start", "session-start", 6, "expected session-<id>"),
        (f"session-{ID}-start", "session-20200101-000000-start", 6, "not of session"),
        ("0123456789abcdef0123456789abcdef01234567", "HEAD", 7, "hexadecimal"),
        (" -->", "", 10, "never closed"),
    ],
)
def test_a_fault_is_named_with_its_line(old: str, new: str, line: int, words: str) -> None:
    assert old in DOCUMENT
    found = findings(DOCUMENT.replace(old, new, 1))
    assert [number for number, message in found if words in message] == [line], found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Claude Session Summary\n**Date**: July\n\n### [10:00:00] User Request\n<!-- AI: open",
        "---\ntype: session\nid: x\n---\n# Session: with front matter\n**ID**: other\n",
        "# Session: by hand\n\n**ID**: it stands in the text, not in the header\n",
        "Just notes.\n",
    ],
)
def test_documents_of_other_forms_are_not_held_to_ours(text: str) -> None:
    assert findings(text) == []


def test_a_file_name_is_refused_when_its_moment_does_not_exist() -> None:
    """No reader takes such a document for a session's."""
    (finding,) = check_session("layer/sessions/20251399-999999.md", b"Just notes.\n")
    assert "not an existing time" in finding.message


def test_what_is_no_text_is_named_with_its_line() -> None:
    assert findings(b"one\ntwo\0") == [(2, "a NUL byte; this is not text")]
    assert findings(b"one\n\ntwo \xff") == [(3, "not UTF-8: byte 0xff")]
    assert findings("\ufeff" + DOCUMENT) == []


def test_a_huge_document_is_not_read(sandbox: Sandbox) -> None:
    stage(sandbox, PATH, b"x" * (DOCUMENT_CAP + 1))
    (finding,) = check_staged(Repository.open(sandbox.root))
    assert finding == StagedFinding(PATH, 1, "8,388,609 bytes; patina reads 8,388,608 at most")


@given(st.binary())
def test_any_bytes_are_judged_without_an_error(data: bytes) -> None:
    for content in (data, DOCUMENT.encode()[:60] + data, DOCUMENT.encode() + data):
        for line, message in findings(content):
            assert 1 <= line <= content.count(b"\n") + 1
            assert message


def test_real_documents_are_let_through() -> None:
    """Whatever form they have: the excerpt that comes with the tests, and all where the history is."""
    folder = history_folder()
    documents = sorted((folder / "sessions").glob("*.md")) if folder else []
    documents += sorted((Path(__file__).parent / "data/sessions").glob("*.md"))
    assert documents
    for path in documents:
        assert list(check_session(f"layer/sessions/{path.name}", path.read_bytes())) == []


# --- secrets ----------------------------------------------------------------------------------------


def test_secret_is_named_with_its_line_when_a_session_document_is_staged(sandbox: Sandbox) -> None:
    token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
    stage(sandbox, PATH, f"{DOCUMENT}\n## Notes\n- use {token}\n- and postgres://u:pw9@db\n")
    stage(sandbox, "README.md", f"{token}\n")
    result = check()
    assert result.exit_code == 1
    assert f"{PATH}:16: github-token in plain text" in result.output
    assert f"{PATH}:17: url-password in plain text" in result.output
    assert "README" not in result.output
    assert token not in result.output


def test_secret_is_not_named_when_the_user_has_switched_redaction_off(sandbox: Sandbox) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text("[redact]\nbuiltin = false\n")
    stage(sandbox, PATH, f"{DOCUMENT}\n- use ghp_16C7e42F292c6912E7710c838347Ae178B4a\n")
    assert check().exit_code == 0
