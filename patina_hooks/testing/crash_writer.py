"""A process that writes to an index and dies at a write step, for the check "killed" of the contract.

`python -m patina_hooks.testing.crash_writer PLUGIN FACTORY SHORT DIMENSIONS FOLDER STEP`. A write step
is a file opened for writing, moved, removed or created below the folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from patina_hooks.testing.indexes import KILLED, IndexSubject
from patina_hooks.testing.random_vectors import to_arrays

_WRITING = frozenset({"os.rename", "os.remove", "os.mkdir"})


def main(plugin: str, factory: str, short: str, dimensions: str, folder: str, step: str) -> None:
    """Write the rows that the check expects."""
    subject = IndexSubject(factory, approximate=True, short=int(short), plugin=plugin)
    index = subject.open(Path(folder), dimensions=int(dimensions))
    keys, vectors = to_arrays(subject.rows(range(200, 500), seed=1))
    _die_at(int(step), folder)
    index.upsert(keys, vectors)


def _die_at(number: int, folder: str) -> None:
    """End this process before its write step of that number, as SIGKILL does."""
    steps = 0

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal steps
        is_write = event in _WRITING
        if event == "open":
            is_write = isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if is_write and str(arguments[0]).startswith(folder):
            steps += 1
            if steps == number:
                os._exit(KILLED)

    sys.addaudithook(audit)


if __name__ == "__main__":
    main(*sys.argv[1:])
