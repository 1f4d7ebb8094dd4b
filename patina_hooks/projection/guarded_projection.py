"""The projection of a plugin, whose failures are named: the raw model answers then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from patina_hooks.errors import IndexDamaged, PluginError
from patina_hooks.plugins.calls import ENGINE_PATIENCE

if TYPE_CHECKING:
    from patina_hooks.plugins.calls import PluginFunction
    from patina_hooks.specs.training import Projection, Weights
    from patina_hooks.specs.vectors import Vectors


class GuardedProjection:
    """A `Projection` around one that a plugin opened; raises `PluginError` for what it raises."""

    def __init__(self, factory: PluginFunction, weights: Weights, metadata: Mapping[str, str]) -> None:
        self._factory = factory
        with self._named("open"), factory.guarded():
            self._projection: Projection = factory.function(weights, metadata)
            self.dimensions = int(self._projection.dimensions)

    def __call__(self, vectors: Vectors) -> Vectors:
        import numpy as np

        with self._named("call"), self._factory.guarded(ENGINE_PATIENCE):
            projected = np.asarray(self._projection(vectors))
            if projected.shape != (len(vectors), self.dimensions) or projected.dtype != np.float32:
                raise TypeError(f"gave {projected.dtype} vectors {projected.shape}")
            if not np.isfinite(projected).all():
                raise ValueError("gave values that are not finite numbers")
        return projected

    @contextmanager
    def _named(self, action: str) -> Iterator[None]:
        try:
            yield
        except IndexDamaged:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            problem = f"the {self._factory.action} cannot be used: {action}: {self._factory.failure(error)}"
            raise PluginError(problem, hint="patina oxidize --raw", plugin=self._factory.plugin) from error
