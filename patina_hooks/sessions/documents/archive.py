"""Committing the document of an ended session, and nothing else."""

from __future__ import annotations

import shlex

from patina_hooks.errors import SessionError
from patina_hooks.git.repository import Repository

_UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD")


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
        hint=_hint(repository, path),
    )


def _hint(repository: Repository, path: str) -> str:
    """The commands that commit it, where git takes them: an ignored file is to be forced upon it, and in the
    midst of a merge nothing is committed alone."""
    quoted = shlex.quote(path)
    force = "--force " if repository.git.run("check-ignore", "--quiet", "--", path).code == 0 else ""
    commands = f"git add {force}{quoted} && git commit --only {quoted}"
    if any((repository.git_dir / name).exists() for name in _UNFINISHED):
        return f"finish what `git status` says is under way, then: {commands}"
    return commands
