"""Reports: kept, shown again, and never a reason to stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from projection.outcomes import outcome, report

from patina_hooks.errors import StateError
from patina_hooks.specs.reports import Figure, Outcome
from patina_hooks.training.reports.report import keep_report, last_report

FULL = Outcome(
    "mine", "mlp", "dd", "same_session", "ee", 672, 2, ((1, 0.5, None), (2, 0.25, 0.375)), "out of time", 1.5,
    "ab" * 32, 24, "", False, Figure(0.1, 0.05, 0.15, 90), {"goal": Figure(0.5, None, None, 3)},
    {"goal": Figure(0.25, 0.125, 0.5, 15)},
)  # fmt: skip


@pytest.mark.parametrize(
    "kept",
    [
        report(),
        report(FULL, outcome("failed", why="no pairs"), active="mine", weights="ab" * 32),
        replace(report(FULL), former=FULL),
    ],
)
def test_a_report_is_shown_again_as_it_was(tmp_path: Path, kept: object) -> None:
    assert last_report(tmp_path) is None
    keep_report(tmp_path, kept)  # type: ignore[arg-type]
    assert last_report(tmp_path) == kept


def test_each_run_has_a_report_of_its_own_and_the_last_is_the_last_whatever_the_clock(tmp_path: Path) -> None:
    for made, name in ((100, "first"), (100, "second"), (7, "after the clock was set back")):
        keep_report(tmp_path, report(outcome(name), made=made))
        found = last_report(tmp_path)
        assert found is not None
        assert (found.made, found.outcomes[0].name) == (made, name)
    assert len(list(tmp_path.rglob("*.json"))) == 3


def test_the_report_of_every_run_is_kept(tmp_path: Path) -> None:
    paths = [keep_report(tmp_path, report(made=9_900 + number)) for number in range(150)]
    assert len({path for path in paths if path.exists()}) == 150


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "\0", '{"raw": 3}', "[" * 100_000, '{"made": 1, "unknown": 2}']
)
def test_a_damaged_report_is_said_to_be_damaged(tmp_path: Path, text: str) -> None:
    path = keep_report(tmp_path, report(FULL))
    path.write_text(text)
    with pytest.raises(StateError, match="is damaged") as caught:
        last_report(tmp_path)
    assert caught.value.hint == "patina oxidize"


@pytest.mark.parametrize(
    ("as_kept", "as_found"),
    [
        ('"value": 0.1', '"value": "much"'),
        ('"n": 90', '"n": null'),
        ('"low": 0.05', '"low": []'),
        ('"seconds": 1.5', '"seconds": {}'),
        ('"count": 672', '"count": "many"'),
        ('"sentence": ', '"sentence": 1, "said": '),
        ("0.375", '"little"'),
        ('"made": ', '"made": "late", "then": '),
        ('"made": 1', '"made": 1' + "0" * 30),
        ('"raw": {', '"raw": {"other": {"value": 0.5, "low": null, "high": null, "n": 3}, '),
    ],
)
def test_a_report_with_a_value_of_another_type_is_damaged(
    tmp_path: Path, as_kept: str, as_found: str
) -> None:
    path = keep_report(tmp_path, report(FULL))
    text = path.read_text()
    assert as_kept in text
    path.write_text(text.replace(as_kept, as_found))
    with pytest.raises(StateError, match="is damaged"):
        last_report(tmp_path)


def test_what_a_killed_write_left_goes_with_the_next_report(tmp_path: Path) -> None:
    path = keep_report(tmp_path, report(FULL))
    left = path.with_name(f".{path.name}.k1lled")
    left.write_text("{")
    assert last_report(tmp_path) == report(FULL)
    keep_report(tmp_path, report())
    assert not left.exists()


def test_other_files_beside_reports_are_left_alone(tmp_path: Path) -> None:
    path = keep_report(tmp_path, report(FULL))
    path.with_name("notes.json").write_text("mine")
    assert last_report(tmp_path) == report(FULL)
    keep_report(tmp_path, report())
    assert path.with_name("notes.json").read_text() == "mine"


def test_what_is_in_use_is_known_by_its_weights_too() -> None:
    """A projection may have been trained anew under its name, and the former one stayed."""
    used = report(FULL, active="mine", weights="cd" * 32)
    assert not used.uses(FULL)
    assert used.uses(replace(FULL, weights="cd" * 32))
