"""A model's config.json, read to what its graph is built from.

Keys and their defaults are those of the configuration classes of transformers 5 (`BertConfig`,
`NomicBertConfig`, `Qwen3Config`, `Olmo3Config`), and those that the hub's files of before still have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from patina_export.rotation import Rotation, rotation
from patina_hooks.authoring import ModelError

ModelType = Literal["bert", "nomic_bert", "qwen3", "olmo3"]

FULL: Final = "full_attention"
SLIDING: Final = "sliding_attention"
_KINDS: Final = (FULL, SLIDING)

# What a key is called in the files that Nomic wrote, and the defaults where a file leaves one out.
_NOMIC_NAMES: Final = {
    "hidden_size": "n_embd",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
    "intermediate_size": "n_inner",
    "layer_norm_eps": "layer_norm_epsilon",
}
_NOMIC_ACTIVATIONS: Final = {"swiglu": "silu"}
_DEFAULTS: Final[Mapping[ModelType, Mapping[str, Any]]] = {
    "bert": {"layer_norm_eps": 1e-12, "hidden_act": "gelu", "type_vocab_size": 2},
    "nomic_bert": {"layer_norm_eps": 1e-12, "hidden_act": "silu", "type_vocab_size": 2, "rope_theta": 1000.0},
    "qwen3": {"rms_norm_eps": 1e-6, "hidden_act": "silu", "head_dim": 128, "rope_theta": 10_000.0},
    "olmo3": {"rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_theta": 500_000.0},
}
_SUPPORTED: Final = ("gelu", "relu", "silu")


@dataclass(frozen=True, slots=True)
class CheckpointConfig:
    """The sizes and rules of one model.

    width: of a hidden state; inner: of a feed-forward layer; head_width: of one attention head.
    key_heads: how many heads keys and values have; each serves heads / key_heads of the queries.
    attention: per layer "full_attention" or "sliding_attention".
    window: how many tokens back, itself included, a token of a sliding layer sees.
    rotations: how positions turn queries and keys, by kind of attention; none where they are added (bert).
    positions: how many tokens a text may have where positions are added, else 0.
    """

    model_type: ModelType
    layers: int
    width: int
    inner: int
    heads: int
    key_heads: int
    head_width: int
    epsilon: float
    activation: str
    bias: bool
    attention: tuple[str, ...]
    window: int
    rotations: Mapping[str, Rotation]
    positions: int

    @property
    def causal(self) -> bool:
        """Whether a token sees only what stands before it."""
        return self.model_type in ("qwen3", "olmo3")


def read_configuration(path: Path) -> CheckpointConfig:
    """Read config.json. Raises `ModelError` that names file, key, value and what is supported."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is no readable config.json: {error}") from error
    stated = content if isinstance(content, dict) else {}
    kind: Any = stated.get("model_type")
    if kind not in _DEFAULTS:
        raise ModelError(f"{path}: model_type is {kind!r}; export knows {', '.join(sorted(_DEFAULTS))}")
    return _Reader(path, kind, stated).configuration()


