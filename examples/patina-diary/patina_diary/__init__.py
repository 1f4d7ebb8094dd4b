"""A diary of all repositories: a page a day in ~/diary, a line for every commit and ended session."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from patina_hooks import Commit, Session, hookimpl


@hookimpl
def patina_commit_recorded(commit: Commit) -> None:
    note(date.fromtimestamp(commit.committed), f"- {commit.subject} ({commit.oid[:10]})")


@hookimpl
def patina_session_ended(session: Session, commits: Sequence[Commit]) -> None:
    day = date(int(session.id[:4]), int(session.id[4:6]), int(session.id[6:8]))
    note(day, f"- session {session.id}: {session.title} (commits: {len(commits)})")


def note(day: date, line: str) -> None:
    """Add a line to the day's page, unless it is there: a memory built anew tells everything again."""
    line = "".join(filter(str.isprintable, line))  # a repository may hold line ends and escape sequences
    page = Path.home() / "diary" / f"{day}.md"
    page.parent.mkdir(exist_ok=True)
    with page.open("a+", encoding="utf-8") as lines:
        lines.seek(0)
        if f"{line}\n" not in lines:
            lines.write(f"{line}\n")
