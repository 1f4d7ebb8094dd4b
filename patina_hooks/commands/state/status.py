"""`patina status`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace

import click

from patina_hooks.commands.freshness import freshen, open_patina
from patina_hooks.plugins.running_calls import describe_call
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.text.date_format import format_day
from patina_hooks.text.display import clean_line, format_count, format_size
from patina_hooks.upkeep.backlog import describe_unread_events
from patina_hooks.upkeep.status import Status

_SHOWN = 5


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="One object for programs.")
def status_command(as_json: bool) -> None:
    """What is indexed, what is pending, what is wrong."""
    with open_patina() as patina:
        unread = describe_unread_events(patina.repository.state)
        freshen(patina, words_only=True)
        status = patina.status()
    if unread:
        status = replace(status, warnings=(*status.warnings, f"{unread}; patina doctor"))
    click.echo(json.dumps(asdict(status)) if as_json else _page(status))


def _page(status: Status) -> str:
    drafts = f" and {format_count(status.drafts, 'draft')}" if status.drafts else ""
    documents = status.documents or status.drafts
    rows = [
        ("memory", f"{format_count(status.sessions, 'session')}, {format_count(status.commits, 'commit')}"),
        *_collections(status),
        *(
            [("documents", f"{format_count(status.documents, 'session document')}{drafts}")]
            if documents
            else []
        ),
        ("observations", f"{status.observations:,} ({format_count(status.pending, 'text')} pending)"),
        ("pairs", _pairs(status)),
        *([("long texts", f"{status.cut:,}; the model reads their beginnings")] if status.cut else []),
        ("model", f"{clean_line(status.model) or 'none yet'} (runtime {_runtime(status)})"),
        ("projection", clean_line(status.projection)),
        ("on disk", format_size(status.bytes)),
        ("synced", _ago(status.synced)),
    ]
    if status.kept:
        kept = ", ".join(f"{one.kind} {clean_line(one.name)}" for one in status.kept)
        rows.append(("kept", f"{kept}: not installed here (patina gc)"))
    if status.truncated:
        rows.append(("shallow", f"{format_count(status.truncated, 'commit')} cut off; git fetch --unshallow"))
    lines = [f"{name:<13} {value}" for name, value in rows]
    if status.stale:
        whys = ", ".join(dict.fromkeys(why for _, why in status.stale))
        lines.append(
            f"{'stale':<13} {', '.join(clean_line(n) for n, _ in status.stale)}: {whys} (patina oxidize)"
        )
    lines += _list("warning", [clean_line(warning) for warning in status.warnings])
    lines += _list("waiting", [clean_line(describe_call(call)) for call in status.calls])
    lines += _list("not read", [f"{clean_line(what)}: {clean_line(why)}" for what, why in status.skipped])
    return "\n".join(lines + _list("at fault", [_fault(one) for one in status.faults]))


def _collections(status: Status) -> list[tuple[str, str]]:
    rows = []
    for name, facts in status.collections.items():
        if facts.documents or facts.left_out:
            rows.append(
                (
                    name,
                    f"{format_count(facts.documents, 'document')}"
                    f" ({format_count(facts.pending, 'text')} pending)",
                )
            )
        if facts.left_out:
            rows.append(("", f"left out: {_reasons(facts.left_out)}"))
    return rows


def _reasons(left_out: Mapping[str, int]) -> str:
    most_first = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number:,} {clean_line(reason)}" for reason, number in most_first)


def _fault(fault: RecordedError) -> str:
    told = clean_line(f"{fault.plugin}: {fault.where}: {fault.error}")
    return f"{told}\n    try: {clean_line(fault.hint)}" if fault.hint else told


def _runtime(status: Status) -> str:
    said = [one for one in (status.runtime, status.variant) if one]
    return clean_line(", ".join(said)) or "none yet"


def _pairs(status: Status) -> str:
    kinds = status.pair_kinds.values()
    if not kinds:
        return f"{status.pairs:,}"
    since = format_day(min(kind.since for kind in kinds))
    until = format_day(max(kind.until for kind in kinds))
    weight = sum(kind.weight for kind in kinds)
    return (
        f"{status.pairs:,} of {format_count(len(kinds), 'kind')}, weighing {weight:,.0f}, {since} to {until}"
    )


def _list(title: str, items: list[str]) -> list[str]:
    rest = [f"  and {len(items) - _SHOWN} more: patina status --json"] if len(items) > _SHOWN else []
    return [f"\n{title}", *(f"  {item}" for item in items[:_SHOWN]), *rest] if items else []


def _ago(moment: int | None) -> str:
    if moment is None:
        return "never"
    seconds = max(0, int(time.time()) - moment)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return f"{format_count(seconds // length, unit)} ago"
    return "just now"
