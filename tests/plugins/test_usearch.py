"""patina-usearch: a graph proposes, whole vectors score, and that holds whatever happened before."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings
from patina_usearch.index import GraphIndex
from support.dictionary import (
    DIMENSIONS,
    SETTINGS,
    LikeADictionary,
    Row,
    found,
    is_scored_exactly,
)

from patina_hooks.errors import IndexDamaged
from patina_hooks.plugins.manager import Plugins, open_callable
from patina_hooks.search.index.exact import ExactIndex
from patina_hooks.testing.random_vectors import draw_questions, draw_rows, key, to_arrays

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Keys, Vectors
    from patina_hooks.testing.random_vectors import Rows

LENGTH, MANY = 32, 3_000


def open_graphs(folder: Path) -> GraphIndex:
    return GraphIndex(folder, LENGTH, "f", least=1_000, segment_rows=400, proposals=60)


def open_tiny(folder: Path) -> GraphIndex:
    return GraphIndex(folder, DIMENSIONS, "f", least=8, segment_rows=4, proposals=1)


class GraphsAreLikeADictionary(LikeADictionary):
    def opener(self, folder: Path) -> GraphIndex:
        return open_tiny(folder)

    def agrees(self, query: Row, limit: int, allowed: frozenset[bytes] | None) -> None:
        answer = found(self.index, query, limit, allowed)
        assert is_scored_exactly(self.model, query, limit, allowed, answer)


TestLikeADictionary = GraphsAreLikeADictionary.TestCase
TestLikeADictionary.settings = settings(SETTINGS, max_examples=25)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return draw_rows(range(MANY), LENGTH)


@pytest.fixture
def index(rows: Rows, tmp_path: Path) -> GraphIndex:
    index = open_graphs(tmp_path / "graphs")
    index.upsert(*to_arrays(rows))
    return index


def graphs(index: GraphIndex) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in index._folder.glob("*.usearch")}


def recall(rows: Rows, index: GraphIndex, tmp_path: Path, allowed: frozenset[bytes] | None = None) -> float:
    """Of the exact index's ten best; every score must be the exact one."""
    exact = ExactIndex(tmp_path / "exact", LENGTH, "f")
    exact.rebuild(*to_arrays(rows))
    hits = wanted = 0
    for question in draw_questions(rows):
        scores = dict(exact.search(question, len(rows), allowed))
        answer = dict(index.search(question, 10, allowed))
        assert all(scores[one] == score for one, score in answer.items())
        assert len(answer) == min(10, len(scores))
        hits += len(answer.keys() & set(list(scores)[:10]))
        wanted += len(answer)
    return hits / wanted


def test_a_recipe_can_name_it() -> None:
    spec = Plugins.load().index_backend("usearch")
    assert spec.approximate
    assert open_callable(spec.factory) is GraphIndex


def test_the_best_are_found_with_the_scores_of_the_exact_scan(
    rows: Rows, index: GraphIndex, tmp_path: Path
) -> None:
    assert len(graphs(index)) == 1
    assert recall(rows, index, tmp_path) >= 0.95


def test_what_was_written_lately_is_scanned_exactly(rows: Rows, index: GraphIndex, tmp_path: Path) -> None:
    before = graphs(index)
    newer = draw_rows(range(MANY, MANY + 300), LENGTH)
    for start in range(0, 300, 100):
        index.upsert(*to_arrays({one: newer[one] for one in list(newer)[start : start + 100]}))
    assert graphs(index) == before
    for one, vector in newer.items():
        assert one in dict(index.search(vector, 1))
    assert recall({**rows, **newer}, index, tmp_path) >= 0.95


def test_what_was_replaced_or_removed_is_dead_at_once(rows: Rows, index: GraphIndex, tmp_path: Path) -> None:
    before = graphs(index)
    changed = draw_rows(range(0, 200), LENGTH, seed=1)
    gone = [key(number) for number in range(200, 400)]
    index.upsert(*to_arrays(changed))
    index.remove(gone)
    assert graphs(index) == before
    left = {one: vector for one, vector in {**rows, **changed}.items() if one not in set(gone)}
    for one in gone:
        assert one not in dict(index.search(rows[one], 50))
    assert recall(left, index, tmp_path) >= 0.95


