"""Plugins in our process: stdout, folder, logging, exit codes and clocks stay ours. Fresh processes."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from contextlib import closing
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from support.distributions import Site
from support.memory import Memory
from support.odd_plugin import install, patina
from support.workers import all_ended

import patina_hooks
from patina_hooks.git.lock import SYNC_LOCK, SyncLock
from patina_hooks.plugins.kinds import BUILTIN_COMMANDS
from patina_hooks.plugins.running_calls import CallRecord, running_calls
from patina_hooks.store.log import Log
from patina_hooks.system.process_state import ProcessState
from patina_hooks.upkeep.worker import WORKER_LOCK


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("parse the tree")
    memory.sync()
    return memory


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


# --- stdout -----------------------------------------------------------------------------------------

PRINTS = """
import os, subprocess, sys
def noise(where):
    print("noise of print in", where)
    sys.__stdout__.write(f"noise of __stdout__ in {where}\\n")
    sys.__stdout__.flush()
    os.write(1, f"noise of descriptor in {where}\\n".encode())
    subprocess.run([sys.executable, "-c", f"print('noise of child in {where}')"])
noise("import")
@hookimpl
def patina_register_extractors():
    noise("register")
    yield ExtractorSpec("odd", 1, "commit", "odd_work:extract")
@hookimpl
def patina_commit_recorded(commit):
    noise("event")
"""
PRINTING_EXTRACTOR = """
import odd
from patina_hooks import Extraction
def extract(document):
    odd.noise("extract")
    return Extraction(())
"""


@pytest.mark.parametrize(
    "command", [["status", "--json"], ["plugins", "--json"], ["log", "--json"], ["scry", "--json", "tree"]]
)
def test_what_plugins_print_goes_to_stderr(memory: Memory, site: Site, command: list[str]) -> None:
    install(site, PRINTS, odd_work=PRINTING_EXTRACTOR)
    memory.commit("fix crash in worker")
    done = patina(memory, site, *command)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    for way in ("print", "__stdout__", "descriptor", "child"):
        assert f"noise of {way} in import" in done.stderr
    if command[0] == "scry":
        assert "noise of print in extract" in done.stderr
        assert "noise of print in event" in done.stderr


def test_a_thread_of_a_plugin_cannot_print_into_our_output(memory: Memory, site: Site) -> None:
    install(
        site,
        "import threading, time\n"
        "def chatter():\n"
        "    while True:\n"
        "        print('noise')\n"
        "        time.sleep(0.001)\n"
        "threading.Thread(target=chatter, daemon=True).start()\n",
    )
    done = patina(memory, site, "status", "--json")
    assert done.returncode == 0, done.stderr.replace("noise\n", "")
    assert json.loads(done.stdout)["commits"] == 1


def test_the_command_of_a_plugin_has_stdout(memory: Memory, site: Site) -> None:
    command = """
import subprocess, sys
import click
print("noise")
@click.command()
@click.argument("name")
def hello(name):
    click.echo(f"hello {name}")
    print("printed", flush=True)
    subprocess.run([sys.executable, "-c", "print('of a child')"])
