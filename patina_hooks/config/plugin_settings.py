"""Settings of plugins and runtimes: tables of the user's config.toml that their owner describes and reads.

    [plugins]
    disable = ["patina-diary"]      # plugins, or their distributions, that are not loaded

    [plugins.patina-tickets]
    url = "https://tickets.example"

    [runtime.torch]
    device = "cuda"

A repository's settings have no such tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from patina_hooks.system.user_folders import SETTINGS_FILE, config_folder

if TYPE_CHECKING:
    from patina_hooks.config.schema import KeyPath

Form = TypeVar("Form")


def plugin_settings(name: str, form: type[Form]) -> Form:
    """Read the user's table `[plugins.<name>]`.

    Call it where the settings are needed, not at import: an invalid value then is an error of what needs it.

    Examples:
        >>> from dataclasses import dataclass
        >>> from typing import Annotated, Literal
        >>> from patina_hooks.authoring import Rule, plugin_settings
        >>> @dataclass(frozen=True, slots=True)
        ... class Settings:
        ...     project: str = ""
        ...     states: tuple[str, ...] = ("open",)
        ...     order: Literal["newest", "oldest"] = "newest"
        ...     limit: Annotated[int, Rule(least=1, most=500)] = 50
        >>> plugin_settings("patina-tickets", Settings).limit
        50

    Args:
        name: the plugin's name, as in its entry point.
        form: a frozen dataclass. Its fields are the keys, their types and `Rule`s what is valid, their
            defaults what holds without the key; a field without a default is required. Types are `str`,
            `int`, `float`, `bool`, `Literal`, `tuple[X, ...]`, `Mapping[str, X]`, other such dataclasses,
            and unions of these.

    Raises:
        SettingsError: a key is unknown or missing, a value is invalid, or the file is not TOML. The message
            has the file, the line, the key and what is expected. It never has the value, which may be secret.
    """
    return _read_table("plugins", name, form)


def runtime_settings(name: str, form: type[Form]) -> Form:
    """Read the user's table `[runtime.<name>]`; see `plugin_settings`."""
    return _read_table("runtime", name, form)


def disabled_plugins() -> frozenset[str]:
    """Return the plugins, or distributions of plugins, that the user's settings disable.

    A file that is invalid there disables none; `load_settings` reports it.
    """
    if not (config_folder() / SETTINGS_FILE).is_file():
        return frozenset()  # without the cost of importing the schema
    from patina_hooks.config.schema import SchemaError
    from patina_hooks.config.settings import PLUGINS, read_disabled, read_user_tables
    from patina_hooks.errors import SettingsError

    try:
        table = read_user_tables()[0].get(PLUGINS)
        return frozenset(read_disabled(table)) if isinstance(table, dict) else frozenset()
    except (SchemaError, SettingsError):
        return frozenset()


def _read_table(kind: str, name: str, form: type[Form]) -> Form:
    from patina_hooks.config.locations import explain
    from patina_hooks.config.schema import SchemaError, read_value
    from patina_hooks.config.settings import read_user_tables, user_file
    from patina_hooks.errors import SettingsError

    tables, text = read_user_tables()
    path = (kind, name)
    try:
        return read_value(form, _table_at(tables, path), path)
    except SchemaError as error:
        raise SettingsError(explain(error.without_value(), str(user_file()), text)) from None


def _table_at(tables: dict[str, Any], path: KeyPath) -> object:
    from patina_hooks.config.schema import SchemaError, format_path

    kind, name = path
    outer = tables.get(str(kind), {})
    table = outer.get(name, {}) if isinstance(outer, dict) else None
    if not isinstance(table, dict):
        raise SchemaError(path, f"expected a table [{format_path(path)}]")
    return table
