"""Models of the user's own, without any code: `models.toml` at the platform's config place.

    [acme-768]
    dimensions = 768
    max_tokens = 512
    pooling = "mean"                          # mean | cls | last
    query_prefix = "query: "
    passage_prefix = "passage: "
    matryoshka = [512, 256]                   # or {from = 32}: any length from there on

    [acme-768.files.onnx]                     # for each runtime: role -> file
    model = "/home/me/acme/model.onnx"
    tokenizer = {path = "/home/me/acme/tokenizer.json", sha256 = "..."}

    [acme-768.files.torch]                    # or files of a hub, for `patina models pull`
    model = {repository = "me/acme", path = "model.safetensors", revision = "main"}

    [acme-768.files."onnx/int8"]              # of another precision: a recipe says `runtime: onnx/int8`
    model = "/home/me/acme/model_int8.onnx"
    tokenizer = "/home/me/acme/tokenizer.json"

With one_by_one = ["onnx/int8"] above its files, texts are run one by one there, as weights that are quantised
dynamically ask for.

The keys are the fields of `ModelSpec`. It is the user's file: nothing in a repository is ever read like this.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from patina_hooks.config.parsing import parse_toml
from patina_hooks.errors import SettingsError
from patina_hooks.specs.models import (
    MOST_DIMENSIONS,
    HubFile,
    LocalFile,
    MatryoshkaNorm,
    ModelFile,
    ModelSpec,
    Pooling,
)
from patina_hooks.system.files import read_regular
from patina_hooks.system.user_folders import config_folder

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""That of an entry."""
_SIZE_CAP: Final = 256 * 1024
_ROLE: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_FILE_KEYS: Final = frozenset({"repository", "path", "revision", "sha256", "size"})


def user_models_file() -> Path:
    """Where the user's models are listed, whether or not there are any."""
    return config_folder() / "models.toml"


def user_models() -> Iterator[ModelSpec]:
    """The user's models, those that are valid first; then `SettingsError` for what is not."""
    path = user_models_file()
    try:
        data = read_regular(path.resolve(), _SIZE_CAP + 1)
    except (FileNotFoundError, NotADirectoryError):  # HOME=/dev/null has no file either
        return
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read: {error.strerror}", hint=f"chmod u+r {shlex.quote(str(path))}"
        ) from error
    if len(data) > _SIZE_CAP:
        raise SettingsError(f"{path}: larger than {_SIZE_CAP} bytes")
    yield from parse_models(data.decode("utf-8", "replace"), str(path))


def parse_models(text: str, where: str) -> Iterator[ModelSpec]:
    """Models from text; `where` names it in errors, which say line, key, value, expectation and fix."""
    try:
        tables = parse_toml(text)
    except ValueError as error:
        line = re.search(r"line (\d+)", str(error))
        raise SettingsError(f"{where}:{line[1] if line else 1}: {error}", hint=f"edit {where}") from error
    wrong: list[str] = []
    for name, table in tables.items():
        try:
            yield _Entry(text, where, name).spec(table)
        except SettingsError as error:
            wrong.append(str(error))
    if wrong:
        raise SettingsError("\n".join(wrong), hint=f"edit {where}")


