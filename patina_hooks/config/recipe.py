"""The recipe `.patina/oxidize.yaml`: the model, runtime and training of a repository, by name.

    version: 2
    embedding_model: minilm-l6-v2
    runtime: auto                  # auto | onnx | mlx | torch | onnx/int8, or another runtime plugin's name;
                                   # where several provide it: patina-onnx/onnx, patina-onnx/onnx/int8
    index: exact                   # exact | short | usearch, or another index plugin's name

    projections:                   # what `patina oxidize` learns; without this, all built-in kinds
      semantic:
        type: residual             # whitening | mlp | residual, or another plugin's kind
        layers: [1024, 256]        # [hidden, out] or [in, hidden, out]
        training: {source: sessions, pair_type: same_session, epochs: 10, batch_size: 32}

    background:                    # when the worker's training begins by itself
      train: growth                # never (the default) | session_end | growth
      growth: 0.2                  # ... when there are so many more pairs, as a fraction
      seconds: 300                 # at most so long

    search:                        # what plugins do to questions and answers; nothing by default
      rewriters: [synonyms]
      rerankers: [cross]
      filters: [no-reverts]

A recipe is untrusted data: it is read by a safe loader, without tags, anchors or aliases, in bounded size.
Version 1 is read too; there `epochs` and `batch_size` are next to `layers`. `instruction`, `pooling`,
`extraction_layer` and `truncate` may be at the top or in projections, which must then agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, get_args

from patina_hooks.config.schema import KeyPath, Rule, SchemaError, format_path, mismatch_error, read_fields
from patina_hooks.config.search_steps import NAME_PATTERN as _NAME
from patina_hooks.config.search_steps import STEP_PATTERN as _STEP
from patina_hooks.config.search_steps import SearchSteps
from patina_hooks.config.shared_files import RECIPE_FILE
from patina_hooks.errors import SettingsError
from patina_hooks.specs.models import Pooling
from patina_hooks.system.files import plain_file

if TYPE_CHECKING:
    import yaml

DEFAULT_MODEL = "minilm-l6-v2"
DEFAULT_INDEX = "exact"
DEFAULT_TEXT = f"""\
# The model and runtime of this repository. `patina plugins` lists the available names.
version: 2
embedding_model: {DEFAULT_MODEL}
runtime: auto

# Learn from this repository's own history, in the background: never, session_end or growth.
background:
  train: growth
"""
BUILTIN_KINDS = ("whitening", "mlp", "residual")
"""The kinds of projection that are trained if a recipe lists none."""
_SIZE_CAP = 64 * 1024
_MOST_DIGITS = 9
_MOST_PROJECTIONS = 32
_WIDEST = 16_384
_FRACTION = re.compile(r"[0-9]{0,9}\.[0-9]{0,9}")
_RUNTIME = rf"{_STEP}(?:/{_STEP}){{0,2}}"  # PLUGIN/NAME/PRECISION


def _check_growth(value: float) -> None:
    if not 0 < value < 1000:
        raise ValueError


_Instruction = Annotated[
    str, Rule("a text of 1 to 1000 characters", "Find what was decided", shortest=1, longest=1000)
]
_Pooling = Annotated[Pooling, Rule(f"one of: {', '.join(get_args(Pooling))}", "mean")]
_Layer = Annotated[int, Rule("a whole number", "-1")]
_Width = Annotated[int, Rule(least=1, most=_WIDEST, example="256")]
_Epochs = Annotated[int, Rule(least=1, most=10_000, example="10")]
_BatchSize = Annotated[int, Rule(least=1, most=4_096, example="32")]
_Train = Literal["never", "session_end", "growth"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a model is run, if not by its defaults.

    None where the recipe states nothing.

    extraction_layer: the hidden layer to take vectors from, negative from the end; truncate: dimensions.
    """

    instruction: _Instruction | None = None
    pooling: _Pooling | None = None
    extraction_layer: _Layer | None = None
    truncate: _Width | None = None


@dataclass(frozen=True, slots=True)
class ProjectionRecipe:
    """One entry of `projections`.

    "", () and None where the recipe states nothing.

    layers: widths, [hidden, out] or [in, hidden, out].
    lines: of its keys in the recipe, and "" for itself.
    """

    name: str
    type: str = ""
    layers: tuple[int, ...] = ()
    source: str = ""
    pair_type: str = ""
    epochs: int | None = None
    batch_size: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    def line(self, key: str) -> int:
        """Return the line of a key, or else of the projection itself."""
        return self.lines.get(key, self.lines.get("", 0))


