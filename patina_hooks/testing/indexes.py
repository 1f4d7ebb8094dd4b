"""The contract of an index backend: plain functions, each raising AssertionError with what does not hold.

In the author's tests, one test a check:

    from patina_hooks.testing import IndexCheck, index_contract

    @index_contract("acme-tree")
    def test_contract(check: IndexCheck) -> None:
        check()

What `patina_hooks.VectorIndex` says is checked against a dictionary and numpy. An index whose spec
says `approximate` may miss some of the best, but what it finds it scores exactly.
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
from patina_hooks.testing.drawn import arrays, drawn, key, questions

if TYPE_CHECKING:
    import pytest

    from patina_hooks.specs.vectors import VectorIndex, Vectors
    from patina_hooks.testing.drawn import Rows

RECALL: Final = 0.9
"""What an approximate index finds of the true best ten of 2,000 rows, at least."""
_FINGERPRINT = "contract"
_NEAR = 1e-4
_MOST_STEPS = 500
KILLED: Final = 9
"""How the process ends that is killed on purpose."""
Answer = list[tuple[bytes, float]]


@dataclass(frozen=True, slots=True)
class IndexSubject:
    """What is checked. opener, approximate, short: as the backend's spec has them; plugin: its name."""

    opener: str
    approximate: bool
    short: int
    plugin: str

    @property
    def dimensions(self) -> int:
        return 2 * self.short or 64

    def open(self, folder: Path, fingerprint: str = _FINGERPRINT, dimensions: int = 0) -> VectorIndex:
        named = {"short": self.short} if self.short else {}
        opener = open_function(self.plugin, "index backend", self.opener)
        index: VectorIndex = opener(folder, dimensions or self.dimensions, fingerprint, **named)
        return index

    def rows(self, numbers: range, seed: int = 0) -> Rows:
        """Those rows by key, the same each time; another seed gives the same keys other vectors."""
        return drawn(numbers, self.dimensions, seed)


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """A check bound to a backend: call it, and it raises where the index does not hold it."""

    name: str
    function: Callable[[IndexSubject], None]
    subject: Callable[[], IndexSubject]

    def __call__(self) -> None:
        self.function(self.subject())


# --- the checks ---------------------------------------------------------------------------------


def check_empty(subject: IndexSubject) -> None:
    """Where nothing was written yet there is nothing, and taking out what is unknown changes nothing."""
    with _folder() as folder:
        index = subject.open(folder / "absent")
        index.remove([key(1)])
        question = questions(subject.rows(range(1)))[0]
        require(index.search(question, 5) == [], "an empty index finds something")
        require(index.keys() == frozenset(), "an empty index has keys")
        require(index.stats().rows == 0, f"an empty index counts {index.stats().rows} rows")


def check_search(subject: IndexSubject) -> None:
    """The best by inner product, best first, each with its exact score; never more than `limit`."""
    rows = subject.rows(range(300))
    with _filled(subject, rows) as index:
        for question in questions(rows):
            for limit in (0, 1, 10, 299, 1_000):
                _agrees(subject, rows, index.search(question, limit), question, limit)


def check_ties(subject: IndexSubject) -> None:
    """Equal scores are ordered by key."""
    (vector,) = subject.rows(range(1)).values()
    rows = {key(number): vector for number in range(40)}
    with _filled(subject, rows) as index:
        found = [one for one, _ in index.search(vector, 10)]
        require(found == sorted(rows)[:10], "equal scores are not ordered by key")


def check_replace(subject: IndexSubject) -> None:
    """A key that is there gets its new vector, and the last one of a key in a call counts."""
    rows, newer = subject.rows(range(300)), subject.rows(range(50, 150), seed=1)
    with _filled(subject, rows) as index:
        keys, vectors = arrays(newer)
        old = arrays({one: rows[one] for one in keys})[1]
        import numpy as np

        index.upsert([*keys, *keys], np.concatenate([old, vectors]))
        _holds(subject, index, {**rows, **newer})


def check_remove(subject: IndexSubject) -> None:
    """What is taken out is found no more, and may come back."""
    rows = subject.rows(range(300))
    with _filled(subject, rows) as index:
        gone = [key(number) for number in range(0, 300, 3)]
        index.remove([*gone, key(9_999)])
        _holds(subject, index, {one: rows[one] for one in rows.keys() - set(gone)})
        index.upsert(*arrays({one: rows[one] for one in gone}))
        _holds(subject, index, rows)
        index.remove(list(rows))
        _holds(subject, index, {})


