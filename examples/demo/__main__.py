"""The main job on real input: a repository with a past, a session in it, three questions, and the bill.

    python -m examples.demo FOLDER        (`make demo`)

FOLDER is recreated each time. Nothing of the user's git configuration is read or changed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

import click

from examples.demo.history import build, git
from patina_hooks.config.recipe import DEFAULT_MODEL
from patina_hooks.git import spool
from patina_hooks.git.lock import SYNC_LOCK, SyncLock
from patina_hooks.models.files.weights import model_files
from patina_hooks.plugins.manager import Plugins
from patina_hooks.text.display import format_size

QUESTIONS = (
    "queries return no results with BGE",
    "tests pass on a Mac and fail in CI",
    "how often is the model download retried?",
)
NOTE = "Two retries for the model download: a third one never helped in the logs."
_ROUNDS = 9
_COLOUR = False if os.environ.get("NO_COLOR") else None  # None: on a terminal
_PATIENCE_SECONDS = 300
_PATINA = Path(sysconfig.get_path("scripts")) / "patina"


@dataclass(frozen=True, slots=True)
class Demo:
    """A repository to show things in."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / ".git" / "patina"

    def show(self, *command: str) -> None:
        """Print a command as one would type it and let it speak for itself. Raises CalledProcessError."""
        self._prompt(command)
        subprocess.run(_real(command), cwd=self.root, check=True, stdin=subprocess.DEVNULL)

    def show_and_read(self, *command: str) -> str:
        """The same for a command whose figures are needed afterwards."""
        self._prompt(command)
        done = subprocess.run(
            _real(command), cwd=self.root, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        text = done.stdout.decode()
        click.echo(text, nl=False)
        return text

    def wait(self) -> None:
        """Until the worker has done all that the hooks noted.

        A note is taken before git returns and struck out under the lock, so an empty spool that is seen
        with the lock held means that everything is searchable.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with SyncLock(self.state / SYNC_LOCK):
                if not spool.pending_bytes(self.state):
                    return
            if time.monotonic() > deadline:
                sys.exit(f"the worker is not done; see {self.state / 'patina.log'}")
            time.sleep(0.02)  # it has not come to the lock yet

    def _prompt(self, command: tuple[str, ...]) -> None:
        click.secho(f"$ {shlex.join(command)}", fg="green", color=_COLOUR)
        sys.stdout.flush()


def main(folder: Path) -> None:
    _clean_environment()
    if folder.exists():
        shutil.rmtree(folder)
    demo = Demo(folder / "repository")

    _title("A repository with a past")
    built = build(demo.root)
    click.echo(
        f"{built.commits} commits, {built.sessions} session documents and {built.tags} tags of a real project"
        f"\nin {demo.root} (where they come from: examples/history/NOTICE)"
    )

    _title("One command makes it remember")
    seconds, texts = _first_index(demo.show_and_read("patina", "init"))

    _title("Work as always: a session, a commit")
    _session(demo)
    begun = time.perf_counter()
    demo.wait()
    click.echo(f"(searchable {time.perf_counter() - begun:.1f} s later: git's hooks woke a worker)")

    _title("Ask")
    for number, question in enumerate(QUESTIONS):
        click.echo(nl=number > 0)
        demo.show("patina", "scry", "-n", "1", question)

    _title("What it cost")
    _bill(demo, folder, seconds, texts)


def _session(demo: Demo) -> None:
    demo.show("patina", "session", "start", "steadier CI")
    (demo.root / "ci").mkdir()
    (demo.root / "ci" / "fetch-model.sh").write_text("curl --retry 2 --output model.onnx $MODEL_URL\n")
    demo.show("git", "add", ".patina", "ci")
    demo.show("git", "commit", "-q", "-m", "ci: try the model download again before the job fails")
    demo.show("patina", "session", "note", NOTE)
    demo.show("patina", "session", "end", "--commit")


def _bill(demo: Demo, folder: Path, seconds: float, texts: int) -> None:
    bare, hooked = _commit_milliseconds(demo, folder / "measured")
    asked = subprocess.run(
        [_PATINA, "status", "--json"], cwd=demo.root, stdout=subprocess.PIPE, check=True, text=True
    )
    status = json.loads(asked.stdout)
    files = model_files(Plugins.load().model(DEFAULT_MODEL), "onnx").values()
    rows = (
        ("first index", f"{seconds:.1f} s for {texts:,} texts ({texts / seconds:,.0f} a second)"),
        ("git commit", f"{bare:.1f} ms without our hook, {hooked:.1f} ms with it (medians of {_ROUNDS})"),
        (
            "memory",
            f"{status['observations']:,} observations in {format_size(status['bytes'])}, in .git/patina",
        ),
        (
            "model",
            f"{DEFAULT_MODEL}, {format_size(sum(file.stat().st_size for file in files))}, came with pip",
        ),
        ("network", "none, once pip was done"),
    )
    for name, value in rows:
        click.echo(f"{name:<13}{value}")
    there, patina = shlex.quote(str(demo.root)), shlex.quote(str(_PATINA))
    click.echo(f"\nNow ask it yourself: cd {there} && {patina} scry ...")


def _commit_milliseconds(demo: Demo, copy: Path) -> tuple[float, float]:
    """Wall time of `git commit` without and with our hook, in a copy, each with an idle worker."""
    shutil.copytree(demo.root, copy, symlinks=True)
    other = Demo(copy)
    bare, hooked = [], []
    for _ in range(_ROUNDS):
        bare.append(_timed_commit(other, "-c", f"core.hooksPath={os.devnull}"))
        hooked.append(_timed_commit(other))
        other.wait()
    return statistics.median(bare), statistics.median(hooked)


def _timed_commit(demo: Demo, *options: str) -> float:
    begun = time.perf_counter()
    git(demo.root, *options, "commit", "-q", "--allow-empty", "-m", "nothing")
    return (time.perf_counter() - begun) * 1000


def _first_index(said: str) -> tuple[float, int]:
    found = re.search(r"([\d,]+) texts embedded.*\(([\d.]+) s\)", said)
    if found is None:
        sys.exit("nothing was embedded; `patina doctor` says why")
    return float(found[2]), int(found[1].replace(",", ""))


def _real(command: tuple[str, ...]) -> list[str]:
    """`patina` is the one of this environment, whether or not it is activated."""
    program = str(_PATINA) if command[0] == "patina" else shutil.which(command[0]) or command[0]
    return [program, *command[1:]]


def _clean_environment() -> None:
    """Neither the user's git settings nor a CI system's switch shall decide what the demo shows."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "PATINA_")) or name == "CI":
            del os.environ[name]
    os.environ.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")


def _title(text: str) -> None:
    click.secho(f"\n{text}", bold=True, color=_COLOUR)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
