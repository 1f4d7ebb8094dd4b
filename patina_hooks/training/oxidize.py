"""Oxidize: train what the recipe asks for on the past, judge it on the future, use what earned its place.

Nothing is encoded twice, nothing waits: the log is read in one view, training holds no lock that a sync
needs, and only the swap to another projection is a sync's own work, while the old index answers. A run that
ends early leaves everything as it was, and the next one goes on from its last epoch.
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
from patina_hooks.evaluation.evaluate import embed
from patina_hooks.git.lock import SyncLock
from patina_hooks.projection.active import (
    PROJECTIONS_FOLDER,
    Active,
    free_weights,
    is_raw_wanted,
    load_active,
    store_active,
    want_raw,
)
from patina_hooks.search.index.spaces import active_space
from patina_hooks.search.opening import open_space
from patina_hooks.specs.reports import Figure, Outcome, Report
from patina_hooks.specs.training import OUT_OF_TIME
from patina_hooks.specs.values import RepositoryPaths
from patina_hooks.store.log import Log
from patina_hooks.store.memory import Memory
from patina_hooks.system.worker_log import TRAINING, resolve_errors
from patina_hooks.training.basis import read_basis
from patina_hooks.training.gate import Judged, judge
from patina_hooks.training.pace import measured_pace
from patina_hooks.training.past import Past, read_past, task_of
from patina_hooks.training.reports.report import NONE, keep_report, last_report
from patina_hooks.training.staleness import why_stale
from patina_hooks.training.trainers.clock import Clock, OutOfTime
from patina_hooks.training.training import CHECKPOINTS, OnStep, Training
from patina_hooks.training.verdict import Verdict, decide

if TYPE_CHECKING:
    from patina_hooks.evaluation.embeddings import Embeddings
    from patina_hooks.evaluation.statistics.intervals import Interval
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.training.plan import Planned

TRAINING_LOCK: Final = "oxidize.lock"
_LATE: Final = "time ran out before it was trained"
_NO_VERDICT: Final = (
    "Time ran out before every question was asked, so nothing changed:"
    " patina oxidize takes the time that it needs."
)
_LEARNING: Final = 0.6
"""The share of what time is left that training takes; the rest is for the questions."""

logger = logging.getLogger(__name__)
T = TypeVar("T")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Staleness:
    """Why a projection of the recipe has to be trained, "" where it has not; pairs: how many it would learn
    from; seconds: how long that takes here at the most, as measured just now, None where it could not be."""

    name: str
    kind: str
    why: str
    pairs: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run would do. texts: distinct ones of all sessions; questions: those of the future, that will
    decide; lacks: what is missing for a verdict, "" where nothing is."""

    stale: tuple[Staleness, ...]
    texts: int
    questions: int
    lacks: str


class LearningMemory(Memory, Protocol):
    """A memory that can be brought in line with what was learned."""

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
    """Train what is stale, judge everything, and have the best that passed the gate used.

    full: train everything anew; only: these projections alone; force: use the best that was trained even if
    the gate refuses it; seconds: how long it may take in all; what is not done by then is left to a later
    run. Raises `StateError` where another
    training is under way, or vectors are missing; `SettingsError` for a recipe that cannot be meant;
    `UsageError` for a name that the recipe has not.
    """
    with _alone(memory.repository.state):
        run = _Run(memory, progress, on_step)
        report = run.run(full=full, only=only, force=force, seconds=seconds)
    # Event hooks are called with no lock held.
    resolve_errors(memory.repository.state, TRAINING)
    memory.deliver_events()
    run.notify(report)
    return report


def use_raw(memory: LearningMemory) -> Report | None:
    """Have the raw model answer again; gives the last report, which says so from now on, None without any.

    Raises `StateError` where a training is under way.
    """
    state = memory.repository.state
    with _alone(state):
        want_raw(state, True)
        store_active(state, None)
        memory.sync(quick=True, deliver=False)
        report = _sound(last_report, state)
        if report is not None:
            said = "The raw model answers: it was asked for (patina oxidize --raw)."
            made = int(time.time())
            report = replace(report, made=made, active=NONE, weights="", forced=False, sentence=said)
            keep_report(state, report)
    memory.deliver_events()
    return report


