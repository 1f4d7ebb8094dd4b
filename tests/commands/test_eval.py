"""`patina eval`: figures for eyes, for programs, as a picture, and as a gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from evaluation.past import Past, make_past
from support.shell import Shell

from patina_hooks.evaluation.evaluate import MINED
from patina_hooks.evaluation.methods import BASELINES, METHODS


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return make_past(tmp_path_factory.mktemp("eval") / "repository")


@pytest.fixture
def shell(past: Past) -> Shell:
    return Shell(past.memory.root)


def printed(shell: Shell, *arguments: str) -> Any:  # noqa: ANN401 (JSON is what it is)
    return json.loads(shell.out("eval", "--json", *arguments))


def test_json_has_every_set_and_method_with_intervals(shell: Shell) -> None:
    found = printed(shell)
    assert found.keys() == {"sets", "paired", "measured", "queries"}
    assert list(found["sets"]) == list(MINED)
    for name, one in found["sets"].items():
        assert one.keys() == {"n", "reason", *METHODS}
        assert one["n"] == len(found["queries"][name])
        for method in METHODS:
            assert one[method].keys() == {"mrr", "low", "high", "ndcg", "recall"}
        is_measured = name.startswith("commit_files")
        assert (one["recent"]["mrr"] is not None) == is_measured
        assert (found["paired"][name]["hybrid-recent"]["delta"] is not None) == is_measured
        for answer in found["queries"][name].values():
            assert answer.keys() == {"cluster", "rr", "others"}
            assert answer["others"].keys() == {"rrf", "vector", "bm25"}
    goal = found["sets"]["goal"]
    assert 0 < goal["hybrid"]["low"] <= goal["hybrid"]["mrr"] <= goal["hybrid"]["high"] <= 1
    assert found["paired"].keys() == {*MINED, "all"}
    for differences in found["paired"].values():
        assert differences.keys() == {f"hybrid-{other}" for other in BASELINES}
    assert found["paired"]["all"]["hybrid-popularity"]["low"] > 0
    assert found["measured"]["model"] == "acme-64"
    assert found["measured"]["cutoff"] == 10


def test_the_page_says_on_how_many_questions_and_against_what(shell: Shell) -> None:
    page = shell.out("eval")
    for name in MINED:
        assert f"{name}  " in page
    lines = page.splitlines()
    at = lines.index("goal  12 questions")
    assert lines[at + 1].endswith("MRR@10  95 % interval   nDCG@10  recall@10  hybrid is better by")
    assert [line.split()[0] for line in lines[at + 2 : at + 8]] == list(METHODS)
    assert ".." in lines[at + 2]
    assert "model acme-64 (onnx), projection none, first 10 answers, events " in page
    assert lines[at + 6] == "  recent      -"
    assert "no interval: fewer than ten sessions (commit_files_cold)" in page
    assert "rough intervals: fewer than twenty sessions (context, commit_session, goal, " in page
    assert "recent -: not measured; the latest session is the right answer by construction" in page
    (recent,) = (
        line for line in lines[lines.index("all  6 sets of equal weight") :] if line.startswith("  recent ")
    )
    assert recent.endswith("  in 2 sets")


def test_only_the_sets_that_are_named(shell: Shell) -> None:
    assert list(printed(shell, "--set", "goal", "--set", "context")["sets"]) == ["context", "goal"]
    done = shell.run("eval", "--set", "gaol")
    assert done.returncode == 2
    assert "there is no query set gaol" in done.stderr
    assert "commit_files" in done.stderr


def test_questions_of_ones_own(past: Past, shell: Shell, tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    entries = [{"query": "bakers fold the sourdough", "relevant": [past.sessions[3]]}]
    mine.write_text(json.dumps(entries))
    alone = printed(shell, "--queries", str(mine), "--set", "queries")
    assert list(alone["sets"]) == ["queries"]
    assert alone["sets"]["queries"]["n"] == 1
    assert alone["sets"]["queries"]["hybrid"] == {
        "mrr": 1.0,
        "low": None,
        "high": None,
        "ndcg": 1.0,
        "recall": 1.0,
    }
    beside = printed(shell, "--queries", str(mine), "--set", "goal")
    assert list(beside["sets"]) == ["goal", "queries"]
    mine.write_text('[{"query": "x", "relevant": ["nowhere.md"]}]')
    done = shell.run("eval", "--queries", str(mine))
    assert done.returncode == 2
    assert "entry 1: the memory does not have 'nowhere.md'" in done.stderr


def test_a_picture(shell: Shell, tmp_path: Path) -> None:
    picture = tmp_path / "figures.svg"
    shell.out("eval", "--set", "goal", "--picture", str(picture))
    root = ET.parse(picture).getroot()  # noqa: S314 (just made)
    said = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "goal (12 questions)" in said
    assert any(
        "acme-64" in text and "95 % intervals, of fewer than twenty sessions in goal" in text for text in said
    )
    assert [text for text in said if text in METHODS] == [one for one in METHODS if one != "recent"]
    done = shell.run("eval", "--set", "goal", "--picture", str(tmp_path / "no" / "folder.svg"))
    assert done.returncode == 2
    assert "cannot write" in done.stderr


def test_the_gate_lets_the_same_answers_pass(shell: Shell, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    baseline.write_text(shell.out("eval", "--json"))
    done = shell.invoke("eval", "--gate", str(baseline))
    assert done.exit_code == 0
    assert "goal  12 questions in both, 0 missing, 0 new\n  hybrid      not worse    +0.000" in done.stdout
    assert "not worse: no drop of more than 0.02" in done.stdout
    gate = printed(shell, "--gate", str(baseline), "--drop", "0")["gate"]
    assert (gate["delta"], gate["drop"], gate["fell"], gate["same_history"]) == (0.0, 0.0, False, True)
    assert gate["trouble"] == ""
    assert list(gate["sets"]) == list(MINED)
    goal = gate["sets"]["goal"]
    assert (goal["asked"], goal["missing"], goal["new"]) == (12, 0, 0)
    assert goal["changes"].keys() == gate["all"].keys() == {"hybrid", "rrf", "vector", "bm25"}
    assert goal["changes"]["vector"] == {
        "delta": 0.0, "low": 0.0, "high": 0.0, "n": 12, "outcome": "not worse", "why": "",
    }  # fmt: skip
    done = shell.invoke("eval", "--set", "goal", "--gate", str(baseline))
    assert done.exit_code == 0, "who asks for one set misses no other"


def test_the_gate_stops_what_became_worse(shell: Shell, tmp_path: Path) -> None:
    then = printed(shell, "--set", "commit_files")
    for answers in then["queries"].values():
        for answer in answers.values():
            answer["rr"] = min(1.0, answer["rr"] + 0.4)
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps({**then, "measured": {**then["measured"], "events_hash": "other"}}))
    done = shell.invoke("eval", "--gate", str(baseline), "--drop", "0.001")
    assert done.exit_code == 1, done.stdout
    assert "\n  hybrid      worse " in done.stdout
    assert "worse: a drop of more than 0.001 that chance does not explain" in done.stdout
    assert "the history has changed since" in done.stdout
    assert shell.invoke("eval", "--gate", str(baseline), "--drop", "0.7").exit_code == 0
    refused = shell.run("eval", "--gate", str(tmp_path / "none.json"))
    assert refused.returncode == 2
    assert "patina eval --json > baseline.json" in refused.stderr


def test_the_gate_does_not_pass_where_it_cannot_tell(shell: Shell, tmp_path: Path) -> None:
    then = printed(shell, "--set", "goal")
    baseline = tmp_path / "baseline.json"
    asked = then["queries"]["goal"]
    others = {f"gone {number}": answer for number, answer in enumerate(asked.values())}
    few = dict(list(asked.items())[:5])
    baseline.write_text(json.dumps({**then, "queries": {"goal": {**few, **others}}}))
    done = shell.run("eval", "--set", "goal", "--gate", str(baseline), "--json")
    assert done.returncode == 2
    assert "most of the baseline's queries no longer exist: goal (12 of 17 questions)" in done.stderr
    assert "patina eval --json > baseline.json" in done.stderr
    gate = json.loads(done.stdout)["gate"]
    assert gate["sets"]["goal"]["changes"]["hybrid"]["outcome"] == "cannot tell"
    assert (gate["delta"], gate["n"], gate["all"]) == (None, 0, {})

    of_files = printed(shell, "--set", "commit_files")["queries"]["commit_files"]
    below = [(name, {**answer, "rr": 1.0}) for name, answer in of_files.items() if answer["rr"] < 1]
    assert below
    baseline.write_text(json.dumps({**then, "queries": {"commit_files": dict(below[:5])}}))
    done = shell.run("eval", "--set", "commit_files", "--gate", str(baseline))
    assert done.returncode == 2
    assert "fewer than ten sessions have queries: too few for a verdict" in done.stderr
    assert done.stdout.endswith("cannot tell\n")

    broken = {name: {**answer, "rr": float("nan")} for name, answer in few.items()}
    baseline.write_text(json.dumps({**then, "queries": {"goal": broken}}))
    done = shell.run("eval", "--gate", str(baseline))
    assert (done.returncode, done.stdout) == (2, "")
    assert "is nan, expected a number from 0 to 1" in done.stderr


def test_tuning_says_what_becomes_of_it(shell: Shell) -> None:
    found = json.loads(shell.out("eval", "--tune", "--json"))
    figures = {"delta", "low", "high", "n", "in_use"}
    assert found.keys() == {"weights", "split", "past", "fingerprint", "projection", *figures}
    assert sum(found["weights"].values()) == pytest.approx(1, abs=1e-3)
    page = shell.out("eval", "--tune")
    assert page.startswith(f"tuned on {found['past']} questions until 20")
    verdict = "search uses the tuned weights from now on" if found["in_use"] else "using default weights"
    assert verdict in page
    assert shell.run("eval", "--tune", "--set", "goal").returncode == 2


def test_without_history_it_says_so(tmp_path: Path) -> None:
    from support.memory import Memory

    memory = Memory.make(tmp_path / "repository")
    bare = Shell(memory.root).run("eval")
    assert (bare.returncode, bare.stdout) == (1, "")
    assert "patina init" in bare.stderr
    memory.commit("a first commit of one file", {"a.py": "1"})
    memory.sync()
    done = Shell(memory.root).run("eval")
    assert (done.returncode, done.stdout) == (1, "")
    assert "not enough history to evaluate: 0 session documents, 1 commit, 0 queries" in done.stderr
