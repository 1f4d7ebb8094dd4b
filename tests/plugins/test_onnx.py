from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from patina_onnx.external import check_external_data, external_names
from patina_onnx.providers import CPU, chosen_providers, log_fallback
from patina_onnx.runtime import open_model
from support import onnx_files as make

from patina_hooks.config.settings import user_file
from patina_hooks.errors import ModelError, SettingsError
from patina_hooks.models.choice import RuntimeChoice
from patina_hooks.models.encoding import Encoder
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import ModelSpec, TokenModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLE = np.arange(40, dtype=np.float32).reshape(10, 4)
SPEC = ModelSpec("tiny", dimensions=4, runtimes={}, max_tokens=8)
IDS = np.array([[2, 5, 3], [2, 3, 0]], dtype=np.int64)
MASK = np.array([[1, 1, 1], [1, 1, 0]], dtype=np.int64)


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##b", "é", "e", "[MASK]"]))
    return path


def opened(folder: Path, content: bytes, **more: Path) -> TokenModel:
    (folder / "model.onnx").write_bytes(content)
    return open_model(SPEC, {"model": folder / "model.onnx", "tokenizer": folder / "vocab.txt", **more})


def tensor() -> bytes:
    return make.tensor("table", TABLE)


def added(name: str) -> list[bytes]:
    """Nodes that add an integer input [b, s] to every row."""
    return [
        make.node("Cast", [name], ["as_float"], make.integer("to", make.FLOAT)),
        make.node(
            "Constant", [], ["axis"], make.message(1, "value_int") + make.number(3, 2) + make.number(20, 2)
        ),
        make.node("Unsqueeze", ["as_float", "axis"], ["column"]),
        make.node("Add", ["rows", "column"], ["last_hidden_state"]),
    ]


# --- inputs and outputs -------------------------------------------------------------------------


def test_a_file_that_asks_for_ids_alone_gets_ids_alone(tmp_path: Path, vocabulary: Path) -> None:
    hidden = opened(tmp_path, make.embedding(tensor(), 4)).forward(IDS, MASK)
    assert hidden.dtype == np.float32
    assert np.array_equal(hidden, TABLE[IDS])


@pytest.mark.parametrize("kind", [make.INT64, make.INT32])
@pytest.mark.parametrize(
    ("name", "fed"),
    [
        ("attention_mask", MASK),
        ("token_type_ids", np.zeros_like(IDS)),
        ("position_ids", np.array([[0, 1, 2], [0, 1, 2]])),
    ],
)
def test_inputs_are_fed_as_the_file_asks(
    tmp_path: Path, vocabulary: Path, name: str, fed: NDArray[np.int64], kind: int
) -> None:
    content = make.embedding(tensor(), 4, inputs=[make.value(name, kind, ["b", "s"])], more=added(name))
    hidden = opened(tmp_path, content).forward(IDS, MASK)
    assert np.array_equal(hidden, TABLE[IDS] + fed[:, :, None])


def test_a_decoder_export_gets_an_empty_past(tmp_path: Path, vocabulary: Path) -> None:
    past = [
        make.value(f"past_key_values.0.{part}", kind, ["b", 2, "past", 6])
        for part, kind in (("key", make.FLOAT), ("value", make.FLOAT16))
    ]
    hidden = opened(tmp_path, make.embedding(tensor(), 4, inputs=past)).forward(IDS, MASK)
    assert np.array_equal(hidden, TABLE[IDS])


def test_an_input_that_is_not_known_is_an_error(tmp_path: Path, vocabulary: Path) -> None:
    content = make.embedding(tensor(), 4, inputs=[make.value("pixel_values", make.FLOAT, ["b", "s"])])
    with pytest.raises(ModelError, match="asks for an input that patina does not know: pixel_values"):
        opened(tmp_path, content).forward(IDS, MASK)


def test_an_input_of_another_type_is_an_error(tmp_path: Path, vocabulary: Path) -> None:
    content = make.embedding(tensor(), 4, inputs=[make.value("texts", make.STRING, ["b"])])
    with pytest.raises(ModelError, match=r"needs texts as tensor\(string\)"):
        opened(tmp_path, content)


