"""Tokenizers by `tokenizers`: a tokenizer.json, or a WordPiece vocab.txt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.errors import ModelError
from patina_hooks.specs.models import Tokens

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


class TextTokenizer:
    """Texts to ids with special tokens, cut to a length, never padded."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        # A shipped tokenizer.json often pads and truncates to a fixed length that is not the model's.
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._special: int = tokenizer.num_special_tokens_to_add(False)

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        """Tokenize texts, cut to `max_tokens`."""
        # Not as a batch: that would start threads, and a later fork then prints a warning.
        self._tokenizer.enable_truncation(max_tokens)
        return [self._tokens(self._tokenizer.encode(text)) for text in texts]

    def _tokens(self, encoding: Encoding) -> Tokens:
        cut = sum(len(rest.ids) - self._special for rest in encoding.overflowing)
        return Tokens(encoding.ids, cut)


def open_tokenizer(path: Path) -> TextTokenizer:
    """Open a tokenizer.json, or a vocab.txt as BERT's lower-casing WordPiece.

    Raises:
        ModelError: the file cannot be opened, or is neither.
    """
    # 20 ms to import: only when a model is opened.
    from tokenizers import BertWordPieceTokenizer, Tokenizer

    try:
        if path.suffix == ".json":
            return TextTokenizer(Tokenizer.from_file(str(path)))
        if path.suffix == ".txt":
            return TextTokenizer(BertWordPieceTokenizer(str(path), lowercase=True)._tokenizer)
    except Exception as error:  # the Rust side raises Exception itself
        raise ModelError(f"the tokenizer {path} cannot be opened: {error}") from error
    raise ModelError(f"the tokenizer {path} is neither a tokenizer.json nor a vocab.txt")
