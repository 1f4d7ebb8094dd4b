"""A plugin's model with files of a twin in place of its own, for every runtime that it lists.

The files have the form of the real ones: as many parts, ONNX weights beside their graph where the model lists
them so, matrices packed to four bits as mlx-community does. Everything else remains the plugin's: prefixes,
task, pooling, layer, which runtimes read texts one by one. Sizes are smaller, or a test would take minutes:
vectors, with those of the model's Matryoshka lengths that are below, and texts where a model reads more than
`MOST_TOKENS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from patina_export.graph import Precision
from patina_export.write import export_onnx
from safetensors.numpy import load_file, save_file
from support.tiny_models import DIMENSIONS, LAYERS, Architecture, Twin, make_twin

from patina_hooks.plugins.hookspecs import hookimpl
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import LocalFile, ModelSpec

if TYPE_CHECKING:
    from patina_mlx.core import mx

ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "patina_e5": "bert",
    "patina_bge": "bert",
    "patina_nomic": "nomic_bert",
    "patina_qwen3": "qwen3",
    "patina_olmo": "olmo3",
}
"""By module of a plugin, that of its models."""
_MODELS: Final[Sequence[tuple[str, ModelSpec]]] = [
    (module, spec) for module in ARCHITECTURES for spec in import_module(module).patina_register_models()
]
MODULES: Final = {spec.name: module for module, spec in _MODELS}
"""By model, the module that describes it."""
SPECS: Final = {spec.name: spec for _, spec in _MODELS}
MOST_TOKENS: Final = 512
_FEWER_TOKENS: Final = 128
_MATRYOSHKA_WIDTH: Final = 256
_FOUR_BITS: Final = {"group_size": 64, "bits": 4}
PARTS: Final = ("weight", "scales", "biases")
"""The tensors that a packed matrix lies in."""


def stand_in(name: str, folder: Path) -> ModelSpec:
    """The model `name` with a twin's files for all its runtimes; the same roles, or `AssertionError`."""
    spec = SPECS[name]
    twin = make_twin(
        ARCHITECTURES[MODULES[name]],
        folder,
        dimensions=_MATRYOSHKA_WIDTH if spec.matryoshka else DIMENSIONS,
        layers=max(LAYERS, spec.layer + 2),
        positions=MOST_TOKENS,
    )
    runtimes = {}
    for runtime, listed in spec.runtimes.items():
        files = _files(twin, runtime, list(listed), folder / runtime)
        assert set(files) == set(listed), f"{name} lists other files for {runtime}"
        runtimes[runtime] = {role: LocalFile(path.absolute()) for role, path in files.items()}
    return replace(
        spec,
        dimensions=twin.dimensions,
        matryoshka=[length for length in spec.matryoshka if length < twin.dimensions],
        max_tokens=spec.max_tokens if spec.max_tokens <= MOST_TOKENS else _FEWER_TOKENS,
        runtimes=runtimes,
    )


def provided(spec: ModelSpec) -> Plugins:
    """What is installed, with `spec` in place of all models of these plugins."""
    plugins = Plugins.load(disabled=tuple(module.replace("_", "-") for module in ARCHITECTURES))
    described = SimpleNamespace(patina_register_models=hookimpl(lambda: [spec]), __name__=MODULES[spec.name])
    plugins.register(described, "stand-in")
    return plugins


def packed(tensors: Mapping[str, mx.array], group_size: int, bits: int) -> dict[str, mx.array]:
    """Every matrix whose rows are whole groups, in the layout of mlx-community."""
    from patina_mlx.core import mx

    found: dict[str, mx.array] = {}
    for name, tensor in tensors.items():
        stem = name.removesuffix(".weight")
        if stem == name or tensor.ndim != 2 or tensor.shape[1] % group_size or "Wqkv" in name:
            found[name] = tensor
            continue
        parts = mx.quantize(tensor, group_size=group_size, bits=bits)
        found |= {f"{stem}.{kind}": part for kind, part in zip(PARTS, parts, strict=True)}
    return found


def _files(twin: Twin, runtime: str, roles: Sequence[str], folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    kind, _, precision = runtime.partition("/")
    if kind == "onnx":
        return {**_graph(twin, precision, folder, beside="data" in roles), "tokenizer": twin.tokenizer}
    if precision == "4bit":
        return _packed(twin, folder)
    assert not precision, f"nothing stands in for {runtime}"
    parts = [role for role in roles if role.startswith("model")]
    return {**twin.files, **dict(_in_parts(twin, parts, folder))}


def _in_parts(twin: Twin, roles: Sequence[str], folder: Path) -> Iterator[tuple[str, Path]]:
    tensors = sorted(load_file(twin.weights).items())
    for place, role in enumerate(roles):
        path = folder / f"{role}.safetensors"
        save_file(dict(tensors[place :: len(roles)]), path)
        yield role, path


def _packed(twin: Twin, folder: Path) -> dict[str, Path]:
    from patina_mlx.core import mx

    tensors = mx.load(str(twin.weights))
    assert isinstance(tensors, dict)
    config, weights = folder / "config.json", folder / "model.safetensors"
    mx.save_safetensors(str(weights), packed(tensors, **_FOUR_BITS))
    config.write_text(json.dumps({**json.loads(twin.config.read_text()), "quantization": _FOUR_BITS}))
    return {"model": weights, "config": config, "tokenizer": twin.tokenizer}


def _graph(twin: Twin, precision: str, folder: Path, *, beside: bool) -> dict[str, Path]:
    path = folder / "model.onnx"
    wanted: Precision = "int8" if precision == "int8" else "fp32"
    export_onnx(twin.config, [twin.weights], path, wanted, external_above=0 if beside else 1 << 40)
    data = path.with_name(f"{path.name}.data")
    if precision == "fp16":
        _halve(path, data if beside else None)
    return {"model": path, **({"data": data} if beside else {})}


def _halve(path: Path, data: Path | None) -> None:
    """Rewrite a graph to compute in float16, by the tool that published files are made with."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    halved = convert_float_to_float16(onnx.load(path))
    path.unlink()
    if data is None:
        onnx.save_model(halved, path)
        return
    data.unlink()
    onnx.save_model(halved, path, save_as_external_data=True, location=data.name)
