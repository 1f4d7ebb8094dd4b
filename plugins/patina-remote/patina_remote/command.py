"""`patina remote`: check that the server is reachable and runs the same model."""

from __future__ import annotations

import json

import click

from patina_hooks.authoring import ProbeVectors, clean_line, least_cosine
from patina_remote.probes import ALIKE, load_probes, replace_probes, store_first_probes
from patina_remote.runtime import another_model, embed_probes
from patina_remote.server import load_server


@click.command("remote")
@click.option("--accept", is_flag=True, help="Accept the model that it runs now and embed everything again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def remote_command(accept: bool, as_json: bool) -> None:
    """Check that your embeddings server still runs the same model.

    The server is that of [runtime.remote] in your config.toml; it gets five short fixed texts.
    """
    server = load_server()
    vectors = embed_probes(server)
    stored = load_probes(server.model)
    cosine = None if stored is None else least_cosine(vectors, stored.vectors)
    is_same = cosine is not None and cosine > ALIKE
    if cosine is not None and not is_same and not accept:
        raise another_model(server, cosine)
    if cosine is None:
        store_first_probes(server.model, ProbeVectors.of(vectors))
    elif not is_same:
        replace_probes(server.model, ProbeVectors.of(vectors))
    facts = {"url": server.address, "model": server.model, "dimensions": vectors.shape[1], "likeness": cosine}
    state = "same" if is_same else "new" if cosine is None else "accepted"
    click.echo(json.dumps({**facts, "state": state}) if as_json else _describe(facts, state))


def _describe(facts: dict[str, str | int | float | None], state: str) -> str:
    words = {
        "same": f"is unchanged (cosine {facts['likeness'] or 0:.4f})",
        "new": "is now recorded",
        "accepted": "is accepted: the next sync embeds everything again",
    }
    name = clean_line(f"{facts['model']} at {facts['url']}")
    return f"{name}: {facts['dimensions']} dimensions; it {words[state]}"