@dataclass(frozen=True, slots=True)
class _Key:
    """expected: in words, as an error says it; example: a value that fits; fits: whether one does."""

    expected: str
    example: str
    fits: Callable[[Any], bool]


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _lengths(value: object) -> bool:
    if isinstance(value, dict):
        return set(value) == {"from"} and _whole(value["from"])
    return isinstance(value, list) and all(map(_whole, value))


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_TEXT: Final = _Key("a text", '"..."', lambda value: isinstance(value, str))
_NUMBER: Final = _Key("a positive whole number", "768", lambda value: _whole(value) and value > 0)
_DIMENSIONS: Final = _Key(
    f"a whole number from 1 to {MOST_DIMENSIONS}",
    "768",
    lambda value: _whole(value) and 0 < value <= MOST_DIMENSIONS,
)
_KEYS: Final[Mapping[str, _Key]] = {
    "dimensions": _DIMENSIONS,
    "max_tokens": _Key("a whole number above 2", "512", lambda value: _whole(value) and value > 2),
    "pooling": _Key("one of: mean, cls, last", '"mean"', lambda value: value in get_args(Pooling)),
    "layer": _Key("a whole number", "-1", _whole),
    "query_prefix": _TEXT,
    "passage_prefix": _TEXT,
    "task": _TEXT,
    "matryoshka": _Key("lengths below the dimensions, or {from = LENGTH}", "[512, 256]", _lengths),
    "matryoshka_norm": _Key("one of: l2, layer", '"l2"', lambda value: value in get_args(MatryoshkaNorm)),
    "licence": _TEXT,
    "revision": _TEXT,
    "batch_invariant": _Key("true or false", "true", lambda value: isinstance(value, bool)),
    "description": _TEXT,
    "parameters": _NUMBER,
    "languages": _Key("a list of language codes", '["en"]', _texts),
    "one_by_one": _Key("a list of names that files have here", '["onnx/int8"]', _texts),
    "files": _Key(
        "tables of files, one a runtime",
        '{onnx = {model = "/...", tokenizer = "/..."}}',
        lambda value: isinstance(value, dict) and all(isinstance(one, dict) for one in value.values()),
    ),
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One table of the file, being read."""

    text: str
    where: str
    name: str

    def spec(self, table: object) -> ModelSpec:
        if not NAME.fullmatch(self.name) or not isinstance(table, dict):
            raise self._wrong(self.name, f"[{self.name}] is no table of a model; write: [acme-768]")
        for key, value in table.items():
            self._check(key, value)
        for key in ("dimensions", "files"):
            if key not in table:
                example = f"{key} = {_KEYS[key].example}"
                raise self._wrong(self.name, f"{self.name} has no {key}; write: {example}")
        values = {key: value for key, value in table.items() if key != "files"}
        if "matryoshka" in values:
            values["matryoshka"] = self._lengths(values["matryoshka"], table["dimensions"])
        for key in ("languages", "one_by_one"):
            if key in values:
                values[key] = tuple(values[key])
        files = {runtime: self._files(runtime, roles) for runtime, roles in table["files"].items()}
        try:
            return ModelSpec(name=self.name, runtimes=files, **values)
        except ValueError as error:
            raise self._wrong(self.name, str(error)) from error

    def _check(self, key: str, value: object) -> None:
        if key not in _KEYS:
            known = ", ".join(_KEYS)
            raise self._wrong(key, f"unknown key {self.name}.{key}; expected one of: {known}")
        if not _KEYS[key].fits(value):
            known_key = _KEYS[key]
            raise self._wrong(
                key,
                f"{self.name}.{key} is {value!r}, expected {known_key.expected};"
                f" write: {key} = {known_key.example}",
            )

    def _lengths(self, value: list[int] | dict[str, int], dimensions: int) -> tuple[int, ...] | range:
        if not isinstance(value, dict):
            return tuple(sorted(value, reverse=True))
        if not 0 < value["from"] < dimensions:
            raise self._wrong(
                "matryoshka",
                f"{self.name}.matryoshka begins at {value['from']}, expected a length from 1 to below the"
                f" dimensions, {dimensions}; write: matryoshka = {{from = {max(1, dimensions // 2)}}}",
            )
        return range(value["from"], dimensions)

    def _files(self, runtime: str, roles: Mapping[str, object]) -> dict[str, ModelFile]:
        return {role: self._file(f"files.{runtime}.{role}", role, value) for role, value in roles.items()}

    def _file(self, place: str, role: str, value: object) -> ModelFile:
        expected = 'expected an absolute path, or {path = "/..."}, or {repository = "...", path = "..."}'
        told: Any = {"path": value} if isinstance(value, str) else value
        if not _ROLE.fullmatch(role) or not _is_file(told):
            raise self._wrong(role, f"{self.name}.{place} is {value!r}, {expected}")
        try:
            if "repository" in told:
                return HubFile(**told)
            return LocalFile(**{**told, "path": Path(told["path"]).expanduser()})
        except (TypeError, ValueError, RuntimeError) as error:
            raise self._wrong(role, f"{self.name}.{place}: {error}; {expected}") from error

    def _wrong(self, key: str, what: str) -> SettingsError:
        return SettingsError(f"{self.where}:{self._line(key)}: {what}")

    def _line(self, key: str) -> int:
        """That of the key below the table's head, else of the head, else the first."""
        lines = self.text.splitlines()
        head = re.compile(rf"\s*\[\s*[\"']?{re.escape(self.name)}[\"']?\s*[\].]")
        start = next((number for number, line in enumerate(lines) if head.match(line)), 0)
        own = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
        found = (number for number, line in enumerate(lines[start:], start) if own.match(line))
        return next(found, start) + 1


def _is_file(value: object) -> bool:
    if not isinstance(value, dict) or not value.keys() <= _FILE_KEYS or "path" not in value:
        return False
    if not all(_whole(one) if key == "size" else isinstance(one, str) for key, one in value.items()):
        return False
    return "sha256" not in value or _SHA256.fullmatch(value["sha256"]) is not None
