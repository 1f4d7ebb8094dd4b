"""The pairs of one commit, in a history and in one ten times as long; and all pairs of a history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.histories import FOLDER
from benchmarks.rounds import Contender, medians, milliseconds
from benchmarks.stream import git
from benchmarks.table import Bound, Row
from benchmarks.workshop import LENGTHENED, Workshop, opened

if TYPE_CHECKING:
    import sqlite3

    from patina_hooks.api import Patina

_ROUNDS = 25
_GROUP = "pairs, plugins loaded"
Change = Callable[[Path, int], None]


def measure(workshop: Workshop) -> Iterator[Row]:
    with (
        opened(workshop.settled_copy(workshop.history, "once")) as once,
        opened(workshop.settled_copy(workshop.longer, "tenfold")) as tenfold,
    ):
        against = f"the history once ({once.status().pairs:,} pairs)"
        for what, change in _CHANGES:
            took = medians({"once": _renewing(once, change), "tenfold": _renewing(tenfold, change)}, _ROUNDS)
            name = f"{what}, the history {LENGTHENED} times"
            yield Row(_GROUP, name, took["tenfold"], "ms", took["once"], against, Bound(1.2))
        for times, patina in ((1, once), (LENGTHENED, tenfold)):
            yield from _all_anew(patina, f"{patina.status().pairs:,} pairs, history {times}x")


def _renewing(patina: Patina, change: Change) -> Contender:
    """The milliseconds from a reconciled log to one with its pairs."""
    from patina_hooks.config.configuration import load_configuration
    from patina_hooks.corpus.observations import Extractors
    from patina_hooks.corpus.reconcile import reconcile
    from patina_hooks.pairs.update import update_pairs
    from patina_hooks.store.log import Log

    numbers = count()

    def renew() -> float:
        change(patina.repository.root, next(numbers))
        with closing(Log(patina.repository.state)) as log:
            reconcile(
                patina.repository,
                log,
                Extractors(patina.plugins),
                load_configuration(patina.repository).settings,
            )
            return milliseconds(lambda: update_pairs(log, patina.plugins))

    return renew


def _all_anew(patina: Patina, what: str) -> Iterator[Row]:
    from patina_hooks.pairs.stored import training_pairs
    from patina_hooks.pairs.update import update_pairs
    from patina_hooks.store.database.schema import compact
    from patina_hooks.store.log import Log

    with closing(Log(patina.repository.state)) as log:
        kinds = [spec.name for spec in patina.plugins.pair_generators()]
        with log.writing() as connection:
            connection.execute("DELETE FROM pair")
            connection.execute("DELETE FROM pair_total")
            connection.execute("UPDATE unit SET stale = 1")
        rebuilt = milliseconds(lambda: update_pairs(log, patina.plugins))
        yield Row(_GROUP, f"{what}: rebuilt", rebuilt, "ms")
        read = milliseconds(lambda: training_pairs(log.connection, kinds))
        yield Row(_GROUP, f"{what}: read for training", read, "ms")
        compact(log.connection)
        (pairs,) = log.connection.execute("SELECT count(*) FROM pair").fetchone()
        full = _bytes(log.connection)
        with log.writing() as connection:
            connection.execute("DELETE FROM pair")
            connection.execute("DELETE FROM unit")
        compact(log.connection)
        yield Row(_GROUP, f"{what}: in the log", (full - _bytes(log.connection)) / pairs, "bytes/pair")


def _bytes(connection: sqlite3.Connection) -> int:
    size, count = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count"))
    return int(size) * int(count)


def _commit(root: Path, number: int) -> None:
    """It changes a file, and adds one to a folder that has some dozens."""
    for name in ("notes.txt", f"measured/{number}.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(f"{number}\n")
        git(root, "add", name)
    message = ("-m", f"Change {number} of the notes", "-m", f"It is for the {number}th measure of pairs.")
    git(root, "commit", "-q", *message)


def _archive(root: Path, number: int) -> None:
    session = f"20240102-{number // 60:02d}{number % 60:02d}00"
    place = root / FOLDER / f"{session}.md"
    items = "\n".join(f"- Decision {part} of session {number}" for part in range(20))
    head = f"# Session: measure {number}\n**ID**: {session}\n\n## Previous Session Context\nIt measured.\n\n"
    place.write_text(f"{head}## Goals\n- [ ] measure {number}\n\n**Key Decisions:**\n{items}\n")
    git(root, "add", str(place))
    git(root, "commit", "-q", "-m", f"Archive the session {number} of pairs")


_CHANGES: Final[Sequence[tuple[str, Change]]] = (
    ("one commit", _commit),
    ("a session's document", _archive),
)
