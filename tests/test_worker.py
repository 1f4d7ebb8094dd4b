"""The worker: every event is worked off, by one at a time, and no fault is seen by anyone but the log."""

from __future__ import annotations

import fcntl
import json
import os
import select
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.memory import Memory
from support.sandbox import Recorder, Sandbox, make_sandbox

from patina_hooks.commands.setup.hook import hook_command
from patina_hooks.git import spool
from patina_hooks.git.hooks import install
from patina_hooks.git.lock import SyncLock
from patina_hooks.git.repository import Repository
from patina_hooks.git.spool import SpoolEvent
from patina_hooks.models import encoding
from patina_hooks.models.embedding import PieceSize
from patina_hooks.models.encoding import Encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.system.files import make_private
from patina_hooks.upkeep import worker


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    sandbox = make_sandbox(tmp_path, monkeypatch)
    sandbox.commit()
    return sandbox


@pytest.fixture
def state(sandbox: Sandbox) -> Path:
    state = sandbox.root / ".git/patina"
    make_private(state)
    return state


def run(sandbox: Sandbox, synchronise: worker.Synchronise) -> int:
    return worker.run_worker([str(sandbox.root / ".git"), str(sandbox.root)], synchronise)


def test_one_pass_deals_with_all_that_is_noted(sandbox: Sandbox, state: Path) -> None:
    seen: list[Path] = []
    for _ in range(5):
        spool.append_event(state, SpoolEvent("post-commit"))
    assert run(sandbox, lambda repository: seen.append(repository.root)) == 0
    assert seen == [sandbox.root]
    assert spool.pending_bytes(state) == 0
    assert "in step after 5 post-commit" in (state / "patina.log").read_text()


def test_it_goes_on_while_something_is_left(sandbox: Sandbox, state: Path) -> None:
    spool.append_event(state, SpoolEvent("post-commit"))
    left = [True, True, False]
    assert run(sandbox, lambda _: left.pop(0)) == 0
    assert left == []
    said = (state / "patina.log").read_text()
    assert said.index("more to embed after 1 post-commit") < said.index("in step after")


