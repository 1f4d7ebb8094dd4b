"""Faults that the log keeps for `patina status` and `patina doctor`.

"faults" holds what is wrong until it is fixed; "mishaps" what plugins did wrong when they were last called.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path

from patina_hooks.config.configuration import user_redaction
from patina_hooks.config.schema import read_list
from patina_hooks.errors import StateError
from patina_hooks.specs.plugins import Fault
from patina_hooks.store.log import Log

_MOST_FAULTS = 100


def kept_faults(log: Log) -> list[Fault]:
    """Return the faults of the last sync, and of the last one that called plugins."""
    return [fault for name in ("faults", "mishaps") for fault in stored_faults(log, name)]


def stored_faults(log: Log, name: str) -> list[Fault]:
    """Return the faults stored under "faults" or "mishaps"."""
    return log.parsed(name, "[]", _read_faults)


def _read_faults(stored: object) -> list[Fault]:
    return [Fault(*read_list(str, fault)) for fault in read_list(object, stored)]


def store_faults(log: Log, name: str, faults: Iterable[Fault]) -> None:
    """Replace the stored faults, and record those that differ; inside a transaction."""
    redact = user_redaction().redact
    safe = (replace(fault, error=redact(fault.error)) for fault in faults)
    distinct = list(dict.fromkeys(safe))[:_MOST_FAULTS]
    stored = json.dumps([astuple(fault) for fault in distinct])
    if log.fact(name, "[]") != stored:
        log.remember(name, stored)
        log.record("fault", [(fault.plugin, f"{fault.where}: {fault.error}") for fault in distinct])


def add_mishaps(state: Path, faults: Sequence[Fault]) -> None:
    """Add faults of event hooks to the mishaps; SQLite, not the sync lock, keeps writers apart."""
    if not faults:
        return
    with suppress(StateError, OSError), Log(state) as log, log.writing():
        store_faults(log, "mishaps", [*stored_faults(log, "mishaps"), *faults])
