"""Outcomes and reports made by hand."""

from __future__ import annotations

from dataclasses import replace

from patina_hooks.specs.reports import Figure, Outcome, Report


def outcome(
    name: str, low: float | None = None, value: float = 0.0, high: float | None = None, why: str = ""
) -> Outcome:
    """One that was judged, its gain's interval from low to high; low None: with too few sessions to tell."""
    trained = Outcome(name, "mlp", "digest", weights=f"weights of {name}", gain=Figure(value, low, high, 90))
    return replace(trained, weights="", gain=None, why=why) if why else trained


def report(*outcomes: Outcome, made: int = 1_700_000_000, active: str = "none", weights: str = "") -> Report:
    """A run with these outcomes."""
    return Report(
        made=made, seconds=1.5, events_hash="ee" * 32, recipe_version=2, model="acme-64", runtime="onnx",
        variant="bfloat16", fingerprint="ff" * 32, split=1_699_000_000, sessions=48, past=33, pairs=700,
        raw={"goal": Figure(0.25, 0.125, 0.5, 15)}, outcomes=outcomes, former=None, active=active,
        weights=weights, forced=False, sentence="The raw model answers.",
    )  # fmt: skip
