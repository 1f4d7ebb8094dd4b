"""The recipe `.patina/oxidize.yaml`: which model and runtime a repository asks for, by name.

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

It is data from a clone: read by a safe loader, without tags, anchors or aliases, in bounded size.
Version 1 is read too; there `epochs` and `batch_size` stand beside `layers`. `instruction`, `pooling`,
`extraction_layer` and `truncate` may stand at the top or in projections, which then have to agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from patina_hooks.errors import SettingsError
from patina_hooks.specs.models import Pooling
from patina_hooks.system.files import plain_file

if TYPE_CHECKING:
    import yaml

RECIPE_FILE = ".patina/oxidize.yaml"
DEFAULT_MODEL = "minilm-l6-v2"
DEFAULT_INDEX = "exact"
DEFAULT_TEXT = f"""\
# What this repository is read with. `patina plugins` lists what can be named here.
version: 2
embedding_model: {DEFAULT_MODEL}
runtime: auto

# Learn from this repository's own history, in the background: never, session_end or growth.
background:
  train: growth
"""
BUILTIN_KINDS = ("whitening", "mlp", "residual")
"""The kinds of projection that are learned where a recipe lists none."""
_SIZE_CAP = 64 * 1024
_Said = dict[str, tuple[Any, int]]  # key -> its value, and the line where it is said first
_MOST_DIGITS = 9
_MOST_PROJECTIONS = 32
_WIDEST = 16_384
_FRACTION = re.compile(r"[0-9]{0,9}\.[0-9]{0,9}")
_STEP = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_NAME = re.compile(rf"{_STEP}(?:/{_STEP})?")
_RUNTIME = re.compile(rf"{_STEP}(?:/{_STEP}){{0,2}}")  # PLUGIN/NAME/PRECISION


@dataclass(frozen=True, slots=True)
class Reading:
    """How a model is to be read, where that is not its own way; None where the recipe does not say.

    extraction_layer: the hidden layer to take vectors from, negative from the end; truncate: dimensions.
    """

    instruction: str | None = None
    pooling: Pooling | None = None
    extraction_layer: int | None = None
    truncate: int | None = None


@dataclass(frozen=True, slots=True)
class ProjectionRecipe:
    """One entry of `projections`; "", () and None where the recipe does not say.

    layers: widths, [hidden, out] or [in, hidden, out]; lines: where its keys stand in the recipe, and "" for
    itself.
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
        """Where a key stands, or else the projection itself."""
        return self.lines.get(key, self.lines.get("", 0))


@dataclass(frozen=True, slots=True)
class Background:
    """When training begins by itself. growth: of the pairs since the last training, as a fraction;
    seconds: how long it may take."""

    train: Literal["never", "session_end", "growth"] = "never"
    growth: float = 0.2
    seconds: int = 300


@dataclass(frozen=True, slots=True)
class Recipe:
    """Names that the installed plugins resolve; a name never brings code or weights.

    lines: where its keys stand, but for those of projections and background.
    """

    version: int = 2
    model: str = DEFAULT_MODEL
    runtime: str = "auto"
    index: str = DEFAULT_INDEX
    reading: Reading = Reading()
    projections: tuple[ProjectionRecipe, ...] = ()
    background: Background = Background()
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def learned(self) -> tuple[str, ...]:
        """The names of the projections that are asked for: those listed, or else every built-in kind."""
        return tuple(one.name for one in self.projections) or BUILTIN_KINDS


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
    root = _compose(text, where)
    entries = _entries(root, where, "", _TOP) if root else {}
    projections, background = entries.pop("projections", None), entries.pop("background", None)
    values = _values(entries, where, "", _TOP)
    said = {key: (values[key], _line(entries[key])) for key in _READING if key in values}
    learned = _projections(projections, where, said) if projections else ()
    lines = {key: _line(node) for key, node in entries.items()} | {key: at for key, (_, at) in said.items()}
    return Recipe(
        version=values.get("version", 2),
        model=values.get("embedding_model", DEFAULT_MODEL),
        runtime=values.get("runtime", "auto"),
        index=values.get("index", DEFAULT_INDEX),
        reading=Reading(**{key: value for key, (value, _) in said.items()}),
        projections=learned,
        background=_background(background, where) if background else Background(),
        lines=lines,
    )


