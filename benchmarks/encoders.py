"""Ways from texts to vectors, each in a process of its own that encodes the same texts when it is told to.

python -m benchmarks.encoders WAY FOLDER      FOLDER: as `benchmarks.runtimes` fills it

Libraries' threads wait by spinning, so contenders in one process would slow each other down. A line on stdin
is how to do it (a batch size, say, or nothing); the answer is the wall time in ms. Where a way makes whole
vectors, those of the first time are left as WAY.npy.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from patina_mlx.core import mx

    from patina_hooks.specs.vectors import Vectors

MOST_TOKENS = 256
DIMENSIONS = 384
_LAYERS, _HEADS = 6, 12
SIDE_BY_SIDE = "side by side"

Way = Callable[[str], "Vectors | None"]
Batch = tuple["NDArray[np.int64]", "NDArray[np.int64]"]


def main(way: str, folder: Path) -> None:
    """Encode until there are no more lines."""
    import numpy as np

    texts = json.loads((folder / "texts.json").read_text("utf-8"))
    encode, saved = WAYS[way](folder, texts), folder / f"{way}.npy"
    for line in sys.stdin:
        begun = time.perf_counter()
        made = encode(line.strip())
        taken = (time.perf_counter() - begun) * 1000
        if made is not None and not saved.exists():
            np.save(saved, made)
        print(taken, flush=True)


# --- ours -----------------------------------------------------------------------------------------


def _ours(runtime: str, model: str, folder: Path, texts: Sequence[str]) -> Way:
    """The runtime on files of the folder, with the batches that a sync has."""
    from patina_hooks.models.choice import RuntimeChoice
    from patina_hooks.models.encoding import Encoder, processors
    from patina_hooks.plugins.manager import Plugins, open_callable
    from patina_hooks.specs.models import LocalFile, ModelSpec

    names = {"model": model, "config": "config.json", "tokenizer": "tokenizer.json"}
    files = {role: folder / name for role, name in names.items()}
    listed = {role: LocalFile(path) for role, path in files.items()}
    spec = ModelSpec("minilm", dimensions=DIMENSIONS, runtimes={runtime: listed}, max_tokens=MOST_TOKENS)
    how = Plugins.load().runtime(runtime)
    workers = processors() if how.concurrent else 1
    encoder = Encoder(
        spec, RuntimeChoice(runtime, "measured"), "", open_callable(how.factory)(spec, files), workers=workers
    )
    return lambda _: encoder.encode(texts, role="passage").vectors


# --- raw: the forward pass alone, in the batches that are named -----------------------------------


def _batches(folder: Path, texts: Sequence[str], budget: int) -> Iterator[Batch]:
    """Ids and mask of texts sorted by length, at most `budget` padded tokens in each."""
    import numpy as np
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST_TOKENS)
    left = sorted((one.ids for one in tokenizer.encode_batch(texts)), key=len)
    while left:
        size = 1
        while size < len(left) and (size + 1) * len(left[size]) <= budget:
            size += 1
        ids = np.zeros((size, len(left[size - 1])), np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(left[:size]):
            ids[row, : len(one)], mask[row, : len(one)] = one, 1
        yield ids, mask
        left = left[size:]


def _raw_onnx(model: str, folder: Path, texts: Sequence[str]) -> Way:
    """onnxruntime with its usual settings. how: tokens a run; then, maybe, one thread a run, side by side."""
    import numpy as np
    import onnxruntime

    from patina_hooks.models.encoding import processors

    def opened(threads: int) -> Any:  # noqa: ANN401  (onnxruntime has no types)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return onnxruntime.InferenceSession(str(folder / model), options, providers=["CPUExecutionProvider"])

    together, alone, pool = opened(processors()), opened(1), ThreadPoolExecutor(processors())

    def run(session: Any, batch: Batch) -> None:  # noqa: ANN401
        ids, mask = batch
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        session.run(None, feed)

    def encode(how: str) -> None:
        budget, _, side = how.partition(" ")
        batches = _batches(folder, texts, int(budget))
        if side == SIDE_BY_SIDE:
            list(pool.map(partial(run, alone), batches))
        else:
            list(map(partial(run, together), batches))

    return encode


def _raw_mlx(folder: Path, texts: Sequence[str]) -> Way:
    """BERT in plain mlx.core. how: tokens a run; 0 for one text a run."""
    import numpy as np
    from patina_mlx.core import mx  # which finds OpenBLAS

    loaded = cast("dict[str, mx.array]", mx.load(str(folder / "model.safetensors")))
    tensors = {name.removeprefix("bert."): one for name, one in loaded.items()}

    def encode(how: str) -> None:
        for ids, mask in _batches(folder, texts, int(how)):
            shown = mx.array(mask.astype(bool))[:, None, None] if len(ids) > 1 else None
            mx.eval(_bert(tensors, mx.array(ids.astype(np.int32)), shown))

    return encode


def _bert(tensors: Mapping[str, mx.array], ids: mx.array, mask: mx.array | None) -> mx.array:
    """The last hidden states [n, t, d]."""
    words, kinds, places = (
        tensors[f"embeddings.{name}_embeddings.weight"] for name in ("word", "token_type", "position")
    )
    x = _norm(tensors, words[ids] + kinds[0] + places[: ids.shape[1]], "embeddings.LayerNorm")
    for at in range(_LAYERS):
        x = _layer(tensors, x, mask, f"encoder.layer.{at}.")
    return x


def _layer(tensors: Mapping[str, mx.array], x: mx.array, mask: mx.array | None, layer: str) -> mx.array:
    from patina_mlx.core import mx

    rows, length, _ = x.shape
    query, key, value = (
        _linear(tensors, x, f"{layer}attention.self.{name}")
        .reshape(rows, length, _HEADS, DIMENSIONS // _HEADS)
        .transpose(0, 2, 1, 3)
        for name in ("query", "key", "value")
    )
    scale = (DIMENSIONS // _HEADS) ** -0.5
    seen = mx.fast.scaled_dot_product_attention(query, key, value, scale=scale, mask=mask)
    seen = seen.transpose(0, 2, 1, 3).reshape(rows, length, DIMENSIONS)
    seen = x + _linear(tensors, seen, f"{layer}attention.output.dense")
    x = _norm(tensors, seen, f"{layer}attention.output.LayerNorm")
    fed = _linear(tensors, x, f"{layer}intermediate.dense")
    fed = fed * (1 + mx.erf(fed / 2**0.5)) / 2
    return _norm(tensors, x + _linear(tensors, fed, f"{layer}output.dense"), f"{layer}output.LayerNorm")


def _linear(tensors: Mapping[str, mx.array], x: mx.array, name: str) -> mx.array:
    return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]


def _norm(tensors: Mapping[str, mx.array], x: mx.array, name: str) -> mx.array:
    from patina_mlx.core import mx

    return mx.fast.layer_norm(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], 1e-12)


# --- others ---------------------------------------------------------------------------------------


def _sentence_transformers(folder: Path, texts: Sequence[str]) -> Way:
    """how: texts a batch."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    model.max_seq_length = MOST_TOKENS

    def encode(how: str) -> Vectors:
        made: Vectors = model.encode(
            list(texts), batch_size=int(how), normalize_embeddings=True, show_progress_bar=False
        )
        return made

    return encode


def _fastembed(folder: Path, texts: Sequence[str]) -> Way:
    """how: texts a batch."""
    import numpy as np
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    TextEmbedding.add_custom_model(
        "measured/minilm",
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf="measured/minilm"),
        dim=DIMENSIONS,
        model_file="model.onnx",
    )
    model = TextEmbedding(
        "measured/minilm", specific_model_path=str(folder), providers=["CPUExecutionProvider"]
    )
    return lambda how: np.stack(list(model.embed(list(texts), batch_size=int(how))))


WAYS: dict[str, Callable[[Path, Sequence[str]], Way]] = {
    "onnx": partial(_ours, "onnx", "model.onnx"),
    "onnx-int8": partial(_ours, "onnx", "int8.onnx"),
    "torch": partial(_ours, "torch", "model.safetensors"),
    "mlx": partial(_ours, "mlx", "model.safetensors"),
    "raw-onnx": partial(_raw_onnx, "model.onnx"),
    "raw-onnx-int8": partial(_raw_onnx, "int8.onnx"),
    "raw-mlx": _raw_mlx,
    "sentence-transformers": _sentence_transformers,
    "fastembed": _fastembed,
}


if __name__ == "__main__":
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    main(sys.argv[1], Path(sys.argv[2]))