def test_the_token_vectors_are_chosen_among_outputs(tmp_path: Path, vocabulary: Path) -> None:
    nodes = [
        make.node("Gather", ["table", "input_ids"], ["last_hidden_state"]),
        make.node("Neg", ["last_hidden_state"], ["other"]),
    ]
    outputs = [make.value(name, make.FLOAT, ["b", "s", 4]) for name in ("other", "last_hidden_state")]
    ids = [make.value("input_ids", make.INT64, ["b", "s"])]
    content = make.model(make.graph(nodes, ids, outputs, [tensor()]))
    assert np.array_equal(opened(tmp_path, content).forward(IDS, MASK), TABLE[IDS])


def test_an_output_of_another_name_is_taken_if_it_has_three_axes(tmp_path: Path, vocabulary: Path) -> None:
    content = make.embedding(tensor(), 4, output="features")
    assert np.array_equal(opened(tmp_path, content).forward(IDS, MASK), TABLE[IDS])


def test_a_file_without_token_vectors_is_an_error(tmp_path: Path, vocabulary: Path) -> None:
    nodes = [make.node("Identity", ["input_ids"], ["logits"])]
    sides = [[make.value(name, make.INT64, ["b", "s"])] for name in ("input_ids", "logits")]
    with pytest.raises(ModelError, match="has no output of token vectors, only logits"):
        opened(tmp_path, make.model(make.graph(nodes, *sides)))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 40, make.embedding(tensor(), 4)[:-9]])
def test_a_damaged_file_is_an_error(tmp_path: Path, vocabulary: Path, content: bytes) -> None:
    with pytest.raises(ModelError, match=r"model\.onnx"):
        opened(tmp_path, content)


@pytest.mark.parametrize("role", ["model", "tokenizer"])
def test_a_model_without_one_of_its_files_is_an_error(tmp_path: Path, vocabulary: Path, role: str) -> None:
    files = {"model": tmp_path / "model.onnx", "tokenizer": vocabulary}
    del files[role]
    with pytest.raises(ModelError, match=f"no file for the onnx runtime: {role}"):
        open_model(SPEC, files)


# --- providers ----------------------------------------------------------------------------------


def say(text: str) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(text)


def test_the_processor_computes_unless_the_user_says_otherwise() -> None:
    assert chosen_providers(["CUDAExecutionProvider", CPU]) == [CPU]


def test_providers_come_in_the_users_order_and_the_processor_last() -> None:
    say('[runtime.onnx]\nproviders = ["coreml", "cuda"]\n')
    there = ["CUDAExecutionProvider", "CoreMLExecutionProvider", CPU]
    assert chosen_providers(there) == ["CoreMLExecutionProvider", "CUDAExecutionProvider", CPU]


