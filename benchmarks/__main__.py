"""The command: measure, print the table, and fail where a bound does not hold."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from benchmarks.histories import history_data
from benchmarks.rounds import own_environment
from benchmarks.table import Row, as_json, as_text, broken
from benchmarks.workshop import Workshop

GROUPS = {
    "commit": "commits",
    "start": "start",
    "search": "searching",
    "answers": "answers",
    "sync": "syncing",
    "index": "indexing",
    "size": "sizes",
    "training": "training",
    "pairs": "pairs",
    "prose": "prose",
    "vectors": "nearest",
    "runtimes": "runtimes",
    "growth": "growth",
}


def main(arguments: list[str]) -> int:
    """0 where every bound holds, 1 where one does not."""
    options = _parser().parse_args(arguments)
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        return _run(options, options.folder.resolve())
    with tempfile.TemporaryDirectory(prefix="patina-benchmarks-") as folder:
        return _run(options, Path(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--json", action="store_true", help="one object for programs")
    parser.add_argument("--no-check", action="store_true", help="print alone, whatever the bounds say")
    parser.add_argument("--folder", type=Path, help="keep the repositories here for the next run")
    return parser


def _run(options: argparse.Namespace, folder: Path) -> int:
    workshop = Workshop(folder, history_data())
    own_environment(folder / "home")
    about = f"on {workshop.about}; {os.cpu_count()} processors, Python {platform.python_version()}"
    rows: list[Row] = []
    for name in options.groups or GROUPS:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        measure: Callable[[Workshop], Iterator[Row]] = import_module(f"benchmarks.{GROUPS[name]}").measure
        rows += measure(workshop)
    print(as_json(rows, about) if options.json else f"{about}\n\n{as_text(rows)}")
    failed = broken(rows)
    for row in failed:
        print(f"does not hold: {row.what}", file=sys.stderr)
    return 1 if failed and not options.no_check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
