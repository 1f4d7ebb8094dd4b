"""`patina export`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from patina_hooks.authoring import (
    Plugins,
    add_model,
    clean_line,
    format_size,
    refuse_name,
    show_progress,
    stay_offline,
)

if TYPE_CHECKING:
    from patina_export.export import Export
    from patina_export.graph import Precision


@click.command("export")
@click.argument("name")
@click.option("--to", "target", type=click.Choice(["onnx"]), default="onnx", help="File format.")
@click.option(
    "--precision", type=click.Choice(["fp32", "int8"]), default="fp32", help="Precision of the weights."
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files; by default NAME-onnx-PRECISION.",
)
@click.option("--as", "added_as", metavar="NAME", help="Add the file to models.toml under this name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def export_command(
    name: str, target: str, precision: Precision, output: Path | None, added_as: str | None, as_json: bool
) -> None:
    """Write a model's safetensors as an ONNX file.

    The vectors of the file are compared with those of the source; README.md in the folder has the result.
    """
    stay_offline()  # before PyTorch or another runtime of the source is imported
    from patina_export.export import export_model

    plugins = Plugins.load()
    if added_as:
        refuse_name(plugins, added_as, "--as")  # before minutes are spent on the export
    folder = (output or Path(f"{name.rpartition('/')[2]}-{target}-{precision}")).absolute()
    with show_progress("export") as progress:

        def say_step(step: str) -> None:
            click.echo(step, err=True)
            progress(step, 0, 0)

        export = export_model(plugins, name, folder, precision, say_step)
    if added_as:
        click.echo(f"{added_as} is listed in {add_model(replace(export.spec, name=added_as))}", err=True)
    click.echo(json.dumps(as_object(export)) if as_json else "\n".join(_lines(export)))


def as_object(export: Export) -> dict[str, object]:
    """Describe an export for `--json`."""
    exported = export.exported
    return {
        "model": export.spec.name,
        "folder": str(export.folder),
        "files": {role: str(file.path) for role, file in export.spec.runtimes["onnx"].items()},
        "card": str(export.card),
        "architecture": exported.architecture,
        "precision": exported.precision,
        "layer": exported.layer,
        "layers": exported.layers,
        "bytes": exported.bytes,
        "proof": asdict(export.proof),
    }


def _lines(export: Export) -> Sequence[str]:
    exported, proof = export.exported, export.proof
    lines = [
        f"{clean_line(str(export.folder))}: {exported.precision}, {format_size(exported.bytes)}, "
        f"layer {exported.layer} of {exported.layers}",
    ]
    if agreement := proof.agreement:
        lines += [
            f"against {agreement.source}, {proof.texts} texts: cosine {agreement.mean:.6f} on average, "
            f"{agreement.least:.6f} at least; {agreement.overlap:.1%} of the ten nearest are the same",
        ]
    else:
        lines += [f"not proven against its source: {clean_line(proof.unproven)}"]
    lines += [f"alone and in batches: cosine {proof.invariance:.7f} at least", f"card: {export.card.name}"]
    return lines
