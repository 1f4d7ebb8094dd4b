"""`patina plugins`: what is installed, what it provides, what is at fault."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import click

from patina_hooks.specs.plugins import Fault, PluginInfo
from patina_hooks.text.display import clean_line, clean_text


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
def plugins_command(as_json: bool) -> None:
    """What is installed, what it provides, what is at fault."""
    from patina_hooks.plugins.manager import Plugins

    infos = Plugins.load().info()
    click.echo(as_document(infos) if as_json else "\n".join(as_lines(infos)))


def as_document(infos: Iterable[PluginInfo]) -> str:
    """A JSON list of objects with `name`, `version`, `provides`, `hears` and `faults`."""
    listed = [
        {
            "name": info.name,
            "version": info.version,
            "provides": {kind: list(names) for kind, names in info.provides.items()},
            "hears": list(info.hears),
            "faults": [{"where": fault.where, "error": fault.error} for fault in info.faults],
        }
        for info in infos
    ]
    return json.dumps(listed, indent=2)


def as_lines(infos: Iterable[PluginInfo]) -> Iterator[str]:
    """A table, one plugin a block, safe for a terminal."""
    infos = list(infos)
    names = max((len(clean_line(info.name)) for info in infos), default=0)
    versions = max((len(clean_line(info.version)) for info in infos), default=0)
    for info in infos:
        head = f"{clean_line(info.name):<{names}}  {clean_line(info.version):<{versions}}"
        rows = [
            f"{kind.replace('_', ' ')}: {', '.join(clean_line(name) for name in provided)}"
            for kind, provided in info.provides.items()
        ]
        if info.hears:
            rows.append(f"hears: {', '.join(event.removeprefix('patina_') for event in info.hears)}")
        yield f"{head}  {rows[0] if rows else 'provides nothing'}".rstrip()
        yield from (f"{'':{len(head)}}  {row}" for row in rows[1:])
        for fault in info.faults:
            yield from _fault_lines(fault)


def _fault_lines(fault: Fault) -> Iterator[str]:
    first, *rest = [line.rstrip() for line in clean_text(fault.error).splitlines() if line.strip()] or [
        "unknown"
    ]
    yield f"  fault in {clean_line(fault.where)}: {first}"
    yield from (f"    {line}" for line in rest)
