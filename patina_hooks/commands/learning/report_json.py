"""The JSON of `patina oxidize`; docs/json.md has the keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from patina_hooks.training.reports.lock import lock_of

if TYPE_CHECKING:
    from patina_hooks.specs.reports import Outcome, Report
    from patina_hooks.training.oxidize import RunPlan


def as_object(report: Report) -> dict[str, object]:
    """Return the object of a run."""
    fields = asdict(report)
    del fields["outcomes"]
    projections = {outcome.name: _outcome_fields(outcome, report) for outcome in report.outcomes}
    return {**fields, "projections": projections, "lock": lock_of(report)}


def plan_object(run_plan: RunPlan) -> dict[str, object]:
    """Return the object of a dry run."""
    fields = asdict(run_plan)
    fields["projections"] = {stale.pop("name"): stale for stale in fields.pop("stale")}
    return fields


def _outcome_fields(outcome: Outcome, report: Report) -> dict[str, object]:
    fields = asdict(outcome)
    del fields["name"], fields["gain"]
    gain = outcome.gain
    return {
        "kind": fields.pop("kind"),
        "active": report.uses(outcome),
        "delta": gain.value if gain else None,
        "low": gain.low if gain else None,
        "high": gain.high if gain else None,
        "n": gain.n if gain else 0,
        **fields,
    }
