"""The index of a plugin, whose failures are told apart from ours: words answer where it cannot be used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from patina_hooks.errors import IndexDamaged, IndexUnavailable
from patina_hooks.plugins.calls import ENGINE_PATIENCE
from patina_hooks.plugins.kinds import describe_type
from patina_hooks.search.index.segments import SegmentedIndex
from patina_hooks.specs.vectors import IndexStats

if TYPE_CHECKING:
    from patina_hooks.plugins.calls import PluginFunction
    from patina_hooks.specs.vectors import Vectors


class GuardedIndex:
    """A `VectorIndex` around one that a plugin opened.

    Raises `IndexDamaged` as the plugin does, and `IndexUnavailable` for whatever else it raises, and for what
    is not of the promised type.
    """

    def __init__(self, opener: PluginFunction, *arguments: object, **named: object) -> None:
        self._opener = opener
        self._index: Any = None
        with self._named("open"), opener.guarded():
            self._index = opener.function(*arguments, **named)

    def stats(self) -> IndexStats:
        stats: IndexStats = self._call("stats")
        self._check("stats", stats, isinstance(stats, IndexStats))
        return stats

    def keys(self) -> frozenset[bytes]:
        keys = self._call("keys")
        is_sound = isinstance(keys, (set, frozenset)) and all(isinstance(key, bytes) for key in keys)
        self._check("keys", keys, is_sound)
        return frozenset(keys)

    def upsert(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        self._call("upsert", keys, vectors)

    def remove(self, keys: Sequence[bytes]) -> None:
        self._call("remove", keys)

    def rebuild(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        self._call("rebuild", keys, vectors)

    def verify(self) -> None:
        self._call("verify")

    def tend(self) -> bool:
        """Let the index do work that it put off; False for an index that never does."""
        with self._named("tend"), self._opener.guarded():
            can_tend = hasattr(self._index, "tend")
        return can_tend and bool(self._call("tend"))

    def search(
        self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None
    ) -> list[tuple[bytes, float]]:
        hits = self._call("search", query, limit, allowed)
        self._check("search", hits, isinstance(hits, list) and all(map(_is_hit, hits)))
        return [(key, float(score)) for key, score in hits]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (what an index has of its own)
        if name == "_index":
            raise AttributeError(name)
        return getattr(self._index, name)

    def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 (what the plugin gives)
        with self._named(method), self._opener.guarded(ENGINE_PATIENCE):
            return getattr(self._index, method)(*arguments)

    @contextmanager
    def _named(self, method: str) -> Iterator[None]:
        try:
            yield
        except IndexDamaged:
            raise
        except OSError as error:
            if isinstance(self._index, SegmentedIndex):
                raise  # its files are ours: a full disk is not an error of the plugin
            raise self._failure(method, self._opener.failure(error)) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._failure(method, self._opener.failure(error)) from error

    def _check(self, method: str, value: object, is_sound: bool) -> None:
        if not is_sound:
            raise self._failure(method, f"gave {describe_type(value)} that is not what was promised")

    def _failure(self, method: str, problem: str) -> IndexUnavailable:
        return IndexUnavailable(
            f"the {self._opener.action} cannot be used: {method}: {problem}", plugin=self._opener.plugin
        )


def _is_hit(hit: Any) -> bool:  # noqa: ANN401
    try:
        key, score = hit
        return isinstance(key, bytes) and math.isfinite(score)
    except (TypeError, ValueError):
        return False
