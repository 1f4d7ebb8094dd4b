"""`patina models pull`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from patina_hooks.commands.models.lookup import runtime_option, select_files
from patina_hooks.commands.options import json_option, print_json
from patina_hooks.system.progress import show_progress
from patina_hooks.text.display import clean_line, format_count, format_size

if TYPE_CHECKING:
    from patina_hooks.models.files.pull import PullResult
    from patina_hooks.specs.models import ModelSpec


@click.command("pull")
@click.argument("name")
@runtime_option
@json_option
def pull_command(name: str, runtime: str, as_json: bool) -> None:
    """Download the files of a model into the hub cache.

    This is the only command that uses the network. Files in the cache are used as they are. HF_ENDPOINT names
    a mirror, HF_HUB_CACHE the cache; HF_HUB_OFFLINE forbids the network; HF_TOKEN is sent to the hub.
    """
    from patina_hooks.models.files.weights import model_files

    spec, runtime = select_files(name, runtime)
    pulled = _pull(spec, runtime)
    model_files(spec, runtime)  # raises if a file that no hub has is absent
    if as_json:
        print_json({
            "model": spec.name,
            "runtime": runtime,
            "folder": pulled.folder,
            "bytes": pulled.bytes,
            "fetched": pulled.fetched,
            "present": pulled.present,
        })  # fmt: skip
    else:
        click.echo(_render(spec.name, runtime, pulled))


def _pull(spec: ModelSpec, runtime: str) -> PullResult:
    from patina_hooks.models.files.pull import pull

    # On a terminal the hub's library draws a bar of its own.
    with show_progress("download") if not sys.stderr.isatty() else nullcontext() as progress:

        def say_file(text: str) -> None:
            click.echo(clean_line(text), err=True)
            if progress:
                progress(text, 0, 0)

        return pull(spec, runtime, say_file)


def _render(name: str, runtime: str, pulled: PullResult) -> str:
    if not pulled.fetched:
        return f"{name} for {runtime} is already downloaded"
    files = format_count(len(pulled.fetched), "file")
    return f"downloaded {name} for {runtime}: {files}, {format_size(pulled.bytes)}"
