"""The work tree of a session command: commit, branch, uncommitted changes."""

from __future__ import annotations

from patina_hooks.errors import SessionError
from patina_hooks.git.repository import Repository
from patina_hooks.text.display import clean_line


def head_of(repository: Repository) -> str:
    """Return HEAD's commit. Raises `SessionError` while its branch is unborn."""
    head = repository.head()
    if head is None:
        raise SessionError(
            "cannot start a session: there is no commit yet to tag",
            hint='git commit --allow-empty -m "first commit"',
        )
    return head


def current_branch(repository: Repository) -> str:
    """Return the branch's short name, or "HEAD (detached at <short oid>)"."""
    branch = repository.branch()
    if branch is not None:
        return clean_line(branch)
    return f"HEAD (detached at {repository.git.text('rev-parse', '--short', 'HEAD')})"


def default_branch(repository: Repository) -> str | None:
    """Return the default branch: that of origin's HEAD, else main or master if one exists."""
    remote = repository.git.run("symbolic-ref", "-q", "--short", "refs/remotes/origin/HEAD")
    if remote.code == 0:
        return remote.out.decode("utf-8", "replace").strip().removeprefix("origin/")
    heads = {ref.name for ref in repository.refs("refs/heads/main", "refs/heads/master")}
    return next((name for name in ("main", "master") if f"refs/heads/{name}" in heads), None)


def check_branch_policy(repository: Repository) -> None:
    """Raise `SessionError` on the default branch, where the policy allows no sessions."""
    branch = repository.branch()
    if branch is not None and branch == default_branch(repository):
        raise SessionError(
            f'cannot start a session on {clean_line(branch)}: the setting session.branch_policy is "require"',
            hint="git switch -c <a branch for this session>",
        )


def uncommitted(repository: Repository) -> int | None:
    """Count the tracked paths that differ from HEAD, None if git cannot count them.

    Only `status` distinguishes a touched file from a changed one, and it may run clean filters of the
    repository's configuration: each is disabled, required ones (git-lfs) included. A touched file of such a
    filter counts as changed.
    """
    names = repository.git.run(
        "config", "--null", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process|required)$"
    )
    keys = {name for name in names.out.decode("utf-8", "surrogateescape").split("\0") if name}
    if any("=" in key for key in keys):
        return None  # git cannot disable such a filter
    off = [part for key in sorted(keys) for part in ("-c", f"{key}=")]  # an empty `required` means false
    records = repository.git.run(
        *off, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=all"
    )
    return records.out.count(b"\0") if records.code == 0 else None
