"""A clone is data: what it says of settings is refused or inert, what it links to is not followed, and what
it spells never reaches a terminal raw."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support.memory import FAST_RECIPE, Memory
from support.shell import Shell

from patina_hooks.config.plugin_settings import disabled_plugins, plugin_settings
from patina_hooks.config.recipe import load_recipe
from patina_hooks.config.settings import Settings, load_settings, user_file
from patina_hooks.errors import PatinaError, SettingsError
from patina_hooks.models.catalog.user import parse_models
from patina_hooks.upkeep.check import check_recipe, check_settings

PATINA = str(Path(sys.executable).with_name("patina"))
SESSION = "20251101-090000"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PATINA, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


# --- settings and recipe ----------------------------------------------------------------------------

EXTREMES = {
    "deep arrays": "x = " + "[" * 1000,
    "deepest arrays": "x = " + "[" * 60_000,
    "closed arrays": "[session]\nadapter = " + "[" * 300 + "]" * 300,
    "deep tables": "x = " + "{a = " * 5_000,
    "a long key": "a" + ".a" * 30_000 + " = 1",
    "a long number": "[session]\nadapter = " + "1" * 5_000,
    "a long hexadecimal number": "[session]\nadapter = 0x" + "f" * 5_000,
    "a number beyond 64 bits": "[session]\nadapter = 99999999999999999999",
    "brackets for YAML": "projections: " + "[" * 60_000,
    "braces for YAML": "projections: " + "{a: " * 15_000,
    "a long number for YAML": "version: " + "1" * 5_000,
    "a long fraction for YAML": "background: {growth: 1." + "1" * 5_000 + "}",
    "NUL": "\0" * 1_000,
}


@pytest.mark.parametrize("file", [".patina/config.toml", ".patina/oxidize.yaml", ".patina/oxidize.lock"])
@pytest.mark.parametrize("extreme", EXTREMES)
def test_commands_end_without_a_bug_when_a_clone_holds_extreme_text(
    memory: Memory, file: str, extreme: str
) -> None:
    memory.sync()
    memory.commit("extreme", {file: EXTREMES[extreme]})
    for arguments in (["status"], ["sync"], ["scry", "hello"], ["session", "list"], ["doctor"]):
        done = Shell(memory.root).invoke(*arguments, catch=True)
        assert done.exception is None or isinstance(done.exception, SystemExit | PatinaError), arguments
        assert done.exit_code in {0, 1}
    list(check_settings(".patina/config.toml", EXTREMES[extreme].encode()))
    list(check_recipe(".patina/oxidize.yaml", EXTREMES[extreme].encode()))


@pytest.mark.parametrize("extreme", EXTREMES)
def test_the_users_own_files_are_refused_when_they_hold_extreme_text(tmp_path: Path, extreme: str) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(EXTREMES[extreme])
    with suppress(SettingsError):
        load_settings(tmp_path)
    with suppress(SettingsError):
        plugin_settings("acme", Settings)
    assert disabled_plugins() == frozenset()
    with suppress(SettingsError):
        list(parse_models(EXTREMES[extreme], "models.toml"))


_BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nembedding_model: *c\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version: 2\nembedding_model: os:system\n", 2),
        ("version: 2\nembedding_model: ../../weights\n", 2),
        ("version: 2\nembedding_model: /etc/passwd\n", 2),
        ("version: 2\nembedding_model: https://models.example/evil\n", 2),
        ("version: 2\nruntime: .git/hooks/evil\n", 2),
        ("version: 2\nplugins: [evil]\n", 2),
        ("embedding_model: !!python/object/apply:os.system [id]\n", 1),
        ("version: 2\nembedding_model: !evil x\n", 2),
        (_BOMB, 1),
        ("version: 2\nversion: 2\n", 2),
        ("version: 2\nindex: " + "[" * 5000 + "]" * 5000 + "\n", 2),
        ("projections:\n" + "".join(f"{' ' * n}a{n}:\n" for n in range(1, 200)), 9),
        ("x: " + "y" * 100_000, 1),
        ("version: 2\n- not a mapping\n", 2),
        ("version: 2\nembedding_model: [a]\n", 2),
        ('version: 2\nembedding_model: "\\e[31m"\n', 2),
        ("\0\x01\x02", 1),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_recipe_can_only_name_what_is_installed(memory: Memory, text: str, line: int) -> None:
    memory.write(".patina/oxidize.yaml", text)
    with pytest.raises(SettingsError, match=re.escape(".patina/oxidize.yaml:")) as raised:
        load_recipe(memory.root)
    assert f":{line}:" in str(raised.value) or text.startswith(("projections", "version: 2\n-"))
    report = memory.sync()
    assert [fault.where for fault in report.faults] == ["recipe"]
    assert report.commits, "words are there all the same"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[session]\nfolder = "../../home"\n', 2),
        ('[session]\nfolder = "/etc"\n', 2),
        ('[session]\nfolder = ".git/refs"\n', 2),
        ('[session]\nfolder = "layer/.GIT/x"\n', 2),
        ('[session]\nfolder = "a\\nb"\n', 2),
        ('[session]\nfolder = ""\n', 2),
        ('[session]\nadapter = "$(id)"\n', 2),
        ('[session]\nadapter = "../x"\n', 2),
        ("[worker]\ndefer_seconds = 0\n", 1),
        ('[redact]\npatterns = [".*"]\n', 1),
        ('[session]\nplugin = "evil"\n', 2),
        ("[session\n", 1),
        ("x" * 100_000, 1),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_repository_settings_are_inert(memory: Memory, text: str, line: int) -> None:
    memory.write(".patina/config.toml", text)
    with pytest.raises(SettingsError, match=re.escape("config.toml:")):
        load_settings(memory.root)
    report = memory.sync()
    assert [fault.where for fault in report.faults] == ["settings"]
    done = run(memory.root, "session", "start", "x")
    assert done.returncode == 1
    assert "config.toml:" in done.stderr
    assert memory.git("tag") == ""


# --- links ------------------------------------------------------------------------------------------

SECRET = "# Session: secret\n\n**Key Decisions:**\n- the launch code is sqlite\n"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What lies outside the repository and would make good reading."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in (f"{SESSION}.md", "active-session.md", "note.md"):
        (folder / name).write_text(SECRET)
    (folder / "oxidize.yaml").write_text("version: 2\nembedding_model: secret\n")
    (folder / "config.toml").write_text('[session]\nadapter = "secret"\nfolder = "secret"\n')
    (folder / "local").mkdir()
    (folder / "local" / "active-session.md").write_text(SECRET)
    return folder


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("layer/sessions", ""),
        ("layer", "up"),
        (f"layer/sessions/{SESSION}.md", f"{SESSION}.md"),
        ("layer/sessions/20251102-090000.md", "note.md"),
        (".patina", ""),
        (".patina/local", "local"),
        (".patina/local/active-session.md", "active-session.md"),
        (".patina/oxidize.yaml", "oxidize.yaml"),
        (".patina/config.toml", "config.toml"),
    ],
)
def test_no_link_is_followed(memory: Memory, outside: Path, link: str, target: str) -> None:
    if target == "up":
        (outside.parent / "up").mkdir()
        (outside.parent / "up" / "sessions").symlink_to(outside)
    place = memory.root / link
    (memory.root / ".patina/oxidize.yaml").unlink()
    (memory.root / ".patina").rmdir()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside.parent / "up" if target == "up" else outside / target)
    before = {path: path.stat().st_mtime_ns for path in outside.rglob("*")}
    for tracked in (False, True):
        if tracked:
            memory.git("add", "-A", "-f")
            memory.commit("links")
        memory.sync()
        assert "secret" not in run(memory.root, "session", "list").stdout
        assert "launch" not in str(memory.snapshot().observations)
    run(memory.root, "session", "start", "x")
    run(memory.root, "session", "note", "x")
    run(memory.root, "session", "end")
    assert {path: path.stat().st_mtime_ns for path in outside.rglob("*")} == before


def test_a_state_folder_that_is_a_link_is_not_written_through(memory: Memory, outside: Path) -> None:
    before = sorted(outside.rglob("*"))
    memory.state.symlink_to(outside)
    done = run(memory.root, "sync")
    assert done.returncode == 1, done
    assert sorted(outside.rglob("*")) == before


def test_a_work_tree_that_another_repository_owns_is_not_read(memory: Memory, tmp_path: Path) -> None:
    """An unpacked archive's `.git/worktrees` may claim any folder of the machine."""
    other = Memory.make(tmp_path / "other")
    other.write(f"layer/sessions/{SESSION}.md", SECRET)
    memory.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "tree"))
    (memory.root / ".git/worktrees/tree/gitdir").write_text(f"{other.root}/.git\n")
    memory.sync()
    assert "launch" not in str(memory.snapshot().observations)


