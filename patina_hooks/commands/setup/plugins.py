"""`patina plugins`: what is installed, what it provides, what is at fault."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from patina_hooks.specs.plugins import PluginInfo, RecordedError
from patina_hooks.text.display import clean_line, strip_controls


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
def plugins_command(as_json: bool) -> None:
    """What is installed, what it provides, what is at fault."""
    from patina_hooks.plugins.manager import Plugins

    plugins, recorded = Plugins.load(), _recorded_faults()
    loaded = (_with_recorded(info, recorded) for info in plugins.info())
    infos = sorted([*loaded, *plugins.disabled()], key=lambda info: info.name)
    click.echo(as_document(infos) if as_json else "\n".join(as_lines(infos)))


def _recorded_faults() -> tuple[RecordedError, ...]:
    """Return what plugins did wrong when this repository last called them, none outside of one."""
    from patina_hooks.errors import PatinaError
    from patina_hooks.git.discovery import find_work_tree
    from patina_hooks.git.repository import STATE_FOLDER
    from patina_hooks.store.log import Log
    from patina_hooks.store.recorded_faults import read_recorded_faults

    with suppress(PatinaError, OSError, ValueError):
        state = find_work_tree(Path.cwd())[1] / STATE_FOLDER
        # Git, which would refuse the folder of another user, is not asked.
        if not hasattr(os, "getuid") or state.stat().st_uid == os.getuid():
            with Log(state, create=False) as log:
                return tuple(read_recorded_faults(log))
    return ()


def _with_recorded(info: PluginInfo, recorded: Iterable[RecordedError]) -> PluginInfo:
    """Add the recorded faults of a plugin to those of its loading, each once."""
    present = {(fault.where, fault.error) for fault in info.faults}
    added = [one for one in recorded if one.plugin == info.name and (one.where, one.error) not in present]
    return replace(info, faults=(*info.faults, *added))


def as_document(infos: Iterable[PluginInfo]) -> str:
    """A JSON list of objects with `name`, `version`, `provides`, `hears`, `disabled_by` and `faults`."""
    listed = [
        {
            "name": info.name,
            "version": info.version,
            "provides": {kind: list(names) for kind, names in info.provides.items()},
            "hears": list(info.event_hooks),
            "disabled_by": info.disabled_by,
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
        if info.event_hooks:
            rows.append(f"hears: {', '.join(event.removeprefix('patina_') for event in info.event_hooks)}")
        if info.disabled_by:
            rows.append(f"disabled by {info.disabled_by}")
        yield f"{head}  {rows[0] if rows else 'provides nothing'}".rstrip()
        yield from (f"{'':{len(head)}}  {row}" for row in rows[1:])
        for fault in info.faults:
            yield from _fault_lines(fault)


def _fault_lines(fault: RecordedError) -> Iterator[str]:
    first, *rest = [line.rstrip() for line in strip_controls(fault.error).splitlines() if line.strip()] or [
        "unknown"
    ]
    yield f"  fault in {clean_line(fault.where)}: {first}"
    yield from (f"    {line}" for line in rest)
