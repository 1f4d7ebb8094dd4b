"""Secrets of built-in forms reach no file of the state folder, no plugin and no answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.memory import Memory, open_model

from patina_hooks import Commit, Document, hookimpl
from patina_hooks.config.settings import load_redaction, user_file
from patina_hooks.pairs.stored import TrainingPair
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.store.log import Log
from patina_hooks.store.recorded_faults import read_faults, store_faults
from patina_hooks.training.training_set import paths_to_read
from patina_hooks.upkeep.sync import synchronise

SESSION = "20251101-090000"
TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
KEY = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n{BODY}\n-----END PRIVATE KEY-----"
PASSWORD = "pw9Kq2"
MESSAGE = f"Rotate {TOKEN}\n\nThe old key was\n\n{KEY}\n\n- use postgres://u:{PASSWORD}@db from now on\n"


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    return memory


def leave_secrets(memory: Memory) -> None:
    decisions = (f"decided\n{KEY}", "keep")
    memory.archive(SESSION, title=f"title {TOKEN}", goals=f"goal {TOKEN}", decisions=decisions)
    memory.commit(MESSAGE, {"a": TOKEN})
    draft = f"# Session: draft {TOKEN}\n\n## Notes\n- postgres://u:{PASSWORD}@db\n"
    memory.write(".patina/local/active/draft.md", draft)


def leaked(state: Path) -> set[str]:
    """The secrets that some file of the state folder holds."""
    content = b"".join(path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file())
    return {secret for secret in (TOKEN, BODY, PASSWORD) if secret.encode() in content}


def test_patterns_of_the_user_hold_for_faults_when_they_are_stored(memory: Memory) -> None:
    memory.sync()
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text('[redact]\npatterns = ["host-[0-9]+"]\n')
    with Log(memory.state) as log, log.writing():
        store_faults(log, "faults", [RecordedError("acme", "index", f"host-42 is away: {TOKEN}")])
    with Log(memory.state) as log:
        stored = [fault.error for fault in read_faults(log, "faults")]
    assert stored == ["[redacted] is away: [redacted:github-token]"]


def test_path_that_names_a_secret_is_read_by_no_model_when_pairs_are_trained_with() -> None:
    pair = TrainingPair("co_changed", "commit 1", b"a", b"b", 1.0, None, 0, "src/a.py", f"keys/{TOKEN}.txt")
    assert list(paths_to_read([pair])) == [(b"a", "src/a.py")]


def set_builtin(builtin: bool) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(f"[redact]\nbuiltin = {json.dumps(builtin)}\n")


def test_secrets_are_in_no_file_when_they_are_indexed(memory: Memory) -> None:
    leave_secrets(memory)
    memory.sync()
    assert leaked(memory.state) == set()
    texts = " ".join(hit.text for hit in memory.patina().search("rotate postgres now on", limit=50))
    assert "Rotate [redacted:github-token]" in texts
    assert "postgres://u:[redacted:url-password]@db" in texts
    assert memory.patina().search(BODY, mode="lexical") == []


def test_secrets_are_removed_when_the_redaction_is_switched_on_later(memory: Memory) -> None:
    set_builtin(False)
    leave_secrets(memory)
    memory.sync()
    assert leaked(memory.state) == {TOKEN, BODY, PASSWORD}
    set_builtin(True)
    memory.sync()
    assert leaked(memory.state) == set()
    assert memory.snapshot() == memory.rebuilt()


def test_secrets_are_removed_when_a_log_of_release_0_1_0_is_upgraded(memory: Memory) -> None:
    set_builtin(False)
    leave_secrets(memory)
    memory.sync()
    with memory.log() as log:
        log.execute("PRAGMA user_version = 3")
    user_file().unlink()
    memory.sync()
    assert leaked(memory.state) == set()


def test_repository_has_no_say_when_its_settings_are_invalid(memory: Memory) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text("[redact]\npatterns = ['marmots']\n")
    memory.write(".patina/config.toml", "x = [[[\n")
    memory.commit("the marmots sleep")
    memory.sync()
    assert load_redaction().patterns == ("marmots",)
    assert memory.patina().search("sleep", mode="lexical")[0].text == "the [redacted] sleep"


def test_question_is_redacted_when_it_holds_a_secret(memory: Memory) -> None:
    memory.commit("the marmots sleep")
    memory.sync()
    (hit,) = memory.patina().search(f"sleep {TOKEN}", mode="lexical")
    assert hit.text == "the marmots sleep"
    assert memory.patina().search(TOKEN) == []


def test_event_hooks_hear_no_secret_when_commits_are_new_or_of_an_ended_session(memory: Memory) -> None:
    texts: list[str] = []

    class Listener:
        @hookimpl
        def patina_commit_recorded(self, commit: Commit, documents: list[Document]) -> None:
            texts.extend([commit.message, *(document.text for document in documents)])

        @hookimpl
        def patina_session_ended(self, commits: list[Commit]) -> None:
            texts.extend(commit.message for commit in commits)

    plugins = Plugins.load(disabled=())
    plugins.register(Listener(), "listener")
    with memory.session(SESSION):
        memory.commit(MESSAGE, {"a": "b"})
        synchronise(memory.repository, plugins=plugins, open_model=open_model)
    synchronise(memory.repository, plugins=plugins, open_model=open_model)
    assert sum("[redacted:private-key]" in text for text in texts) == 3
    assert not any(secret in text for text in texts for secret in (TOKEN, BODY, PASSWORD))
