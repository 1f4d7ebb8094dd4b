"""What a repository is read with: settings and recipe of its main work tree, the same for whoever asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from patina_hooks.errors import SettingsError
from patina_hooks.recipe import Recipe, load_recipe
from patina_hooks.redaction import Redaction
from patina_hooks.settings import Settings, load_redaction, load_settings
from patina_hooks.types import Fault

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is invalid is a fault: then the default settings hold, and without a recipe words alone answer."""

    settings: Settings
    recipe: Recipe | None
    faults: tuple[Fault, ...] = ()
    redaction: Redaction = field(default_factory=Redaction)


def configuration(repository: Repository) -> Configuration:
    """Settings and recipe, read anew. Never raises `SettingsError`."""
    root = repository.main_root()
    settings, recipe, faults = Settings(), None, []
    try:
        settings = load_settings(root)
    except SettingsError as error:
        faults.append(Fault("patina-hooks", "settings", str(error)))
    try:
        recipe = load_recipe(root)
    except SettingsError as error:
        faults.append(Fault("patina-hooks", "recipe", str(error)))
    return Configuration(settings, recipe, tuple(faults), user_redaction())


def user_redaction() -> Redaction:
    """Read the user's rules; an invalid file leaves the built-in ones in force."""
    try:
        return load_redaction()
    except SettingsError:
        return Redaction()
