"""Nothing leaves the machine or is written outside our folders: by no command, worker or runtime."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from support.distributions import Site
from support.embedding_server import serving
from support.footprint import SIGSYS, Footprint, can_deny_sockets
from support.tiny_models import make_twin
from support.workers import WORKER_KEEPS, all_ended

from patina_hooks.commands import patina

ROOT = Path(__file__).parents[2]

ALLOWED_WRITES = (
    r"repository/\.git(/.*)?",  # the state folder, hooks, and git's own: tags, and a commit of `end --commit`
    r"repository/\.patina(/.*)?",  # the recipe, and the session under way
    r"repository/layer(/sessions(/.*)?)?",  # documents of sessions
    r"home/\.config(/patina(/.*)?)?",  # the user's settings and models.toml
    r"home/\.cache(/patina(/.*)?)?",  # hashes of model files, the key of seals, PyTorch's cache folder
    r"home/\.local(/share(/patina(/.*)?)?)?",  # files of pulled models
    r"temporary(/.*)?",  # while a command runs; what is left there ("left in temporary") is not allowed
    r"exported(/.*)?",  # the folder that `patina export` was given
    r"/dev/(null|tty)|pipe:.*|",
)
"""Every place that a process of patina may write to, below the test's folder."""

SESSION = ("session", "start", "marmots")
CASES: dict[str, tuple[tuple[str, ...], ...]] = {
    "init": (("init",),),
    "install": (("install",),),
    "sync": (("sync",), ("sync", "--full")),
    "scry": (("scry", "marmots"), ("scry", "--mode", "vector", "marmots"), ("scry", "--file", "a.txt")),
    "status": (("status",),),
    "log": (("log",),),
    "pairs": (("pairs",),),
    "session start": (SESSION,),
    "session status": (("session", "status"),),
    "session note": (("session", "note", "marmots sleep in winter"),),
    "session update": (("session", "update"),),
    "session end": (("session", "end", "--commit"),),
    "session list": (("session", "list"),),
    "session show": (("session", "show", "2"),),
    "check": (("check",),),
    "hook": (("hook", "post-commit"),),
    "eval": (("eval",),),
    "oxidize": (("oxidize",), ("oxidize", "--report")),
    "models list": (("models", "list"),),
    "models show": (("models", "show", "minilm-l6-v2"),),
    "models explain": (("models", "explain", "minilm-l6-v2"),),
    "models recommend": (("models", "recommend"),),
    "models verify": (("models", "verify"),),
    "models pull": (("models", "pull", "minilm-l6-v2"),),  # its files come with a package
    "models remove": (("models", "remove", "minilm-l6-v2"),),
    "models add": (("models", "add", "--from-folder", "{twin}", "--name", "twin", "--pooling", "mean"),),
    "models compare": (("models", "compare", "minilm-l6-v2", "acme-64"),),
    "export": (("export", "twin", "--output", "{exported}"),),
    "plugins": (("plugins",),),
    "remote": (("remote",),),
    "doctor": (("doctor",),),
    "gc": (("gc",),),
    "uninstall": (("uninstall",),),
}
"""Arguments that make each command do its work, in an order in which each finds what it needs."""


def leaves(command: click.Command, context: click.Context, name: str = "") -> Iterator[str]:
    """The full names of the commands below a group."""
    if not isinstance(command, click.Group):
        yield name
        return
    for part in command.list_commands(context):
        child = command.get_command(context, part)
        assert child is not None
        yield from leaves(child, click.Context(child, parent=context), f"{name} {part}".strip())


@pytest.fixture
def footprint(tmp_path: Path) -> Footprint:
    return make(tmp_path)


def make(folder: Path, *, offline: bool = True) -> Footprint:
    footprint = Footprint(folder / "place", offline=offline)
    footprint.commit("begin with marmots", {"a.txt": "a"})
    footprint.commit("marmots whistle at eagles", {"a.txt": "b", "b.txt": "b"})
    return footprint


def test_every_command_has_a_case() -> None:
    assert set(CASES) == set(leaves(patina, click.Context(patina)))


def test_commands_touch_only_allowed_places_when_they_run_in_a_fresh_home(footprint: Footprint) -> None:
    places = {
        "twin": str(make_twin("bert", footprint.folder / "twin").config.parent),
        "exported": str(footprint.folder / "exported"),
    }
    trouble: dict[str, list[str]] = {}
    for commands in CASES.values():
        for words in commands:
            with all_ended(WORKER_KEEPS) as passed:
                done = footprint.patina(*(word.format(**places) for word in words), pass_fds=(passed,))
            assert done.returncode in (0, 1), (words, done.stdout, done.stderr)
            if found := footprint.unexpected(ALLOWED_WRITES):
                trouble.setdefault(" ".join(words), found)
    assert trouble == {}


def test_worker_touches_only_allowed_places_when_a_commit_starts_it(footprint: Footprint) -> None:
    footprint.patina("init")
    commit_with_worker(footprint)
    assert footprint.unexpected(ALLOWED_WRITES) == []


