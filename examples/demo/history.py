"""Builds a real repository from the excerpt of real history in examples/history.

python -m examples.demo.history DEST
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXCERPT = Path(__file__).resolve().parents[1] / "history"
BRANCH = "patina"
_MAIL = "author@example.invalid"


@dataclass(frozen=True, slots=True)
class Built:
    """What was built."""

    commits: int
    sessions: int
    tags: int


def build(destination: Path, excerpt: Path = EXCERPT) -> Built:
    """Make `destination`, which must not exist, a repository with the excerpt's history checked out.

    The format of the excerpt is told in its NOTICE. Raises CalledProcessError where git fails.
    """
    commits, tags = _lines(excerpt / "commits.jsonl"), _lines(excerpt / "tags.jsonl")
    destination.mkdir(parents=True)
    git(destination, "init", "-q")
    git(destination, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    for key, value in (("user.name", "Newcomer"), ("user.email", _MAIL), ("core.autocrlf", "false")):
        git(destination, "config", key, value)
    stream = b"".join(_stream(commits, tags, excerpt / "sessions"))
    git(destination, "fast-import", "--quiet", "--done", "--date-format=raw", stdin=stream)
    git(destination, "reset", "-q", "--hard")
    return Built(len(commits), len(list((excerpt / "sessions").iterdir())), len(tags))


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Run git to its end; gives what it printed. Raises CalledProcessError."""
    command = [shutil.which("git") or "git", "-C", str(folder), *arguments]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode("utf-8", "replace").strip()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _stream(commits: list[dict[str, Any]], tags: list[dict[str, Any]], documents: Path) -> Iterator[bytes]:
    """The excerpt in the format of git-fast-import(1)."""
    marks = {commit["sha"]: number for number, commit in enumerate(commits, 1)}
    for number, commit in enumerate(commits, 1):
        yield f"commit refs/heads/{BRANCH}\nmark :{number}\n".encode()
        for role, when in (("author", "author"), ("committer", "commit")):
            stamp = f"{commit[f'{when}_date']} {commit[f'{when}_tz']}"
            yield f"{role} {commit[role]} <{_MAIL}> {stamp}\n".encode()
        yield _data(commit["message"].encode())
        for change in commit["changes"]:
            yield _change(change, documents)
    for tag in tags:
        yield f"tag {tag['name']}\nfrom :{marks[tag['target']]}\n".encode()
        yield f"tagger {tag['tagger']} <{_MAIL}> {tag['date']} {tag['tz']}\n".encode()
        yield _data(tag["message"].encode())
    yield b"done\n"


def _change(change: dict[str, str], documents: Path) -> bytes:
    path = change["p"]
    if change["s"] == "D":
        return f"D {path}\n".encode()
    if "b" in change:
        line = f"placeholder for the upstream blob {change['b']}"
        # In Markdown a comment: a page without content must not be an answer.
        content = f"<!-- {line} -->\n".encode() if path.endswith(".md") else f"# {line}\n".encode()
    else:
        content = (documents / Path(path).name).read_bytes()
    return f"M {change['m']} inline {path}\n".encode() + _data(content)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
