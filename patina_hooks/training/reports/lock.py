"""`.patina/oxidize.lock`: what was built from a recipe, for a team to compare.

JSON, which is also YAML. Fields of the ancestor project's lock keep their names. The file is tracked: only
the command `patina oxidize` writes it.
"""

from __future__ import annotations

import errno
import json
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import read_mapping
from patina_hooks.system.files import plain_file, replace_file

if TYPE_CHECKING:
    from patina_hooks.specs.reports import Outcome, Report

LOCK_FILE: Final = ".patina/oxidize.lock"
_SIZE_CAP: Final = 1 << 20


def lock_of(report: Report) -> dict[str, object]:
    """Build the lock; all but `built_at` is a function of recipe and history.

    Each entry has the `events_hash` that it was trained on, since a run may train only some projections.
    """
    return {
        "embedding_model": report.model,
        "events_hash": report.events_hash,
        "recipe_version": report.recipe_version,
        "built_at": datetime.fromtimestamp(report.made, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "model_fingerprint": report.fingerprint,
        "runtime": report.runtime,
        "variant": report.variant,
        "projection": report.active,
        "projections": {outcome.name: _entry(outcome, report) for outcome in report.outcomes},
    }


def write_lock(root: Path, report: Report) -> None:
    """Write the lock of a work tree.

    Raises:
        OSError: it cannot be written, or its folder is a link; nothing is changed.
    """
    folder = (root / LOCK_FILE).parent
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "its folder is a link, which is not followed", str(folder))
    replace_file(root / LOCK_FILE, (json.dumps(lock_of(report), indent=2) + "\n").encode())


def read_lock(root: Path) -> dict[str, object] | None:
    """Read the lock, None if it is missing or unreadable: anyone may have written it."""
    path = plain_file(root, LOCK_FILE)
    if path is None or path.stat().st_size > _SIZE_CAP:
        return None
    with suppress(OSError, ValueError):
        return read_mapping(object, parse_json(path.read_bytes()))
    return None


def _entry(outcome: Outcome, report: Report) -> dict[str, object]:
    return {
        "weights_hash": outcome.weights or None,
        "events_hash": outcome.events_hash,
        "training_pairs": outcome.count if outcome.epochs else 0,
        "epochs_completed": outcome.epochs,
        "kind": outcome.kind,
        "verdict": _verdict(outcome, report),
    }


def _verdict(outcome: Outcome, report: Report) -> str:
    if not outcome.weights:
        return "not trained"
    if report.uses(outcome):
        return "forced" if report.forced else "active"
    return "passed" if outcome.passes else "refused"
