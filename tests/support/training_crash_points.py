"""Kill a run of oxidize before its write steps in turn, and see what is left and what the next makes.

`python -m support.training_crash_points FOLDER COUNT` prints one JSON object a step (see `Step`), as
`support.crash_points` does for syncs. The run trains a projection that helps, so that the index is swapped to
it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from projection.learning import MODEL, make_history, saying, words
from support.crash_points import copy_to, import_modules_of, in_fork, kill_at, list_steps
from support.memory import Memory, memory_of, plugins
from support.sampling import sample_steps

from patina_hooks.training.oxidize import oxidize

MLP = MODEL + "  mine: {type: mlp, layers: [16, 8], epochs: 1}\n"
WHITENING = MODEL + "  mine: {type: whitening, layers: [32, 24]}\n"


@dataclass(frozen=True, slots=True)
class Step:
    """what: the step that was not done any more; asked: who answered then, "" for the raw model.

    equal: whether after one more run all is as if the first had not been killed.
    """

    number: int
    what: str
    asked: str
    equal: bool


def main(folder: Path, count: int) -> None:
    template, place = folder / "template", folder / "repository"
    in_fork(lambda: _prepare(template))
    copy_to(template, place)
    expected = in_fork(lambda: _run(place))
    import_modules_of(lambda: _asked(place))
    copy_to(template, place)
    kinds = list_steps(lambda: _train(place), Memory(place).state)
    for number in sample_steps(kinds, count):
        copy_to(template, place)
        what = kill_at(number, lambda: _train(place), Memory(place).state)
        asked = in_fork(lambda: _asked(place))
        again = in_fork(lambda: _run(place)) == expected
        print(json.dumps(asdict(Step(number, what, asked, again))), flush=True)  # noqa: T201 (read by the test)


def _prepare(template: Path) -> str:
    """A run that has read all questions, and used nothing; then the recipe changes."""
    memory = make_history(template, recipe=MLP)
    memory.sync()
    used = _oxidized(memory)
    assert used == ""
    memory.write(".patina/oxidize.yaml", WHITENING)
    return used


def _oxidized(memory: Memory) -> str:
    with memory_of(memory.repository) as patina:
        return oxidize(patina).weights


def _run(place: Path) -> str:
    memory = Memory(place)
    used = _oxidized(memory)
    found = memory.snapshot()
    left = sorted(
        str(path.relative_to(memory.state)) for path in (memory.state / "projections").rglob("*.safetensors*")
    )
    return repr((used, found.events_hash, sorted(found.vectors.items()), sorted(found.answers.items()), left))


def _asked(place: Path) -> str:
    """Everything answers, at once and after a sync."""
    memory = Memory(place)
    for _ in range(2):
        with memory_of(memory.repository) as patina:
            assert patina.search(saying(*words(7)[:2]), mode="vector")
            answers = patina.status().projection
        assert memory.sync().faults == ()
    return "" if answers == "none" else answers


def _train(place: Path) -> None:
    _oxidized(Memory(place))


if __name__ == "__main__":
    import git  # noqa: F401 (every fork would)

    import patina_hooks.search.index.exact  # noqa: F401

    plugins()
    main(Path(sys.argv[1]), int(sys.argv[2]))