"""
    register = "@hookimpl\ndef patina_register_commands():\n"
    install(site, register + "    yield CommandSpec('hello', 'Greet.', 'odd_work:hello')\n", odd_work=command)
    done = patina(memory, site, "hello", "you")
    assert (done.returncode, done.stdout.split("\n")) == (0, ["hello you", "printed", "of a child", ""])
    assert "noise" in done.stderr
    assert "NAME" in patina(memory, site, "hello", "--help").stdout


# --- folder, logging and the rest of the process ----------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.chdir('/')",
        "import logging; logging.basicConfig(level=logging.DEBUG)",
        "import logging; logging.disable(50)",
        "import warnings; warnings.simplefilter('error')",
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "import sys; sys.stdout = open('/dev/null', 'w')",
        "import sys; sys.stdout.close()",
        "import os; os.environ['GIT_DIR'] = '/'; os.environ['PATINA_STRICT'] = '1'",
        "import sys; sys.path.insert(0, '/nowhere')",
        "import os; os.umask(0o777)",
        "import sys; sys.setrecursionlimit(120)",
        "import atexit, os; atexit.register(lambda: os._exit(9))",
        "import sys, threading; sys.excepthook = threading.excepthook = None",
        "import signal; signal.setitimer(signal.ITIMER_REAL, 0.1)",
        "import os; os.fork()",
        "import numpy; numpy.seterr(all='raise')",
    ],
)
def test_what_a_plugin_changes_of_the_process_is_put_back(memory: Memory, site: Site, code: str) -> None:
    install(site, code.replace("; ", "\n"))
    memory.commit("fix crash in worker")
    done = patina(memory, site, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["commits"] == 2
    assert "DEBUG" not in done.stderr


def test_a_forked_child_of_an_event_hook_ends_when_the_hook_returns(memory: Memory, site: Site) -> None:
    install(site, "@hookimpl\ndef patina_commit_recorded(commit):\n    import os\n    os.fork()\n")
    memory.commit("fix crash in worker")
    with all_ended() as passed:  # returns when no process has the pipe
        done = patina(memory, site, "sync", pass_fds=(passed,))
    assert done.returncode == 0, done.stderr


def test_the_state_of_the_process_is_the_same_after_a_call(tmp_path: Path) -> None:
    import locale
    import logging

    folder, mask = Path.cwd(), os.umask(0o027)
    try:
        before = ProcessState()
        os.chdir(tmp_path)
        os.umask(0o777)
        os.environ["PATINA_ODD"] = "1"
        logging.getLogger().addHandler(logging.NullHandler())
        logging.disable(logging.CRITICAL)
        level, name = logging.root.level, locale.setlocale(locale.LC_ALL)
        logging.root.setLevel(1)
        before.restore()
        assert (Path.cwd(), os.umask(0o027)) == (folder, 0o027)
        assert "PATINA_ODD" not in os.environ
        assert (logging.root.level, logging.root.manager.disable) == (level, 0)
        assert locale.setlocale(locale.LC_ALL) == name
    finally:
        os.umask(mask)


@pytest.mark.parametrize("name", ["logging", "warnings", "locale", "numpy"])
def test_a_call_is_guarded_when_another_thread_imports_a_module(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    module.__spec__._initializing = True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, module)
    ProcessState().restore()


def test_our_variables_and_loggers_are_put_back_and_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    import logging
    import logging.config

    late = "patina_hooks.test_plugin_guard"
    monkeypatch.setenv("PATINA_KEPT", "before")
    monkeypatch.setenv("GIT_REMOVED", "é")
    monkeypatch.setenv("ODD_OWN", "before")
    for _ in range(2):  # loggers may be added between calls
        before = ProcessState()
        os.environ["PATINA_KEPT"] = "after"
        os.environ["PATINA_ADDED"] = "after"
        os.environ["ODD_OWN"] = "after"
        del os.environ["GIT_REMOVED"]
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
        before.restore()
        assert os.environ["PATINA_KEPT"] == "before"
        assert os.environ["GIT_REMOVED"] == "é"
        assert "PATINA_ADDED" not in os.environ
        assert os.environ["ODD_OWN"] == "after"
        names = [name for name in logging.root.manager.loggerDict if name.startswith("patina_hooks")]
        assert not any(logging.getLogger(name).disabled for name in names)
        logging.getLogger(late)
    assert late in logging.root.manager.loggerDict


# --- one way in ---------------------------------------------------------------------------------------


def is_own_name(argument: ast.expr) -> bool:
    """Whether the name of a module begins with that of a package of ours."""
    if not isinstance(argument, ast.JoinedStr) or not isinstance(argument.values[0], ast.FormattedValue):
        return False
    first = argument.values[0].value
    return isinstance(first, ast.Name) and first.id in ("__name__", "__package__")


def unguarded_imports(source: str) -> list[str]:
    """The calls that import code by a name that is not ours, and uses of the function that does so."""
    imports = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in ("import_module", "__import__", "load_module") and not is_own_name(node.args[0]):
                imports.append(f"{node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.Name) and node.id == "open_callable":
            imports.append(f"{node.lineno}: {node.id}")
        if isinstance(node, ast.ImportFrom) and "open_callable" in [alias.name for alias in node.names]:
            imports.append(f"{node.lineno}: {ast.unparse(node)}")
    return imports


def test_only_the_loader_of_plugins_imports_their_code() -> None:
    package = Path(patina_hooks.__file__).parent
    imports = {
        str(file.relative_to(package)): found
        for file in package.rglob("*.py")
        if (found := unguarded_imports(file.read_text(encoding="utf-8")))
    }
    # The entry points of distributions.py are loaded by the manager, under its guard.
    assert sorted(imports) == ["plugins/distributions.py", "plugins/manager.py"], imports
    users = [file.name for file in package.rglob("*.py") if "entry.load" in file.read_text(encoding="utf-8")]
    assert users == ["manager.py"]


@pytest.mark.parametrize(
    "source",
    [
        "import_module(reference)",
        "importlib.import_module(f'{name}.x')",
        "f = open_callable",
        "__import__(name)",
    ],
)
def test_an_import_past_the_guard_is_seen(source: str) -> None:
    assert unguarded_imports(source)
    assert not unguarded_imports("import_module(f'{__name__}.{module}')")


# --- errors -----------------------------------------------------------------------------------------

REGISTER = {
    "extractor": "@hookimpl\ndef patina_register_extractors():\n"
    "    yield ExtractorSpec('tickets', 1, 'commit', 'odd_work:work')\n",
    "pair generator": "@hookimpl\ndef patina_register_pair_generators():\n"
    "    yield PairGeneratorSpec('tickets', 1, 'odd_work:work', scope='commit')\n",
}


@pytest.mark.parametrize("noun", REGISTER)
def test_one_fault_with_plugin_place_and_count_when_it_fails_on_every_commit(
    memory: Memory, site: Site, noun: str
) -> None:
    install(site, REGISTER[noun], odd_work="\n\ndef work(document):\n    return [][0]\n")
    memory.commit("one more")
    memory.commit("and another")
    done = patina(memory, site, "sync")
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if "IndexError" in line]
    assert line.startswith(
        f"patina: patina-odd: {noun} tickets: IndexError: list index out of range (odd_work.py:4)"
    )
    assert " (in 3 commits, first commit " in line


@pytest.mark.parametrize("noun", REGISTER)
def test_strict_mode_raises_what_an_extractor_or_a_generator_raises(
    memory: Memory, site: Site, noun: str
) -> None:
    install(site, REGISTER[noun], odd_work="def work(document):\n    return [][0]\n")
    memory.commit("one more")
    done = patina(memory, site, "sync", environment={"PATINA_STRICT": "1"})
    assert done.returncode == 1
    assert f"plugin patina-odd, {noun} tickets: IndexError" in done.stderr
    assert patina(memory, site, "sync").returncode == 0


# --- commands ---------------------------------------------------------------------------------------


CLICK = "import click\n@click.command()\ndef work():\n"


def test_built_in_commands_are_known_by_name() -> None:
    from patina_hooks import commands

    assert set(commands._COMMANDS) == BUILTIN_COMMANDS


@pytest.mark.parametrize("name", ["scry", "two words", "Loud", "a\\x1bb"])
def test_a_command_with_a_name_that_cannot_be_called_is_a_fault(
    memory: Memory, site: Site, name: str
) -> None:
    register = "@hookimpl\ndef patina_register_commands():\n"
    install(site, f"{register}    yield CommandSpec('{name}', 'Odd.', 'odd_work:work')\n", odd_work="")
    done = patina(memory, site, "plugins", "--json")
    (info,) = [one for one in json.loads(done.stdout) if one["name"] == "patina-odd"]
    assert "commands" not in info["provides"]
    assert "command name" in info["faults"][0]["error"]


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ("work = 3", "cannot open odd_work:work: a value of type int is not callable"),
        ("work = dict", "odd_work:work is a value of type type, not a click.Command"),
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("1 / 0", "ZeroDivisionError: division by zero (odd_work.py:1)"),
        ("raise SystemExit(7)", "SystemExit: 7"),
        (
            "import click\n@click.command()\ndef work():\n    1 / 0",
            "ZeroDivisionError: division by zero (odd_work.py:4)",
        ),
        (f"{CLICK}    raise OSError(5, 'x')", "OSError: [Errno 5] x"),
    ],
)
def test_a_command_that_fails_names_its_plugin(memory: Memory, site: Site, work: str, said: str) -> None:
    register = "@hookimpl\ndef patina_register_commands():\n"
    install(site, f"{register}    yield CommandSpec('odd', 'Odd.', 'odd_work:work')\n", odd_work=work)
    done = patina(memory, site, "odd")
    assert done.returncode == 1
    assert re.search("plugin patina-odd: (cannot open )?the command odd", done.stderr)
    assert said in done.stderr
    assert "bug" not in done.stderr


# --- clocks -----------------------------------------------------------------------------------------

HANGS = "import odd_gate\n"
GATE = "import os\nopen(os.environ['GATE'], 'rb').read()\n"
SOON = "from patina_hooks.plugins import calls; calls.NAME_SECONDS = 0.0\n"


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipe on which a plugin waits until the test opens it."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    monkeypatch.setenv("GATE", str(path))
    return path


def test_a_plugin_that_hangs_at_import_is_named(memory: Memory, site: Site, gate: Path) -> None:
    install(site, HANGS, odd_gate=GATE)
    code = f"{SOON}from patina_hooks.commands import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "plugins"], cwd=memory.root, text=True,
        env={**os.environ, "PYTHONPATH": str(site.folder)}, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    line = process.stderr.readline()
    gate.write_bytes(b"")
    process.communicate()
    assert "waiting for plugin patina-odd (import of odd); PATINA_DISABLE_PLUGINS=patina-odd" in line
    assert process.returncode == 0


@pytest.mark.parametrize("place", ["import", "register hook"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_doctor_ends_and_names_a_plugin_when_it_hangs(
    memory: Memory, site: Site, gate: Path, place: str, options: list[str]
) -> None:
    register = "@hookimpl\ndef patina_register_models():\n    import odd_gate\n    return []\n"
    install(site, HANGS if place == "import" else register, odd_gate=GATE)
    setup = "from patina_hooks.plugins import manager; manager.SHORT_CALL_SECONDS = 1.0"
    done = patina(memory, site, "doctor", *options, setup=setup)
    action = "import of odd" if place == "import" else "patina_register_models"
    what = f"plugin patina-odd ({action}) did not return within 1 s"
    fix = "PATINA_DISABLE_PLUGINS=patina-odd patina doctor"
    assert done.returncode == 1
    if options:
        assert (what, fix) in [(finding["what"], finding["fix"]) for finding in json.loads(done.stdout)]
    else:
        assert what in done.stdout
        assert f"try: {fix}" in done.stdout


WORKER = """
from patina_hooks.plugins import calls, manager
from patina_hooks.upkeep import worker
calls.RECORD_SECONDS = calls.NAME_SECONDS = 0.0
{setup}
import sys
worker.run_worker(sys.argv[1:])
import os
os._exit(0)
"""


def start_worker(memory: Memory, site: Site, setup: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER.format(setup=setup), str(memory.root / ".git"), str(memory.root)],
        cwd="/", env={**os.environ, "PYTHONPATH": str(site.folder)},
    )  # fmt: skip


def wait_for_call(memory: Memory, process: subprocess.Popen[bytes]) -> None:
    while not running_calls(memory.state):
        assert process.poll() is None


def test_a_worker_that_is_stuck_in_a_plugin_is_named_with_its_process(
    memory: Memory, site: Site, gate: Path
) -> None:
    install(site, HANGS, odd_gate=GATE)
    process = start_worker(memory, site)
    wait_for_call(memory, process)
    without = {"PATINA_DISABLE_PLUGINS": "patina-odd"}
    findings = json.loads(patina(memory, site, "doctor", "--json", environment=without).stdout)
    waiting = "waiting for plugin patina-odd (import of odd)"
    (finding,) = [finding for finding in findings if waiting in finding["what"]]
    assert finding["fix"] == f"kill {process.pid}"
    assert not SyncLock(memory.state / WORKER_LOCK).acquire()
    process.terminate()
    process.wait()
    assert running_calls(memory.state) == ()
    with SyncLock(memory.state / WORKER_LOCK):
        pass


def test_a_worker_gives_up_on_a_plugin_that_does_not_return(memory: Memory, site: Site, gate: Path) -> None:
    install(site, HANGS, odd_gate=GATE)
    process = start_worker(memory, site, "manager.SHORT_CALL_SECONDS = 0.1")
    assert process.wait(60) == 1
    assert SyncLock(memory.state / WORKER_LOCK).acquire()
    assert (
        "plugin patina-odd (import of odd) did not return within" in (memory.state / "patina.log").read_text()
    )


def test_others_go_on_while_an_event_hook_hangs(memory: Memory, site: Site, gate: Path) -> None:
    install(site, "@hookimpl\ndef patina_commit_recorded(commit):\n    import odd_gate\n", odd_gate=GATE)
    memory.commit("a lynx in the first commit")
    process = start_worker(memory, site, "manager.HOOK_SECONDS = 600.0")
    try:
        wait_for_call(memory, process)
        for name in (SYNC_LOCK, WORKER_LOCK):
            with SyncLock(memory.state / name):
                pass
        with closing(Log(memory.state, create=False)) as log:
            assert log.connection.execute("SELECT count(*) FROM commits").fetchone() == (2,)
        without = {"PATINA_DISABLE_PLUGINS": "patina-odd"}
        memory.commit("an otter in the second commit")
        assert patina(memory, site, "sync", environment=without).returncode == 0
        for mode in ("lexical", "vector"):
            done = patina(memory, site, "scry", "--mode", mode, "otter", environment=without)
            assert "an otter in the second commit" in done.stdout
        status = json.loads(patina(memory, site, "status", "--json", environment=without).stdout)
        (call,) = status["calls"]
        assert (call["plugin"], call["action"], call["process"]) == (
            "patina-odd", "patina_commit_recorded", process.pid,
        )  # fmt: skip
        doctor = patina(memory, site, "doctor", environment=without).stdout
        assert f"kill {process.pid}" in doctor
        assert "events are pending" not in doctor
    finally:
        process.terminate()
        process.wait()


def test_the_record_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from patina_hooks.plugins.running_calls import CallRecord;"
        "CallRecord(Path(sys.argv[1])).write('patina-odd', 'import of odd', 1.0); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert list((tmp_path / "calls").iterdir())
    assert running_calls(tmp_path) == ()
    assert list((tmp_path / "calls").iterdir()) == []


def test_the_record_of_a_living_process_is_read(tmp_path: Path) -> None:
    record = CallRecord(tmp_path)
    record.write("patina-odd", "import of odd", 1.0)
    (call,) = running_calls(tmp_path)
    assert (call.plugin, call.action, call.process) == ("patina-odd", "import of odd", os.getpid())
    record.remove()
    assert running_calls(tmp_path) == ()
