"""Probe texts: a few fixed texts whose vectors show whether a model's engine computes other vectors now.

The vectors of each model are stored in `probes.json` of the state folder, with the engine versions (see
`patina_hooks.models.engine_versions`) that were compared with them. Engine versions of equal vectors share a
cache of embeddings; those of other vectors get a variant, so that the fingerprint differs.

    {"texts": hash of the probe texts,
     "models": {fingerprint: {"probes": {variant: vectors}, "engine_versions": {key: variant}}}}

A file that cannot be read counts as absent: `search.index.probing` then compares with embedded texts.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypedDict

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import Rule, read_value
from patina_hooks.system.files import read_state, replace_file

if TYPE_CHECKING:
    from patina_hooks.models.engine_versions import EngineVersions
    from patina_hooks.specs.vectors import Vectors

PROBE_TEXTS: Final = (
    "fix",
    "why do we keep the vectors in a file of their own?",
    "def merge(segments: list[Path]) -> None:  # newest first",
    "Größere Änderungen werden einzeln geprüft, 42 Mal; 日本語も。",
    "The worker takes the lock, reads what the hooks wrote, and embeds what is new. Where it is killed half"
    " way, the next one goes on from there: what was written is whole, and what was not is written anew.",
)
"""Texts whose vectors show whether two models are the same."""
MOST_DISTANCE: Final = 1e-4
"""In cosine: two runtimes of one model agree to 1e-6, float16 storage to 1e-6, half precision to 1e-4."""

PROBES_FILE: Final = "probes.json"
_MOST_VERSIONS: Final = 64
_LONG_WORDS: Final = 512


@dataclass(frozen=True, slots=True)
class ProbeVectors:
    """The vectors of the probe texts. packed: float32, little-endian, row after row; rows: how many."""

    packed: bytes
    rows: int = len(PROBE_TEXTS)

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return len(self.packed) // 4 // self.rows

    @property
    def mark(self) -> str:
        """Return the name of these vectors: 16 hex digits."""
        return hashlib.sha256(self.packed).hexdigest()[:16]

    @property
    def vectors(self) -> Vectors:
        """Unpack the vectors [n, d] float32."""
        # numpy takes 0.1 s to import, and every sync asks for the mark only.
        import numpy as np

        return np.frombuffer(self.packed, "<f4").astype(np.float32).reshape(self.rows, -1)

    @classmethod
    def of(cls, vectors: Vectors) -> ProbeVectors:
        """Pack vectors [n, d]."""
        return cls(vectors.astype("<f4").tobytes(), len(vectors))


def long_text(max_tokens: int) -> str:
    """Write a text that is longer than a model reads: its vector shows how texts are cut."""
    return " ".join(str(number) for number in range(min(max_tokens, _LONG_WORDS) + 1))


def least_cosine(left: Vectors, right: Vectors) -> float:
    """Return the least cosine of rows of two arrays [n, d], -1 where the shapes differ.

    Equal rows have cosine 1, also where both are zero: a text without tokens.
    """
    import numpy as np

    if left.shape != right.shape:
        return -1.0
    left, right = left.astype(np.float64), right.astype(np.float64)  # no product overflows
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines = (left * right).sum(axis=1) / np.where(norms == 0, 1, norms)
    return float(np.where((left == right).all(axis=1), 1.0, cosines).min())


def texts_hash() -> str:
    """Return the hash of the probe texts; vectors of other texts are not compared."""
    return hashlib.sha256("\0".join(PROBE_TEXTS).encode()).hexdigest()[:16]


def variant_of(fingerprint: str, variant: str) -> str:
    """Return the fingerprint of a variant; "" has the model's own fingerprint."""
    if not variant:
        return fingerprint
    return hashlib.sha256(f"{fingerprint} {variant}".encode()).hexdigest()[:32]


@dataclass(slots=True)
class _ModelProbes:
    """What is recorded of a model.

    probes: variant -> vectors; versions: `EngineVersions.key` -> variant, the last compared at the end.
    """

    probes: dict[str, ProbeVectors] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


