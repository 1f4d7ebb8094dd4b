"""Rotary positions, also stretched by YaRN (Peng et al. 2023), as in transformers' `modeling_rope_utils`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, log, pi
from typing import Any

from patina_hooks.authoring import ModelError


@dataclass(frozen=True, slots=True)
class Rope:
    """A rotation of positions.

    periods: radians are position / period, one for each pair of a head's values.
    strength: a factor of queries and keys.
    """

    periods: tuple[float, ...]
    strength: float = 1.0


def read_rope(facts: Mapping[str, Any], kind: str, width: int) -> Rope:
    """Read the rotation of layers.

    Args:
        facts: config.json with its defaults.
        kind: of the layers: "full_attention", ...
        width: of a head.

    Raises:
        ModelError: the rope_type is not supported.
    """
    parameters = _parameters(facts, kind)
    base = float(parameters.get("rope_theta") or facts["rope_theta"])
    plain = [base ** (2 * at / width) for at in range(width // 2)]
    rope_type = parameters.get("rope_type") or parameters.get("type") or "default"
    if rope_type == "default":
        return Rope(tuple(plain))
    if rope_type == "yarn":
        return _yarn(parameters, base, plain, int(facts["max_position_embeddings"]))
    raise ModelError(f"the mlx runtime does not know rotary positions of the type {rope_type!r}")


def _parameters(facts: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return rope_parameters, by kind of layer or for all, or rope_scaling of older files.

    OLMo 3 has rope_scaling for its full attention only.
    """
    parameters: Mapping[str, Any] = facts.get("rope_parameters") or {}
    if "full_attention" in parameters or "sliding_attention" in parameters:
        return parameters.get(kind) or {}
    scaling: Mapping[str, Any] = facts.get("rope_scaling") or {}
    stretched = facts["model_type"] != "olmo3" or kind == "full_attention"
    return parameters or (scaling if stretched else {})


def _yarn(parameters: Mapping[str, Any], base: float, plain: list[float], positions: int) -> Rope:
    """Keep fast rotations, stretch slow ones by `factor`, and those between by a ramp."""
    original = float(parameters.get("original_max_position_embeddings") or positions)
    factor = float(parameters.get("factor") or positions / original)
    low, high = (
        len(plain) * log(original / (turns * 2 * pi)) / log(base)
        for turns in (float(parameters.get("beta_fast") or 32), float(parameters.get("beta_slow") or 1))
    )
    if parameters.get("truncate", True):
        low, high = floor(low), ceil(high)
    low, high = max(low, 0), min(high, 2 * len(plain) - 1)
    span = (high - low) or 0.001
    stretch = [min(max((at - low) / span, 0), 1) for at in range(len(plain))]
    frequencies = [
        part / (factor * period) + (1 - part) / period for part, period in zip(stretch, plain, strict=True)
    ]
    return Rope(tuple(1 / frequency for frequency in frequencies), _strength(parameters, factor))


def _strength(parameters: Mapping[str, Any], factor: float) -> float:
    def scale(by: float) -> float:
        return 0.1 * by * log(factor) + 1 if factor > 1 else 1.0

    if (attention_factor := parameters.get("attention_factor")) is not None:
        return float(attention_factor)
    over, under = parameters.get("mscale"), parameters.get("mscale_all_dim")
    return scale(float(over)) / scale(float(under)) if over and under else scale(1)
