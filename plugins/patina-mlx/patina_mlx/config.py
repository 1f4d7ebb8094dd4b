"""config.json as transformers writes it: what the four architectures need to know of it.

Field names and defaults are those of transformers 5 (`BertConfig`, `NomicBertConfig`, `Qwen3Config`,
`Olmo3Config`); older files that say `rope_theta` and `rope_scaling`, and NomicBERT's first ones (`n_embd`,
`n_head`, ...), are read too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from patina_hooks.authoring import ModelError
from patina_mlx.rope import Rope, read_rope

ARCHITECTURES: Final = ("bert", "nomic_bert", "qwen3", "olmo3")

_NOMIC: Final = {
    "hidden_size": "n_embd",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
    "layer_norm_eps": "layer_norm_epsilon",
    "rope_theta": "rotary_emb_base",
    "hidden_act": "activation_function",
}
_DEFAULTS: Final[Mapping[str, Mapping[str, object]]] = {
    "bert": {"hidden_act": "gelu", "layer_norm_eps": 1e-12},
    "nomic_bert": {"hidden_act": "silu", "layer_norm_eps": 1e-12, "rope_theta": 1_000.0},
    "qwen3": {"hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "head_dim": 128},
    "olmo3": {"hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "sliding_window": 4096},
}
_ACTIVATIONS: Final = {"gelu": "gelu", "silu": "silu", "swiglu": "silu"}
_MUST_BE: Final[Mapping[str, object]] = {
    "is_decoder": False,
    "add_cross_attention": False,
    "position_embedding_type": "absolute",
    "prenorm": False,
    "use_rms_norm": False,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "use_sliding_window": False,
    "causal": False,
    "partial_rotary_factor": 1.0,
}
"""Variants that no model of these architectures is published with; one that says otherwise is refused."""


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How a matrix is packed: so many values of a row share a scale and a bias, each is of so many bits."""

    group_size: int
    bits: int


@dataclass(frozen=True, slots=True)
class Config:
    """An architecture's facts.

    hidden: width of a token vector; head_width: of one head; kv_heads: heads of keys and values.
    positions: rows of a table of positions, None where positions are rotated.
    ropes, windows: of each layer; a window is how many tokens a token sees, itself the last, None for all.
    packed: how matrices are packed, by the name of the matrix, "" for all others; empty where none is.
    """

    architecture: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    epsilon: float
    activation: str
    positions: int | None
    ropes: tuple[Rope | None, ...]
    windows: tuple[int | None, ...]
    packed: Mapping[str, Quantisation | None]


def read_config(path: Path) -> Config:
    """Read config.json.

    Raises:
        ModelError: it cannot be read, or a setting is not supported.
    """
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    try:
        return _config(raw)
    except (TypeError, KeyError, AttributeError, ValueError, ArithmeticError) as error:
        raise ModelError(
            f"{path} is not the config.json of a model: {type(error).__name__}: {error}"
        ) from error


def _config(raw: dict[str, Any]) -> Config:
    architecture = raw.get("model_type")
    if architecture not in ARCHITECTURES:
        names = ", ".join(ARCHITECTURES)
        raise ModelError(f"the mlx runtime does not know the architecture {architecture!r}, only {names}")
    facts = _facts(architecture, raw)
    layers, heads, hidden = (
        int(facts[key]) for key in ("num_hidden_layers", "num_attention_heads", "hidden_size")
    )
    kinds = _layer_kinds(architecture, facts, layers)
    window = facts.get("sliding_window")
    ropes = {
        kind: None if architecture == "bert" else read_rope(facts, kind, _head_width(facts)) for kind in kinds
    }
    return Config(
        architecture=architecture,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=int(facts.get("num_key_value_heads") or heads),
        head_width=_head_width(facts),
        epsilon=float(facts["layer_norm_eps" if "bert" in architecture else "rms_norm_eps"]),
        activation=_ACTIVATIONS[facts["hidden_act"]],
        positions=int(facts["max_position_embeddings"]) if architecture == "bert" else None,
        ropes=tuple(ropes[kind] for kind in kinds),
        windows=tuple(int(window) if kind == "sliding_attention" and window else None for kind in kinds),
        packed=_packed(raw),
    )


def _facts(architecture: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    stated = {key: value for key, value in raw.items() if value is not None}
    if architecture == "nomic_bert":
        stated |= {new: stated[old] for new, old in _NOMIC.items() if old in stated and new not in stated}
    for key, value in stated.items():
        if key in _MUST_BE and value != _MUST_BE[key]:
            raise ModelError(f"the mlx runtime does not know {architecture} with {key} {value!r}")
    facts = {**_DEFAULTS[architecture], **stated}
    if facts["hidden_act"] not in _ACTIVATIONS:
        raise ModelError(f"the mlx runtime does not know the activation {facts['hidden_act']!r}")
    return facts


def _head_width(facts: Mapping[str, Any]) -> int:
    return int(facts.get("head_dim") or facts["hidden_size"] // facts["num_attention_heads"])


def _layer_kinds(architecture: str, facts: Mapping[str, Any], layers: int) -> list[str]:
    """Return "full_attention" or "sliding_attention" for each layer."""
    kinds = facts.get("layer_types")
    if kinds is None and architecture == "olmo3":
        kinds = ["full_attention" if at % 4 == 3 else "sliding_attention" for at in range(layers)]
    elif kinds is None:
        kinds = ["full_attention"] * layers
    if len(kinds) != layers or not set(kinds) <= {"full_attention", "sliding_attention"}:
        raise ModelError(f"layer_types does not name {layers} layers of full or sliding attention")
    return list(kinds)


def _packed(raw: Mapping[str, Any]) -> dict[str, Quantisation | None]:
    """Read the table `quantization` of mlx-community: settings for all, and of single matrices."""
    table = raw.get("quantization")
    if table is None:
        return {}
    return {"": _quantisation(table)} | {
        name: _quantisation(entry) if isinstance(entry, dict) else None
        for name, entry in table.items()
        if isinstance(entry, dict) or entry is False
    }


def _quantisation(table: Mapping[str, Any]) -> Quantisation:
    if table.get("mode", "affine") != "affine":
        raise ModelError(f"the mlx runtime does not know matrices that are packed as {table['mode']!r}")
    return Quantisation(int(table["group_size"]), int(table["bits"]))
