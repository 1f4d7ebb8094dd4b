"""An ONNX file and its tokenizer, opened: texts to ids, ids to token vectors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from patina_hooks import ModelSpec, Tokens
from patina_hooks.authoring import ModelError, ModelFiles, TextTokenizer, open_tokenizer
from patina_onnx.external import check_external_data
from patina_onnx.graph_cache import delete_graph, graph_folder, read_graph, write_graph
from patina_onnx.providers import CPU, DIRECTML, OPTIONS, chosen_providers, log_fallback

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession, NodeArg, SessionOptions

    from patina_hooks.authoring import Vectors

_OUTPUTS: Final = ("last_hidden_state", "token_embeddings")
_ERRORS_ONLY: Final = 3
_TYPES: Final[dict[str, str]] = {
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
}


def open_model(model: ModelSpec, files: ModelFiles) -> OnnxModel:
    """Open the roles "model" and "tokenizer"; `ModelError` where one is absent or cannot be used.

    Raises `SettingsError` where the user's table `[runtime.onnx]` means nothing.
    """
    absent = sorted({"model", "tokenizer"} - set(files))
    if absent:
        raise ModelError(f"model {model.name} has no file for the onnx runtime: {', '.join(absent)}")
    external = check_external_data(files["model"], files.values())
    tokenizer = open_tokenizer(files["tokenizer"])
    session = _open_session(files["model"], is_one_file=not external)
    _refuse_other_layer(model, session)
    return OnnxModel(model.name, session, tokenizer)


class OnnxModel:
    """A `TokenModel`: what the file asks for is read off its inputs and outputs."""

    def __init__(self, name: str, session: InferenceSession, tokenizer: TextTokenizer) -> None:
        self._name = name
        self._session = session
        self._tokenizer = tokenizer
        self._inputs = [(one.name, _dtype(name, one), tuple(one.shape)) for one in session.get_inputs()]
        self._output = _output(name, session)

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Tokens]:
        """Ids with special tokens, cut to `max_tokens`, unpadded."""
        return self._tokenizer.tokenize(texts, max_tokens)

    def forward(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Vectors:
        """Token vectors [b, s, d], float32."""
        import numpy as np

        feed = {name: self._value(name, dtype, shape, ids, mask) for name, dtype, shape in self._inputs}
        (hidden,) = self._session.run([self._output], feed)
        return np.asarray(hidden, dtype=np.float32)

    def _value(
        self,
        name: str,
        dtype: str,
        shape: tuple[object, ...],
        ids: NDArray[np.int64],
        mask: NDArray[np.int64],
    ) -> NDArray[Any]:
        import numpy as np

        if name == "input_ids":
            return ids.astype(dtype, copy=False)
        if name == "attention_mask":
            return mask.astype(dtype, copy=False)
        if name == "token_type_ids":
            return np.zeros_like(ids, dtype=dtype)
        if name == "position_ids":
            # Padding is on the right, so a row's positions simply count.
            return np.broadcast_to(np.arange(ids.shape[1], dtype=dtype), ids.shape)
        if name.startswith("past_key_values"):
            # [batch, heads, past, width]: nothing came before, so every free axis but the batch is empty.
            return np.zeros((len(ids), *(size if isinstance(size, int) else 0 for size in shape[1:])), dtype)
        raise ModelError(
            f"model {self._name}: its ONNX file asks for an input that patina does not know: {name}"
        )


def _open_session(model: Path, *, is_one_file: bool) -> InferenceSession:
    # 50 ms to import: only when a model is opened.
    import onnxruntime

    providers = chosen_providers(onnxruntime.get_available_providers())
    # Other providers compile graphs of their own, and keep them where they want.
    cacheable = is_one_file and providers == [CPU]
    folder = graph_folder(model, onnxruntime.__version__) if cacheable else None
    session = (folder and _open_cached(folder)) or _open_optimizing(model, folder, providers)
    log_fallback(providers, session.get_providers())
    return session


def _open_cached(folder: Path) -> InferenceSession | None:
    """Open the optimized graph in a folder, None where there is none or it is damaged."""
    import onnxruntime

    graph = read_graph(folder)
    if graph is None:
        return None
    options = _session_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=[CPU])
    except Exception:  # ONNX Runtime's exceptions have no common base but this
        delete_graph(folder)
        return None


def _open_optimizing(model: Path, folder: Path | None, providers: Sequence[str]) -> InferenceSession:
    """Open a model, and keep its optimized graph where a folder is given and can be written."""
    if folder:
        options = _optimizing_options()
        # A full disk makes ONNX Runtime fail, too: then the model is opened without writing.
        with suppress(Exception), write_graph(folder, options):
            return _create_session(model, options, providers)
    try:
        return _create_session(model, _optimizing_options(), providers)
    except Exception as error:
        raise ModelError(f"ONNX Runtime cannot open {model}: {error}") from error


def _create_session(model: Path, options: SessionOptions, providers: Sequence[str]) -> InferenceSession:
    import onnxruntime

    if DIRECTML in providers:
        options.enable_mem_pattern = False  # as DirectML wants it
    chosen = [(name, OPTIONS.get(name, {})) for name in providers]
    return onnxruntime.InferenceSession(str(model), options, providers=chosen)


def _session_options() -> SessionOptions:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # One thread a run, and batches side by side: to wake a thread for one short text costs more than it saves
    # (3 to 8 ms against 3 on a machine with two processors), and texts that are many keep all of them busy.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return options


def _optimizing_options() -> SessionOptions:
    import onnxruntime

    options = _session_options()
    # "basic" opens in twice the time (it unfolds quantised weights) to encode a tenth faster; without any,
    # one text takes three times as long. One level for all: two levels differ in the last bits.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    return options


def _refuse_other_layer(model: ModelSpec, session: InferenceSession) -> None:
    """Refuse a file whose metadata, written by `patina export`, name another hidden state."""
    facts = session.get_modelmeta().custom_metadata_map
    if "patina.layer" not in facts or "patina.layers" not in facts:
        return
    layer, layers = int(facts["patina.layer"]), int(facts["patina.layers"])
    if model.layer % (layers + 1) != layer or not -layers - 1 <= model.layer <= layers:
        raise ModelError(
            f"model {model.name} needs layer {model.layer}; its ONNX file has layer {layer} of {layers}",
            hint=f"patina export {model.name}",
        )


def _dtype(model: str, node: NodeArg) -> str:
    kind: str = node.type
    if kind not in _TYPES:
        raise ModelError(
            f"model {model}: its ONNX file needs {node.name} as {kind}, which patina does not support"
        )
    return _TYPES[kind]


def _output(model: str, session: InferenceSession) -> str:
    axes: dict[str, int] = {node.name: len(node.shape) for node in session.get_outputs()}
    named = [name for name in _OUTPUTS if name in axes]
    shaped = [name for name, count in axes.items() if count == 3]
    if outputs := named + shaped:
        return outputs[0]
    raise ModelError(f"model {model}: its ONNX file has no output of token vectors, only {', '.join(axes)}")
