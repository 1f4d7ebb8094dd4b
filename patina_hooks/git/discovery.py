"""Where a repository is, read off its files: for what must not wait for git."""

from __future__ import annotations

from pathlib import Path


def find_work_tree(folder: Path) -> tuple[Path, Path]:
    """The work tree that encloses a folder, and its common dir, found as the shell hook finds them.

    Asking git costs more than all the rest of a hook; who goes on to read the repository asks it all the
    same, and git may say no. Raises ValueError or OSError where there is none.
    """
    for work_tree in (folder, *folder.parents):
        git = work_tree / ".git"
        if git.is_file():  # of a linked work tree or a submodule
            git = work_tree / git.read_text().removeprefix("gitdir:").strip()
        if git.is_dir():
            shared = git / "commondir"
            return work_tree, (git / shared.read_text().strip() if shared.is_file() else git).resolve()
    raise ValueError(f"no git work tree at {folder}")