class ProbeRecord:
    """The probe vectors of a state folder. The caller of `save` holds the sync lock."""

    def __init__(self, state: Path) -> None:
        self._path = state / PROBES_FILE
        self._models: dict[str, _ModelProbes] = {}
        with suppress(OSError, ValueError):
            stored = read_value(_StoredRecord, parse_json(read_state(self._path)))
            if stored["texts"] == texts_hash():
                self._models = {name: _read_model(model) for name, model in stored["models"].items()}

    def variant(self, fingerprint: str, engine_versions: EngineVersions) -> str | None:
        """Return the variant of engine versions that were compared before, None for others."""
        model = self._models.get(fingerprint)
        return model.versions.get(engine_versions.key) if model else None

    def last_variant(self, fingerprint: str) -> str:
        """Return the variant of the engine versions compared last, "" where none were."""
        model = self._models.get(fingerprint)
        return next(reversed(model.versions.values()), "") if model else ""

    def last_engine_versions(self, fingerprint: str) -> str:
        """Return `EngineVersions.key` of those compared last, "" where none were."""
        model = self._models.get(fingerprint)
        return next(reversed(model.versions), "") if model else ""

    def has_probes(self, fingerprint: str) -> bool:
        """Return whether there are vectors to compare with."""
        return fingerprint in self._models and bool(self._models[fingerprint].probes)

    def match(self, fingerprint: str, probes: ProbeVectors) -> str | None:
        """Return the variant that has these vectors, None where no variant has."""
        model = self._models.get(fingerprint)
        if model is None:
            return None
        first = self.last_variant(fingerprint)
        vectors = probes.vectors
        for variant in sorted(model.probes, key=lambda variant: (variant != first, variant)):
            if 1 - least_cosine(vectors, model.probes[variant].vectors) <= MOST_DISTANCE:
                return variant
        return None

    def add(
        self, fingerprint: str, engine_versions: EngineVersions, probes: ProbeVectors, *, first: bool
    ) -> str:
        """Record the vectors of engine versions and return their variant.

        Args:
            fingerprint: of the model, without a variant.
            engine_versions: those that computed the vectors.
            probes: the vectors.
            first: whether they may have the model's own fingerprint where no vectors are recorded.
        """
        variant = self.match(fingerprint, probes)
        model = self._models.setdefault(fingerprint, _ModelProbes())
        if variant is None:
            variant = "" if first and not model.probes else probes.mark
            model.probes[variant] = probes
        model.versions.pop(engine_versions.key, None)
        model.versions[engine_versions.key] = variant
        for key in list(model.versions)[:-_MOST_VERSIONS]:
            del model.versions[key]
        return variant

    def save(self) -> None:
        """Write the file."""
        models = {
            name: {
                "probes": {
                    variant: {"rows": probes.rows, "vectors": base64.b64encode(probes.packed).decode("ascii")}
                    for variant, probes in model.probes.items()
                },
                "engine_versions": model.versions,
            }
            for name, model in self._models.items()
        }
        replace_file(self._path, json.dumps({"texts": texts_hash(), "models": models}).encode() + b"\n")


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


class _StoredProbes(TypedDict):
    rows: Annotated[int, Rule(least=1)]
    vectors: Annotated[bytes, Rule("base64", stored=str, convert=_decode)]


class _StoredModel(TypedDict):
    probes: Mapping[str, _StoredProbes]
    engine_versions: Mapping[str, str]


class _StoredRecord(TypedDict):
    texts: str
    models: Mapping[str, _StoredModel]


def _read_model(model: _StoredModel) -> _ModelProbes:
    """Read what `save` wrote; raise ValueError for anything else."""
    probes = {
        name: ProbeVectors(stored["vectors"], stored["rows"]) for name, stored in model["probes"].items()
    }
    if any(not vectors.packed or len(vectors.packed) % (4 * vectors.rows) for vectors in probes.values()):
        raise ValueError("vectors of another length")
    return _ModelProbes(probes, dict(model["engine_versions"]))
