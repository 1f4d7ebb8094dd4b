"""The first index: our whole way from texts to an index, against raw onnxruntime + tokenizers.

python -m benchmarks.indexing HOW REPOSITORY      one measure; prints its peak of memory as JSON

HOW: ours, or how many padded tokens raw onnxruntime is given a run.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rounds import child, medians, milliseconds, peak_megabytes
from benchmarks.table import Bound, Row
from benchmarks.workshop import Workshop, encoder_of, live_texts, opened, space_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from patina_hooks.api import Patina

_ROUNDS, _TEXTS = 9, 400
_OURS, _RUNS = "ours", ("256", "512")
_GROUP = "the first index"


def measure(workshop: Workshop) -> Iterator[Row]:
    """The newest texts of the history, again and again; the others have their vectors all the time.

    Both run in one process by turns, in short rounds; the peaks of memory are of processes of their own.
    """
    root = workshop.copy(workshop.history, "unfinished")
    with opened(root) as patina:
        took = medians({how: _contender(how, patina) for how in (_OURS, *_RUNS)}, _ROUNDS)
    speed = {how: _TEXTS / taken * 1000 for how, taken in took.items()}
    best = max(_RUNS, key=speed.__getitem__)
    raw = f"raw onnxruntime + tokenizers, {best} tokens a run"
    what = f"{_TEXTS:,} texts encoded, cached and indexed"
    yield Row(_GROUP, what, speed[_OURS], "texts/s", speed[best], raw, Bound(0.9, least=True))
    peaks = {how: child("indexing", how, str(root))["megabytes"] for how in (_OURS, best)}
    yield Row(_GROUP, "peak memory of that, model included", peaks[_OURS], "MB", peaks[best], raw)


def _contender(how: str, patina: Patina) -> Callable[[], float]:
    return _ours(patina) if how == _OURS else _raw(patina, int(how))


def _ours(patina: Patina) -> Callable[[], float]:
    """The stage of a sync that makes the index, with everything that it writes."""
    from patina_hooks.search.index.vector_update import VectorUpdate
    from patina_hooks.store.log import Log

    encoder, space, state = encoder_of(patina.plugins), space_of(patina.plugins), patina.repository.state

    def index() -> float:
        _forget(patina, live_texts(patina)[:_TEXTS])
        with closing(Log(state)) as log:
            update = VectorUpdate(log, state, patina.plugins, space, lambda _: encoder, lambda *_: None)
            taken = milliseconds(update.run)
        return taken

    return index


def _raw(patina: Patina, tokens: int) -> Callable[[], float]:
    """Tokenizing all texts at once, sorting them by length, and running so many padded tokens a run."""
    import onnxruntime
    from tokenizers import BertWordPieceTokenizer

    from patina_hooks.config.recipe import DEFAULT_MODEL
    from patina_hooks.models.encoding import processors
    from patina_hooks.models.files.weights import model_files

    spec = patina.plugins.model(DEFAULT_MODEL)
    texts = _texts(patina.repository.state, live_texts(patina)[:_TEXTS])
    files = model_files(spec, "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = processors()
    session = onnxruntime.InferenceSession(str(files["model"]), options, providers=["CPUExecutionProvider"])
    tokenizer = BertWordPieceTokenizer(str(files["tokenizer"]), lowercase=True)
    tokenizer.enable_truncation(spec.max_tokens)

    def encode() -> None:
        encoded = sorted((one.ids for one in tokenizer.encode_batch(texts)), key=len)
        while encoded:
            size = 1
            while size < len(encoded) and (size + 1) * len(encoded[size]) <= tokens:
                size += 1
            session.run(None, _feed(encoded[:size]))
            encoded = encoded[size:]

    return lambda: milliseconds(encode)


def _feed(run: Sequence[Sequence[int]]) -> dict[str, object]:
    import numpy as np

    ids = np.zeros((len(run), len(run[-1])), np.int64)
    mask = np.zeros_like(ids)
    for row, one in enumerate(run):
        ids[row, : len(one)] = one
        mask[row, : len(one)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def _forget(patina: Patina, keys: list[bytes]) -> None:
    """Take the vectors of these texts away, as if a first sync had not come to them."""
    from patina_hooks.store.log import Log

    state = patina.repository.state
    index = space_of(patina.plugins).open(patina.plugins, state)
    index.remove(keys)
    rows = [(key,) for key in keys]
    with closing(sqlite3.connect(state / "embeddings.db")) as cache, cache:
        cache.executemany("DELETE FROM embedding WHERE key = ?", rows)
    with closing(Log(state)) as log, log.writing() as connection:
        connection.executemany("UPDATE text SET indexed = 0 WHERE key = ?", rows)
        log.remember("generation", str(index.stats().generation))


def _texts(state: Path, keys: list[bytes]) -> list[str]:
    ask = "SELECT text FROM observation WHERE text_key = ? AND live LIMIT 1"
    with closing(sqlite3.connect(state / "log.db")) as connection:
        return [connection.execute(ask, (key,)).fetchone()[0] for key in keys]


if __name__ == "__main__":
    with opened(Path(sys.argv[2])) as patina:
        _contender(sys.argv[1], patina)()
    print(json.dumps({"megabytes": peak_megabytes()}))
