"""Train projections on the past, evaluate them on the future, and use the best that passes.

No text is encoded twice. The log is read in one view, training holds no lock that a sync needs, and only the
swap to another projection is part of a sync, while the previous index answers. An interrupted run changes
nothing; the next run resumes after its last epoch.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from patina_hooks.errors import StateError, UsageError
from patina_hooks.evaluation.evaluate import embed_query_sets
from patina_hooks.git.lock import SyncLock
from patina_hooks.projection.active import (
    PROJECTIONS_FOLDER,
    Active,
    delete_unused_weights,
    is_raw_requested,
    load_active,
    request_raw,
    store_active,
)
from patina_hooks.search.index.spaces import active_space
from patina_hooks.search.opening import open_checked_encoder
from patina_hooks.specs.reports import Figure, Outcome, Report
from patina_hooks.specs.training import OUT_OF_TIME
from patina_hooks.specs.values import RepositoryPaths
from patina_hooks.store.log import Log
from patina_hooks.store.memory import Memory
from patina_hooks.system.worker_log import TRAINING, resolve_errors
from patina_hooks.training.gate import GateResult, judge
from patina_hooks.training.inputs import read_inputs
from patina_hooks.training.reports.report import NONE, keep_report, last_report
from patina_hooks.training.staleness import explain_staleness
from patina_hooks.training.step_timing import measure_step_timing
from patina_hooks.training.trainer_runner import CHECKPOINTS, OnStep, TrainerRunner
from patina_hooks.training.trainers.time_budget import OutOfTime, TimeBudget
from patina_hooks.training.training_set import TrainingSet, build_task, read_training_set
from patina_hooks.training.verdict import Verdict, decide

if TYPE_CHECKING:
    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.statistics.intervals import Interval
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.training.plan import PlannedProjection

TRAINING_LOCK: Final = "oxidize.lock"
_LATE: Final = "time ran out before it was trained"
_NO_VERDICT: Final = (
    "Time ran out before every query was evaluated; nothing changed."
    " try: patina oxidize, without a time limit"
)
_TRAINING_SHARE: Final = 0.6
"""The share of the remaining time that training takes; evaluation takes the rest."""

logger = logging.getLogger(__name__)
T = TypeVar("T")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Staleness:
    """Why a projection of the recipe must be trained.

    why: the reason, "" if it is up to date.
    pairs: the number of training pairs.
    seconds: an upper estimate of the training time on this machine, None if it cannot be measured.
    """

    name: str
    kind: str
    why: str
    pairs: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would do.

    texts: the number of distinct texts of all sessions.
    questions: the number of later queries that decide.
    lacks: the history that is missing for a verdict, "" if there is enough.
    """

    stale: tuple[Staleness, ...]
    texts: int
    questions: int
    lacks: str


class LearningMemory(Memory, Protocol):
    """A memory that can be synced after training."""

    def sync(self, *, quick: bool = ..., progress: Progress | None = ..., deliver: bool = ...) -> object:
        """See `patina_hooks.Patina.sync`."""
        ...

    def deliver_events(self) -> object:
        """See `patina_hooks.Patina.deliver_events`."""
        ...


def oxidize(
    memory: LearningMemory,
    *,
    full: bool = False,
    only: Collection[str] = (),
    force: bool = False,
    seconds: float | None = None,
    progress: Progress = lambda *_: None,
    on_step: OnStep = lambda *_: None,
) -> Report:
    """Train stale projections, evaluate all, and use the best that passes the gate.

    Args:
        memory: the memory of a repository, synced.
        full: train every projection again.
        only: the names of the projections to train; all by default.
        force: use the best trained projection even if the gate refuses it.
        seconds: the time limit of the run; a later run trains what does not fit.
        progress: called with (label, count, total).
        on_step: called with a projection's name and each training step.

    Raises:
        StateError: another training is running, or vectors are missing.
        SettingsError: the recipe is invalid.
        UsageError: the recipe has no projection of a name.
    """
    with _training_lock(memory.repository.state):
        run = _TrainingRun(memory, progress, on_step)
        report = run.run(full=full, only=only, force=force, seconds=seconds)
    # Event hooks are called with no lock held.
    resolve_errors(memory.repository.state, TRAINING)
    memory.deliver_events()
    run.notify(report)
    return report


def use_raw(memory: LearningMemory) -> Report | None:
    """Use the raw model again and record that in the last report.

    Returns:
        The changed report, None before the first run.

    Raises:
        StateError: another training is running.
    """
    state = memory.repository.state
    with _training_lock(state):
        request_raw(state, True)
        store_active(state, None)
        memory.sync(quick=True, deliver=False)
        report = _load_sound(last_report, state)
        if report is not None:
            sentence = "The raw model answers: patina oxidize --raw selected it."
            now = int(time.time())
            report = replace(report, made=now, active=NONE, weights="", forced=False, sentence=sentence)
            keep_report(state, report)
    memory.deliver_events()
    return report