@pytest.mark.parametrize("many", [3, 300, 1_500, 2_900])
def test_of_the_allowed_the_best_are_found_however_few(
    rows: Rows, index: GraphIndex, tmp_path: Path, many: int
) -> None:
    assert recall(rows, index, tmp_path, frozenset(list(rows)[:many])) >= 0.95


def test_enough_new_ones_are_merged_into_a_graph(rows: Rows, index: GraphIndex) -> None:
    index.upsert(*to_arrays(draw_rows(range(MANY, 3 * MANY), LENGTH)))
    (name,) = graphs(index)
    assert index.stats().files == 2
    assert index.stats().rows == 3 * MANY
    assert name in {path.name for path in index._folder.iterdir()}


def test_below_its_size_there_is_no_graph_and_every_answer_is_the_exact_index_s(
    rows: Rows, tmp_path: Path
) -> None:
    index = GraphIndex(tmp_path / "graphs", LENGTH, "f")
    exact = ExactIndex(tmp_path / "exact", LENGTH, "f")
    for one in (index, exact):
        one.upsert(*to_arrays(rows))
        one.remove([key(5)])
    assert not graphs(index)
    for question in draw_questions(rows):
        assert index.search(question, 10) == exact.search(question, 10)


def test_a_graph_is_no_longer_asked_when_the_index_has_shrunk(rows: Rows, index: GraphIndex) -> None:
    (path,) = index._folder.glob("*.usearch")
    few = {one: rows[one] for one in list(rows)[:900]}
    index.rebuild(*to_arrays(few))
    assert not path.exists()
    assert not graphs(index)


def test_a_graph_follows_from_its_rows_alone(rows: Rows, index: GraphIndex, tmp_path: Path) -> None:
    """In another process, and after other rows came and went, too."""
    winding = open_graphs(tmp_path / "winding")
    winding.upsert(*to_arrays(draw_rows(range(MANY + 500), LENGTH, seed=1)))
    winding.remove([key(number) for number in range(MANY, MANY + 500)])
    winding.upsert(*to_arrays(rows))
    assert winding.stats().files == 2
    assert graphs(winding) == graphs(index)
    folder = tmp_path / "elsewhere"
    code = (
        "from pathlib import Path; from patina_usearch.index import GraphIndex;"
        "from patina_hooks.testing.random_vectors import to_arrays, draw_rows;"
        f"index = GraphIndex(Path({str(folder)!r}), {LENGTH}, 'f', least=1_000, segment_rows=400);"
        f"index.rebuild(*to_arrays(draw_rows(range({MANY}), {LENGTH})))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert graphs(open_graphs(folder)) == graphs(index)


def test_by_another_way_scores_are_the_same_and_nearly_all_rows(
    rows: Rows, index: GraphIndex, tmp_path: Path
) -> None:
    """What holds of an index with graphs in place of "equal to a rebuild"."""
    pieces = open_graphs(tmp_path / "pieces")
    keys = sorted(rows, reverse=True)
    for start in range(0, MANY, 450):
        pieces.upsert(*to_arrays({one: rows[one] for one in keys[start : start + 450]}))
    assert len(graphs(pieces)) > 1
    shared = 0
    for question in draw_questions(rows):
        one, other = dict(index.search(question, 10)), dict(pieces.search(question, 10))
        both = one.keys() & other.keys()
        assert {one[name] for name in both} == {other[name] for name in both}
        shared += len(both)
    assert shared >= 0.95 * 10 * len(draw_questions(rows))


@pytest.mark.parametrize(
    "order", [("patina_usearch.index", "onnxruntime"), ("onnxruntime", "patina_usearch.index")]
)
def test_it_and_a_runtime_live_in_one_process(order: tuple[str, str]) -> None:
    subprocess.run([sys.executable, "-c", f"import {order[0]}, {order[1]}, tokenizers"], check=True)


def test_a_graph_that_was_altered_is_damage_and_never_opened(index: GraphIndex) -> None:
    (path,) = index._folder.glob("*.usearch")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexDamaged, match=r"\.usearch: altered since it was written"):
        open_graphs(index._folder)


