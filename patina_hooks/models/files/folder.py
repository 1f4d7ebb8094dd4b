"""Describe a model in a folder, as it was downloaded or trained.

Its config.json and tokenizer_config.json are read, and the files of sentence-transformers
(https://www.sbert.net): modules.json, 1_Pooling/config.json, sentence_bert_config.json and
config_sentence_transformers.json. Settings that patina does not support (a dense layer after pooling, a
prompt that is not pooled) are errors: vectors would silently differ from those of the model's authors.
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
from patina_hooks.models.files.weights import is_file, sha256_of
from patina_hooks.specs.models import LocalFile, ModelSpec, Pooling

ARCHITECTURES: Final = ("bert", "nomic_bert", "qwen3", "olmo3")
"""Architectures that the runtimes of safetensors support, as config.json names them."""
_POOLING: Final[Mapping[str, Pooling]] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}
_POOLING_NAMES: Final[Mapping[str, Pooling]] = {"cls": "cls", "mean": "mean", "lasttoken": "last"}
_MODULES: Final = ("Transformer", "Pooling", "Normalize")
"""Supported modules, in this order; the last ones are optional."""
_POSITIONS: Final = ("max_position_embeddings", "n_positions", "max_trained_positions")
_LONGEST: Final = 8192
_VOCABULARY: Final[Mapping[str, tuple[object, ...]]] = {
    "do_lower_case": (True,),
    "strip_accents": (True, None),
    "tokenize_chinese_chars": (True,),
}
"""Keys of tokenizer_config.json -> values that `open_tokenizer` supports for a vocab.txt."""
_ONNX: Final = re.compile(r"model(?:_([A-Za-z0-9][A-Za-z0-9._-]{0,31}))?\.onnx")
_DYNAMIC_OPERATORS: Final = (b"DynamicQuantizeLinear", b"DynamicQuantizeMatMul")
_PASSAGE_PROMPTS: Final = ("document", "passage", "corpus")


def describe_folder(folder: Path, name: str, pooling: Pooling | None = None) -> ModelSpec:
    """Describe the model in a folder, with the hashes of its files.

    Args:
        folder: the folder.
        name: the name of the model.
        pooling: used instead of that of the folder.

    Raises:
        ModelError: a file or setting is missing or not supported.
    """
    folder = Path(os.path.expanduser(folder)).absolute()  # noqa: PTH111 (Path raises for an unknown user)
    config = _json(folder, "config.json")
    if config is None:
        raise ModelError(f"{folder} has no config.json: it is not the folder of a model")
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


# --- contents of the files -----------------------------------------------------------------------------


def _pooling_folder(folder: Path) -> str:
    """Return the folder of the pooling settings; raise `ModelError` for modules that are not supported."""
    modules = _json(folder, "modules.json", list)
    if not modules:
        return "1_Pooling"
    if not all(map(_is_module, modules)):
        raise ModelError(f"{folder}/modules.json is invalid: expected modules, each with type and path")
    kinds = tuple(module["type"].rpartition(".")[2] for module in modules)
    if kinds != _MODULES[: len(kinds)]:
        unsupported = [kind for kind in kinds if kind not in _MODULES] or kinds
        raise ModelError(
            f"{folder}/modules.json needs {', '.join(unsupported)}, which patina does not support"
        )
    own, pooling, *_ = [module["path"] for module in modules] + ["1_Pooling"]
    if own or pooling in ("", "..") or Path(pooling).name != pooling:
        raise ModelError(
            f"{folder}/modules.json has a Transformer in {own!r} and its Pooling in {pooling!r}: patina"
            " expects the first in the folder itself, the other in a folder directly below"
        )
    return str(pooling)


def _is_module(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("type", "path"))


def _prefixes(folder: Path) -> tuple[str, str]:
    """Return the prefixes of queries and of passages."""
    file = "config_sentence_transformers.json"
    settings = _json(folder, file) or {}
    prompts = settings.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ModelError(f"{folder}/{file} is invalid: expected prompts as texts by name")
    passage_prompts = [prompts[key] for key in _PASSAGE_PROMPTS if key in prompts]
    if (default := settings.get("default_prompt_name")) is not None and not (
        "query" in prompts and passage_prompts
    ):
        raise ModelError(
            f"{folder}/{file} has a default_prompt_name, {default!r}, for texts that no prompt names: patina"
            " supports prompts for queries and passages only",
            hint=f"define prompts named query and {_PASSAGE_PROMPTS[0]} there",
        )
    return prompts.get("query", ""), next(filter(None, passage_prompts), "")


def _refuse_lower_casing(folder: Path) -> None:
    """Refuse lower-casing of texts before the tokenizer; most tokenizers do it themselves."""
    file = "sentence_bert_config.json"
    if (_json(folder, file) or {}).get("do_lower_case"):
        raise ModelError(
            f"{folder}/{file} sets do_lower_case, which patina does not support",
            hint="if the tokenizer lower-cases by itself, set it to false there",
        )


def _pooling(folder: Path, inner: str) -> Pooling:
    settings = _json(folder, f"{inner}/config.json")
    if settings is None:
        raise ModelError(
            f"{folder} has no pooling settings: it lacks {inner}/config.json",
            hint="--pooling mean|cls|last",
        )
    if settings.get("include_prompt") is False:
        raise ModelError(f"{folder}/{inner} leaves the prompt out of pooling, which patina does not support")
    modes = [mode for key, mode in _POOLING.items() if settings.get(key)]
    if (named := _POOLING_NAMES.get(str(settings.get("pooling_mode")))) is not None:
        modes.append(named)
    enabled = [key for key, value in settings.items() if key.startswith("pooling_mode_") and value is True]
    if len(set(modes)) != 1 or len(enabled) > 1:
        raise ModelError(
            f"{folder}/{inner} has a pooling that patina does not support: {enabled or settings}"
        )
    return modes[0]


def _max_tokens(folder: Path, config: Mapping[str, Any]) -> int:
    """Return the limit of sentence-transformers, at most the model's positions."""
    length = (_json(folder, "sentence_bert_config.json") or {}).get("max_seq_length")
    if isinstance(length, int):
        return min([length, *_numbers(config, *_POSITIONS)[:1]])
    longest = _numbers(_json(folder, "tokenizer_config.json") or {}, "model_max_length")
    return min(_number(config, *_POSITIONS), *longest, _LONGEST)


