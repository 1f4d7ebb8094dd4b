"""Write patina_acme/model.onnx and patina_acme/tokenizer.json: a tiny encoder with drawn weights.

    pip install onnx tokenizers numpy
    python make_model.py

One layer of self-attention over word-piece and position vectors. Nobody trained it, but texts that share
words are near each other, which is enough to see a plugin work. The same files come out every time.
"""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

FOLDER = Path(__file__).parent / "patina_acme"
DIMENSIONS = 64
MAX_TOKENS = 128
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = (
    "a add and are branch build by cache change check code commit data decide document error file find "
    "first fix for from git history hook how in index is it last make memory merge model name new not "
    "note of on open or path pattern plugin query read release remove rename run search session show "
    "slow start store test text that the this to tree type update use vector version was we what when "
    "where which why with work write"
)


def main() -> None:
    vocabulary = _vocabulary()
    FOLDER.joinpath("tokenizer.json").write_text(
        _tokenizer(vocabulary).to_str(pretty=False), encoding="utf-8"
    )
    FOLDER.joinpath("model.onnx").write_bytes(_model(len(vocabulary)).SerializeToString(deterministic=True))


def _vocabulary() -> list[str]:
    characters = string.ascii_lowercase + string.digits
    pieces = [*characters, *(f"##{character}" for character in characters), *string.punctuation]
    return list(dict.fromkeys([*SPECIAL, *pieces, *WORDS.split()]))


def _tokenizer(vocabulary: list[str]) -> Tokenizer:
    places = {piece: place for place, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(places, unk_token=SPECIAL[1]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(piece, places[piece]) for piece in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer


def _model(vocabulary: int) -> onnx.ModelProto:
    draw = np.random.default_rng(64).standard_normal
    width = np.sqrt(DIMENSIONS)
    weights = {
        "words": draw((vocabulary, DIMENSIONS)),
        "places": 0.1 * draw((MAX_TOKENS, DIMENSIONS)),
        "to_query": 2 * draw((DIMENSIONS, DIMENSIONS)) / width,
        "to_key": 2 * draw((DIMENSIONS, DIMENSIONS)) / width,
        "to_value": draw((DIMENSIONS, DIMENSIONS)) / width,
    }
    constants = {
        "scale": np.float32(1 / DIMENSIONS),
        "one": np.float32(1),
        "far": np.float32(1e9),
        "zero_index": np.array([0], np.int64),
        "one_index": np.array([1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["words", "input_ids"], ["word_vectors"]),
        node("Shape", ["input_ids"], ["length"], start=1, end=2),
        node("Slice", ["places", "zero_index", "length", "zero_index"], ["place_vectors"]),
        node("Add", ["word_vectors", "place_vectors"], ["x"]),
        node("MatMul", ["x", "to_query"], ["q"]),
        node("MatMul", ["x", "to_key"], ["k"]),
        node("MatMul", ["x", "to_value"], ["v"]),
        node("Transpose", ["k"], ["k_turned"], perm=[0, 2, 1]),
        node("MatMul", ["q", "k_turned"], ["raw_scores"]),
        node("Mul", ["raw_scores", "scale"], ["scores"]),
        node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        node("Sub", ["mask", "one"], ["absent"]),
        node("Mul", ["absent", "far"], ["penalty"]),
        node("Unsqueeze", ["penalty", "one_index"], ["row_penalty"]),
        node("Add", ["scores", "row_penalty"], ["masked_scores"]),
        node("Softmax", ["masked_scores"], ["attention"], axis=-1),
        node("MatMul", ["attention", "v"], ["seen"]),
        node("Add", ["x", "seen"], ["last_hidden_state"]),
    ]
    tokens = ["batch", "sequence"]
    graph = helper.make_graph(
        nodes,
        "acme-64",
        inputs=[
            helper.make_tensor_value_info(name, TensorProto.INT64, tokens)
            for name in ("input_ids", "attention_mask")
        ],
        outputs=[
            helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*tokens, DIMENSIONS])
        ],
        initializer=[
            numpy_helper.from_array(np.asarray(value, None if name in constants else np.float32), name)
            for name, value in {**weights, **constants}.items()
        ],
    )
    model = helper.make_model(
        graph, producer_name="patina-acme", opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    main()
