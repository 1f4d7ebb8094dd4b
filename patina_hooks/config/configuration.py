"""What a repository is read with: settings and recipe, the same for whoever asks, whatever is checked out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from patina_hooks.config.settings import REPOSITORY_FILE, Settings, load_redaction, settings_of
from patina_hooks.config.shared_files import (
    RECIPE_FILE,
    read_shared_files,
    remember_shared_files,
    remembered_text,
)
from patina_hooks.errors import SettingsError
from patina_hooks.specs.plugins import Fault
from patina_hooks.text.redaction import Redaction

if TYPE_CHECKING:
    from patina_hooks.config.recipe import Recipe
    from patina_hooks.git.repository import Repository


@dataclass(frozen=True)
class Configuration:
    """What is invalid is a fault: then the default settings hold, and without a recipe words alone answer.

    recipe_text: None where it is invalid. remarks: which file is not read from the work tree, and why.
    is_recipe_known: whether an earlier sync read the same recipe.
    """

    settings: Settings
    recipe_text: str | None
    faults: tuple[Fault, ...] = ()
    redaction: Redaction = field(default_factory=Redaction)
    remarks: tuple[str, ...] = ()
    is_recipe_known: bool = False

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe, None where it is invalid. Parsed when it is asked for: a YAML parser takes 17 ms."""
        from patina_hooks.config.recipe import parse_recipe

        if self.recipe_text is None:
            return None
        try:
            return parse_recipe(self.recipe_text, RECIPE_FILE)
        except SettingsError:  # it was valid for an earlier release
            return None


def configuration(repository: Repository) -> Configuration:
    """Read settings and recipe; never raises `SettingsError`."""
    return _configuration(repository, keep=False)


def refresh_configuration(repository: Repository, *, quick: bool, trusting: bool = False) -> Configuration:
    """Read settings and recipe, and remember them for the day on which another commit is checked out.

    The caller holds the sync lock. quick: see `patina_hooks.config.shared_files`. trusting: do not parse a
    recipe again that was valid at the last sync. Raises OSError.
    """
    return _configuration(repository, keep=True, thorough=not quick, trusting=trusting)


def settings_of_repository(repository: Repository) -> Settings:
    """Read the settings that hold in every work tree. Raises `SettingsError` where they are invalid."""
    return settings_of(read_shared_files(repository)[REPOSITORY_FILE].text or "")


def _configuration(
    repository: Repository, *, keep: bool, thorough: bool = False, trusting: bool = False
) -> Configuration:
    settings, faults = Settings(), []
    recipe: str | None = None
    is_known = False
    try:
        files = read_shared_files(repository, thorough=thorough)
    except SettingsError as error:
        return Configuration(settings, None, (Fault("patina-hooks", "recipe", str(error)),), user_redaction())
    try:
        settings = settings_of(files[REPOSITORY_FILE].text or "")
    except SettingsError as error:
        faults.append(Fault("patina-hooks", "settings", str(error)))
    try:
        recipe = files[RECIPE_FILE].text or ""
        is_known = recipe == (remembered_text(repository, RECIPE_FILE) or "")
        if not (trusting and is_known):
            _check_recipe(recipe)
    except SettingsError as error:
        recipe = None
        faults.append(Fault("patina-hooks", "recipe", str(error)))
    if keep and not faults:
        remember_shared_files(repository, files)
    remarks = tuple(f"{path}: {file.remark}" for path, file in files.items() if file.remark)
    return Configuration(settings, recipe, tuple(faults), user_redaction(), remarks, is_known)


def _check_recipe(text: str) -> None:
    """Raise `SettingsError` for the text of a recipe that is invalid."""
    if text:
        from patina_hooks.config.recipe import parse_recipe

        parse_recipe(text, RECIPE_FILE)


def user_redaction() -> Redaction:
    """Read the user's rules; an invalid file leaves the built-in ones in force."""
    try:
        return load_redaction()
    except SettingsError:
        return Redaction()