@pytest.mark.parametrize(
    ("runtime", "index"),
    [
        ("onnx", "exact"),
        ("onnx", "usearch"),
        ("mlx", "exact"),
        ("static", "exact"),
        pytest.param("torch", "exact", marks=pytest.mark.torch),
    ],
)
def test_runtime_touches_only_allowed_places_when_it_embeds(
    footprint: Footprint, runtime: str, index: str
) -> None:
    model = {"onnx": "minilm-l6-v2", "static": "static-64"}.get(runtime, "twin")
    if runtime == "static":
        install_static(footprint)
    if model == "twin":
        twin = make_twin("bert", footprint.folder / "twin").config.parent
        footprint.patina("models", "add", "--from-folder", str(twin), "--name", "twin", "--pooling", "mean")
    write_recipe(footprint, model, runtime, index)
    for words in (("init",), ("scry", "--mode", "vector", "marmots"), ("doctor",)):
        done = footprint.patina(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    commit_with_worker(footprint)
    assert footprint.unexpected(ALLOWED_WRITES) == []


@pytest.mark.torch
def test_torch_trainer_touches_only_allowed_places_when_it_is_opened(footprint: Footprint) -> None:
    done = footprint.python(
        "-c",
        "from patina_torch.device import choose_compute_device; choose_compute_device();"
        " import torch.optim, torch._dynamo",
    )
    assert done.returncode == 0, done.stderr
    assert footprint.unexpected(ALLOWED_WRITES) == []


def test_remote_runtime_asks_only_its_server(tmp_path: Path) -> None:
    footprint = make(tmp_path, offline=False)
    write_recipe(footprint, "acme-64", "remote", "exact")
    with serving() as server:
        settings = footprint.home / ".config/patina/config.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(f'[runtime.remote]\nurl = "{server.url}"\nmodel = "acme"\nretries = 0\n')
        assert footprint.patina("init").returncode == 0
        commit_with_worker(footprint)
        assert server.asked
    port = server.url.split(":")[2].partition("/")[0]
    addresses = (rf"^\('127\.0\.0\.1', {port}\)$", r"^socket\.getaddrinfo \('127\.0\.0\.1'")
    assert footprint.unexpected(ALLOWED_WRITES, addresses) == []
    assert ("socket", f"('127.0.0.1', {port})") in set(footprint.events())


NATIVE = """
    import ctypes, os
    libc = ctypes.CDLL(None)
    {}
"""


@pytest.mark.skipif(not can_deny_sockets(), reason="only Linux can end a process at a system call")
@pytest.mark.parametrize(
    "line",
    [
        "libc.socket(2, 1, 0)",
        "libc.socket(10, 2, 0)",
        "libc.getaddrinfo(b'events.example', b'443', None, None)",
    ],
)
def test_native_socket_ends_the_process_when_it_leads_off_the_machine(
    footprint: Footprint, line: str
) -> None:
    """The check itself can fail, for code that Python does not see."""
    line = line.replace("None)", "ctypes.byref(ctypes.c_void_p()))")
    done = footprint.python("-c", textwrap.dedent(NATIVE.format(line)))
    assert done.returncode == -SIGSYS


def test_native_file_is_listed_when_it_lies_outside_our_folders(footprint: Footprint) -> None:
    line = 'libc.mkdir(os.environ["HOME"].encode() + b"/.cache/Microsoft", 0o700)'
    (footprint.home / ".cache").mkdir()
    footprint.python("-c", textwrap.dedent(NATIVE.format(line)))
    assert footprint.unexpected(ALLOWED_WRITES) == ["file home/.cache/Microsoft"]
    line = 'libc.mkdir(os.environ["TMPDIR"].encode() + b"/torchinductor", 0o700)'
    footprint.python("-c", textwrap.dedent(NATIVE.format(line)))
    assert "file left in temporary/torchinductor" in footprint.unexpected(ALLOWED_WRITES)


def test_python_write_is_listed_when_the_file_is_gone_again(footprint: Footprint) -> None:
    line = "import pathlib; p = pathlib.Path.home() / 'secret'; p.write_text('x'); p.unlink()"
    assert footprint.python("-c", line).returncode == 0
    assert footprint.unexpected(ALLOWED_WRITES) == ["write home/secret"]


def commit_with_worker(footprint: Footprint) -> None:
    """Commit, and wait until the worker that the hook started has embedded what it read."""
    with all_ended(WORKER_KEEPS) as passed:
        footprint.commit("marmots dig deep", {"c.txt": "c"}, pass_fds=(passed,))
    log = (footprint.root / ".git/patina/patina.log").read_text()
    assert "in step after 1 post-commit" in log, log
    assert "ERROR" not in log, log


def write_recipe(footprint: Footprint, model: str, runtime: str, index: str) -> None:
    recipe = footprint.root / ".patina/oxidize.yaml"
    recipe.parent.mkdir()
    recipe.write_text(f"version: 2\nembedding_model: {model}\nruntime: {runtime}\nindex: {index}\n")


def install_static(footprint: Footprint) -> None:
    """Install examples/patina-static into a folder on the path."""
    site = footprint.folder / "packages"
    shutil.copytree(ROOT / "examples/patina-static/patina_static", site / "patina_static")
    Site(site).add("patina-static", entry_points={"patina-static": "patina_static"})
    footprint.extra["PYTHONPATH"] = str(site)
