"""The training set: texts and pairs of the past, and the split between past and future.

All of it is a function of the history: the past is the first 70 % of the sessions by time, with the texts of
these sessions and of the commits of that time, and the pairs of that time. Rows are sorted by key, so that
the order of arrival has no effect.
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
"""The share of sessions that belong to the past."""

_TRAINED_SHARE: Final = 0.85
"""The share of past sessions whose pairs are trained on; the rest decides when to stop."""

_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Split:
    """The split of a history by time, in seconds since 1970.

    held: pairs before it are trained on, pairs from it to `future` decide when to stop.
    future: queries from it on are for evaluation.
    sessions: the number of past sessions.
    """

    held: int
    future: int
    sessions: int


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """The texts of the past with their vectors.

    rows: text key -> row of `vectors`.
    vectors: [n, d], unit rows.
    groups: for each row, the sessions and commits that contain the text, as numbers.
    """

    rows: Mapping[bytes, int]
    vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    groups: Sequence[frozenset[int]]


def split_history(history: History) -> Split:
    """Split a history into past and future.

    Raises:
        IndexError: the history has no sessions.
    """
    starts = sorted(session.started for session in history.sessions)
    past = int(PAST * len(starts))
    return Split(starts[int(_TRAINED_SHARE * past)], starts[past], past)


def read_training_set(
    history: History,
    split: Split,
    pairs: Collection[TrainingPair],
    state: Path,
    space: VectorSpace,
    open_encoder: Callable[[], Encoder],
    check: Callable[[], None] = lambda: None,
) -> TrainingSet:
    """Read the texts of the past with their vectors from the cache; only paths are encoded here.

    Args:
        history: the history of the repository.
        split: where its past ends.
        pairs: the pairs of one kind to train with.
        state: the state folder.
        space: the vector space of the model.
        open_encoder: opens the model if a path must be encoded.
        check: called between batches of paths; it may raise, and finished batches are kept.

    Raises:
        StateError: a text has no vector yet.
    """
    groups: dict[bytes, set[int]] = {}
    for number, key in _iterate_texts(history, split):
        groups.setdefault(key, set()).add(number)
    paths = {key: path for key, path in paths_to_read(pairs) if key not in groups}
    touched = _find_owners_of_paths(history, split, set(paths.values()))
    groups |= {key: touched[path] for key, path in paths.items() if path in touched}
    keys = sorted(groups)
    with closing(EmbeddingCache(state, space.fingerprint)) as cache:
        paths_to_embed = {key: paths[key] for key in paths.keys() & groups.keys()}
        _embed_paths(cache, space.dimensions, paths_to_embed, open_encoder, check)
        if missing := cache.missing(keys, space.dimensions):
            raise StateError(
                f"{len(missing):,} of {len(keys):,} texts have no vector yet", hint="patina sync --full"
            )
        vectors = cache.get(keys, space.dimensions)
    # The cache holds float16, so a row is not exactly a unit vector; training expects one.
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(norms > 0, norms, 1)
    return TrainingSet(
        {key: row for row, key in enumerate(keys)}, vectors, [frozenset(groups[key]) for key in keys]
    )


def build_task(
    training_set: TrainingSet,
    pairs: Sequence[TrainingPair],
    kind: str,
    moments: Split,
    settings: TrainingSettings,
) -> TrainingTask:
    """Build the task of a trainer from the pairs of one kind. pairs: in canonical order."""
    own = [
        pair
        for pair in pairs
        if pair.kind == kind and pair.anchor in training_set.rows and pair.positive in training_set.rows
    ]
    numbers = {scope: number for number, scope in enumerate(sorted({pair.scope for pair in own}))}

    def rows(chosen: Sequence[TrainingPair]) -> PairRows:
        return PairRows(
            np.array([training_set.rows[pair.anchor] for pair in chosen], np.intp),
            np.array([training_set.rows[pair.positive] for pair in chosen], np.intp),
            np.array([pair.weight for pair in chosen], np.float32),
            np.array([numbers[pair.scope] for pair in chosen], np.intp),
        )

    learned = rows([pair for pair in own if pair.moment < moments.held])
    held = rows([pair for pair in own if moments.held <= pair.moment < moments.future])
    return TrainingTask(training_set.vectors, learned, held, training_set.groups, settings)


def digest_task(task: TrainingTask, digest: str) -> str:
    """Return a digest that identifies the checkpoints of a task. digest: of the trainer."""
    hasher = hashlib.sha256(digest.encode())
    hasher.update(np.ascontiguousarray(task.vectors).tobytes())
    for pairs in (task.train, task.held):
        for column in (pairs.anchors, pairs.positives, pairs.weights, pairs.scopes):
            hasher.update(np.ascontiguousarray(column).tobytes())
    for group in task.groups:
        hasher.update(f"{sorted(group)}".encode())
    return hasher.hexdigest()


def _iterate_texts(history: History, split: Split) -> Iterator[tuple[int, bytes]]:
    """Yield (owner, text key): a session, the sessions of a commit, or a commit without one."""
    numbers = {session.id: number for number, session in enumerate(history.sessions)}
    for session in history.sessions:
        if session.started < split.future:
            yield from ((numbers[session.id], segment.key) for segment in session.pieces)
    for number, commit in enumerate(history.commits, len(numbers)):
        if commit.committed < split.future:
            for owner in _holders(commit, numbers, number):
                yield from ((owner, segment.key) for segment in commit.pieces)


def _find_owners_of_paths(history: History, split: Split, paths: Collection[str]) -> dict[str, set[int]]:
    """Map each path to the past sessions and commits that changed it."""
    numbers = {session.id: number for number, session in enumerate(history.sessions)}
    owners: dict[str, set[int]] = {}
    for number, commit in enumerate(history.commits, len(numbers)):
        if commit.committed < split.future:
            for path in commit.paths.keys() & paths:
                owners.setdefault(path, set()).update(_holders(commit, numbers, number))
    return owners


def _holders(commit: PastCommit, numbers: Mapping[str, int], own: int) -> list[int]:
    return [numbers[session] for session in commit.ranges if session in numbers] or [own]


def paths_to_read(pairs: Collection[TrainingPair]) -> Iterator[tuple[bytes, str]]:
    """Yield (text key, path) of each path without a secret, which no model may read."""
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
