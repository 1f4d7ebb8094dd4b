"""How far an exported file's vectors are from those of its source, and from their own in other batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_export.texts import TEXTS
from patina_hooks import ModelSpec, PatinaError
from patina_hooks.authoring import (
    Encoder,
    nearest_passages,
    open_encoder,
    prefix_of,
    row_cosines,
    runtime_for,
    with_runtimes,
)

if TYPE_CHECKING:
    from patina_hooks.authoring import Plugins, Role, Vectors

ONNX: Final = "onnx"
TOP: Final = 10
_ROLES: Final[tuple[Role, ...]] = ("query", "passage")


@dataclass(frozen=True, slots=True)
class ExportAgreement:
    """Cosines of the file's vectors to the source's, over all texts as questions and as passages.

    against: the runtime that gave the source's vectors.
    least, mean: of those cosines; by_kind: the least of each kind of text (`TEXTS`).
    overlap: the share of the ten passages nearest to a question that is the same, on average.
    """

    against: str
    least: float
    mean: float
    by_kind: Mapping[str, float]
    overlap: float

    @property
    def source(self) -> str:
        """What gave the source's vectors, in words."""
        return "the ONNX file that it came with" if self.against == ONNX else f"the runtime {self.against}"


@dataclass(frozen=True, slots=True)
class Proof:
    """texts: how many were encoded; invariance: the least cosine of a text alone to itself among runnable.

    agreement: None where nothing that runs here can speak for the source, and `unproven` says why.
    """

    texts: int
    invariance: float
    agreement: ExportAgreement | None
    unproven: str = ""


def prove(exported: Encoder, source: Encoder | None, unproven: str = "") -> Proof:
    """Encode the built-in texts with both and compare."""
    texts = [text for kind in TEXTS.values() for text in kind]
    agreement = compare_encoders(exported, source) if source else None
    return Proof(len(texts), invariance(exported, texts), agreement, "" if source else unproven)


def compare_encoders(exported: Encoder, source: Encoder) -> ExportAgreement:
    """Compare the vectors of the file and its source for the same texts."""
    import numpy as np

    texts = [text for kind in TEXTS.values() for text in kind]
    ours, theirs = (_vectors(encoder, texts) for encoder in (exported, source))
    cosines = np.minimum(*(row_cosines(ours[role], theirs[role]) for role in _ROLES))
    kinds = np.repeat(list(TEXTS), [len(kind) for kind in TEXTS.values()])
    return ExportAgreement(
        against=source.runtime,
        least=float(cosines.min()),
        mean=float(np.mean([row_cosines(ours[role], theirs[role]) for role in _ROLES])),
        by_kind={kind: float(cosines[kinds == kind].min()) for kind in TEXTS},
        overlap=overlap(*(_neighbours(vectors) for vectors in (ours, theirs))),
    )


def _vectors(encoder: Encoder, texts: Sequence[str]) -> dict[Role, Vectors]:
    """By role; once where questions and passages have the same prefix."""
    passages = encoder.encode(texts, role="passage").vectors
    if prefix_of(encoder.spec, "query") == prefix_of(encoder.spec, "passage"):
        return dict.fromkeys(_ROLES, passages)
    return {"query": encoder.encode(texts, role="query").vectors, "passage": passages}


def invariance(encoder: Encoder, texts: Sequence[str]) -> float:
    """Return the least cosine of a text's own vector to its vector in batches with all others."""
    import numpy as np

    alone = np.concatenate([encoder.encode([text], role="passage").vectors for text in texts])
    among = encoder.encode(texts, role="passage").vectors
    return float(row_cosines(alone, among).min())


def _neighbours(vectors: Mapping[Role, Vectors]) -> list[frozenset[int]]:
    return nearest_passages(vectors["query"], vectors["passage"], TOP)


def overlap(ours: Sequence[frozenset[int]], theirs: Sequence[frozenset[int]]) -> float:
    """Return the mean share of neighbours that both have."""
    return sum(len(mine & yours) / TOP for mine, yours in zip(ours, theirs, strict=True)) / len(ours)


def open_source(plugins: Plugins, spec: ModelSpec) -> tuple[Encoder | None, str]:
    """Open the model in another runtime than onnx, or from the ONNX file that it came with.

    Or None, and why.
    """
    runnable = with_runtimes(spec, lambda name: name.partition("/")[0] != ONNX)
    try:
        return open_encoder(plugins, spec.name, runtime_for(plugins, runnable).runtime), ""
    except PatinaError as error:
        reason = str(error)
    if ONNX in spec.runtimes:
        try:
            return open_encoder(plugins, spec.name, ONNX), ""
        except PatinaError as error:
            reason += f"; nor its published ONNX file: {error}"
    return None, reason