ASK = """
import sys
from pathlib import Path
from patina_usearch.index import GraphIndex
from patina_hooks.testing.random_vectors import draw_rows, draw_questions
index = GraphIndex(Path(sys.argv[1]), 32, "f", least=1_000, segment_rows=400, proposals=60)
for question in draw_questions(draw_rows(range(3_000), 32)):
    index.search(question, 10)
"""


def scramble(path: Path) -> None:
    """Other bytes in the same file, of the same size and time."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 3 :] = np.random.default_rng(0).bytes(len(data) - len(data) // 3)
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def made_to_fit(folder: Path) -> None:
    """The manifest rewritten to what the files are now, as a stranger could who knows the format."""
    said = json.loads((folder / "manifest.json").read_bytes())
    del said["crc"]
    for segment in said["segments"]:
        beside = segment["sidecar"]
        beside["sha256"] = hashlib.sha256((folder / beside["file"]).read_bytes()).hexdigest()
        for file, time in ((segment, "st_mtime_ns"), (beside, "st_ctime_ns")):
            stat = (folder / file["file"]).stat()
            file |= {"inode": stat.st_ino, "changed": getattr(stat, time)}
    crc = zlib.crc32(json.dumps(said).encode())
    (folder / "manifest.json").write_text(json.dumps({**said, "crc": crc}))


def asked_elsewhere(folder: Path) -> int:
    """The exit code of a process that asks: less than 0 where a signal ended it."""
    return subprocess.run(
        [sys.executable, "-c", ASK, str(folder)], check=False, capture_output=True
    ).returncode


def test_a_graph_that_was_damaged_and_given_its_old_time_is_damage(index: GraphIndex) -> None:
    (path,) = index._folder.glob("*.usearch")
    scramble(path)
    assert asked_elsewhere(index._folder) == 1
    with pytest.raises(IndexDamaged, match=r"\.usearch: altered since it was written"):
        open_graphs(index._folder)


def test_a_stranger_s_graph_never_reaches_native_code(rows: Rows, index: GraphIndex, tmp_path: Path) -> None:
    """Whatever the manifest says that came with it: answers are the exact scan's until it is made anew."""
    whole = graphs(index)
    (path,) = index._folder.glob("*.usearch")
    scramble(path)
    made_to_fit(index._folder)
    assert asked_elsewhere(index._folder) == 0
    theirs, exact = open_graphs(index._folder), ExactIndex(tmp_path / "exact", LENGTH, "f")
    exact.rebuild(*to_arrays(rows))
    for question in draw_questions(rows):
        assert theirs.search(question, 10) == exact.search(question, 10)
    theirs.verify()
    theirs.upsert(*to_arrays(draw_rows(range(MANY, MANY + 1), LENGTH)))
    assert graphs(theirs) == whole
    assert asked_elsewhere(index._folder) == 0


