"""The fingerprint of an encoder: a hash of everything that changes the vector of a passage.

Two encoders with one fingerprint may share a cache of embeddings; where it changes, everything is embedded
again. The prefix of questions is not in it: questions are embedded when they are asked. The runtime is not in
it either, so that a team may use several: two that read the same files agree to about 1e-6 in every value. A
runtime that differs by more (another precision, files read in another way) must have a `RuntimeSpec.variant`,
which keeps its vectors apart from those of other runtimes; probe texts find differences that no plugin
declares (`patina_hooks.models.probes`).

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
"""The version of `clean_text` in `patina_hooks.models.encoding`: raise it when that changes."""

NORMALISATION: Final = "l2"
LAST_LAYER: Final = -1


def fingerprint_of(spec: ModelSpec, hashes: Mapping[str, str], variant: str = "") -> str:
    """Hash a spec, the sha256 of its files and the variant to 32 hex digits.

    Args:
        spec: the model, as it is read.
        hashes: role -> sha256 (`weights.file_hashes`).
        variant: the runtime's name and what the user's settings change of its vectors
            (`RuntimeChoice.variant`), "" where they change nothing.
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
        **_rare_facts(spec),
        **({"variant": variant} if variant else {}),
    }
    canonical = json.dumps(facts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:32]


def _rare_facts(spec: ModelSpec) -> dict[str, object]:
    """Return facts that most models do not have, so that those keep their fingerprints."""
    facts: dict[str, object] = {}
    if spec.layer != LAST_LAYER:
        facts["layer"] = spec.layer
    if spec.truncate:
        facts["truncate"] = [spec.truncate, spec.matryoshka_norm]
    return facts
