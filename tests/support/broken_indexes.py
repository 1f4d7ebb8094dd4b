"""Exact indexes with one thing wrong each, for checks that have to see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patina_hooks.search.index.exact import ExactIndex
from patina_hooks.specs.vectors import IndexStats

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

Answer = list[tuple[bytes, float]]


class KeepsTheRemoved(ExactIndex):
    def remove(self, keys: Sequence[bytes]) -> None:
        super().remove(keys[:1])


class TakesTheFirstOfAKey(ExactIndex):
    def upsert(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        super().upsert(keys[::-1], vectors[::-1])


class HeedsNoAllowed(ExactIndex):
    def search(self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None) -> Answer:
        return super().search(query, limit)


class BreaksTiesByChance(ExactIndex):
    def search(self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None) -> Answer:
        return sorted(super().search(query, limit, allowed), key=lambda pair: (-pair[1], pair[0][::-1]))


class ScoresRoughly(ExactIndex):
    def search(self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None) -> Answer:
        found = [(key, round(score, 2)) for key, score in super().search(query, limit, allowed)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))


class MissesHalf(ExactIndex):
    def search(self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None) -> Answer:
        return super().search(query, 2 * limit, allowed)[::2]


class AnswersByItsPast(ExactIndex):
    def search(self, query: Vectors, limit: int, allowed: frozenset[bytes] | None = None) -> Answer:
        return super().search(query, limit, allowed)[self.stats().generation > 1 :]


class CountsNoWrites(ExactIndex):
    def stats(self) -> IndexStats:
        return replace(super().stats(), generation=1)


class RebuildsOntoWhatWas(ExactIndex):
    def rebuild(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        self.upsert(keys, vectors)


class ReadsWhatIsForeign(ExactIndex):
    def __init__(self, folder: Path, dimensions: int, fingerprint: str) -> None:
        super().__init__(folder, dimensions, "any")


class TrustsEveryFile(ExactIndex):
    def _check(self, file: object) -> None:
        pass


class WritesInPlace(ExactIndex):
    def _replace_segments(self, segments: list[Any]) -> None:
        (self._folder / "manifest.json").unlink(missing_ok=True)
        super()._replace_segments(segments)


class Forgets(ExactIndex):
    """What a process wrote is there for that process alone."""

    def _replace_segments(self, segments: list[Any]) -> None:
        super()._replace_segments(segments)
        (self._folder / "manifest.json").unlink()
