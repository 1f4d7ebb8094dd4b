"""Write patina_static/tokenizer.json and patina_static/vectors.safetensors, from a large model and texts.

    pip install patina-minilm patina-onnx safetensors tokenizers
    python distil.py ../history ../../docs

The texts say which words there are. A word's vector is what the large model makes of it alone, turned to the
main axes (principal components) of all of them, and the shorter the more common the word is: "the" says
little. The mean of such vectors knows no word order, but costs no more than a look-up.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer

from patina_hooks.authoring import Plugins, open_encoder

MODEL = Path(__file__).parent / "patina_static"
TEACHER = "minilm-l6-v2"
DIMENSIONS = 64
PIECES = 3_000
UNKNOWN = "[UNK]"
RARE = 1e-3
"""The share of all words below which a word counts in full (Arora et al. 2017, smooth inverse frequency)."""


def main(folders: list[str]) -> None:
    texts = [path.read_text("utf-8") for folder in folders for path in sorted(Path(folder).rglob("*.md"))]
    tokenizer = trained(texts)
    places = tokenizer.get_vocab()
    pieces = sorted(places, key=places.__getitem__)
    vectors = main_axes(taught(pieces)) * weights(tokenizer, texts)[:, np.newaxis]
    vectors[places[UNKNOWN]] = 0  # is like nothing
    tokenizer.save(str(MODEL / "tokenizer.json"))
    save_file({"vectors": vectors.astype(np.float16)}, MODEL / "vectors.safetensors")


def trained(texts: list[str]) -> Tokenizer:
    """Word pieces of the texts: whole words where they are common, letters at least."""
    tokenizer = Tokenizer(WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    digits = pre_tokenizers.Digits(individual_digits=True)  # dates and hashes are no words
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), digits])
    trainer = WordPieceTrainer(vocab_size=PIECES, special_tokens=[UNKNOWN], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def taught(pieces: list[str]) -> NDArray[np.float32]:
    """The large model's vector of each piece, [n, d]."""
    teacher = open_encoder(Plugins.load(), TEACHER)
    return teacher.encode([piece.removeprefix("##") for piece in pieces], role="passage").vectors


def main_axes(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first `DIMENSIONS` principal components of each row."""
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(centred @ axes[:DIMENSIONS].T, dtype=np.float32)


def weights(tokenizer: Tokenizer, texts: list[str]) -> NDArray[np.float64]:
    """How much each piece counts, [n], at most 1."""
    seen = Counter(place for text in texts for place in tokenizer.encode(text).ids)
    shares = np.array([seen[place] for place in range(tokenizer.get_vocab_size())]) / seen.total()
    return RARE / (RARE + shares)


if __name__ == "__main__":
    main(sys.argv[1:])
