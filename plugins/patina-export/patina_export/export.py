"""A model by name, exported into a folder of its own: file, tokenizer, proof and card."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_export.card import card
from patina_export.graph import Precision
from patina_export.prove import ONNX, ExportAgreement, Proof, open_source, prove
from patina_export.write import Exported, export_onnx
from patina_hooks import LocalFile, ModelSpec
from patina_hooks.authoring import (
    ModelError,
    file_hashes,
    model_files,
    open_files,
    runtime_for,
    sha256_of,
)

if TYPE_CHECKING:
    from patina_hooks.authoring import Plugins

CARD: Final = "README.md"
MODEL: Final = "model.onnx"
_LEAST: Final[Mapping[Precision, float]] = {"fp32": 0.999, "int8": 0.95}
"""Cosines below which a file is not that model: what a wrong graph gives lies far below them."""
_LEAST_TO_ONNX: Final = 0.95
"""The same to an ONNX file that the model came with, which may be rounded itself."""


@dataclass(frozen=True, slots=True)
class Export:
    """A folder that holds a file and its proof. spec: the model as it is run from these files alone."""

    folder: Path
    spec: ModelSpec
    exported: Exported
    proof: Proof
    card: Path


def export_model(
    plugins: Plugins, name: str, folder: Path, precision: Precision, report_step: Callable[[str], object]
) -> Export:
    """Write model `name` to `folder`, which is created and must be empty; report_step: called with each step.

    The source is the first of the model's runtimes with safetensors and a config.json. Raises `ModelError`
    where there is none, where the onnx runtime is absent, or where the file's vectors are not the source's;
    then nothing is left.
    """
    spec = plugins.model(name)
    runtime = source_runtime(spec)
    files = model_files(spec, runtime)
    plugins.runtime(ONNX)  # before anything is written: nothing could be proven without it
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} is there and not empty", hint="name another folder with --output")
    is_new = not folder.exists()
    try:
        return _export(plugins, spec, files, file_hashes(spec, runtime), folder, precision, report_step)
    except BaseException:
        _remove(folder, is_new)
        raise


def source_runtime(spec: ModelSpec) -> str:
    """Whose files are safetensors with a config.json; `ModelError` where the model has none such."""
    for runtime in sorted(spec.runtimes, key=lambda name: "/" in name):  # the usual files before packed ones
        if {"model", "config", "tokenizer"} <= set(spec.runtimes[runtime]):
            return runtime
    listed = ", ".join(sorted(spec.runtimes)) or "none"
    raise ModelError(
        f"model {spec.name} cannot be exported: that takes safetensors and a config.json, the files of the "
        f"runtimes torch and mlx, and it has files for: {listed}"
    )


def _export(
    plugins: Plugins,
    spec: ModelSpec,
    files: Mapping[str, Path],
    source_hashes: Mapping[str, str],
    folder: Path,
    precision: Precision,
    report_step: Callable[[str], object],
) -> Export:
    report_step(f"writing {folder / MODEL}")
    exported = export_onnx(files["config"], _shards(files), folder / MODEL, precision, spec.layer)
    if exported.positions and spec.max_tokens > exported.positions:
        raise ModelError(
            f"model {spec.name} is to take {spec.max_tokens} tokens, but has {exported.positions} positions"
        )
    tokenizer = folder / ("vocab.txt" if files["tokenizer"].suffix == ".txt" else "tokenizer.json")
    shutil.copyfile(files["tokenizer"], tokenizer)
    outputs = {"model": exported.model, "tokenizer": tokenizer}
    if exported.data:
        outputs["data"] = exported.data
    own_files = {role: LocalFile(path.absolute(), sha256_of(path)) for role, path in outputs.items()}
    own = replace(spec, runtimes={ONNX: own_files}, unbatched_runtimes=(), batch_invariant=True)
    report_step("comparing its vectors with the source's")
    encoder = open_files(plugins, own, runtime_for(plugins, own, ONNX), model_files(own, ONNX))
    proof = prove(encoder, *open_source(plugins, spec))
    _refuse_what_differs(spec, precision, proof.agreement)
    path = folder / CARD
    path.write_text(card(own, exported, proof, source_hashes), encoding="utf-8")
    return Export(folder, own, exported, proof, path)


def _shards(files: Mapping[str, Path]) -> list[Path]:
    """ "model", then "model.2", "model.3" and so on."""
    roles = [role for role in files if role.startswith("model.") and role[6:].isdigit()]
    return [files["model"], *(files[role] for role in sorted(roles, key=lambda role: int(role[6:])))]


def _refuse_what_differs(spec: ModelSpec, precision: Precision, agreement: ExportAgreement | None) -> None:
    if agreement is None:
        return
    if agreement.least < (_LEAST_TO_ONNX if agreement.against == ONNX else _LEAST[precision]):
        kind = min(agreement.by_kind, key=lambda name: agreement.by_kind[name])
        raise ModelError(
            f"the exported file is not {spec.name}: a text of the kind {kind!r} has cosine "
            f"{agreement.least:.4f} to what {agreement.source} gives; it is removed"
        )


def _remove(folder: Path, is_new: bool) -> None:
    if is_new:
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.is_dir():
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
