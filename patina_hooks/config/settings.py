"""Settings: what the user says of every repository, and what a repository may say of itself.

User settings are TOML at the platform's config place (`patina/config.toml`). Repository settings are
`.patina/config.toml`: inert data, a subset of the keys, so that a clone can neither name code nor a
model nor a path outside itself. The repository's word goes before the user's where both may speak.

    [session]
    adapter = "claude"            # both
    branch_policy = "off"         # both: off | require (refuse to start on the default branch)
    folder = "layer/sessions"     # both
    idle_hours = 72               # both: end a session after so long without work; 0: never

    [docs]
    enabled = true                # both: read prose: README, docs/, ADRs, changelogs
    include = ["*.md", "*.rst"]   # both: patterns as in .gitignore, instead of `PROSE_FILES`
    exclude = ["docs/old/"]       # both: patterns of what is not read, in addition to `OTHER_TEXTS`
    max_files = 5000              # both: how many files are read at most, those near the root first

    [worker]
    defer_seconds = 600           # user: how long to wait for a rebase to end

    [redact]
    builtin = true                # user: redact the secrets that `patina_hooks.text.redaction` recognises
    patterns = ["ACME-[0-9]{12}"] # user: more that is replaced before anything is stored or sent

    [runtime.torch]
    device = "cuda"               # user: each runtime names its own, see `runtime_settings`
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal, TypedDict, TypeVar

from patina_hooks.config.docs import MOST_FILES, PROSE_FILES
from patina_hooks.config.locations import explain, explain_syntax
from patina_hooks.config.parsing import parse_toml
from patina_hooks.config.schema import (
    KeyPath,
    Rule,
    SchemaError,
    dotted,
    name_of,
    read_fields,
    read_list,
    read_value,
    unknown_key,
)
from patina_hooks.errors import SettingsError
from patina_hooks.system.files import plain_file, read_regular
from patina_hooks.system.user_folders import config_folder
from patina_hooks.text.gitignore import parse_pattern
from patina_hooks.text.redaction import Redaction

REPOSITORY_FILE = ".patina/config.toml"
_SIZE_CAP = 64 * 1024
_RUNTIME = "runtime"

Value = TypeVar("Value", bound="str | int | float | bool | list[str]")


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds after user and repository have spoken."""

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
    """Settings for the work tree at `root`. Raises `SettingsError` that names file, line, key and fix."""
    own = plain_file(root, REPOSITORY_FILE)
    return settings_of(_read(own) if own else "")


def settings_of(text: str) -> Settings:
    """Settings of the user and of a repository whose file has this text. Raises as `load_settings`."""
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
    """Read the user's `[redact]` table; a repository's settings, valid or not, have no say in it.

    Raises `SettingsError` where the user's file cannot be read. An invalid key is `load_settings`' to report.
    """
    path = user_file()
    table = _tables(_read(path), str(path)).get("redact", {}) if path.is_file() else {}
    valid: dict[str, Any] = {}
    for name in table if isinstance(table, dict) else ():
        with suppress(SchemaError):
            valid |= read_fields(_RedactTable, {name: table[name]})
    return Redaction(**valid)


def runtime_settings(runtime: str, usual: Mapping[str, Value]) -> dict[str, Value]:
    """The user's table `[runtime.<runtime>]` over `usual`, which names every key with its usual value.

    Raises `SettingsError` for another key, a value of another type, or a file that is no TOML.
    """
    path = user_file()
    text = _read(path) if path.is_file() else ""
    tables = _tables(text, str(path)).get(_RUNTIME, {})
    table = tables.get(runtime, {}) if isinstance(tables, dict) else None
    place = (_RUNTIME, runtime)
    try:
        if not isinstance(table, dict):
            raise SchemaError(place, f"expected a table [{dotted(place)}]")  # noqa: TRY301
        stated = {name: _runtime_value((*place, name), value, usual) for name, value in table.items()}
    except SchemaError as error:
        raise SettingsError(explain(error, str(path), text)) from error
    return {**usual, **stated}


def parse_settings(text: str, where: str) -> Settings:
    """Repository settings from text; `where` names the text in errors."""
    return _merge(Settings(), text, where, _REPOSITORY_TABLES)


def user_file() -> Path:
    """Where the user's settings are, whether or not they exist."""
    return config_folder() / "config.toml"


def _read(path: Path) -> str:
    try:
        data = read_regular(path.resolve(), _SIZE_CAP + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _SIZE_CAP:
        raise SettingsError(f"{path}: larger than {_SIZE_CAP} bytes", hint="settings are a few lines")
    return data.decode("utf-8", "replace")


def _tables(text: str, where: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        raise SettingsError(explain_syntax(error, where)) from error


def _merge(settings: Settings, text: str, where: str, known: Mapping[str, type]) -> Settings:
    values: dict[str, Any] = {}
    try:
        for name, table in _tables(text, where).items():
            if name in known:
                stated = read_fields(known[name], table, (name,))
                values |= {_ATTRIBUTES.get((name, key), key): value for key, value in stated.items()}
            elif not _is_elsewhere(name, known):
                raise unknown_key((name,), known)
    except SchemaError as error:
        raise SettingsError(explain(error, where, text)) from error
    if folder := values.get("sessions_folder"):
        values["sessions_folder"] = str(PurePosixPath(folder))
    return replace(settings, **values)


def _is_elsewhere(name: str, known: Mapping[str, type]) -> bool:
    """Return whether a table is not read here: a runtime's, or one of another tool in the same file."""
    if known is _USER_TABLES:
        return name == _RUNTIME  # what a runtime knows, it says when it is opened
    return name not in {_RUNTIME, *_USER_TABLES}


def _runtime_value(path: KeyPath, value: object, usual: Mapping[str, Value]) -> Any:  # noqa: ANN401
    name = str(path[-1])
    if name not in usual:
        raise unknown_key(path, sorted(usual))
    try:
        if isinstance(usual[name], list):
            return list(read_list(str, value))
        return read_value(type(usual[name]), value, path)
    except SchemaError:
        # Not the value: it may be a key that stands in the wrong place.
        kind = name_of(type(usual[name]))
        raise SchemaError(path, f"{dotted(path)}: expected {kind}, such as {usual[name]!r}") from None


# --- what may stand where -------------------------------------------------------------------------


def _check_folder(value: str) -> None:
    # Not only for the eye: git is asked for this name on a line of its own.
    parts = PurePosixPath(value).parts
    odd = not parts or parts[0] == "/" or ".." in parts or any(p.lower().startswith(".git") for p in parts)
    if odd or not value.isprintable():
        raise ValueError


def _check_patterns(value: tuple[str, ...]) -> None:
    for item in value:
        try:
            matches_nothing = re.search(item, "")
        except re.error as error:
            raise ValueError(f"{item!r} is no regular expression: {error}") from error
        if matches_nothing:
            raise ValueError(f"{item!r} matches the empty text, which is everywhere")


def _check_paths(value: tuple[str, ...]) -> None:
    for item in value:
        if not item.isprintable() or item.startswith("#") or not parse_pattern(item):
            raise ValueError(f"{item!r} names no path")


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
"""Settings whose attributes have other names than their keys."""
