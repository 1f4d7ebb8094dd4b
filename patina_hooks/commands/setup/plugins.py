"""`patina plugins`: installed plugins, what they provide, and their errors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from patina_hooks.commands.options import json_option, print_json
from patina_hooks.specs.plugins import PluginInfo, RecordedError
from patina_hooks.text.display import clean_line, strip_controls


@click.command("plugins")
@json_option
def plugins_command(as_json: bool) -> None:
    """List installed plugins, what they provide, and errors."""
    from patina_hooks.plugins.manager import Plugins

    plugins, recorded = Plugins.load(), _recorded_faults()
    loaded = (_with_recorded(info, recorded) for info in plugins.info())
    infos = sorted([*loaded, *plugins.disabled()], key=lambda info: info.name)
    if as_json:
        print_json([_fields(info) for info in infos], indented=True)
    else:
        click.echo("\n".join(render_lines(infos)))


def _recorded_faults() -> tuple[RecordedError, ...]:
    """Return the errors of the last calls of plugins in this repository; none outside of one."""
    from patina_hooks.errors import PatinaError
    from patina_hooks.git.discovery import find_work_tree
    from patina_hooks.git.repository import STATE_FOLDER
    from patina_hooks.store.log import Log
    from patina_hooks.store.recorded_faults import read_recorded_faults

    with suppress(PatinaError, OSError, ValueError):
        state = find_work_tree(Path.cwd())[1] / STATE_FOLDER
        # git, which refuses the folder of another user, is not called.
        if not hasattr(os, "getuid") or state.stat().st_uid == os.getuid():
            with Log(state, create=False) as log:
                return tuple(read_recorded_faults(log))
    return ()


def _with_recorded(info: PluginInfo, recorded: Iterable[RecordedError]) -> PluginInfo:
    """Add the recorded errors of a plugin to those of its loading, each once."""
    present = {(fault.where, fault.error) for fault in info.faults}
    added = [
        fault for fault in recorded if fault.plugin == info.name and (fault.where, fault.error) not in present
    ]
    return replace(info, faults=(*info.faults, *added))


def _fields(info: PluginInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "version": info.version,
        "provides": {kind: list(names) for kind, names in info.provides.items()},
        "hears": list(info.event_hooks),
        "disabled_by": info.disabled_by,
        "faults": [{"where": fault.where, "error": fault.error} for fault in info.faults],
    }


def render_lines(infos: Iterable[PluginInfo]) -> Iterator[str]:
    """Yield a table with a block for each plugin, safe for a terminal."""
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
            events = ", ".join(event.removeprefix("patina_") for event in info.event_hooks)
            rows.append(f"event hooks: {events}")
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
    yield f"  error in {clean_line(fault.where)}: {first}"
    yield from (f"    {line}" for line in rest)
