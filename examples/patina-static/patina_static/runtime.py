"""A table with a vector for every token, opened: texts to ids, ids to rows of the table.

patina imports this module when a model is first opened, so it may import what it likes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from patina_hooks import ModelSpec, Tokens


def open_model(model: ModelSpec, files: Mapping[str, Path]) -> StaticModel:
    """Roles: "vectors" (safetensors with a tensor "vectors" [tokens, d]) and "tokenizer" (tokenizer.json)."""
    table = load_file(files["vectors"])["vectors"].astype(np.float32)
    return StaticModel(table, Tokenizer.from_file(str(files["tokenizer"])))


class StaticModel:
    def __init__(self, table: NDArray[np.float32], tokenizer: Tokenizer) -> None:
        self._table = table
        self._tokenizer = tokenizer

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        """Ids of each text, and how many were cut off."""
        each = [self._tokenizer.encode(text).ids for text in texts]
        return [Tokens(ids[:max_tokens], cut=len(ids[max_tokens:])) for ids in each]

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """[b, s, dimensions]. A row does not look at its neighbours, so nothing need be masked."""
        return self._table[ids]