@dataclass(frozen=True, slots=True)
class Background:
    """When training starts in the background.

    growth: of the pairs since the last training, as a fraction.
    seconds: the limit of its duration.
    """

    train: Annotated[_Train, Rule(f"one of: {', '.join(get_args(_Train))}", "growth")] = "never"
    growth: Annotated[
        float, Rule("a number above 0, a fraction of the pairs", "0.2", check=_check_growth)
    ] = 0.2
    seconds: Annotated[int, Rule(least=1, most=1_000_000, example="300")] = 300


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe: names that the installed plugins resolve, never code or weights.

    lines: of its keys, without those of projections and background.
    """

    version: int = 2
    model: str = DEFAULT_MODEL
    runtime: str = "auto"
    index: str = DEFAULT_INDEX
    reading: Reading = Reading()
    projections: tuple[ProjectionRecipe, ...] = ()
    background: Background = Background()
    search: SearchSteps = field(default_factory=SearchSteps)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def learned(self) -> tuple[str, ...]:
        """The names of the projections to train: those listed, or else every built-in kind."""
        return tuple(projection.name for projection in self.projections) or BUILTIN_KINDS


def load_recipe(root: Path) -> Recipe:
    """Load the recipe of the work tree at `root`, or the default.

    Raises `SettingsError`.
    """
    path = plain_file(root, RECIPE_FILE)
    if path is None:
        return Recipe()
    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_CAP + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {RECIPE_FILE}: {error.strerror}") from error
    return parse_recipe(data.decode("utf-8", "replace"), RECIPE_FILE)


@lru_cache(maxsize=4)
def parse_recipe(text: str, source: str) -> Recipe:
    """Parse a recipe, once for each text.

    Args:
        text: of the file.
        source: the name of the file in errors, which state line, key, value, expectation and fix.

    Raises:
        SettingsError: the recipe is invalid.
    """
    if len(text) > _SIZE_CAP:
        raise SettingsError(f"{source}:1: larger than {_SIZE_CAP} bytes; a recipe is a page at most")
    root = _compose(text, source)
    if root is None:
        return Recipe()
    lines: _Lines = {}
    try:
        return _recipe(_plain(root, lines), lines)
    except SchemaError as error:
        raise SettingsError(error.explain(source, _line_of(lines, error.path), ": ")) from error


def _recipe(content: object, lines: _Lines) -> Recipe:
    if not isinstance(content, dict):
        raise mismatch_error((), content, _MAPPING)
    values = read_fields(_RecipeFile, content)
    entries = values.get("projections", {})
    if len(entries) > _MOST_PROJECTIONS:
        message = f"projections has {len(entries)} entries, expected {_MOST_PROJECTIONS} at most; remove some"
        raise SchemaError(("projections",), message)
    reading: _Stated = {key: (values[key], (key,)) for key in _READING if key in values}
    projections = tuple(_projection(name, entry, reading, lines) for name, entry in entries.items())
    stated: dict[KeyPath, str] = {(key,): key for key in values}
    stated |= {path: key for key, (_, path) in reading.items()}
    return Recipe(
        version=values.get("version", 2),
        model=values.get("embedding_model", DEFAULT_MODEL),
        runtime=values.get("runtime", "auto"),
        index=values.get("index", DEFAULT_INDEX),
        reading=Reading(**{key: value for key, (value, _) in reading.items()}),
        projections=projections,
        background=values.get("background", Background()),
        search=values.get("search", SearchSteps()),
        lines={key: _line_of(lines, path) for path, key in stated.items() if key not in _GROUPS},
    )


def _projection(name: str, content: object, reading: _Stated, lines: _Lines) -> ProjectionRecipe:
    """Read one projection; add its keys about running the model to `reading`."""
    location: KeyPath = ("projections", name)
    if not re.fullmatch(_NAME, name):
        raise SchemaError(location, f"{name!r} is not a name for a projection; write: semantic:")
    values = read_fields(_Projection, content, location)
    paths: dict[str, KeyPath] = {key: (*location, key) for key in values}
    training = values.pop("training", {})
    paths.pop("training", None)
    for key, value in training.items():
        path = (*location, "training", key)
        if key in values:
            raise SchemaError(path, f"{key!r} is given twice; remove one of the two lines")
        values[key], paths[key] = value, path
    for key in [key for key in values if key in _READING]:
        _agree(key, values.pop(key), paths[key], reading, lines)
    key_lines = {"": _line_of(lines, location)} | {key: _line_of(lines, path) for key, path in paths.items()}
    return ProjectionRecipe(name, **values, lines=key_lines)


def _agree(key: str, value: object, path: KeyPath, reading: _Stated, lines: _Lines) -> None:
    """Refuse a second value of a key about running the model, which a projection may state too."""
    previous, first = reading.setdefault(key, (value, path))
    if previous != value:
        raise SchemaError(
            path,
            f"{format_path(path)} is {value!r}, but line {_line_of(lines, first)} states {previous!r},"
            f" expected the same value for all projections; remove one of the two lines",
        )


# --- forms --- ----------------------------------------------------------------------

_Lines = dict[KeyPath, int]
_Stated = dict[str, tuple[Any, KeyPath]]  # key -> its value, and its first location
_GROUPS = ("projections", "background", "search")
_MAPPING = "a mapping, `key: value` lines"


_INSTALLED = "the name of an installed one"


class _Training(TypedDict, total=False):
    source: Annotated[str, Rule("the name of a source", "sessions", pattern=_NAME)]
    pair_type: Annotated[str, Rule("the name of a kind of pairs", "same_session", pattern=_NAME)]
    epochs: _Epochs
    batch_size: _BatchSize


class _Projection(TypedDict, total=False):
    type: Annotated[str, Rule("the name of a kind of projection", "residual", pattern=_NAME)]
    layers: Annotated[
        tuple[_Width, ...],
        Rule(f"2 or 3 whole numbers from 1 to {_WIDEST}", "[1024, 256]", shortest=2, longest=3),
    ]
    epochs: _Epochs
    batch_size: _BatchSize
    training: Annotated[_Training, Rule(_MAPPING)]
    instruction: _Instruction
    pooling: _Pooling
    extraction_layer: _Layer
    truncate: _Width


class _RecipeFile(TypedDict, total=False):
    version: Annotated[Literal[1, 2], Rule("1 or 2", "2")]
    embedding_model: Annotated[str, Rule(_INSTALLED, DEFAULT_MODEL, pattern=_NAME)]
    runtime: Annotated[str, Rule(_INSTALLED, "auto", pattern=_RUNTIME)]
    index: Annotated[str, Rule(_INSTALLED, DEFAULT_INDEX, pattern=_NAME)]
    projections: Annotated[Mapping[str, object], Rule(_MAPPING)]
    background: Annotated[Background, Rule(_MAPPING)]
    search: Annotated[SearchSteps, Rule(_MAPPING)]
    instruction: _Instruction
    pooling: _Pooling
    extraction_layer: _Layer
    truncate: _Width


_READING = tuple(Reading.__dataclass_fields__)


# --- YAML -----------------------------------------------------------------------------------------


def _compose(text: str, source: str) -> yaml.Node | None:
    """Parse the single document of a text, None if it is empty."""
    import yaml

    try:
        _refuse_indirection(text, source)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise SettingsError(f"{source}:{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, MemoryError, ValueError) as error:
        raise SettingsError(f"{source}:1: not YAML: {error}") from error
    return None if node is None or (isinstance(node, yaml.ScalarNode) and not node.value) else node


def _refuse_indirection(text: str, source: str) -> None:
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SettingsError(f"{source}:{line}: anchors and aliases are not read; write the value out")
        if tag := getattr(event, "tag", None):
            raise SettingsError(f"{source}:{line}: the tag {tag} is not read; write a plain value")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > 8:
            raise SettingsError(f"{source}:{line}: nested deeper than 8 levels")


def _plain(node: yaml.Node, lines: _Lines, path: KeyPath = ()) -> object:
    """Convert numbers to int or float, lists to tuples, anything else to text.

    Fill `lines`.

    Raises `SchemaError` for a repeated key.
    """
    import yaml

    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(node, lines, path)
    if isinstance(node, yaml.SequenceNode):
        return tuple(_plain(item, lines, (*path, index)) for index, item in enumerate(node.value))
    text = str(node.value)
    if node.tag.endswith(":float") and _FRACTION.fullmatch(text):
        return float(text)
    is_number = node.tag.endswith(":int") and text.lstrip("-").isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if is_number else text


def _plain_mapping(node: yaml.MappingNode, lines: _Lines, path: KeyPath) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in node.value:
        name = str(_plain(key, {}))
        lines[(*path, name)] = int(key.start_mark.line) + 1
        if name in values:
            raise SchemaError((*path, name), f"{name!r} is given twice; remove one of the two lines")
        values[name] = _plain(value, lines, (*path, name))
    return values


def _line_of(lines: _Lines, path: KeyPath) -> int:
    """Return the line of a key, or of the innermost key around it."""
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 1)