class _Reader:
    """One config.json: values checked as they are asked for."""

    def __init__(self, path: Path, kind: ModelType, stated: Mapping[str, Any]) -> None:
        self.path = path
        self.kind: ModelType = kind
        renamed = {name: stated[old] for name, old in _NOMIC_NAMES.items() if old in stated}
        self.values = {**_DEFAULTS[kind], **renamed, **{k: v for k, v in stated.items() if v is not None}}

    def configuration(self) -> CheckpointConfig:
        self._refuse_what_is_not_built()
        layers, width, heads = (
            self.count(name) for name in ("num_hidden_layers", "hidden_size", "num_attention_heads")
        )
        attention, window = self.attention(layers)
        head_width = self.count("head_dim", width // heads)
        return CheckpointConfig(
            model_type=self.kind,
            layers=layers,
            width=width,
            inner=self.count("intermediate_size"),
            heads=heads,
            key_heads=self.count("num_key_value_heads", heads),
            head_width=head_width,
            epsilon=self.epsilon(),
            activation=self.activation(),
            bias=self.kind == "bert" or bool(self.values.get("attention_bias")),
            attention=attention,
            window=window,
            rotations={kind: self.rotation(kind, head_width) for kind in dict.fromkeys(attention)}
            if self.kind != "bert"
            else {},
            positions=self.count("max_position_embeddings", 512) if self.kind == "bert" else 0,
        )

    def count(self, name: str, default: int | None = None) -> int:
        value = self.values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.wrong(name, value, "a whole number from 1")
        return value

    def epsilon(self) -> float:
        name = "rms_norm_eps" if self.kind in ("qwen3", "olmo3") else "layer_norm_eps"
        value = self.values[name]
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            raise self.wrong(name, value, "a number above 0")
        return float(value)

    def activation(self) -> str:
        stated = self.values.get("activation_function") if self.kind == "nomic_bert" else None
        name = _NOMIC_ACTIVATIONS.get(str(stated), stated) or self.values["hidden_act"]
        if name not in _SUPPORTED:
            raise self.wrong("hidden_act", name, " or ".join(_SUPPORTED))
        return str(name)

    def attention(self, layers: int) -> tuple[tuple[str, ...], int]:
        """Read the kind of attention of every layer, and the window of sliding ones (0 without any)."""
        window = self.values.get("sliding_window", 4096 if self.kind == "olmo3" else None)
        if self.kind in ("bert", "nomic_bert"):
            return (FULL,) * layers, 0
        if self.kind == "qwen3" and not self.values.get("use_sliding_window"):
            window = None
        kinds = tuple(self.values.get("layer_types") or self._by_place(layers, window))
        if len(kinds) != layers or not set(kinds) <= set(_KINDS):
            raise self.wrong("layer_types", list(kinds), f"{layers} of {' or '.join(_KINDS)}")
        if SLIDING in kinds and (not isinstance(window, int) or window < 1):
            raise self.wrong("sliding_window", window, "a whole number from 1")
        return kinds, window if SLIDING in kinds and isinstance(window, int) else 0

    def _by_place(self, layers: int, window: object) -> list[str]:
        if self.kind == "olmo3":
            return [FULL if place % 4 == 3 else SLIDING for place in range(layers)]
        first = int(self.values.get("max_window_layers", 28)) if window else layers
        return [SLIDING if place >= first else FULL for place in range(layers)]

    def rotation(self, kind: str, head_width: int) -> Rotation:
        """`rope_parameters` as transformers 5 writes them, per kind or one for all, or `rope_scaling`."""
        stated = self.values.get("rope_parameters") or {}
        parameters = dict(stated.get(kind) or {}) if self.kind == "olmo3" else dict(stated)
        scaling = self.values.get("rope_scaling")
        if scaling and (self.kind != "olmo3" or kind == FULL):
            parameters.update(scaling)
        parameters.setdefault("rope_theta", self.values.get("rotary_emb_base", self.values["rope_theta"]))
        parameters.setdefault("rope_type", parameters.get("type", "default"))
        parameters.setdefault("original_max_position_embeddings", self.values.get("max_position_embeddings"))
        try:
            return rotation(parameters, head_width)
        except (KeyError, TypeError, ValueError) as error:
            raise self.wrong("rope_parameters", parameters, f"default or yarn, complete ({error})") from error

    def _refuse_what_is_not_built(self) -> None:
        built = {
            "position_embedding_type": ("absolute",),
            "is_decoder": (False,),
            "prenorm": (False,),
            "rotary_emb_fraction": (1.0,),
            "partial_rotary_factor": (1.0,),
            "rotary_emb_interleaved": (False,),
            "rotary_emb_scale_base": (None,),
            "use_rms_norm": (False,),
            "quantization": (),
            "quantization_config": (),
            "qkv_proj_bias": (False,),
            "mlp_fc1_bias": (False,),
            "mlp_fc2_bias": (False,),
        }
        for name, supported in built.items():
            if name in self.values and self.values[name] not in supported:
                raise self.wrong(name, self.values[name], " or ".join(map(str, supported)) or "none")

    def wrong(self, name: str, value: object, expected: str) -> ModelError:
        return ModelError(f"{self.path}: {name} is {value!r}; export builds {expected}")
