"""docs/json.md names each key that a command prints, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.excerpt import Place
from support.marked import ROOT

TEXT = (ROOT / "docs/json.md").read_text("utf-8")


def documented(heading: str) -> list[set[str]]:
    """The keys in the first column of each table under a heading."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.M)
    rows = [table.splitlines()[2:] for table in tables]
    return [{key for row in table for key in re.findall(r"`(\w+)`", row.split("|")[1])} for table in rows]


def printed(place: Place, command: str) -> Any:  # noqa: ANN401 (JSON is what it is)
    return json.loads(place.run(f"patina {command} --json"))


def test_scry(remembered: Place) -> None:
    found = printed(remembered, "scry 'immutable index'")
    assert set(found) == {"query", "mode", "close_match", "reason", "hits"}
    (keys,) = documented("patina scry QUESTION --json")
    assert found["hits"]
    assert all(set(hit) == keys for hit in found["hits"])
    channels = set().union(*(hit["channels"] for hit in found["hits"]))
    assert {"observation", "session", "vector"} <= channels <= {"observation", "session", "title", "vector"}


def test_scry_file(remembered: Place) -> None:
    found = printed(remembered, "scry --file src/embeddings/mod.rs")
    companion, session = documented("patina scry --file PATH --json")
    assert set(found) == {"path", "commits", "companions", "sessions"}
    assert found["companions"]
    assert found["sessions"]
    assert all(set(one) == companion for one in found["companions"])
    assert all(set(one) == session for one in found["sessions"])


def test_status(remembered: Place) -> None:
    found = printed(remembered, "status")
    assert [set(found)] == documented("patina status --json")
    assert (found["sessions"], found["commits"], found["pending"]) == (18, 36, 0)


@pytest.mark.parametrize("command", ["plugins", "log", "pairs", "doctor"])
def test_listings(remembered: Place, command: str) -> None:
    found = printed(remembered, command)
    (keys,) = documented(f"patina {command} --json")
    assert found
    assert all(set(one) == keys for one in found)


def test_eval(remembered: Place, tmp_path: Path) -> None:
    found = printed(remembered, "eval")
    channel, difference, measured, question, gate, gated, change = documented("patina eval --json")
    assert set(found) == {"sets", "paired", "measured", "queries"}
    for one in found["sets"].values():
        assert one["n"] > 0
        channels = {name: figures for name, figures in one.items() if name not in ("n", "reason")}
        assert channels.keys() == {"hybrid", "rrf", "vector", "bm25", "recent", "popularity"}
        assert all(set(figures) == channel for figures in channels.values())
    assert all(set(one) == difference for each in found["paired"].values() for one in each.values())
    assert set(found["measured"]) == measured
    assert all(set(one) == question for each in found["queries"].values() for one in each.values())
    (baseline := tmp_path / "baseline.json").write_text(json.dumps(found))
    told = printed(remembered, f"eval --gate {baseline}")["gate"]
    assert set(told) == gate
    assert all(set(one) == gated for one in told["sets"].values())
    changes = [told["all"], *(one["changes"] for one in told["sets"].values())]
    assert all(set(one) == change for each in changes for one in each.values())


def test_eval_tune(place: Place) -> None:
    (keys,) = documented("patina eval --tune --json")
    assert set(printed(place, "eval --tune")) == keys


def test_session(place: Place) -> None:
    """In the order in which one types them."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", TEXT.split("## patina session")[1], re.M)
    keys = {command: re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", text)) for command, text in rows}
    assert list(keys) == ["start", "note", "update", "status", "end", "list", "show"]

    started = printed(place, "session start 'a look at the keys'")
    assert set(started) == set(keys["start"])
    for command in ("note 'a note'", "update"):
        assert set(printed(place, f"session {command}")) == set(keys[command.split()[0]])
    active = printed(place, "session status")
    assert set(active) == {"active", "sessions"}
    assert active["sessions"] == [active["active"]]
    figures = {"commits", "files", "patterns"}
    assert set(active["active"]) == set(keys["start"]) - {"abandoned"} | figures
    assert set(printed(place, "session end")) == set(keys["end"])
    listed: list[Mapping[str, object]] = printed(place, "session list")
    assert [set(one) for one in listed] == [set(keys["list"])] * 19
    assert set(printed(place, f"session show {started['id']}")) == set(keys["show"])
