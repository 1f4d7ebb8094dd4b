"""A model's weights and tokenizer, opened: texts to ids, ids to token vectors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks import ModelSpec, Tokens
from patina_hooks.authoring import ModelError, ModelFiles, TextTokenizer, open_tokenizer
from patina_torch.checkpoint import open_network, positions
from patina_torch.device import chosen_place
from patina_torch.packing import Packed, pack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from patina_hooks.authoring import Vectors

_ROLES: Final = ("model", "config", "tokenizer")
_LAST: Final = -1
_TRIED: Final = (1, 2, 3, 5, 5, 9, 17, 24, 31, 40)
"""Lengths of texts, in tokens, that a model is tried with, as far as it takes them."""


def open_model(model: ModelSpec, files: ModelFiles) -> TorchModel:
    """Open the roles "model" (with "model.2", ...), "config" and "tokenizer".

    Raises `ModelError` where one is absent or cannot be used, the model has no such `layer` or fewer
    positions than `max_tokens`, or the device of the user's settings is not there; `SettingsError` where
    they mean nothing.
    """
    if absent := sorted(set(_ROLES) - set(files)):
        raise ModelError(f"model {model.name} gives the torch runtime no file for {', '.join(absent)}")
    weights = _weights(files)
    tokenizer = open_tokenizer(files["tokenizer"])
    place = chosen_place()
    network = open_network(files["config"], weights, place.dtype)
    _refuse_beyond(model, network)
    network.to(place.device)
    return TorchModel(network, tokenizer, model.layer, place.threads, model.max_tokens)


class TorchModel:
    """A `TokenModel`: a base model of transformers, whose hidden states are the token vectors.

    A text's vectors are the same, bit for bit, in any company: texts run together without padding, and each
    run has one thread of its own. Where there is padding, or several threads share a run, sums are taken in
    an order that depends on the other rows. On some processors they are so in any case: that is tried when a
    model is opened, and there each text runs alone. On a GPU nothing of this can be promised.
    """

    def __init__(
        self, network: PreTrainedModel, tokenizer: TextTokenizer, layer: int, threads: int, most: int
    ) -> None:
        """threads: runs at the same time, 1 on a GPU; most: tokens of the longest text."""
        import torch

        self._network = network.eval()
        self._tokenizer = tokenizer
        self._layer = layer
        self._more = {"use_cache": False} if hasattr(network.config, "use_cache") else {}
        # PyTorch keeps the number for each thread apart, so that the caller's stays as it is.
        self._pool = ThreadPoolExecutor(threads, "patina-torch", torch.set_num_threads, (1,))
        self._together = self._network.device.type != "cpu" or self._is_same_in_company(most)

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        """Ids with special tokens, cut to `max_tokens`, unpadded."""
        return self._tokenizer.tokenize(texts, max_tokens)

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        """Token vectors [b, s, d], float32, whatever the precision of the weights; zeros where mask is 0."""
        import numpy as np

        vectors = np.zeros((*ids.shape, self._network.config.hidden_size), dtype=np.float32)
        step = len(ids) if self._together else 1
        parts = [slice(start, start + step) for start in range(0, len(ids), max(step, 1))]
        packed = [pack(ids[part], mask[part]) for part in parts]
        runs = [(part, one) for part, one in zip(parts, packed, strict=True) if len(one.rows)]
        found = self._pool.map(self._run, [one for _, one in runs])
        for (part, one), made in zip(runs, found, strict=True):
            vectors[part][one.rows, one.columns] = made
        return vectors

    def _is_same_in_company(self, most: int) -> bool:
        """Whether this processor's products round a row in one way, however many rows there are."""
        import numpy as np

        places = np.arange(min(max(_TRIED), most))
        mask = np.array([places < length for length in _TRIED], np.int64)
        ids = mask * (places + 1) % self._network.config.vocab_size
        self._together = True
        together = self.forward(ids, mask)
        alone = [self.forward(ids[[row]], mask[[row]])[0] for row in range(len(_TRIED))]
        return bool(np.array_equal(together, np.stack(alone)))

    def _run(self, packed: Packed) -> Vectors:
        """Token vectors [u, d] of the packed texts, end to end."""
        import torch

        ids, positions = (
            torch.from_numpy(one).to(self._network.device) for one in (packed.ids, packed.positions)
        )
        with torch.inference_mode():
            given = self._network(
                input_ids=ids,
                position_ids=positions,
                groups=packed.groups,
                output_hidden_states=self._layer != _LAST,
                **self._more,
            )
            hidden = given.last_hidden_state if self._layer == _LAST else given.hidden_states[self._layer]
            vectors: Vectors = hidden[0, : len(packed.rows)].float().cpu().numpy()
        return vectors


def _refuse_beyond(model: ModelSpec, network: PreTrainedModel) -> None:
    """Where the model is said to have more layers or positions than there are."""
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
            raise ModelError(f"{path} is refused: the torch runtime reads weights from .safetensors alone")
    return weights


def _number(role: str) -> tuple[int, str]:
    return len(role), role
