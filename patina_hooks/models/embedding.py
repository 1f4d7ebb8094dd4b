"""Embed texts into the cache, in pieces of about two seconds; a text that a model refuses holds up no other.

A piece that fails because of its texts is halved until the text is found; it is set aside with the reason,
and has the zero vector, which is like nothing. `patina sync --full` tries it again, and so does a sync after
the text, the model, a version of what runs it, or the user's settings changed.
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
    """How many texts go to a model at once: a model of gigabytes reads one a second, a small one hundreds,
    and a server answers a request after the same time for one text and for thirty.

    unit: texts that the model takes at once; most: what it was found to take; texts, rate: of the last piece,
    and how many texts a second those were.
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
class Embedded:
    """What was embedded. texts: how many; cut: of those, how many are longer than the model reads; refused:
    key -> why the model does not read it; halved: how often a piece was too large as a whole."""

    texts: int = 0
    cut: int = 0
    refused: dict[bytes, str] = field(default_factory=dict)
    halved: int = 0

    def add(self, other: Embedded) -> None:
        """Count what another call embedded as well."""
        self.texts += other.texts
        self.cut += other.cut
        self.refused |= other.refused
        self.halved += other.halved


def embed(
    cache: EmbeddingCache, encoder: Encoder, keys: Sequence[bytes], texts: Sequence[str], *, role: Role
) -> Embedded:
    """Embed texts and keep the vectors under their keys.

    Raises:
        ModelError: the model cannot be run, whatever the text, or refuses nearly all.
    """
    embedded = Embedded()
    _embed(cache, encoder, list(zip(keys, texts, strict=True)), role, embedded)
    return embedded


def _embed(
    cache: EmbeddingCache,
    encoder: Encoder,
    items: list[tuple[bytes, str]],
    role: Role,
    embedded: Embedded,
    *,
    checked: bool = False,
) -> None:
    """checked: whether the model was found to work after it refused these texts among others."""
    keys, texts = [key for key, _ in items], [text for _, text in items]
    try:
        encoded = encoder.encode(texts, role=role)
    except TextsRefused as error:
        if not checked or len(items) == 1:
            _check_model(encoder, error)
    else:
        cache.put(keys, encoded.vectors, encoded.cut)
        embedded.texts += len(keys)
        embedded.cut += sum(1 for cut in encoded.cut if cut)
        return
    if len(items) == 1:
        _set_aside(cache, encoder, items[0], role, embedded)
        return
    middle, refused = len(items) // 2, len(embedded.refused)
    for half in (items[:middle], items[middle:]):
        _embed(cache, encoder, half, role, embedded, checked=True)
    embedded.halved += len(embedded.refused) == refused


def _set_aside(
    cache: EmbeddingCache, encoder: Encoder, item: tuple[bytes, str], role: Role, embedded: Embedded
) -> None:
    """Keep the zero vector of a text, unless the model reads it at a second try."""
    import numpy as np

    key, text = item
    try:
        encoded = encoder.encode([text], role=role)
    except TextsRefused as error:
        embedded.refused[key] = str(error)
        if len(embedded.refused) > max(_MOST_REFUSED, embedded.texts):
            raise ModelError(f"{error} (and so for nearly every text)", hint=error.hint) from error
        cache.put([key], np.zeros((1, encoder.dimensions), np.float32), [0])
        cache.set_aside(key, str(error), encoder.makers.key)
    else:
        cache.put([key], encoded.vectors, encoded.cut)
        embedded.texts += 1


def _check_model(encoder: Encoder, error: TextsRefused) -> None:
    """Raise the error as one of the model where it refuses a text that every model reads."""
    try:
        encoder.encode(PROBE_TEXTS[:1], role="passage")
    except ModelError:
        raise ModelError(str(error), hint=error.hint) from error
