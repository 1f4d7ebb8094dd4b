"""Embed texts into the cache, in pieces of about two seconds.

A text that a model refuses does not stop the others: a piece that fails because of its texts is halved until
the text is found, which is set aside with the reason and has the zero vector, similar to nothing.
`patina sync --full` tries it again, and so does a sync after the text, the model, an engine version or the
user's settings changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError, TextsRefused
from patina_hooks.models.probes import PROBE_TEXTS

if TYPE_CHECKING:
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.specs.models import Role
    from patina_hooks.store.embeddings import EmbeddingCache

PIECE_SECONDS: Final = 2.0
_MOST_SECONDS: Final = 5 * PIECE_SECONDS
_MOST_TEXTS: Final = 1_024
_GAIN: Final = 1.5
_MOST_REFUSED: Final = 32


@dataclass(slots=True)
class PieceSize:
    """How many texts go to a model at once.

    A model of gigabytes reads one text a second, a small one hundreds, and a server answers a request after
    the same time for one text and for thirty.

    unit: texts that the model takes in one call.
    most: texts that it was measured to take.
    texts, rate: texts of the last piece, and per second.
    """

    unit: int = 1
    size: int = 1
    most: int = _MOST_TEXTS
    texts: int = 0
    rate: float = 0.0

    def __post_init__(self) -> None:
        self.size = max(self.size, self.unit)

    def learn(self, texts: int, seconds: float) -> None:
        """Choose the next size by how long the last piece took."""
        rate = texts / max(seconds, 1e-3)
        self._set(self._next(texts, seconds, rate))
        self.texts, self.rate = texts, rate

    def _next(self, texts: int, seconds: float, rate: float) -> int:
        fitting = int(rate * PIECE_SECONDS)
        if seconds < PIECE_SECONDS:
            return max(fitting, 2 * texts)
        if texts > self.texts and rate >= _GAIN * self.rate and seconds < _MOST_SECONDS:
            return 2 * texts  # the time goes into the call, not into the texts
        if texts > self.texts:
            return max(self.texts, min(fitting, texts))
        if texts < self.texts and rate * _GAIN <= self.rate:
            return self.texts
        return texts if seconds < 2 * PIECE_SECONDS else max(fitting, texts // 2)

    def shrink(self, texts: int) -> None:
        """Take no more than half of a piece that was too large as a whole."""
        self.most = max(texts // 2, 1)
        self._set(self.most)

    def _set(self, size: int) -> None:
        whole = size // self.unit * self.unit
        self.size = max(min(max(whole, self.unit), self.most), 1)


@dataclass(slots=True)
class EmbeddingCounts:
    """What was counts.

    texts: how many; cut: of those, how many are longer than the model reads.
    refused: key -> why the model does not read the text.
    halved: how often a piece was too large as a whole.
    """

    texts: int = 0
    cut: int = 0
    refused: dict[bytes, str] = field(default_factory=dict)
    halved: int = 0

    def add(self, counts: EmbeddingCounts) -> None:
        """Add what another call counts."""
        self.texts += counts.texts
        self.cut += counts.cut
        self.refused |= counts.refused
        self.halved += counts.halved


def embed(
    cache: EmbeddingCache, encoder: Encoder, keys: Sequence[bytes], texts: Sequence[str], *, role: Role
) -> EmbeddingCounts:
    """Embed texts and keep the vectors under their keys.

    Raises:
        ModelError: the model cannot be run, whatever the text, or refuses nearly all.
    """
    counts = EmbeddingCounts()
    _embed_items(cache, encoder, list(zip(keys, texts, strict=True)), role, counts)
    return counts


def _embed_items(
    cache: EmbeddingCache,
    encoder: Encoder,
    items: list[tuple[bytes, str]],
    role: Role,
    counts: EmbeddingCounts,
    *,
    model_works: bool = False,
) -> None:
    """Embed (key, text) items. model_works: whether it was checked after it refused these texts."""
    keys, texts = [key for key, _ in items], [text for _, text in items]
    try:
        encoded = encoder.encode(texts, role=role)
    except TextsRefused as error:
        if not model_works or len(items) == 1:
            _check_model(encoder, error)
    else:
        cache.put(keys, encoded.vectors, encoded.cut)
        counts.texts += len(keys)
        counts.cut += sum(1 for cut in encoded.cut if cut)
        return
    if len(items) == 1:
        _set_aside(cache, encoder, items[0], role, counts)
        return
    middle, refused = len(items) // 2, len(counts.refused)
    for half in (items[:middle], items[middle:]):
        _embed_items(cache, encoder, half, role, counts, model_works=True)
    counts.halved += len(counts.refused) == refused


def _set_aside(
    cache: EmbeddingCache, encoder: Encoder, item: tuple[bytes, str], role: Role, counts: EmbeddingCounts
) -> None:
    """Store the zero vector of a text, unless the model reads it on a second try."""
    import numpy as np

    key, text = item
    try:
        encoded = encoder.encode([text], role=role)
    except TextsRefused as error:
        counts.refused[key] = str(error)
        if len(counts.refused) > max(_MOST_REFUSED, counts.texts):
            raise ModelError(f"{error} (and so for nearly every text)", hint=error.hint) from error
        cache.put([key], np.zeros((1, encoder.dimensions), np.float32), [0])
        cache.record_refused(key, str(error), encoder.engine_versions.key)
    else:
        cache.put([key], encoded.vectors, encoded.cut)
        counts.texts += 1


def _check_model(encoder: Encoder, error: TextsRefused) -> None:
    """Raise the error as a `ModelError` if the model also refuses a text that every model reads."""
    try:
        encoder.encode(PROBE_TEXTS[:1], role="passage")
    except ModelError:
        raise ModelError(str(error), hint=error.hint) from error