def _number(config: Mapping[str, Any], *keys: str) -> int:
    for number in _numbers(config, *keys):
        return number
    raise ModelError(f"config.json has none of {', '.join(keys)}")


def _numbers(config: Mapping[str, Any], *keys: str) -> list[int]:
    return [config[key] for key in keys if isinstance(config.get(key), int)]


def _tokenizer(folder: Path) -> Path:
    if is_file(path := folder / "tokenizer.json"):
        return path
    if not is_file(path := folder / "vocab.txt"):
        raise ModelError(f"{folder} has neither tokenizer.json nor vocab.txt")
    settings = _json(folder, "tokenizer_config.json") or {}
    for key, accepted in _VOCABULARY.items():
        if key in settings and settings[key] not in accepted:
            raise ModelError(
                f"{folder}/tokenizer_config.json has {key}: {json.dumps(settings[key])}, but patina reads a"
                " vocab.txt in lower case and without accents",
                hint="add the tokenizer.json that transformers' AutoTokenizer writes",
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
        # Only mlx reads quantised weights of the mlx-community layout.
        names = ("mlx",) if "quantization" in config else ("torch", "mlx")
        runtimes.update(dict.fromkeys(names, files))
    if not runtimes:
        raise ModelError(
            f"{folder} has no file that a runtime opens: neither model.onnx, nor safetensors of one of"
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
    """Return the runtime's name -> the file: "model_fp16.onnx" is onnx/fp16, as on hubs."""
    files = {}
    for inner in (folder / "onnx", folder):  # the top folder overrides
        for path in sorted(inner.glob("model*.onnx")):
            if (match := _ONNX.fullmatch(path.name)) and is_file(path):
                files[f"onnx/{match[1]}" if match[1] else "onnx"] = path
    return dict(zip(("onnx",), files.values(), strict=True)) if len(files) == 1 else files


def _quantises_batches(file: LocalFile) -> bool:
    """Return whether an ONNX file's graph has an operator that quantises by the batch.

    Operators are in the file by name; large weights may follow, so it is mapped, not read.
    """
    with file.path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
        return any(content.find(name) >= 0 for name in _DYNAMIC_OPERATORS)


def _external_data(model: Path) -> dict[str, Path]:
    sidecar_files = sorted(
        path
        for path in model.parent.iterdir()
        if re.fullmatch(rf"{model.name}[._]data(_\d+)?", path.name) and is_file(path)
    )
    return {f"data.{number}": path for number, path in enumerate(sidecar_files, 1)}


def _weights(folder: Path) -> dict[str, Path]:
    """Return the safetensors by role: model, model.2, model.3, ..."""
    index = _json(folder, "model.safetensors.index.json")
    names = ["model.safetensors"] if index is None else _named_weights(folder, index)
    paths = [folder / name for name in names]
    if index is not None and (absent := [path.name for path in paths if not is_file(path)]):
        raise ModelError(f"{folder} lacks {', '.join(absent)}, which its index of weights names")
    return {
        "model" if number == 1 else f"model.{number}": path
        for number, path in enumerate(paths, 1)
        if is_file(path)
    }


def _named_weights(folder: Path, index: Mapping[str, Any]) -> list[str]:
    named = index.get("weight_map", {})
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise ModelError(f"{folder}/model.safetensors.index.json is invalid: its weight_map names no files")
    names = sorted(set(named.values()))
    for name in names:
        if Path(name).name != name:
            raise ModelError(
                f"{folder}/model.safetensors.index.json names a file in another folder: {name!r}"
            )
    return names


def _json(folder: Path, name: str, kind: type = dict) -> Any:  # noqa: ANN401 (JSON is what it is)
    path = folder / name
    if not path.is_file():
        return None
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, kind):
        raise ModelError(f"{path} is invalid: expected a JSON {kind.__name__}")
    return content
