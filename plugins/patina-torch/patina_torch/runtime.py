"""A model's weights and tokenizer, opened: texts to ids, ids to token vectors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks import ModelSpec, Tokens
from patina_hooks.authoring import ModelError, ModelFiles, TextTokenizer, open_tokenizer
from patina_torch.checkpoint import load_network, positions
from patina_torch.device import choose_compute_device
from patina_torch.packing import Packed, pack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from patina_hooks.authoring import Vectors

_ROLES: Final = ("model", "config", "tokenizer")
_LAST: Final = -1
_TEST_LENGTHS: Final = (1, 2, 3, 5, 5, 9, 17, 24, 31, 40)
"""Lengths of texts, in tokens, that a model is tested with, up to its limit."""


def open_model(model: ModelSpec, files: ModelFiles) -> TorchModel:
    """Open the roles "model" (with "model.2", ...), "config" and "tokenizer".

    Raises:
        ModelError: one is absent or cannot be used, the model has no such `layer` or fewer positions than
            `max_tokens`, or the device of the user's settings is not available.
        SettingsError: the settings are invalid.
    """
    if absent := sorted(set(_ROLES) - set(files)):
        raise ModelError(f"model {model.name} has no file for the torch runtime: {', '.join(absent)}")
    weights = _weights(files)
    tokenizer = open_tokenizer(files["tokenizer"])
    chosen = choose_compute_device()
    network = load_network(files["config"], weights, chosen.dtype)
    _refuse_beyond(model, network)
    network.to(chosen.device)
    return TorchModel(network, tokenizer, model.layer, chosen.threads, model.max_tokens)


class TorchModel:
    """A `TokenModel`: a base model of transformers, whose hidden states are the token vectors.

    A text's vectors are the same, bit for bit, in any batch: texts run together without padding, and each
    batch has its own thread. With padding, or several threads for a batch, the order of sums depends on the
    other rows. On some processors it always does: that is tested when a model is opened, and there each text
    runs in its own batch. On a GPU nothing of this is guaranteed.
    """

    def __init__(
        self, network: PreTrainedModel, tokenizer: TextTokenizer, layer: int, threads: int, most: int
    ) -> None:
        """Wrap a network. threads: concurrent batches, 1 on a GPU; most: tokens of the longest text."""
        import torch

        self._network = network.eval()
        self._tokenizer = tokenizer
        self._layer = layer
        self._more = {"use_cache": False} if hasattr(network.config, "use_cache") else {}
        # PyTorch has this number for each thread, so the caller's does not change.
        self._pool = ThreadPoolExecutor(threads, "patina-torch", torch.set_num_threads, (1,))
        self._together = self._network.device.type != "cpu" or self._is_batch_invariant(most)

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        """Return ids with special tokens, cut to `max_tokens`, unpadded."""
        return self._tokenizer.tokenize(texts, max_tokens)

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        """Return token vectors [b, s, d], float32 in any precision of the weights; zeros where mask is 0."""
        import numpy as np

        vectors = np.zeros((*ids.shape, self._network.config.hidden_size), dtype=np.float32)
        step = len(ids) if self._together else 1
        parts = [slice(start, start + step) for start in range(0, len(ids), max(step, 1))]
        packed = [pack(ids[part], mask[part]) for part in parts]
        batches = [(part, texts) for part, texts in zip(parts, packed, strict=True) if len(texts.rows)]
        results = self._pool.map(self._run, [texts for _, texts in batches])
        for (part, texts), hidden in zip(batches, results, strict=True):
            vectors[part][texts.rows, texts.columns] = hidden
        return vectors

    def _is_batch_invariant(self, most: int) -> bool:
        """Return whether this processor's products round a row in the same way in any batch."""
        import numpy as np

        positions = np.arange(min(max(_TEST_LENGTHS), most))
        mask = np.array([positions < length for length in _TEST_LENGTHS], np.int64)
        ids = mask * (positions + 1) % self._network.config.vocab_size
        self._together = True
        together = self.forward(ids, mask)
        alone = [self.forward(ids[[row]], mask[[row]])[0] for row in range(len(_TEST_LENGTHS))]
        return bool(np.array_equal(together, np.stack(alone)))

    def _run(self, packed: Packed) -> Vectors:
        """Return the token vectors [u, d] of the packed texts, end to end."""
        import torch

        ids, positions = (
            torch.from_numpy(array).to(self._network.device) for array in (packed.ids, packed.positions)
        )
        with torch.inference_mode():
            output = self._network(
                input_ids=ids,
                position_ids=positions,
                groups=packed.groups,
                output_hidden_states=self._layer != _LAST,
                **self._more,
            )
            hidden = output.last_hidden_state if self._layer == _LAST else output.hidden_states[self._layer]
            vectors: Vectors = hidden[0, : len(packed.rows)].float().cpu().numpy()
        return vectors


def _refuse_beyond(model: ModelSpec, network: PreTrainedModel) -> None:
    """Raise an error if the spec has more layers or positions than the network."""
    layers, most = network.config.num_hidden_layers, positions(network)
    if not -layers - 1 <= model.layer <= layers:
        raise ModelError(
            f"model {model.name} has the hidden states 0 to {layers}, and no layer {model.layer}"
        )
    if most is not None and model.max_tokens > most:
        raise ModelError(f"model {model.name} is to take {model.max_tokens} tokens, but has {most} positions")


def _weights(files: ModelFiles) -> list[Path]:
    roles = sorted((role for role in files if role == "model" or role.startswith("model.")), key=_number)
    weights = [files[role] for role in roles]
    for path in weights:
        if path.suffix != ".safetensors":
            raise ModelError(f"{path} is refused: the torch runtime reads weights from .safetensors only")
    return weights


def _number(role: str) -> tuple[int, str]:
    return len(role), role
