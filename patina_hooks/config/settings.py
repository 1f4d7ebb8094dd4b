"""Settings of the user, for every repository, and settings of a repository.

User settings are TOML in the platform's config folder (`patina/config.toml`). Repository settings are
`.patina/config.toml`: inert data, a subset of the keys, so that a clone can name neither code nor a model nor
a path outside itself. A key that both may have is taken from the repository.

    [session]
    adapter = "claude"            # both
    branch_policy = "off"         # both: off | require (refuse to start on the default branch)
    folder = "layer/sessions"     # both
    idle_hours = 72               # both: end a session after so long without work; 0: never

    [docs]
    enabled = true                # both: read prose: README, docs/, ADRs, changelogs
    include = ["*.md", "*.rst"]   # both: patterns as in .gitignore, instead of `PROSE_FILES`
    exclude = ["docs/old/"]       # both: patterns to exclude, in addition to `OTHER_TEXTS`
    max_files = 5000              # both: the most files to read, those near the root first

    [worker]
    defer_seconds = 600           # user: how long to wait for a rebase to end

    [redact]
    builtin = true                # user: redact the secrets that `patina_hooks.text.redaction` recognises
    patterns = ["ACME-[0-9]{12}"] # user: more that is replaced before anything is stored or sent

    [plugins]
    disable = ["patina-diary"]    # user: plugins that are not loaded, by name or distribution

    [plugins.patina-tickets]
    project = "ACME"              # user: each plugin has its own keys, see `config.plugin_settings`

    [runtime.torch]
    device = "cuda"               # user: each runtime has its own keys
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal, TypedDict

from patina_hooks.config.docs import MOST_FILES, PROSE_FILES
from patina_hooks.config.locations import explain, explain_syntax
from patina_hooks.config.parsing import parse_toml
from patina_hooks.config.schema import (
    Rule,
    SchemaError,
    read_fields,
    read_value,
    unknown_key_error,
)
from patina_hooks.errors import SettingsError
from patina_hooks.system.files import plain_file, read_regular
from patina_hooks.system.user_folders import SETTINGS_FILE, config_folder
from patina_hooks.text.gitignore import parse_pattern
from patina_hooks.text.redaction import Redaction

REPOSITORY_FILE = ".patina/config.toml"
PLUGINS: Final = "plugins"
RUNTIME: Final = "runtime"
_DISABLE: Final = "disable"
_SIZE_CAP = 64 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """The merged settings of user and repository."""

    adapter: str = "claude"
    branch_policy: str = "off"
    sessions_folder: str = "layer/sessions"
    idle_hours: int = 72
    docs_enabled: bool = True
    docs_include: tuple[str, ...] = PROSE_FILES
    docs_exclude: tuple[str, ...] = ()
    docs_max_files: int = MOST_FILES
    defer_seconds: int = 600
    redact: tuple[str, ...] = ()
    redact_builtin: bool = True


def load_settings(root: Path) -> Settings:
    """Load the settings of the work tree at `root`.

    Raises `SettingsError`, with file, line, key and fix.
    """
    own = plain_file(root, REPOSITORY_FILE)
    return merge_settings(_read(own) if own else "")


def merge_settings(text: str) -> Settings:
    """Merge the user's settings and the text of a repository's.

    Raises as `load_settings`.
    """
    settings = Settings()
    user = user_file()
    if user.is_file():
        settings = _merge(settings, _read(user), str(user), _USER_TABLES)
    if len(text) > _SIZE_CAP:
        raise SettingsError(
            f"{REPOSITORY_FILE}: larger than {_SIZE_CAP} bytes", hint="settings are a few lines"
        )
    return _merge(settings, text, REPOSITORY_FILE, _REPOSITORY_TABLES)


def load_redaction() -> Redaction:
    """Load the user's `[redact]` table; a repository's settings do not affect it.

    Raises `SettingsError` if the user's file cannot be read. `load_settings` reports an invalid key.
    """
    table = read_user_tables()[0].get("redact", {})
    valid: dict[str, Any] = {}
    for name in table if isinstance(table, dict) else ():
        with suppress(SchemaError):
            valid |= read_fields(_RedactTable, {name: table[name]})
    return Redaction(**valid)


def parse_settings(text: str, source: str) -> Settings:
    """Parse repository settings; `source` names the file in errors."""
    return _merge(Settings(), text, source, _REPOSITORY_TABLES)


def user_file() -> Path:
    """Return the path of the user's settings, whether or not they exist."""
    return config_folder() / SETTINGS_FILE


def read_user_tables() -> tuple[dict[str, Any], str]:
    """Read the tables and the text of the user's settings, empty without a file.

    Raises:
        SettingsError: the file cannot be read, or is not TOML.
    """
    path = user_file()
    text = _read(path) if path.is_file() else ""
    return _tables(text, str(path)), text


