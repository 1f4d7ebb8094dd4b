"""What is compared: a model in a runtime, or why it cannot run here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from patina_hooks.config.configuration import load_configuration
from patina_hooks.config.recipe import Recipe
from patina_hooks.errors import PluginError, UsageError
from patina_hooks.models.choice import provider_of
from patina_hooks.models.encoding import resolve_model
from patina_hooks.models.files.weights import model_files
from patina_hooks.search.index.spaces import VectorSpace, requested_space

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.specs.models import ModelSpec
    from patina_hooks.store.memory import Memory

_IN: Final = "@"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model in a runtime.

    name: as requested, `MODEL` or `MODEL@RUNTIME`.
    space: of its vectors, None if it cannot run here.
    bytes: of its files, 0 without files of its own.
    error, remedy: why it cannot run, and the command that fixes it.
    """

    name: str
    spec: ModelSpec
    space: VectorSpace | None
    bytes: int = 0
    error: str = ""
    remedy: str = ""


def candidates(memory: Memory, names: Sequence[str], runtime: str = "") -> list[Candidate]:
    """Each in its order. names: `MODEL` or `MODEL@RUNTIME`; runtime: for those that name none.

    The model of the repository's recipe is read as that says, in its runtime; any other in its own way, in
    the one that "auto" takes. Raises `PluginError` for a name that no plugin provides, `UsageError` where
    a name is incomplete around its @ or two are the same; a model that cannot run here is not an error.
    """
    # Vectors are read from the cache: the index does not matter, nor whether its plugin is here.
    recipe = replace(load_configuration(memory.repository).recipe or Recipe(), index=Recipe().index)
    plugins, resolved = memory.plugins, []
    for name in names:
        model, own_runtime = _split_name(name)
        spec = plugins.model(model)
        model_recipe = _choose_recipe(recipe, plugins, spec, model)
        resolved.append(_candidate(memory, name, spec, _in_runtime(model_recipe, own_runtime or runtime)))
    _refuse_duplicates(plugins, resolved)
    return resolved


def _split_name(name: str) -> tuple[str, str]:
    """Its model, and its runtime or ""."""
    model, between, runtime = name.rpartition(_IN) if _IN in name else (name, "", "")
    if between and not (model and runtime):
        raise UsageError(
            f"{name!r} names no {'runtime' if model else 'model'}: expected MODEL or MODEL@RUNTIME",
            hint=f"patina models explain {model}" if model else "patina models list",
        )
    return model, runtime


def _choose_recipe(recipe: Recipe, plugins: Plugins, spec: ModelSpec, model: str) -> Recipe:
    try:
        is_recipe_model = plugins.model(recipe.model) is spec
    except PluginError:
        is_recipe_model = False
    return recipe if is_recipe_model else Recipe(model=model)


def _in_runtime(recipe: Recipe, runtime: str) -> Recipe:
    """Set the runtime of a recipe, without its line numbers."""
    if not runtime:
        return recipe
    lines = {key: line for key, line in recipe.lines.items() if key not in ("runtime", "embedding_model")}
    return replace(recipe, runtime=runtime, lines=lines)


def _candidate(memory: Memory, name: str, spec: ModelSpec, recipe: Recipe) -> Candidate:
    try:
        space = requested_space(memory.plugins, recipe, memory.repository.state)
        # As it is run: for a runtime that runs elsewhere the model itself lists no files, not even none.
        resolved, _ = resolve_model(memory.plugins, recipe.model, recipe.runtime, reading=recipe.reading)
        paths = set(model_files(resolved, space.runtime).values())
    except PluginError as error:
        return Candidate(name, spec, None, error=str(error), remedy=error.hint)
    return Candidate(name, spec, space, sum(path.stat().st_size for path in paths))


def _refuse_duplicates(plugins: Plugins, resolved: Sequence[Candidate]) -> None:
    """Refuse two candidates with the same model and runtime, with or without the plugin's name."""
    names: dict[object, str] = {}
    for candidate in resolved:
        identity: object = candidate.name
        if candidate.space:
            runtime = plugins.runtime(provider_of(candidate.spec, candidate.space.runtime))
            identity = (candidate.space.fingerprint, runtime.factory)
        if identity in names:
            raise UsageError(
                f"{names[identity]} and {candidate.name} are the same model in the same runtime",
                hint=f"patina models explain {candidate.spec.name}",
            )
        names[identity] = candidate.name
