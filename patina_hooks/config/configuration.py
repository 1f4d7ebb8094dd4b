"""Load settings and recipe of a repository, independent of what is checked out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from patina_hooks.config.settings import REPOSITORY_FILE, Settings, load_redaction, merge_settings
from patina_hooks.config.shared_files import (
    RECIPE_FILE,
    read_shared_files,
    remember_shared_files,
    remembered_text,
)
from patina_hooks.errors import SettingsError
from patina_hooks.specs.plugins import RecordedError
from patina_hooks.text.redaction import Redaction

if TYPE_CHECKING:
    from patina_hooks.config.recipe import Recipe
    from patina_hooks.git.repository import Repository


@dataclass(frozen=True)
class Configuration:
    """Settings and recipe.

    Invalid settings are replaced by the defaults, and are a fault.

    recipe_text: None if it is invalid; then only the lexical search answers.
    remarks: files that are not read from the work tree, each with the reason.
    is_recipe_known: whether an earlier sync read the same recipe.
    """

    settings: Settings
    recipe_text: str | None
    faults: tuple[RecordedError, ...] = ()
    redaction: Redaction = field(default_factory=Redaction)
    remarks: tuple[str, ...] = ()
    is_recipe_known: bool = False

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe, None if it is invalid.

        Parsed on first use: a YAML parser takes 17 ms to import.
        """
        from patina_hooks.config.recipe import parse_recipe

        if self.recipe_text is None:
            return None
        try:
            return parse_recipe(self.recipe_text, RECIPE_FILE)
        except SettingsError:  # valid for an earlier release
            return None


def load_configuration(repository: Repository) -> Configuration:
    """Load settings and recipe; never raises `SettingsError`."""
    return _configuration(repository, keep=False)


def refresh_configuration(repository: Repository, *, quick: bool, trusting: bool = False) -> Configuration:
    """Load settings and recipe, and store them for a later checkout of another commit.

    The caller holds the sync lock. Raises OSError.

    Args:
        repository: whose settings and recipe are loaded.
        quick: see `patina_hooks.config.shared_files`.
        trusting: do not parse a recipe again that was valid at the last sync.
    """
    return _configuration(repository, keep=True, thorough=not quick, trusting=trusting)


def load_repository_settings(repository: Repository) -> Settings:
    """Load the settings that apply in every work tree. Raises `SettingsError`."""
    return merge_settings(read_shared_files(repository)[REPOSITORY_FILE].text or "")


def _configuration(
    repository: Repository, *, keep: bool, thorough: bool = False, trusting: bool = False
) -> Configuration:
    settings, faults = Settings(), []
    recipe: str | None = None
    is_known = False
    try:
        files = read_shared_files(repository, thorough=thorough)
    except SettingsError as error:
        return Configuration(
            settings, None, (RecordedError("patina-hooks", "recipe", str(error)),), load_user_redaction()
        )
    try:
        settings = merge_settings(files[REPOSITORY_FILE].text or "")
    except SettingsError as error:
        faults.append(RecordedError("patina-hooks", "settings", str(error)))
    try:
        recipe = files[RECIPE_FILE].text or ""
        is_known = recipe == (remembered_text(repository, RECIPE_FILE) or "")
        if not (trusting and is_known):
            _check_recipe(recipe)
    except SettingsError as error:
        recipe = None
        faults.append(RecordedError("patina-hooks", "recipe", str(error)))
    if keep and not faults:
        remember_shared_files(repository, files)
    remarks = tuple(f"{path}: {file.remark}" for path, file in files.items() if file.remark)
    return Configuration(settings, recipe, tuple(faults), load_user_redaction(), remarks, is_known)


def _check_recipe(text: str) -> None:
    """Raise `SettingsError` if a recipe is invalid."""
    if text:
        from patina_hooks.config.recipe import parse_recipe

        parse_recipe(text, RECIPE_FILE)


def load_user_redaction() -> Redaction:
    """Load the user's rules of redaction, the built-in ones if the file is invalid."""
    try:
        return load_redaction()
    except SettingsError:
        return Redaction()
