"""Recipe and settings of a repository: one text each, whatever is checked out.

In this order: the file of the main work tree; its entry in the index (a sparse checkout, a deletion that is
not staged) or in HEAD (one that is not committed); the text last in force, where HEAD does not come after the
commit that had it (an old commit or another branch is checked out); in a memory that knows none yet, the
default branch's. In a bare layout, the work tree of the default branch stands for the main one, or else the
branch itself.

Looking into git costs a child process: a quick look trusts that a file which was nowhere is still nowhere.
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
    """The text of one file, None where the repository has none.

    commit: one whose tree has this text, "" where none is known; remark: where it is from, "" where that is
    the work tree.
    """

    text: str | None
    commit: str = ""
    remark: str = ""


def read_shared_files(repository: Repository, *, thorough: bool = False) -> dict[str, SharedFile]:
    """Read recipe and settings by their paths.

    Args:
        thorough: ask git for a file that no work tree had at the last look.

    Raises:
        SettingsError: a file is there and cannot be read.
    """
    root, kept = _root(repository), _remembered(repository)
    found: dict[str, SharedFile] = {}
    for path in SHARED_FILES:
        text = _checked_out(root, path)
        if text is not None and not _CONFLICT.search(text):
            found[path] = SharedFile(text)
        elif text is None and not thorough and path in kept and kept[path].text is None:
            found[path] = kept[path]
        else:
            found[path] = _elsewhere(repository, root, path, kept.get(path))
    return found


def remember_shared_files(repository: Repository, files: Mapping[str, SharedFile]) -> None:
    """Keep what is in force for the day on which another commit is checked out. Raises OSError."""
    kept = _remembered(repository)
    stored = {
        path: [file.text, file.commit or _commit_of(repository, path, file.text, kept.get(path))]
        for path, file in files.items()
    }
    place, data = repository.state / REMEMBERED, json.dumps(stored).encode()
    with suppress(OSError):
        if read_regular(place, _STORED_CAP) == data:
            return
    replace_file(place, data)


def remembered_text(repository: Repository, path: str) -> str | None:
    """Return the text of a file that was in force at the last sync, None where none is known."""
    kept = _remembered(repository).get(path)
    return kept.text if kept else None


def _commit_of(repository: Repository, path: str, text: str | None, kept: SharedFile | None) -> str:
    """A commit to remember a text with: one that had it at an earlier look, or HEAD where its tree has it."""
    if text is None:
        return ""
    if kept and kept.text == text and kept.commit:
        return kept.commit
    entry, head = repository.object_ids([f"{_MAIN_HEAD}:{path}", f"{_MAIN_HEAD}^{{commit}}"])
    return head or "" if entry else ""


def _root(repository: Repository) -> Path | None:
    """The work tree whose files hold, None in a bare layout without one of the default branch."""
    if repository.git_dir == repository.common:
        return repository.root
    trees = repository.work_trees()
    if not repository.is_bare():
        return trees[0].path if trees else repository.root
    default = repository.default_branch()
    return next((tree.path for tree in trees if tree.branch == default), None)


def _checked_out(root: Path | None, path: str) -> str | None:
    place = plain_file(root, path) if root else None
    if place is None:
        return None
    try:
        return read_regular(place, _SIZE_CAP + 1).decode("utf-8", "replace")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error


def _elsewhere(repository: Repository, root: Path | None, path: str, kept: SharedFile | None) -> SharedFile:
    """The text of a file that the work tree does not have, or has with marks of a conflict."""
    text = _in_index(repository.at(root), path) if root and root.is_dir() else None
    if text is None:
        text = _in_commit(repository, _MAIN_HEAD, path)
    if text is not None:
        return SharedFile(text, remark="read from git, not from the work tree" if root else "")
    if kept and kept.text is not None and not _came_after(repository, kept.commit):
        return SharedFile(kept.text, kept.commit, "last in force, the checked-out commit has no such file")
    for branch in () if kept else _DEFAULT_BRANCHES:
        if (text := _in_commit(repository, branch, path)) is not None:
            commit = repository.resolve(branch) or ""
            return SharedFile(text, commit, f"read from {branch}, the checked-out commit has no such file")
    return SharedFile(None)


def _came_after(repository: Repository, commit: str) -> bool:
    """Whether what is checked out comes after a commit: then the file was removed on purpose.

    A text that no commit had was removed by hand.
    """
    if not commit:
        return True
    return repository.git.run("merge-base", "--is-ancestor", commit, _MAIN_HEAD).code == 0


def _in_index(repository: Repository, path: str) -> str | None:
    done = repository.git.run("ls-files", "-s", "-z", "--", f":(top,literal){path}")
    mode, oid, stage = (*done.out.partition(b"\t")[0].decode("ascii", "replace").split(), "", "", "")[:3]
    return _text(repository, mode, oid) if stage == "0" else None


def _in_commit(repository: Repository, revision: str, path: str) -> str | None:
    done = repository.git.run("ls-tree", "-z", "--full-tree", revision, "--", path)
    mode, _, oid = (*done.out.partition(b"\t")[0].decode("ascii", "replace").split(), "", "", "")[:3]
    return _text(repository, mode, oid) if done.code == 0 else None


def _text(repository: Repository, mode: str, oid: str) -> str | None:
    """The text of a regular file's blob; a link is not followed, a conflict not read."""
    if not mode.startswith("100"):
        return None
    with suppress(GitError):
        for blob in repository.blobs([oid], _SIZE_CAP + 1):
            text = None if blob.data is None else blob.data.decode("utf-8", "replace")
            return None if text is None or _CONFLICT.search(text) else text
    return None


def _remembered(repository: Repository) -> dict[str, SharedFile]:
    """What was in force at the last sync; nothing where that cannot be read."""
    with suppress(OSError, ValueError):
        stored = parse_json(read_regular(repository.state / REMEMBERED, _STORED_CAP))
        return {path: SharedFile(*pair) for path, pair in read_value(_Stored, stored).items()}
    return {}
