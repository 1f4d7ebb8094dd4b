"""Evaluation end to end: the log read once, questions mined, every way to answer them measured."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.corpus.log import Log
from patina_hooks.display import count
from patina_hooks.errors import StateError, UsageError
from patina_hooks.evaluation.channels import Evidence, gather, rankings
from patina_hooks.evaluation.embeddings import Embeddings, load_embeddings
from patina_hooks.evaluation.file_sets import commit_files, commit_files_cold
from patina_hooks.evaluation.history import History, read_history
from patina_hooks.evaluation.metrics import worth_of
from patina_hooks.evaluation.query_sets import MOST_QUERIES, QuerySet
from patina_hooks.evaluation.results import Answer, Evaluation, Measured, SetResult
from patina_hooks.evaluation.session_sets import commit_session, context, goal, held_out
from patina_hooks.evaluation.tuning import Tuned, record, tune_on, tuned
from patina_hooks.evaluation.user_set import USER_SET, ask_user_set
from patina_hooks.git.lock import SyncLock
from patina_hooks.projection.active import load_active
from patina_hooks.search.fusion import WEIGHTS
from patina_hooks.search.opening import open_space
from patina_hooks.search.vectors import Space, answering_space
from patina_hooks.worker import SYNC_LOCK

if TYPE_CHECKING:
    from patina_hooks.api import Patina

MINED: Final[Mapping[str, Callable[[History, int], QuerySet]]] = {
    "context": context,
    "commit_session": commit_session,
    "goal": goal,
    "held_out": held_out,
    "commit_files": commit_files,
    "commit_files_cold": commit_files_cold,
}
"""Name -> how a history is mined for it."""

Progress = Callable[[str, int, int], None]

_PATIENCE: Final = 60.0  # seconds


def mine(history: History, names: Collection[str] = tuple(MINED), most: int = MOST_QUERIES) -> list[QuerySet]:
    """The query sets of a history, in one order, with at most so many questions each; the same history gives
    the same questions."""
    return [make(history, most) for name, make in MINED.items() if name in names]


def evaluate(
    patina: Patina,
    *,
    names: Collection[str] = (),
    queries: Path | None = None,
    after: int | None = None,
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Measure a repository's memory as the last sync left it.

    names: of the mined sets, only these; none for all. queries: a file of questions of one's own, asked as
    the set "queries", alone where names is just that.
    after: only questions asked later than this (seconds since 1970); where a projection or tuned weights are
    in use, only those that they never saw.
    Raises `StateError` where there is nothing to measure, or texts have no vectors yet; `UsageError` for a
    name or file that cannot be meant.
    """
    unknown = sorted(set(names).difference(MINED, [USER_SET] if queries else []))
    if unknown:
        raise UsageError(f"there is no query set {', '.join(unknown)}", hint=f"one of {', '.join(MINED)}")
    history, space, in_use = _read(patina)
    active = load_active(patina.repository.state) if space.projection else None
    learned = [in_use.split if in_use else None, active.split - 1 if active else None]
    later = [moment for moment in (after, *learned) if moment is not None]
    measured = Measured(
        events_hash=history.events_hash,
        model=space.model,
        runtime=space.runtime,
        fingerprint=space.fingerprint,
        projection=active.name if active else "none",
        weights=in_use.weights if in_use else WEIGHTS,
        after=max(later, default=None),
    )
    results = []
    wanted = [name for name in MINED if name in names or not names]
    sets = [_after(one, measured.after) for one in mine(history, wanted)]
    if any(sets):
        project = space.open_projection(patina.plugins, patina.repository.state)
        embeddings = embed(patina, space, sets, progress).projected(project)
        for one, evidence in _gathered(sets, history, embeddings, progress):
            results.append(_judged(one, evidence, measured.weights))
    if queries:
        results.append(ask_user_set(patina, queries, progress))
    if not any(result.n for result in results):
        raise _nothing(history)
    return Evaluation(tuple(results), measured)


def tune(patina: Patina, progress: Progress = lambda *_: None) -> Tuned:
    """Tune the weights of fusion on the first 70 % of the questions about sessions, judge them on the later
    ones, and record both. Raises as `evaluate` does, and `StateError` while another process writes."""
    history, space, _ = _read(patina)
    sets = [one for one in mine(history) if one and not one.rolling]
    if not sets:
        raise _nothing(history)
    project = space.open_projection(patina.plugins, patina.repository.state)
    embeddings = embed(patina, space, sets, progress).projected(project)
    found = tune_on(_gathered(sets, history, embeddings, progress), history.events_hash)
    lock = SyncLock(patina.repository.state / SYNC_LOCK)
    if not lock.acquire(_PATIENCE):
        raise StateError("another patina is at work", hint="try again in a while")
    try:
        with Log(patina.repository.state) as log, log.writing():
            record(log, found)
    finally:
        lock.release()
    return found


def embed(
    patina: Patina, space: Space, sets: Collection[QuerySet], progress: Progress = lambda *_: None
) -> Embeddings:
    """The vectors of these sets. Raises as `load_embeddings` and `open_space` do."""
    opener = partial(open_space, patina.plugins, space)
    return load_embeddings(patina.repository.state, space, sets, opener, progress)


def _read(patina: Patina) -> tuple[History, Space, Tuned | None]:
    with Log(patina.repository.state, create=False) as log, log.reading() as connection:
        space = answering_space(log)
        if space is None:
            raise StateError("no vectors are here yet", hint="patina sync")
        return read_history(connection), space, tuned(log)


def _nothing(history: History) -> StateError:
    sessions, commits = (
        count(len(history.sessions), "session document"),
        count(len(history.commits), "commit"),
    )
    return StateError(
        f"there is nothing to measure on: {sessions} and {commits} give no question",
        hint="patina session start TITLE",
    )


def _after(query_set: QuerySet, moment: int | None) -> QuerySet:
    return query_set if moment is None else query_set.after(moment)


def _gathered(
    sets: Collection[QuerySet], history: History, embeddings: Embeddings, progress: Progress
) -> Iterator[tuple[QuerySet, Iterator[Evidence]]]:
    """Each set with the evidence of its questions, one at a time: among many files each is large."""
    done, total = 0, sum(map(len, sets))

    def watched(one: QuerySet) -> Iterator[Evidence]:
        nonlocal done
        for evidence in gather(one, history.schema, embeddings):
            yield evidence
            done += 1
            progress("measuring", done, total)

    for one in sets:
        yield one, watched(one)


def _judged(query_set: QuerySet, evidence: Iterable[Evidence], weights: Mapping[str, float]) -> SetResult:
    answers = []
    for one in evidence:
        ranked = rankings(query_set, one, weights)
        worths = {channel: worth_of(scores, one.query.relevant) for channel, scores in ranked.items()}
        answers.append(Answer(one.query.id, one.query.cluster, worths))
    return SetResult(query_set.name, tuple(answers))
