"""A clone, or an unpacked archive, whose `.git/config` and attributes name programs: none of them ever runs.
A canary would tell. What a caller's environment says of other repositories misleads nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.memory import FAST_RECIPE, Memory

PATINA = str(Path(sys.executable).with_name("patina"))
SESSION = "20251101-090000"
DOCUMENT = (
    "# Session: sqlite\n\n## Goals\n- [ ] why sqlite\n\n**Key Decisions:**\n- chose sqlite over files\n"
)
LOOKING = (
    ("sync",),
    ("sync", "--full"),
    ("scry", "why sqlite"),
    ("scry", "--ref", "main", "why sqlite"),
    ("scry", "--file", "parse.py"),
    ("status",),
    ("log",),
    ("pairs",),
    ("doctor",),
    ("plugins",),
    ("check",),
    ("gc",),
    ("session", "list"),
    ("session", "status"),
    ("session", "show", SESSION),
    ("session", "start", "hostile ground"),
    ("session", "update"),
    ("session", "note", "still here"),
    ("session", "end"),
    ("install",),
    ("uninstall",),
)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A program that leaves a file, and otherwise does as `cat` would."""
    path = tmp_path / "canary"
    path.write_text(f'#!/bin/sh\necho "$0 $*" >>"{tmp_path}/ran"\ncat 2>/dev/null\nexit 0\n')
    path.chmod(0o755)
    return path


def ran(canary: Path) -> str:
    path = canary.with_name("ran")
    return path.read_text() if path.exists() else ""


@pytest.fixture
def hostile(memory: Memory, canary: Path) -> Memory:
    """Every setting known to start a program, and content that would give each a reason to."""
    program = str(canary)
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-start")
    memory.commit("parse the tree", {"parse.py": "1", ".patina/oxidize.yaml": FAST_RECIPE})
    memory.commit("attributes", {".gitattributes": "* filter=evil diff=evil merge=evil text eol=lf ident\n"})
    memory.git("tag", "-a", "-m", "x", f"session-{SESSION}-end")
    memory.commit("session: archive", {f"layer/sessions/{SESSION}.md": DOCUMENT})
    memory.git("commit", "-q", "--allow-empty", "-m", "fix crash in worker")
    _sign(memory)
    bare = memory.root / "vendor" / "inner"
    memory.git("init", "-q", "--bare", str(bare))
    memory.git("config", "-f", str(bare / "config"), "core.fsmonitor", program)
    memory.write("parse.py", "changed and not committed\n")
    memory.write(".git/hooks/post-index-change", f"#!/bin/sh\nexec {program}\n")
    memory.write(".git/hooks/reference-transaction", f"#!/bin/sh\nexec {program}\n")
    for key in (
        "core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "core.gitProxy",
        "core.alternateRefsCommand", "diff.external", "gpg.program", "gpg.ssh.program", "gpg.x509.program",
        "sequence.editor", "credential.helper", "pager.log", "pager.tag", "pager.status", "pager.branch",
        "interactive.diffFilter", "uploadpack.packObjectsHook", "diff.evil.textconv", "diff.evil.command",
        "filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "merge.evil.driver",
        "remote.origin.uploadpack", "remote.origin.receivepack", "submodule.evil.update",
        "trailer.evil.command", "trailer.evil.cmd", "man.evil.cmd", "browser.evil.cmd", "mergetool.evil.cmd",
        "hook.evil.command", "hook.evil.event",
    ):  # fmt: skip
        memory.git("config", key, "post-commit" if key == "hook.evil.event" else program)
    for key, value in (
        ("log.showSignature", "true"), ("core.hooksPath", str(memory.root / ".git/hooks")),
        ("commit.gpgSign", "true"), ("tag.gpgSign", "true"), ("diff.evil.cachetextconv", "true"),
        ("filter.evil.required", "true"), ("alias.log", f"!{program}"), ("alias.tag", f"!{program}"),
        ("alias.rev-parse", f"!{program}"), ("alias.cat-file", f"!{program}"),
        ("core.untrackedCache", "true"),
        ("extensions.partialClone", "origin"), ("core.repositoryFormatVersion", "1"),
        ("remote.origin.promisor", "true"), ("remote.origin.partialclonefilter", "blob:none"),
        ("remote.origin.url", f"ext::{program} %S"), ("remote.origin.vcs", "ext"),
        ("protocol.allow", "always"),
        ("protocol.ext.allow", "always"), ("protocol.file.allow", "always"),
        ("core.worktree", str(memory.root)),
        ("gc.auto", "1"), ("maintenance.auto", "true"), ("fetch.recurseSubmodules", "true"),
        ("submodule.recurse", "true"), ("status.submoduleSummary", "true"), ("log.diffMerges", "m"),
        ("diff.renames", "copies"), ("log.follow", "true"), ("i18n.logOutputEncoding", "UTF-16"),
        ("format.pretty", "oneline"), ("log.date", "relative"), ("color.ui", "always"),
        ("column.ui", "always"),
        ("core.quotePath", "true"), ("core.abbrev", "4"), ("log.decorate", "full"), ("log.mailmap", "true"),
        ("core.precomposeUnicode", "false"), ("diff.noprefix", "true"),
    ):  # fmt: skip
        memory.git("config", key, value)
    return memory


