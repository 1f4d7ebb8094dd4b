"""What a recipe's projections come to: the one place where names, layers and sources are resolved.

A kind of projection is chosen by `type`, its pairs by `training.source` and `training.pair_type`; the name
that a projection bears says nothing. A recipe without projections asks for every built-in kind.
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
"""What the ancestor project's recipes call the only kind that they know."""

_SOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "sessions": ("session", "same_session"),
    "sessions.observations": ("session", "same_session"),
    "commits": ("commit", "commit_files"),
    "git": ("commit", "co_changed"),
    "git.co_changes": ("commit", "co_changed"),
    "modules": ("module", "same_module"),
}
"""Source -> the kind of scope that it means, and the pairs that are taken where no pair_type is given."""

_OUT: Final = 256
_MOST_WEIGHTS: Final = 1 << 26
"""Training holds them five times."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One projection, ready to be trained. kind: as plugins find it; pairs: the kind of pairs to learn from;
    digest: of everything that decides its weights beside the history."""

    name: str
    kind: str
    train: str
    pairs: str
    settings: TrainingSettings
    digest: str


def plan(plugins: Plugins, recipe: Recipe, dimensions: int, fingerprint: str) -> tuple[Planned, ...]:
    """Every projection of the recipe, for a model of so many dimensions.

    Raises `SettingsError` where layers contradict the model, or a source the pairs; `PluginError` for a kind
    of projection or of pairs that no plugin provides.
    """
    asked = recipe.projections or tuple(ProjectionRecipe(kind, type=kind) for kind in BUILTIN_KINDS)
    return tuple(_planned(plugins, recipe, one, dimensions, fingerprint) for one in asked)


def _planned(
    plugins: Plugins, recipe: Recipe, one: ProjectionRecipe, dimensions: int, fingerprint: str
) -> Planned:
    kind = _ANCESTORS.get(one.type, one.type)
    spec = _trainer(plugins, one, kind)
    generator = _generator(plugins, one)
    hidden, out = _widths(recipe, one, spec, dimensions)
    usual = TrainingSettings(hidden, out)
    settings = TrainingSettings(
        hidden, out, epochs=one.epochs or usual.epochs, batch_size=one.batch_size or usual.batch_size
    )
    facts = [spec.name, spec.version, spec.train, generator.name, generator.version, fingerprint]
    extractors = [(reader.name, reader.version) for reader in plugins.extractors()]
    canonical = json.dumps([*facts, extractors, asdict(settings)], sort_keys=True)
    digest = sha256(canonical.encode()).hexdigest()
    return Planned(one.name, kind, spec.train, generator.name, settings, digest)


def _trainer(plugins: Plugins, one: ProjectionRecipe, kind: str) -> ProjectionSpec:
    try:
        return plugins.projection(kind)
    except PluginError as error:
        where = _place(one, "type") if one.lines else RECIPE_FILE
        raise PluginError(f"{where}: {error}", hint=error.hint) from error


def _generator(plugins: Plugins, one: ProjectionRecipe) -> PairGeneratorSpec:
    scope, usual = _SOURCES.get(one.source or "sessions", ("", ""))
    if not scope:
        known = ", ".join(sorted(_SOURCES))
        raise SettingsError(
            f"{_place(one, 'source')} is {one.source!r}, expected one of: {known}; write: source: sessions"
        )
    wanted = one.pair_type or usual
    found = {spec.name: spec for spec in plugins.pair_generators()}
    if wanted not in found:
        raise SettingsError(
            f"{_place(one, 'pair_type')} is {wanted!r}, expected one"
            f" of: {', '.join(sorted(found))}; write: pair_type: same_session"
        )
    if one.source and found[wanted].scope != scope:
        fitting = ", ".join(sorted(name for name, spec in found.items() if spec.scope == scope))
        raise SettingsError(
            f"{_place(one, 'pair_type')} is {wanted!r}, which is not"
            f" made from the source {one.source!r}; expected one of: {fitting}"
        )
    return found[wanted]


def _widths(recipe: Recipe, one: ProjectionRecipe, spec: ProjectionSpec, dimensions: int) -> tuple[int, int]:
    """(hidden, out); where the recipe does not say, no wider than the model."""
    if not one.layers:
        return spec.hidden, min(_OUT, dimensions)
    *first, hidden, out = one.layers
    if hidden * (dimensions + out) > _MOST_WEIGHTS:
        raise SettingsError(
            f"{_place(one, 'layers')} is {list(one.layers)}, expected no more than {_MOST_WEIGHTS:,} weights"
            f" on the {dimensions} dimensions of {recipe.model}; write: layers: [1024, 256]"
        )
    if first and first != [dimensions]:
        raise SettingsError(
            f"{_place(one, 'layers')} is {list(one.layers)}, but the model"
            f" {recipe.model} gives {dimensions} dimensions; write: layers: [{dimensions}, {hidden}, {out}]"
        )
    return hidden, out


def _place(one: ProjectionRecipe, key: str) -> str:
    """File, line and full name of a key, as errors say it."""
    inner = "training." if key in ("source", "pair_type") else ""
    return f"{RECIPE_FILE}:{one.line(key)}: projections.{one.name}.{inner}{key}"
