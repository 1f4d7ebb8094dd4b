"""What models cost on this machine: how fast they read, how soon they are there, how much memory they take.

Each run is a process of its own, and the candidates take turns, so that a machine which has other things to
do treats them alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError
from patina_hooks.evaluation.comparison.process import probed
from patina_hooks.store.corpus.texts import sample_texts

if TYPE_CHECKING:
    from patina_hooks.evaluation.comparison.probe import ProbeFigures
    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.store.log import Log

    Progress = Callable[[str, int, int], None]

RUNS: Final = 3
MOST_TEXTS: Final = 512


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over the runs.

    texts_per_second: of the sample's average length; characters_per_second: of any. cold_start: seconds from
    the start of a process to its first vector. memory: the peak of the process in bytes, None where it is not
    known. texts: how many a run read.
    """

    texts_per_second: float
    characters_per_second: float
    cold_start: float
    memory: int | None
    texts: int
    runs: int


@dataclass(frozen=True, slots=True)
class _SpeedRun:
    cold_start: float
    figures: ProbeFigures


def sample(log: Log, most: int = MOST_TEXTS) -> list[str]:
    """Texts of the memory, drawn by their hashes, no choice of ours and the same each time, and `spread`."""
    return spread(sample_texts(log.connection, most))


def spread(texts: Sequence[str]) -> list[str]:
    """Order texts so that every prefix has a similar mixture of lengths.

    A text from each half of the range of lengths, then from each quarter, and so on (van der Corput order).
    """
    by_length = sorted(texts, key=lambda text: (len(text), text))
    bits = len(texts).bit_length()
    places = (_turned(number, bits) * len(texts) >> bits for number in range(1 << bits))
    return [by_length[place] for place in dict.fromkeys(places)] if texts else []


def measure_speed(
    spaces: Mapping[str, VectorSpace], texts: Sequence[str], progress: Progress = lambda *_: None
) -> dict[str, Speed | ModelError]:
    """Name -> what that model costs, or why it cannot be run. texts: see `sample`; at least one.

    progress: told in hundredths.
    """
    runs: dict[str, list[_SpeedRun]] = {name: [] for name in spaces}
    failed: dict[str, ModelError] = {}
    turns = [name for turn in range(RUNS) for name in _rotated(list(spaces), turn)]
    for finished, name in enumerate(turns):
        progress("measuring speed", 100 * finished // len(turns), 100)
        if name not in failed:
            try:
                runs[name].append(_run(spaces[name], texts))
            except ModelError as error:
                failed[name] = error
    progress("measuring speed", 100, 100)
    length = mean(map(len, texts))
    return {name: failed.get(name) or _speed(measured, length) for name, measured in runs.items()}


def _speed(runs: Sequence[_SpeedRun], length: float) -> Speed:
    figures = [run.figures for run in runs]
    memories = [figure["memory"] for figure in figures if figure["memory"] is not None]
    # A slow model reads only the beginning of the sample: characters make that comparable.
    rate = median(figure["characters"] / figure["seconds"] for figure in figures)
    return Speed(
        texts_per_second=rate / length,
        characters_per_second=rate,
        cold_start=median(run.cold_start for run in runs),
        memory=int(median(memories)) if memories else None,
        texts=int(median(figure["texts"] for figure in figures)),
        runs=len(runs),
    )


def _run(space: VectorSpace, texts: Sequence[str]) -> _SpeedRun:
    start = time.perf_counter()
    with probed(space, texts) as receive:
        receive()
        ready = time.perf_counter()
        return _SpeedRun(ready - start, receive())


def _rotated(names: list[str], turn: int) -> list[str]:
    first = turn % len(names) if names else 0
    return names[first:] + names[:first]


def _turned(number: int, bits: int) -> int:
    """Its bits, read from the other end."""
    return int(f"{number:0{bits}b}"[::-1], 2)
