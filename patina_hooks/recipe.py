"""The recipe `.patina/oxidize.yaml`: which model and runtime a repository asks for, by name.

    version: 2
    embedding_model: minilm-l6-v2
    runtime: auto                  # auto | onnx | mlx | torch, or another runtime plugin's name
    index: exact                   # exact, or another index plugin's name

It is data from a clone: read by a safe loader, without tags, anchors or aliases, in bounded size.
Version 1 is read too. `projections`, a mapping, is accepted and not looked into.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patina_hooks.errors import SettingsError
from patina_hooks.files import plain_file

if TYPE_CHECKING:
    import yaml

RECIPE_FILE = ".patina/oxidize.yaml"
DEFAULT_MODEL = "minilm-l6-v2"
DEFAULT_TEXT = f"""\
# What this repository is read with. `patina plugins` lists what can be named here.
version: 2
embedding_model: {DEFAULT_MODEL}
runtime: auto
"""
_SIZE_CAP = 64 * 1024
_KEYS = ("version", "embedding_model", "runtime", "index", "projections")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,63})?")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Names that the installed plugins resolve; a name never brings code or weights."""

    version: int = 2
    model: str = DEFAULT_MODEL
    runtime: str = "auto"
    index: str = "exact"


def load_recipe(root: Path) -> Recipe:
    """The recipe of the work tree at `root`, the default where it has none. Raises `SettingsError`."""
    path = plain_file(root, RECIPE_FILE)
    if path is None:
        return Recipe()
    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_CAP + 1)
    except OSError as error:
        raise SettingsError(f"{RECIPE_FILE}: cannot be read: {error.strerror}") from error
    return parse_recipe(data.decode("utf-8", "replace"), RECIPE_FILE)


def parse_recipe(text: str, where: str) -> Recipe:
    """A recipe from text; `where` names it in errors, which say line, key, value, expectation and fix."""
    if len(text) > _SIZE_CAP:
        raise SettingsError(f"{where}:1: larger than {_SIZE_CAP} bytes; a recipe is a page at most")
    values: dict[str, tuple[int, object]] = {}
    for line, key, value in _entries(text, where):
        if key not in _KEYS:
            raise SettingsError(f"{where}:{line}: unknown key {key!r}; expected one of: {', '.join(_KEYS)}")
        if key in values:
            raise SettingsError(f"{where}:{line}: {key!r} is given twice; remove one of the two lines")
        values[key] = (line, value)
    line, version = values.get("version", (1, 2))
    if version not in (1, 2):
        raise SettingsError(f"{where}:{line}: version is {version!r}, expected 1 or 2; write: version: 2")
    line, projections = values.get("projections", (1, {}))
    if not isinstance(projections, dict):
        raise SettingsError(f"{where}:{line}: projections is {projections!r}, expected a mapping by name")
    return Recipe(
        version=int(str(version)),
        model=_name(values, "embedding_model", DEFAULT_MODEL, where),
        runtime=_name(values, "runtime", "auto", where),
        index=_name(values, "index", "exact", where),
    )


def _name(values: dict[str, tuple[int, object]], key: str, default: str, where: str) -> str:
    line, value = values.get(key, (0, default))
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise SettingsError(
        f"{where}:{line}: {key} is {value!r}, expected the name of an installed one; write: {key}: {default}"
    )


def _entries(text: str, where: str) -> list[tuple[int, str, object]]:
    import yaml

    try:
        _refuse_indirection(text, where)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise SettingsError(f"{where}:{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{where}:1: not YAML: {error}") from error
    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
        return []
    if not isinstance(node, yaml.MappingNode):
        raise SettingsError(f"{where}:{node.start_mark.line + 1}: expected `key: value` lines")
    return [(key.start_mark.line + 1, _shown(key), _plain(value)) for key, value in node.value]


def _refuse_indirection(text: str, where: str) -> None:
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SettingsError(f"{where}:{line}: anchors and aliases are not read; write the value out")
        if tag := getattr(event, "tag", None):
            raise SettingsError(f"{where}:{line}: the tag {tag} is not read; write a plain value")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > 8:
            raise SettingsError(f"{where}:{line}: nested deeper than 8 levels")


def _shown(key: yaml.Node) -> str:
    return str(_plain(key))


def _plain(node: yaml.Node) -> object:
    import yaml

    if isinstance(node, yaml.MappingNode):
        return {_shown(key): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return int(node.value) if node.tag.endswith(":int") and node.value.isdigit() else str(node.value)
