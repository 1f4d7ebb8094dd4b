"""The command `patina export`: write ONNX files from safetensors.

`write.py` builds a file from a model's configuration and weights, `prove.py` compares its vectors with those
of the source, `card.py` describes the result in Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import CommandSpec, hookimpl


@hookimpl
def patina_register_commands() -> Iterator[CommandSpec]:
    yield CommandSpec(
        "export",
        help="Write a model as an ONNX file and compare it with its source.",
        command="patina_export.command:export_command",
    )
