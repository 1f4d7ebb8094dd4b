"""Rotary positions: RoFormer (https://arxiv.org/abs/2104.09864), stretched by YaRN (2309.00071)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patina_hooks.authoring import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Rotation:
    """frequencies [head_width / 2]: radians a position; scale: a factor of sines and cosines."""

    frequencies: Vectors
    scale: float


def rotation(parameters: Mapping[str, Any], head_width: int) -> Rotation:
    """`parameters` as in `rope_parameters`: rope_type, rope_theta, and for yarn its own.

    Raises KeyError, TypeError or ValueError where one is absent or no number, or the type is another.
    """
    # numpy takes 0.1 s to import: only when a file is written.
    import numpy as np

    # In float32, step by step as the reference does, so that long texts turn by the same angles.
    places = np.arange(0, head_width, 2, dtype=np.float32) / np.float32(head_width)
    base = np.float32(parameters["rope_theta"]) ** places
    if parameters["rope_type"] == "default":
        return Rotation((1 / base).astype(np.float32), 1.0)
    if parameters["rope_type"] != "yarn":
        raise ValueError(f"rope_type {parameters['rope_type']!r}")
    factor = float(parameters["factor"])
    low, high = _ramp(parameters, head_width)
    slope = (np.arange(head_width // 2, dtype=np.float32) - low) / max(high - low, 0.001)
    stretched = np.clip(slope, 0, 1).astype(np.float32)
    frequencies = 1 / (factor * base) * stretched + 1 / base * (1 - stretched)
    return Rotation(frequencies.astype(np.float32), _attention_factor(parameters, factor))


def _ramp(parameters: Mapping[str, Any], head_width: int) -> tuple[float, float]:
    """Between which frequencies the stretching sets in: those of `beta_fast` and of `beta_slow` turns."""
    length = float(parameters["original_max_position_embeddings"])
    theta = math.log(float(parameters["rope_theta"]))

    def place(turns: float) -> float:
        return head_width * math.log(length / (turns * 2 * math.pi)) / (2 * theta)

    low, high = place(parameters.get("beta_fast") or 32), place(parameters.get("beta_slow") or 1)
    if parameters.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    return max(low, 0), min(high, head_width - 1)


def _attention_factor(parameters: Mapping[str, Any], factor: float) -> float:
    if (stated := parameters.get("attention_factor")) is not None:
        return float(stated)

    def scale(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1 if factor > 1 else 1.0

    mscale, everywhere = parameters.get("mscale"), parameters.get("mscale_all_dim")
    return scale(mscale) / scale(everywhere) if mscale and everywhere else scale(1)