def plan_run(memory: LearningMemory, *, full: bool = False, only: Collection[str] = ()) -> RunPlan:
    """Plan a run of `oxidize` without training, encoding or writing anything.

    Raises:
        SettingsError, StateError, UsageError: as `oxidize` does.
    """
    return _TrainingRun(memory).plan_run(full=full, only=only)


class _TrainingRun:
    def __init__(
        self, memory: LearningMemory, progress: Progress = lambda *_: None, on_step: OnStep = lambda *_: None
    ) -> None:
        self._memory = memory
        self._plugins = memory.plugins
        self._state = memory.repository.state
        self._progress = progress
        self._inputs = read_inputs(memory)
        self._runner = TrainerRunner(self._state, self._plugins, self._inputs.space, on_step)
        self._last = _load_sound(last_report, self._state)
        self._active = self._in_use()
        self._trained: list[Outcome] = []

    def plan_run(self, *, full: bool, only: Collection[str]) -> RunPlan:
        texts = len({segment.key for session in self._inputs.history.sessions for segment in session.pieces})
        stale = tuple(self._staleness(planned, reason, texts) for planned, reason in self._chosen(full, only))
        return RunPlan(stale, texts, sum(map(len, self._inputs.sets)), self._inputs.missing)

    def run(self, *, full: bool, only: Collection[str], force: bool, seconds: float | None) -> Report:
        inputs, budget = self._inputs, TimeBudget(seconds)
        chosen = self._chosen(full, only)
        stale = [planned for planned, reason in chosen if reason]
        if inputs.missing:
            outcomes = [
                replace(self._untrained(planned), why=inputs.missing, lacks=True)
                for planned in inputs.planned
            ]
            return self._store(self._undecided(outcomes, f"Nothing was trained: {inputs.missing}.", budget))
        if not stale and not force and self._last is not None and self._is_settled(self._last):
            self._free(self._last)
            return self._last
        timed_out = {
            planned.name: replace(self._untrained(planned), why=_LATE, stopped=OUT_OF_TIME)
            for planned in stale
        }
        outcomes = [
            timed_out.get(planned.name) or self._previous_outcome(planned) for planned in inputs.planned
        ]
        try:
            embeddings = self._embedded(budget)
            trained = self._train(stale, budget)
            outcomes = [
                trained.get(planned.name) or self._previous_outcome(planned) for planned in inputs.planned
            ]
            report, used = self._judge(
                outcomes, embeddings, {planned.name for planned, _ in chosen}, force=force, budget=budget
            )
        except OutOfTime:
            return self._store(self._undecided(outcomes, _NO_VERDICT, budget))
        self._use(used, forced=report.forced)
        return self._store(report)

    # --- what is stale ---------------------------------------------------------------------------

    def _chosen(self, full: bool, only: Collection[str]) -> list[tuple[PlannedProjection, str]]:
        """Return the selected projections, each with its reason for training, "" if it is up to date."""
        names = [planned.name for planned in self._inputs.planned]
        if unknown := sorted(set(only).difference(names)):
            hint = f"patina oxidize --only {' --only '.join(names)}"
            raise UsageError(f"the recipe has no projection {', '.join(unknown)}", hint=hint)
        chosen = [planned for planned in self._inputs.planned if not only or planned.name in only]
        return [(planned, "requested" if full else self._explain_staleness(planned)) for planned in chosen]

    def _explain_staleness(self, planned: PlannedProjection) -> str:
        reason = explain_staleness(planned, self._last, self._inputs.history.events_hash, self._state)
        previous = self._last.outcome(planned.name) if self._last else None
        if reason or previous is None or not previous.weights or self._runner.is_usable(previous.weights):
            return reason
        return "its weights are damaged"

    def _staleness(self, planned: PlannedProjection, reason: str, texts: int) -> Staleness:
        future = self._inputs.split.future
        pairs = sum(1 for pair in self._inputs.pairs if pair.kind == planned.pairs and pair.moment < future)
        timing = (
            measure_step_timing(self._plugins, planned, self._inputs.space.dimensions) if reason else None
        )
        seconds = timing.estimate_seconds(texts, pairs, planned.settings.epochs) if timing else None
        return Staleness(planned.name, planned.kind, reason, pairs, seconds)

    def _is_settled(self, report: Report) -> bool:
        """Return whether the last run reached a verdict that is in use."""
        is_judged = all(outcome.gain is not None for outcome in report.outcomes if outcome.weights)
        answers = self._active.weights if self._active else ""
        return is_judged and not is_raw_requested(self._state) and answers == report.weights

    def _previous_outcome(self, planned: PlannedProjection) -> Outcome:
        """Return the last run's outcome of a projection that this run does not train."""
        previous = self._last.outcome(planned.name) if self._last else None
        is_later = self._last is not None and self._last.split > self._inputs.split.future
        if previous is None or previous.digest != planned.digest or is_later:
            return replace(self._untrained(planned), why="it was not selected for this run")
        if previous.weights and not self._runner.is_usable(previous.weights):
            return replace(self._untrained(planned), why="its weights are missing or damaged")
        return previous

    def _untrained(self, planned: PlannedProjection) -> Outcome:
        return Outcome(
            planned.name, planned.kind, planned.digest, planned.pairs, self._inputs.history.events_hash
        )

    # --- training ---------------------------------------------------------------------------------

    def _train(self, stale: Sequence[PlannedProjection], budget: TimeBudget) -> dict[str, Outcome]:
        if not stale:
            return {}
        remaining = budget.remaining()
        training_budget = TimeBudget(None if remaining is None else remaining * _TRAINING_SHARE)
        # Each kind of pairs has a training set of its own: a projection does not depend on the others.
        training_sets = {
            kind: self._training_set(kind, budget) for kind in sorted({planned.pairs for planned in stale})
        }
        outcomes = {}
        for waiting, planned in zip(range(len(stale), 0, -1), stale, strict=True):
            remaining = training_budget.remaining()
            share = None if remaining is None else remaining / waiting
            outcomes[planned.name] = self._train_one(planned, training_sets[planned.pairs], share)
        return outcomes

    def _training_set(self, kind: str, budget: TimeBudget) -> TrainingSet:
        inputs = self._inputs
        pairs = [pair for pair in inputs.pairs if pair.kind == kind]
        return read_training_set(
            inputs.history, inputs.split, pairs, self._state, inputs.space, self._encoder, budget.check
        )

    def _train_one(
        self, planned: PlannedProjection, training_set: TrainingSet, seconds: float | None
    ) -> Outcome:
        settings = replace(planned.settings, seconds=seconds)
        task = build_task(training_set, self._inputs.pairs, planned.pairs, self._inputs.split, settings)
        outcome = self._runner.train(planned, task, self._untrained(planned))
        if outcome.weights:
            self._trained.append(outcome)
        return outcome

    def _encoder(self) -> Encoder:
        return open_checked_encoder(self._plugins, self._inputs.space, self._state)

    # --- the gate ---------------------------------------------------------------------------------

    def _embedded(self, budget: TimeBudget) -> Embeddings:
        """Embed the later queries and the texts that may answer them; embeddings made in time are kept."""

        def report_progress(label: str, count: int, total: int) -> None:
            self._progress(label, count, total)
            budget.check()

        return embed_query_sets(self._memory, self._inputs.space, self._inputs.sets, report_progress)

    def _judge(
        self,
        outcomes: Sequence[Outcome],
        embeddings: Embeddings,
        chosen: Collection[str],
        *,
        force: bool,
        budget: TimeBudget,
    ) -> tuple[Report, Outcome | None]:
        former = self._former(outcomes)
        candidates = [outcome for outcome in (*outcomes, former) if outcome is not None and outcome.weights]
        opened = {outcome.weights: self._runner.open(outcome.weights) for outcome in candidates}
        raw, results = judge(self._inputs.sets, embeddings, opened, budget.check)
        outcomes = [_with_figures(outcome, results) for outcome in outcomes]
        former = _with_figures(former, results) if former else None
        # A projection that is forced by name is not compared with those that were not selected.
        offered = [outcome for outcome in outcomes if not force or outcome.name in chosen]
        previous = former or next((outcome for outcome in outcomes if self._is_active(outcome)), None)
        verdict = decide(
            offered,
            previous if len(offered) == len(outcomes) else None,
            force=force,
            was_forced=self._active is not None and self._active.forced,
        )
        return self._report(outcomes, raw, former, verdict, budget), verdict.used

    def _former(self, outcomes: Sequence[Outcome]) -> Outcome | None:
        """Return the projection in use if it is not an outcome and was trained before the present future."""
        active = self._active
        if active is None or active.split > self._inputs.split.future or any(map(self._is_active, outcomes)):
            return None
        return Outcome(active.name, active.kind, "", weights=active.weights, dimensions=active.dimensions)

    def _is_active(self, outcome: Outcome) -> bool:
        return self._active is not None and (outcome.name, outcome.weights) == (
            self._active.name,
            self._active.weights,
        )

    def _in_use(self) -> Active | None:
        """Return the projection in use if it is for this model, in the recipe and sound."""
        active = _load_sound(load_active, self._state)
        if active is None or active.name not in self._inputs.recipe.learned:
            return None
        if active.fingerprint != self._inputs.space.fingerprint or not self._runner.is_usable(active.weights):
            return None
        return active

    # --- the end ----------------------------------------------------------------------------------

    def _report(
        self,
        outcomes: Sequence[Outcome],
        raw: Mapping[str, Interval],
        former: Outcome | None,
        verdict: Verdict,
        budget: TimeBudget,
    ) -> Report:
        history, space = self._inputs.history, self._inputs.space
        return Report(
            made=int(time.time()),
            seconds=round(budget.spent, 3),
            events_hash=history.events_hash,
            recipe_version=self._inputs.recipe.version,
            model=space.model,
            runtime=space.runtime,
            variant=space.variant,
            fingerprint=space.fingerprint,
            split=self._inputs.split.future,
            sessions=len(history.sessions),
            past=self._inputs.split.sessions,
            pairs=self._inputs.pair_total,
            raw={name: _figure(figure) for name, figure in raw.items()},
            outcomes=tuple(outcomes),
            former=former,
            active=verdict.used.name if verdict.used else NONE,
            weights=verdict.used.weights if verdict.used else "",
            forced=verdict.forced,
            sentence=verdict.sentence,
        )

    def _undecided(self, outcomes: Sequence[Outcome], sentence: str, budget: TimeBudget) -> Report:
        """Report a run without a verdict, which leaves the projection in use."""
        report = self._report(outcomes, {}, None, Verdict(None, False, sentence), budget)
        if active := self._active:
            report = replace(report, active=active.name, weights=active.weights, forced=active.forced)
        return report

    def _use(self, used: Outcome | None, *, forced: bool) -> None:
        """Name the projection to use, then sync; the previous index answers until the swap."""
        request_raw(self._state, False)
        if used is None:
            store_active(self._state, None)
        else:
            gain = used.gain or Figure(0.0, None, None, 0)
            store_active(
                self._state,
                Active(
                    used.name, used.kind, used.weights, used.dimensions, self._inputs.space.fingerprint,
                    gain.value, gain.low, gain.high, gain.n, self._seen_until(used), forced,
                ),
            )  # fmt: skip
        self._memory.sync(quick=True, progress=self._progress, deliver=False)

    def _seen_until(self, used: Outcome) -> int:
        """Return the end of the past that the projection was trained on."""
        is_former = self._active is not None and self._active.weights == used.weights
        return self._active.split if self._active is not None and is_former else self._inputs.split.future

    def _store(self, report: Report) -> Report:
        keep_report(self._state, report)
        if _load_sound(load_active, self._state) is None:
            store_active(self._state, None)  # replaces a damaged file
        self._free(report)
        return report

    def notify(self, report: Report) -> None:
        """Call the event hooks for each projection that was trained."""
        paths = RepositoryPaths(self._memory.repository.root, self._memory.repository.common)
        for outcome in self._trained:
            judged = report.outcome(outcome.name) or outcome
            for fault in self._plugins.notify(
                "patina_projection_trained", projection=judged, report=report, repository=paths
            ):
                logger.warning("%s: %s: %s", fault.plugin, fault.where, fault.error)

    def _free(self, report: Report) -> None:
        """Delete weights and checkpoints that no later run needs."""
        delete_unused_weights(
            self._state,
            {report.weights, *(outcome.weights for outcome in report.outcomes), self._index_weights()},
        )
        if all(outcome.stopped != OUT_OF_TIME for outcome in report.outcomes):
            shutil.rmtree(self._state / PROJECTIONS_FOLDER / CHECKPOINTS, ignore_errors=True)

    def _index_weights(self) -> str:
        """Return the weights of the index in use, "" without: a sync may have failed to swap."""
        with Log(self._state, create=False) as log:
            space = active_space(log)
        return space.projection if space else ""


def _load_sound(load: Callable[[Path], T], state: Path) -> T | None:
    """Load a file, or return None if it cannot be read: a run writes it again."""
    with suppress(StateError):
        return load(state)
    return None


def _with_figures(outcome: Outcome, results: Mapping[str, GateResult]) -> Outcome:
    if outcome.weights not in results:
        return outcome
    result = results[outcome.weights]
    return replace(
        outcome,
        gain=_figure(result.gain),
        mrr={name: _figure(figure) for name, figure in result.mrr.items()},
        gains={name: _figure(figure) for name, figure in result.gains.items()},
    )


@contextmanager
def _training_lock(state: Path) -> Iterator[None]:
    lock = SyncLock(state / TRAINING_LOCK)
    if not lock.acquire():
        raise StateError("another training is running", hint="patina oxidize --report")
    try:
        yield
    finally:
        lock.release()


def _figure(interval: Interval) -> Figure:
    return Figure(interval.value, interval.low, interval.high, interval.n)
