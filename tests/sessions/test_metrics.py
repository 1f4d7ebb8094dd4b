from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from sessions.workbench import Workbench

from patina_hooks.git.repository import Repository
from patina_hooks.sessions.metrics import Numbers, WorkType, classify, measure_range

_numbers = st.integers(min_value=0, max_value=30)


@given(_numbers, _numbers, _numbers)
def test_every_session_has_a_type_and_only_no_commits_is_exploration(
    commits: int, files: int, patterns: int
) -> None:
    kind = classify(commits, files, patterns)
    assert kind in get_args(WorkType)
    assert (kind == "exploration") == (commits == 0)


def test_the_first_rule_that_fits_decides() -> None:
    assert classify(0, 30, 5) == "exploration"
    assert classify(1, 30, 1) == "pattern-work"
    assert classify(1, 11, 0) == "major-feature"
    assert classify(2, 10, 0) == "experiment"
    assert classify(3, 10, 0) == "feature"


def test_numbers_are_of_the_commits_between(bench: Workbench) -> None:
    start = bench.git("rev-parse", "HEAD")
    bench.commit("a", {"src/a b.py": "x" * 200, "docs/naïve.md": "x"})
    bench.commit("b", {"layer/core/x.txt": "x"})
    end = bench.commit("c", {"readme": "changed"})
    assert measure_range(bench.repository, start, end) == Numbers(commits=3, files=4, patterns=2)
    assert measure_range(bench.repository, end, end) == Numbers()


def test_a_moved_file_counts_once_whatever_is_configured(bench: Workbench) -> None:
    start = bench.commit("a", {"old.py": "".join(f"line {n}\n" for n in range(50))})
    bench.git("mv", "old.py", "new.py")
    end = bench.commit("moved", {})
    for value in ("false", "true", "copies"):
        bench.git("config", "diff.renames", value)
        assert measure_range(bench.repository, start, end).files == 1


def test_no_program_of_the_repository_runs(bench: Workbench, tmp_path: Path) -> None:
    started = tmp_path / "started"
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch '{started}'\ncat\n")
    program.chmod(0o755)
    start = bench.git("rev-parse", "HEAD")
    end = bench.commit("a", {".gitattributes": "* diff=evil filter=evil\n", "b": "x"})
    for key in ("diff.external", "diff.evil.command", "diff.evil.textconv", "core.fsmonitor"):
        bench.git("config", key, str(program))
    assert measure_range(bench.repository, start, end).files == 2
    assert not started.exists()


def test_a_clone_without_old_blobs_still_counts(bench: Workbench, tmp_path: Path) -> None:
    bench.git("config", "uploadpack.allowFilter", "true")
    start = bench.commit("a", {"old.py": "".join(f"line {n}\n" for n in range(50))})
    bench.git("rm", "-q", "old.py")
    end = bench.commit("b", {"new.py": "".join(f"line {n}\n" for n in range(49))})
    clone = tmp_path / "clone"
    source = f"file://{bench.root}"
    subprocess.run(["git", "clone", "-q", "--filter=blob:none", source, str(clone)], check=True)
    shutil.move(bench.root, tmp_path / "elsewhere")
    assert measure_range(Repository.open(clone), start, end) == Numbers(commits=1, files=2, patterns=0)
