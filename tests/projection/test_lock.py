"""The lock: what it says, and that a clone's may be anything."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from projection.outcomes import outcome, report

from patina_hooks.training.reports.lock import LOCK_FILE, lock_of, read_lock, write_lock

USED = replace(outcome("used", 0.01, 0.05, 0.09), count=672, epochs=3, events_hash="aa" * 32)
PASSED = replace(outcome("passed", 0.005, 0.05, 0.09), count=672)
REFUSED = outcome("refused", -0.1, 0.0, 0.1)
FAILED = outcome("failed", why="no pairs")
REPORT = report(USED, PASSED, REFUSED, FAILED, active="used", weights=USED.weights)


def test_it_has_the_ancestors_fields_and_ours() -> None:
    assert lock_of(REPORT) == {
        "embedding_model": "acme-64",
        "events_hash": "ee" * 32,
        "recipe_version": 2,
        "built_at": "2023-11-14T22:13:20Z",
        "model_fingerprint": "ff" * 32,
        "runtime": "onnx",
        "variant": "bfloat16",
        "projection": "used",
        "projections": {
            "used": {
                "weights_hash": "weights of used", "events_hash": "aa" * 32, "training_pairs": 672,
                "epochs_completed": 3, "kind": "mlp", "verdict": "active",
            },
            "passed": {
                "weights_hash": "weights of passed", "events_hash": "", "training_pairs": 0,
                "epochs_completed": 0, "kind": "mlp", "verdict": "passed",
            },
            "refused": {
                "weights_hash": "weights of refused", "events_hash": "", "training_pairs": 0,
                "epochs_completed": 0, "kind": "mlp", "verdict": "refused",
            },
            "failed": {
                "weights_hash": None, "events_hash": "", "training_pairs": 0, "epochs_completed": 0,
                "kind": "mlp", "verdict": "not trained",
            },
        },
    }  # fmt: skip


def test_what_was_forced_says_so() -> None:
    forced = replace(REPORT, active="refused", weights=REFUSED.weights, forced=True)
    found = lock_of(forced)["projections"]
    assert isinstance(found, dict)
    assert [one["verdict"] for one in found.values()] == ["passed", "passed", "forced", "not trained"]


def test_it_is_read_as_it_was_written_by_json_and_yaml(tmp_path: Path) -> None:
    write_lock(tmp_path, REPORT)
    assert read_lock(tmp_path) == lock_of(REPORT)
    import yaml

    assert yaml.safe_load((tmp_path / LOCK_FILE).read_text()) == lock_of(REPORT)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"\xff\xfe", b"\0" * 99, b"[" * 100_000, b'{"a": 1}' + b" " * (1 << 20),
     b"embedding_model: x\n"],
)  # fmt: skip
def test_what_is_no_lock_is_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / LOCK_FILE
    path.parent.mkdir()
    path.write_bytes(content)
    assert read_lock(tmp_path) is None


def test_no_link_is_followed_for_reading_or_writing(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    write_lock(outside, REPORT)
    kept = (outside / LOCK_FILE).read_bytes()
    path = root / LOCK_FILE
    path.parent.mkdir(parents=True)
    path.symlink_to(outside / LOCK_FILE)
    assert read_lock(root) is None
    write_lock(root, report())
    assert (path.is_symlink(), json.loads(path.read_text())["projections"]) == (False, {})
    assert (outside / LOCK_FILE).read_bytes() == kept
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(outside / ".patina")
    assert read_lock(root) is None
    with pytest.raises(OSError, match="link"):
        write_lock(root, report())
    assert (outside / LOCK_FILE).read_bytes() == kept


def test_what_cannot_be_opened_is_as_none(tmp_path: Path) -> None:
    (tmp_path / ".patina").mkdir()
    os.mkfifo(tmp_path / LOCK_FILE)
    assert read_lock(tmp_path) is None
    (tmp_path / LOCK_FILE).unlink()
    (tmp_path / LOCK_FILE).mkdir()
    assert read_lock(tmp_path) is None
