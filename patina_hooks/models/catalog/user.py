"""The user's models, without any code: `models.toml` in the platform's config folder.

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

    [acme-768.files."onnx/int8"]              # of another precision: `runtime: onnx/int8` in a recipe
    model = "/home/me/acme/model_int8.onnx"
    tokenizer = "/home/me/acme/tokenizer.json"

With one_by_one = ["onnx/int8"] above its files, texts run one by one there, which dynamically quantised
weights need.

The keys are the fields of `ModelSpec`; one_by_one is `unbatched_runtimes`. It is the user's file: nothing in
a repository is read like this.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypedDict

from patina_hooks.config.locations import explain, explain_syntax
from patina_hooks.config.parsing import parse_toml
from patina_hooks.config.schema import KeyPath, Rule, SchemaError, format_path, mismatch_error, read_value
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
"""The name of an entry."""
_SIZE_CAP: Final = 256 * 1024
_ROLE: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")


def user_models_file() -> Path:
    """Return the path of models.toml, whether or not it exists."""
    return config_folder() / "models.toml"


def user_models() -> Iterator[ModelSpec]:
    """Yield the user's valid models.

    Raises:
        SettingsError: an entry is invalid, after all valid ones.
    """
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


def parse_models(text: str, source: str) -> Iterator[ModelSpec]:
    """Parse models from text.

    Args:
        text: TOML.
        source: the name of the text in errors.

    Raises:
        SettingsError: with line, key, value, expectation and fix, after all valid models.
    """
    try:
        tables = parse_toml(text)
    except ValueError as error:
        raise SettingsError(explain_syntax(error, source), hint=f"edit {source}") from error
    problems: list[str] = []
    for name, table in tables.items():
        try:
            yield _spec(name, table)
        except SchemaError as error:
            problems.append(explain(error, source, text))
    if problems:
        raise SettingsError("\n".join(problems), hint=f"edit {source}")


_Text = Annotated[str, Rule("a text", '"..."')]
_From = TypedDict("_From", {"from": int})


class _Required(TypedDict):
    dimensions: Annotated[
        int, Rule(f"a whole number from 1 to {MOST_DIMENSIONS}", "768", least=1, most=MOST_DIMENSIONS)
    ]
    files: Annotated[
        Mapping[str, Mapping[str, object]],
        Rule("tables of files, one a runtime", '{onnx = {model = "/...", tokenizer = "/..."}}'),
    ]


class _Model(_Required, total=False):
    max_tokens: Annotated[int, Rule("a whole number above 2", "512", least=3)]
    pooling: Annotated[Pooling, Rule("one of: mean, cls, last", '"mean"')]
    layer: Annotated[int, Rule("a whole number", "-1")]
    query_prefix: _Text
    passage_prefix: _Text
    task: _Text
    matryoshka: Annotated[
        tuple[int, ...] | _From, Rule("lengths below the dimensions, or {from = LENGTH}", "[512, 256]")
    ]
    matryoshka_norm: Annotated[MatryoshkaNorm, Rule("one of: l2, layer", '"l2"')]
    licence: _Text
    revision: _Text
    batch_invariant: Annotated[bool, Rule("true or false", "true")]
    description: _Text
    parameters: Annotated[int, Rule("a positive whole number", "768", least=1)]
    languages: Annotated[tuple[str, ...], Rule("a list of language codes", '["en"]')]
    one_by_one: Annotated[tuple[str, ...], Rule("a list of names that files have here", '["onnx/int8"]')]


class _Path(TypedDict):
    path: str


class _FileEntry(_Path, total=False):
    repository: str
    revision: str
    sha256: Annotated[str, Rule(pattern="[0-9A-Fa-f]{64}")]
    size: int


def _spec(name: str, table: object) -> ModelSpec:
    """Make a model of one table of the file."""
    if not NAME.fullmatch(name) or not isinstance(table, dict):
        raise SchemaError((name,), f"[{name}] is not a table of a model; write: [acme-768]")
    values: dict[str, Any] = {**read_value(_Model, table, (name,))}
    values["unbatched_runtimes"] = values.pop("one_by_one", ())
    files = {
        runtime: {role: _file((name, "files", runtime, role), value) for role, value in roles.items()}
        for runtime, roles in values.pop("files").items()
    }
    lengths = values.pop("matryoshka", ())
    try:
        return ModelSpec(
            name=name, runtimes=files, matryoshka=_lengths(name, lengths, values["dimensions"]), **values
        )
    except SchemaError:
        raise
    except ValueError as error:
        # The message names the field of the spec, the file has the key.
        raise SchemaError((name,), str(error).replace("unbatched_runtimes", "one_by_one")) from error


def _lengths(name: str, stated: Any, dimensions: int) -> tuple[int, ...] | range:  # noqa: ANN401
    if not isinstance(stated, dict):
        return tuple(sorted(stated, reverse=True))
    least = stated["from"]
    if not 0 < least < dimensions:
        raise SchemaError(
            (name, "matryoshka"),
            f"{name}.matryoshka begins at {least}, expected a length from 1 to below the dimensions,"
            f" {dimensions}",
            f"{{from = {max(1, dimensions // 2)}}}",
        )
    return range(least, dimensions)


def _file(path: KeyPath, value: object) -> ModelFile:
    expected = 'an absolute path, or {path = "/..."}, or {repository = "...", path = "..."}'
    try:
        file: Any = read_value(_FileEntry, {"path": value} if isinstance(value, str) else value)
    except SchemaError:
        file = None
    if file is None or not _ROLE.fullmatch(str(path[-1])):
        raise mismatch_error(path, value, expected)
    try:
        if "repository" in file:
            return HubFile(**file)
        return LocalFile(**{**file, "path": Path(file["path"]).expanduser()})
    except (TypeError, ValueError, RuntimeError) as error:
        raise SchemaError(path, f"{format_path(path)}: {error}; expected {expected}") from error
