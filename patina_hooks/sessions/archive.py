"""Committing the document of an ended session, and nothing else."""

from __future__ import annotations

from patina_hooks.errors import SessionError
from patina_hooks.git.repository import Repository


def commit_document(repository: Repository, path: str, session: str, title: str) -> str:
    """Commit the file at `path` alone, with the user's identity and hooks; the new commit's id.

    Whatever else is staged stays staged. Raises `SessionError` with git's own words, and the index as it was.
    """
    git = repository.writing()
    added = git.run("--literal-pathspecs", "add", "--intent-to-add", "--", path)
    done = added
    if not added.code:
        message = f"chore: archive session {session}\n\n{title}\n".encode()
        done = git.run(
            "--literal-pathspecs", "commit", "--quiet", "--only", "--file=-", "--", path, data=message
        )
        if not done.code:
            return git.text("rev-parse", "HEAD")
        git.run("--literal-pathspecs", "rm", "--quiet", "--cached", "--", path)
    raise SessionError(
        f"session {session} is ended, but its document is not committed: {done.err or 'git commit failed'}",
        hint=f"git add {path} && git commit --only {path}",
    )
