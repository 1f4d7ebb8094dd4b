"""Event hooks: called with no lock held, for a limited time, and named by status while they run."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.memory import Memory, open_model

from patina_hooks import hookimpl
from patina_hooks.git.child import ChildGit
from patina_hooks.git.lock import SYNC_LOCK, SyncLock
from patina_hooks.plugins import hook_threads
from patina_hooks.plugins import manager as plugins_module
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.specs.values import Commit, Observation, Recorded, RepositoryPaths
from patina_hooks.upkeep.events import BATCH, EventQueue
from patina_hooks.upkeep.sync import SyncReport, synchronise
from patina_hooks.upkeep.worker import WORKER_LOCK


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("parse the tree")
    return memory


def with_plugin(**plugins: object) -> Plugins:
    loaded = Plugins.load(disabled=())
    for name, plugin in plugins.items():
        loaded.register(plugin, name)
    return loaded


def sync(memory: Memory, plugins: Plugins) -> SyncReport:
    return synchronise(memory.repository, plugins=plugins, open_model=open_model)


def test_no_lock_is_held_when_an_event_hook_runs(memory: Memory) -> None:
    free: list[bool] = []

    class Listener:
        @hookimpl
        def patina_commit_recorded(self) -> None:
            for name in (SYNC_LOCK, WORKER_LOCK):
                lock = SyncLock(memory.state / name)
                free.append(lock.acquire())
                lock.release()

        @hookimpl
        def patina_embeddings_updated(self) -> None:
            self.patina_commit_recorded()

    assert sync(memory, with_plugin(listener=Listener())).faults == ()
    assert free == [True] * 4


def test_an_event_hook_is_given_the_repository(memory: Memory) -> None:
    given: list[RepositoryPaths] = []

    class Listener:
        @hookimpl
        def patina_commit_recorded(self, repository: RepositoryPaths) -> None:
            given.append(repository)

    sync(memory, with_plugin(listener=Listener()))
    assert given == [RepositoryPaths(memory.repository.root, memory.repository.common)]


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A short limit, and what a hook that hangs may wait for until the test is over."""
    monkeypatch.setattr(plugins_module, "HOOK_SECONDS", 0.2)
    over = threading.Event()
    yield over
    over.set()


def test_an_event_hook_that_hangs_is_a_fault_and_other_plugins_get_every_event(
    memory: Memory, impatience: threading.Event
) -> None:
    calls: list[str] = []
    subjects: list[str] = []

    class Hanging:
        @hookimpl
        def patina_commit_recorded(self, commit: Commit) -> None:
            calls.append(commit.subject)
            impatience.wait()

    class Sound:
        @hookimpl
        def patina_commit_recorded(self, commit: Commit) -> None:
            subjects.append(commit.subject)

    memory.commit("fix crash in worker")
    report = sync(memory, with_plugin(hanging=Hanging(), sound=Sound()))
    (fault,) = report.faults
    assert (fault.plugin, fault.where) == ("hanging", "patina_commit_recorded")
    assert fault.error == hook_threads.TIMEOUT_ERROR
    assert (len(calls), subjects) == (1, ["parse the tree", "fix crash in worker"])
    assert [one for one in memory.patina().status().faults if one.plugin == "hanging"] == [fault]


