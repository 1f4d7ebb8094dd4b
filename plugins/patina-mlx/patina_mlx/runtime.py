"""A model's weights, configuration and tokenizer, opened: texts to ids, ids to token vectors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from patina_hooks import ModelSpec, Tokens
from patina_hooks.authoring import ModelError, ModelFiles, TextTokenizer, open_tokenizer, processors
from patina_mlx.batch_invariance import build_mask, choose_block, group_by_blocks
from patina_mlx.config import read_config
from patina_mlx.core import mx
from patina_mlx.encoder import TransformerEncoder
from patina_mlx.precision import requested_dtype
from patina_mlx.tensors import Tensors, load_weight_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from patina_hooks.authoring import Vectors


def open_model(model: ModelSpec, files: ModelFiles) -> MlxModel:
    """Open the roles "config", "tokenizer" and "model" (further shards: "model.2", ...).

    Raises:
        ModelError: one is absent or cannot be used.
        SettingsError: the user's table `[runtime.mlx]` is invalid.
    """
    absent = sorted({"config", "model", "tokenizer"} - set(files))
    if absent:
        raise ModelError(f"model {model.name} has no file for the mlx runtime: {', '.join(absent)}")
    config = read_config(files["config"])
    if config.positions and model.max_tokens > config.positions:
        raise ModelError(
            f"model {model.name} is to take {model.max_tokens} tokens, but has {config.positions} positions"
        )
    shards = [path for role, path in sorted(files.items()) if role.split(".")[0] == "model"]
    tensors = load_weight_files(shards, config.architecture)
    encoder = TransformerEncoder(config, Tensors(tensors, config, _dtype()), model.layer)
    return MlxModel(model.name, encoder, open_tokenizer(files["tokenizer"]))


class MlxModel:
    """A `TokenModel`, for several threads at once."""

    def __init__(self, name: str, encoder: TransformerEncoder, tokenizer: TextTokenizer) -> None:
        """Test the model and start its threads.

        Raises:
            ModelError: the shapes of tensors do not fit each other.
        """
        _test_run(name, encoder)
        self._name = name
        self._encoder = encoder
        self._tokenizer = tokenizer
        self._block = choose_block(encoder)
        threads = processors() if mx.default_device() == mx.Device(mx.cpu) else 1
        # mlx has a queue of work for each thread, so these stay for as long as the model does.
        self._pool = ThreadPoolExecutor(threads, "patina-mlx")

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        """Return ids with special tokens, cut to `max_tokens`, unpadded."""
        return self._tokenizer.tokenize(texts, max_tokens)

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        """Return token vectors [b, s, d], float32; zeros where the mask is 0.

        A text's vectors are the same, bit for bit, in any batch: see `patina_mlx.batch_invariance`.
        """
        if int(ids.max()) >= self._encoder.vocabulary:
            raise ModelError(
                f"model {self._name}: its tokenizer has the id {ids.max()}, but its weights have only"
                f" {self._encoder.vocabulary} ids"
            )
        return self._pool.submit(self._forward, ids, mask).result()

    def _forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        lengths = mask.sum(axis=1).tolist()
        hidden = np.zeros((*ids.shape, self._encoder.width), np.float32)
        for padded, positions in group_by_blocks(lengths, self._block):
            real_lengths = [lengths[position] for position in positions]
            batch = np.zeros((len(positions), padded), np.int32)
            batch[:, : ids.shape[1]] = ids[positions, :padded]
            visible = build_mask(self._encoder, self._block, real_lengths, padded)
            vectors = np.asarray(self._encoder(mx.array(batch), visible).astype(mx.float32))
            for row, (position, length) in enumerate(zip(positions, real_lengths, strict=True)):
                hidden[position, :length] = vectors[row, :length]
        return hidden


def _dtype() -> mx.Dtype:
    dtype: mx.Dtype = getattr(mx, requested_dtype())
    return dtype


def _test_run(name: str, encoder: TransformerEncoder) -> None:
    """Run one token through all layers, to find tensors whose shapes do not fit.

    This also reads the tensors, which only the thread that opened them can do.
    """
    try:
        mx.eval(encoder(mx.zeros((1, 1), mx.int32)))
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"model {name}: its weights do not fit its config.json: {error}") from error