def parse_reading(stored: Mapping[str, Any]) -> Reading:
    """Make a reading of remembered values. Raises TypeError or ValueError for what no recipe may say."""
    reading = Reading(**stored)
    for key, value in stored.items():
        if value is not None and not _READING[key].fits(value):
            raise ValueError(f"{key} is {value!r}")
    return reading


def _background(node: yaml.Node, where: str) -> Background:
    entries = _entries(node, where, "background", _BACKGROUND)
    return Background(**_values(entries, where, "background", _BACKGROUND))


def _projections(node: yaml.Node, where: str, said: _Said) -> tuple[ProjectionRecipe, ...]:
    named = _entries(node, where, "projections", None)
    if len(named) > _MOST_PROJECTIONS:
        raise SettingsError(
            f"{where}:{_line(node)}: projections has {len(named)} entries,"
            f" expected {_MOST_PROJECTIONS} at most; remove some"
        )
    return tuple(_projection(name, entry, where, said) for name, entry in named.items())


def _projection(name: str, node: yaml.Node, where: str, said: _Said) -> ProjectionRecipe:
    place = f"projections.{name}"
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where}:{_line(node)}: {name!r} is no name for a projection; write: semantic:")
    entries = _entries(node, where, place, _PROJECTION)
    training = entries.pop("training", None)
    values = _values(entries, where, place, _PROJECTION)
    lines = {"": _line(node), **{key: _line(entry) for key, entry in entries.items()}}
    if training:
        inner = _entries(training, where, f"{place}.training", _TRAINING)
        for twice in inner.keys() & values.keys():
            line = _line(inner[twice])
            raise SettingsError(f"{where}:{line}: {twice!r} is given twice; remove one of the two lines")
        values |= _values(inner, where, f"{place}.training", _TRAINING)
        lines |= {key: _line(entry) for key, entry in inner.items()}
    own = {key: value for key, value in values.items() if key not in _READING}
    for key in filter(values.__contains__, _READING):
        _agree(key, values[key], f"{where}:{lines[key]}: {_dotted(place, key)}", lines[key], said)
    return ProjectionRecipe(name, **own, lines=lines)


def _agree(key: str, value: object, place: str, line: int, said: _Said) -> None:
    """How the model is read may be said at a projection too, but a model is read in one way."""
    before, there = said.setdefault(key, (value, line))
    if before != value:
        raise SettingsError(
            f"{place} is {value!r}, but line {there} says {before!r}, expected one way to read the model for"
            f" all projections; remove one of the two lines"
        )


# --- what may stand where -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Key:
    """expected: in words, as an error says it; example: a value that fits; fits: whether one does."""

    expected: str
    example: str
    fits: Callable[[Any], bool]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _is_runtime(value: object) -> bool:
    return isinstance(value, str) and _RUNTIME.fullmatch(value) is not None


def _is_width(value: object) -> bool:
    return isinstance(value, int) and 0 < value <= _WIDEST


def _are_layers(value: object) -> bool:
    return isinstance(value, tuple) and len(value) in (2, 3) and all(map(_is_width, value))


def _installed(example: str) -> _Key:
    return _Key("the name of an installed one", example, _is_name)


def _number(example: str, most: int) -> _Key:
    return _Key(
        f"a whole number from 1 to {most}",
        example,
        lambda value: isinstance(value, int) and 0 < value <= most,
    )


