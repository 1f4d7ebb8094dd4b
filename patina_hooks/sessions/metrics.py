"""The numbers of a session, from its commits: files, commits, patterns, and the work type they make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from patina_hooks.errors import GitError
from patina_hooks.git.repository import UNCONFIGURED, Repository

WorkType = Literal["exploration", "pattern-work", "major-feature", "experiment", "feature", "unknown"]

_PATTERN = re.compile(rb"layer/|\.md")


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a session changed. files: paths; patterns: those of them under layer/ or with .md in them."""

    commits: int = 0
    files: int = 0
    patterns: int = 0

    @property
    def work_type(self) -> WorkType:
        return classify(self.commits, self.files, self.patterns)


def classify(commits: int, files: int, patterns: int) -> WorkType:
    """The work type, by the ancestor project's rule: the first that fits."""
    if commits == 0:
        return "exploration"
    if patterns > 0:
        return "pattern-work"
    if files > 10:
        return "major-feature"
    return "experiment" if commits < 3 else "feature"


def measure_range(repository: Repository, start: str, end: str) -> Numbers:
    """The numbers of `start..end`, two commits that exist. Raises `GitError` where their trees are absent.

    A moved file counts once, at its new place: existing documents were counted by `git diff --name-only`,
    whose default is to detect renames.
    """
    if start == end:
        return Numbers()
    try:
        paths = _changed(repository, start, end, "--find-renames=50%")
    except GitError:
        # A partial clone lacks the blobs that renames are told by, and nothing is fetched here.
        paths = _changed(repository, start, end, "--no-renames")
    return Numbers(
        commits=int(repository.git.text("rev-list", "--count", f"{start}..{end}")),
        files=len(paths),
        patterns=sum(1 for path in paths if _PATTERN.search(path)),
    )


def _changed(repository: Repository, start: str, end: str, renames: str) -> list[bytes]:
    # Said in full, so that the count depends on the two commits and not on anybody's configuration.
    return repository.git.lines(
        "diff-tree", "-r", "-z", "--name-only", *UNCONFIGURED, renames, "-l1000", "--no-ext-diff",
        "--no-textconv", "--ignore-submodules=none", start, end, end=b"\0",
    )  # fmt: skip
