"""A model in a folder, as it is downloaded or trained, described for `models.toml`.

Read are config.json, and what sentence-transformers (https://www.sbert.net) writes beside it: modules.json,
1_Pooling/config.json, sentence_bert_config.json and config_sentence_transformers.json. What they ask for and
patina does not do (a dense layer after pooling, a prompt that is not pooled) is refused: vectors would
differ from those of the model's authors, silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from patina_hooks.errors import ModelError, SettingsError
from patina_hooks.files import replace_file
from patina_hooks.model_types import LocalFile, ModelSpec, Pooling
from patina_hooks.models.user import parse_models, user_models_file
from patina_hooks.models.weights import is_there, sha256_of
from patina_hooks.plugins import BUILTIN

if TYPE_CHECKING:
    from patina_hooks.plugins import Plugins

ARCHITECTURES: Final = ("bert", "nomic_bert", "qwen3", "olmo3")
"""Those that the runtimes of safetensors know, as config.json calls them."""
_POOLING: Final[Mapping[str, Pooling]] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}
_POOLING_NAMES: Final[Mapping[str, Pooling]] = {"cls": "cls", "mean": "mean", "lasttoken": "last"}
_OPTIONAL: Final = (
    "layer",
    "query_prefix",
    "passage_prefix",
    "task",
    "matryoshka",
    "matryoshka_norm",
    "licence",
    "revision",
    "batch_invariant",
    "description",
    "parameters",
    "languages",
    "one_by_one",
)
"""Keys that an entry has where they are not as usual, in this order."""
_KNOWN_MODULES: Final = ("Transformer", "Pooling", "Normalize")
_LONGEST: Final = 8192
_ONNX: Final = re.compile(r"model(?:_([A-Za-z0-9][A-Za-z0-9._-]{0,31}))?\.onnx")
_BY_BATCH: Final = (b"DynamicQuantizeLinear", b"DynamicQuantizeMatMul")
_PASSAGE_PROMPTS: Final = ("document", "passage", "corpus")


def describe_folder(folder: Path, name: str, pooling: Pooling | None = None) -> ModelSpec:
    """The model in `folder`, with the hashes of its files. `ModelError` says what is missing or not known.

    pooling: where the folder does not say.
    """
    folder = folder.expanduser().absolute()
    config = _json(folder, "config.json")
    if config is None:
        raise ModelError(f"{folder} has no config.json: it is no model's folder")
    _refuse_unknown_modules(folder)
    prompts = _prompts(folder)
    try:
        runtimes = _runtimes(folder, config)
        return ModelSpec(
            name=name,
            dimensions=_number(config, "hidden_size", "n_embd", "dim"),
            runtimes=runtimes,
            one_by_one=tuple(
                runtime
                for runtime, files in runtimes.items()
                if runtime.startswith("onnx") and _quantises_batches(files["model"])
            ),
            max_tokens=_max_tokens(folder, config),
            pooling=pooling or _pooling(folder),
            query_prefix=str(prompts.get("query") or ""),
            passage_prefix=str(next((prompts[key] for key in _PASSAGE_PROMPTS if prompts.get(key)), "")),
        )
    except ValueError as error:
        raise ModelError(f"{folder}: {error}") from error


def refuse_taken(plugins: Plugins, name: str) -> None:
    """`ModelError` where a plugin has a model of that name; models.toml `add_model` looks at itself."""
    for info in plugins.info():
        if info.name != BUILTIN and name in info.provides.get("models", ()):
            raise ModelError(
                f"the plugin {info.name} has a model {name} already; with two of one name, a recipe that says"
                " it could mean either",
                hint="add it under another name: --name OTHER",
            )


def add_model(spec: ModelSpec) -> Path:
    """Write the model to the end of models.toml; where that is. `SettingsError` where it has the name."""
    path = user_models_file()
    try:
        before = path.read_text("utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    if any(known.name == spec.name for known in parse_models(before, str(path))):
        raise SettingsError(f"{path} has a model {spec.name} already", hint="choose another --name")
    after = f"{before.rstrip()}\n\n{as_toml(spec)}".lstrip()
    written = next(one for one in parse_models(after, str(path)) if one.name == spec.name)
    if written != spec:
        raise SettingsError(f"the model {spec.name} cannot be written to {path} as it is")
    replace_file(path, after.encode())
    return path


def as_toml(spec: ModelSpec) -> str:
    """The entry of a model whose files are the user's own."""
    lines = [f"[{_key(spec.name)}]", f"dimensions = {spec.dimensions}", f"max_tokens = {spec.max_tokens}"]
    lines.append(f"pooling = {_text(spec.pooling)}")
    lines += [f"{key} = {_value(getattr(spec, key))}" for key in _OPTIONAL if _differs(spec, key)]
    for runtime, files in spec.runtimes.items():
        lines += ["", f"[{_key(spec.name)}.files.{_key(runtime)}]"]
        for role, file in files.items():
            assert isinstance(file, LocalFile)  # noqa: S101 (describe_folder makes no others)
            path = f"path = {_text(str(file.path))}, sha256 = {_text(file.sha256)}"
            lines.append(f"{_key(role)} = {{{path}}}")
    return "\n".join(lines) + "\n"


