"""Install, inspect, repair and remove the git hooks; what was there before still runs, and can be restored.

Five ways, the first that fits:

    config     git 2.54: `hook.patina-<event>` in the repository's configuration; no file is touched
    line       core.hooksPath leads into the work tree (husky): a line in the file that the team commits
    whole      no such hook: a file of our own
    block      a shell script: a marked block after its first line
    wrapper    anything else: moved to `patina-chained/<event>` (same basename) and run by a file of ours

The rule for a folder inside a work tree: only `install` and `uninstall`, which a user types, change files
that git tracks or would track; `repair_hooks` changes only what git ignores there. A folder outside the
repository belongs to others: it is not changed, and the line to add is printed ("by hand").
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from patina_hooks.errors import StateError
from patina_hooks.git import hook_files, stub
from patina_hooks.git.child import ChildGit
from patina_hooks.git.hook_files import EVENTS, INSTALL, Hook, missing_line
from patina_hooks.git.hook_script import recorded_interpreter, write_script
from patina_hooks.git.repository import Repository
from patina_hooks.git.work_tree_hooks import add_line, find_line_hook, remove_lines, script_of

_HUSKY = ".husky"


@dataclass(frozen=True, slots=True)
class Installation:
    """The hooks of a repository.

    folder: where git searches for hooks.
    interpreter: the recorded Python that the hooks run, None if nothing is recorded.
    """

    folder: Path
    hooks: tuple[Hook, ...]
    interpreter: str | None

    def script(self, event: str) -> Path:
        """Return the file to which the line of an event is added."""
        return script_of(self.folder, event)


def has_config_hooks(version: str) -> bool:
    """Whether this `git version` runs hooks from its configuration (2.54 and newer)."""
    numbers = re.search(r"(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (2, 54)


def hooks_folder(repository: Repository) -> Path:
    """Return where git searches for this work tree's hooks, following core.hooksPath."""
    return Path(repository.writing().text("rev-parse", "--path-format=absolute", "--git-path", "hooks"))


def install(
    repository: Repository, interpreter: str = sys.executable, *, config_hooks: bool | None = None
) -> Installation:
    """Install the hooks and return the installation; a second call changes nothing.

    Args:
        repository: whose hooks are installed.
        interpreter: the Python that the hooks run.
        config_hooks: whether git runs hooks from its configuration; None checks the version of git.

    Raises:
        StateError: hooks or state folder cannot be written.
    """
    return _install(repository, interpreter, config_hooks, typed=True)


def uninstall(repository: Repository) -> Installation:
    """Remove the hooks, restore what was there before, and keep what a user added around them.

    Returns the remaining installation: a hook that is not "absent" has a note. The state folder stays.
    Raises `StateError` if hooks or state folder cannot be written.
    """
    try:
        _remove_config(repository)
        for location in _locations(repository):
            if location.owner != "unowned":
                hook_files.remove_hooks(location.folder)
            if location.owner == "work tree":
                remove_lines(location.folder)
        (repository.state / stub.SCRIPT).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(error) from error
    return inspect_hooks(repository)


def inspect_hooks(repository: Repository, *, config_hooks: bool | None = None) -> Installation:
    """Return the installation without changing it."""
    if config_hooks is None:
        config_hooks = has_config_hooks(repository.git.text("version"))
    location = _location(repository, hooks_folder(repository))
    hooks = tuple(
        _configured(repository, event, config_hooks) or location.find_hook(event) for event in EVENTS
    )
    return Installation(location.folder, hooks, recorded_interpreter(repository.state))


def lost_hooks(repository: Repository) -> tuple[str, ...]:
    """Return the events whose hooks were installed and that git no longer runs.

    Another tool removed them, their files are not executable, or core.hooksPath leads to another folder.
    """
    return tuple(hook.event for hook in unsound_hooks(repository) if not hook.enabled)


def unsound_hooks(repository: Repository) -> tuple[Hook, ...]:
    """Return the installed hooks that do not run, or will soon stop running."""
    if recorded_interpreter(repository.state) is None:
        return ()
    folder = hooks_folder(repository)
    if not _location(repository, folder).is_unsound():
        return ()
    return tuple(hook for hook in inspect_hooks(repository).hooks if hook.note or not hook.enabled)


def repair_hooks(repository: Repository) -> tuple[str, ...]:
    """Reinstall the hooks that another tool removed; return their events.

    The recorded interpreter is kept. What git tracks, or would track, is not written. Raises as `install`.
    """
    lost = lost_hooks(repository)
    interpreter = recorded_interpreter(repository.state)
    if not lost or not interpreter:
        return ()
    _install(repository, interpreter, None, typed=False)
    still_lost = lost_hooks(repository)
    return tuple(event for event in lost if event not in still_lost)


def can_repair(repository: Repository) -> bool:
    """Whether `repair_hooks` may write to the folder where git searches for hooks."""
    location = _location(repository, hooks_folder(repository))
    return location.owner == "git" or (location.owner == "work tree" and _is_ignored(location))