def check_allowed(subject: IndexSubject) -> None:
    """With `allowed`, the best of those alone, however few or many, unknown keys among them."""
    rows = subject.rows(range(2_000))
    with _filled(subject, rows) as index:
        for many in (0, 1, 30, 400, 1_990):
            allowed = frozenset([*list(rows)[:many], key(9_999)])
            chosen = {one: rows[one] for one in rows if one in allowed}
            for question in questions(rows):
                _agrees(subject, chosen, index.search(question, 25, allowed), question, 25)


def check_rebuild(subject: IndexSubject) -> None:
    """`rebuild` leaves what it was given and nothing else."""
    rows, others = subject.rows(range(100)), subject.rows(range(50, 400), seed=1)
    with _filled(subject, rows) as index:
        index.rebuild(*arrays(others))
        _holds(subject, index, others)
        index.rebuild(*arrays({}, subject.dimensions))
        _holds(subject, index, {})


def check_reopen(subject: IndexSubject) -> None:
    """What one process wrote, the next one reads, and answers alike."""
    rows = subject.rows(range(300))
    with _folder() as folder:
        index = subject.open(folder)
        index.upsert(*arrays(rows))
        index.remove([key(7)])
        opened = subject.open(folder)
        rows.pop(key(7))
        _holds(subject, opened, rows)
        require(opened.stats() == index.stats(), "an index opened anew counts otherwise")
        for question in questions(rows):
            answers = index.search(question, 10)
            require(opened.search(question, 10) == answers, "an index opened anew finds others")


def check_history(subject: IndexSubject) -> None:
    """The same rows by another way give the same answers; where the index is approximate, the same scores."""
    rows = subject.rows(range(2_000))
    with _filled(subject, rows) as straight, _folder() as folder:
        winding = subject.open(folder)
        keys, keep = sorted(rows, reverse=True), next(iter(rows.values()))
        for start in range(0, len(keys), 333):
            part = {one: rows[one] for one in keys[start : start + 333]}
            winding.upsert(*arrays({**dict.fromkeys(part, keep), **dict(list(part.items())[:99])}))
        winding.upsert(*arrays(subject.rows(range(5_000, 5_100))))
        winding.remove([key(number) for number in range(5_000, 5_100)])
        winding.upsert(*arrays(rows))
        require(winding.keys() == straight.keys(), "the same writes in another order leave other keys")
        for question in questions(rows):
            one, other = straight.search(question, 10), winding.search(question, 10)
            if not subject.approximate:
                require(one == other, "the same rows answer otherwise when they came in another order")
            known = dict(one)
            shared = [pair for pair in other if pair[0] in known]
            require(all(known[k] == v for k, v in shared), "the same row has another score")


def check_recall(subject: IndexSubject) -> None:
    """Of the true best ten an exact index finds all, an approximate one most."""
    rows = subject.rows(range(2_000))
    with _filled(subject, rows) as index:
        found = [_recalled(rows, index.search(question, 10), question) for question in questions(rows)]
        recall, wanted = sum(found) / len(found), RECALL if subject.approximate else 1.0
        require(recall >= wanted, f"it finds {recall:.3f} of the true best ten, not {wanted}")


def check_stats(subject: IndexSubject) -> None:
    """Rows and files are counted, and the generation rises with each write that changed something."""
    rows = subject.rows(range(100))
    with _filled(subject, rows) as index:
        before = index.stats()
        require(before.rows == 100, f"100 rows are counted as {before.rows}")
        require(before.files >= 1 and before.bytes >= 1, "its files are not counted")
        index.remove([key(9_999)])
        require(index.stats() == before, "taking out what is not there is counted as a write")
        index.remove([key(1)])
        require(index.stats().rows == 99, f"99 rows are counted as {index.stats().rows}")
        require(index.stats().generation > before.generation, "a write does not raise the generation")
        index.verify()


def check_foreign(subject: IndexSubject) -> None:
    """What another model's vectors were written for is `IndexDamaged`, not read."""
    with _folder() as folder:
        subject.open(folder).upsert(*arrays(subject.rows(range(50))))
        for named in ({"fingerprint": "another"}, {"dimensions": 2 * subject.dimensions}):
            require(_is_refused(subject, folder, **named), f"vectors of another make are read: {named}")


