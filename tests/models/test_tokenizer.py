from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from patina_hooks.errors import ModelError
from patina_hooks.models.files.weights import model_files
from patina_hooks.models.tokenizer import open_tokenizer
from patina_hooks.plugins.manager import Plugins


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##b", "é", "e", "[MASK]"]))
    return path


def test_a_vocabulary_is_read_as_lower_casing_word_pieces(vocabulary: Path) -> None:
    (tokens,) = open_tokenizer(vocabulary).tokenize(["A bb É"], 8)
    assert list(tokens.ids) == [2, 4, 5, 6, 8, 3]
    assert tokens.cut == 0


@pytest.mark.parametrize(("count", "cut"), [(0, 0), (1, 0), (6, 0), (7, 1), (13, 7), (1000, 994)])
def test_texts_are_cut_with_a_count_of_what_is_left_out(vocabulary: Path, count: int, cut: int) -> None:
    (tokens,) = open_tokenizer(vocabulary).tokenize(["a " * count], 8)
    assert (len(tokens.ids), tokens.cut) == (min(count, 6) + 2, cut)
    assert tokens.ids[0] == 2
    assert tokens.ids[-1] == 3


def test_padding_and_truncation_of_a_shipped_tokenizer_do_not_count(tmp_path: Path) -> None:
    files = model_files(Plugins.load().model("acme-64"), "onnx")
    shipped: dict[str, Any] = json.loads(files["tokenizer"].read_text())
    shipped["truncation"] = {
        "direction": "Left",
        "max_length": 5,
        "strategy": "LongestFirst",
        "stride": 2,
    }
    shipped["padding"] = {
        "strategy": {"Fixed": 12},
        "direction": "Left",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(shipped))
    text = "the commit of the last session"
    assert open_tokenizer(path).tokenize([text], 100) == open_tokenizer(files["tokenizer"]).tokenize(
        [text], 100
    )
    assert open_tokenizer(path).tokenize([text], 4) == open_tokenizer(files["tokenizer"]).tokenize([text], 4)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tokenizer.json", "{", "cannot be opened"),
        ("tokenizer.json", "{}", "cannot be opened"),
        ("spiece.model", "", "neither a tokenizer.json nor a vocab.txt"),
        ("vocab.txt", "a\nb\n", "cannot be opened"),
    ],
)
def test_what_is_no_tokenizer_is_an_error(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=said):
        open_tokenizer(tmp_path / name)
