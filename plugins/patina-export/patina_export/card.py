"""The model card of an exported file: what it is, how it was proven, how to use it. Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version

from patina_export.graph import OPSET
from patina_export.prove import TOP, ExportAgreement, Proof
from patina_export.write import Exported
from patina_hooks import ModelSpec
from patina_hooks.authoring import as_toml

_WEIGHTS = {
    "fp32": "float32",
    "int8": "int8, each with the scale of its output or row; arithmetic and activations are float32",
}


def card(spec: ModelSpec, exported: Exported, proof: Proof, source: Mapping[str, str]) -> str:
    """spec: with the files that were made, by hash; source: role -> sha256 of what they were made from."""
    hashes = {role: file.sha256 or "" for role, file in spec.runtimes["onnx"].items()}
    entry = as_toml(replace(spec, name=f"{spec.name}-{exported.precision}"))
    layer = f"{exported.layer} of {exported.layers}"
    facts = {
        "architecture": exported.architecture,
        "parameters of the source": f"{exported.parameters:,}",
        "weights": _WEIGHTS[exported.precision],
        "output": f"`last_hidden_state` [batch, sequence, {exported.width}]: hidden state {layer}",
        "pooling": f"{spec.pooling}, over the real tokens; not in the file",
        "normalisation": "L2; not in the file",
        "longest text": f"{spec.max_tokens} tokens",
        "prefix of a question": _quoted(spec.query_prefix),
        "prefix of a passage": _quoted(spec.passage_prefix),
        "operators": f"ONNX opset {OPSET}, no others",
        "size": f"{exported.bytes:,} bytes",
        "licence of the weights": spec.licence or "not stated",
    }
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    parts = [
        f"# {spec.name}, {exported.precision}, for ONNX Runtime\n\n"
        f"Written by patina-export {version('patina-export')} from the model's own weights "
        f"(`patina export {spec.name} --precision {exported.precision}`).",
        f"| | |\n| --- | --- |\n{rows}",
        f"## Proof\n\n{_proof(proof)}",
        "## Use\n\n`patina export --as NAME` lists the file in models.toml. While the folder lies "
        f"where it was made, the entry is:\n\n```toml\n{entry}```",
        "## Files\n\n" + _hashes("made", hashes) + "\n\n" + _hashes("made from", source),
    ]
    return "\n\n".join(parts) + "\n"


def _proof(proof: Proof) -> str:
    alone = (
        f"A text's vector alone and in batches with the other {proof.texts - 1}: cosine "
        f"{proof.invariance:.7f} at least."
    )
    if proof.agreement is None:
        return f"**Not proven against its source**: {proof.unproven}.\n\n{alone}"
    return f"{_agreement(proof.agreement, proof.texts)}\n\n{alone}"


def _agreement(agreement: ExportAgreement, texts: int) -> str:
    kinds = "\n".join(f"| least of {kind} | {least:.6f} |" for kind, least in agreement.by_kind.items())
    return (
        f"The vectors of {texts} texts, as questions and as passages, were compared with those "
        f"of {agreement.source}:\n\n"
        f"| | cosine |\n| --- | --- |\n| mean | {agreement.mean:.6f} |\n| least | {agreement.least:.6f} |\n"
        f"{kinds}\n\n"
        f"Of the {TOP} passages nearest to a question {agreement.overlap:.1%} are the same."
    )


def _hashes(column: str, hashes: Mapping[str, str]) -> str:
    rows = "\n".join(f"| {name} | `{digest}` |" for name, digest in hashes.items())
    return f"| {column} | sha256 |\n| --- | --- |\n{rows}"


def _quoted(prefix: str) -> str:
    escaped = prefix.replace("\n", "\\n").replace("|", "\\|")
    return f"`{escaped}`" if prefix else "none"