def test_an_absent_provider_is_named_with_its_package_and_the_processor_computes(
    tmp_path: Path, vocabulary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    say('[runtime.onnx]\nproviders = ["cuda", "directml"]\n')
    hidden = opened(tmp_path, make.embedding(tensor(), 4)).forward(IDS, MASK)
    assert np.array_equal(hidden, TABLE[IDS])
    assert caplog.messages == [
        "the onnx runtime has no provider cuda here, only cpu: pip install onnxruntime-gpu",
        "the onnx runtime has no provider directml here, only cpu: pip install onnxruntime-directml",
    ]


def test_a_provider_that_does_not_start_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    log_fallback(["CUDAExecutionProvider", CPU], [CPU])
    assert caplog.messages == ["the provider cuda of the onnx runtime could not start: the cpu does its work"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('providers = ["gpu"]', "expected one of: cpu, coreml, cuda, directml$"),
        ("providers = [1]", r"providers\[0\]: expected one of: cpu"),
        ("providers = [[]]", r"providers\[0\]: expected one of: cpu"),
        ('providers = "cuda"', "providers: expected a list"),
        ("device = 1", "unknown key 'runtime.onnx.device'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    tmp_path: Path, vocabulary: Path, said: str, why: str
) -> None:
    say(f"[runtime.onnx]\n{said}\n")
    with pytest.raises(SettingsError, match=why):
        opened(tmp_path, make.embedding(tensor(), 4))


# --- data in other files ------------------------------------------------------------------------


def external(location: str) -> bytes:
    return make.embedding(make.external_tensor("table", TABLE, location), 4)


def test_data_beside_the_file_is_read_if_the_model_lists_it(tmp_path: Path, vocabulary: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(TABLE.tobytes())
    model = opened(tmp_path, external("weights.bin"), weights=tmp_path / "weights.bin")
    assert np.array_equal(model.forward(IDS, MASK), TABLE[IDS])


def test_data_that_the_model_does_not_list_is_refused(tmp_path: Path, vocabulary: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(TABLE.tobytes())
    with pytest.raises(ModelError, match=r"'weights\.bin' is not among the files that the model lists"):
        opened(tmp_path, external("weights.bin"))


@pytest.mark.parametrize(
    "location", ["../secret.bin", "sub/../../secret.bin", "/etc/passwd", "..\\secret.bin"]
)
def test_data_outside_the_folder_is_refused_even_if_listed(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret.bin").write_bytes(TABLE.tobytes())
    (folder / "model.onnx").write_bytes(external(location))
    with pytest.raises(ModelError, match="names data outside its folder"):
        check_external_data(folder / "model.onnx", [tmp_path / "secret.bin", Path("/etc/passwd")])


def test_data_behind_a_link_is_read_only_when_the_model_lists_it(tmp_path: Path, vocabulary: Path) -> None:
    """A hub's cache consists of links."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "blob").write_bytes(TABLE.tobytes())
    (folder / "weights.bin").symlink_to(tmp_path / "blob")
    (tmp_path / "graph").write_bytes(external("weights.bin"))
    (folder / "model.onnx").symlink_to(tmp_path / "graph")
    files = {"model": folder / "model.onnx", "tokenizer": tmp_path / "vocab.txt"}
    with pytest.raises(ModelError, match="is not among the files that the model lists"):
        open_model(SPEC, files)
    model = open_model(SPEC, {**files, "data": folder / "weights.bin"})
    assert np.array_equal(model.forward(IDS, MASK), TABLE[IDS])


OUTSIDE = make.external_tensor("table", TABLE, "../x")
INNER = make.message(5, OUTSIDE)  # a graph with that initializer


@pytest.mark.parametrize(
    "content",
    [
        make.message(7, INNER),
        make.message(7, make.message(15, make.message(1, OUTSIDE))),
        make.message(7, make.message(15, make.message(2, OUTSIDE))),
        make.message(7, make.message(1, make.message(5, make.message(5, OUTSIDE)))),
        make.message(7, make.message(1, make.message(5, make.message(10, OUTSIDE)))),
        make.message(7, make.message(1, make.message(5, make.message(6, INNER)))),
        make.message(7, make.message(1, make.message(5, make.message(11, INNER)))),
        make.message(7, make.message(1, make.message(5, make.message(22, make.message(1, OUTSIDE))))),
        make.message(7, make.message(1, make.message(5, make.message(23, make.message(2, OUTSIDE))))),
        make.message(20, make.message(1, INNER)),
        make.message(25, make.message(7, make.message(5, make.message(5, OUTSIDE)))),
        make.message(7, INNER) + make.message(7, b""),
    ],
)
def test_data_is_found_wherever_a_tensor_can_stand(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(make.number(1, 8) + content)
    assert external_names(path) == ["../x"]


def test_the_last_location_of_a_tensor_is_not_the_only_one_read(tmp_path: Path) -> None:
    entries = [
        make.message(13, make.message(1, "location") + make.message(2, name)) for name in ("../x", "y")
    ]
    (tmp_path / "model.onnx").write_bytes(make.message(7, make.message(5, b"".join(entries))))
    assert external_names(tmp_path / "model.onnx") == ["../x", "y"]


def test_graphs_nested_without_end_are_refused(tmp_path: Path) -> None:
    content = INNER
    for _ in range(200):
        content = make.message(1, make.message(5, make.message(6, content)))
    (tmp_path / "model.onnx").write_bytes(make.message(7, content))
    with pytest.raises(ModelError, match="nested too deeply"):
        external_names(tmp_path / "model.onnx")


# --- whole --------------------------------------------------------------------------------------


def test_a_tiny_file_encodes(tmp_path: Path, vocabulary: Path) -> None:
    model = opened(tmp_path, make.embedding(tensor(), 4))
    encoded = Encoder(SPEC, RuntimeChoice("onnx", ""), "f" * 32, model).encode(["a", "a b"], role="query")
    expected = TABLE[[2, 4, 3]].mean(axis=0)
    np.testing.assert_allclose(encoded.vectors[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_the_plugin_says_what_it_needs() -> None:
    runtime = Plugins.load().runtime("onnx")
    assert runtime.modules == ("onnxruntime", "tokenizers")
    assert sys.modules["patina_onnx"].__doc__
