"""Commit the document of an ended session, and nothing else."""

from __future__ import annotations

import shlex

from patina_hooks.errors import SessionError
from patina_hooks.git.repository import Repository

_UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD")


def commit_document(repository: Repository, path: str, session: str, title: str) -> str:
    """Commit only the file at `path`, with the user's identity and hooks.

    Return the commit's id.

    Other staged changes stay staged. Raises `SessionError` with git's message, and an unchanged index.
    """
    git = repository.writing()
    result = git.run("--literal-pathspecs", "add", "--intent-to-add", "--", path)
    if not result.code:
        message = f"chore: archive session {session}\n\n{title}\n".encode()
        result = git.run(
            "--literal-pathspecs", "commit", "--quiet", "--only", "--file=-", "--", path, data=message
        )
        if not result.code:
            return git.text("rev-parse", "HEAD")
        git.run("--literal-pathspecs", "rm", "--quiet", "--cached", "--", path)
    reason = result.err or "git commit failed"
    raise SessionError(
        f"session {session} is ended, but its document is not committed: {reason}",
        hint=_hint(repository, path),
    )


def _hint(repository: Repository, path: str) -> str:
    """Return the commands that commit a document.

    An ignored file needs --force, and a single file cannot be committed during a merge.
    """
    quoted = shlex.quote(path)
    force = "--force " if repository.git.run("check-ignore", "--quiet", "--", path).code == 0 else ""
    commands = f"git add {force}{quoted} && git commit --only {quoted}"
    if any((repository.git_dir / name).exists() for name in _UNFINISHED):
        return f"finish the merge or cherry-pick, see git status; then: {commands}"
    return commands
