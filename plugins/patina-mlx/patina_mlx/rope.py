"""Rotary positions, also stretched by YaRN (Peng et al. 2023), as in transformers' `modeling_rope_utils`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, log, pi
from typing import Any

from patina_hooks.authoring import ModelError


@dataclass(frozen=True, slots=True)
class Rope:
    """periods: radians are position / period, one for each pair of a head's values; strength: what queries
    and keys are multiplied with."""

    periods: tuple[float, ...]
    strength: float = 1.0


def read_rope(facts: Mapping[str, Any], kind: str, width: int) -> Rope:
    """The rotation of layers of a kind ("full_attention", ...), whose heads are `width` wide.

    facts: config.json with its defaults. Raises `ModelError` for a rope_type that is not known.
    """
    given = _parameters(facts, kind)
    base = float(given.get("rope_theta") or facts["rope_theta"])
    plain = [base ** (2 * at / width) for at in range(width // 2)]
    rope_type = given.get("rope_type") or given.get("type") or "default"
    if rope_type == "default":
        return Rope(tuple(plain))
    if rope_type == "yarn":
        return _yarn(given, base, plain, int(facts["max_position_embeddings"]))
    raise ModelError(f"the mlx runtime does not know rotary positions of the type {rope_type!r}")


def _parameters(facts: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """rope_parameters, by kind of layer or for all; in older files rope_scaling, which OLMo 3 has for its
    full attention alone."""
    given: Mapping[str, Any] = facts.get("rope_parameters") or {}
    if "full_attention" in given or "sliding_attention" in given:
        return given.get(kind) or {}
    scaling: Mapping[str, Any] = facts.get("rope_scaling") or {}
    stretched = facts["model_type"] != "olmo3" or kind == "full_attention"
    return given or (scaling if stretched else {})


def _yarn(given: Mapping[str, Any], base: float, plain: list[float], positions: int) -> Rope:
    """Fast rotations stay, slow ones are stretched by `factor`, and those between by a ramp."""
    original = float(given.get("original_max_position_embeddings") or positions)
    factor = float(given.get("factor") or positions / original)
    low, high = (
        len(plain) * log(original / (turns * 2 * pi)) / log(base)
        for turns in (float(given.get("beta_fast") or 32), float(given.get("beta_slow") or 1))
    )
    if given.get("truncate", True):
        low, high = floor(low), ceil(high)
    low, high = max(low, 0), min(high, 2 * len(plain) - 1)
    span = (high - low) or 0.001
    stretch = [min(max((at - low) / span, 0), 1) for at in range(len(plain))]
    frequencies = [
        part / (factor * period) + (1 - part) / period for part, period in zip(stretch, plain, strict=True)
    ]
    return Rope(tuple(1 / one for one in frequencies), _strength(given, factor))


def _strength(given: Mapping[str, Any], factor: float) -> float:
    def scale(by: float) -> float:
        return 0.1 * by * log(factor) + 1 if factor > 1 else 1.0

    if (said := given.get("attention_factor")) is not None:
        return float(said)
    over, under = given.get("mscale"), given.get("mscale_all_dim")
    return scale(float(over)) / scale(float(under)) if over and under else scale(1)