def check_damage(subject: IndexSubject) -> None:
    """A file that was altered, cut off or emptied is `IndexDamaged`; without one, that or an empty index."""
    with _folder() as folder:
        whole, copy = folder / "whole", folder / "copy"
        index = subject.open(whole)
        index.upsert(*arrays(subject.rows(range(400))))
        index.upsert(*arrays(subject.rows(range(400, 450))))
        for path in sorted(whole.rglob("*")):
            for what, harm in _HARMS.items():
                shutil.copytree(whole, copy)
                harm(copy / path.relative_to(whole))
                require(_is_refused(subject, copy), f"{path.name}, {what}: not seen")
                shutil.rmtree(copy)


def check_killed(subject: IndexSubject) -> None:
    """A write that is killed at any step left all of it or nothing, and can be done again."""
    old, new = subject.rows(range(300)), subject.rows(range(200, 500), seed=1)
    with _folder() as folder:
        whole, copy = folder / "whole", folder / "copy"
        subject.open(whole).upsert(*arrays(old))
        for step in count(1):
            shutil.copytree(whole, copy)
            finished = _written_until(subject, copy, step)
            index = subject.open(copy)
            index.verify()
            kept = old if index.keys() == old.keys() and not finished else {**old, **new}
            _holds(subject, index, kept)
            index.upsert(*arrays(new))
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
        index.upsert(*arrays(rows))
        yield index


def _best(rows: Rows, question: Vectors, limit: int) -> Answer:
    """The truth, from numpy."""
    keys, vectors = arrays(rows, len(question))
    scores = vectors.astype("f8") @ question.astype("f8")
    return sorted(zip(keys, scores.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))[:limit]


def _recalled(rows: Rows, found: Answer, question: Vectors) -> float:
    """How many of the true best ten are among the found, ties with the tenth counted, as a fraction."""
    true = _best(rows, question, 10)
    return sum(score >= true[-1][1] - _NEAR for _, score in found) / len(true)


def _agrees(subject: IndexSubject, rows: Rows, found: Answer, question: Vectors, limit: int) -> None:
    """An answer against the truth of these rows."""
    true = _best(rows, question, len(rows))
    scores = dict(true)
    require(len(found) == min(limit, len(rows)), f"{len(found)} found of {len(rows)}, limit {limit}")
    require(len({one for one, _ in found}) == len(found), "a key is found twice")
    require(all(one in scores for one, _ in found), "a key is found that is not there, or not allowed")
    require(all(abs(scores[one] - score) < _NEAR for one, score in found), "a score is no inner product")
    order = sorted(found, key=lambda pair: (-pair[1], pair[0]))
    require(found == order, "the found are not in order")
    if not subject.approximate:
        best = all(abs(one[1] - two[1]) < _NEAR for one, two in zip(found, true, strict=False))
        require(best, "it does not find the best")


def _holds(subject: IndexSubject, index: VectorIndex, rows: Rows) -> None:
    """An index against the dictionary that it should be like."""
    require(index.keys() == rows.keys(), "it does not have the keys that were written")
    require(index.stats().rows == len(rows), f"{len(rows)} rows are counted as {index.stats().rows}")
    for question in questions(rows or subject.rows(range(1))):
        _agrees(subject, rows, index.search(question, 10), question, 10)


def _is_refused(subject: IndexSubject, folder: Path, **named: str | int) -> bool:
    """Whether opening, reading and searching says `IndexDamaged`, or there is nothing."""
    try:
        index = subject.open(folder, **named)  # type: ignore[arg-type]
        index.verify()
        return not index.stats().rows
    except IndexDamaged:
        return True


def _alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


_HARMS: Final[Mapping[str, Callable[[Path], object]]] = {
    "one bit altered": _alter,
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": Path.unlink,
}


def _written_until(subject: IndexSubject, folder: Path, step: int) -> bool:
    """Whether a process that is killed before its write step of that number came to the end."""
    require(step < _MOST_STEPS, f"one write takes more than {_MOST_STEPS} steps")
    numbers = str(subject.short), str(subject.dimensions)
    arguments = [subject.plugin, subject.opener, *numbers, str(folder), str(step)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "patina_hooks.testing.killed", *arguments], cwd=Path(sys.executable).anchor,
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    require(done.returncode in (0, KILLED), f"a write fails by itself:\n{done.stderr}")
    return done.returncode == 0
