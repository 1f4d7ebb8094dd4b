"""Settings: what the user says of every repository, and what a repository may say of itself.

User settings are TOML at the platform's config place (`patina/config.toml`). Repository settings are
`.patina/config.toml`: inert data, a subset of the keys, so that a clone can neither name code nor a
model nor a path outside itself. The repository's word goes before the user's where both may speak.

    [session]
    adapter = "claude"            # both
    branch_policy = "off"         # both: off | require (refuse to start on the default branch)
    folder = "layer/sessions"     # both
    idle_hours = 72               # both: end a session after so long without work; 0: never

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from patina_hooks.config.parsing import parse_toml
from patina_hooks.errors import SettingsError
from patina_hooks.system.files import plain_file, read_regular
from patina_hooks.system.user_folders import config_folder
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
        settings = _merge(settings, _read(user), str(user), _KEYS)
    if len(text) > _SIZE_CAP:
        raise SettingsError(
            f"{REPOSITORY_FILE}: larger than {_SIZE_CAP} bytes", hint="settings are a few lines"
        )
    return _merge(settings, text, REPOSITORY_FILE, _REPOSITORY_KEYS)


def load_redaction() -> Redaction:
    """Read the user's `[redact]` table; a repository's settings, valid or not, have no say in it.

    Raises `SettingsError` where the user's file cannot be read. An invalid key is `load_settings`' to report.
    """
    path = user_file()
    table = _tables(_read(path), str(path)).get("redact", {}) if path.is_file() else {}
    given = table if isinstance(table, dict) else {}
    valid = {name for name in given if (key := _KEYS.get(("redact", name))) and not key.check(given[name])}
    return Redaction(
        builtin=given["builtin"] if "builtin" in valid else True,
        patterns=tuple(given["patterns"]) if "patterns" in valid else (),
    )


def runtime_settings(runtime: str, usual: Mapping[str, Value]) -> dict[str, Value]:
    """The user's table `[runtime.<runtime>]` over `usual`, which names every key with its usual value.

    Raises `SettingsError` for another key, a value of another type, or a file that is no TOML.
    """
    path = user_file()
    text = _read(path) if path.is_file() else ""
    tables = _tables(text, str(path)).get(_RUNTIME, {})
    table = tables.get(runtime, {}) if isinstance(tables, dict) else None
    if not isinstance(table, dict):
        raise SettingsError(f"{path}:{_line_of(text, _RUNTIME)}: expected a table [{_RUNTIME}.{runtime}]")
    for name, value in table.items():
        where, key = f"{path}:{_line_of(text, name)}", f"{_RUNTIME}.{runtime}.{name}"
        if name not in usual:
            raise SettingsError(f"{where}: unknown key {key!r}; known here: {', '.join(sorted(usual))}")
        if type(value) is not type(usual[name]):
            # Not the value: it may be a key that stands in the wrong place.
            raise SettingsError(f"{where}: {key} is no {type(usual[name]).__name__}, such as {usual[name]!r}")
    return {**usual, **table}


def parse_settings(text: str, where: str) -> Settings:
    """Repository settings from text; `where` names the text in errors."""
    return _merge(Settings(), text, where, _REPOSITORY_KEYS)


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
        line = re.search(r"line (\d+)", str(error))
        raise SettingsError(f"{where}:{line[1] if line else 1}: {error}") from error


def _merge(settings: Settings, text: str, where: str, known: dict[tuple[str, str], _Key]) -> Settings:
    values: dict[str, object] = {}
    for table, keys in _tables(text, where).items():
        if table == _RUNTIME and known is _KEYS:
            continue  # what a runtime knows, it says when it is opened
        if not isinstance(keys, dict) or not any(table == name for name, _ in known):
            if where == REPOSITORY_FILE and table not in {_RUNTIME, *(name for name, _ in _KEYS)}:
                continue  # other tools of the ancestor keep their tables in the same file
            raise _unknown(text, where, table, known)
        for name, value in keys.items():
            key = known.get((table, name))
            if key is None:
                raise _unknown(text, where, f"{table}.{name}", known)
            if problem := key.check(value):
                place = f"{where}:{_line_of(text, name)}"
                raise SettingsError(f"{place}: {table}.{name} is {value!r}: {problem}")
            values[key.attribute] = key.kept(value)
    return replace(settings, **values)  # type: ignore[arg-type]


def _unknown(text: str, where: str, name: str, known: dict[tuple[str, str], _Key]) -> SettingsError:
    names = ", ".join(sorted(".".join(key) for key in known))
    line = _line_of(text, name.rpartition(".")[2])
    return SettingsError(f"{where}:{line}: unknown key {name!r}; known here: {names}")


def _line_of(text: str, key: str) -> int:
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}\b")
    return next((n for n, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


@dataclass(frozen=True, slots=True)
class _Key:
    """One setting. check: says what is wrong with a value, "" where nothing is; kept: what is stored."""

    attribute: str
    check: Callable[[object], str]
    kept: Callable[[Any], object] = field(default=lambda value: value)


def _adapter(value: object) -> str:
    fits = isinstance(value, str) and re.fullmatch(r"[a-z0-9_-]{1,32}", value)
    return "" if fits else "expected lower-case letters, digits, '-' or '_'"


def _policy(value: object) -> str:
    return "" if value in ("off", "require") else 'expected "off" or "require"'


def _folder(value: object) -> str:
    # Not only for the eye: git is asked for this name on a line of its own.
    if isinstance(value, str) and value.isprintable() and (parts := PurePosixPath(value).parts):
        odd = parts[0] == "/" or ".." in parts or any(part.lower().startswith(".git") for part in parts)
        if not odd:
            return ""
    return 'expected a folder inside the repository, such as "layer/sessions"'


def _seconds(value: object) -> str:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 86_400
    return "" if fits else "expected whole seconds from 0 to 86400"


def _switch(value: object) -> str:
    return "" if isinstance(value, bool) else "expected true or false"


def _hours(value: object) -> str:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 8_760
    return "" if fits else "expected whole hours from 0 (never) to 8760"


def _patterns(value: object) -> str:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return "expected a list of regular expressions"
    for item in value:
        try:
            if re.search(item, ""):
                return f"{item!r} matches the empty text, which is everywhere"
        except re.error as error:
            return f"{item!r} is no regular expression: {error}"
    return ""


_REPOSITORY_KEYS = {
    ("session", "adapter"): _Key("adapter", _adapter),
    ("session", "branch_policy"): _Key("branch_policy", _policy),
    ("session", "folder"): _Key("sessions_folder", _folder, lambda value: str(PurePosixPath(value))),
    ("session", "idle_hours"): _Key("idle_hours", _hours),
}
_KEYS = {
    **_REPOSITORY_KEYS,
    ("worker", "defer_seconds"): _Key("defer_seconds", _seconds),
    ("redact", "builtin"): _Key("redact_builtin", _switch),
    ("redact", "patterns"): _Key("redact", _patterns, tuple),
}
