"""Read recipe and settings of a repository: one text each, whatever is checked out.

In this order: the file of the main work tree; its entry in the index (a sparse checkout, an unstaged
deletion) or in HEAD (an uncommitted deletion); the text of the last sync, unless HEAD is a descendant of the
commit that had it (an old commit or another branch is checked out); before the first sync, the default
branch's. In a bare layout, the work tree of the default branch replaces the main one, or else the branch
itself.

Reading from git needs a child process: a quick read assumes that a file that was absent is still absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import Rule, read_value
from patina_hooks.config.settings import REPOSITORY_FILE
from patina_hooks.errors import GitError, SettingsError
from patina_hooks.system.files import plain_file, read_regular, replace_file

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository

RECIPE_FILE = ".patina/oxidize.yaml"
SHARED_FILES = (RECIPE_FILE, REPOSITORY_FILE)
REMEMBERED = "configuration.json"
_SIZE_CAP = 64 * 1024
_STORED_CAP = 1 << 20
_MAIN_HEAD = "main-worktree/HEAD"
_DEFAULT_BRANCHES = ("refs/remotes/origin/HEAD", "refs/heads/main", "refs/heads/master")
_CONFLICT = re.compile(r"^<{7} .*^={7}$.*^>{7} ", re.MULTILINE | re.DOTALL)


_Commit = Annotated[str, Rule(pattern="[0-9a-f]*")]
_Stored = Mapping[str, tuple[str | None, _Commit]]


@dataclass(frozen=True, slots=True)
class SharedFile:
    """The text of one file, None if the repository has none.

    commit: one whose tree has this text, "" if unknown.
    remark: the origin of the text, "" for the work tree.
    """

    text: str | None
    commit: str = ""
    remark: str = ""


def read_shared_files(repository: Repository, *, thorough: bool = False) -> dict[str, SharedFile]:
    """Read recipe and settings by their paths.

    Args:
        repository: whose files are read.
        thorough: read from git a file that was absent at the last sync.

    Raises:
        SettingsError: a file exists and cannot be read.
    """
    root, stored = _root(repository), _stored_files(repository)
    files: dict[str, SharedFile] = {}
    for path in SHARED_FILES:
        text = _checked_out(root, path)
        if text is not None and not _CONFLICT.search(text):
            files[path] = SharedFile(text)
        elif text is None and not thorough and path in stored and stored[path].text is None:
            files[path] = stored[path]
        else:
            files[path] = _read_from_git(repository, root, path, stored.get(path))
    return files


def remember_shared_files(repository: Repository, files: Mapping[str, SharedFile]) -> None:
    """Store the texts for a later checkout of another commit. Raises OSError."""
    previous = _stored_files(repository)
    stored = {
        path: [file.text, file.commit or _commit_of(repository, path, file.text, previous.get(path))]
        for path, file in files.items()
    }
    location, data = repository.state / REMEMBERED, json.dumps(stored).encode()
    with suppress(OSError):
        if read_regular(location, _STORED_CAP) == data:
            return
    replace_file(location, data)


def remembered_text(repository: Repository, path: str) -> str | None:
    """Return the text of a file at the last sync, None if there is none."""
    stored = _stored_files(repository).get(path)
    return stored.text if stored else None


def _commit_of(repository: Repository, path: str, text: str | None, stored: SharedFile | None) -> str:
    """Return the commit to store with a text: the stored one, or HEAD if its tree has the file."""
    if text is None:
        return ""
    if stored and stored.text == text and stored.commit:
        return stored.commit
    entry, head = repository.object_ids([f"{_MAIN_HEAD}:{path}", f"{_MAIN_HEAD}^{{commit}}"])
    return head or "" if entry else ""


def _root(repository: Repository) -> Path | None:
    """Return the work tree whose files apply, None in a bare layout without the default branch."""
    if repository.git_dir == repository.common:
        return repository.root
    trees = repository.work_trees()
    if not repository.is_bare():
        return trees[0].path if trees else repository.root
    default = repository.default_branch()
    return next((tree.path for tree in trees if tree.branch == default), None)


def _checked_out(root: Path | None, path: str) -> str | None:
    location = plain_file(root, path) if root else None
    if location is None:
        return None
    try:
        return read_regular(location, _SIZE_CAP + 1).decode("utf-8", "replace")
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error


def _read_from_git(
    repository: Repository, root: Path | None, path: str, stored: SharedFile | None
) -> SharedFile:
    """Read a file that is absent in the work tree, or has conflict markers there."""
    text = _in_index(repository.at(root), path) if root and root.is_dir() else None
    if text is None:
        text = _in_commit(repository, _MAIN_HEAD, path)
    if text is not None:
        return SharedFile(text, remark="read from git, not from the work tree" if root else "")
    if stored and stored.text is not None and not _is_head_after(repository, stored.commit):
        return SharedFile(
            stored.text, stored.commit, "from the last sync, the checked-out commit has no such file"
        )
    for branch in () if stored else _DEFAULT_BRANCHES:
        if (text := _in_commit(repository, branch, path)) is not None:
            commit = repository.resolve(branch) or ""
            return SharedFile(text, commit, f"read from {branch}, the checked-out commit has no such file")
    return SharedFile(None)


def _is_head_after(repository: Repository, commit: str) -> bool:
    """Whether HEAD is a descendant of a commit: then the file was removed on purpose.

    A text that no commit had was removed by the user.
    """
    if not commit:
        return True
    return repository.git.run("merge-base", "--is-ancestor", commit, _MAIN_HEAD).code == 0


def _in_index(repository: Repository, path: str) -> str | None:
    result = repository.git.run("ls-files", "-s", "-z", "--", f":(top,literal){path}")
    mode, oid, stage = (*result.out.partition(b"\t")[0].decode("ascii", "replace").split(), "", "", "")[:3]
    return _text(repository, mode, oid) if stage == "0" else None


def _in_commit(repository: Repository, revision: str, path: str) -> str | None:
    result = repository.git.run("ls-tree", "-z", "--full-tree", revision, "--", path)
    mode, _, oid = (*result.out.partition(b"\t")[0].decode("ascii", "replace").split(), "", "", "")[:3]
    return _text(repository, mode, oid) if result.code == 0 else None


def _text(repository: Repository, mode: str, oid: str) -> str | None:
    """Read the text of a regular file's blob, None for a link or a text with conflict markers."""
    if not mode.startswith("100"):
        return None
    with suppress(GitError):
        for blob in repository.blobs([oid], _SIZE_CAP + 1):
            text = None if blob.data is None else blob.data.decode("utf-8", "replace")
            return None if text is None or _CONFLICT.search(text) else text
    return None


def _stored_files(repository: Repository) -> dict[str, SharedFile]:
    """Read the files of the last sync; empty if that fails."""
    with suppress(OSError, ValueError):
        stored = parse_json(read_regular(repository.state / REMEMBERED, _STORED_CAP))
        return {path: SharedFile(*pair) for path, pair in read_value(_Stored, stored).items()}
    return {}
