"""How costs grow with a history of 10,000, 30,000 and 100,000 commits: CPU time, children included."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.growing import (
    BRANCH,
    EARLY_BRANCH,
    MIDDLE_BRANCH,
    RARE_PATH,
    make_growing_history,
    session_of_commit,
    time_of_commit,
)
from benchmarks.histories import FOLDER
from benchmarks.rounds import child, cpu_milliseconds, peak_megabytes, process
from benchmarks.stream import git
from benchmarks.table import Bound, Row
from benchmarks.workshop import Workshop, drawn, opened
from patina_hooks.api import Patina
from patina_hooks.upkeep.sync import synchronise

if TYPE_CHECKING:
    from patina_hooks.search.index.segments import SegmentedIndex
    from patina_hooks.specs.vectors import Keys, Vectors

_GROUP: Final = "growth: CPU time, a history of 10,000 commits and longer ones"
_SMALL, _MIDDLE, _LARGE = 10_000, 30_000, 100_000
_ROUNDS: Final = 7
_COMMON, _RARE = "fix the session cache", "gukodabi zepu"
_TIMES: Final = 10
"""As long as the first one, that the longest history is."""
_BRANCHES, _TAGS = 5_000, 20_000
_ROWS, _DIMENSIONS = 500_000, 384
_MODEL = "patina_static"


def measure(workshop: Workshop) -> Iterator[Row]:
    """Ratios of CPU time. The first sync of each history is measured once, by a process of its own.

    Exits with what to install where the model of the histories is not there.
    """
    if find_spec(_MODEL) is None:
        sys.exit("the group growth needs its model\n  try: pip install ./examples/patina-static")
    roots, figures = {}, {}
    for commits in (_SMALL, _MIDDLE, _LARGE):
        roots[commits] = workshop.growing(commits, partial(make_growing_history, commits=commits))
        figures[commits] = _first_sync(roots[commits])
    yield from _of_first_sync(figures)
    yield from _of_syncs(workshop, roots)
    yield from _of_refs(workshop, roots[_SMALL])
    yield from _of_questions(roots)
    yield from _of_status(roots)
    yield from _of_vectors(workshop)


# --- syncs ----------------------------------------------------------------------------------------


def _first_sync(root: Path) -> Mapping[str, float]:
    """CPU and memory of the first sync, kept next to the repository for the next run."""
    kept = root.with_name(f"{root.name}.json")
    if not kept.exists():
        kept.write_text(json.dumps(child("growth", "first", str(root))))
    figures: dict[str, float] = json.loads(kept.read_text())
    with opened(root) as patina:
        patina.sync()
    return figures


def _of_first_sync(figures: Mapping[int, Mapping[str, float]]) -> Iterator[Row]:
    small, large = figures[_SMALL], figures[_LARGE]
    against = f"at {_SMALL:,} commits"
    per_commit = {commits: figure["cpu"] / commits for commits, figure in figures.items()}
    yield Row(
        _GROUP, "first sync, CPU a commit, 100,000", per_commit[_LARGE], "ms", per_commit[_SMALL], against,
        Bound(1.3),
    )  # fmt: skip
    extra = (large["peak"] - small["peak"]) * 1_000 / (_LARGE - _SMALL)
    yield Row(_GROUP, "first sync, memory a commit more", extra, "kB", bound=Bound(2.0, of="ours"))
    yield Row(_GROUP, "first sync, peak memory, 100,000", large["peak"], "MB", small["peak"], against)


def _of_syncs(workshop: Workshop, roots: Mapping[int, Path]) -> Iterator[Row]:
    places = {
        commits: workshop.settled_copy(roots[commits], f"growth-{commits}") for commits in (_SMALL, _LARGE)
    }
    against = f"at {_SMALL:,} commits"
    with opened(places[_SMALL]) as small, opened(places[_LARGE]) as large:
        for what, change, bound in (
            ("one-commit sync, 100,000", _commit, Bound(2.0)),
            ("sync of an archived document, 10x history", _archive, Bound(1.2)),
        ):
            numbers = count()
            figures = _alternate(
                {"small": _sync_after(small, change, numbers), "large": _sync_after(large, change, numbers)}
            )
            yield Row(_GROUP, what, figures["large"], "ms", figures["small"], against, bound)


def _of_refs(workshop: Workshop, root: Path) -> Iterator[Row]:
    few = workshop.settled_copy(root, "growth-few-refs")
    many = workshop.copy(root, "growth-many-refs")
    commits = git(many, "rev-list", BRANCH).split("\n")
    lines = [f"create refs/heads/b{n:05} {commits[n % len(commits)]}\n" for n in range(_BRANCHES)]
    lines += [f"create refs/tags/v{n:05} {commits[n % len(commits)]}\n" for n in range(_TAGS)]
    git(many, "update-ref", "--stdin", data="".join(lines).encode())
    git(many, "pack-refs", "--all")
    with opened(few) as one, opened(many) as other:
        other.sync()
        numbers = count()
        figures = _alternate(
            {"few": _sync_after(one, _commit, numbers), "many": _sync_after(other, _commit, numbers)}
        )
    what = f"one-commit sync, {_BRANCHES:,} branches, {_TAGS:,} tags"
    yield Row(_GROUP, what, figures["many"], "ms", figures["few"], "with three branches", Bound(2.0))


def _sync_after(
    patina: Patina, change: Callable[[Path, int], None], numbers: Iterator[int]
) -> Callable[[], float]:
    def sync() -> float:
        change(patina.repository.root, next(numbers))
        return cpu_milliseconds(
            lambda: synchronise(
                patina.repository,
                quick=True,
                plugins=patina.plugins,
                open_model=patina._engine.models.checked,
            )
        )

    return sync


def _commit(root: Path, number: int) -> None:
    (root / "notes.txt").write_text(f"{number}\n")
    git(root, "add", "notes.txt")
    git(
        root,
        "commit",
        "-q",
        "-m",
        f"Change {number} of the notes",
        "-m",
        f"It is for the {number}th measure.",
    )


def _archive(root: Path, number: int) -> None:
    session = f"20300101-{number // 60:02d}{number % 60:02d}00"
    goals = "\n".join(f"- Goal {part} of session {number} is to measure" for part in range(5))
    place = root / FOLDER / f"{session}.md"
    place.write_text(f"# Session: measure {number}\n**ID**: {session}\n\n## Goals\n{goals}\n")
    git(root, "add", str(place))
    git(root, "commit", "-q", "-m", f"Archive the session {number} of measures")


# --- questions ------------------------------------------------------------------------------------


def _filters(commits: int) -> Mapping[str, Mapping[str, Any]]:
    return {
        "--since, most": {"since": time_of_commit(commits // 10)},
        "--since, a third": {"since": time_of_commit(commits * 2 // 3)},
        "--since, few": {"since": time_of_commit(commits - 200)},
        "--until, most": {"until": time_of_commit(commits * 9 // 10)},
        "--path src": {"path": "src"},
        "--path src/part3": {"path": "src/part3"},
        "--path, two commits": {"path": RARE_PATH},
        "--ref main": {"ref": BRANCH},
        "--ref, half": {"ref": MIDDLE_BRANCH},
        "--ref, few": {"ref": EARLY_BRANCH},
        "--kind commit": {"kinds": "commit"},
        "--kind decision": {"kinds": "decision"},
        "--session": {"session": session_of_commit(commits // 2)},
    }


def _of_questions(roots: Mapping[int, Path]) -> Iterator[Row]:
    for words, text in (("common words", _COMMON), ("rare words", _RARE)):
        plain = {commits: _asked(root, text, {})[1] for commits, root in roots.items()}
        against = f"at {_SMALL:,} commits"
        yield Row(
            _GROUP, f"question, {words}, 100,000", plain[_LARGE], "ms", plain[_SMALL], against, Bound(12)
        )
        for name in _filters(_SMALL):
            figures = {
                commits: _asked(root, text, _filters(commits)[name]) for commits, root in roots.items()
            }
            first, again = figures[_MIDDLE]
            base, unfiltered = plain[_MIDDLE], "without a filter, 30,000"
            yield Row(_GROUP, f"  {name}, {words}: first", first, "ms", base, unfiltered, Bound(10))
            yield Row(_GROUP, f"  {name}, {words}: repeated", again, "ms", base, unfiltered, Bound(2))
            grown, before = figures[_LARGE][0], figures[_SMALL][0]
            yield Row(_GROUP, f"  {name}, {words}: 100,000", grown, "ms", before, against, Bound(12))


def _asked(root: Path, text: str, filters: Mapping[str, Any]) -> tuple[float, float]:
    """CPU of the first question with a filter in a process that asked others before, and of a later one."""
    with opened(root) as patina:
        for words in ("worker removes the index", text):
            patina.search(words)
        first = cpu_milliseconds(lambda: patina.search(text, **filters))
        return first, median(cpu_milliseconds(lambda: patina.search(text, **filters)) for _ in range(_ROUNDS))


def _of_status(roots: Mapping[int, Path]) -> Iterator[Row]:
    figures = {}
    for commits, root in roots.items():
        with opened(root) as patina:
            patina.status()
            figures[commits] = median(cpu_milliseconds(patina.status) for _ in range(_ROUNDS))
    against = f"at {_SMALL:,} commits"
    command = [sys.executable, "-c", "from patina_hooks.commands import run; run()", "status"]
    whole = {
        commits: median(cpu_milliseconds(partial(process, command, roots[commits])) for _ in range(_ROUNDS))
        for commits in (_SMALL, _MIDDLE)
    }
    yield Row(_GROUP, "patina status, 30,000", whole[_MIDDLE], "ms", whole[_SMALL], against, Bound(1.3))
    yield Row(_GROUP, "status, 30,000", figures[_MIDDLE], "ms", figures[_SMALL], against, Bound(1.3))
    yield Row(_GROUP, "status, 100,000", figures[_LARGE], "ms", figures[_SMALL], against)


# --- vectors --------------------------------------------------------------------------------------


def _of_vectors(workshop: Workshop) -> Iterator[Row]:
    peak = child("growth", "write", str(workshop.place("growth-vectors")))["peak"]
    what = f"peak memory of writing {_ROWS:,} x {_DIMENSIONS} vectors"
    yield Row(_GROUP, what, peak, "MB", bound=Bound(400, of="ours"))
    figures = child("growth", "graphs", str(workshop.place("growth-graphs")))
    rows, largest = figures["rows"], figures["largest"]
    yield Row(
        _GROUP, "rows put into graphs, index: usearch", rows, "rows", figures["all"], "rows", Bound(1.2)
    )
    yield Row(
        _GROUP, "rows of the largest graph built at once", largest, "rows", bound=Bound(20_000, of="ours")
    )


def _alternate(contenders: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(_ROUNDS + 1):
        for name, contender in contenders.items():
            figure = contender()
            if turn:
                figures[name].append(figure)
    return {name: median(values) for name, values in figures.items()}


def _measure_first_sync(root: Path) -> dict[str, float]:
    with opened(root) as patina:
        cpu = cpu_milliseconds(patina.sync)
    return {"cpu": cpu, "peak": peak_megabytes()}


def _measure_write(folder: Path) -> dict[str, float]:
    """Fill an exact index as a sync does, chunk by chunk."""
    from patina_hooks.search.index.exact import ExactIndex

    index = ExactIndex(folder, _DIMENSIONS, "growth")
    _fill(index, _ROWS, _DIMENSIONS)
    return {"peak": peak_megabytes()}


def _measure_graphs(folder: Path) -> dict[str, float]:
    from patina_usearch.index import GraphIndex

    built: list[int] = []
    make = GraphIndex._make_sidecar

    def count_rows(self: GraphIndex, keys: Keys, vectors: Vectors) -> bytes | bytearray:
        built.append(len(keys))
        return make(self, keys, vectors)

    GraphIndex._make_sidecar = count_rows  # type: ignore[method-assign]
    rows = 3 * 50_000
    _fill(GraphIndex(folder, 64, "growth"), rows, 64)
    while GraphIndex(folder, 64, "growth").tend():
        pass
    return {"rows": sum(built), "largest": max(built), "all": rows}


def _fill(index: SegmentedIndex[Any], rows: int, dimensions: int, size: int = 1_024) -> None:
    vectors = drawn(size, dimensions)
    for start in range(0, rows, size):
        some = min(size, rows - start)
        keys = [
            (number * 0x9E3779B97F4A7C15 % (1 << 64)).to_bytes(16, "big")
            for number in range(start, start + some)
        ]
        index.upsert(keys, vectors[:some])


if __name__ == "__main__":
    measures = {"first": _measure_first_sync, "write": _measure_write, "graphs": _measure_graphs}
    print(json.dumps(measures[sys.argv[1]](Path(sys.argv[2]))))
