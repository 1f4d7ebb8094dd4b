"""Vector spaces: the active one, and the one that the recipe requests.

A space is one folder of vectors, for one model and one projection. The active space stays in use until
another one, for another model, projection or index, has every live text; then the log names the new one, in
one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from patina_hooks.config.recipe import DEFAULT_INDEX, Reading, Recipe
from patina_hooks.config.schema import Rule, read_value
from patina_hooks.config.shared_files import RECIPE_FILE
from patina_hooks.errors import PluginError
from patina_hooks.plugins.calls import BUILTIN
from patina_hooks.plugins.kinds import BACKENDS
from patina_hooks.plugins.manager import Plugins
from patina_hooks.projection.active import load_active, open_weights
from patina_hooks.store.log import Log

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import VectorIndex, Vectors

VECTORS_FOLDER = "vectors"
_MOST_DIMENSIONS = 1 << 20
_STEP = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_InPath = Annotated[str, Rule("a name that a path may have", pattern=rf"{_STEP}(/{_STEP})?")]
_Dimensions = Annotated[int, Rule(least=0, most=_MOST_DIMENSIONS)]
Project = Callable[["Vectors"], "Vectors"]
"""Unit vectors [n, d] -> unit vectors [n, d']: a `patina_hooks.specs.training.Projection`."""


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """Where vectors live and what made them. dimensions: of the model's own, read as `reading` says.

    projection: the hash of the weights that they were projected with, "" for the model's own; projected: the
    dimensions after that. variant: what the user's settings changed of the runtime's vectors. short: the
    length of the short vectors that the index looks at first, 0 where it does not.
    base: the fingerprint without the variant that probe texts gave (see `patina_hooks.models.probes`); query:
    a hash of what is put before questions.
    """

    fingerprint: _InPath
    model: str
    runtime: str
    dimensions: _Dimensions
    index: _InPath
    projection: Annotated[str, Rule(pattern=rf"(?:{_STEP}(/{_STEP})?)?")] = ""
    projected: _Dimensions = 0
    reading: Reading = field(default_factory=Reading)
    variant: str = ""
    short: _Dimensions = 0
    base: str = ""
    query: str = ""

    @property
    def opened_by(self) -> tuple[str, str, Reading]:
        """The key of its model: spaces with the same key share an encoder."""
        return self.model, self.runtime, self.reading

    @property
    def judged_by(self) -> str:
        """The key of a verdict on answers: the vectors, and the prefix of queries."""
        return f"{self.fingerprint} {self.query}"

    def open(self, plugins: Plugins, state: Path) -> VectorIndex:
        """Open the index. Raises `IndexDamaged`, `IndexUnavailable`, or `PluginError` without its plugin."""
        opener = plugins.open(BACKENDS, self.index, plugins.index_backend(self.index).factory)
        mark = f"{self.fingerprint} {self.projection}" if self.projection else self.fingerprint
        short = {"short": self.short} if self.short else {}
        arguments = self.folder(state), self.projected or self.dimensions, mark
        if opener.plugin == BUILTIN:
            index: VectorIndex = opener.function(*arguments, **short)
            return index
        from patina_hooks.search.index.guarded_index import GuardedIndex

        return GuardedIndex(opener, *arguments, **short)

    def open_projection(self, plugins: Plugins, state: Path) -> Project | None:
        """Open the projection, None without one. Raises as `open_weights` does."""
        return open_weights(state, plugins, self.projection) if self.projection else None

    def folder(self, state: Path) -> Path:
        parts = [self.fingerprint, self.index.replace("/", "-"), self.projection[:16]]
        return state / VECTORS_FOLDER / "-".join(part for part in parts if part)


def active_space(log: Log) -> VectorSpace | None:
    """Return the active space, None before the first one is usable."""
    stored = log.fact("space")
    if not stored:
        return None
    return log.parsed("space", "{}", _read_space)


def _read_space(stored: object) -> VectorSpace:
    """Read a space from the log. Raises ValueError for any other shape."""
    return read_value(VectorSpace, stored)


def requested_space(plugins: Plugins, recipe: Recipe, state: Path | None = None) -> VectorSpace:
    """Return the space that the recipe requests.

    Args:
        plugins: the installed plugins.
        recipe: the recipe of the repository.
        state: where probe vectors are recorded: the space is that of the installed variant, or of the last
            one that was compared.

    Raises:
        PluginError, ModelError: the model or runtime is not available.
    """
    from patina_hooks.models.choice import provider_of
    from patina_hooks.models.encoding import compute_fingerprint, resolve_model
    from patina_hooks.models.engine_versions import read_engine_versions
    from patina_hooks.models.probes import ProbeRecord, variant_of
    from patina_hooks.models.reading import prefix_of, short_length

    with _said_at(recipe, "runtime" if "runtime" in recipe.lines else "embedding_model"):
        with _said_at(recipe, "embedding_model"):
            plugins.model(recipe.model)
        spec, choice = resolve_model(plugins, recipe.model, recipe.runtime, reading=recipe.reading)
        fingerprint = base = compute_fingerprint(spec, choice)
    if state is not None:
        record = ProbeRecord(state)
        engine_versions = read_engine_versions(plugins, recipe.model, provider_of(spec, choice.runtime))
        variant = record.variant(base, engine_versions)
        fingerprint = variant_of(base, record.last_variant(base) if variant is None else variant)
    with _said_at(recipe, "index"):
        short = short_length(spec, plugins.index_backend(recipe.index))
    return VectorSpace(
        fingerprint,
        recipe.model,
        choice.runtime,
        spec.width,
        recipe.index,
        reading=recipe.reading,
        variant=choice.variant,
        short=short,
        base=base,
        query=sha256(prefix_of(spec, "query").encode("utf-8", "surrogatepass")).hexdigest()[:16],
    )


@contextmanager
def _said_at(recipe: Recipe, key: str) -> Iterator[None]:
    """Add file and line of a recipe's key to an error about it."""
    try:
        yield
    except PluginError as error:
        message = str(error)
        line = recipe.lines.get(message.partition(" ")[0], recipe.lines.get(key))
        if line is None or message.startswith(RECIPE_FILE):
            raise
        hint = f"edit {RECIPE_FILE}" if error.hint == "patina plugins" else error.hint
        raise type(error)(f"{RECIPE_FILE}:{line}: {message}", hint=hint) from error


def projected_space(
    space: VectorSpace, plugins: Plugins, recipe: Recipe, state: Path
) -> tuple[VectorSpace, Project | None]:
    """Return the space of the projection in use, if it is for this model and in the recipe.

    Projected vectors are short and cannot be cut as those of the model: an index of short vectors is replaced
    by the exact one.

    Raises:
        StateError, PluginError: the projection cannot be opened.
    """
    active = load_active(state)
    if active is None or active.fingerprint != space.fingerprint or active.name not in recipe.learned:
        return space, None
    projected = replace(space, projection=active.weights, projected=active.dimensions)
    if projected.short:
        projected = replace(projected, index=DEFAULT_INDEX, short=0)
    return projected, projected.open_projection(plugins, state)
