"""Faults that the log stores for `patina status` and `patina doctor`.

"faults" are errors that last until they are fixed; "mishaps" are errors of plugins when a sync last called
them, "question faults" when a question did.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path
from shlex import quote

from patina_hooks.config.configuration import load_user_redaction
from patina_hooks.config.schema import read_list
from patina_hooks.errors import StateError
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.store.log import Log

_MOST_FAULTS = 100
_QUESTION_FAULTS = "question faults"


def read_recorded_faults(log: Log) -> list[RecordedError]:
    """Return the faults of the last sync, of the last one that called plugins, and of questions."""
    faults = [fault for name in ("faults", "mishaps") for fault in read_faults(log, name)]
    recorded = {_identity(fault) for fault in faults}
    at_questions = read_question_faults(log)
    return faults + [fault for fault in at_questions if _identity(fault) not in recorded]


def _identity(fault: RecordedError) -> tuple[str, str, str]:
    return fault.plugin, fault.where, fault.error


def read_question_faults(log: Log) -> list[RecordedError]:
    """Return the errors of retrievers, rewriters, rerankers and filters of plugins when last called."""
    return read_faults(log, _QUESTION_FAULTS)


def read_faults(log: Log, name: str) -> list[RecordedError]:
    """Return the faults stored under "faults" or "mishaps"."""
    return log.parsed(name, "[]", _parse_faults)


def _parse_faults(stored: object) -> list[RecordedError]:
    return [RecordedError(*read_list(str, fault)) for fault in read_list(object, stored)]


def store_faults(log: Log, name: str, faults: Iterable[RecordedError]) -> None:
    """Replace the stored faults and record changed ones as events; inside a transaction."""
    distinct = _distinct_faults(faults)
    stored = json.dumps([astuple(fault) for fault in distinct])
    if log.fact(name, "[]") != stored:
        log.remember(name, stored)
        log.record("fault", [(fault.plugin, f"{fault.where}: {fault.error}") for fault in distinct])


def add_mishaps(state: Path, faults: Sequence[RecordedError]) -> None:
    """Add faults of event hooks to the mishaps; SQLite, not the sync lock, serialises writers."""
    if not faults:
        return
    with suppress(StateError, OSError), Log(state) as log, log.writing():
        store_faults(log, "mishaps", [*read_faults(log, "mishaps"), *faults])


def record_question_faults(
    state: Path, before: Sequence[RecordedError], faults: Iterable[RecordedError]
) -> None:
    """Replace the faults of questions if they changed, unless that needs to wait for another writer."""
    hinted = [fault if fault.hint else replace(fault, hint=_hint(fault)) for fault in faults]
    if _distinct_faults(hinted) == list(before):
        return
    with suppress(StateError, OSError), Log(state) as log, log.writing(wait=False):
        store_faults(log, _QUESTION_FAULTS, hinted)


def _hint(fault: RecordedError) -> str:
    return f"PATINA_DISABLE_PLUGINS={quote(fault.plugin)} patina scry 'any question'"


def _distinct_faults(faults: Iterable[RecordedError]) -> list[RecordedError]:
    """Return faults each once, without secrets."""
    redact = load_user_redaction().redact
    safe = (replace(fault, error=redact(fault.error)) for fault in faults)
    return list(dict.fromkeys(safe))[:_MOST_FAULTS]
