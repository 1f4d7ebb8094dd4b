"""Find a repository by its files, for callers that must not wait for git."""

from __future__ import annotations

from pathlib import Path


def find_work_tree(folder: Path) -> tuple[Path, Path]:
    """Return the work tree that encloses a folder, and its common dir.

    Found as the shell hook finds them: a git process costs more than the rest of a hook. A caller that reads
    the repository opens it with git, which may refuse it. Raises ValueError or OSError if there is none.
    """
    for work_tree in (folder, *folder.parents):
        git = work_tree / ".git"
        if git.is_file():  # of a linked work tree or a submodule
            git = work_tree / git.read_text().removeprefix("gitdir:").strip()
        if git.is_dir():
            shared = git / "commondir"
            return work_tree, (git / shared.read_text().strip() if shared.is_file() else git).resolve()
    raise ValueError(f"no git work tree at {folder}")
