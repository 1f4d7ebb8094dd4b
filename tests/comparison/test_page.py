"""A comparison for eyes: names from elsewhere are made safe, and a model has one colour throughout."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from comparison.compared import comparison, failed, row, shared

from patina_hooks.evaluation.comparison.page import page, render_chart

VALUES = [0.5, 0.2, 1.0, 0.0] * 15
SVG = "{http://www.w3.org/2000/svg}"


def test_columns_stand_below_each_other() -> None:
    lines = list(page(comparison(row("a", VALUES), row("a-long-name", VALUES), failed("gone"))))
    costs = next(place for place, line in enumerate(lines) if line.startswith("COSTS"))
    heading, first, second = lines[costs + 1 : costs + 4]
    for word, value in (("runtime", "onnx"), ("texts/s", "100"), ("cold start", "0.50 s")):
        assert heading.index(word) == first.index(value) == second.index(value)
    assert lines[lines.index("NOT COMPARED, since they cannot run here") + 1 :][:2] == [
        "  gone: its files are absent",
        "    try: patina models pull gone",
    ]


def test_every_difference_that_is_shown_is_counted() -> None:
    for others in (1, 2):
        made = comparison(
            row("a", VALUES), shared("a@mlx", "a"), *(row(f"b{n}", VALUES) for n in range(others))
        )
        *lines, last = page(made)
        shown = sum(len(re.findall(r"[+-]0\.000 \(", line)) for line in lines if line.startswith("  "))
        assert shown == 7 * others
        assert last.startswith(f"The tables show {shown} differences, ")
    assert last.endswith("of 2 models above has intervals of 97.5 %, so that it holds together.")


def test_the_same_files_have_a_table_of_their_own() -> None:
    lines = list(page(comparison(row("a", VALUES), shared("a@mlx", "a", 0.99987))))
    place = next(place for place, line in enumerate(lines) if line.startswith("THE SAME FILES"))
    assert lines[place + 2].split() == ["a@mlx", "a", "200", "0.99987", "1.00000", "100.0%"]
    assert lines[-1].startswith("a@mlx shares its vectors with a by fingerprint: least cosine 0.99987 on 200")
    assert "difference" not in "".join(lines)


def test_what_a_plugin_calls_itself_cannot_write_to_the_terminal() -> None:
    hostile = "evil\x1b[2J\u202e"
    made = comparison(row("a", VALUES), row(hostile, VALUES), failed(hostile + "x"))
    text = "\n".join(page(made))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_model_has_one_colour_in_all_pictures() -> None:
    long = ("nomic-embed-text-v1.5@onnx/int8", "nomic-embed-text-v1.5@onnx")
    made = comparison(row("a", VALUES), shared("a@mlx", "a"), *(row(name, VALUES) for name in long))
    root = ET.fromstring(render_chart(made))  # noqa: S314 (just made)
    pictures = list(root.iter(f"{SVG}svg"))[1:]
    assert len(pictures) == 5
    colours: dict[str, set[str]] = {}
    for one in pictures:
        labels = [text.text or "" for text in one.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
        bars = [bar.get("fill", "") for bar in one.iter(f"{SVG}rect") if bar.get("fill") != "white"]
        for label, colour in zip(labels, bars, strict=True):
            colours.setdefault(label, set()).add(colour)
    assert [len(each) for each in colours.values()] == [1, 1, 1, 1]
    assert all("..." in label for label in list(colours)[1:3])


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (
            [f"qwen3-embedding-{size}@mlx/4bit" for size in ("0.6b", "4b", "8b")],
            ["qwen3-...6b@mlx/4bit", "qwen3-...4b@mlx/4bit", "qwen3-...8b@mlx/4bit"],
        ),
        ([f"{middle:-^60}" for middle in "abc"], [f"{place} -------...--------" for place in (1, 2, 3)]),
        (["a", "a\u202e", "a-name-of-more-than-twenty"], ["1 a", "2 a", "3 a-name-...n-twenty"]),
    ],
)
def test_what_is_drawn_has_a_label_and_a_colour_of_its_own(names: list[str], labels: list[str]) -> None:
    root = ET.fromstring(render_chart(comparison(*(row(name, VALUES) for name in names))))  # noqa: S314 (just made)
    for one in list(root.iter(f"{SVG}svg"))[-3:]:
        drawn = [text.text or "" for text in one.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
        colours = {bar.get("fill") for bar in one.iter(f"{SVG}rect") if bar.get("fill") != "white"}
        assert (drawn, len(colours)) == (labels, 3)


def test_without_questions_costs_are_drawn_all_the_same() -> None:
    said = ET.fromstring(render_chart(comparison(row("a", []))))  # noqa: S314 (just made)
    titles = [title.text for title in said.iter(f"{SVG}title")]
    assert titles == [
        "Milliseconds a text",
        "Cold start to the first vector, seconds",
        "Peak memory, gigabytes",
    ]