def _sign(memory: Memory) -> None:
    """HEAD once more with a signature that is none, and an object that only a promisor would have."""
    content = memory.git("cat-file", "commit", "HEAD")
    head, _, message = content.partition("\n\n")
    armour = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n nothing\n -----END PGP SIGNATURE-----"
    oid = memory.git(
        "hash-object", "-w", "--literally", "-t", "commit", "--stdin", text=f"{head}\n{armour}\n\n{message}\n"
    )
    memory.git("update-ref", "refs/heads/main", oid)
    absent = "1" * 40
    tree = memory.git("mktree", "--missing", text=f"100644 blob {absent}\t20251105-100000.md\n")
    tree = memory.git("mktree", "--missing", text=f"040000 tree {tree}\tsessions\n")
    tree = memory.git("mktree", "--missing", text=f"040000 tree {tree}\tlayer\n")
    memory.git("branch", "absent", memory.git("commit-tree", tree, "-m", "absent"))


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PATINA, *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_canary_sings(hostile: Memory, canary: Path) -> None:
    """Were nothing done against it, these very commands would run the program."""
    assert ran(canary) == ""
    hostile.git("status", check=False)
    hostile.git("log", "-p", check=False)
    assert "canary" in ran(canary)


def test_no_command_runs_a_program_of_the_repository(hostile: Memory, canary: Path) -> None:
    for arguments in LOOKING:
        done = run(hostile.root, *arguments)
        assert ran(canary) == "", arguments
        assert "Traceback" not in done.stderr
        assert "bug" not in done.stderr, done.stderr
        assert done.returncode == 0 or arguments[0] in ("check", "doctor"), (arguments, done)
    done = run(hostile.root, "scry", "--mode", "lexical", "fix crash in worker")
    assert "fix crash in worker" in done.stdout, "what the settings disturb is read all the same"


def test_the_worker_runs_no_program_of_the_repository(hostile: Memory, canary: Path) -> None:
    hostile.state.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-m", "patina_hooks.upkeep.worker", str(hostile.root / ".git"), str(hostile.root)],
        cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr, ran(canary)) == (0, "", "", "")
    assert "ERROR" not in (hostile.state / "patina.log").read_text()
    assert len(hostile.snapshot().documents) >= 6


def test_hostile_settings_change_nothing_that_is_read(hostile: Memory, tmp_path: Path) -> None:
    hostile.sync()
    clean = Memory.make(tmp_path / "clean")
    plain = hostile.root / ".git/config"
    hostile_text = plain.read_text()
    plain.write_text((clean.root / ".git/config").read_text())
    clean.git("fetch", "-q", str(hostile.root), "main:refs/heads/main", "--update-head-ok", "--tags", "-u")
    clean.git("fetch", "-q", str(hostile.root), "main", check=False)
    clean.sync()
    plain.write_text(hostile_text)
    expected = {row for row in clean.snapshot().observations if row[4]}
    assert expected <= hostile.snapshot().observations


