"""Compare models: costs, agreement of runtimes, vectors and answers.

The active index is not changed. Vectors are stored in the ordinary cache, so that no text is embedded twice,
an interrupted comparison resumes, and a later switch to one of these models reuses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from patina_hooks.errors import ModelError, PluginError, StateError
from patina_hooks.evaluation.comparison.agreement import TEXTS, compare_vectors, embedded
from patina_hooks.evaluation.comparison.model_answers import (
    answer_query_sets,
    cache_vectors,
    find_missing_texts,
)
from patina_hooks.evaluation.comparison.model_comparison import Comparison, Row, lacking
from patina_hooks.evaluation.comparison.speed import Speed, measure_speed, sample
from patina_hooks.evaluation.embeddings import load_embeddings
from patina_hooks.evaluation.evaluate import mine
from patina_hooks.evaluation.history import read_history
from patina_hooks.search.opening import open_checked_encoder
from patina_hooks.store.log import Log
from patina_hooks.text.display import format_count

if TYPE_CHECKING:
    from patina_hooks.evaluation.comparison.candidates import Candidate
    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.history import History
    from patina_hooks.evaluation.query_sets.mining import QuerySet
    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.specs.vectors import Vectors
    from patina_hooks.store.memory import Memory

    Progress = Callable[[str, int, int], None]
    Announce = Callable[[str], None]


def compare_models(
    memory: Memory,
    candidates: Sequence[Candidate],
    *,
    progress: Progress = lambda *_: None,
    announce: Announce = lambda _: None,
) -> Comparison:
    """Compare models on a synced memory, each by its own vectors, without a projection.

    A candidate that fails is a row with an error.

    Args:
        memory: the memory, synced.
        candidates: the models to compare.
        progress: called with (label, count, total).
        announce: called with what will be embedded, and the estimated time.

    Raises:
        StateError: there are no texts.
    """
    with Log(memory.repository.state, create=False) as log, log.reading() as connection:
        history, texts = read_history(connection), sample(log)
    if not texts:
        raise StateError("there are no texts to measure with", hint="git commit; patina session start TITLE")
    sets = [query_set for query_set in mine(history) if query_set]
    rows = _compare_runtimes(_measure_rows(candidates, texts, progress), texts[:TEXTS], progress)
    if sets:
        rows = _compare_answers(memory, rows, sets, history, progress, announce)
    sessions = len({query.cluster for query_set in sets for query in query_set.queries})
    lacks = lacking(sessions, len(history.sessions), len(history.commits))
    return Comparison(tuple(rows), history.events_hash, len(texts), sessions, lacks)


def _measure_rows(candidates: Sequence[Candidate], texts: Sequence[str], progress: Progress) -> list[Row]:
    speeds = measure_speed(
        {candidate.name: candidate.space for candidate in candidates if candidate.space}, texts, progress
    )
    return [_row(candidate, speeds.get(candidate.name)) for candidate in candidates]


def _row(candidate: Candidate, result: Speed | PluginError | None) -> Row:
    if isinstance(result, Speed):
        return Row(candidate, result)
    if result is None:
        return Row(candidate, error=candidate.error, remedy=candidate.remedy)
    return Row(candidate, error=str(result), remedy=result.hint)


def _compare_runtimes(rows: Sequence[Row], texts: Sequence[str], progress: Progress) -> list[Row]:
    """Compare each row with the first earlier row that shares its cached vectors."""
    finished: list[Row] = []
    vectors: dict[str, Vectors] = {}
    shared = _shared(rows)
    for row in rows:
        space = shared.get(row.name)
        if space is None:
            finished.append(row)
            continue
        progress("comparing runtimes", len(vectors), len(shared))
        try:
            vectors[row.name] = embedded(space, texts)
            finished.append(_add_agreement(row, space, finished, vectors))
        except ModelError as error:
            finished.append(_fail_row(row, error))
    return finished


def _shared(rows: Sequence[Row]) -> dict[str, VectorSpace]:
    """By name, those whose fingerprint another one has, too."""
    spaces = {row.name: space for row, space in _running(rows)}
    fingerprints = [space.fingerprint for space in spaces.values()]
    return {name: space for name, space in spaces.items() if fingerprints.count(space.fingerprint) > 1}


def _add_agreement(
    row: Row, space: VectorSpace, earlier: Sequence[Row], vectors: Mapping[str, Vectors]
) -> Row:
    for previous, previous_space in _running(earlier):
        if previous_space.fingerprint == space.fingerprint:
            return replace(
                row, agreement=compare_vectors(previous.name, vectors[previous.name], vectors[row.name])
            )
    return row


def _compare_answers(
    memory: Memory,
    rows: Sequence[Row],
    sets: Sequence[QuerySet],
    history: History,
    progress: Progress,
    announce: Announce,
) -> list[Row]:
    state = memory.repository.state
    own = [(row, space) for row, space in _running(rows) if not row.agreement]
    _announce_embedding([(row, find_missing_texts(state, space, sets)) for row, space in own], announce)
    embeddings: dict[str, Embeddings] = {}
    rows_by_name = {row.name: row for row in rows}
    for row, space in _running(rows):
        if row.agreement and not rows_by_name[row.agreement.to].error:
            continue
        try:
            rows_by_name[row.name], embeddings[row.name] = _embedded(memory, row, space, sets, progress)
        except PluginError as error:
            rows_by_name[row.name] = _fail_row(row, error)
    results = answer_query_sets(sets, embeddings, progress)
    return [replace(row, sets=tuple(results.get(row.name, ()))) for row in rows_by_name.values()]


def _fail_row(row: Row, error: PluginError) -> Row:
    return replace(row, error=str(error), remedy=error.hint)


def _running(rows: Iterable[Row]) -> list[tuple[Row, VectorSpace]]:
    return [(row, row.candidate.space) for row in rows if row.candidate.space and not row.error]


def _embedded(
    memory: Memory, row: Row, space: VectorSpace, sets: Sequence[QuerySet], progress: Progress
) -> tuple[Row, Embeddings]:
    state = memory.repository.state
    encoder = cache(partial(open_checked_encoder, memory.plugins, space, state))
    texts = find_missing_texts(state, space, sets)
    rate = row.speed.texts_per_second if row.speed else 0
    cache_vectors(state, space, texts, encoder, rate, partial(progress, f"embedding {row.name}"))
    return replace(row, embedded=len(texts)), load_embeddings(state, space, sets, encoder, progress)


def _announce_embedding(rows: Iterable[tuple[Row, Mapping[bytes, str]]], announce: Announce) -> None:
    """Announce what will be embedded, and the estimated time at the measured rate."""
    for row, texts in rows:
        if texts and row.speed:
            seconds = sum(map(len, texts.values())) / row.speed.characters_per_second
            announce(
                f"{row.name}: {format_count(len(texts), 'text')} to embed, {about(seconds)};"
                " an interruption loses nothing"
            )


def about(seconds: float) -> str:
    """In words: "about 40 s", "about 5 min", "about 3 h"."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"about {seconds / length:.0f} {unit}"
    return f"about {max(1.0, seconds):.0f} s"
