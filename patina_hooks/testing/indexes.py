"""The contract of an index backend: plain functions that raise AssertionError with what does not hold.

In the author's tests, a test for each check:

    from patina_hooks.testing import IndexCheck, index_contract

    @index_contract("acme-tree")
    def test_contract(check: IndexCheck) -> None:
        check()

`patina_hooks.VectorIndex` is checked against a dictionary and numpy. An index whose spec states
`approximate` may miss some of the best rows, but its scores are exact.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import IndexDamaged
from patina_hooks.plugins.kinds import BACKENDS
from patina_hooks.plugins.manager import Plugins, open_function
from patina_hooks.testing.contract import require
from patina_hooks.testing.random_vectors import draw_questions, draw_rows, key, to_arrays

if TYPE_CHECKING:
    import pytest

    from patina_hooks.specs.vectors import VectorIndex, Vectors
    from patina_hooks.testing.random_vectors import Rows

RECALL: Final = 0.9
"""The least recall of an approximate index: the share of the true best ten of 2,000 rows."""
_FINGERPRINT = "contract"
_NEAR = 1e-4
_MOST_STEPS = 500
KILLED: Final = 9
"""Exit code of the process that is killed on purpose."""
Answer = list[tuple[bytes, float]]


@dataclass(frozen=True, slots=True)
class IndexSubject:
    """What is checked.

    factory, approximate, short: those of the backend's spec. plugin: its name.
    """

    factory: str
    approximate: bool
    short: int
    plugin: str

    @property
    def dimensions(self) -> int:
        return 2 * self.short or 64

    def open(self, folder: Path, fingerprint: str = _FINGERPRINT, dimensions: int = 0) -> VectorIndex:
        options = {"short": self.short} if self.short else {}
        factory = open_function(self.plugin, "index backend", self.factory)
        index: VectorIndex = factory(folder, dimensions or self.dimensions, fingerprint, **options)
        return index

    def rows(self, numbers: range, seed: int = 0) -> Rows:
        """Draw rows by key, the same each time; another seed gives the keys other vectors."""
        return draw_rows(numbers, self.dimensions, seed)


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """A check bound to a backend: calling it raises if the index fails it."""

    name: str
    function: Callable[[IndexSubject], None]
    subject: Callable[[], IndexSubject]

    def __call__(self) -> None:
        self.function(self.subject())


# --- the checks ---------------------------------------------------------------------------------


def check_empty(subject: IndexSubject) -> None:
    """Find nothing before the first write; removing an unknown key has no effect."""
    with _folder() as folder:
        index = subject.open(folder / "absent")
        index.remove([key(1)])
        question = draw_questions(subject.rows(range(1)))[0]
        require(index.search(question, 5) == [], "an empty index finds something")
        require(index.keys() == frozenset(), "an empty index has keys")
        require(index.stats().rows == 0, f"an empty index counts {index.stats().rows} rows")


def check_search(subject: IndexSubject) -> None:
    """Return at most `limit` rows by inner product, best first, with exact scores."""
    rows = subject.rows(range(300))
    with _filled(subject, rows) as index:
        for question in draw_questions(rows):
            for limit in (0, 1, 10, 299, 1_000):
                _agrees(subject, rows, index.search(question, limit), question, limit)


def check_ties(subject: IndexSubject) -> None:
    """Order equal scores by key."""
    (vector,) = subject.rows(range(1)).values()
    rows = {key(number): vector for number in range(40)}
    with _filled(subject, rows) as index:
        keys = [row_key for row_key, _ in index.search(vector, 10)]
        require(keys == sorted(rows)[:10], "equal scores are not ordered by key")


def check_replace(subject: IndexSubject) -> None:
    """Replace the vector of an existing key; the last one of a key in a call counts."""
    rows, newer = subject.rows(range(300)), subject.rows(range(50, 150), seed=1)
    with _filled(subject, rows) as index:
        keys, vectors = to_arrays(newer)
        old = to_arrays({row_key: rows[row_key] for row_key in keys})[1]
        import numpy as np

        index.upsert([*keys, *keys], np.concatenate([old, vectors]))
        _holds(subject, index, {**rows, **newer})


def check_remove(subject: IndexSubject) -> None:
    """Remove rows, and accept them again."""
    rows = subject.rows(range(300))
    with _filled(subject, rows) as index:
        removed = [key(number) for number in range(0, 300, 3)]
        index.remove([*removed, key(9_999)])
        _holds(subject, index, {row_key: rows[row_key] for row_key in rows.keys() - set(removed)})
        index.upsert(*to_arrays({row_key: rows[row_key] for row_key in removed}))
        _holds(subject, index, rows)
        index.remove(list(rows))
        _holds(subject, index, {})


def check_allowed(subject: IndexSubject) -> None:
    """Return only rows of `allowed`, few or many, unknown keys among them."""
    rows = subject.rows(range(2_000))
    with _filled(subject, rows) as index:
        for size in (0, 1, 30, 400, 1_990):
            allowed = frozenset([*list(rows)[:size], key(9_999)])
            chosen = {row_key: rows[row_key] for row_key in rows if row_key in allowed}
            for question in draw_questions(rows):
                _agrees(subject, chosen, index.search(question, 25, allowed), question, 25)


def check_rebuild(subject: IndexSubject) -> None:
    """Rebuild with the given rows and nothing else."""
    rows, replacement = subject.rows(range(100)), subject.rows(range(50, 400), seed=1)
    with _filled(subject, rows) as index:
        index.rebuild(*to_arrays(replacement))
        _holds(subject, index, replacement)
        index.rebuild(*to_arrays({}, subject.dimensions))
        _holds(subject, index, {})


def check_reopen(subject: IndexSubject) -> None:
    """Read what another process wrote, and answer the same."""
    rows = subject.rows(range(300))
    with _folder() as folder:
        index = subject.open(folder)
        index.upsert(*to_arrays(rows))
        index.remove([key(7)])
        opened = subject.open(folder)
        rows.pop(key(7))
        _holds(subject, opened, rows)
        require(opened.stats() == index.stats(), "a reopened index has other counts")
        for question in draw_questions(rows):
            answers = index.search(question, 10)
            require(opened.search(question, 10) == answers, "a reopened index finds other rows")


def check_history(subject: IndexSubject) -> None:
    """Answer the same after another order of writes; if approximate, with the same scores."""
    rows = subject.rows(range(2_000))
    with _filled(subject, rows) as ordered, _folder() as folder:
        reordered = subject.open(folder)
        keys, filler = sorted(rows, reverse=True), next(iter(rows.values()))
        for start in range(0, len(keys), 333):
            part = {row_key: rows[row_key] for row_key in keys[start : start + 333]}
            reordered.upsert(*to_arrays({**dict.fromkeys(part, filler), **dict(list(part.items())[:99])}))
        reordered.upsert(*to_arrays(subject.rows(range(5_000, 5_100))))
        reordered.remove([key(number) for number in range(5_000, 5_100)])
        reordered.upsert(*to_arrays(rows))
        require(reordered.keys() == ordered.keys(), "the same writes in another order leave other keys")
        for question in draw_questions(rows):
            hits, other_hits = ordered.search(question, 10), reordered.search(question, 10)
            if not subject.approximate:
                require(hits == other_hits, "the same rows in another order of writes give another answer")
            scores = dict(hits)
            shared = [pair for pair in other_hits if pair[0] in scores]
            require(all(scores[row_key] == score for row_key, score in shared), "a row has another score")


def check_recall(subject: IndexSubject) -> None:
    """Find all of the true best ten, or most if approximate."""
    rows = subject.rows(range(2_000))
    with _filled(subject, rows) as index:
        shares = [_recall(rows, index.search(question, 10), question) for question in draw_questions(rows)]
        recall, least = sum(shares) / len(shares), RECALL if subject.approximate else 1.0
        require(recall >= least, f"it finds {recall:.3f} of the true best ten, not {least}")


def check_stats(subject: IndexSubject) -> None:
    """Count rows and files; raise the generation with each write that has an effect."""
    rows = subject.rows(range(100))
    with _filled(subject, rows) as index:
        before = index.stats()
        require(before.rows == 100, f"100 rows are counted as {before.rows}")
        require(before.files >= 1 and before.bytes >= 1, "its files are not counted")
        index.remove([key(9_999)])
        require(index.stats() == before, "removing an unknown key is counted as a write")
        index.remove([key(1)])
        require(index.stats().rows == 99, f"99 rows are counted as {index.stats().rows}")
        require(index.stats().generation > before.generation, "a write does not raise the generation")
        index.verify()


def check_foreign(subject: IndexSubject) -> None:
    """Raise `IndexDamaged` for vectors of another model."""
    with _folder() as folder:
        subject.open(folder).upsert(*to_arrays(subject.rows(range(50))))
        for options in ({"fingerprint": "another"}, {"dimensions": 2 * subject.dimensions}):
            require(_is_refused(subject, folder, **options), f"vectors of another model are read: {options}")


def check_damage(subject: IndexSubject) -> None:
    """Raise `IndexDamaged` for a file that is altered, truncated or empty; a missing one may mean no rows."""
    with _folder() as folder:
        whole, copy = folder / "whole", folder / "copy"
        index = subject.open(whole)
        index.upsert(*to_arrays(subject.rows(range(400))))
        index.upsert(*to_arrays(subject.rows(range(400, 450))))
        for path in sorted(whole.rglob("*")):
            for name, damage in _DAMAGES.items():
                shutil.copytree(whole, copy)
                damage(copy / path.relative_to(whole))
                require(_is_refused(subject, copy), f"{path.name}, {name}: not detected")
                shutil.rmtree(copy)


def check_killed(subject: IndexSubject) -> None:
    """Leave all of a write or nothing if it is killed at any step, and accept it again."""
    old, new = subject.rows(range(300)), subject.rows(range(200, 500), seed=1)
    with _folder() as folder:
        whole, copy = folder / "whole", folder / "copy"
        subject.open(whole).upsert(*to_arrays(old))
        for step in count(1):
            shutil.copytree(whole, copy)
            finished = _write_until(subject, copy, step)
            index = subject.open(copy)
            index.verify()
            expected = old if index.keys() == old.keys() and not finished else {**old, **new}
            _holds(subject, index, expected)
            index.upsert(*to_arrays(new))
            _holds(subject, subject.open(copy), {**old, **new})
            if finished:
                break
            shutil.rmtree(copy)
        require(step > 1, "it writes no file below its folder")


INDEX_CHECKS: Final[dict[str, Callable[[IndexSubject], None]]] = {
    "empty": check_empty,
    "search": check_search,
    "ties": check_ties,
    "replace": check_replace,
    "remove": check_remove,
    "allowed": check_allowed,
    "rebuild": check_rebuild,
    "reopen": check_reopen,
    "history": check_history,
    "recall": check_recall,
    "stats": check_stats,
    "foreign": check_foreign,
    "damage": check_damage,
    "killed": check_killed,
}
"""The checks of an index backend, by name."""


# --- running them -------------------------------------------------------------------------------


def index_contract(backend: str, *, plugins: Callable[[], Plugins] = Plugins.load) -> pytest.MarkDecorator:
    """Make a test with the argument `check` run once for every check of an index backend."""
    import pytest

    def subject() -> IndexSubject:
        providers = plugins()
        spec, plugin = providers.index_backend(backend), providers.owner(BACKENDS, backend)
        return IndexSubject(spec.factory, spec.approximate, spec.short, plugin)

    checks = [IndexCheck(name, function, subject) for name, function in INDEX_CHECKS.items()]
    return pytest.mark.parametrize("check", checks, ids=[check.name for check in checks])


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="patina-index-") as folder:
        yield Path(folder)


@contextmanager
def _filled(subject: IndexSubject, rows: Rows) -> Iterator[VectorIndex]:
    with _folder() as folder:
        index = subject.open(folder)
        index.upsert(*to_arrays(rows))
        yield index


def _best(rows: Rows, question: Vectors, limit: int) -> Answer:
    """Compute the true answer with numpy."""
    keys, vectors = to_arrays(rows, len(question))
    scores = vectors.astype("f8") @ question.astype("f8")
    return sorted(zip(keys, scores.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))[:limit]


def _recall(rows: Rows, answer: Answer, question: Vectors) -> float:
    """Return the share of the true best ten in an answer; ties with the tenth count."""
    true = _best(rows, question, 10)
    return sum(score >= true[-1][1] - _NEAR for _, score in answer) / len(true)


def _agrees(subject: IndexSubject, rows: Rows, answer: Answer, question: Vectors, limit: int) -> None:
    """Compare an answer with the true one."""
    true = _best(rows, question, len(rows))
    scores = dict(true)
    require(len(answer) == min(limit, len(rows)), f"{len(answer)} found of {len(rows)}, limit {limit}")
    require(len({row_key for row_key, _ in answer}) == len(answer), "a key is found twice")
    require(all(row_key in scores for row_key, _ in answer), "a key is found that is unknown or not allowed")
    require(all(abs(scores[row_key] - score) < _NEAR for row_key, score in answer), "a score is wrong")
    order = sorted(answer, key=lambda pair: (-pair[1], pair[0]))
    require(answer == order, "an answer is not in order")
    if not subject.approximate:
        is_best = all(abs(hit[1] - best[1]) < _NEAR for hit, best in zip(answer, true, strict=False))
        require(is_best, "it does not find the best rows")


def _holds(subject: IndexSubject, index: VectorIndex, rows: Rows) -> None:
    """Compare an index with the rows that it must have."""
    require(index.keys() == rows.keys(), "it does not have the keys that were written")
    require(index.stats().rows == len(rows), f"{len(rows)} rows are counted as {index.stats().rows}")
    for question in draw_questions(rows or subject.rows(range(1))):
        _agrees(subject, rows, index.search(question, 10), question, 10)


def _is_refused(subject: IndexSubject, folder: Path, **options: str | int) -> bool:
    """Whether opening and reading raises `IndexDamaged`, or the index is empty."""
    try:
        index = subject.open(folder, **options)  # type: ignore[arg-type]
        index.verify()
        return not index.stats().rows
    except IndexDamaged:
        return True


def _alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


_DAMAGES: Final[Mapping[str, Callable[[Path], object]]] = {
    "one bit altered": _alter,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": Path.unlink,
}


def _write_until(subject: IndexSubject, folder: Path, step: int) -> bool:
    """Write in a process that is killed before a write step; return whether it completed."""
    require(step < _MOST_STEPS, f"one write takes more than {_MOST_STEPS} steps")
    numbers = str(subject.short), str(subject.dimensions)
    arguments = [subject.plugin, subject.factory, *numbers, str(folder), str(step)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run(
        [sys.executable, "-m", "patina_hooks.testing.crash_writer", *arguments],
        cwd=Path(sys.executable).anchor, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    require(result.returncode in (0, KILLED), f"a write fails:\n{result.stderr}")
    return result.returncode == 0
