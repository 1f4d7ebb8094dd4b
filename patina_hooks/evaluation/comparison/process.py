"""A model in its own process (see `probe`), as the process that started it sees it.

A model that brings its process down takes nothing else with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from patina_hooks.errors import ModelError

if TYPE_CHECKING:
    from patina_hooks.search.index.spaces import VectorSpace

    Receive = Callable[[], Any]
    """What the process says next, see `patina_hooks.evaluation.comparison.probe`."""

_SIGKILL: Final = 9  # Windows has no name for it


@contextmanager
def probed(space: VectorSpace, texts: Sequence[str], *, vectors: bool = False) -> Iterator[Receive]:
    """Open the model of a space in a process, which measures these texts or returns their vectors.

    The process ends with the block, and with this process. Receiving its answer raises `ModelError` if it
    reports an error or ends.
    """
    request = {
        "model": space.model, "runtime": space.runtime, "reading": asdict(space.reading),
        "texts": texts, "vectors": vectors,
    }  # fmt: skip
    with tempfile.TemporaryFile() as remarks, _process(remarks) as process:
        _send_request(process, json.dumps(request).encode())
        yield lambda: _receive(process, remarks)


@contextmanager
def _process(remarks: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", "patina_hooks.evaluation.comparison.probe"],
        cwd=Path(sys.executable).anchor,  # never the repository: with -m Python imports from there
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=remarks,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _send_request(process: subprocess.Popen[bytes], request: bytes) -> None:
    """Send a request; stdin stays open, since the process ends with it."""
    assert process.stdin is not None  # noqa: S101 (a pipe was asked for)
    try:
        process.stdin.write(request + b"\n")
        process.stdin.flush()
    except BrokenPipeError:  # it is gone, which is heard of later
        with suppress(BrokenPipeError):
            process.stdin.close()


def _receive(process: subprocess.Popen[bytes], remarks: IO[bytes]) -> Any:  # noqa: ANN401 (JSON is what it is)
    assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
    line = process.stdout.readline()
    if not line:
        raise ModelError(f"its process {_end(process.wait())}{_last(remarks)}")
    message = json.loads(line)
    if "error" in message:
        raise ModelError(message["error"], hint=message["hint"])
    return message


def _end(code: int) -> str:
    """How a process ended; the usual reason of a kill from outside is that memory ran out."""
    if code == -_SIGKILL:
        return "was killed: it may need more memory than there is"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _last(remarks: IO[bytes]) -> str:
    remarks.seek(0)
    lines = remarks.read().decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {last}" if last else ""
