"""Evaluation: read the log once, mine queries, and measure every method."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import StateError, UsageError
from patina_hooks.evaluation.embeddings import Embeddings, load_embeddings
from patina_hooks.evaluation.history import History, read_history
from patina_hooks.evaluation.methods import Pipeline, QuestionEvidence, gather, rankings
from patina_hooks.evaluation.query_sets.empty_sets import explain_empty_set
from patina_hooks.evaluation.query_sets.file_sets import mine_commit_files, mine_commit_files_cold
from patina_hooks.evaluation.query_sets.mining import QueryFilter, QuerySet
from patina_hooks.evaluation.query_sets.session_sets import (
    mine_commit_session,
    mine_context,
    mine_goal,
    mine_held_out,
)
from patina_hooks.evaluation.results import Answer, Evaluation, Measured, SetResult
from patina_hooks.evaluation.statistics.metrics import measure_ranking
from patina_hooks.evaluation.tuning import tune_on
from patina_hooks.evaluation.user_set import USER_SET, SearchableMemory, ask_user_set
from patina_hooks.plugins.fault_counts import FaultCounts
from patina_hooks.projection.active import Active, load_active
from patina_hooks.search.fusion import assign_weights
from patina_hooks.search.index.spaces import VectorSpace, active_space
from patina_hooks.search.opening import open_checked_encoder
from patina_hooks.search.retrieval.refinement import open_refinement
from patina_hooks.search.retrieval.retrieve import open_retrievers
from patina_hooks.search.retrieval.step_calls import StepCalls
from patina_hooks.search.steps import recorded_steps
from patina_hooks.search.stored_weights import (
    TunedWeights,
    find_unknown_retrievers,
    find_usable_weights,
    store_tuned_weights,
)
from patina_hooks.store.log import Log
from patina_hooks.text.date_format import format_day
from patina_hooks.text.display import format_count

if TYPE_CHECKING:
    from patina_hooks.config.search_steps import SearchSteps
    from patina_hooks.specs.plugins import RecordedError
    from patina_hooks.store.memory import Memory

MINED: Final[Mapping[str, Callable[[History, QueryFilter], QuerySet]]] = {
    "context": mine_context,
    "commit_session": mine_commit_session,
    "goal": mine_goal,
    "held_out": mine_held_out,
    "commit_files": mine_commit_files,
    "commit_files_cold": mine_commit_files_cold,
}
"""Name of a query set -> the function that mines it."""

Progress = Callable[[str, int, int], None]

_ALL_QUERIES: Final = QueryFilter()


def mine(
    history: History, names: Collection[str] = tuple(MINED), query_filter: QueryFilter = _ALL_QUERIES
) -> list[QuerySet]:
    """Mine the query sets of a history; the same history has the same queries."""
    return [miner(history, query_filter) for name, miner in MINED.items() if name in names]


def evaluate(
    memory: SearchableMemory,
    *,
    names: Collection[str] = (),
    queries: Path | None = None,
    after: int | None = None,
    progress: Progress = lambda *_: None,
    on_fault: Callable[[RecordedError], None] = lambda _: None,
) -> Evaluation:
    """Evaluate the search of a repository after its last sync.

    Args:
        memory: the memory to search.
        names: the query sets to mine; all by default.
        queries: a file of the user's queries, evaluated as the set "queries".
        after: only queries later than this, seconds since 1970; with a projection or tuned weights in use,
            only queries later than their training data.
        progress: called with (label, count, total).
        on_fault: called with errors of plugins' retrievers; the figures are those without them.

    Raises:
        StateError: there is not enough history, texts have no vectors yet, or the index has the vectors of
            another projection than the one in use.
        UsageError: a name or the file is invalid.
    """
    calls = StepCalls(memory.plugins, _report_once(on_fault))
    retrievers = open_retrievers(calls)
    usual = assign_weights([retriever.spec for retriever in retrievers])
    unknown = sorted(set(names).difference(MINED, [USER_SET] if queries else []))
    if unknown:
        raise UsageError(f"there is no query set {', '.join(unknown)}", hint=f"one of {', '.join(MINED)}")
    subject = _read(memory)
    history, space = subject.history, subject.space
    tuned, ignored = find_usable_weights(memory.repository.state, space)
    later = [
        moment for moment in (after, subject.until, tuned.split if tuned else None) if moment is not None
    ]
    measured = Measured(
        events_hash=history.events_hash,
        model=space.model,
        runtime=space.runtime,
        fingerprint=space.fingerprint,
        projection=subject.active.name if subject.active else "none",
        weights=assign_weights([retriever.spec for retriever in retrievers], tuned.weights)
        if tuned
        else usual,
        after=max(later, default=None),
        tuned=tuned is not None,
        ignored=ignored,
        unknown_weights=find_unknown_retrievers(tuned.weights, usual) if tuned else (),
    )
    results = []
    selected = [name for name in MINED if name in names or not names]
    sets = mine(history, selected, QueryFilter(after=measured.after))
    reasons = {
        query_set.name: _reason(query_set.name, history, measured.after)
        for query_set in sets
        if not query_set
    }
    if any(sets):
        project = space.open_projection(memory.plugins, memory.repository.state)
        embeddings = embed_query_sets(memory, space, sets, progress).projected(project)
        refinement = open_refinement(calls, subject.steps)
        pipeline = Pipeline(retrievers, measured.weights, refinement)
        for query_set, evidence in _gather_sets(sets, embeddings, pipeline, progress):
            results.append(
                _measure_set(query_set, evidence, measured.weights, reasons.get(query_set.name, ""))
            )
    else:
        results = [SetResult(name, (), reason) for name, reason in reasons.items()]
    if queries:
        results.append(ask_user_set(memory, queries, progress))
    if not any(result.n for result in results):
        raise _too_little(history, reasons)
    return Evaluation(tuple(results), measured)


def tune(memory: Memory, progress: Progress = lambda *_: None) -> TunedWeights:
    """Tune the fusion weights, evaluate them on later queries, and store both; see `tune_on`.

    Raises:
        StateError, UsageError: as `evaluate` does.
    """
    subject = _read(memory)
    history, space = subject.history, subject.space
    mined = [query_set for query_set in mine(history) if not query_set.rolling]
    sets = [query_set for query_set in mined if query_set]
    if not sets:
        raise _too_little(
            history, {query_set.name: _reason(query_set.name, history, None) for query_set in mined}
        )
    project = space.open_projection(memory.plugins, memory.repository.state)
    embeddings = embed_query_sets(memory, space, sets, progress).projected(project)
    retrievers = open_retrievers(StepCalls(memory.plugins))
    gathered = _gather_sets(sets, embeddings, Pipeline(retrievers), progress)
    usual = assign_weights([retriever.spec for retriever in retrievers])
    tuned = tune_on(gathered, space, history.events_hash, until=subject.until, defaults=usual)
    store_tuned_weights(memory.repository.state, tuned)
    return tuned


def embed_query_sets(
    memory: Memory, space: VectorSpace, sets: Collection[QuerySet], progress: Progress = lambda *_: None
) -> Embeddings:
    """Load the vectors of these sets. Raises as `load_embeddings` and `open_checked_encoder` do."""
    opener = partial(open_checked_encoder, memory.plugins, space, memory.repository.state)
    return load_embeddings(memory.repository.state, space, sets, opener, progress)


def _report_once(on_fault: Callable[[RecordedError], None]) -> Callable[[RecordedError], None]:
    """Return a callback that reports each cause once: a retriever may fail at every query."""
    counts = FaultCounts()

    def report(fault: RecordedError) -> None:
        if counts.add(fault):
            on_fault(fault)

    return report


@dataclass(frozen=True, slots=True)
class _Subject:
    """The subject of an evaluation.

    active: the projection of the space, None for the raw model.
    steps: those that the recipe names.
    """

    history: History
    space: VectorSpace
    active: Active | None
    steps: SearchSteps

    @property
    def until(self) -> int | None:
        """The last moment that the projection may have learned from, None without one."""
        return self.active.split - 1 if self.active else None


def _read(memory: Memory) -> _Subject:
    with Log(memory.repository.state, create=False) as log, log.reading() as connection:
        space = active_space(log)
        if space is None:
            raise StateError("there are no vectors yet", hint="patina sync")
        active = _active(memory.repository.state, space)
        return _Subject(read_history(connection), space, active, recorded_steps(log))


def _active(state: Path, space: VectorSpace) -> Active | None:
    """Return the projection of a space. Raises `StateError` if it is no longer the one in use."""
    if not space.projection:
        return None
    active = load_active(state)
    if active is None or (active.weights, active.fingerprint) != (space.projection, space.fingerprint):
        reason = "the index still has vectors of a projection that is no longer in use"
        raise StateError(reason, hint="patina sync")
    return active


def _reason(name: str, history: History, after: int | None) -> str:
    """Return why a mined set has no question later than `after`."""
    if after is not None and len(MINED[name](history, QueryFilter(most=1))):
        return f"no question is dated after {format_day(after)}"
    return explain_empty_set(name, history)


def _too_little(history: History, reasons: Mapping[str, str]) -> StateError:
    sessions, commits = (
        format_count(len(history.sessions), "session document"),
        format_count(len(history.commits), "commit"),
    )
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    lines = [f"  {', '.join(group)}: {reason}" for reason, group in names.items()]
    return StateError(
        "\n".join([f"not enough history to evaluate: {sessions}, {commits}, 0 queries", *lines]),
        hint='patina session start "what you set out to do"' if history.commits else "git commit",
    )


def _gather_sets(
    sets: Collection[QuerySet],
    embeddings: Embeddings,
    pipeline: Pipeline,
    progress: Progress,
) -> Iterator[tuple[QuerySet, Iterator[QuestionEvidence]]]:
    """Yield each set with the evidence of its queries, one at a time to limit memory."""
    finished, total = 0, sum(map(len, sets))

    def watched(query_set: QuerySet) -> Iterator[QuestionEvidence]:
        nonlocal finished
        for evidence in gather(query_set, embeddings, pipeline):
            yield evidence
            finished += 1
            progress("measuring", finished, total)

    for query_set in sets:
        yield query_set, watched(query_set)


def _measure_set(
    query_set: QuerySet, evidence: Iterable[QuestionEvidence], weights: Mapping[str, float], reason: str
) -> SetResult:
    answers = []
    for question in evidence:
        ranked = rankings(query_set, question, weights)
        metrics = {
            method: measure_ranking(scores, question.query.relevant) for method, scores in ranked.items()
        }
        answers.append(Answer(question.query.id, question.query.cluster, metrics))
    return SetResult(query_set.name, tuple(answers), reason)