# --- the terminal -----------------------------------------------------------------------------------

_EVIL = "\x1b]0;owned\x07\x1b[31m \x9b31m \u202egnp \u2066x\u2069 \x7f\x08"
_RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def test_nothing_steers_the_terminal(memory: Memory) -> None:
    path = f"parse{_EVIL}.py".replace("\x07", "")
    tag = "session-\u202e\x9b31m-start"
    memory.git("tag", "-a", "-m", f"Session start: {_EVIL}", f"session-{SESSION}-start")
    memory.git("tag", tag)
    memory.commit(f"parse the tree {_EVIL}\n\n- body {_EVIL}", {path: "1", "other.py": "1"})
    memory.git("tag", "-a", "-m", f"Session end: {_EVIL}", f"session-{SESSION}-end")
    document = (
        f"# Session: sqlite {_EVIL}\n**ID**: {SESSION}\n**LLM**: claude{_EVIL}\n**Git Branch**: {_EVIL}\n\n"
        f"## Goals\n- [ ] why sqlite {_EVIL}\n\n**Key Decisions:**\n- chose sqlite {_EVIL}\n"
        f"- kept {_EVIL} it\n"
    )
    memory.commit("archive", {f"layer/sessions/{SESSION}.md": document})
    memory.commit("odd", {f"layer/sessions/{_EVIL}.md".replace("\x07", ""): document + "binary \0"})
    memory.write(".patina/local/active-session.md", document.replace(SESSION, "20251102-090000"))
    memory.git("switch", "-q", "-c", "bran\u202ech\x9b31m")
    assert run(memory.root, "sync").returncode == 0
    shown = ""
    for arguments in (
        ("scry", "why sqlite"), ("scry", "--mode", "lexical", "parse the tree"), ("scry", "--file", path),
        ("scry", "--file", "other.py"), ("status",), ("log", "-n", "500"), ("pairs", "-n", "500"),
        ("doctor",),
        ("plugins",), ("check",), ("session", "list"), ("session", "show", SESSION), ("session", "status"),
        ("session", "update"), ("session", "note", _EVIL), ("session", "end"), ("session", "start", _EVIL),
        ("scry", "--ref", tag, "x"), ("scry", "--file", f"no {_EVIL}"), ("session", "show", _EVIL), ("sync",),
        ("scry", _EVIL), ("scry", "--session", _EVIL, "x"), ("scry", "--since", _EVIL, "x"),
        ("gc",), (_EVIL,),
        ("scry", "--json", "sqlite"), ("log", "--json"), ("pairs", "--json"), ("status", "--json"),
    ):  # fmt: skip
        done = run(memory.root, *(argument.replace("\0", "") for argument in arguments))
        found = _RAW.search(done.stdout + done.stderr)
        assert found is None, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert "bug" not in done.stderr, done.stderr
        shown += done.stdout
    assert "chose sqlite" in shown
    memory.write(".patina/oxidize.yaml", f'version: 2\n"{_EVIL}": x\n'.replace("\x7f", ""))
    memory.write(".patina/config.toml", f'["{_EVIL}"]\nx = 1\n')
    for arguments in (("sync",), ("status",), ("doctor",), ("check",), ("session", "start", "x")):
        done = run(memory.root, *arguments)
        assert _RAW.search(done.stdout + done.stderr) is None, (arguments, done.stdout, done.stderr)


def test_a_recipe_that_names_an_installed_model_is_followed(memory: Memory) -> None:
    """The counterpart: the tests above refuse, they do not merely ignore."""
    memory.write(".patina/oxidize.yaml", FAST_RECIPE)
    assert load_recipe(memory.root).model == "acme-64"
    assert memory.sync().faults == ()