def test_events_are_delivered_though_embedding_fails(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    subjects: list[str] = []

    class Listener:
        @hookimpl
        def patina_commit_recorded(self, commit: Commit) -> None:
            subjects.append(commit.subject)

    def fail(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr("patina_hooks.upkeep.sync._update_vectors", fail)
    with pytest.raises(Exception, match="no space left"):
        sync(memory, with_plugin(listener=Listener()))
    assert subjects == ["parse the tree"]


def test_hooks_of_one_plugin_run_in_one_thread_that_is_not_the_main_one(memory: Memory) -> None:
    threads: set[int] = set()

    class Listener:
        @hookimpl
        def patina_commit_recorded(self) -> None:
            threads.add(threading.get_ident())

        @hookimpl
        def patina_embeddings_updated(self) -> None:
            threads.add(threading.get_ident())

    sync(memory, with_plugin(listener=Listener()))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


# --- the queue --------------------------------------------------------------------------------------


class Listener:
    """Listens to the ends of sessions, to commits and to observations."""

    @hookimpl
    def patina_session_ended(self) -> None:
        pass

    @hookimpl
    def patina_commit_recorded(self) -> None:
        pass

    @hookimpl
    def patina_observations_changed(self) -> None:
        pass


def queued(
    memory: Memory, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[tuple[str, Mapping[str, Any]]], int]:
    """The events of a sync, and how many git processes it took to read them."""
    events: list[tuple[str, Mapping[str, Any]]] = []
    started: list[object] = []
    really = ChildGit._spawn

    def counted(git: ChildGit, *arguments: Any) -> Any:  # noqa: ANN401
        started.append(arguments)
        return really(git, *arguments)

    def keep(queue: EventQueue) -> tuple[RecordedError, ...]:
        with monkeypatch.context() as patch:
            patch.setattr(ChildGit, "_spawn", counted)
            events.extend(queue.events(repository))
        return ()

    repository = memory.repository
    synchronise(repository, plugins=plugins, open_model=open_model, deliver=keep)
    return events, len(started)


def test_ended_sessions_bring_their_commits_from_one_git_process(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(1, 4):
        memory.git("tag", "-a", "-m", "x", f"session-2025110{day}-090000-start")
        memory.commit(f"work of day {day}")
        memory.commit(f"more of day {day}")
    sync(memory, Plugins.load())
    for day in range(1, 4):
        memory.git("tag", "-a", "-m", "x", f"session-2025110{day}-090000-end", f"HEAD~{6 - 2 * day}")
    events, children = queued(memory, with_plugin(listener=Listener()), monkeypatch)
    ends = [given for event, given in events if event == "patina_session_ended"]
    assert [[commit.subject for commit in given["commits"]] for given in ends] == [
        [f"work of day {day}", f"more of day {day}"] for day in range(1, 4)
    ]
    assert children == 1


def test_nothing_is_kept_when_no_plugin_listens(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    with memory.session("20251101-090000"):
        memory.commit("fix crash in worker")
    assert queued(memory, Plugins.load(disabled=["*"]), monkeypatch) == ([], 0)


def children_of_first_sync(root: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many git processes a first sync of three sessions starts, delivery of events included."""
    memory = Memory.make(root)
    memory.commit("parse the tree")
    for day in range(1, 4):
        with memory.session(f"2025110{day}-090000"):
            memory.commit(f"work of day {day}")
    started: list[object] = []
    really = ChildGit._spawn

    def counted(git: ChildGit, *arguments: Any) -> Any:  # noqa: ANN401
        started.append(arguments)
        return really(git, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ChildGit, "_spawn", counted)
        report = sync(memory, plugins)
    assert (report.commits, report.sessions, report.faults) == (4, 3, ())
    return len(started)


def test_listeners_cost_at_most_one_git_process_in_a_first_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = children_of_first_sync(tmp_path / "silent", Plugins.load(disabled=()), monkeypatch)
    listening = children_of_first_sync(tmp_path / "listening", with_plugin(listener=Listener()), monkeypatch)
    assert silent > 0
    assert listening - silent in (0, 1)


def test_commits_come_after_their_parents_when_clocks_are_wrong(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for subject, clock in (("late", 2_000_000_000), ("early", 1_000_000_000), ("usual", 1_700_000_000)):
        memory.clock = clock
        memory.commit(subject)
    events, _ = queued(memory, with_plugin(listener=Listener()), monkeypatch)
    subjects = [given["commit"].subject for event, given in events if event == "patina_commit_recorded"]
    assert subjects == ["parse the tree", "late", "early", "usual"]


def test_many_observations_come_in_batches(memory: Memory) -> None:
    queue = EventQueue(with_plugin(listener=Listener()))
    for number in range(2 * BATCH + 1):
        queue.add_observation(Recorded(f"{number:x}", Observation("note", "x", 1), "a", None, None))
    queue.remove_observation(Recorded("gone", Observation("note", "x", 1), "a", None, None))
    batches: list[Mapping[str, Any]] = [given for _, given in queue.events(memory.repository)]
    assert [len(given["added"]) for given in batches] == [BATCH, BATCH, 1]
    assert [len(given["removed"]) for given in batches] == [1, 0, 0]
