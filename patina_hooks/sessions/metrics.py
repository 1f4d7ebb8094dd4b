"""Count the commits, files and patterns of a session, and classify its work type."""

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
    """The changes of a session.

    files: paths; patterns: paths under layer/ or with .md.
    """

    commits: int = 0
    files: int = 0
    patterns: int = 0

    @property
    def work_type(self) -> WorkType:
        return classify(self.commits, self.files, self.patterns)


def classify(commits: int, files: int, patterns: int) -> WorkType:
    """Return the work type by the ancestor project's rules: the first that matches."""
    if commits == 0:
        return "exploration"
    if patterns > 0:
        return "pattern-work"
    if files > 10:
        return "major-feature"
    return "experiment" if commits < 3 else "feature"


def measure_range(repository: Repository, start: str, end: str) -> Numbers:
    """Count the changes of `start..end`, two existing commits.

    A moved file counts once, at its new path: existing documents were counted by `git diff --name-only`,
    which detects renames by default. Raises `GitError` if the trees are absent.
    """
    if start == end:
        return Numbers()
    try:
        paths = _changed(repository, start, end, "--find-renames=50%")
    except GitError:
        # A partial clone lacks the blobs to detect renames, and nothing is fetched here.
        paths = _changed(repository, start, end, "--no-renames")
    return Numbers(
        commits=int(repository.git.text("rev-list", "--count", f"{start}..{end}")),
        files=len(paths),
        patterns=sum(1 for path in paths if _PATTERN.search(path)),
    )


def _changed(repository: Repository, start: str, end: str, renames: str) -> list[bytes]:
    # All options are explicit, so that the count does not depend on configuration.
    return repository.git.lines(
        "diff-tree", "-r", "-z", "--name-only", *UNCONFIGURED, renames, "-l1000", "--no-ext-diff",
        "--no-textconv", "--ignore-submodules=none", start, end, end=b"\0",
    )  # fmt: skip