# --- what the files say -----------------------------------------------------------------------------


def _refuse_unknown_modules(folder: Path) -> None:
    modules = _json(folder, "modules.json", list) or []
    kinds = [str(one.get("type", "")).rpartition(".")[2] for one in modules if isinstance(one, dict)]
    for kind in kinds:
        if kind not in _KNOWN_MODULES:
            raise ModelError(f"{folder}/modules.json asks for {kind}, which patina does not do")


def _prompts(folder: Path) -> Mapping[str, object]:
    file = "config_sentence_transformers.json"
    prompts = (_json(folder, file) or {}).get("prompts") or {}
    if not isinstance(prompts, dict):
        raise ModelError(f"{folder}/{file} is not what it should be: its prompts are no texts by name")
    return prompts


def _pooling(folder: Path) -> Pooling:
    told = _json(folder, "1_Pooling/config.json")
    if told is None:
        raise ModelError(
            f"{folder} does not say how to pool: it has no 1_Pooling/config.json",
            hint="--pooling mean|cls|last",
        )
    if told.get("include_prompt") is False:
        raise ModelError(
            f"{folder}/1_Pooling asks to leave the prompt out of pooling, which patina does not do"
        )
    modes = [mode for key, mode in _POOLING.items() if told.get(key)]
    if (named := _POOLING_NAMES.get(str(told.get("pooling_mode")))) is not None:
        modes.append(named)
    others = [key for key, value in told.items() if key.startswith("pooling_mode_") and value is True]
    if len(set(modes)) != 1 or len(others) > 1:
        raise ModelError(f"{folder}/1_Pooling asks for a pooling that patina does not do: {others or told}")
    return modes[0]


def _max_tokens(folder: Path, config: Mapping[str, Any]) -> int:
    told = _json(folder, "sentence_bert_config.json") or {}
    if isinstance(told.get("max_seq_length"), int):
        return int(told["max_seq_length"])
    return min(_number(config, "max_position_embeddings", "n_positions", "max_trained_positions"), _LONGEST)


def _number(config: Mapping[str, Any], *keys: str) -> int:
    for key in keys:
        if isinstance(config.get(key), int):
            return int(config[key])
    raise ModelError(f"config.json has none of {', '.join(keys)}")


def _runtimes(folder: Path, config: Mapping[str, Any]) -> dict[str, dict[str, LocalFile]]:
    tokenizer = next(
        (folder / one for one in ("tokenizer.json", "vocab.txt") if (folder / one).is_file()), None
    )
    if tokenizer is None:
        raise ModelError(f"{folder} has neither tokenizer.json nor vocab.txt")
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
    hashes = {path: sha256_of(path) for files in runtimes.values() for path in files.values()}
    return {
        name: {role: LocalFile(path, hashes[path]) for role, path in files.items()}
        for name, files in runtimes.items()
    }


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
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, kind):
        raise ModelError(f"{path} is not what it should be: a JSON {kind.__name__}")
    return found


# --- TOML -------------------------------------------------------------------------------------------


def _differs(spec: ModelSpec, key: str) -> bool:
    """Whether the model says other than what holds where it says nothing."""
    usual = next(field.default for field in fields(ModelSpec) if field.name == key)
    return bool(getattr(spec, key) != usual)


def _value(value: object) -> str:
    if isinstance(value, range):
        return f"{{from = {value.start}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for DEL, which JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)
