"""The picture of a run is well-formed and says what the report says."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from projection.outcomes import outcome, report

from patina_hooks.specs.reports import Figure, Outcome, Report
from patina_hooks.training.reports.report_chart import render_report

FIGURES = {"goal": Figure(0.5, 0.25, 0.75, 15)}
CURVE = ((1, 0.8, None), (2, 0.5, 0.6), (3, 0.4, 0.7))


def learned(name: str) -> Outcome:
    return replace(
        outcome(name, -0.1, 0.05, 0.2),
        mrr=FIGURES,
        gains=FIGURES,
        curve=CURVE,
        count=672,
        pairs="same_session",
    )


def texts(report_: Report) -> list[str]:
    root = ET.fromstring(render_report(report_))  # noqa: S314 (it is our own)
    assert root.tag.endswith("svg")
    return ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]


def test_it_shows_sets_gains_and_losses() -> None:
    said = texts(report(learned("mlp"), outcome("failed", why="no pairs")))
    assert any("goal (15 questions)" in text for text in said)
    assert {"raw", "mlp"} <= set(said)
    assert any(text.startswith("mlp: loss by epoch, on 672 pairs") for text in said)
    assert {"later pairs", "used: the raw model"} <= set(said)
    assert not any("failed" in text for text in said)


@pytest.mark.parametrize(
    "shown",
    [
        report(),
        replace(report(outcome("failed", why="x")), raw={}),
        replace(report(learned("<&\"'>")), model="<script>\x1b[31m & ]]>"),
        report(replace(learned("odd"), pairs="<b>\x07"), active="]]>\x1b[31m", weights="x"),
        report(replace(learned("one point"), curve=((1, 0.0, None),))),
        replace(report(learned("untold")), raw={"goal": Figure(0.0, None, None, 1)}),
    ],
)
def test_whatever_a_report_says_it_is_well_formed(shown: Report) -> None:
    assert texts(shown)
