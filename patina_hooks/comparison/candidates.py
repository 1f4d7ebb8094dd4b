"""What is compared: a model in a runtime, or why it cannot run here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from patina_hooks.configuration import configuration
from patina_hooks.errors import PluginError, UsageError
from patina_hooks.models.choice import AUTO
from patina_hooks.models.weights import model_files
from patina_hooks.recipe import Reading, Recipe
from patina_hooks.search.vectors import Space, wanted_space

if TYPE_CHECKING:
    from patina_hooks.api import Patina
    from patina_hooks.model_types import ModelSpec
    from patina_hooks.plugins import Plugins

_IN: Final = "@"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model in a runtime. name: as it was asked for, `MODEL` or `MODEL@RUNTIME`.

    space: whose vectors it makes, None where it cannot run here. bytes: of its files, 0 where it has none of
    its own. error, remedy: why it cannot run, and the command that mends that.
    """

    name: str
    spec: ModelSpec
    space: Space | None
    bytes: int = 0
    error: str = ""
    remedy: str = ""


def candidates(patina: Patina, names: Sequence[str], runtime: str = "") -> list[Candidate]:
    """Each in its order. names: `MODEL` or `MODEL@RUNTIME`; runtime: for those that name none.

    The model of the repository's recipe is read as that says, in its runtime; any other in its own way, in
    the one that "auto" takes. Raises `PluginError` for a name that no plugin provides, `UsageError` where
    two mean the same; a model that cannot run here is no error.
    """
    # Vectors are read from the cache: the index does not matter, nor whether its plugin is here.
    recipe = replace(configuration(patina.repository).recipe or Recipe(), index=Recipe().index)
    plugins, found = patina.plugins, []
    for name in names:
        model, _, own = name.rpartition(_IN) if _IN in name else (name, "", "")
        spec = plugins.model(model)
        wanted = _wanted(recipe, plugins, spec, model)
        found.append(_candidate(plugins, name, spec, _in_runtime(wanted, own or runtime)))
    _refuse_twins(found)
    return found


def _wanted(recipe: Recipe, plugins: Plugins, spec: ModelSpec, model: str) -> Recipe:
    try:
        is_the_recipes = plugins.model(recipe.model) is spec
    except PluginError:
        is_the_recipes = False
    return recipe if is_the_recipes else replace(recipe, model=model, runtime=AUTO, reading=Reading())


def _in_runtime(recipe: Recipe, runtime: str) -> Recipe:
    return replace(recipe, runtime=runtime) if runtime else recipe


def _candidate(plugins: Plugins, name: str, spec: ModelSpec, recipe: Recipe) -> Candidate:
    try:
        space = wanted_space(plugins, recipe)
        paths = set(model_files(spec, space.runtime).values())
    except PluginError as error:
        return Candidate(name, spec, None, error=str(error), remedy=error.hint)
    return Candidate(name, spec, space, sum(path.stat().st_size for path in paths))


def _refuse_twins(found: Sequence[Candidate]) -> None:
    seen: dict[object, str] = {}
    for one in found:
        same = (one.space.fingerprint, one.space.runtime) if one.space else one.name
        if same in seen:
            raise UsageError(
                f"{seen[same]} and {one.name} are the same model in the same runtime",
                hint=f"patina models explain {one.spec.name}",
            )
        seen[same] = one.name