def test_a_copied_graph_is_still_this_machine_s(
    index: GraphIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And another's where its key is not, or none can be kept."""
    shutil.copytree(index._folder, tmp_path / "copy")
    assert open_graphs(tmp_path / "copy").stats().files == 2
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert open_graphs(tmp_path / "copy").stats().files == 1
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    keyless = open_graphs(tmp_path / "copy")
    keyless.upsert(*to_arrays(draw_rows(range(MANY, MANY + 1), LENGTH)))
    assert not graphs(keyless)


def test_a_graph_of_another_make_is_left_aside_until_the_next_write(
    index: GraphIndex, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written whole, but by a usearch that this one does not understand."""
    whole, exact = graphs(index), ExactIndex(tmp_path / "exact", LENGTH, "f")
    exact.rebuild(*to_arrays(rows))
    with monkeypatch.context() as patch:
        patch.setattr(GraphIndex, "_make_sidecar", lambda *_: b"a graph of another day" * 100)
        index.rebuild(*to_arrays(rows))
    theirs = open_graphs(index._folder)
    theirs.verify()
    for question in draw_questions(rows):
        assert theirs.search(question, 10) == exact.search(question, 10)
    theirs.upsert(*to_arrays(draw_rows(range(MANY, MANY + 1), LENGTH)))
    assert graphs(theirs) == whole
    assert open_graphs(index._folder).stats().files == 3


@pytest.mark.parametrize("place", [0, 7, 100])
def test_what_lies_near_many_equal_vectors_is_found(rows: Rows, tmp_path: Path, place: int) -> None:
    """In a graph, the equal ones would all be each other's neighbours, and many a neighbour nobody's."""
    keys, vectors = to_arrays(rows)
    equal = {key(MANY + number): vectors[place] for number in range(300)}
    index = open_graphs(tmp_path / "graphs")
    index.upsert(*to_arrays({**rows, **equal}))
    assert len(graphs(index)) == 1
    near = np.argsort(-(vectors @ vectors[place]))[1:101]
    assert all(keys[row] in dict(index.search(vectors[row], 60)) for row in near)
    index.remove([keys[place]])
    found = [one for one, _ in index.search(vectors[place], 20)]
    assert found == sorted(equal)[:20], "the one of them that the graph knows is dead"


def test_where_a_graph_proposes_too_few_that_are_allowed_all_are_looked_at(tmp_path: Path) -> None:
    """The allowed lie far from the question, and a graph that knows no filter proposes none of them."""
    index = open_graphs(tmp_path / "graphs")
    many = draw_rows(range(6_000), LENGTH)
    index.upsert(*to_arrays(many))
    keys, vectors = to_arrays(many)
    far = np.argsort(vectors @ vectors[0])[:900]
    allowed = frozenset(keys[place] for place in far)
    exact = ExactIndex(tmp_path / "exact", LENGTH, "f")
    exact.rebuild(keys, vectors)
    assert index.search(vectors[0], 10, allowed) == exact.search(vectors[0], 10, allowed)


def test_zero_vectors_and_questions_score_zero(index: GraphIndex, rows: Rows) -> None:
    assert {score for _, score in index.search(np.zeros(LENGTH, np.float32), 5)} == {0.0}
    nothing = {key(9_000 + number): np.zeros(LENGTH, np.float32) for number in range(2 * MANY)}
    index.upsert(*to_arrays(nothing))
    for question in draw_questions(rows):
        assert index.search(question, 1)[0][1] > 0.5


# --- cost of graphs ---


def open_small_segments(folder: Path) -> GraphIndex:
    return GraphIndex(folder, LENGTH, "f", least=1_000, segment_rows=200, most=400, proposals=60)


def test_rows_enter_a_graph_about_once_when_an_index_is_filled_in_chunks(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    make = GraphIndex._make_sidecar

    def count_rows(self: GraphIndex, keys: Keys, vectors: Vectors) -> bytes | bytearray:
        built.append(len(keys))
        return make(self, keys, vectors)

    monkeypatch.setattr(GraphIndex, "_make_sidecar", count_rows)
    index = open_small_segments(tmp_path / "graphs")
    keys, vectors = to_arrays(rows)
    for start in range(0, MANY, 50):
        index.upsert(keys[start : start + 50], vectors[start : start + 50])
    assert index.keys() == frozenset(keys)
    assert max(built) <= 400
    assert sum(built) <= 1.2 * MANY
    assert recall(rows, index, tmp_path) >= 0.95


def test_graphs_are_built_in_turns_when_many_are_due(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patina_usearch.index._MOST_BUILT", 800)
    turns = 0
    open_small_segments(tmp_path / "graphs").upsert(*to_arrays(rows))
    while (index := open_small_segments(tmp_path / "graphs")).tend():
        turns += 1
        assert len(graphs(index)) <= 2 * (turns + 1)
    assert turns >= 2
    assert len(graphs(index)) == len(list(index._folder.glob("*.vectors")))
    generation = index.stats().generation
    assert not index.tend()
    assert index.stats().generation == generation
    assert recall(rows, index, tmp_path) >= 0.95
