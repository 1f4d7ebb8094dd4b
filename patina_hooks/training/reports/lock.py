"""`.patina/oxidize.lock`: what was built from the recipe, and from what, for a team to compare.

JSON, which is YAML as well. The fields that the ancestor project's lock has keep its names. It is a tracked
file: only `patina oxidize`, typed by a user, writes it.
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
    """The lock's content; everything but `built_at` is a function of recipe and history.

    An entry has the `events_hash` that it was trained on: a run of some leaves the others as they were.
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
        "projections": {one.name: _entry(one, report) for one in report.outcomes},
    }


def write_lock(root: Path, report: Report) -> None:
    """Write the lock of a work tree. Raises OSError with nothing changed, also where its folder is a link."""
    folder = (root / LOCK_FILE).parent
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "its folder is a link, which is not followed", str(folder))
    replace_file(root / LOCK_FILE, (json.dumps(lock_of(report), indent=2) + "\n").encode())


def read_lock(root: Path) -> dict[str, object] | None:
    """What the lock says, None where there is none that can be read: it may be anybody's."""
    path = plain_file(root, LOCK_FILE)
    if path is None or path.stat().st_size > _SIZE_CAP:
        return None
    with suppress(OSError, ValueError):
        return read_mapping(object, parse_json(path.read_bytes()))
    return None


def _entry(one: Outcome, report: Report) -> dict[str, object]:
    return {
        "weights_hash": one.weights or None,
        "events_hash": one.events_hash,
        "training_pairs": one.count if one.epochs else 0,
        "epochs_completed": one.epochs,
        "kind": one.kind,
        "verdict": _verdict(one, report),
    }


def _verdict(one: Outcome, report: Report) -> str:
    if not one.weights:
        return "not trained"
    if report.uses(one):
        return "forced" if report.forced else "active"
    return "passed" if one.passes else "refused"
