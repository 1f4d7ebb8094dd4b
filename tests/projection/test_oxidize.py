"""Runs of oxidize on a history that a projection helps with: what is trained, what is used, what stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from evaluation.past import space_of
from projection.learning import (
    MODEL,
    PAST,
    RECIPE,
    SESSIONS,
    copy_of,
    make_history,
    session_id,
)
from projection.runs import (
    MLP,
    QUESTION,
    WHITENING,
    answered_by,
    asks_for,
    look,
    more_history,
    named,
    run,
    stale,
)
from support.memory import Memory, memory_of

from patina_hooks import hookimpl
from patina_hooks.errors import SettingsError, StateError, UsageError
from patina_hooks.plugins.manager import Plugins
from patina_hooks.projection.active import PROJECTIONS_FOLDER, load_active, store_active
from patina_hooks.specs.reports import Outcome, Report
from patina_hooks.specs.training import TrainingStep
from patina_hooks.specs.values import RepositoryPaths
from patina_hooks.training.reports.report import last_report
from patina_hooks.training.trainers.time_budget import OutOfTime, TimeBudget

# --- what is used -----------------------------------------------------------------------------------


def test_what_helps_on_later_history_is_used_and_what_hurts_is_not(memory: Memory) -> None:
    found = run(memory)
    assert {one.name for one in found.outcomes if one.passes} == {"whitening", "residual"}
    mlp = named(found, "mlp")
    assert mlp.gain is not None
    assert mlp.gain.value < 0
    assert (found.active, found.forced, found.former) == ("residual", False, None)
    assert found.sentence.startswith("residual is used: over 126 later questions its MRR@10 is +0.")
    assert (found.sessions, found.past, found.split) == (SESSIONS, PAST, found.split)
    assert answered_by(memory) == named(found, "residual").weights == found.weights
    assert space_of(memory).projected == 24
    active = load_active(memory.state)
    assert active is not None
    assert (active.name, active.weights, active.forced) == ("residual", found.weights, False)
    assert last_report(memory.state) == found


def test_a_run_with_nothing_to_do_gives_the_last_report_again(memory: Memory) -> None:
    first = run(memory)
    assert stale(memory) == {}
    steps: list[TrainingStep] = []
    assert run(memory, on_step=lambda _, step: steps.append(step)) == first
    assert steps == []
    again = run(memory, full=True, on_step=lambda _, step: steps.append(step))
    assert [one.weights for one in again.outcomes] == [one.weights for one in first.outcomes]
    assert len(steps) == 6


def test_what_changed_says_what_is_stale(memory: Memory) -> None:
    assert stale(memory) == dict.fromkeys(("whitening", "mlp", "residual"), "it was never trained")
    run(memory)
    asks_for(memory, RECIPE.replace("mlp, layers: [32, 24], epochs: 3", "mlp, layers: [32, 24], epochs: 2"))
    assert stale(memory) == {"mlp": "the recipe, the model or a plugin changed since it was trained"}
    more_history(memory)
    whys = stale(memory)
    assert (whys["whitening"], whys["residual"]) == ("the history changed since it was trained",) * 2
    run(memory)
    assert stale(memory) == {}


def test_what_was_left_out_is_still_to_be_trained(memory: Memory) -> None:
    first = run(memory, only=["whitening"])
    assert [one.name for one in first.outcomes if one.weights] == ["whitening"]
    assert first.active == "whitening"
    assert stale(memory).keys() == {"mlp", "residual"}
    run(memory)
    more_history(memory)
    run(memory, only=["whitening"])
    assert stale(memory) == dict.fromkeys(("mlp", "residual"), "the history changed since it was trained")


def test_a_name_that_the_recipe_has_not_is_refused(memory: Memory) -> None:
    with pytest.raises(UsageError, match="the recipe has no projection mpl, resi") as caught:
        run(memory, only=["mpl", "mlp", "resi"])
    assert caught.value.hint == "patina oxidize --only whitening --only mlp --only residual"
    assert last_report(memory.state) is None


def test_a_recipe_that_cannot_be_read_is_refused(memory: Memory) -> None:
    asks_for(memory, MODEL + "  mine: {typo: mlp}\n")
    with pytest.raises(SettingsError, match="typo"):
        run(memory)


def test_a_model_that_has_not_read_the_history_is_refused(memory: Memory) -> None:
    asks_for(memory, "embedding_model: minilm-l6-v2\n")
    with pytest.raises(StateError, match="the index has no vectors") as caught:
        run(memory)
    assert caught.value.hint == "patina sync"


def test_too_little_history_says_how_much_is_missing_and_leaves_all_as_it_was(tmp_path: Path) -> None:
    memory = make_history(tmp_path / "repository", sessions=14)
    memory.sync()
    found = run(memory)
    assert found.sentence.startswith("Nothing was trained: not enough history: needs 6 more")
    assert {one.why for one in found.outcomes} == {look(memory).lacks}
    assert (found.active, found.weights, load_active(memory.state)) == ("none", "", None)
    assert stale(memory) == {}, "running it again would not help"


def test_without_any_session_the_report_says_so(tmp_path: Path) -> None:
    memory = make_history(tmp_path / "repository", sessions=0)
    memory.sync()
    assert "needs 20 more sessions, 30 more test queries" in run(memory).sentence


# --- the former, and what is forced -----------------------------------------------------------------


def test_a_former_one_of_the_same_name_stays_where_the_new_one_is_no_better(memory: Memory) -> None:
    asks_for(memory, WHITENING)
    first = run(memory)
    asks_for(memory, MLP)
    found = run(memory)
    assert found.former is not None
    assert (found.active, found.weights, found.forced) == ("mine", first.weights, False)
    assert found.former.gain is not None
    before = named(first).gain
    assert before is not None
    assert found.former.gain.value == before.value  # among more candidates its interval is wider
    assert not found.uses(named(found))
    assert found.uses(found.former)
    assert answered_by(memory) == first.weights
    assert run(memory) == found, "nothing is left to do"


def test_one_that_the_recipe_no_longer_names_is_not_used_and_not_offered(memory: Memory) -> None:
    run(memory)
    asks_for(memory, MLP)
    memory.sync()
    assert answered_by(memory) == ""
    found = run(memory)
    assert (found.former, found.active) == (None, "none")
    assert load_active(memory.state) is None


def test_the_raw_model_comes_back_where_the_former_passes_no_more(memory: Memory) -> None:
    asks_for(memory, MLP)
    first = run(memory, force=True)
    active = load_active(memory.state)
    assert active is not None
    store_active(memory.state, replace(active, forced=False))
    found = run(memory, full=True)
    assert (found.active, answered_by(memory)) == ("none", "")
    assert named(found).weights == first.weights


def test_one_that_saw_what_is_the_future_by_now_is_not_judged(memory: Memory) -> None:
    asks_for(memory, WHITENING)
    run(memory)
    for side in ("start", "end"):
        memory.git("tag", "-d", f"session-{session_id(SESSIONS - 1)}-{side}")
    memory.git("reset", "-q", "--hard", "main~3")
    asks_for(memory, MLP)
    memory.sync()
    found = run(memory)
    assert (found.past, found.former, found.active) == (PAST - 1, None, "none")


def test_what_is_forced_is_used_with_a_warning_that_lasts(memory: Memory) -> None:
    asks_for(memory, MLP)
    assert run(memory).active == "none"
    forced = run(memory, force=True)
    assert (forced.active, forced.forced) == ("mine", True)
    assert answered_by(memory) == named(forced).weights
    for full in (False, True):
        found = run(memory, full=full)
        assert (found.active, found.weights, found.forced) == ("mine", forced.weights, True)
    more_history(memory)
    later = run(memory)
    assert (later.weights, later.forced) == (forced.weights, True)
    with memory_of(memory.repository) as patina:
        status = patina.status()
    assert status.projection == "mine"
    assert any("the gate refuses it" in warning for warning in status.warnings)
    asks_for(memory, WHITENING)
    earned = run(memory)
    assert (earned.active, earned.forced) == ("mine", False)
    assert earned.weights == named(earned).weights


def test_one_may_be_forced_by_name_over_another_that_passes(memory: Memory) -> None:
    run(memory)
    found = run(memory, only=["mlp"], force=True)
    assert (found.active, found.forced) == ("mlp", True)
    assert answered_by(memory) == named(found, "mlp").weights


def test_force_without_need_forces_nothing(memory: Memory) -> None:
    found = run(memory, force=True)
    assert (found.active, found.forced) == ("residual", False)


# --- who listens ------------------------------------------------------------------------------------
def test_who_listens_hears_of_each_that_was_trained(memory: Memory) -> None:
    heard: list[tuple[Outcome, Report]] = []

    class Listener:
        @hookimpl
        def patina_projection_trained(
            self, projection: Outcome, report: Report, repository: RepositoryPaths
        ) -> None:
            heard.append((projection, report))
            assert repository.root == memory.repository.root
            raise ValueError("the odd hook")

    providers = Plugins.load(disabled=())
    providers.register(Listener(), "listener")
    found = run(memory, providers)
    assert heard == [(one, found) for one in found.outcomes]
    heard.clear()
    run(memory, providers, only=["mlp"], full=True)
    assert [projection.name for projection, _ in heard] == ["mlp"]


# --- interrupted, bounded, side by side -------------------------------------------------------------


def test_interrupted_training_leaves_the_former_in_use_and_goes_on_later(
    memory: Memory, tmp_path: Path
) -> None:
    asks_for(memory, WHITENING)
    former = run(memory)
    asks_for(
        memory,
        WHITENING
        + "  one: {type: residual, layers: [32, 24], epochs: 3}\n"
        + "  other: {type: mlp, layers: [32, 24], epochs: 4}\n",
    )
    uninterrupted = run(copy_of(memory, tmp_path / "copy"))

    def interrupt(name: str, step: TrainingStep) -> None:
        if (name, step.epoch) == ("other", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(memory, on_step=interrupt)
    memory.sync()
    assert (answered_by(memory), last_report(memory.state)) == (former.weights, former)
    steps: list[tuple[str, int]] = []
    resumed = run(memory, on_step=lambda name, step: steps.append((name, step.epoch)))
    assert steps == [("other", 3), ("other", 4)]
    for name in ("one", "other"):
        assert named(resumed, name).weights == named(uninterrupted, name).weights
        assert named(resumed, name).curve == named(uninterrupted, name).curve
    assert not (memory.state / PROJECTIONS_FOLDER / "checkpoints").exists()


def test_training_that_ran_out_of_time_is_not_used_and_goes_on_in_the_next_run(memory: Memory) -> None:
    found = run(memory, seconds=0.0)
    assert [one.stopped for one in found.outcomes] == ["out of time"] * 3
    assert not any(one.weights for one in found.outcomes)
    assert all("time ran out" in one.why for one in found.outcomes)
    assert found.sentence.startswith("Time ran out before every query was evaluated; nothing changed.")
    again = run(memory)
    assert [one.stopped == "out of time" for one in again.outcomes] == [False, False, False]
    assert all(one.weights for one in again.outcomes)


def test_what_was_trained_when_time_ran_out_is_judged_by_the_next_run(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(memory, seconds=0.0)  # the questions are read
    asks_for(memory, WHITENING)

    def late(*_: object) -> None:
        raise OutOfTime

    with monkeypatch.context() as patched:
        patched.setattr(TimeBudget, "check", late)
        found = run(memory, seconds=60.0)
    assert (bool(named(found).weights), named(found).gain, found.active) == (True, None, "none")
    assert "Time ran out" in found.sentence
    again = run(memory)
    assert (again.active, again.weights) == ("mine", named(found).weights)


def test_what_one_projection_learns_does_not_depend_on_the_others(memory: Memory) -> None:
    """Or a recipe that was edited would have other weights than the same one in a new clone."""
    both = MODEL + (
        "  mine: {type: whitening, layers: [32, 24]}\n"
        "  files: {type: residual, layers: [32, 24], training: {pair_type: commit_files, epochs: 1}}\n"
    )
    asks_for(memory, WHITENING)
    alone = named(run(memory)).weights
    asks_for(memory, both)
    grown = {one.name: one.weights for one in run(memory).outcomes}
    again = {one.name: one.weights for one in run(memory, full=True).outcomes}
    assert grown == again
    assert grown["mine"] == alone


def test_of_two_runs_at_once_the_second_is_told(memory: Memory) -> None:
    told: list[str] = []

    def second(name: str, step: TrainingStep) -> None:
        with pytest.raises(StateError, match="another training is running") as caught:
            run(memory)
        told.append(caught.value.hint)

    assert run(memory, on_step=second).active == "residual"
    assert set(told) == {"patina oxidize --report"}


def test_a_sync_meanwhile_waits_for_nothing_and_is_not_undone(memory: Memory) -> None:
    oids: list[str] = []

    def commit(name: str, step: TrainingStep) -> None:
        oids.append(memory.commit(f"review {QUESTION} again", {"src/meanwhile.py": str(len(oids))}))
        memory.sync()

    run(memory, on_step=commit)
    with memory_of(memory.repository) as patina:
        assert patina.status().pending == 0
        assert {hit.commit for hit in patina.search(f"review {QUESTION} again")} & set(oids)


# --- looking ahead ----------------------------------------------------------------------------------


def test_looking_ahead_writes_nothing(memory: Memory) -> None:
    run(memory)
    more_history(memory)
    before = contents(memory)
    ahead = look(memory)
    assert {one.why for one in ahead.stale} == {"the history changed since it was trained"}
    assert all(one.seconds is not None and one.pairs > 0 for one in ahead.stale)
    assert (ahead.questions >= 90, ahead.lacks) == (True, "")
    assert contents(memory) == before
    assert [one.name for one in look(memory, ["mlp"]).stale] == ["mlp"]


def contents(memory: Memory) -> dict[str, bytes]:
    """Every file of the state but for SQLite's own, which readers touch."""
    return {
        str(path): path.read_bytes()
        for path in memory.root.rglob("*")
        if path.is_file() and ".db" not in path.name
    }
