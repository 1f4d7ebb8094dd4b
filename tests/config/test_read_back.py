"""Every file that is written and read back: what was written is read, and any other content is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patina_hooks.errors import IndexDamaged, PatinaError
from patina_hooks.evaluation.regression import read_baseline
from patina_hooks.evaluation.user_set import read_user_queries
from patina_hooks.models.engine_versions import EngineVersions
from patina_hooks.models.probes import PROBES_FILE, ProbeRecord, ProbeVectors
from patina_hooks.plugins.running_calls import FOLDER, running_calls
from patina_hooks.projection.active import Active, load_active, store_active
from patina_hooks.search.fusion import WEIGHTS
from patina_hooks.search.index.manifest import Manifest, Segment, SidecarFile
from patina_hooks.search.stored_weights import TunedWeights, load_tuned_weights, store_tuned_weights
from patina_hooks.sessions.documents.document import Header
from patina_hooks.sessions.documents.store import Record, parse_record, record_fields
from patina_hooks.specs.reports import Figure, Outcome, Report
from patina_hooks.text.session_ids import TagName
from patina_hooks.training.reports.lock import read_lock
from patina_hooks.training.reports.report import keep_report, last_report

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
_READERS: dict[str, Callable[[Path], object]] = {
    "projections/active.json": load_active,
    "projections/fusion.json": load_tuned_weights,
    "projections/reports/1.json": last_report,
    "manifest.json": Manifest.read,
    PROBES_FILE: ProbeRecord,
    f"{FOLDER}/1.json": running_calls,
    ".patina/oxidize.lock": read_lock,
    "baseline.json": lambda folder: read_baseline(folder / "baseline.json"),
    "queries.json": lambda folder: read_user_queries(folder / "queries.json"),
}
_KEYS: dict[str, Any] = {
    "active.json": Active,
    "fusion.json": TunedWeights,
    "1.json": Report,
    "manifest.json": Manifest,
}
_SHARES = st.floats(0, 1)
_COUNTS = st.integers(0, 1 << 40)
_GAINS: dict[str, Any] = {"delta": _SHARES, "low": st.none() | _SHARES, "high": st.none() | _SHARES}
_FIGURES = st.builds(Figure, _SHARES, st.none() | _SHARES, st.none() | _SHARES, _COUNTS)
_OUTCOMES = st.builds(
    Outcome,
    name=st.text(max_size=5),
    kind=st.text(max_size=5),
    digest=st.text(max_size=5),
    curve=st.lists(st.tuples(_COUNTS, _SHARES, st.none() | _SHARES), max_size=2).map(tuple),
    gain=st.none() | _FIGURES,
    mrr=st.none() | st.just({"goal": Figure(0.5, None, None, 3)}),
)
_FILES = {"file": st.from_regex("[a-z.]{1,9}[a-z]", fullmatch=True), "size": _COUNTS, "changed": _COUNTS}
_SEGMENTS = st.builds(
    Segment,
    **_FILES,
    inode=_COUNTS,
    rows=st.integers(4, 99),
    dead=st.sets(st.integers(0, 3)).map(lambda rows: tuple(sorted(rows))),
    sidecar=st.none() | st.builds(SidecarFile, **_FILES, inode=_COUNTS, sha256=st.text("0123456789ab")),
)


@pytest.mark.parametrize("name", _READERS)
@settings(max_examples=50)
@given(data=st.data())
def test_any_json_is_read_or_refused_by_name(name: str, data: st.DataObject) -> None:
    form = _KEYS.get(Path(name).name)
    keys = list(form.__dataclass_fields__) if form else ["measured", "queries", "texts", "models", "plugin"]
    keyed = st.fixed_dictionaries({}, optional=dict.fromkeys(keys, _VALUES))
    content = json.dumps(data.draw(_VALUES | keyed))
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        try:
            _READERS[name](Path(folder))
        except PatinaError as error:
            message = str(error)
        else:
            return
    assert Path(name).name in message


@given(st.builds(Active, **_GAINS))
def test_the_projection_in_use_is_read_back(active: Active) -> None:
    _round_trip(active, store_active, load_active)


@given(st.builds(TunedWeights, **_GAINS, weights=st.just(WEIGHTS)))
def test_tuned_weights_are_read_back(tuned: TunedWeights) -> None:
    _round_trip(tuned, store_tuned_weights, load_tuned_weights)


@given(
    st.builds(
        Report,
        made=st.integers(0, 1 << 33),
        seconds=_SHARES,
        raw=st.just({"goal": Figure(0.5, None, None, 3)}),
        outcomes=st.lists(_OUTCOMES, max_size=2).map(tuple),
        former=st.none() | _OUTCOMES,
    )
)
def test_a_report_is_read_back(report: Report) -> None:
    _round_trip(report, keep_report, last_report)


@given(st.builds(Manifest, generation=_COUNTS, segments=st.lists(_SEGMENTS, max_size=3).map(tuple)))
def test_a_manifest_is_read_back(manifest: Manifest) -> None:
    _round_trip(manifest, lambda folder, value: value.write(folder), Manifest.read)


def test_a_manifest_that_names_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    Manifest(1, (Segment("../vectors", 1, 1, 1, rows=4),)).write(tmp_path)
    with pytest.raises(
        IndexDamaged, match=r"segments\[0\]\.file is '\.\./vectors', expected the name of a file"
    ):
        Manifest.read(tmp_path)


@given(
    st.builds(
        Record,
        header=st.builds(
            Header,
            id=st.just("20251101-090000"),
            start_tag=st.just(TagName("20251101-090000", "claude", "start")),
        ),
        git_dir=st.sampled_from(["", "worktrees/a"]),
    )
)
def test_a_session_record_is_read_back(record: Record) -> None:
    assert parse_record(json.loads(json.dumps(record_fields(record)))) == record


@given(_VALUES)
def test_any_json_is_a_session_record_or_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected|missing|unknown"):
        parse_record(value)


@given(st.integers(1, 3), st.text(max_size=9))
def test_probe_vectors_are_read_back(rows: int, release: str) -> None:
    engine_versions = EngineVersions((release,))
    with TemporaryDirectory() as folder:
        record = ProbeRecord(Path(folder))
        variant = record.add("model", engine_versions, ProbeVectors(b"\0\0\x80\x3f" * rows, rows), first=True)
        record.save()
        stored = ProbeRecord(Path(folder))
        assert stored.variant("model", engine_versions) == variant
        assert stored.has_probes("model")


def _round_trip(value: Any, write: Callable[[Path, Any], object], read: Callable[[Path], object]) -> None:  # noqa: ANN401
    with TemporaryDirectory() as folder:
        write(Path(folder), value)
        assert read(Path(folder)) == value
