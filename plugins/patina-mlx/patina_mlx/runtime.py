"""A model's weights, configuration and tokenizer, opened: texts to ids, ids to token vectors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from patina_hooks.errors import ModelError
from patina_hooks.model_types import ModelFiles, ModelSpec, Tokens
from patina_hooks.models.encoding import processors
from patina_hooks.models.tokenizer import TextTokenizer, open_tokenizer
from patina_mlx.config import read_config
from patina_mlx.core import mx
from patina_mlx.encoder import Encoder
from patina_mlx.precision import wanted_dtype
from patina_mlx.tensors import Tensors, read_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.types import Vectors


def open_model(model: ModelSpec, files: ModelFiles) -> MlxModel:
    """Open the roles "config", "tokenizer" and "model" (further shards: "model.2", ...).

    Raises `ModelError` where one is absent or cannot be used, `SettingsError` where the user's table
    `[runtime.mlx]` means nothing.
    """
    absent = sorted({"config", "model", "tokenizer"} - set(files))
    if absent:
        raise ModelError(f"model {model.name} gives the mlx runtime no file for {', '.join(absent)}")
    config = read_config(files["config"])
    if config.positions and model.max_tokens > config.positions:
        raise ModelError(
            f"model {model.name} is to take {model.max_tokens} tokens, but has {config.positions} positions"
        )
    shards = [path for role, path in sorted(files.items()) if role.split(".")[0] == "model"]
    tensors = read_tensors(shards, config.architecture)
    encoder = Encoder(config, Tensors(tensors, config, _dtype()), model.layer)
    return MlxModel(model.name, encoder, open_tokenizer(files["tokenizer"]))


class MlxModel:
    """A `TokenModel`."""

    def __init__(self, name: str, encoder: Encoder, tokenizer: TextTokenizer) -> None:
        """Raises `ModelError` where the shapes of tensors do not fit each other."""
        _try(name, encoder)
        self._name = name
        self._encoder = encoder
        self._tokenizer = tokenizer
        self._threads = processors() if mx.default_device() == mx.Device(mx.cpu) else 1
        # mlx has a queue of work for each thread, so these stay for as long as the model does.
        self._pool = ThreadPoolExecutor(self._threads, "patina-mlx")

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        """Ids with special tokens, cut to `max_tokens`, unpadded."""
        return self._tokenizer.tokenize(texts, max_tokens)

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        """Token vectors [b, s, d], float32; zeros where the mask is.

        Each text runs alone, without its padding: matrix products are faster for many texts, but their last
        bits depend on how many there are, and a text's vector must not. On a processor they run side by side.
        """
        if int(ids.max()) >= self._encoder.vocabulary:
            raise ModelError(
                f"model {self._name}: its tokenizer gives the id {ids.max()}, but its weights know"
                f" {self._encoder.vocabulary} ids"
            )
        texts = [row[:length] for row, length in zip(ids, mask.sum(axis=1), strict=True)]
        hidden = np.zeros((*ids.shape, self._encoder.width), np.float32)

        def run(places: range) -> None:
            given = [self._encoder(mx.array(texts[at][None].astype(np.int32))) for at in places]
            vectors = [one.astype(mx.float32) for one in given]
            mx.eval(vectors)
            for at, one in zip(places, vectors, strict=True):
                hidden[at, : len(texts[at])] = np.asarray(one[0])

        list(self._pool.map(run, [range(at, len(texts), self._threads) for at in range(self._threads)]))
        return hidden


def _dtype() -> mx.Dtype:
    dtype: mx.Dtype = getattr(mx, wanted_dtype())
    return dtype


def _try(name: str, encoder: Encoder) -> None:
    """One token through all layers, so that a tensor whose shape does not fit is told of here.

    It also reads the tensors, which only the thread that opened them can do.
    """
    try:
        mx.eval(encoder(mx.zeros((1, 1), mx.int32)))
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"model {name}: its weights do not fit its config.json: {error}") from error
