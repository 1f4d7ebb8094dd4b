"""What a repository is read with: settings and recipe, the same for whoever asks, whatever is checked out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from patina_hooks.config.recipe import RECIPE_FILE, Recipe, parse_recipe
from patina_hooks.config.settings import REPOSITORY_FILE, Settings, load_redaction, settings_of
from patina_hooks.config.shared_files import read_shared_files, remember_shared_files
from patina_hooks.errors import SettingsError
from patina_hooks.specs.plugins import Fault
from patina_hooks.text.redaction import Redaction

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is invalid is a fault: then the default settings hold, and without a recipe words alone answer.

    remarks: which file is not read from the work tree, and why.
    """

    settings: Settings
    recipe: Recipe | None
    faults: tuple[Fault, ...] = ()
    redaction: Redaction = field(default_factory=Redaction)
    remarks: tuple[str, ...] = ()


def configuration(repository: Repository) -> Configuration:
    """Read settings and recipe; never raises `SettingsError`."""
    return _configuration(repository, keep=False)


def refresh_configuration(repository: Repository, *, quick: bool) -> Configuration:
    """Read settings and recipe, and remember them for the day on which another commit is checked out.

    The caller holds the sync lock. quick: see `patina_hooks.config.shared_files`. Raises OSError.
    """
    return _configuration(repository, keep=True, thorough=not quick)


def settings_of_repository(repository: Repository) -> Settings:
    """Read the settings that hold in every work tree. Raises `SettingsError` where they are invalid."""
    return settings_of(read_shared_files(repository)[REPOSITORY_FILE].text or "")


def _configuration(repository: Repository, *, keep: bool, thorough: bool = False) -> Configuration:
    settings, recipe, faults = Settings(), None, []
    try:
        files = read_shared_files(repository, thorough=thorough)
    except SettingsError as error:
        return Configuration(settings, None, (Fault("patina-hooks", "recipe", str(error)),), user_redaction())
    try:
        settings = settings_of(files[REPOSITORY_FILE].text or "")
    except SettingsError as error:
        faults.append(Fault("patina-hooks", "settings", str(error)))
    try:
        recipe = parse_recipe(files[RECIPE_FILE].text or "", RECIPE_FILE)
    except SettingsError as error:
        faults.append(Fault("patina-hooks", "recipe", str(error)))
    if keep and not faults:
        remember_shared_files(repository, files)
    remarks = tuple(f"{path}: {file.remark}" for path, file in files.items() if file.remark)
    return Configuration(settings, recipe, tuple(faults), user_redaction(), remarks)


def user_redaction() -> Redaction:
    """Read the user's rules; an invalid file leaves the built-in ones in force."""
    try:
        return load_redaction()
    except SettingsError:
        return Redaction()
