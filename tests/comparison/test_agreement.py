"""Whether two runtimes give one model's vectors: seen by embedding with each, since the cache cannot tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from evaluation.past import Past
from hypothesis import given
from hypothesis import strategies as st
from support.memory import Memory

from patina_hooks.api import Patina
from patina_hooks.evaluation.comparison.agreement import Agreement, compare_vectors
from patina_hooks.evaluation.comparison.candidates import candidates
from patina_hooks.evaluation.comparison.compare import compare_models
from patina_hooks.evaluation.comparison.conclusion import conclude
from patina_hooks.evaluation.comparison.model_comparison import Comparison
from patina_hooks.evaluation.comparison.page import page
from patina_hooks.models.encoding import normalise_rows
from patina_hooks.plugins.manager import Plugins

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors


def drawn(seed: int, rows: int = 40) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)
    return normalise_rows(vectors, "drawn")


def compared(memory: Memory, *names: str) -> Comparison:
    patina = Patina(memory.repository, Plugins.load())
    return compare_models(patina, candidates(patina, names))


def test_a_runtime_that_gives_other_vectors_is_told_loudly(past: Past, bag: None) -> None:
    made = compared(past.memory, "bag-shared@bag", "bag-shared@bag-wrong")
    first, wrong = made.rows
    assert (first.agreement, made.answered) == (None, [first])
    assert wrong.agreement is not None
    assert wrong.agreement.to == "bag-shared@bag"
    assert wrong.agreement.least < 0.9
    assert wrong.agreement.overlap < 0.9
    (told,) = conclude(made)
    assert told.startswith("WARNING: bag-shared@bag-wrong does not give the vectors of bag-shared@bag")
    assert "`patina doctor`" in told
    assert "cannot be told apart" not in "\n".join(page(made))


def test_a_runtime_that_gives_the_same_is_not_said_to_find_the_same(past: Past, bag: None) -> None:
    made = compared(past.memory, "bag-32", "bag-shared@bag", "bag-shared@bag-near", "bag-shared@bag-wrong")
    _, first, near, wrong = made.rows
    assert made.answered == list(made.rows[:2])
    assert near.agreement is not None
    assert near.agreement.to == "bag-shared@bag"
    assert 0.999 < near.agreement.least < near.agreement.mean < 1
    assert near.agreement.overlap > 0.9
    assert near.agreement.texts == made.sample
    of_first, of_near, of_wrong = conclude(made)
    assert of_first.startswith("bag-shared@bag and bag-32 cannot be told apart on ")
    assert of_near.startswith(
        "bag-shared@bag-near shares its vectors with bag-shared@bag by fingerprint: least cosine 0.99"
    )
    assert f" on {made.sample} texts; it is " in of_near
    assert of_wrong.startswith("WARNING: ")
    assert (near.embedded, near.sets, wrong.embedded, wrong.sets) == (0, (), 0, ())
    answers, _, costs = "\n".join(page(made)).partition("COSTS")
    assert first.name in answers
    assert near.name not in answers
    assert near.name in costs


def test_where_the_earlier_one_fails_the_later_one_is_asked_itself(past: Past, bag: None) -> None:
    late, near = compared(past.memory, "bag-late@bag", "bag-late@bag-near").rows
    assert late.error.endswith("the bag burst (bag_runtime.py:37)")
    assert near.agreement is not None
    assert near.embedded > 0
    assert near.sets


def test_without_questions_runtimes_are_compared_all_the_same(tmp_path: Path, bag: None) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("a first commit of one file", {"a.py": "1"})
    memory.sync()
    made = compared(memory, "bag-shared@bag", "bag-shared@bag-wrong")
    assert made.questions == 0
    (told,) = conclude(made)
    assert told.startswith("WARNING: ")


@given(st.integers(1, 60), st.integers(0, 5))
def test_vectors_agree_with_themselves(rows: int, seed: int) -> None:
    found = compare_vectors("a", drawn(seed, rows), drawn(seed, rows))
    assert (found.texts, found.overlap, found.holds) == (rows, 1.0, True)
    assert found.least == pytest.approx(1)


def test_one_text_that_differs_is_enough() -> None:
    theirs, ours = drawn(1), drawn(1)
    ours[7] = -ours[7]
    found = compare_vectors("a", theirs, ours)
    assert found.least == pytest.approx(-1)
    assert found.mean == pytest.approx(1 - 2 / 40)
    assert not found.holds
    assert 0.8 < found.overlap < 1


@pytest.mark.parametrize(("least", "holds"), [(0.9989, False), (0.9991, True)])
def test_less_than_a_thousandth_is_what_last_digits_make(least: float, holds: bool) -> None:
    assert Agreement("a", least, mean=1.0, overlap=1.0, texts=200).holds is holds


def test_a_text_without_tokens_is_the_same_everywhere() -> None:
    theirs, ours = drawn(1), drawn(1)
    theirs[3] = ours[3] = 0
    assert compare_vectors("a", theirs, ours).holds
    ours[3, 0] = 1
    assert compare_vectors("a", theirs, ours).least == 0
