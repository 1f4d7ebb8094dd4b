"""One model, in a process that does nothing else.

    python -m patina_hooks.evaluation.comparison.probe

The request is a line on stdin, an object with model, runtime, reading, texts and vectors. The process says on
stdout, a JSON object a line: {} once it has its first vector, then its measurement (`ProbeFigures`), or, if
vectors were asked for, {"vectors"} (little-endian float32 [n, d] in base64); or {"error", "hint"}. It ends at
the end of stdin, which is that of the process that asked.
"""

from __future__ import annotations

import json
import os
import sys
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Final, TypedDict

from patina_hooks.config.recipe import Reading
from patina_hooks.errors import PatinaError
from patina_hooks.models.encoding import open_encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.system.telemetry import stay_offline

if TYPE_CHECKING:
    from patina_hooks.models.encoding import Encoder

_FIRST: Final = 8
_LONG_ENOUGH: Final = 1.0  # seconds


class ProbeFigures(TypedDict):
    """A measurement of one pass over some texts.

    memory: the peak of the process in bytes, None if the system does not report it.
    """

    texts: int
    characters: int
    seconds: float
    memory: int | None


def main() -> None:
    stay_offline()
    output = _stdout_aside()
    try:
        request = json.loads(sys.stdin.buffer.readline())
        if sys.platform != "win32":  # there a read that waits holds up who else looks at stdin
            Thread(target=_end_with_stdin, daemon=True).start()
        reading = Reading(**request["reading"])
        encoder = open_encoder(Plugins.load(), request["model"], request["runtime"], reading=reading)
        texts = request["texts"]
        encoder.encode(texts[:1], role="query")
        _send(output, {})
        _send(output, _vectors(encoder, texts) if request["vectors"] else _measure(encoder, texts))
    except PatinaError as error:
        _send(output, {"error": str(error), "hint": error.hint})


def _end_with_stdin() -> None:
    """Nothing may be held here while the interpreter ends: the system's read, not that of `sys.stdin`."""
    while os.read(sys.stdin.fileno(), 1_024):
        pass
    os._exit(1)


def _vectors(encoder: Encoder, texts: Sequence[str]) -> dict[str, str]:
    vectors = encoder.encode(texts, role="passage").vectors
    return {"vectors": b64encode(vectors.astype("<f4").tobytes()).decode("ascii")}


def _measure(encoder: Encoder, texts: Sequence[str]) -> ProbeFigures:
    """Time passes over texts, doubled until a pass is long enough, to limit the time of slow models."""
    size = _FIRST
    while True:
        chunk = texts[:size]
        start = time.perf_counter()
        encoder.encode(chunk, role="passage")
        seconds = time.perf_counter() - start
        if seconds >= _LONG_ENOUGH or size >= len(texts):
            characters = sum(map(len, chunk))
            return ProbeFigures(
                texts=len(chunk), characters=characters, seconds=seconds, memory=peak_memory()
            )
        size *= 2


def peak_memory() -> int | None:
    """Return the peak memory of this process in bytes, None if the system does not report it."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux counts the peak of the parent into ru_maxrss
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _stdout_aside() -> IO[str]:
    """Our own way out; what a runtime prints on stdout goes to stderr."""
    aside = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return aside


def _send(output: IO[str], value: object) -> None:
    output.write(json.dumps(value) + "\n")
    output.flush()


if __name__ == "__main__":
    main()
