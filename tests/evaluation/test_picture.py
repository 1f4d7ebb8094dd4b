"""Pictures: sound XML, safe texts, bars and curves where the numbers say."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patina_hooks.evaluation.charts import Bar, Curve, Group, render_bars, render_curves

SVG = "{http://www.w3.org/2000/svg}"
numbers = st.floats(-1e6, 1e6) | st.sampled_from([float("nan"), float("inf"), 0.0])
texts = st.text(max_size=30)


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 (made here)


def texts_of(picture: str) -> list[str]:
    return [text.text or "" for text in parsed(picture).iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_values_and_name_them() -> None:
    groups = [
        Group("context", (Bar("hybrid", 0.8, 0.7, 0.9), Bar("bm25", 0.4))),
        Group("goal", (Bar("hybrid", 0.2),)),
    ]
    picture = render_bars("MRR@10", groups, note="on 10 questions")
    root = parsed(picture)
    drawn = [rect for rect in root.iter(f"{SVG}rect") if rect.get("x")]
    widths = [float(rect.get("width", "")) for rect in drawn]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert widths[1] == pytest.approx(2 * widths[2], abs=0.2)
    assert drawn[0].get("fill") == drawn[2].get("fill") != drawn[1].get("fill")
    said = texts_of(picture)
    for text in ("MRR@10", "on 10 questions", "context", "goal", "hybrid", "0.800 (0.70..0.90)", "0.400"):
        assert text in said


def test_a_loss_is_drawn_to_the_left_of_zero() -> None:
    root = parsed(render_bars("gain", [Group("all", (Bar("mlp", -0.2), Bar("whitening", 0.1)))]))
    loss, gain = (rect for rect in root.iter(f"{SVG}rect") if rect.get("x"))
    end = float(loss.get("x", "")) + float(loss.get("width", ""))
    assert end == pytest.approx(float(gain.get("x", "")), abs=0.2)


def test_a_curve_goes_through_its_points() -> None:
    falling = Curve("train", ((1, 1.0), (2, 0.5), (3, 0.25)))
    picture = render_curves("loss", [falling, Curve("held", ((1, 0.9),))], x_name="epoch", y_name="InfoNCE")
    root = parsed(picture)
    (drawn,) = root.iter(f"{SVG}polyline")
    places = [tuple(map(float, point.split(","))) for point in drawn.get("points", "").split()]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted(y for _, y in places), "further down is less"
    assert len(list(root.iter(f"{SVG}circle"))) == 1
    assert {"epoch", "InfoNCE", "train", "held", "loss"} <= set(texts_of(picture))


def test_texts_of_a_repository_are_escaped() -> None:
    hostile = '</text><script>alert("x")</script>\x1b[2J\u202e&'
    for picture in (
        render_bars(hostile, [Group(hostile, (Bar(hostile, 0.5),))], note=hostile),
        render_curves(
            hostile, [Curve(hostile, ((0, 0), (1, 1)))], x_name=hostile, y_name=hostile, note=hostile
        ),
    ):
        assert "<script" not in picture
        assert not {"\x1b", "\u202e"} & set(picture)
        assert '</text><script>alert("x")</script>[2J&' in texts_of(picture)


@settings(deadline=None)
@given(
    st.lists(st.tuples(texts, numbers, st.none() | numbers, st.none() | numbers), max_size=5),
    st.lists(st.tuples(texts, st.lists(st.tuples(numbers, numbers), max_size=6)), max_size=4),
)
def test_whatever_the_numbers_it_is_a_picture(
    figures: list[tuple[str, float, float | None, float | None]],
    lines: list[tuple[str, list[tuple[float, float]]]],
) -> None:
    drawn = render_bars("title", [Group("group", tuple(Bar(*figure) for figure in figures))])
    curved = render_curves(
        "title", [Curve(name, tuple(points)) for name, points in lines], x_name="x", y_name="y"
    )
    for picture in (drawn, curved):
        places = " ".join(value for element in parsed(picture).iter() for value in element.attrib.values())
        assert "nan" not in places
        assert "inf" not in places