def read_disabled(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the plugins that the user's table `[plugins]` disables. Raises `SchemaError`."""
    form = tuple[str, ...]
    return read_value(form, table.get(_DISABLE, []), (PLUGINS, _DISABLE))


def _check_plugins(table: object) -> None:
    """Check the form of the user's table `[plugins]`; each plugin checks its own table."""
    if not isinstance(table, dict):
        raise SchemaError((PLUGINS,), f"expected a table [{PLUGINS}]")
    for name, value in table.items():
        if name != _DISABLE and not isinstance(value, dict):
            expected = f"{_DISABLE!r}, or a table [{PLUGINS}.NAME] of a plugin"
            raise SchemaError((PLUGINS, name), f"unknown key {PLUGINS}.{name}; expected {expected}")
    read_disabled(table)


def _read(path: Path) -> str:
    try:
        data = read_regular(path.resolve(), _SIZE_CAP + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > _SIZE_CAP:
        raise SettingsError(f"{path}: larger than {_SIZE_CAP} bytes", hint="settings are a few lines")
    return data.decode("utf-8", "replace")


def _tables(text: str, source: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        raise SettingsError(explain_syntax(error, source)) from error


def _merge(settings: Settings, text: str, source: str, tables: Mapping[str, type]) -> Settings:
    values: dict[str, Any] = {}
    try:
        for name, table in _tables(text, source).items():
            if name in tables:
                fields = read_fields(tables[name], table, (name,))
                values |= {_ATTRIBUTES.get((name, key), key): value for key, value in fields.items()}
            elif name == PLUGINS and tables is _USER_TABLES:
                _check_plugins(table)
            elif not _is_ignored(name, tables):
                raise unknown_key_error((name,), tables)
    except SchemaError as error:
        raise SettingsError(explain(error, source, text)) from error
    if folder := values.get("sessions_folder"):
        values["sessions_folder"] = str(PurePosixPath(folder))
    return replace(settings, **values)


def _is_ignored(name: str, tables: Mapping[str, type]) -> bool:
    """Return whether a table is ignored: a runtime's, or another tool's in the same file."""
    if tables is _USER_TABLES:
        return name == RUNTIME  # validated when the runtime is opened
    return name not in {RUNTIME, PLUGINS, *_USER_TABLES}


# --- forms --- ----------------------------------------------------------------------


def _check_folder(value: str) -> None:
    # Also for git: it reads this name from a line of its standard input.
    parts = PurePosixPath(value).parts
    odd = not parts or parts[0] == "/" or ".." in parts or any(p.lower().startswith(".git") for p in parts)
    if odd or not value.isprintable():
        raise ValueError


def _check_patterns(value: tuple[str, ...]) -> None:
    for item in value:
        try:
            matches_empty = re.search(item, "")
        except re.error as error:
            raise ValueError(f"{item!r} is not a regular expression: {error}") from error
        if matches_empty:
            raise ValueError(f"{item!r} matches the empty text, which is everywhere")


def _check_paths(value: tuple[str, ...]) -> None:
    for item in value:
        if not item.isprintable() or item.startswith("#") or not parse_pattern(item):
            raise ValueError(f"{item!r} is not a pattern of paths")


_PATHS: Final = Rule(
    "a list of patterns as in .gitignore", example='["*.md", "docs/"]', longest=1_000, check=_check_paths
)


class _SessionTable(TypedDict, total=False):
    adapter: Annotated[str, Rule("lower-case letters, digits, '-' or '_'", pattern="[a-z0-9_-]{1,32}")]
    branch_policy: Annotated[Literal["off", "require"], Rule('"off" or "require"')]
    folder: Annotated[
        str, Rule('a folder inside the repository, such as "layer/sessions"', check=_check_folder)
    ]
    idle_hours: Annotated[int, Rule("whole hours from 0 (never) to 8760", least=0, most=8_760)]


class _DocsTable(TypedDict, total=False):
    enabled: bool
    include: Annotated[tuple[str, ...], _PATHS]
    exclude: Annotated[tuple[str, ...], _PATHS]
    max_files: Annotated[int, Rule("whole files from 1 to 100000", least=1, most=100_000)]


class _WorkerTable(TypedDict, total=False):
    defer_seconds: Annotated[int, Rule("whole seconds from 0 to 86400", least=0, most=86_400)]


class _RedactTable(TypedDict, total=False):
    builtin: bool
    patterns: Annotated[tuple[str, ...], Rule("a list of regular expressions", check=_check_patterns)]


_REPOSITORY_TABLES: Final[Mapping[str, type]] = {"session": _SessionTable, "docs": _DocsTable}
_USER_TABLES: Final[Mapping[str, type]] = {
    "session": _SessionTable,
    "docs": _DocsTable,
    "worker": _WorkerTable,
    "redact": _RedactTable,
}
_ATTRIBUTES: Final = {
    ("session", "folder"): "sessions_folder",
    ("docs", "enabled"): "docs_enabled",
    ("docs", "include"): "docs_include",
    ("docs", "exclude"): "docs_exclude",
    ("docs", "max_files"): "docs_max_files",
    ("redact", "builtin"): "redact_builtin",
    ("redact", "patterns"): "redact",
}
"""Settings whose attributes are not named like their keys."""
