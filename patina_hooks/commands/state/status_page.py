"""The status of a repository as text for a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from patina_hooks.plugins.running_calls import describe_call
from patina_hooks.text.date_format import format_day
from patina_hooks.text.display import clean_line, format_count, format_size

if TYPE_CHECKING:
    from patina_hooks.specs.plugins import RecordedError
    from patina_hooks.upkeep.status import Status

_MOST_ITEMS: Final = 5
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def render(status: Status) -> str:
    """Render the rows of a status, then its warnings, running calls, unread documents and errors."""
    return "\n".join([
        *(f"{name:<13} {value}" for name, value in _rows(status)),
        *_section("warning", [clean_line(warning) for warning in status.warnings]),
        *_section("waiting", [clean_line(describe_call(call)) for call in status.calls]),
        *_section("not read", [clean_line(f"{path}: {reason}") for path, reason in status.skipped]),
        *_section("errors", [_render_fault(fault) for fault in status.faults]),
    ])  # fmt: skip


def _rows(status: Status) -> Iterator[tuple[str, str]]:
    yield "memory", f"{format_count(status.sessions, 'session')}, {format_count(status.commits, 'commit')}"
    yield from _collection_rows(status)
    if status.documents or status.drafts:
        drafts = f" and {format_count(status.drafts, 'draft')}" if status.drafts else ""
        yield "documents", f"{format_count(status.documents, 'session document')}{drafts}"
    yield "observations", f"{status.observations:,} ({format_count(status.pending, 'text')} pending)"
    yield "pairs", _render_pairs(status)
    if status.cut:
        yield "long texts", f"{status.cut:,}; the model reads their beginnings"
    yield "model", f"{clean_line(status.model) or 'none yet'} (runtime {_render_runtime(status)})"
    yield "projection", clean_line(status.projection)
    yield "on disk", format_size(status.bytes)
    yield "synced", _render_age(status.synced)
    if status.kept:
        providers = ", ".join(f"{provider.kind} {clean_line(provider.name)}" for provider in status.kept)
        yield "kept", f"{providers}: not installed here (patina gc)"
    if status.truncated:
        yield "shallow", f"{format_count(status.truncated, 'commit')} cut off; git fetch --unshallow"
    if status.stale:
        reasons = ", ".join(dict.fromkeys(reason for _, reason in status.stale))
        names = ", ".join(clean_line(name) for name, _ in status.stale)
        yield "stale", f"{names}: {reasons} (patina oxidize)"


def _collection_rows(status: Status) -> Iterator[tuple[str, str]]:
    for name, facts in status.collections.items():
        if facts.documents or facts.left_out:
            pending = format_count(facts.pending, "text")
            yield name, f"{format_count(facts.documents, 'document')} ({pending} pending)"
        if facts.left_out:
            yield "", f"left out: {_render_reasons(facts.left_out)}"


def _render_reasons(left_out: Mapping[str, int]) -> str:
    most_first = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number:,} {clean_line(reason)}" for reason, number in most_first)


def _render_pairs(status: Status) -> str:
    kinds = status.pair_kinds.values()
    if not kinds:
        return f"{status.pairs:,}"
    since = format_day(min(kind.since for kind in kinds))
    until = format_day(max(kind.until for kind in kinds))
    weight = sum(kind.weight for kind in kinds)
    number = format_count(len(kinds), "kind")
    return f"{status.pairs:,} of {number}, total weight {weight:,.0f}, {since} to {until}"


def _render_runtime(status: Status) -> str:
    names = [name for name in (status.runtime, status.variant) if name]
    return clean_line(", ".join(names)) or "none yet"


def _render_age(moment: int | None) -> str:
    if moment is None:
        return "never"
    seconds = max(0, int(time.time()) - moment)
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{format_count(seconds // length, unit)} ago"
    return "just now"


def _render_fault(fault: RecordedError) -> str:
    text = clean_line(f"{fault.plugin}: {fault.where}: {fault.error}")
    return f"{text}\n    try: {clean_line(fault.hint)}" if fault.hint else text


def _section(title: str, items: Sequence[str]) -> list[str]:
    if not items:
        return []
    lines = [f"\n{title}", *(f"  {item}" for item in items[:_MOST_ITEMS])]
    if len(items) > _MOST_ITEMS:
        lines.append(f"  and {len(items) - _MOST_ITEMS} more: patina status --json")
    return lines