def outlook(memory: LearningMemory, *, full: bool = False, only: Collection[str] = ()) -> Outlook:
    """What `oxidize` would do now; trains, encodes and writes nothing. Raises as it does."""
    return _Run(memory).outlook(full=full, only=only)


class _Run:
    def __init__(
        self, memory: LearningMemory, progress: Progress = lambda *_: None, on_step: OnStep = lambda *_: None
    ) -> None:
        self._memory = memory
        self._plugins = memory.plugins
        self._state = memory.repository.state
        self._progress = progress
        self._basis = read_basis(memory)
        self._training = Training(self._state, self._plugins, self._basis.space, on_step)
        self._last = _sound(last_report, self._state)
        self._active = self._in_use()
        self._trained: list[Outcome] = []

    def outlook(self, *, full: bool, only: Collection[str]) -> Outlook:
        texts = len({piece.key for session in self._basis.history.sessions for piece in session.pieces})
        projections = tuple(self._staleness(one, why, texts) for one, why in self._chosen(full, only))
        return Outlook(projections, texts, sum(map(len, self._basis.sets)), self._basis.lacks)

    def run(self, *, full: bool, only: Collection[str], force: bool, seconds: float | None) -> Report:
        basis, clock = self._basis, Clock(seconds)
        chosen = self._chosen(full, only)
        stale = [one for one, why in chosen if why]
        if basis.lacks:
            outcomes = [replace(self._unseen(one), why=basis.lacks, lacks=True) for one in basis.planned]
            return self._keep(self._undecided(outcomes, f"Nothing was trained: {basis.lacks}.", clock))
        if not stale and not force and self._last is not None and self._is_settled(self._last):
            self._free(self._last)
            return self._last
        late = {one.name: replace(self._unseen(one), why=_LATE, stopped=OUT_OF_TIME) for one in stale}
        outcomes = [late.get(one.name) or self._before(one) for one in basis.planned]
        try:
            embeddings = self._embedded(clock)
            trained = self._train(stale, clock)
            outcomes = [trained.get(one.name) or self._before(one) for one in basis.planned]
            report, used = self._judge(
                outcomes, embeddings, {one.name for one, _ in chosen}, force=force, clock=clock
            )
        except OutOfTime:
            return self._keep(self._undecided(outcomes, _NO_VERDICT, clock))
        self._use(used, forced=report.forced)
        return self._keep(report)

    # --- what is stale ---------------------------------------------------------------------------

    def _chosen(self, full: bool, only: Collection[str]) -> list[tuple[Planned, str]]:
        """The projections that were asked for, each with why it has to be trained, "" where it has not."""
        names = [one.name for one in self._basis.planned]
        if unknown := sorted(set(only).difference(names)):
            hint = f"patina oxidize --only {' --only '.join(names)}"
            raise UsageError(f"the recipe has no projection {', '.join(unknown)}", hint=hint)
        chosen = [one for one in self._basis.planned if not only or one.name in only]
        return [(one, "asked for" if full else self._why_stale(one)) for one in chosen]

    def _why_stale(self, one: Planned) -> str:
        why = why_stale(one, self._last, self._basis.history.events_hash, self._state)
        before = self._last.outcome(one.name) if self._last else None
        if why or before is None or not before.weights or self._training.is_usable(before.weights):
            return why
        return "its weights are damaged"

    def _staleness(self, one: Planned, why: str, texts: int) -> Staleness:
        future = self._basis.split.future
        pairs = sum(1 for pair in self._basis.pairs if pair.kind == one.pairs and pair.moment < future)
        pace = measured_pace(self._plugins, one, self._basis.space.dimensions) if why else None
        seconds = pace.seconds(texts, pairs, one.settings.epochs) if pace else None
        return Staleness(one.name, one.kind, why, pairs, seconds)

    def _is_settled(self, report: Report) -> bool:
        """Whether the last run came to a verdict, and what it decided is what answers."""
        is_judged = all(one.gain is not None for one in report.outcomes if one.weights)
        answers = self._active.weights if self._active else ""
        return is_judged and not is_raw_wanted(self._state) and answers == report.weights

    def _before(self, one: Planned) -> Outcome:
        """What the last run made of a projection that is not trained now."""
        before = self._last.outcome(one.name) if self._last else None
        saw_the_future = self._last is not None and self._last.split > self._basis.split.future
        if before is None or before.digest != one.digest or saw_the_future:
            return replace(self._unseen(one), why="it was left out of this run")
        if before.weights and not self._training.is_usable(before.weights):
            return replace(self._unseen(one), why="its weights are gone or damaged")
        return before

    def _unseen(self, one: Planned) -> Outcome:
        return Outcome(one.name, one.kind, one.digest, one.pairs, self._basis.history.events_hash)

    # --- training ---------------------------------------------------------------------------------

    def _train(self, stale: Sequence[Planned], clock: Clock) -> dict[str, Outcome]:
        if not stale:
            return {}
        left = clock.left()
        learning = Clock(None if left is None else left * _LEARNING)
        # Read for each kind of pairs by itself: what one projection learns from is no business of another's.
        pasts = {kind: self._past(kind, clock) for kind in sorted({one.pairs for one in stale})}
        found = {}
        for waiting, one in zip(range(len(stale), 0, -1), stale, strict=True):
            left = learning.left()
            share = None if left is None else left / waiting
            found[one.name] = self._train_one(one, pasts[one.pairs], share)
        return found

    def _past(self, kind: str, clock: Clock) -> Past:
        basis = self._basis
        pairs = [pair for pair in basis.pairs if pair.kind == kind]
        return read_past(
            basis.history, basis.split, pairs, self._state, basis.space, self._encoder, clock.check
        )

    def _train_one(self, one: Planned, past: Past, seconds: float | None) -> Outcome:
        settings = replace(one.settings, seconds=seconds)
        task = task_of(past, self._basis.pairs, one.pairs, self._basis.split, settings)
        outcome = self._training.train(one, task, self._unseen(one))
        if outcome.weights:
            self._trained.append(outcome)
        return outcome

    def _encoder(self) -> Encoder:
        return open_space(self._plugins, self._basis.space, self._state)

    # --- the gate ---------------------------------------------------------------------------------

    def _embedded(self, clock: Clock) -> Embeddings:
        """The questions of the future and what may answer them; what was read of them in time is kept."""

        def told(what: str, done: int, total: int) -> None:
            self._progress(what, done, total)
            clock.check()

        return embed(self._memory, self._basis.space, self._basis.sets, told)

    def _judge(
        self,
        outcomes: Sequence[Outcome],
        embeddings: Embeddings,
        chosen: Collection[str],
        *,
        force: bool,
        clock: Clock,
    ) -> tuple[Report, Outcome | None]:
        former = self._former(outcomes)
        everyone = [one for one in (*outcomes, former) if one is not None and one.weights]
        opened = {one.weights: self._training.open(one.weights) for one in everyone}
        raw, judged = judge(self._basis.sets, embeddings, opened, clock.check)
        outcomes = [_with_figures(one, judged) for one in outcomes]
        former = _with_figures(former, judged) if former else None
        # What is forced by name is not measured against what was left out.
        offered = [one for one in outcomes if not force or one.name in chosen]
        before = former or next((one for one in outcomes if self._is_active(one)), None)
        verdict = decide(
            offered,
            before if len(offered) == len(outcomes) else None,
            force=force,
            was_forced=self._active is not None and self._active.forced,
        )
        return self._report(outcomes, raw, former, verdict, clock), verdict.used

    def _former(self, outcomes: Sequence[Outcome]) -> Outcome | None:
        """What is in use now, where it is not among the outcomes and saw nothing of what is future now."""
        active = self._active
        if active is None or active.split > self._basis.split.future or any(map(self._is_active, outcomes)):
            return None
        return Outcome(active.name, active.kind, "", weights=active.weights, dimensions=active.dimensions)

    def _is_active(self, one: Outcome) -> bool:
        return self._active is not None and (one.name, one.weights) == (
            self._active.name,
            self._active.weights,
        )

    def _in_use(self) -> Active | None:
        """What is in use now, where it can be: for this model, in the recipe, and sound."""
        active = _sound(load_active, self._state)
        if active is None or active.name not in self._basis.recipe.learned:
            return None
        if active.fingerprint != self._basis.space.fingerprint or not self._training.is_usable(
            active.weights
        ):
            return None
        return active

    # --- the end ----------------------------------------------------------------------------------

    def _report(
        self,
        outcomes: Sequence[Outcome],
        raw: Mapping[str, Interval],
        former: Outcome | None,
        verdict: Verdict,
        clock: Clock,
    ) -> Report:
        history, space = self._basis.history, self._basis.space
        return Report(
            made=int(time.time()),
            seconds=round(clock.spent, 3),
            events_hash=history.events_hash,
            recipe_version=self._basis.recipe.version,
            model=space.model,
            runtime=space.runtime,
            variant=space.variant,
            fingerprint=space.fingerprint,
            split=self._basis.split.future,
            sessions=len(history.sessions),
            past=self._basis.split.sessions,
            pairs=self._basis.pair_total,
            raw={name: _figure(figure) for name, figure in raw.items()},
            outcomes=tuple(outcomes),
            former=former,
            active=verdict.used.name if verdict.used else NONE,
            weights=verdict.used.weights if verdict.used else "",
            forced=verdict.forced,
            sentence=verdict.sentence,
        )

    def _undecided(self, outcomes: Sequence[Outcome], sentence: str, clock: Clock) -> Report:
        """A run without a verdict: what is in use stays."""
        report = self._report(outcomes, {}, None, Verdict(None, False, sentence), clock)
        if active := self._active:
            report = replace(report, active=active.name, weights=active.weights, forced=active.forced)
        return report

    def _use(self, used: Outcome | None, *, forced: bool) -> None:
        """Have this projection answer: it is named, then a sync swaps to it while the old index answers."""
        want_raw(self._state, False)
        if used is None:
            store_active(self._state, None)
        else:
            gain = used.gain or Figure(0.0, None, None, 0)
            store_active(
                self._state,
                Active(
                    used.name, used.kind, used.weights, used.dimensions, self._basis.space.fingerprint,
                    gain.value, gain.low, gain.high, gain.n, self._seen_until(used), forced,
                ),
            )  # fmt: skip
        self._memory.sync(quick=True, progress=self._progress, deliver=False)

    def _seen_until(self, used: Outcome) -> int:
        """From when on all is future to what is used: the former was trained in an earlier run."""
        is_former = self._active is not None and self._active.weights == used.weights
        return self._active.split if self._active is not None and is_former else self._basis.split.future

    def _keep(self, report: Report) -> Report:
        keep_report(self._state, report)
        if _sound(load_active, self._state) is None:
            store_active(self._state, None)  # a damaged one is of no use
        self._free(report)
        return report

    def notify(self, report: Report) -> None:
        """Call the event hooks for each projection that was trained."""
        paths = RepositoryPaths(self._memory.repository.root, self._memory.repository.common)
        for outcome in self._trained:
            told = report.outcome(outcome.name) or outcome
            for fault in self._plugins.notify(
                "patina_projection_trained", projection=told, report=report, repository=paths
            ):
                logger.warning("%s: %s: %s", fault.plugin, fault.where, fault.error)

    def _free(self, report: Report) -> None:
        """Drop what no later run needs."""
        free_weights(
            self._state, {report.weights, *(one.weights for one in report.outcomes), self._answers()}
        )
        if all(one.stopped != OUT_OF_TIME for one in report.outcomes):
            shutil.rmtree(self._state / PROJECTIONS_FOLDER / CHECKPOINTS, ignore_errors=True)

    def _answers(self) -> str:
        """The weights that the index which answers was made with, if any: a sync may have failed to swap."""
        with Log(self._state, create=False) as log:
            space = active_space(log)
        return space.projection if space else ""


def _sound(read: Callable[[Path], T], state: Path) -> T | None:
    """What cannot be read is as if it never was: a run makes it anew."""
    with suppress(StateError):
        return read(state)
    return None


def _with_figures(one: Outcome, judged: Mapping[str, Judged]) -> Outcome:
    if one.weights not in judged:
        return one
    found = judged[one.weights]
    return replace(
        one,
        gain=_figure(found.gain),
        mrr={name: _figure(figure) for name, figure in found.mrr.items()},
        gains={name: _figure(figure) for name, figure in found.gains.items()},
    )


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    lock = SyncLock(state / TRAINING_LOCK)
    if not lock.acquire():
        raise StateError("a training is under way already", hint="patina oxidize --report")
    try:
        yield
    finally:
        lock.release()


def _figure(interval: Interval) -> Figure:
    return Figure(interval.value, interval.low, interval.high, interval.n)
