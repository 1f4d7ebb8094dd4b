"""The past of a repository, as training sees it, and the moment from which on it is the future.

Everything is a function of the history alone: the sessions in order of time, the first 70 % of which are the
past; the texts that they and the commits of that time say; the pairs of that time. The order of arrival
leaves no trace, since rows are in the order of their keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from patina_hooks.config.configuration import load_user_redaction
from patina_hooks.errors import StateError
from patina_hooks.models.embedding import embed
from patina_hooks.pairs.members import path_text
from patina_hooks.specs.training import PairRows, TrainingSettings, TrainingTask
from patina_hooks.store.embeddings import EmbeddingCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from patina_hooks.evaluation.history import History, PastCommit
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.pairs.stored import TrainingPair
    from patina_hooks.search.index.spaces import VectorSpace

PAST: Final = 0.7
"""The share of the sessions that training sees."""

_LEARNED_FROM: Final = 0.85
"""The share of the past's sessions whose pairs are learned from; those of the rest say when to stop."""


_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Split:
    """Moments, seconds since 1970: pairs before `held` are learned from, pairs from then to `future` say when
    to stop, and what is from `future` on is judged on. sessions: how many there are in the past."""

    held: int
    future: int
    sessions: int


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """rows: text key -> row of vectors [n, d]; groups: for each row, who says it, as numbers."""

    rows: Mapping[bytes, int]
    vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    groups: Sequence[frozenset[int]]


def split(history: History) -> Split:
    """Where the past ends. Raises IndexError for a history without sessions."""
    starts = sorted(session.started for session in history.sessions)
    past = int(PAST * len(starts))
    return Split(starts[int(_LEARNED_FROM * past)], starts[past], past)


def read_past(
    history: History,
    moments: Split,
    pairs: Collection[TrainingPair],
    state: Path,
    space: VectorSpace,
    open_encoder: Callable[[], Encoder],
    check: Callable[[], None] = lambda: None,
) -> Past:
    """The texts of the past with their vectors, from the cache; only a path is ever encoded here, once.

    pairs: those of one kind, that will be trained with. check: called between paths that are encoded; it may
    raise, and those that were are kept. Raises `StateError` where texts are not embedded yet.
    """
    groups: dict[bytes, set[int]] = {}
    for number, key in _said(history, moments):
        groups.setdefault(key, set()).add(number)
    paths = {key: path for key, path in paths_to_read(pairs) if key not in groups}
    touched = _touched(history, moments, set(paths.values()))
    groups |= {key: touched[path] for key, path in paths.items() if path in touched}
    keys = sorted(groups)
    with closing(EmbeddingCache(state, space.fingerprint)) as cache:
        read = {key: paths[key] for key in paths.keys() & groups.keys()}
        _embed_paths(cache, space.dimensions, read, open_encoder, check)
        if missing := cache.missing(keys, space.dimensions):
            raise StateError(
                f"{len(missing):,} of {len(keys):,} texts have no vector yet", hint="patina sync --full"
            )
        vectors = cache.get(keys, space.dimensions)
    # Kept in float16, a row is no unit vector any more to the last bit; training expects one.
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(norms > 0, norms, 1)
    return Past({key: row for row, key in enumerate(keys)}, vectors, [frozenset(groups[key]) for key in keys])


def task_of(
    past: Past, pairs: Sequence[TrainingPair], kind: str, moments: Split, settings: TrainingSettings
) -> TrainingTask:
    """What a trainer is given to learn from the pairs of one kind. pairs: in canonical order."""
    own = [p for p in pairs if p.kind == kind and p.anchor in past.rows and p.positive in past.rows]
    numbers = {scope: number for number, scope in enumerate(sorted({pair.scope for pair in own}))}

    def rows(chosen: Sequence[TrainingPair]) -> PairRows:
        return PairRows(
            np.array([past.rows[pair.anchor] for pair in chosen], np.intp),
            np.array([past.rows[pair.positive] for pair in chosen], np.intp),
            np.array([pair.weight for pair in chosen], np.float32),
            np.array([numbers[pair.scope] for pair in chosen], np.intp),
        )

    learned = rows([pair for pair in own if pair.moment < moments.held])
    held = rows([pair for pair in own if moments.held <= pair.moment < moments.future])
    return TrainingTask(past.vectors, learned, held, past.groups, settings)


def digest_of(task: TrainingTask, digest: str) -> str:
    """A name for this very task: a checkpoint of another one is no use. digest: of what trains it."""
    made = hashlib.sha256(digest.encode())
    made.update(np.ascontiguousarray(task.vectors).tobytes())
    for pairs in (task.train, task.held):
        for column in (pairs.anchors, pairs.positives, pairs.weights, pairs.scopes):
            made.update(np.ascontiguousarray(column).tobytes())
    for group in task.groups:
        made.update(f"{sorted(group)}".encode())
    return made.hexdigest()


def _said(history: History, moments: Split) -> Iterator[tuple[int, bytes]]:
    """(who, text key): sessions by number, commits by those of all sessions that hold them, or one of their
    own."""
    numbers = {session.id: number for number, session in enumerate(history.sessions)}
    for session in history.sessions:
        if session.started < moments.future:
            yield from ((numbers[session.id], piece.key) for piece in session.pieces)
    for number, commit in enumerate(history.commits, len(numbers)):
        if commit.committed < moments.future:
            for own in _holders(commit, numbers, number):
                yield from ((own, piece.key) for piece in commit.pieces)


def _touched(history: History, moments: Split, paths: Collection[str]) -> dict[str, set[int]]:
    """Path -> the sessions and commits of the past that changed it."""
    numbers = {session.id: number for number, session in enumerate(history.sessions)}
    found: dict[str, set[int]] = {}
    for number, commit in enumerate(history.commits, len(numbers)):
        if commit.committed < moments.future:
            for path in commit.paths.keys() & paths:
                found.setdefault(path, set()).update(_holders(commit, numbers, number))
    return found


def _holders(commit: PastCommit, numbers: Mapping[str, int], own: int) -> list[int]:
    return [numbers[session] for session in commit.ranges if session in numbers] or [own]


def paths_to_read(pairs: Collection[TrainingPair]) -> Iterator[tuple[bytes, str]]:
    """Text key -> path of each; not of one whose name holds a secret, which no model is to read."""
    redact = load_user_redaction().redact
    for pair in pairs:
        for key, path in ((pair.anchor, pair.anchor_path), (pair.positive, pair.positive_path)):
            if path is not None and redact(path) == path:
                yield key, path


def _embed_paths(
    cache: EmbeddingCache,
    dimensions: int,
    paths: Mapping[bytes, str],
    open_encoder: Callable[[], Encoder],
    check: Callable[[], None],
) -> None:
    missing = cache.missing(sorted(paths), dimensions)
    encoder = open_encoder() if missing else None
    for start in range(0, len(missing), _AT_ONCE):
        check()
        chunk = missing[start : start + _AT_ONCE]
        if encoder is not None:
            embed(cache, encoder, chunk, [path_text(paths[key]) for key in chunk], role="passage")
