"""The runtime "remote": a server of the user's that speaks the OpenAI embeddings protocol."""

from __future__ import annotations

from collections.abc import Iterator

from patina_hooks import CommandSpec, RuntimeSpec, hookimpl


@hookimpl
def patina_register_runtimes() -> Iterator[RuntimeSpec]:
    yield RuntimeSpec(
        "remote",
        factory="patina_remote.runtime:open_model",
        variant="patina_remote.runtime:variant",
        output="text_vectors",
    )


@hookimpl
def patina_register_commands() -> Iterator[CommandSpec]:
    yield CommandSpec(
        "remote",
        help="Check that your embeddings server still runs the same model.",
        command="patina_remote.command:remote_command",
    )