def test_a_rebase_that_begins_between_its_turns_is_waited_for(
    sandbox: Sandbox, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebase = sandbox.root / ".git/rebase-merge"
    seen: list[str] = []

    def wait(busy: Callable[[], bool], limit: float) -> bool:
        seen.append("waits" if busy() else "is quiet")
        if busy():
            rebase.rmdir()
        return True

    def turn(_: Repository) -> bool:
        seen.append("turn")
        if len(seen) < 3:
            rebase.mkdir()
        return len(seen) < 3

    monkeypatch.setattr(worker, "wait_until_quiet", wait)
    run(sandbox, turn)
    assert seen == ["is quiet", "turn", "waits", "turn"]


def test_its_turns_have_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reconciles anew; to open a large model takes minutes."""
    memory = Memory.make(tmp_path / "repository")
    monkeypatch.setattr("patina_hooks.upkeep.sync.SLICE_SECONDS", 0.0)
    monkeypatch.setattr("patina_hooks.search.index.vector_update._CHUNK", 2)
    monkeypatch.setattr("patina_hooks.search.index.vector_update._FIRST_CHUNK", 2)
    monkeypatch.setattr(
        "patina_hooks.search.index.vector_update.PieceSize", lambda *_: PieceSize(size=2, most=2)
    )
    opened: list[str] = []
    really = encoding.open_encoder

    def counted(plugins: Plugins, model: str, *about: Any, **more: Any) -> Encoder:  # noqa: ANN401
        opened.append(model)
        return really(plugins, model, *about, **more)

    monkeypatch.setattr(encoding, "open_encoder", counted)
    for number in range(5):
        memory.commit(f"text number {number}")
    make_private(memory.state)
    assert worker.run_worker([str(memory.root / ".git"), str(memory.root)]) == 0
    said = (memory.state / "patina.log").read_text()
    assert said.count("more to embed after") == 1, "three turns, and the second is no news"
    assert said.count("in step after") == 1
    assert memory.patina().status().pending == 0
    assert len(opened) == 1


def test_an_event_that_could_not_be_noted_gets_a_pass(sandbox: Sandbox, state: Path) -> None:
    seen: list[Path] = []
    run(sandbox, lambda repository: seen.append(repository.root))
    assert len(seen) == 1


def test_an_event_during_the_work_gets_a_pass_of_its_own(sandbox: Sandbox, state: Path) -> None:
    passes: list[int] = []

    def work(repository: Repository) -> None:
        passes.append(spool.pending_bytes(state))
        if len(passes) < 3:
            spool.append_event(state, SpoolEvent("post-commit"))

    run(sandbox, work)
    assert len(passes) == 3
    assert spool.pending_bytes(state) == 0


def test_an_event_at_the_last_moment_is_not_left_lying(
    sandbox: Sandbox, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own worker finds the lock taken and goes; the one that lets go looks again."""
    passes: list[str] = []
    release = SyncLock.release

    def late(lock: SyncLock, *, yield_to_waiters: bool = False) -> None:
        if lock.path.name == worker.WORKER_LOCK and len(passes) == 1:
            spool.append_event(state, SpoolEvent("post-commit"))
            assert run(sandbox, lambda _: passes.append("the other")) == 0
        release(lock, yield_to_waiters=yield_to_waiters)

    monkeypatch.setattr(SyncLock, "release", late)
    run(sandbox, lambda _: passes.append("the first"))
    assert passes == ["the first", "the first"]
    assert spool.pending_bytes(state) == 0


def test_a_second_worker_goes_at_once_without_loading_anything(sandbox: Sandbox, state: Path) -> None:
    code = (
        "import sys; from patina_hooks.upkeep.worker import run_worker; run_worker(sys.argv[1:]);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    spool.append_event(state, SpoolEvent("post-commit"))
    with SyncLock(state / worker.WORKER_LOCK):
        done = subprocess.run(
            [sys.executable, "-c", code, sandbox.root / ".git", sandbox.root],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    assert spool.pending_bytes(state) > 0
    assert not {"git", "numpy", "click", "pluggy", "yaml", "logging", "onnxruntime"} & set(
        done.stdout.split()
    )


def test_a_long_spool_is_cut_and_the_refs_looked_at_once_more(sandbox: Sandbox, state: Path) -> None:
    passes: list[str] = []
    (state / "spool").write_bytes(b"post-commit\n" * 6000)
    run(sandbox, lambda _: passes.append("pass"))
    assert len(passes) == 2
    assert (state / "spool").stat().st_size == 0


def test_a_fault_is_in_the_log_and_the_event_stays(
    sandbox: Sandbox, state: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def work(repository: Repository) -> None:
        raise ZeroDivisionError("a \x1b[31mred\u202e message")

    spool.append_event(state, SpoolEvent("post-commit"))
    assert run(sandbox, work) == 0
    log = (state / "patina.log").read_text()
    assert "ZeroDivisionError: a [31mred message" in log
    assert "Traceback" in log
    assert spool.pending_bytes(state) > 0
    assert capfd.readouterr() == ("", "")
    run(sandbox, lambda _: None)
    assert spool.pending_bytes(state) == 0


def test_the_log_is_bounded(sandbox: Sandbox, state: Path) -> None:
    def work(repository: Repository) -> None:
        raise ValueError("x" * 200_000)

    for _ in range(8):
        run(sandbox, work)
    logs = sorted(path.name for path in state.glob("patina.log*"))
    assert logs == ["patina.log", "patina.log.1", "patina.log.2"]
    assert all((state / log).stat().st_size < 512 * 1024 for log in logs)


def test_a_work_tree_that_is_gone_is_no_obstacle(sandbox: Sandbox, state: Path) -> None:
    tree = sandbox.folder / "linked"
    sandbox.out("worktree", "add", "-q", str(tree))
    sandbox.out("worktree", "remove", str(tree))
    seen: list[Path] = []
    worker.run_worker(
        [str(sandbox.root / ".git"), str(tree)], lambda repository: seen.append(repository.root)
    )
    assert seen == [sandbox.root]


def test_another_repository_in_its_place_is_not_taken_for_it(sandbox: Sandbox, state: Path) -> None:
    other = sandbox.folder / "other"
    sandbox.out("init", "-q", str(other))
    seen: list[Path] = []
    worker.run_worker(
        [str(sandbox.root / ".git"), str(other)], lambda repository: seen.append(repository.root)
    )
    assert seen == [sandbox.root]


@pytest.mark.parametrize(
    "arguments", [[], ["/nowhere"], ["/nowhere", "/nowhere"], ["a", "b", "c"], ["\0", "x"]]
)
def test_nonsense_is_no_error(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert worker.run_worker(arguments) == 0
    assert capfd.readouterr() == ("", "")


def test_a_state_folder_that_cannot_be_written(sandbox: Sandbox, state: Path) -> None:
    (state / worker.WORKER_LOCK).mkdir()
    assert run(sandbox, lambda _: pytest.fail("worked without the lock")) == 0


# --- waiting for a rebase ---------------------------------------------------------------------------


def test_it_waits_until_a_rebase_is_over(sandbox: Sandbox, state: Path) -> None:
    sandbox.write("file", "one\n")
    sandbox.out("add", "file")
    sandbox.commit()
    sandbox.out("checkout", "-q", "-b", "side", "HEAD^")
    sandbox.write("file", "two\n")
    sandbox.out("add", "file")
    sandbox.commit()
    assert sandbox.git("rebase", "main").returncode != 0
    repository = Repository.open(sandbox.root)
    assert repository.in_progress()

    def time_goes_by(seconds: float) -> None:
        sandbox.out("rebase", "--abort")

    assert worker.wait_until_quiet(repository.in_progress, 600, time_goes_by)
    assert not repository.in_progress()


def test_it_does_not_wait_for_ever() -> None:
    slept: list[float] = []
    assert not worker.wait_until_quiet(lambda: True, 10, slept.append)
    assert 10 <= sum(slept) < 11


def test_a_rebase_that_takes_too_long_is_not_waited_for(
    sandbox: Sandbox, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Path(os.environ["HOME"], ".config/patina/config.toml")
    settings.parent.mkdir(parents=True)
    settings.write_text("[worker]\ndefer_seconds = 0\n")
    (sandbox.root / ".git/rebase-merge").mkdir()
    seen: list[str] = []
    run(sandbox, lambda _: seen.append("pass"))
    assert seen == ["pass"]
    assert "still in progress" in (state / "patina.log").read_text()


# --- as it is started -------------------------------------------------------------------------------

_PROBE = """\
import json, os, sys
from pathlib import Path
from types import SimpleNamespace

SLICE_SECONDS = 5.0

def open_once(plugins):
    return None

def synchronise(repository, *, background, **_):
    umask = os.umask(0o077)
    os.umask(umask)
    facts = {
        "leader": os.getsid(0) == os.getpid(),
        "umask": umask,
        "folder": os.getcwd(),
        "git": sorted(name for name in os.environ if name.startswith("GIT_")),
        "path": sys.path[0],
        "root": str(repository.root),
        "background": background,
        "heads": {ref.name: ref.commit for ref in repository.refs("refs/heads/")},
    }
    print("nobody reads this")
    Path(os.environ["PROBE"]).write_text(json.dumps(facts) + "\\n")
    return SimpleNamespace(postponed=False)
"""


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A stand-in for the synchronisation, in the worker's own process, that writes to a pipe."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "probe.py").write_text(_PROBE)
    (site / "sitecustomize.py").write_text(
        "import sys, probe; sys.modules['patina_hooks.upkeep.sync'] = probe\n"
    )
    pipe = tmp_path / "facts"
    os.mkfifo(pipe)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("PROBE", str(pipe))
    recorder = Recorder(site, pipe)
    yield recorder
    recorder.release()


def test_started_from_python_it_is_on_its_own(
    sandbox: Sandbox, state: Path, probe: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", "index.of.somebody.else")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    # Were the current folder searched for modules, this would run instead of the package.
    sandbox.write("patina_hooks/__init__.py", "raise SystemExit('hijacked')")
    monkeypatch.chdir(sandbox.root)
    worker.start_worker(sandbox.root / ".git", sandbox.root)
    facts = json.loads(probe.text())
    assert facts == {
        "leader": True,
        "umask": 0o077,
        "folder": "/",
        "git": ["GIT_CONFIG_NOSYSTEM"],
        "path": facts["path"],
        "root": str(sandbox.root),
        "background": True,
        "heads": {"refs/heads/main": sandbox.out("rev-parse", "HEAD", env={"GIT_DIR": ".git"})},
    }
    assert facts["path"] not in ("", str(sandbox.root))


def test_started_by_a_commit_it_writes_for_its_owner_alone(
    sandbox: Sandbox, state: Path, probe: Recorder
) -> None:
    install(Repository.open(sandbox.root), sys.executable)
    done = sandbox.commit()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert probe.text()
    with SyncLock(state / worker.WORKER_LOCK):  # the worker has ended
        assert stat.S_IMODE((state / "patina.log").stat().st_mode) == 0o600
        assert stat.S_IMODE((state / worker.WORKER_LOCK).stat().st_mode) == 0o600
        assert spool.pending_bytes(state) == 0


def test_a_file_that_no_shell_can_name_is_not_kept_open(
    sandbox: Sandbox, probe: Recorder, state: Path
) -> None:
    """A caller that handed git its 12 reads the end of it while the worker is still at work."""
    install(Repository.open(sandbox.root), sys.executable)
    read, write = os.pipe()
    high = fcntl.fcntl(write, fcntl.F_DUPFD, 12)
    commit = ["git", "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(commit, cwd=sandbox.root, pass_fds=[high], check=True)
    os.close(write)
    os.close(high)
    ready, _, _ = select.select([read], [], [], 60)
    assert ready
    assert os.read(read, 1) == b""
    os.close(read)
    assert probe.text()  # for which the worker has waited


def test_four_work_trees_that_commit_at_once(sandbox: Sandbox, state: Path, probe: Recorder) -> None:
    """Each commit starts a worker; one works, and at the end it has seen every branch as it is."""
    install(Repository.open(sandbox.root), sys.executable)
    trees = [sandbox.folder / name for name in ("one", "two", "three", "four")]
    for tree in trees:
        sandbox.out("worktree", "add", "-q", "-b", tree.name, str(tree))

    def commits(tree: Path) -> None:
        for _ in range(5):
            done = sandbox.commit(cwd=tree)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(commits, trees))
    assert (state / "spool").read_text().count("post-commit\n") == 20
    heads = {ref.name: ref.commit for ref in Repository.open(sandbox.root).refs("refs/heads/")}
    # The first pass may have begun before the last commit: the worker comes back for the rest by itself.
    while json.loads(probe.text().splitlines()[-1])["heads"] != heads:
        pass


def test_the_hook_command_notes_the_event_and_starts_a_worker(
    sandbox: Sandbox, probe: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a repository without a state folder too: who configured the hook wants to be remembered."""
    monkeypatch.chdir(sandbox.root)
    done = CliRunner().invoke(hook_command, ["post-checkout", "a", "b", "1"])
    assert (done.exit_code, done.output) == (0, "")
    assert probe.text()
    spooled = (sandbox.root / ".git/patina/spool").read_text()
    assert spooled == "post-checkout a b 1\n"


@pytest.mark.parametrize("environment", [{"PATINA_SKIP": "1"}, {"CI": "1"}])
def test_the_hook_command_is_off_when_told_so(
    sandbox: Sandbox, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sandbox.root)
    assert CliRunner().invoke(hook_command, ["post-commit"], env=environment).output == ""
    assert not (sandbox.root / ".git/patina").exists()


def test_the_hook_command_never_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sandbox(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(hook_command, ["post-commit", "--odd", "-x"])
    assert (done.exit_code, done.output) == (0, "")


def test_settings_that_do_not_parse_do_not_stop_it(sandbox: Sandbox, state: Path) -> None:
    sandbox.write(".patina/config.toml", "[session\n")
    seen: list[Path] = []
    run(sandbox, lambda repository: seen.append(repository.root))
    assert seen == [sandbox.root]


def test_a_linked_log_is_not_written_to(sandbox: Sandbox, state: Path) -> None:
    target = sandbox.folder / "target"
    (state / "patina.log").symlink_to(target)
    assert run(sandbox, lambda _: pytest.fail("worked beside a link")) == 0
    assert not target.exists()
