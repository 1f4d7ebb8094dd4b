"""`make demo`: the excerpt is the history that it says it is, and the show keeps its promises."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.excerpt import Place, build_excerpt, clean_environment
from support.marked import ROOT

EXCERPT = ROOT / "examples" / "history"
COMMITS = [json.loads(line) for line in (EXCERPT / "commits.jsonl").read_text("utf-8").splitlines()]
TAGS = [json.loads(line) for line in (EXCERPT / "tags.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return build_excerpt(tmp_path_factory.mktemp("excerpt") / "repository")


def test_the_excerpt_is_small_and_carries_its_licence() -> None:
    assert sum(path.stat().st_size for path in EXCERPT.rglob("*") if path.is_file()) < 400_000
    assert "MIT" in (EXCERPT / "LICENSE").read_text()
    notice = (EXCERPT / "NOTICE").read_text()
    assert f"{len(COMMITS)} consecutive commits" in notice
    assert f"the {len(TAGS)} session tags" in notice
    assert f"{len(list((EXCERPT / 'sessions').iterdir()))} session documents" in notice


def test_messages_dates_and_paths_are_true(built: Place) -> None:
    told = built.run("git log --reverse -z --format=%at%x01%ct%x01%an%x01%B patina").rstrip("\0").split("\0")
    assert [one.split("\1") for one in told] == [
        [str(c["author_date"]), str(c["commit_date"]), c["author"], c["message"].rstrip("\n") + "\n"]
        for c in COMMITS
    ]
    paths = built.run("git log --reverse --root --no-renames --name-only --format=%x01 patina").split("\1")
    for commit, names in zip(COMMITS, paths[1:], strict=True):
        kept = {change["p"] for change in commit["changes"]}
        gone = {change["p"] for change in commit["changes"] if change["s"] == "D"}
        assert kept - gone <= set(names.split()) <= kept  # what was there before the first commit is not


def test_documents_and_tags_are_true(built: Place) -> None:
    documents = built.root / "layer/sessions"
    assert {path.name: path.read_bytes() for path in documents.iterdir()} == {
        path.name: path.read_bytes() for path in (EXCERPT / "sessions").iterdir()
    }
    told = built.run(
        "git for-each-ref --format='%(refname:short) %(objecttype) %(taggerdate:unix)' refs/tags"
    )
    assert sorted(told.splitlines()) == sorted(f"{tag['name']} tag {tag['date']}" for tag in TAGS)
    assert built.run("git status --porcelain") == ""


def test_it_is_built_the_same_every_time(built: Place, tmp_path: Path) -> None:
    refs = "git for-each-ref"
    assert build_excerpt(tmp_path / "again").run(refs) == built.run(refs)


def test_the_show(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "left over").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo", str(folder)],
        cwd=ROOT, env={**clean_environment(), "CI": "true"}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert not (folder / "left over").exists()
    answers = re.findall(r"^\$ patina scry -n 1 .*\n1\. .*\n((?:   .*\n)+)", done.stdout, re.M)
    expected = (
        "BGE Models Failed Without Query Prefix",
        "pass locally on Mac ARM, fail in CI",
        "Two retries",
    )
    assert len(answers) == len(expected)
    for answer, words in zip(answers, expected, strict=True):
        assert words in answer
    bill = done.stdout.split("What it cost\n")[1]
    assert re.search(r"^first index +[\d.]+ s for 1,4\d\d texts", bill, re.M)
    assert re.search(r"^git commit +[\d.]+ ms without our hook, [\d.]+ ms with it", bill, re.M)
    assert re.search(r"^memory +1,4\d\d observations in \d\.\d MB, in \.git/patina$", bill, re.M)
    assert re.search(r"^model +minilm-l6-v2, 23\.\d MB", bill, re.M)

    place = Place(folder / "repository")
    status = json.loads(place.run("patina status --json"))
    assert (status["sessions"], status["commits"], status["pending"]) == (19, 38, 0)
    assert status["faults"] == []
