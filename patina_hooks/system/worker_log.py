"""Unresolved errors of background processes in the worker's log."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOG: Final = "patina.log"
_TAIL: Final = 20_000  # bytes
_ENTRY: Final = re.compile(r"\d{4}-\d\d-\d\d [\d:, ]*\d (?P<level>[A-Z]+) (?P<text>.*)")
"""The first line of an entry; lines of tracebacks are indented."""


@dataclass(frozen=True, slots=True)
class Job:
    """A background job: the prefixes of its log lines, and its command in the foreground."""

    failed: str
    succeeded: str
    command: str


WORKER: Final = Job("the worker failed", "in step", "patina sync")
TRAINING: Final = Job("training failed", "trained", "patina oxidize")
JOBS: Final = (WORKER, TRAINING)


def unresolved_errors(state: Path, job: Job) -> list[str]:
    """Read the errors of a job since its last success, in the background or foreground."""
    errors: list[str] = []
    for line in _tail(state / LOG):
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        if entry["level"] == "INFO" and entry["text"].startswith(job.succeeded):
            errors.clear()
        elif entry["level"] == "ERROR" and _job_of(entry["text"]) is job:
            errors.append(line)
    return errors


def resolve_errors(state: Path, job: Job) -> None:
    """Log that a command succeeded where the job failed.

    Without errors do nothing.
    """
    if not unresolved_errors(state, job):
        return
    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    line = f"{moment},000 {os.getpid()} INFO {job.succeeded} after {job.command}\n"
    with suppress(OSError):  # `patina doctor` still reports the errors
        handle = os.open(state / LOG, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0))
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def _job_of(text: str) -> Job:
    return next((job for job in JOBS if text.startswith(job.failed)), WORKER)


def _tail(path: Path) -> list[str]:
    try:
        if not path.is_file():
            return []
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
