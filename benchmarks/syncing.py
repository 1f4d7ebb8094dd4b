"""A sync after one commit, in a history and in one ten times as long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.histories import FOLDER
from benchmarks.rounds import Contender, medians
from benchmarks.stream import git
from benchmarks.table import Bound, Row
from benchmarks.workshop import LENGTHENED, Workshop, encoder_of, opened
from patina_hooks.api import Patina
from patina_hooks.models.encoding import Encoder
from patina_hooks.search.index.spaces import VectorSpace
from patina_hooks.upkeep.sync import synchronise

_ROUNDS = 51
Change = Callable[[Path, int], None]
_GROUP = "a sync, plugins loaded and model open"


def measure(workshop: Workshop) -> Iterator[Row]:
    """The seconds are the sync's own, as a hook's worker does it: from opening the log to its report."""
    with (
        opened(workshop.settled_copy(workshop.history, "once")) as once,
        opened(workshop.settled_copy(workshop.longer, "tenfold")) as tenfold,
    ):
        encoder = encoder_of(once.plugins)
        against = f"the history once ({once.status().observations:,} observations)"
        for what, change, bound in _CHANGES:
            took = medians(
                {"once": _syncing(once, encoder, change), "tenfold": _syncing(tenfold, encoder, change)},
                _ROUNDS,
            )
            name = f"{what}, the history {LENGTHENED} times"
            yield Row(_GROUP, name, took["tenfold"], "ms", took["once"], against, bound)


def _syncing(patina: Patina, encoder: Encoder, change: Change) -> Contender:
    numbers = count()

    def sync() -> float:
        change(patina.repository.root, next(numbers))
        report = synchronise(
            patina.repository, quick=True, plugins=patina.plugins, open_model=_given(encoder)
        )
        # Every text is new and said once: so many are encoded, and no other.
        assert report.encoded == report.added, report
        assert not report.faults, report
        return report.seconds * 1000

    return sync


def _given(encoder: Encoder) -> Callable[[VectorSpace], Encoder]:
    return lambda _: encoder


def _nothing(root: Path, number: int) -> None:
    pass


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
    session = f"20240101-{number // 60:02d}{number % 60:02d}00"
    place = root / FOLDER / f"{session}.md"
    goals = "\n".join(f"- Goal {part} of session {number} is to measure" for part in range(5))
    place.write_text(f"# Session: measure {number}\n**ID**: {session}\n\n## Goals\n{goals}\n")
    git(root, "add", str(place))
    git(root, "commit", "-q", "-m", f"Archive the session {number} of measures")


_CHANGES: Final[Sequence[tuple[str, Change, Bound | None]]] = (
    ("nothing new", _nothing, None),
    ("one commit", _commit, Bound(1.2)),
    ("a session's document", _archive, None),
)
