"""`patina remote`: whether the server is there, and is what it was."""

from __future__ import annotations

import json

import click

from patina_hooks.authoring import ProbeVectors, clean_line, least_cosine
from patina_remote.probes import ALIKE, keep_first_probes, load_probes, replace_probes
from patina_remote.runtime import another_model, embed_probes
from patina_remote.server import configured


@click.command("remote")
@click.option("--accept", is_flag=True, help="Take the model that it runs now; everything is embedded anew.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def remote_command(accept: bool, as_json: bool) -> None:
    """Ask your embeddings server whether it still is what it was.

    It is the one in your config.toml, [runtime.remote], and is sent five short texts of patina's own.
    """
    server = configured()
    found = embed_probes(server)
    known = load_probes(server.model)
    alike = None if known is None else least_cosine(found, known.vectors)
    same = alike is not None and alike > ALIKE
    if alike is not None and not same and not accept:
        raise another_model(server, alike)
    if alike is None:
        keep_first_probes(server.model, ProbeVectors.of(found))
    elif not same:
        replace_probes(server.model, ProbeVectors.of(found))
    told = {"url": server.address, "model": server.model, "dimensions": found.shape[1], "likeness": alike}
    state = "same" if same else "new" if alike is None else "accepted"
    click.echo(json.dumps({**told, "state": state}) if as_json else _said(told, state))


def _said(told: dict[str, str | int | float | None], state: str) -> str:
    words = {
        "same": f"is what it was (cosine {told['likeness'] or 0:.4f})",
        "new": "is known from now on",
        "accepted": "is taken from now on: the next sync embeds everything anew",
    }
    where = clean_line(f"{told['model']} at {told['url']}")
    return f"{where}: {told['dimensions']} dimensions; it {words[state]}"
