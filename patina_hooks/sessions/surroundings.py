"""What a session command needs to know of the work tree around it: commit, branch, what is uncommitted."""

from __future__ import annotations

from patina_hooks.errors import SessionError
from patina_hooks.git.repository import Repository
from patina_hooks.text.display import clean_line


def head_of(repository: Repository) -> str:
    """HEAD's commit; `SessionError` while its branch is unborn, since a tag needs a commit."""
    head = repository.head()
    if head is None:
        raise SessionError(
            "there is no commit yet, so nothing that a session's tag could mark",
            hint='git commit --allow-empty -m "first commit"',
        )
    return head


def current_branch(repository: Repository) -> str:
    """The branch's short name, or "HEAD (detached at <short oid>)"."""
    branch = repository.branch()
    if branch is not None:
        return clean_line(branch)
    return f"HEAD (detached at {repository.git.text('rev-parse', '--short', 'HEAD')})"


def default_branch(repository: Repository) -> str | None:
    """The branch that others build on: what origin's HEAD names, else main or master where one exists."""
    remote = repository.git.run("symbolic-ref", "-q", "--short", "refs/remotes/origin/HEAD")
    if remote.code == 0:
        return remote.out.decode("utf-8", "replace").strip().removeprefix("origin/")
    heads = {ref.name for ref in repository.refs("refs/heads/main", "refs/heads/master")}
    return next((name for name in ("main", "master") if f"refs/heads/{name}" in heads), None)


def check_branch_policy(repository: Repository) -> None:
    """`SessionError` on the default branch: the repository wants sessions on branches of their own."""
    branch = repository.branch()
    if branch is not None and branch == default_branch(repository):
        raise SessionError(
            f"sessions are not started on {clean_line(branch)} here: the setting session.branch_policy "
            'is "require"',
            hint="git switch -c <a branch for this session>",
        )


def uncommitted(repository: Repository) -> int | None:
    """How many tracked paths differ from HEAD, None where git cannot tell.

    Only `status` can tell a touched file from a changed one, and it may run clean filters that the
    repository's configuration names: they are switched off one by one, also those that are required
    (git-lfs). A touched file of such a filter counts as changed.
    """
    names = repository.git.run(
        "config", "--null", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process|required)$"
    )
    keys = {name for name in names.out.decode("utf-8", "surrogateescape").split("\0") if name}
    if any("=" in key for key in keys):
        return None  # git cannot be told to leave such a filter out
    off = [part for key in sorted(keys) for part in ("-c", f"{key}=")]  # an empty `required` is a no
    records = repository.git.run(
        *off, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=all"
    )
    return records.out.count(b"\0") if records.code == 0 else None
