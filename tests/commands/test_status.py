"""`patina status`, `sync`, `log`, `pairs`, `gc`, `init`: what they print."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from commands.conftest import SESSION
from support.husky import husky_8
from support.memory import FAST_RECIPE, Memory
from support.shell import Shell

from patina_hooks.git import spool
from patina_hooks.git.hooks import install
from patina_hooks.upkeep.backlog import describe_unread_events

STATUS = {
    "events_hash", "sessions", "commits", "observations", "pairs", "pending", "model", "runtime",
    "projection", "faults",
}  # fmt: skip


def test_status_json_is_as_documented(memory: Memory, shell: Shell) -> None:
    status = json.loads(shell.out("status", "--json"))
    assert status.keys() >= STATUS
    assert (status["sessions"], status["commits"], status["pending"]) == (1, 3, 0)
    assert (status["model"], status["runtime"], status["projection"]) == ("acme-64", "onnx", "none")
    assert len(status["events_hash"]) == 64
    with memory.log() as log:
        for name in ("observation WHERE live", "pair"):
            count = log.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            assert status["pairs" if name == "pair" else "observations"] == count > 0
    assert status["faults"] == []


def test_a_status_page(shell: Shell) -> None:
    page = shell.out("status")
    assert "memory        1 session, 3 commits\n" in page
    assert "model         acme-64 (runtime onnx)\n" in page
    assert "synced        just now\n" in page
    assert "errors" not in page


def test_status_names_the_file_to_edit_when_the_model_of_the_recipe_is_unknown(
    memory: Memory, shell: Shell
) -> None:
    memory.write(".patina/oxidize.yaml", "embedding_model: no-such-model\n")
    assert "    try: edit .patina/oxidize.yaml\n" in shell.out("status")


def test_status_says_that_events_wait_when_no_worker_read_them(memory: Memory, shell: Shell) -> None:
    spool.append_event(memory.state, spool.SpoolEvent("post-commit"))
    path = memory.state / "spool"
    hours_ago = path.stat().st_mtime - 7_200
    (memory.state / "worker.lock").write_text(str(os.getpid()))
    os.utime(path, (hours_ago, hours_ago))
    assert describe_unread_events(memory.state) == "", "a worker is running"
    (memory.state / "worker.lock").write_text("0")
    page = shell.out("status")
    assert "no worker in the background read the events of 120 minutes ago; patina doctor" in page
    assert "no worker" not in shell.out("status"), "the command read them"
    spool.append_event(memory.state, spool.SpoolEvent("post-commit"))
    assert "no worker" not in shell.out("status"), "it has yet to start"


def test_status_names_submodules_when_head_has_some(memory: Memory, shell: Shell) -> None:
    assert "submodule" not in shell.out("status")
    text = '[submodule "lib"]\n\tpath = vendor/lib\n\turl = ../lib\n'
    memory.commit("add a submodule", {".gitmodules": text})
    assert "vendor/lib: a submodule has an index of its own" in shell.out("status")


def test_status_names_hooks_when_another_tool_removed_them(memory: Memory, shell: Shell) -> None:
    install(memory.repository)
    assert "hooks" not in shell.out("status")
    (memory.root / ".git/hooks/post-merge").unlink()
    (memory.root / ".git/hooks/post-commit").chmod(0o644)
    page = shell.out("status")
    assert (
        "hooks post-merge: another tool removed them: commits wait for the next command; patina sync" in page
    )
    assert "post-commit is not executable; patina sync" in page
    assert "hooks reinstalled" in shell.run("sync").stderr
    assert "hooks" not in shell.out("status")


def test_status_names_the_command_that_writes_to_the_work_tree_when_husky_came(
    memory: Memory, shell: Shell
) -> None:
    install(memory.repository)
    husky_8(memory.root)
    before = memory.git("status", "--porcelain", "-uall")
    shell.out("sync")
    assert memory.git("status", "--porcelain", "-uall") == before
    assert "commits wait for the next command; patina install\n" in shell.out("status")
    assert "one line in a file of the work tree" in shell.out("install")
    assert "hooks" not in shell.out("status")
    removed = shell.out("uninstall")
    assert "Commit the removal of the line from these files" in removed
    assert memory.git("status", "--porcelain", "-uall") == before


def test_a_status_page_shows_faults_and_what_was_not_read(memory: Memory, shell: Shell) -> None:
    memory.write(".patina/oxidize.yaml", "embedding_model: no-such\x1b[2J\n")
    memory.git("tag", "session-20251399-000000-start")
    page = shell.run("status").stdout
    assert "refs/tags/session-20251399-000000-start: no such date" in page
    assert "patina-hooks: recipe: .patina/oxidize.yaml:1: " in page
    faults = json.loads(shell.run("status", "--json").stdout)["faults"]
    assert [(fault["plugin"], fault["where"]) for fault in faults] == [("patina-hooks", "recipe")]


def test_events_hash_is_that_of_another_clone(memory: Memory, shell: Shell, tmp_path: Path) -> None:
    memory.git("clone", "-q", memory.root.as_uri(), str(tmp_path / "clone"))
    clone = Shell(tmp_path / "clone")
    memory.write(".patina/oxidize.yaml", FAST_RECIPE, at=clone.folder)
    clone.out("sync")
    ours, theirs = (json.loads(one.out("status", "--json")) for one in (shell, clone))
    assert ours["events_hash"] == theirs["events_hash"]
    memory.commit("one more")
    assert json.loads(shell.out("status", "--json"))["events_hash"] != theirs["events_hash"]


def test_sync_says_what_it_did(memory: Memory, shell: Shell) -> None:
    assert shell.out("sync").startswith("nothing new (")
    memory.commit("one more unicorn")
    assert shell.out("sync").startswith("1 new commit, 1 observation in, 1 text embedded (")
    memory.git("reset", "-q", "--hard", "HEAD~1")
    assert shell.out("sync").startswith("1 commit gone, 1 observation out (")
    assert shell.out("sync", "--full").startswith("3 new commits, 1 session changed, ")


def test_the_log_newest_first(memory: Memory, shell: Shell) -> None:
    oid = memory.commit("one more unicorn")
    events = json.loads(shell.out("log", "--kind", "commit", "--json"))
    assert events[0].keys() == {"time", "kind", "subject", "detail", "dated"}
    newest = events[0]
    assert (newest["kind"], newest["subject"], newest["detail"]) == ("commit", oid, "one more unicorn")
    assert f"commit    {oid[:10]}  one more unicorn  (recorded " in shell.out("log", "--kind", "commit")
    sessions = json.loads(shell.out("log", "--kind", "session", "--json"))
    assert {event["kind"] for event in sessions} == {"session"}
    assert shell.run("log", "--kind", "no-such-kind").returncode == 2
    assert shell.invoke("log", "--kind", "gone").stderr == "patina: no events of kind 'gone'\n"


def test_the_log_lists_the_newest_commits_first_after_init(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    oids = [memory.commit(f"change number {number}") for number in range(25)]
    shell = Shell(memory.root)
    shell.out("init", "--no-hooks")
    events = json.loads(shell.out("log", "--json"))
    assert [event["subject"] for event in events] == oids[:-21:-1]
    dates = memory.git("log", "-20", "--format=%ct").split()
    assert [str(event["dated"]) for event in events] == dates
    assert all(event["time"] > event["dated"] for event in events)
    first = shell.out("log").splitlines()[0]
    assert first.startswith("2023-11-1")
    assert " (recorded 20" in first


def test_pairs_with_texts_and_evidence(shell: Shell) -> None:
    pairs = json.loads(shell.out("pairs", "--json", "-n", "100"))
    assert {pair["kind"] for pair in pairs} == {
        "goal_observation", "commit_session", "co_changed", "commit_files", "same_module",
    }  # fmt: skip
    assert pairs[0].keys() == {
        "kind", "session", "commit", "anchor", "positive", "negative", "weight", "evidence",
    }  # fmt: skip
    goal = next(pair for pair in pairs if pair["kind"] == "goal_observation")
    assert (goal["anchor"], goal["positive"]) == ("parse marmots", "marmots parse by hand")
    assert goal["evidence"] == f"goals of session {SESSION}"
    assert "marmots parse by hand" in shell.out("pairs", "--kind", "commit_session")
    assert len(json.loads(shell.out("pairs", "--json", "-n", "1"))) == 1
    refused = shell.run("pairs", "--kind", "same_modul")
    assert refused.returncode == 2
    assert "no generator makes pairs of the kind same_modul" in refused.stderr
    assert "try: one of co_changed, commit_files" in refused.stderr
    shown = shell.out("pairs", "--kind", "same_module")
    assert "same_module  1.00  files of the folder src/\n  src/parse.py\n  src/tree.py\n" in shown


def test_status_says_what_pairs_there_are(shell: Shell) -> None:
    status = json.loads(shell.out("status", "--json"))
    kinds = status["pair_kinds"]
    assert sum(kind["count"] for kind in kinds.values()) == status["pairs"]
    changed = kinds["co_changed"]
    assert (changed["count"], changed["weight"]) == (2, 2.0)
    assert changed["since"] == changed["until"] > 1_600_000_000
    weight = sum(kind["weight"] for kind in kinds.values())
    said = f"{status['pairs']} of 5 kinds, total weight {weight:.0f}, 2023-11-14 to 2023-11-14"
    assert f"pairs         {said}\n" in shell.out("status")


def test_gc_says_what_it_freed(memory: Memory, shell: Shell) -> None:
    assert shell.out("gc").startswith("freed 0 observations, 0 embeddings, ")
    memory.commit("one more unicorn")
    memory.sync()
    memory.git("reset", "-q", "--hard", "HEAD~1")
    assert shell.out("gc").startswith("freed 1 observation, 1 embedding, ")


def test_init_twice_changes_nothing_the_second_time(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin")
    shell = Shell(memory.root)
    (memory.root / ".patina/oxidize.yaml").unlink()
    first = shell.out("init", "--no-sync")
    assert "wrote .patina/oxidize.yaml" in first
    assert "wrote .patina/.gitignore" in first

    def everything() -> dict[str, bytes]:
        globs = (".patina/**/*", ".git/hooks/*", ".git/config")
        files = [path for glob in globs for path in memory.root.glob(glob)]
        return {str(path): path.read_bytes() for path in files if path.is_file()}

    before = everything()
    assert "wrote" not in shell.out("init", "--no-sync")
    assert everything() == before
    assert memory.git("check-ignore", ".patina/local/active/20251130-090000.md")
    assert memory.git("status", "--porcelain") == "?? .patina/"


def test_init_leaves_a_recipe_and_hooks_as_they_are_when_asked(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots")
    hooks = sorted(path.name for path in memory.root.glob(".git/hooks/*"))
    shell = Shell(memory.root)
    done = shell.out("init", "--no-hooks")
    assert "wrote .patina/oxidize.yaml" not in done
    assert (memory.root / ".patina/oxidize.yaml").read_text() == FAST_RECIPE
    assert sorted(path.name for path in memory.root.glob(".git/hooks/*")) == hooks
    assert "read 1 new commit" in done
    assert "begin with marmots" in shell.out("scry", "marmots")


def test_init_refuses_an_invalid_recipe(tmp_path: Path) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", "modle: x\n")
    done = Shell(memory.root).run("init")
    assert (done.returncode, done.stdout) == (1, "")
    assert ".patina/oxidize.yaml:1: unknown key 'modle'" in done.stderr


@pytest.mark.parametrize("command", ["status", "gc", "sync"])
def test_an_empty_repository(tmp_path: Path, command: str) -> None:
    memory = Memory.make(tmp_path / "repository")
    shell = Shell(memory.root)
    shell.out("init", "--no-hooks")
    shell.out(command)


def test_texts_that_the_model_does_not_read_to_the_end_are_counted(memory: Memory, shell: Shell) -> None:
    assert json.loads(shell.out("status", "--json"))["cut"] == 0
    memory.git("switch", "-q", "-c", "side")
    memory.commit("long\n\n" + "marmots dig deep and parse slowly " * 30)
    assert memory.sync().cut == 1
    assert json.loads(shell.out("status", "--json"))["cut"] == 1
    assert "long texts    1; the model reads their beginnings" in shell.out("status")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    assert json.loads(shell.out("status", "--json"))["cut"] == 0
