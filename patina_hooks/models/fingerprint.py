"""The fingerprint of an encoder: a hash of all that changes the vector of a passage, and of nothing else.

Two encoders with one fingerprint may share a cache of embeddings; where it changes, everything is embedded
again. What is put before questions is not in it: questions are embedded when they are asked. The runtime is
not in it either, so that a team may use several: two that read the same files agree to about 1e-6 in every
value. One that differs by more (another precision, files read in another way) must say so by its
`RuntimeSpec.variant`, which keeps its vectors apart from those of other runtimes; what no plugin says, probe
texts tell (`patina_hooks.models.probes`).

It is computed without opening the model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from patina_hooks.models.reading import prefix_of
from patina_hooks.specs.models import ModelSpec

TEXT_RULES: Final = "1"
"""The version of `clean` in `patina_hooks.models.encoding`: raise it when that changes."""

NORMALISATION: Final = "l2"
LAST_LAYER: Final = -1


def fingerprint_of(spec: ModelSpec, hashes: Mapping[str, str], variant: str = "") -> str:
    """32 hex digits over `spec` and the sha256 of its files by role (`weights.file_hashes`).

    variant: the runtime's name and what the user's settings change of its vectors (`RuntimeChoice.variant`),
        "" where they change nothing.
    """
    facts = {
        "model": spec.name,
        "revision": spec.revision,
        "files": {role: digest.lower() for role, digest in hashes.items()},
        "dimensions": spec.dimensions,
        "max_tokens": spec.max_tokens,
        "pooling": spec.pooling,
        "normalisation": NORMALISATION,
        "query_prefix": "",  # kept from 0.1.0, so that models without one need no new vectors
        "passage_prefix": prefix_of(spec, "passage"),
        "batch_invariant": spec.batch_invariant,
        "text_rules": TEXT_RULES,
        **_uncommon(spec),
        **({"variant": variant} if variant else {}),
    }
    canonical = json.dumps(facts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:32]


def _uncommon(spec: ModelSpec) -> dict[str, object]:
    """What most models do not have: left out there, so that their vectors keep their name."""
    facts: dict[str, object] = {}
    if spec.layer != LAST_LAYER:
        facts["layer"] = spec.layer
    if spec.truncate:
        facts["truncate"] = [spec.truncate, spec.matryoshka_norm]
    return facts