_READING = {
    "instruction": _Key(
        "a text of 1 to 1000 characters",
        "Find what was decided",
        lambda value: isinstance(value, str) and 0 < len(value) <= 1000,
    ),
    "pooling": _Key(
        f"one of: {', '.join(get_args(Pooling))}", "mean", lambda value: value in get_args(Pooling)
    ),
    "extraction_layer": _Key("a whole number", "-1", lambda value: isinstance(value, int)),
    "truncate": _number("256", _WIDEST),
}
_TRAINING = {
    "source": _Key("the name of a source", "sessions", _is_name),
    "pair_type": _Key("the name of a kind of pairs", "same_session", _is_name),
    "epochs": _number("10", 10_000),
    "batch_size": _number("32", 4_096),
}
_GROUP = _Key("`key: value` lines", "{}", lambda _: False)
_PROJECTION = {
    "type": _Key("the name of a kind of projection", "residual", _is_name),
    "layers": _Key(f"2 or 3 whole numbers from 1 to {_WIDEST}", "[1024, 256]", _are_layers),
    "epochs": _TRAINING["epochs"],
    "batch_size": _TRAINING["batch_size"],
    "training": _GROUP,
    **_READING,
}
_BACKGROUND = {
    "train": _Key(
        "one of: never, session_end, growth",
        "growth",
        lambda value: value in ("never", "session_end", "growth"),
    ),
    "growth": _Key(
        "a number above 0, a fraction of the pairs",
        "0.2",
        lambda value: isinstance(value, (int, float)) and 0 < value < 1000,
    ),
    "seconds": _number("300", 1_000_000),
}
_TOP = {
    "version": _Key("1 or 2", "2", lambda value: value in (1, 2)),
    "embedding_model": _installed(DEFAULT_MODEL),
    "runtime": _Key("the name of an installed one", "auto", _is_runtime),
    "index": _installed(DEFAULT_INDEX),
    "projections": _GROUP,
    "background": _GROUP,
    **_READING,
}


def _values(
    entries: Mapping[str, yaml.Node], where: str, place: str, known: Mapping[str, _Key]
) -> dict[str, Any]:
    values = {name: _plain(node) for name, node in entries.items()}
    for name, value in values.items():
        if not known[name].fits(value):
            line, key = _line(entries[name]), known[name]
            shown = list(value) if isinstance(value, tuple) else value
            raise SettingsError(
                f"{where}:{line}: {_dotted(place, name)} is {shown!r}, expected {key.expected};"
                f" write: {name}: {key.example}"
            )
    return values


# --- YAML -----------------------------------------------------------------------------------------


def _entries(
    node: yaml.Node, where: str, place: str, known: Mapping[str, _Key] | None
) -> dict[str, yaml.Node]:
    """The values of a mapping by key. known: the keys that may stand there, None for any."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        shown = f"{place} is {_plain(node)!r}, " if place else ""
        raise SettingsError(f"{where}:{_line(node)}: {shown}expected a mapping, `key: value` lines")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name, line = str(_plain(key)), _line(key)
        if known is not None and name not in known:
            listed = ", ".join(known)
            raise SettingsError(
                f"{where}:{line}: unknown key {_dotted(place, name)!r}; expected one of: {listed}"
            )
        if name in found:
            raise SettingsError(f"{where}:{line}: {name!r} is given twice; remove one of the two lines")
        found[name] = value
    return found


def _dotted(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _compose(text: str, where: str) -> yaml.Node | None:
    """The one document of a text, None where it is empty."""
    import yaml

    try:
        _refuse_indirection(text, where)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise SettingsError(f"{where}:{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, MemoryError, ValueError) as error:
        raise SettingsError(f"{where}:1: not YAML: {error}") from error
    return None if node is None or (isinstance(node, yaml.ScalarNode) and not node.value) else node


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


def _plain(node: yaml.Node) -> object:
    """Numbers as int or float, lists as tuples, anything else as text; a mapping where none may be is shown
    whole."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        return {str(_plain(key)): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return tuple(_plain(item) for item in node.value)
    text = str(node.value)
    if node.tag.endswith(":float") and _FRACTION.fullmatch(text):
        return float(text)
    is_number = node.tag.endswith(":int") and text.lstrip("-").isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if is_number else text
