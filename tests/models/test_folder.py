"""A folder's files, as they are published or saved, and the entry that describes them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from patina_export.write import export_onnx
from support.tiny_models import ARCHITECTURES, Architecture, make_twin

from patina_hooks.errors import ModelError, SettingsError
from patina_hooks.models.catalog.entry import add_model
from patina_hooks.models.catalog.user import user_models, user_models_file
from patina_hooks.models.encoding import open_encoder
from patina_hooks.models.files.folder import describe_folder
from patina_hooks.models.files.weights import model_files
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import LocalFile, ModelSpec
from patina_hooks.testing import run_contract

MODULES = [
    {"type": f"sentence_transformers.models.{kind}", "path": path}
    for kind, path in (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A BERT as sentence-transformers saves it."""
    twin = make_twin("bert", tmp_path / "model")
    folder = twin.config.parent
    put(folder, "modules.json", MODULES)
    put(folder, "1_Pooling/config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    put(folder, "sentence_bert_config.json", {"max_seq_length": 40, "do_lower_case": False})
    put(
        folder, "config_sentence_transformers.json", {"prompts": {"query": "query: ", "passage": "passage: "}}
    )
    return folder


def put(folder: Path, name: str, content: object) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def test_everything_that_the_folder_says_is_taken(folder: Path) -> None:
    spec = describe_folder(folder, "mine")
    assert (spec.dimensions, spec.max_tokens, spec.pooling) == (32, 40, "cls")
    assert (spec.query_prefix, spec.passage_prefix) == ("query: ", "passage: ")
    assert set(spec.runtimes) == {"torch", "mlx"}
    assert model_files(spec, "torch") == {
        "model": folder / "model.safetensors",
        "config": folder / "config.json",
        "tokenizer": folder / "tokenizer.json",
    }
    assert all(isinstance(file, LocalFile) and file.sha256 for file in spec.runtimes["torch"].values())


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_in_both_forms(architecture: Architecture, saved: bool, tmp_path: Path) -> None:
    twin = make_twin(architecture, tmp_path, as_saved_by_transformers=saved)
    spec = describe_folder(tmp_path, "mine", "mean")
    assert (spec.dimensions, set(spec.runtimes)) == (twin.dimensions, {"torch", "mlx"})


def test_a_file_that_changes_later_is_refused(folder: Path) -> None:
    spec = describe_folder(folder, "mine")
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json is not the file that was named:"):
        model_files(spec, "mlx")


def test_an_onnx_file_with_its_data_and_shards(folder: Path) -> None:
    (folder / "onnx").mkdir()
    for name in ("model.onnx", "model.onnx_data", "model.onnx_data_1", "model_fp16.onnx"):
        (folder / "onnx" / name).write_bytes(name.encode())
    for number in (1, 2):
        (folder / f"model-{number}-of-2.safetensors").write_bytes(b"x")
    (folder / "model.safetensors").unlink()
    put(
        folder,
        "model.safetensors.index.json",
        {"weight_map": {"b": "model-2-of-2.safetensors", "a": "model-1-of-2.safetensors"}},
    )
    spec = describe_folder(folder, "mine")
    names = {
        runtime: {role: path.name for role, path in model_files(spec, runtime).items()}
        for runtime in spec.runtimes
    }
    assert names["onnx"] == {
        "model": "model.onnx", "data.1": "model.onnx_data", "data.2": "model.onnx_data_1",
        "tokenizer": "tokenizer.json",
    }  # fmt: skip
    assert names["onnx/fp16"] == {"model": "model_fp16.onnx", "tokenizer": "tokenizer.json"}
    assert names["torch"]["model"] == "model-1-of-2.safetensors"
    assert names["torch"]["model.2"] == "model-2-of-2.safetensors"


def test_an_onnx_file_of_whatever_name_is_the_usual_one_where_there_is_no_other(folder: Path) -> None:
    (folder / "model_quantized.onnx").write_bytes(b"x")
    assert set(describe_folder(folder, "mine").runtimes) == {"onnx", "torch", "mlx"}


def test_an_onnx_file_that_quantises_by_batch_is_found_out(folder: Path) -> None:
    """By onnxruntime's own quantiser, from a file of ours; and what is written of it is read again."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    (folder / "onnx").mkdir()
    export_onnx(
        folder / "config.json", [folder / "model.safetensors"], folder / "onnx/model.onnx", "fp32", -1
    )
    dynamic = folder / "onnx/model_int8.onnx"
    quantize_dynamic(folder / "onnx/model.onnx", dynamic, weight_type=QuantType.QInt8)
    spec = describe_folder(folder, "mine")
    assert set(spec.runtimes) == {"onnx", "onnx/int8", "torch", "mlx"}
    assert spec.unbatched_runtimes == ("onnx/int8",)
    add_model(spec)
    assert list(user_models()) == [spec]
    plugins = Plugins.load()
    whole, alone = (open_encoder(plugins, "mine", name) for name in ("onnx", "onnx/int8"))
    assert (whole.spec.batch_invariant, alone.spec.batch_invariant) == (True, False)
    assert whole.fingerprint != alone.fingerprint
    failed = [one for one in run_contract(plugins, "mine", "onnx/int8") if not one.passed]
    assert not failed, "one text at a time, it holds what any model must"


def test_quantised_weights_are_mlx_s_alone(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    put(folder, "config.json", {**config, "quantization": {"group_size": 64, "bits": 4}})
    assert set(describe_folder(folder, "mine").runtimes) == {"mlx"}


DENSE = [*MODULES, {"type": "sentence_transformers.models.Dense", "path": "3_Dense"}]
TWICE = [*MODULES[:2], {**MODULES[1], "path": "2_Pooling"}]
INNER = [{**MODULES[0], "path": "0_Transformer"}, *MODULES[1:]]
OUTER = [MODULES[0], {**MODULES[1], "path": ".."}]
USUAL = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
TWO = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", None, "it is not the folder of a model"),
        ("config.json", {"model_type": "bert"}, "config.json has none of hidden_size"),
        ("config.json", {"model_type": "t5", "hidden_size": 8}, "no file that a runtime opens"),
        ("modules.json", DENSE, "needs Dense, which patina does not support"),
        ("modules.json", {}, "is invalid: expected a JSON list"),
        ("modules.json", TWICE, "needs Transformer, Pooling, Pooling, which patina does not support"),
        ("modules.json", MODULES[1:], "needs Pooling, Normalize, which patina does not support"),
        ("modules.json", ["x", 3], "is invalid: expected modules, each with type and path"),
        ("modules.json", INNER, "has a Transformer in '0_Transformer'"),
        ("modules.json", OUTER, "its Pooling in '..'"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "json sets do_lower_case, which patina"),
        ("config_sentence_transformers.json", USUAL, "has a default_prompt_name, 'query', for texts that"),
        ("config_sentence_transformers.json", {"default_prompt_name": "base"}, "has a default_prompt_name"),
        ("config_sentence_transformers.json", {"prompts": {"query": 5}}, "expected prompts as texts by name"),
        ("1_Pooling/config.json", None, "has no pooling settings"),
        ("1_Pooling/config.json", TWO, "has a pooling that patina does not support"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "has a pooling that patina does"),
        (
            "1_Pooling/config.json",
            {"pooling_mode": "lasttoken", "include_prompt": False},
            "leaves the prompt",
        ),
        ("model.safetensors", None, "no file that a runtime opens"),
        (
            "model.safetensors.index.json",
            {"weight_map": {"a": "../b"}},
            "names a file in another folder: '../b'",
        ),
        ("model.safetensors.index.json", {"weight_map": {"a": "b"}}, "lacks b, which its index"),
        ("model.safetensors.index.json", {"weight_map": ["b"]}, "its weight_map names no files"),
        ("model.safetensors.index.json", {"weight_map": {"a": 5}}, "its weight_map names no files"),
        ("model.safetensors.index.json", {"weight_map": {"a": "b" * 5_000}}, "which its index of weights"),
        ("config_sentence_transformers.json", {"prompts": ["query: "]}, "expected prompts as texts by name"),
        ("tokenizer.json", None, "has neither tokenizer.json nor vocab.txt"),
    ],
)
def test_what_cannot_be_taken_is_said(folder: Path, name: str, content: object, said: str) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        put(folder, name, content)
    with pytest.raises(ModelError) as caught:
        describe_folder(folder, "mine")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"do_lower_case": False}, "has do_lower_case: false"),
        ({"do_lower_case": True, "strip_accents": False}, "has strip_accents: false"),
        ({"tokenize_chinese_chars": False}, "has tokenize_chinese_chars: false"),
        ({"do_lower_case": True, "strip_accents": None, "tokenizer_class": "BertTokenizer"}, ""),
        ({}, ""),
    ],
)
def test_a_vocabulary_is_taken_where_it_is_read_as_its_folder_says(
    folder: Path, told: object, said: str
) -> None:
    put(folder, "tokenizer_config.json", told)
    describe_folder(folder, "mine")  # a tokenizer.json says how it reads by itself
    (folder / "tokenizer.json").rename(folder / "vocab.txt")
    if said:
        with pytest.raises(ModelError, match=f"tokenizer_config.json {said}") as caught:
            describe_folder(folder, "mine")
        assert "tokenizer.json" in caught.value.hint
    else:
        files = model_files(describe_folder(folder, "mine"), "torch")
        assert files["tokenizer"] == folder / "vocab.txt"


@pytest.mark.parametrize("usual", [None, "document"])
def test_a_usual_prompt_is_no_matter_where_queries_and_passages_have_their_own(
    folder: Path, usual: str | None
) -> None:
    prompts = {"query": "", "document": "", "passage": "passage: "}
    put(folder, "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": usual})
    spec = describe_folder(folder, "mine")
    assert (spec.query_prefix, spec.passage_prefix) == ("", "passage: ")


@pytest.mark.parametrize(
    ("longest", "of_tokenizer", "expected"),
    [(40, 20, 40), (512, 20, 64), (None, 20, 20), (None, 10**30, 64), (None, None, 64)],
)
def test_no_text_is_longer_than_the_model_has_positions(
    folder: Path, longest: int | None, of_tokenizer: int | None, expected: int
) -> None:
    put(folder, "sentence_bert_config.json", {"max_seq_length": longest})
    put(folder, "tokenizer_config.json", {"model_max_length": of_tokenizer})
    assert describe_folder(folder, "mine").max_tokens == expected


def test_the_pooling_is_read_where_the_modules_have_it(folder: Path) -> None:
    put(folder, "modules.json", [MODULES[0], {**MODULES[1], "path": "pooled"}])
    put(folder, "pooled/config.json", {"pooling_mode_mean_tokens": True})
    assert describe_folder(folder, "mine").pooling == "mean"


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors", "tokenizer.json"])
def test_an_empty_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    with pytest.raises(ModelError, match=f"{name} is empty"):
        describe_folder(folder, "mine")


def test_json_that_is_nested_without_end_cannot_be_read(folder: Path) -> None:
    (folder / "config.json").write_text('{"hidden_size": ' + "[" * 200_000)
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        describe_folder(folder, "mine")


def test_what_is_no_file_is_never_read(folder: Path) -> None:
    """A pipe that nobody writes to, and a device without end: reading either would never be over."""
    (folder / "onnx").mkdir()
    os.mkfifo(folder / "model_pipe.onnx")
    os.mkfifo(folder / "onnx/model.onnx_data")
    (folder / "model_zero.onnx").symlink_to("/dev/zero")
    kept = folder / "kept-elsewhere"
    kept.write_bytes(b"x")
    (folder / "onnx/model.onnx").symlink_to(kept)  # a hub's cache lays out a model like this
    spec = describe_folder(folder, "mine")
    assert set(spec.runtimes) == {"onnx", "torch", "mlx"}
    assert set(spec.runtimes["onnx"]) == {"model", "tokenizer"}


def test_a_newer_word_for_pooling(folder: Path) -> None:
    put(folder, "1_Pooling/config.json", {"pooling_mode": "lasttoken"})
    assert describe_folder(folder, "mine").pooling == "last"


@pytest.mark.parametrize("name", ["mine", "mine-v1.5"])
@pytest.mark.parametrize("before", ["", "# mine\n[other]\ndimensions = 8\nfiles.onnx.model = '/x'"])
def test_the_entry_is_what_was_described(folder: Path, name: str, before: str) -> None:
    user_models_file().parent.mkdir(parents=True)
    user_models_file().write_text(before)
    put(folder, "config_sentence_transformers.json", {"prompts": {"query": 'a "b"\n\\ \x7f é🙂: '}})
    spec = describe_folder(folder, name)
    path = add_model(spec)
    assert path.read_text().startswith(before)
    found: Mapping[str, ModelSpec] = {one.name: one for one in user_models()}
    assert found[name] == spec
    assert len(found) == 1 + bool(before)
    with pytest.raises(SettingsError, match=f"has a model {name} already"):
        add_model(spec)


def test_a_name_that_no_recipe_could_say_is_refused(folder: Path) -> None:
    for name in ("a b", "a/b", ""):
        with pytest.raises((SettingsError, ModelError)):
            add_model(describe_folder(folder, name))
    assert not user_models_file().exists()
