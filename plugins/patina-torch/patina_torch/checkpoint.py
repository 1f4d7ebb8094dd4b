"""Load config.json and safetensors as a network of transformers: no download, no code of the model.

Only keys that the architecture's own class has are read from the config, so that no key can name code, a
kernel or a quantisation. The place of each tensor, also under the names of published files (nomic_bert's q, k
and v in one), is transformers' own table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from patina_hooks.authoring import ModelError
from patina_torch.packing import ATTENTION, register

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

_CLASSES: Final = {"bert": "Bert", "nomic_bert": "NomicBert", "qwen3": "Qwen3", "olmo3": "Olmo3"}
_OLD_ROPE: Final = {"rope_theta", "rope_scaling"}
_LARGEST_CONFIG: Final = 1 << 20

_NOT_OURS: Final = ("pooler.", "cls.", "lm_head.", "position_ids", "inv_freq")
"""Tensors that may be unused: heads, and constants of older files."""

_NOMIC_NAMES: Final = {
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_layer": "num_hidden_layers",
    "n_positions": "max_position_embeddings",
    "layer_norm_epsilon": "layer_norm_eps",
}
_NOMIC_MUST: Final[Mapping[str, object]] = {
    "activation_function": "swiglu",
    "causal": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "moe_every_n_layers": 0,
    "prenorm": False,
    "qkv_proj_bias": False,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None,
    "use_rms_norm": False,
}
"""What transformers' NomicBertModel computes, by keys of the published config."""


def load_network(config: Path, weights: list[Path], dtype: torch.dtype) -> PreTrainedModel:
    """Load the base model, ready to run packed texts (`packing`) on the processor.

    Raises:
        ModelError: names file and reason.
    """
    # 2 s to import: only when a model is opened.
    import transformers

    name, settings = _read_config(config)
    tensors = _read_tensors(weights)
    register()
    kind: type[PreTrainedModel] = getattr(transformers, f"{name}Model")
    with _quiet():
        try:
            network, loading_info = kind.from_pretrained(
                None,
                config=_config(getattr(transformers, f"{name}Config"), settings),
                state_dict=tensors,
                dtype=dtype,
                attn_implementation=ATTENTION,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
        except Exception as error:  # transformers' own have no common base
            raise ModelError(f"{weights[0]} does not fit {config}: {error}") from error
    _refuse_misfits(weights[0], loading_info)
    return network


def positions(network: PreTrainedModel) -> int | None:
    """Return the rows of the table of positions, None where positions are rotated."""
    config = network.config
    return int(config.max_position_embeddings) if config.model_type == "bert" else None


def _read_config(path: Path) -> tuple[str, dict[str, Any]]:
    """Read the name of transformers' classes for the architecture, and the config."""
    try:
        with path.open("rb") as file:
            settings = json.loads(file.read(_LARGEST_CONFIG))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not a readable config.json: {error}") from error
    kind = settings.get("model_type") if isinstance(settings, dict) else None
    if not isinstance(kind, str) or kind not in _CLASSES:
        names = ", ".join(_CLASSES)
        raise ModelError(f"{path}: the torch runtime knows the architectures {names}, not {kind!r}")
    if settings.get("position_embedding_type", "absolute") != "absolute":
        raise ModelError(f"{path}: relative position embeddings are not known to this runtime")
    return _CLASSES[kind], _nomic(path, settings) if "n_embd" in settings else settings


def _nomic(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a config with GPT-2's keys, as nomic publishes it, to those of transformers."""
    for key, required in _NOMIC_MUST.items():
        if settings.get(key, required) not in (required, required or None):
            raise ModelError(f"{path}: {key} is {settings[key]!r}, which this runtime does not compute")
    renamed = {ours: settings[theirs] for theirs, ours in _NOMIC_NAMES.items() if theirs in settings}
    rope = {"rope_theta": settings.get("rotary_emb_base", 10_000), "rope_type": "default"}
    return {**settings, **renamed, "hidden_act": "silu", "rope_parameters": rope}


def _config(kind: type[PreTrainedConfig], settings: Mapping[str, Any]) -> PreTrainedConfig:
    from transformers import PreTrainedConfig

    common = {field.name for field in fields(PreTrainedConfig)}
    own = {field.name for field in fields(kind)} - common | _OLD_ROPE
    return kind(**{key: value for key, value in settings.items() if key in own})


def _read_tensors(weights: list[Path]) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    for path in weights:
        try:
            tensors |= load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is not a readable safetensors file: {error}") from error
    return tensors


def _refuse_misfits(path: Path, info: Mapping[str, Any]) -> None:
    spare = [name for name in info["unexpected_keys"] if not any(part in name for part in _NOT_OURS)]
    for problem, names in (("lacks", info["missing_keys"]), ("has tensors unknown to the model:", spare)):
        if names:
            first = ", ".join(sorted(map(str, names))[:4])
            more = f" and {len(names) - 4} more" if len(names) > 4 else ""
            raise ModelError(f"{path} {problem} {first}{more}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Turn off transformers' progress bars and reports; problems are raised instead."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