def _install(
    repository: Repository, interpreter: str, config_hooks: bool | None, *, typed: bool
) -> Installation:
    if config_hooks is None:
        config_hooks = has_config_hooks(repository.git.text("version"))
    try:
        write_script(repository.state, interpreter)
        # One method at a time: after an update of git every hook would run twice.
        if config_hooks:
            _move_to_config(repository, typed=typed)
            return inspect_hooks(repository, config_hooks=True)
        _remove_config(repository)
        location = _location(repository, hooks_folder(repository))
        return Installation(location.folder, tuple(_install_files(location, typed)), interpreter)
    except OSError as error:
        raise _unwritable(error) from error


# --- hooks in the configuration -------------------------------------------------------------------


def _configure(repository: Repository, event: str) -> None:
    settings = {"command": stub.config_command(event), "event": event}
    for key, value in settings.items():
        if _setting(repository, event, key) != value:
            repository.writing().check("config", "--local", f"hook.patina-{event}.{key}", value)


def _remove_config(repository: Repository, events: tuple[str, ...] = EVENTS) -> None:
    for event in events:
        if _setting(repository, event, "command") is not None:
            repository.writing().check("config", "--local", "--remove-section", f"hook.patina-{event}")


def _setting(repository: Repository, event: str, key: str) -> str | None:
    result = repository.writing().run("config", "--local", "--get", f"hook.patina-{event}.{key}")
    return result.out.decode("utf-8", "surrogateescape").removesuffix("\n") if result.code == 0 else None


def _configured(repository: Repository, event: str, config_hooks: bool) -> Hook | None:
    if _setting(repository, event, "command") is None:
        return None
    if config_hooks:
        return Hook(event, "config")
    return Hook(event, "config", "this git does not run hooks from its configuration", INSTALL, enabled=False)


# --- hooks as files -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Location:
    """A folder for hooks.

    owner: who owns its files; tree: the work tree around it.
    """

    folder: Path
    owner: Literal["git", "work tree", "unowned"]
    tree: Path | None = None

    def find_hook(self, event: str) -> Hook:
        if self.owner == "git":
            return hook_files.find_hook(self.folder, event)
        if self.owner == "work tree":
            return find_line_hook(self.folder, event)
        hook = hook_files.find_hook(self.folder, event)
        if hook.method != "absent":
            return hook
        return missing_line(self.folder / event, event, f"{self.folder} lies outside the repository")

    def is_unsound(self) -> bool:
        return any(hook.note or not hook.enabled for hook in map(self.find_hook, EVENTS))


def _location(repository: Repository, folder: Path) -> _Location:
    real, common = folder.resolve(), repository.common.resolve()
    if real == common / "hooks":
        return _Location(folder, "git")
    trees = [(root, tree.path) for tree in repository.work_trees() if (root := tree.path.resolve()) != common]
    around = max(((root, tree) for root, tree in trees if real.is_relative_to(root)), default=None)
    # A bare repository may contain its work trees: the innermost folder is the owner.
    if real.is_relative_to(common) and (around is None or not around[0].is_relative_to(common)):
        return _Location(folder, "git")
    return _Location(folder, "work tree", around[1]) if around else _Location(folder, "unowned")


def _locations(repository: Repository) -> Iterator[_Location]:
    """Yield all folders that may have hooks; core.hooksPath may have changed since."""
    own = repository.root / _HUSKY
    for folder in dict.fromkeys((hooks_folder(repository), repository.common / "hooks", own / "_", own)):
        yield _location(repository, folder)


def _install_files(location: _Location, typed: bool) -> Iterator[Hook]:
    if location.owner == "work tree" and typed:
        # A release without lines wrote blocks there; with both every event would be noted twice.
        hook_files.remove_hooks(location.folder)
    ignored = location.owner == "work tree" and not typed and _is_ignored(location)
    for event in EVENTS:
        hook = location.find_hook(event)
        if location.owner == "git" or (ignored and hook.method != "line" and not hook.enabled):
            yield hook_files.install_hook(location.folder, event)
        elif location.owner == "work tree" and typed:
            yield add_line(location.folder, event)
        else:
            yield hook


def _move_to_config(repository: Repository, *, typed: bool) -> None:
    """Remove the hook files and configure the events, except those with a committed line."""
    for location in _locations(repository):
        if location.owner == "git" or (location.owner == "work tree" and (typed or _is_ignored(location))):
            hook_files.remove_hooks(location.folder)
    location = _location(repository, hooks_folder(repository))
    for event in EVENTS:
        if location.owner == "work tree" and location.find_hook(event).enabled:
            _remove_config(repository, (event,))
        else:
            _configure(repository, event)


def _is_ignored(location: _Location) -> bool:
    """Whether git ignores the hooks of a folder in a work tree."""
    if location.tree is None:
        return False
    inside = location.folder.resolve().relative_to(location.tree.resolve())
    paths = [str(inside / event) for event in EVENTS]
    git = ChildGit(location.tree, writing=True)
    ignored = git.run("check-ignore", "--no-index", "--", *paths).out.splitlines()
    tracked = git.check("ls-files", "-z", "--", *(f":(top,literal){path}" for path in paths))
    return len(ignored) == len(paths) and not tracked


def _unwritable(error: OSError) -> StateError:
    return StateError(
        f"cannot change the hooks: {error.filename}: {error.strerror}",
        hint="make it writable, then run the command again",
    )
