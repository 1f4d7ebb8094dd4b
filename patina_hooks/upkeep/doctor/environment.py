"""Check git, configuration, hooks and plugins."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from patina_hooks.config.configuration import load_configuration
from patina_hooks.git.environment import OLDEST_GIT, oldest_git
from patina_hooks.git.repository import Repository
from patina_hooks.plugins.manager import Plugins
from patina_hooks.upkeep.doctor.finding import Finding
from patina_hooks.upkeep.doctor.hook_environment import compare_environments


def check_git(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check the version of git and the state of the clone."""
    version = repository.git.text("version")
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST_GIT:
        yield Finding("git", "fault", version, f"patina needs git {oldest_git()}", "update git")
    else:
        yield Finding("git", "ok", version)
    if repository.shallow():
        reason = "older commits are not recorded"
        yield Finding("git", "warning", "this clone is shallow", reason, "git fetch --unshallow")
    for folder in repository.operations():
        reason, command = "the worker waits for its end", find_operation_command(folder)
        fix = f"{command} --continue, or: {command} --abort"
        yield Finding("git", "warning", "a rebase, am or cherry-pick is in progress", reason, fix)


def find_operation_command(folder: Path) -> str:
    """Return the git command whose unfinished work is in this folder of a git directory."""
    name = "rebase"
    if folder.name == "sequencer":
        name = "revert" if (folder.parent / "REVERT_HEAD").exists() else "cherry-pick"
    elif (folder / "applying").exists():
        name = "am"
    try:
        tree = Path(os.fsdecode((folder.parent / "gitdir").read_bytes()).strip()).parent
    except OSError:  # of the main work tree, where commands are typed
        return f"git {name}"
    return f"git -C {shlex.quote(str(tree))} {name}"


def check_sqlite(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check that the SQLite of this Python can index words."""
    import sqlite3

    from patina_hooks.store.database.word_index import OTHER_PYTHON, has_word_index

    version = f"SQLite {sqlite3.sqlite_version}"
    if has_word_index():
        yield Finding("sqlite", "ok", f"{version} with FTS5")
    else:
        yield Finding(
            "sqlite", "fault", f"{version} of this Python has no FTS5", "nothing is indexed", OTHER_PYTHON
        )


def check_configuration(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check settings and recipe."""
    configuration = load_configuration(repository)
    for fault in configuration.faults:
        location = fault.error.partition(": ")[0]
        yield Finding(fault.where, "fault", fault.error, fix=f"edit {location}")
    if all(fault.where != "settings" for fault in configuration.faults):
        yield Finding("settings", "ok", f"session documents in {configuration.settings.sessions_folder}")
    for remark in configuration.remarks:
        yield Finding("configuration", "ok", remark)
    if configuration.recipe is not None:
        recipe = configuration.recipe
        yield Finding("recipe", "ok", f"model {recipe.model}, runtime {recipe.runtime}, index {recipe.index}")


def check_hooks(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check that the hooks are installed and can run."""
    from patina_hooks.git.hooks import inspect_hooks

    installation = inspect_hooks(repository)
    unsound = [hook for hook in installation.hooks if hook.note or not hook.enabled]
    if not unsound:
        yield Finding("hooks", "ok", f"{len(installation.hooks)} installed in {installation.folder}")
    for hook in unsound:
        reason = hook.note or "commits are recorded only when a patina command runs"
        yield Finding("hooks", "warning", f"{hook.event}: {hook.method}", reason, hook.remedy)
    interpreter = installation.interpreter
    if interpreter and not os.access(interpreter, os.X_OK):
        reason = "this interpreter cannot be executed"
        yield Finding("hooks", "fault", f"the hooks run {interpreter}", reason, "patina install")
    elif interpreter:
        yield from compare_environments(interpreter, plugins, load_configuration(repository).recipe)


def check_plugins(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """List loaded plugins, changed and absent ones, and errors."""
    from patina_hooks.models.provenance import changed_releases, kept_providers
    from patina_hooks.store.log import LOG_FILE, Log

    infos = plugins.info()
    names = ", ".join(f"{info.name} {info.version}".strip() for info in infos)
    yield Finding("plugins", "ok", f"loaded: {names}")
    if (repository.state / LOG_FILE).is_file():
        with Log(repository.state, create=False) as log:
            for provider, maker, installed in changed_releases(log, plugins):
                message = f"{provider}: made by {maker}, installed is {installed}"
                reason = "its version did not change, but its results may have"
                yield Finding("plugins", "warning", message, reason, "patina sync --full")
            for absent in kept_providers(log, plugins):
                maker = f", made by {absent.made_by}," if absent.made_by else ""
                message = f"results of {absent.kind} {absent.name}{maker} are kept: it is not installed here"
                reason = "another environment may make them; here they are not updated"
                yield Finding("plugins", "warning", message, reason, "patina gc")
    for fault in plugins.faults:
        fix = fault.hint or f"PATINA_DISABLE_PLUGINS={fault.plugin} turns it off"
        yield Finding("plugins", "fault", f"{fault.plugin}: {fault.where}", fault.error, fix)
