"""Resolve the types, layers and sources of a recipe's projections.

`type` selects the kind of projection, `training.source` and `training.pair_type` select its pairs; its name
has no meaning. A recipe without projections trains every built-in kind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from patina_hooks.config.recipe import BUILTIN_KINDS, ProjectionRecipe, Recipe
from patina_hooks.config.shared_files import RECIPE_FILE
from patina_hooks.errors import PluginError, SettingsError
from patina_hooks.specs.training import TrainingSettings

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.plugins import PairGeneratorSpec, ProjectionSpec

_ANCESTORS: Final = {"": "mlp", "dimension": "mlp"}
"""The names that recipes of the ancestor project have for its only kind."""

_SOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "sessions": ("session", "same_session"),
    "sessions.observations": ("session", "same_session"),
    "commits": ("commit", "commit_files"),
    "git": ("commit", "co_changed"),
    "git.co_changes": ("commit", "co_changed"),
    "modules": ("module", "same_module"),
}
"""Source -> the kind of pair scope, and the pairs of a recipe without pair_type."""

_OUT: Final = 256
_MOST_WEIGHTS: Final = 1 << 26
"""Training holds five copies of the weights."""


@dataclass(frozen=True, slots=True)
class PlannedProjection:
    """One projection, ready for training.

    kind: the name that its plugin registered.
    pairs: the kind of pairs to train with.
    digest: of everything but the history that its weights depend on.
    """

    name: str
    kind: str
    train: str
    pairs: str
    settings: TrainingSettings
    digest: str


def plan_projections(
    plugins: Plugins, recipe: Recipe, dimensions: int, fingerprint: str
) -> tuple[PlannedProjection, ...]:
    """Plan every projection of the recipe.

    Args:
        plugins: the installed plugins.
        recipe: the recipe of the repository.
        dimensions: those of the model.
        fingerprint: that of the model.

    Raises:
        SettingsError: the layers do not fit the model, or the source does not fit the pairs.
        PluginError: no plugin provides the kind of projection or of pairs.
    """
    projections = recipe.projections or tuple(ProjectionRecipe(kind, type=kind) for kind in BUILTIN_KINDS)
    return tuple(
        _plan_projection(plugins, recipe, projection, dimensions, fingerprint) for projection in projections
    )


def _plan_projection(
    plugins: Plugins, recipe: Recipe, projection: ProjectionRecipe, dimensions: int, fingerprint: str
) -> PlannedProjection:
    kind = _ANCESTORS.get(projection.type, projection.type)
    spec = _find_trainer(plugins, projection, kind)
    generator = _find_generator(plugins, projection)
    hidden, out = _widths(recipe, projection, spec, dimensions)
    defaults = TrainingSettings(hidden, out)
    settings = TrainingSettings(
        hidden,
        out,
        epochs=projection.epochs or defaults.epochs,
        batch_size=projection.batch_size or defaults.batch_size,
    )
    facts = [spec.name, spec.version, spec.train, generator.name, generator.version, fingerprint]
    extractors = [(extractor.name, extractor.version) for extractor in plugins.extractors()]
    canonical = json.dumps([*facts, extractors, asdict(settings)], sort_keys=True)
    digest = sha256(canonical.encode()).hexdigest()
    return PlannedProjection(projection.name, kind, spec.train, generator.name, settings, digest)


def _find_trainer(plugins: Plugins, projection: ProjectionRecipe, kind: str) -> ProjectionSpec:
    try:
        return plugins.projection(kind)
    except PluginError as error:
        location = _describe_location(projection, "type") if projection.lines else RECIPE_FILE
        raise PluginError(f"{location}: {error}", hint=error.hint) from error


def _find_generator(plugins: Plugins, projection: ProjectionRecipe) -> PairGeneratorSpec:
    scope, default_kind = _SOURCES.get(projection.source or "sessions", ("", ""))
    if not scope:
        sources = ", ".join(sorted(_SOURCES))
        raise SettingsError(
            f"{_describe_location(projection, 'source')} is {projection.source!r},"
            f" expected one of: {sources}; write: source: sessions"
        )
    pair_kind = projection.pair_type or default_kind
    specs = {spec.name: spec for spec in plugins.pair_generators()}
    if pair_kind not in specs:
        raise SettingsError(
            f"{_describe_location(projection, 'pair_type')} is {pair_kind!r}, expected one"
            f" of: {', '.join(sorted(specs))}; write: pair_type: same_session"
        )
    if projection.source and specs[pair_kind].scope != scope:
        fitting = ", ".join(sorted(name for name, spec in specs.items() if spec.scope == scope))
        raise SettingsError(
            f"{_describe_location(projection, 'pair_type')} is {pair_kind!r}, which is not"
            f" made from the source {projection.source!r}; expected one of: {fitting}"
        )
    return specs[pair_kind]


def _widths(
    recipe: Recipe, projection: ProjectionRecipe, spec: ProjectionSpec, dimensions: int
) -> tuple[int, int]:
    """Return the widths (hidden, out); without layers in the recipe, no wider than the model."""
    if not projection.layers:
        return spec.hidden, min(_OUT, dimensions)
    *first, hidden, out = projection.layers
    if hidden * (dimensions + out) > _MOST_WEIGHTS:
        raise SettingsError(
            f"{_describe_location(projection, 'layers')} is {list(projection.layers)},"
            f" expected no more than {_MOST_WEIGHTS:,} weights on the {dimensions}"
            f" dimensions of {recipe.model}; write: layers: [1024, 256]"
        )
    if first and first != [dimensions]:
        raise SettingsError(
            f"{_describe_location(projection, 'layers')} is {list(projection.layers)}, but the model"
            f" {recipe.model} has {dimensions} dimensions; write: layers: [{dimensions}, {hidden}, {out}]"
        )
    return hidden, out


def _describe_location(projection: ProjectionRecipe, key: str) -> str:
    """Return file, line and full name of a key for an error."""
    inner = "training." if key in ("source", "pair_type") else ""
    return f"{RECIPE_FILE}:{projection.line(key)}: projections.{projection.name}.{inner}{key}"