def test_a_bare_repository_inside_the_clone_is_not_entered(hostile: Memory, canary: Path) -> None:
    done = run(hostile.root / "vendor" / "inner", "status")
    assert done.returncode == 1
    assert ran(canary) == ""


# --- the environment --------------------------------------------------------------------------------


def test_variables_of_another_repository_misdirect_nobody(
    memory: Memory, tmp_path: Path, canary: Path
) -> None:
    memory.commit("parse the tree", {"parse.py": "1", ".patina/oxidize.yaml": FAST_RECIPE})
    memory.write("parse.py", "staged")
    memory.git("add", "parse.py")
    other = Memory.make(tmp_path / "other")
    other.commit("of the other", {"other.py": "1"})
    index, others = memory.root / ".git/index", other.root / ".git/index"
    bytes_of = {path: path.read_bytes() for path in (index, others)}
    leaked = {
        "GIT_DIR": str(other.root / ".git"),
        "GIT_WORK_TREE": str(other.root),
        "GIT_INDEX_FILE": str(others),
        "GIT_OBJECT_DIRECTORY": str(other.root / ".git/objects"),
        "GIT_COMMON_DIR": str(other.root / ".git"),
        "GIT_NAMESPACE": "nowhere",
        "GIT_PREFIX": "nowhere/",
        "GIT_CEILING_DIRECTORIES": str(memory.root),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor'='{canary}'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": str(canary),
        "GIT_EXTERNAL_DIFF": str(canary),
        "GIT_SSH_COMMAND": str(canary),
        "GIT_PAGER": str(canary),
        "GIT_EDITOR": str(canary),
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TRACE": "1",
        "GIT_REPLACE_REF_BASE": "refs/heads/",
    }
    for arguments in (*LOOKING[:3], ("status",), *LOOKING[15:19], ("sync",)):
        done = run(memory.root, *arguments, **leaked)
        assert done.returncode == 0, (arguments, done)
    assert not (other.root / ".git/patina").exists()
    assert other.git("tag") == ""
    assert {path: path.read_bytes() for path in (index, others)} == bytes_of
    assert ran(canary) == ""
    assert "of the other" not in str(memory.snapshot().documents)


# --- modules ----------------------------------------------------------------------------------------

_TRAPS = (
    "patina_hooks/__init__.py", "numpy.py", "git.py", "git/__init__.py", "click.py", "sqlite3.py", "json.py",
    "pluggy.py", "yaml.py", "tomli.py", "onnxruntime.py", "tokenizers.py", "platformdirs.py", "logging.py",
    "sitecustomize.py", "usercustomize.py", "patina_minilm.py", "patina_acme/__init__.py", "tempfile.py",
)  # fmt: skip


def test_modules_of_the_repository_are_never_imported(memory: Memory, canary: Path) -> None:
    trap = f"import os\nos.system({str(canary)!r})\nraise SystemExit('hijacked')\n"
    memory.commit("traps", {**dict.fromkeys(_TRAPS, trap), ".patina/oxidize.yaml": FAST_RECIPE})
    dist = "evil-1.0.dist-info"
    memory.commit(
        "a plugin", {f"{dist}/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n",
                     f"{dist}/entry_points.txt": "[patina]\nevil = numpy\n"},
    )  # fmt: skip
    for arguments in (
        *LOOKING[:3],
        ("status",),
        ("doctor",),
        ("plugins",),
        *LOOKING[15:20],
        ("hook", "post-commit"),
    ):
        done = run(memory.root, *arguments)
        assert "hijacked" not in done.stderr + done.stdout
        assert "evil" not in done.stdout
        assert ran(canary) == "", arguments
    done = subprocess.run(
        ["git", "commit", "-q", "--allow-empty", "-m", "with our hooks"],
        cwd=memory.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    from support.workers import wait_for_workers

    wait_for_workers(memory)
    assert ran(canary) == ""
    assert "with our hooks" in str(memory.snapshot().observations)
