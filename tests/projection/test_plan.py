"""What a recipe's projections come to for a model: kinds, widths and pairs, and errors that say the fix."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from projection.learning import projected_by
from support.memory import plugins

from patina_hooks import hookimpl
from patina_hooks.config.recipe import Recipe, parse_recipe
from patina_hooks.config.shared_files import RECIPE_FILE
from patina_hooks.errors import PatinaError, PluginError, SettingsError
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import ExtractorSpec
from patina_hooks.training.plan import PlannedProjection, plan_projections

ONE = "version: 2\nembedding_model: acme-64\nprojections:\n  semantic:\n"


def planned(text: str, dimensions: int = 384, fingerprint: str = "f") -> tuple[PlannedProjection, ...]:
    return plan_projections(plugins(), parse_recipe(text, RECIPE_FILE), dimensions, fingerprint)


def only(text: str, dimensions: int = 384, fingerprint: str = "f") -> PlannedProjection:
    (one,) = planned(text, dimensions, fingerprint)
    return one


def widths(one: PlannedProjection) -> tuple[int, int]:
    return one.settings.hidden, one.settings.out


def refused(text: str, error: type[PatinaError], dimensions: int = 384) -> str:
    with pytest.raises(error) as caught:
        planned(text, dimensions)
    return str(caught.value)


@pytest.mark.parametrize("dimensions", [64, 384, 768, 1024, 2560, 4096])
def test_layers_without_the_input_fit_a_model_of_any_width(dimensions: int) -> None:
    assert widths(only(ONE + "    layers: [1024, 200]\n", dimensions)) == (1024, 200)
    assert widths(only(f"{ONE}    layers: [{dimensions}, 1024, 200]\n", dimensions)) == (1024, 200)
    assert widths(only(ONE + "    type: mlp\n", dimensions)) == (1024, min(256, dimensions))
    assert widths(only(ONE + "    type: residual\n", dimensions)) == (512, min(256, dimensions))


def test_layers_that_no_memory_holds_are_refused() -> None:
    said = refused(ONE + "    type: mlp\n    layers: [16384, 16384]\n", SettingsError)
    assert said == (
        f"{RECIPE_FILE}:6: projections.semantic.layers is [16384, 16384], expected no more than 67,108,864"
        " weights on the 384 dimensions of acme-64; write: layers: [1024, 256]"
    )


@pytest.mark.parametrize("dimensions", [64, 384, 1024, 2560, 4096])
def test_an_input_that_contradicts_the_model_is_refused_with_the_corrected_line(dimensions: int) -> None:
    said = refused(ONE + "    type: mlp\n    layers: [768, 1024, 256]\n", SettingsError, dimensions)
    assert said == (
        f"{RECIPE_FILE}:6: projections.semantic.layers is [768, 1024, 256], but the model acme-64 has"
        f" {dimensions} dimensions; write: layers: [{dimensions}, 1024, 256]"
    )


def test_without_projections_every_built_in_kind_is_trained() -> None:
    assert [(one.name, one.kind) for one in planned("version: 2\nembedding_model: acme-64\n")] == [
        ("whitening", "whitening"),
        ("mlp", "mlp"),
        ("residual", "residual"),
    ]


@pytest.mark.parametrize(
    ("text", "kind", "pairs", "epochs", "batch_size"),
    [
        (
            "version: 1\nembedding_model: m\nprojections:\n  semantic:\n    layers: [768, 1024, 256]\n"
            "    epochs: 7\n    batch_size: 32\n",
            "mlp", "same_session", 7, 32,
        ),
        (
            "version: 2\nembedding_model: m\nruntime: mlx\nprojections:\n  semantic:\n    type: dimension\n"
            "    layers: [768, 1024, 256]\n    training: {source: sessions.observations,"
            " pair_type: same_session, epochs: 5, batch_size: 16}\n",
            "mlp", "same_session", 5, 16,
        ),
        (
            "version: 2\nprojections:\n  dependency:\n    layers: [1024, 256]\n"
            "    training: {source: git.co_changes, pair_type: co_changed}\n",
            "mlp", "co_changed", 10, 64,
        ),
        ("projections: {temporal: {training: {source: git}}}\n", "mlp", "co_changed", 10, 64),
        ("projections: {files: {training: {source: commits}}}\n", "mlp", "commit_files", 10, 64),
        ("projections: {modules: {training: {source: modules}}}\n", "mlp", "same_module", 10, 64),
        ("projections: {x: {training: {pair_type: goal_observation}}}\n", "mlp", "goal_observation", 10, 64),
        ("projections: {x: {training: {pair_type: same_module}}}\n", "mlp", "same_module", 10, 64),
    ],
)  # fmt: skip
def test_every_dialect_comes_to_a_kind_and_its_pairs(
    text: str, kind: str, pairs: str, epochs: int, batch_size: int
) -> None:
    one = only(text, 768)
    assert (one.kind, one.pairs, one.settings.epochs, one.settings.batch_size) == (
        kind, pairs, epochs, batch_size,
    )  # fmt: skip


def test_the_name_says_nothing_of_the_kind() -> None:
    one = only("projections: {whitening: {type: residual}}\n")
    assert (one.name, one.kind, one.train) == (
        "whitening", "residual", "patina_hooks.training.trainers.residual:train",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "line", "error", "says"),
    [
        (
            "    layers: [9, 9]\n    type: whitning\n",
            6,
            PluginError,
            "; did you mean whitening?",
        ),
        (
            "    type: mlp\n    training:\n      epochs: 3\n      source: jira\n",
            8,
            SettingsError,
            "projections.semantic.training.source is 'jira', expected one of: commits, git, git.co_changes,"
            " modules, sessions, sessions.observations; write: source: sessions",
        ),
        (
            "    training:\n      pair_type: best_friends\n",
            6,
            SettingsError,
            "projections.semantic.training.pair_type is 'best_friends', expected one of: co_changed,",
        ),
        (
            "    training: {source: sessions, pair_type: co_changed}\n",
            5,
            SettingsError,
            "projections.semantic.training.pair_type is 'co_changed', which is not made from the source"
            " 'sessions'; expected one of: commit_session, context_session, goal_observation, same_session",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_place(
    lines: str, line: int, error: type[PatinaError], says: str
) -> None:
    said = refused(ONE + lines, error)
    assert said.startswith(f"{RECIPE_FILE}:{line}: projections.semantic.")
    assert says in said


def test_the_digest_changes_with_everything_that_decides_the_weights_and_nothing_else() -> None:
    text = ONE + "    type: mlp\n    layers: [32, 16]\n    training: {epochs: 4, batch_size: 8}\n"
    first = only(text)
    others = [
        only(text, fingerprint="g"),
        only(text.replace("type: mlp", "type: residual")),
        only(text.replace("[32, 16]", "[32, 17]")),
        only(text.replace("[32, 16]", "[33, 16]")),
        only(text.replace("epochs: 4", "epochs: 5")),
        only(text.replace("batch_size: 8", "batch_size: 9")),
        only(text.replace("epochs: 4", "pair_type: goal_observation, epochs: 4")),
    ]
    assert len({first.digest, *(one.digest for one in others)}) == 1 + len(others)
    renamed = only(text.replace("semantic:", "other:").replace("[32, 16]", "[384, 32, 16]"))
    assert renamed == replace(first, name="other")


def test_a_projection_learned_from_what_other_extractors_read_is_another() -> None:
    def digest(version: int) -> str:
        reader = ExtractorSpec("reader", version, "session", "acme:read")
        providers = Plugins.load(disabled=["*"])
        providers.register(SimpleNamespace(patina_register_extractors=hookimpl(lambda: [reader])), "acme")
        return plan_projections(providers, Recipe(), 384, "f")[0].digest

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_a_kind_of_another_plugin_is_found_by_its_full_name_too() -> None:
    providers = projected_by(lambda task, watch: None)
    for name in ("odd", "odd-plugin/odd"):
        recipe = parse_recipe(f"projections: {{mine: {{type: {name}}}}}\n", RECIPE_FILE)
        (one,) = plan_projections(providers, recipe, 64, "f")
        assert (one.kind, one.train) == (name, "odd_projection:train")
        assert widths(one) == (96, 64)
        assert providers.projection(one.kind).train == one.train
