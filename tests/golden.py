"""Golden vectors: what transformers makes of the twins, kept so that every runtime can be held against it.

    python tests/golden.py

needs torch and transformers, and writes tests/data/golden/<architecture>.npz: for each pooling ("mean",
"cls", "last") float32 [layers + 1, texts, dimensions], the hidden states of each text run alone and unpadded,
pooled. The texts are `support.tiny_models.TEXTS`, then the same with `PREFIX` before them. One without tokens
is zeros. "weights" is the sha256 of the tiny model's weights: where it changes, make its vectors again.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from support.tiny_models import ARCHITECTURES, MAX_TOKENS, TEXTS, Twin, make_twin

from patina_hooks.models.files.weights import sha256_of
from patina_hooks.models.tokenizer import open_tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER: Final = Path(__file__).parent / "data" / "golden"
POOLINGS: Final = ("mean", "cls", "last")
PREFIX: Final = "search_query: "


def golden(twin: Twin) -> dict[str, NDArray[np.float32]]:
    """The vectors of a twin that are kept, by pooling."""
    with np.load(FOLDER / f"{twin.architecture}.npz", allow_pickle=False) as file:
        assert str(file["weights"]) == sha256_of(twin.weights), "the twin changed: python tests/golden.py"
        return {pooling: file[pooling] for pooling in POOLINGS}


def compute(twin: Twin) -> dict[str, NDArray[np.float32]]:
    """The vectors by transformers, in float32. twin: with a config as transformers saves it."""
    import torch
    from transformers import AutoModel

    model: Any = AutoModel.from_pretrained(twin.config.parent, dtype=torch.float32).eval()
    texts = [*TEXTS, *(PREFIX + text for text in TEXTS)]
    vectors = {
        pooling: np.zeros((twin.layers + 1, len(texts), twin.dimensions), np.float32) for pooling in POOLINGS
    }
    for place, tokens in enumerate(open_tokenizer(twin.tokenizer).tokenize(texts, MAX_TOKENS)):
        if not tokens.ids:
            continue
        with torch.inference_mode():
            output = model(input_ids=torch.tensor([tokens.ids]), output_hidden_states=True)
        states = np.stack([state[0].numpy() for state in output.hidden_states])
        vectors["mean"][:, place] = states.mean(axis=1)
        vectors["cls"][:, place] = states[:, 0]
        vectors["last"][:, place] = states[:, -1]
    return vectors


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for architecture in ARCHITECTURES:
        with TemporaryDirectory() as folder:
            twin = make_twin(architecture, Path(folder), as_saved_by_transformers=True)
            arrays: dict[str, Any] = {**compute(twin), "weights": np.array(sha256_of(twin.weights))}
            np.savez_compressed(FOLDER / f"{architecture}.npz", **arrays)


if __name__ == "__main__":
    main()
