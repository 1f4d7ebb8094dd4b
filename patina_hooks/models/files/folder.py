"""A model in a folder, as it is downloaded or trained, described.

Read are config.json and tokenizer_config.json, and what sentence-transformers (https://www.sbert.net) writes
beside them: modules.json, 1_Pooling/config.json, sentence_bert_config.json and
config_sentence_transformers.json. What they ask for and patina does not do (a dense layer after pooling, a
prompt that is not pooled) is refused: vectors would differ from those of the model's authors, silently.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final

from patina_hooks.config.parsing import parse_json
from patina_hooks.errors import ModelError
from patina_hooks.models.files.weights import is_there, sha256_of
from patina_hooks.specs.models import LocalFile, ModelSpec, Pooling

ARCHITECTURES: Final = ("bert", "nomic_bert", "qwen3", "olmo3")
"""Those that the runtimes of safetensors know, as config.json calls them."""
_POOLING: Final[Mapping[str, Pooling]] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}
_POOLING_NAMES: Final[Mapping[str, Pooling]] = {"cls": "cls", "mean": "mean", "lasttoken": "last"}
_MODULES: Final = ("Transformer", "Pooling", "Normalize")
"""What patina does, in this order; the last ones may be left out."""
_POSITIONS: Final = ("max_position_embeddings", "n_positions", "max_trained_positions")
_LONGEST: Final = 8192
_VOCABULARY: Final[Mapping[str, tuple[object, ...]]] = {
    "do_lower_case": (True,),
    "strip_accents": (True, None),
    "tokenize_chinese_chars": (True,),
}
"""Keys of tokenizer_config.json -> what they may say of a vocab.txt, as `open_tokenizer` reads one."""
_ONNX: Final = re.compile(r"model(?:_([A-Za-z0-9][A-Za-z0-9._-]{0,31}))?\.onnx")
_BY_BATCH: Final = (b"DynamicQuantizeLinear", b"DynamicQuantizeMatMul")
_PASSAGE_PROMPTS: Final = ("document", "passage", "corpus")


def describe_folder(folder: Path, name: str, pooling: Pooling | None = None) -> ModelSpec:
    """The model in `folder`, with the hashes of its files. `ModelError` says what is missing or not known.

    pooling: where the folder does not say.
    """
    folder = Path(os.path.expanduser(folder)).absolute()  # noqa: PTH111 (Path raises for an unknown user)
    config = _json(folder, "config.json")
    if config is None:
        raise ModelError(f"{folder} has no config.json: it is no model's folder")
    pooled_in = _pooling_folder(folder)
    _refuse_lower_casing(folder)
    query_prefix, passage_prefix = _prefixes(folder)
    try:
        runtimes = _runtimes(folder, config)
        return ModelSpec(
            name=name,
            dimensions=_number(config, "hidden_size", "n_embd", "dim"),
            runtimes=runtimes,
            unbatched_runtimes=tuple(
                runtime
                for runtime, files in runtimes.items()
                if runtime.startswith("onnx") and _quantises_batches(files["model"])
            ),
            max_tokens=_max_tokens(folder, config),
            pooling=pooling or _pooling(folder, pooled_in),
            query_prefix=query_prefix,
            passage_prefix=passage_prefix,
        )
    except ValueError as error:
        raise ModelError(f"{folder}: {error}") from error


# --- what the files say -----------------------------------------------------------------------------


def _pooling_folder(folder: Path) -> str:
    """Where the folder says how to pool; `ModelError` where it asks for more than that and a norm."""
    modules = _json(folder, "modules.json", list)
    if not modules:
        return "1_Pooling"
    if not all(map(_is_module, modules)):
        raise ModelError(f"{folder}/modules.json is not what it should be: modules, each with type and path")
    kinds = tuple(one["type"].rpartition(".")[2] for one in modules)
    if kinds != _MODULES[: len(kinds)]:
        odd = [kind for kind in kinds if kind not in _MODULES] or kinds
        raise ModelError(f"{folder}/modules.json asks for {', '.join(odd)}, which patina does not do")
    own, pooling, *_ = [one["path"] for one in modules] + ["1_Pooling"]
    if own or pooling in ("", "..") or Path(pooling).name != pooling:
        raise ModelError(
            f"{folder}/modules.json has a Transformer in {own!r} and its Pooling in {pooling!r}: patina looks"
            " for the first in the folder itself, for the other in a folder right below"
        )
    return str(pooling)


def _is_module(one: object) -> bool:
    return isinstance(one, dict) and all(isinstance(one.get(key), str) for key in ("type", "path"))


def _prefixes(folder: Path) -> tuple[str, str]:
    """Of queries and of passages."""
    file = "config_sentence_transformers.json"
    told = _json(folder, file) or {}
    prompts = told.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ModelError(f"{folder}/{file} is not what it should be: its prompts are no texts by name")
    of_passages = [prompts[key] for key in _PASSAGE_PROMPTS if key in prompts]
    if (usual := told.get("default_prompt_name")) is not None and not ("query" in prompts and of_passages):
        raise ModelError(
            f"{folder}/{file} has a default_prompt_name, {usual!r}, for texts that no prompt names: patina"
            " puts prompts before queries and passages alone",
            hint=f"say there what both are to have, as prompts named query and {_PASSAGE_PROMPTS[0]}",
        )
    return prompts.get("query", ""), next(filter(None, of_passages), "")


def _refuse_lower_casing(folder: Path) -> None:
    """Of whole texts, before the tokenizer; most tokenizers that lower-case do so themselves."""
    file = "sentence_bert_config.json"
    if (_json(folder, file) or {}).get("do_lower_case"):
        raise ModelError(
            f"{folder}/{file} asks for do_lower_case, which patina does not do",
            hint="where the tokenizer lower-cases by itself, set it to false there",
        )


def _pooling(folder: Path, inner: str) -> Pooling:
    told = _json(folder, f"{inner}/config.json")
    if told is None:
        raise ModelError(
            f"{folder} does not say how to pool: it has no {inner}/config.json",
            hint="--pooling mean|cls|last",
        )
    if told.get("include_prompt") is False:
        raise ModelError(
            f"{folder}/{inner} asks to leave the prompt out of pooling, which patina does not do"
        )
    modes = [mode for key, mode in _POOLING.items() if told.get(key)]
    if (named := _POOLING_NAMES.get(str(told.get("pooling_mode")))) is not None:
        modes.append(named)
    others = [key for key, value in told.items() if key.startswith("pooling_mode_") and value is True]
    if len(set(modes)) != 1 or len(others) > 1:
        raise ModelError(f"{folder}/{inner} asks for a pooling that patina does not do: {others or told}")
    return modes[0]


def _max_tokens(folder: Path, config: Mapping[str, Any]) -> int:
    """As sentence-transformers takes it, and never more than the model has positions."""
    told = (_json(folder, "sentence_bert_config.json") or {}).get("max_seq_length")
    if isinstance(told, int):
        return min([told, *_numbers(config, *_POSITIONS)[:1]])
    longest = _numbers(_json(folder, "tokenizer_config.json") or {}, "model_max_length")
    return min(_number(config, *_POSITIONS), *longest, _LONGEST)


def _number(config: Mapping[str, Any], *keys: str) -> int:
    for number in _numbers(config, *keys):
        return number
    raise ModelError(f"config.json has none of {', '.join(keys)}")


def _numbers(config: Mapping[str, Any], *keys: str) -> list[int]:
    return [config[key] for key in keys if isinstance(config.get(key), int)]


def _tokenizer(folder: Path) -> Path:
    if is_there(path := folder / "tokenizer.json"):
        return path
    if not is_there(path := folder / "vocab.txt"):
        raise ModelError(f"{folder} has neither tokenizer.json nor vocab.txt")
    told = _json(folder, "tokenizer_config.json") or {}
    for key, may_be in _VOCABULARY.items():
        if key in told and told[key] not in may_be:
            raise ModelError(
                f"{folder}/tokenizer_config.json says {key}: {json.dumps(told[key])}, and patina reads a"
                " vocab.txt in lower case and without accents",
                hint="put its tokenizer.json there, which transformers' AutoTokenizer writes",
            )
    return path


def _runtimes(folder: Path, config: Mapping[str, Any]) -> dict[str, dict[str, LocalFile]]:
    tokenizer = _tokenizer(folder)
    runtimes: dict[str, dict[str, Path]] = {}
    for name, onnx in _onnx_files(folder).items():
        runtimes[name] = {"model": onnx, **_external_data(onnx), "tokenizer": tokenizer}
    weights = _weights(folder)
    if weights and config.get("model_type") in ARCHITECTURES:
        files = {**weights, "config": folder / "config.json", "tokenizer": tokenizer}
        # Quantised weights of the mlx-community layout are mlx's alone.
        names = ("mlx",) if "quantization" in config else ("torch", "mlx")
        runtimes.update(dict.fromkeys(names, files))
    if not runtimes:
        raise ModelError(
            f"{folder} has nothing that a runtime opens: neither model.onnx, nor safetensors of one of"
            f" {', '.join(ARCHITECTURES)} (this is {config.get('model_type')!r})"
        )
    hashes = {path: _hash(path) for files in runtimes.values() for path in files.values()}
    return {
        name: {role: LocalFile(path, hashes[path]) for role, path in files.items()}
        for name, files in runtimes.items()
    }


def _hash(path: Path) -> str:
    if not path.stat().st_size:
        raise ModelError(f"{path} is empty", hint="fetch or write it again")
    return sha256_of(path)


def _onnx_files(folder: Path) -> dict[str, Path]:
    """What a recipe calls it -> the file: "model_fp16.onnx" is onnx/fp16, as hubs have it."""
    found = {}
    for inner in (folder / "onnx", folder):  # what lies at the top goes first
        for path in sorted(inner.glob("model*.onnx")):
            if (match := _ONNX.fullmatch(path.name)) and is_there(path):
                found[f"onnx/{match[1]}" if match[1] else "onnx"] = path
    return dict(zip(("onnx",), found.values(), strict=True)) if len(found) == 1 else found


def _quantises_batches(file: LocalFile) -> bool:
    """Whether an ONNX file's graph has an operator that quantises by what is in the batch.

    Operators stand in the file by name; large weights may follow, so it is mapped, not read.
    """
    with file.path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
        return any(content.find(name) >= 0 for name in _BY_BATCH)


def _external_data(model: Path) -> dict[str, Path]:
    beside = sorted(
        path
        for path in model.parent.iterdir()
        if re.fullmatch(rf"{model.name}[._]data(_\d+)?", path.name) and is_there(path)
    )
    return {f"data.{number}": path for number, path in enumerate(beside, 1)}


def _weights(folder: Path) -> dict[str, Path]:
    """The safetensors as roles: model, model.2, model.3 ..."""
    index = _json(folder, "model.safetensors.index.json")
    names = ["model.safetensors"] if index is None else _named_weights(folder, index)
    paths = [folder / name for name in names]
    if index is not None and (absent := [path.name for path in paths if not is_there(path)]):
        raise ModelError(f"{folder} lacks {', '.join(absent)}, which its index of weights names")
    return {
        "model" if number == 1 else f"model.{number}": path
        for number, path in enumerate(paths, 1)
        if is_there(path)
    }


def _named_weights(folder: Path, index: Mapping[str, Any]) -> list[str]:
    named = index.get("weight_map", {})
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise ModelError(
            f"{folder}/model.safetensors.index.json is not what it should be: its weight_map names no files"
        )
    names = sorted(set(named.values()))
    for name in names:
        if Path(name).name != name:
            raise ModelError(f"{folder}/model.safetensors.index.json names a file elsewhere: {name!r}")
    return names


def _json(folder: Path, name: str, kind: type = dict) -> Any:  # noqa: ANN401 (JSON is what it is)
    path = folder / name
    if not path.is_file():
        return None
    try:
        found = parse_json(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, kind):
        raise ModelError(f"{path} is not what it should be: a JSON {kind.__name__}")
    return found
