"""Data of users and repositories is read by one layer: valid, or refused with the key that is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patina_hooks.config.locations import find_key_line
from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import Rule, SchemaError, read_fields, read_list, read_mapping, read_value


@dataclass(frozen=True, slots=True)
class Inner:
    size: Annotated[int, Rule(least=1, most=9, example="3")]
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Outer:
    name: Annotated[str, Rule("a name", pattern="[a-z]+")]
    mode: Literal["fast", "slow"] = "fast"
    is_on: bool = False
    inner: Inner | None = None
    parts: tuple[Inner, ...] = ()
    step: tuple[int, float, float | None] = (0, 0.0, None)
    counts: Mapping[str, int] | None = None
    widths: Annotated[
        tuple[Annotated[int, Rule(least=1)], ...], Rule("2 or 3 widths", shortest=2, longest=3)
    ] = (1, 1)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
OUTERS = st.builds(
    Outer,
    name=st.from_regex("[a-z]+", fullmatch=True),
    mode=st.sampled_from(["fast", "slow"]),
    is_on=st.booleans(),
    inner=st.none() | st.builds(Inner, size=st.integers(1, 9), share=st.none() | st.floats(0, 1)),
    parts=st.lists(st.builds(Inner, size=st.integers(1, 9)), max_size=3).map(tuple),
    step=st.tuples(st.integers(), st.floats(0, 1), st.none() | st.floats(0, 1)),
    counts=st.none() | st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    widths=st.lists(st.integers(1, 99), min_size=2, max_size=3).map(tuple),
)


def refusal(form: type[object], value: object) -> SchemaError | None:
    try:
        assert isinstance(read_value(form, value), form)
    except SchemaError as error:
        return error
    return None


@given(VALUES)
def test_any_value_is_read_or_refused(value: object) -> None:
    for form in (Outer, Inner):
        error = refusal(form, value)
        assert error is None or str(error)


@given(OUTERS, st.sampled_from(list(Outer.__dataclass_fields__)), VALUES)
def test_a_record_with_one_odd_field_is_read_or_refused_at_that_field(
    outer: Outer, name: str, value: object
) -> None:
    error = refusal(Outer, {**asdict(outer), name: value})
    assert error is None or (error.path[0] == name and name in str(error))


@given(OUTERS)
def test_what_was_written_is_read_back(outer: Outer) -> None:
    assert read_value(Outer, parse_json(json.dumps(asdict(outer)))) == outer


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "name is missing"),
        ([], "expected a mapping"),
        ({"name": "x", "nmae": 1}, "unknown key 'nmae'; expected one of: name, mode, is_on"),
        ({"name": "X"}, "name is 'X', expected a name"),
        ({"name": "x", "mode": "odd"}, "mode is 'odd', expected one of: fast, slow"),
        ({"name": "x", "is_on": 1}, "is_on is 1, expected true or false"),
        ({"name": "x", "inner": {"size": 0}}, "inner.size is 0, expected a whole number from 1 to 9"),
        ({"name": "x", "inner": {"size": True}}, "inner.size is True, expected a whole number from 1 to 9"),
        ({"name": "x", "inner": {"size": 1, "share": float("nan")}}, "inner.share is nan, expected a number"),
        ({"name": "x", "inner": {"size": 1, "share": 10**400}}, "expected a number"),
        ({"name": "x", "parts": [{"size": 1}, {"size": "1"}]}, "parts[1].size is '1', expected a whole"),
        ({"name": "x", "widths": [1]}, "widths is [1], expected 2 or 3 widths"),
        ({"name": "x", "widths": [1, 0]}, "widths is [1, 0], expected 2 or 3 widths"),
        ({"name": "x", "step": [1, 2]}, "step is [1, 2], expected a list of 3"),
        ({"name": "x", "counts": {"a": "1"}}, "counts.a is '1', expected a whole number"),
    ],
)
def test_the_error_names_key_value_and_what_is_expected(value: object, message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        read_value(Outer, value)
    assert message in str(caught.value)


def test_the_error_says_where_and_what_to_write() -> None:
    with pytest.raises(SchemaError) as caught:
        read_value(Inner, {"size": 0}, ("inner",))
    expected = "x.toml:7: inner.size is 0, expected a whole number from 1 to 9; write: size = 3"
    assert caught.value.explain("x.toml", 7) == expected


def test_unknown_keys_are_ignored_where_the_reader_says_so() -> None:
    assert read_value(Inner, {"size": 1, "later": 2}, ignore_unknown=True) == Inner(1)


def test_only_stated_fields_are_read_without_their_defaults() -> None:
    assert read_fields(Outer, {"mode": "slow"}) == {"mode": "slow"}


@given(VALUES)
def test_lists_and_mappings_hold_only_their_form(value: Any) -> None:  # noqa: ANN401
    try:
        assert all(isinstance(item, str) for item in read_list(str, value))
    except SchemaError:
        assert not isinstance(value, list) or not all(isinstance(item, str) for item in value)
    try:
        assert all(type(item) is int for item in read_mapping(int, value).values())
    except SchemaError:
        assert not isinstance(value, dict) or not all(type(item) is int for item in value.values())


TOML = """
top = 1
[a]
x = 1
"y z" = 2
[a.b.'c/d']
x = 3
e.f = 4
[[lists]]
x = 5
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2), (("a",), 3), (("a", "x"), 4), (("a", "y z"), 5), (("a", "b", "c/d", "x"), 7),
        (("a", "b", "c/d", "e", "f"), 8), (("a", "b", "c/d", "e", "f", "g"), 8), (("a", "absent"), 3),
        (("lists", 0, "x"), 9), (("absent",), 1), ((), 1),
    ],
)  # fmt: skip
def test_a_key_of_a_toml_text_has_its_line(path: tuple[str, ...], line: int) -> None:
    assert find_key_line(TOML, path) == line


@given(st.text(max_size=99), st.lists(st.text(max_size=5), max_size=3).map(tuple))
def test_any_text_has_a_line_for_any_key(text: str, path: tuple[str, ...]) -> None:
    assert 1 <= find_key_line(text, path) <= max(1, len(text.splitlines()))
