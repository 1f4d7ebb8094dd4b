"""Write the entry of a model in `models.toml`; `patina_hooks.models.catalog.user` reads it."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError, SettingsError, UsageError
from patina_hooks.git.lock import SyncLock
from patina_hooks.models.catalog.user import NAME, parse_models, user_models, user_models_file
from patina_hooks.plugins.calls import BUILTIN
from patina_hooks.specs.models import LocalFile, ModelSpec
from patina_hooks.system.files import replace_file

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins

_OPTIONAL: Final = (
    "layer",
    "query_prefix",
    "passage_prefix",
    "task",
    "matryoshka",
    "matryoshka_norm",
    "licence",
    "revision",
    "batch_invariant",
    "description",
    "parameters",
    "languages",
    "unbatched_runtimes",
)
"""Fields that an entry has where they differ from their defaults, in this order."""
_KEYS: Final = {"unbatched_runtimes": "one_by_one"}
"""Keys of models.toml that are not named like their field."""


def refuse_name(plugins: Plugins, name: str, option: str) -> None:
    """Raise an error if an entry cannot have this name.

    Args:
        plugins: the loaded plugins.
        name: the name.
        option: that of the command line, for the hint.

    Raises:
        UsageError: the name is invalid.
        ModelError: a plugin has a model of this name.
        SettingsError: models.toml has one.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a model: expected a letter or digit, then at most 63 letters,"
            " digits, '.', '_' or '-'",
            hint=f"{option} {_nearest(name)}",
        )
    for info in plugins.info():
        if info.name != BUILTIN and name in info.provides.get("models", ()):
            raise ModelError(
                f"the plugin {info.name} has a model {name} already; a recipe could mean either",
                hint=f"choose another name: {option} OTHER",
            )
    if any(model.name == name for model in user_models()):
        raise _taken(name, hint=f"choose another name: {option} OTHER")


def add_model(spec: ModelSpec) -> Path:
    """Append a model to models.toml and return the file's path; a link stays a link.

    A lock keeps processes from overwriting each other's entries.

    Raises:
        SettingsError: the file has the name, or cannot be read.
        OSError: it cannot be written.
    """
    path = user_models_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with SyncLock(path.with_name(f".{path.name}.lock")):
        before = _read(path)
        if any(model.name == spec.name for model in parse_models(before, str(path))):
            raise _taken(spec.name, hint="choose another name")
        after = f"{before.rstrip()}\n\n{as_toml(spec)}".lstrip()
        parsed = next(model for model in parse_models(after, str(path)) if model.name == spec.name)
        if parsed != spec:
            raise SettingsError(f"the model {spec.name} cannot be written to {path} unchanged")
        replace_file(path.resolve(), after.encode())
    return path


def as_toml(spec: ModelSpec) -> str:
    """Return the entry of a model of local files."""
    lines = [f"[{_key(spec.name)}]", f"dimensions = {spec.dimensions}", f"max_tokens = {spec.max_tokens}"]
    lines.append(f"pooling = {_text(spec.pooling)}")
    lines += [
        f"{_KEYS.get(field, field)} = {_value(getattr(spec, field))}"
        for field in _OPTIONAL
        if _differs(spec, field)
    ]
    for runtime, files in spec.runtimes.items():
        lines += ["", f"[{_key(spec.name)}.files.{_key(runtime)}]"]
        for role, file in files.items():
            assert isinstance(file, LocalFile)  # noqa: S101 (describe_folder makes no others)
            path = f"path = {_text(str(file.path))}, sha256 = {_text(file.sha256)}"
            lines.append(f"{_key(role)} = {{{path}}}")
    return "\n".join(lines) + "\n"


def _nearest(name: str) -> str:
    """Return a valid name that is similar."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:64] or "OTHER"


def _taken(name: str, hint: str) -> SettingsError:
    return SettingsError(f"{user_models_file()} has a model {name} already", hint=hint)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error


# --- TOML -------------------------------------------------------------------------------------------


def _differs(spec: ModelSpec, key: str) -> bool:
    """Return whether a field of the model differs from its default."""
    default = next(field.default for field in fields(ModelSpec) if field.name == key)
    return bool(getattr(spec, key) != default)


def _value(value: object) -> str:
    if isinstance(value, range):
        return f"{{from = {value.start}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    """Return a basic string: JSON's escapes are TOML's, except that JSON does not escape DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)
