"""Validate all data that is read: a dataclass states what is valid, and `read_value` builds it.

    @dataclass(frozen=True, slots=True)
    class Background:
        train: Literal["never", "growth"] = "never"
        seconds: Annotated[int, Rule(least=1, most=1_000_000, example="300")] = 300

A field without a default is required; unknown keys are refused, except with `ignore_unknown`. Fields are
texts, whole numbers, finite numbers, booleans, `Literal`s, unions, tuples, mappings by text, and such
dataclasses; of a `TypedDict` only the stated keys are returned.
The result is valid, or a `SchemaError` has the path of the invalid value; `patina_hooks.config.locations`
finds its line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
    overload,
)

Form = TypeVar("Form")
KeyPath = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""

_LONGEST_SHOWN: Final = 120
_NAMES: Final[Mapping[object, str]] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "nothing",
}


class SchemaError(ValueError):
    """A value that is not valid.

    path: of the value; example: a valid value, "" if the message is sufficient; redacted: the message
    without the value, "" if it has none.
    """

    def __init__(self, path: KeyPath, message: str, example: str = "", *, redacted: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.example = example
        self._redacted = redacted

    def without_value(self) -> SchemaError:
        """Return the error without the value, which may be a secret in the wrong place."""
        return SchemaError(self.path, self._redacted or str(self), self.example)

    def explain(self, file: str, line: int, assignment: str = " = ") -> str:
        """Return the message with file and line, and a valid example."""
        key = self.path[-1] if self.path else 0
        has_suggestion = self.example and isinstance(key, str)  # an item of a list has no key
        suggestion = f"; write: {key}{assignment}{self.example}" if has_suggestion else ""
        return f"{file}:{line}: {self}{suggestion}"


class Rule(NamedTuple):
    """The constraints of a field in addition to its type, as `Annotated[type, Rule(...)]`.

    expected: a description, "" for that of its type and bounds.
    least, most: bounds of a number.
    shortest, longest: bounds of the length of a text, list or mapping.
    pattern: a text must match it as a whole; keys: so must the keys of a mapping.
    check: raises ValueError, with a message if `expected` does not describe the problem.
    stored, convert: the form in the file, and the function that converts it; raises ValueError.
    """

    expected: str = ""
    example: str = ""
    least: float | None = None
    most: float | None = None
    shortest: int = 0
    longest: int | None = None
    pattern: str = ""
    keys: str = ""
    check: Callable[[Any], object] | None = None
    stored: Any = None
    convert: Callable[[Any], object] | None = None


@overload
def read_value(
    form: type[Form], value: object, path: KeyPath = (), *, ignore_unknown: bool = False
) -> Form: ...


@overload
def read_value(form: object, value: object, path: KeyPath = (), *, ignore_unknown: bool = False) -> Any: ...  # noqa: ANN401


def read_value(form: object, value: object, path: KeyPath = (), *, ignore_unknown: bool = False) -> object:
    """Build a value of a form from parsed JSON, TOML or YAML.

    Raises:
        SchemaError: it is not valid.
    """
    return _read(form, value, path, ignore_unknown)


def read_fields(form: type[object], value: object, path: KeyPath = ()) -> dict[str, Any]:
    """Return the valid fields of a mapping, without defaults.

    A required one may be absent.

    Raises:
        SchemaError: a field is not valid, or unknown.
    """
    return _read_fields(form, value, path, ignore_unknown=False)


def read_mapping(form: type[Form], value: object, *, ignore_unknown: bool = False) -> dict[str, Form]:
    """Read a mapping by text whose values are of a form.

    Raises `SchemaError`.
    """
    return {
        name: read_value(form, item, (name,), ignore_unknown=ignore_unknown)
        for name, item in _mapping(value, ()).items()
    }


def read_list(form: type[Form], value: object, *, ignore_unknown: bool = False) -> tuple[Form, ...]:
    """Read a list whose items are of a form, as a tuple.

    Raises `SchemaError`.
    """
    items = _list(value, ())
    return tuple(
        read_value(form, item, (index,), ignore_unknown=ignore_unknown) for index, item in enumerate(items)
    )


def format_path(path: KeyPath) -> str:
    """Format a path.

    >>> format_path(("files", "onnx", 0))
    'files.onnx[0]'
    """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def mismatch_error(path: KeyPath, value: object, expected: str, example: str = "") -> SchemaError:
    """Return the error of a value that does not match the expectation."""
    if not path:
        return SchemaError(path, f"expected {expected}", example)
    key = format_path(path)
    message = f"{key} is {shorten(value)}, expected {expected}"
    return SchemaError(path, message, example, redacted=f"{key}: expected {expected}")


def unknown_key_error(path: KeyPath, valid_keys: object) -> SchemaError:
    """Return the error of an unknown key."""
    names = ", ".join(valid_keys) if isinstance(valid_keys, (list, tuple, dict)) else str(valid_keys)
    return SchemaError(path, f"unknown key {format_path(path)!r}; expected one of: {names}")


def shorten(value: object) -> str:
    """Return the repr of a value, shortened for a message."""
    try:
        text = repr(list(value) if isinstance(value, tuple) else value)
    except (ValueError, RecursionError):  # a number with too many digits, deep nesting
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


# --- forms ------------------------------------------------------------------------------------------


def _read(form: Any, value: object, path: KeyPath, ignore_unknown: bool) -> Any:  # noqa: ANN401, PLR0911 (any form)
    origin = get_origin(form)
    if origin is Annotated:
        inner, rule = get_args(form)[:2]
        return _read_by_rule(inner, rule, value, path, ignore_unknown)
    if form in _NAMES:
        return _read_plain(form, value, path)
    if origin is Literal:
        return _read_choice(get_args(form), value, path)
    if origin in (Union, UnionType):
        return _read_union(get_args(form), value, path, ignore_unknown)
    if origin is tuple:
        return _read_tuple(get_args(form), value, path, ignore_unknown)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = get_args(form)[1]
        items = _mapping(value, path).items()
        return {name: _read(item, inner, (*path, name), ignore_unknown) for name, inner in items}
    if is_dataclass(form) or is_typeddict(form):
        return _read_record(form, value, path, ignore_unknown)
    if form in (Any, object):
        return value
    raise TypeError(f"{format_path(path)}: the schema has no form {form!r}")


def _read_by_rule(form: Any, rule: Rule, value: object, path: KeyPath, ignore_unknown: bool) -> Any:  # noqa: ANN401
    try:
        result = _read(rule.stored or form, value, path, ignore_unknown)
    except SchemaError as error:
        if len(error.path) > len(path) and _has_keys(form):
            raise
        raise mismatch_error(path, value, rule.expected or _describe(form, rule), rule.example) from None
    if result is not None and not _fits(rule, result):
        raise mismatch_error(path, value, rule.expected or _describe(form, rule), rule.example)
    if rule.check is not None and result is not None:
        try:
            rule.check(result)
        except ValueError as error:
            if not str(error):
                raise mismatch_error(path, value, rule.expected, rule.example) from None
            key = format_path(path)
            message = f"{key} is {shorten(value)}: {error}"
            raise SchemaError(path, message, rule.example, redacted=f"{key}: {error}") from None
    return result if rule.convert is None or result is None else _convert(rule, result, path)


def _convert(rule: Rule, value: Any, path: KeyPath) -> object:  # noqa: ANN401
    try:
        return rule.convert(value) if rule.convert else value
    except ValueError:
        raise mismatch_error(path, value, rule.expected or "another value", rule.example) from None


def _fits(rule: Rule, value: Any) -> bool:  # noqa: ANN401
    if rule.least is not None and value < rule.least:
        return False
    if rule.most is not None and value > rule.most:
        return False
    if rule.shortest and len(value) < rule.shortest:
        return False
    if rule.longest is not None and len(value) > rule.longest:
        return False
    if rule.keys and not all(re.fullmatch(rule.keys, key) for key in value):
        return False
    return not rule.pattern or re.fullmatch(rule.pattern, value) is not None


def _has_keys(form: object) -> bool:
    """Return whether an error inside this form is reported at its own key."""
    origin = get_origin(form)
    return (
        is_dataclass(form) or is_typeddict(form) or (isinstance(origin, type) and issubclass(origin, Mapping))
    )


def describe_form(form: object) -> str:
    """Return the name of a form in a message."""
    return _NAMES.get(form, "a mapping" if _has_keys(form) else "a list")


def _describe(form: Any, rule: Rule) -> str:  # noqa: ANN401
    name = _NAMES.get(form, "a value")
    if rule.least is not None and rule.most is not None:
        return f"{name} from {rule.least} to {rule.most}"
    if rule.least is not None:
        return f"{name} of at least {rule.least}"
    return describe_form(form)


def _read_plain(form: type, value: object, path: KeyPath) -> Any:  # noqa: ANN401
    if form is float and isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            if math.isfinite(number := float(value)):
                return number
    elif isinstance(value, form) and (form is not int or not isinstance(value, bool)):
        return value
    raise mismatch_error(path, value, _NAMES[form])


def _read_choice(choices: tuple[object, ...], value: object, path: KeyPath) -> object:
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    raise mismatch_error(path, value, f"one of: {', '.join(map(str, choices))}", json.dumps(choices[0]))


def _read_union(forms: tuple[Any, ...], value: object, path: KeyPath, ignore_unknown: bool) -> Any:  # noqa: ANN401
    if value is None and NoneType in forms:
        return None
    variants = [form for form in forms if form is not NoneType]
    for form in variants[:-1]:
        try:
            return _read(form, value, path, ignore_unknown)
        except SchemaError:
            continue
    return _read(variants[-1], value, path, ignore_unknown)


def _read_tuple(
    forms: tuple[Any, ...], value: object, path: KeyPath, ignore_unknown: bool
) -> tuple[Any, ...]:
    items = _list(value, path)
    if len(forms) == 2 and forms[1] is Ellipsis:
        if forms[0] is int and all(type(item) is int for item in items):
            return tuple(items)  # fast path for a long list
        forms = (forms[0],) * len(items)
    if len(forms) != len(items):
        raise mismatch_error(path, value, f"a list of {len(forms)}")
    return tuple(
        _read(form, item, (*path, index), ignore_unknown)
        for index, (form, item) in enumerate(zip(forms, items, strict=True))
    )


def _read_record(form: Any, value: object, path: KeyPath, ignore_unknown: bool) -> Any:  # noqa: ANN401
    values = _read_fields(form, value, path, ignore_unknown)
    for name, (hint, is_required) in _fields(form).items():
        if is_required and name not in values:
            rule = get_args(hint)[1] if get_origin(hint) is Annotated else Rule()
            message = f"{format_path(path)} has no {name}" if path else f"{name} is missing"
            raise SchemaError((*path, name), message, rule.example)
    try:
        return form(**values)
    except SchemaError:
        raise
    except (ValueError, TypeError) as error:  # of its __post_init__
        raise SchemaError(path, f"{format_path(path)}: {error}" if path else str(error)) from error


def _read_fields(form: Any, value: object, path: KeyPath, ignore_unknown: bool) -> dict[str, Any]:  # noqa: ANN401
    form_fields = _fields(form)
    items = _mapping(value, path)
    for name in items:
        if name not in form_fields and not ignore_unknown:
            raise unknown_key_error((*path, name), list(form_fields))
    return {
        name: _read(form_fields[name][0], item, (*path, name), ignore_unknown)
        for name, item in items.items()
        if name in form_fields
    }


@cache
def _fields(form: Any) -> dict[str, tuple[Any, bool]]:  # noqa: ANN401
    """Return each field's form and whether it is required."""
    hints = get_type_hints(form, include_extras=True)
    if is_typeddict(form):
        return {name: (hint, name in form.__required_keys__) for name, hint in hints.items()}
    return {
        field.name: (hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(form)
        if field.init and not field.metadata.get("derived")
    }


def _mapping(value: object, path: KeyPath) -> Mapping[str, Any]:
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    raise mismatch_error(path, value, "a mapping")


def _list(value: object, path: KeyPath) -> list[Any] | tuple[Any, ...]:
    if isinstance(value, list | tuple):
        return value
    raise mismatch_error(path, value, "a list")
