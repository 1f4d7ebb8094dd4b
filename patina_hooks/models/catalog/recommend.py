"""Which installed model suits this machine and these languages: a rule of thumb that says its reasons.

What a model is worth on a repository only that repository's own history tells (`patina models compare`): the
rule keeps to what is known beforehand. Weights have to fit beside everything else, and a text has to be
embedded in well under a second, or a first sync takes days.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.config.recipe import DEFAULT_MODEL
from patina_hooks.models.catalog.registry import ModelState, state_of
from patina_hooks.models.choice import APPLE_SILICON, installed_runtimes, this_platform
from patina_hooks.specs.models import ModelSpec
from patina_hooks.text.display import size

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins

MANY: Final = "mul"
"""The language code of a model that was trained for very many."""

_BYTES_A_WEIGHT: Final = 4
_SHARE: Final = 4
"""The weights, in float32, may take this part of the memory."""
_MOST_WITHOUT_GPU: Final = 200_000_000
_MOST_WITH_GPU: Final = 1_000_000_000
_LAST_LAYER: Final = -1


@dataclass(frozen=True, slots=True)
class Machine:
    """memory: in bytes, 0 where it is not known; gpu: whether weights run on one that we know to be there."""

    platform: str
    memory: int
    gpu: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A model that was not taken, and why."""

    model: str
    why: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """model: "" where none suits; commands: what is left to do to use it."""

    model: str
    why: str
    commands: tuple[str, ...]
    others: tuple[Refused, ...]


def recommend(plugins: Plugins, machine: Machine, languages: Sequence[str]) -> Recommendation:
    """The largest model that suits, among those installed; of two as large, the first by name.

    languages: codes as people write them: "en", "EN", "en-US" and "en_US.UTF-8" are one.
    """
    languages = tuple(dict.fromkeys(map(_language, languages)))
    installed = installed_runtimes(plugins)
    states = [state_of(spec, installed, machine.platform) for spec in plugins.models()]
    against = {id(one): _against(one, machine, languages) for one in states}
    suiting = [one for one in states if not against[id(one)]]
    best = max(suiting, key=lambda one: one.spec.parameters, default=None)
    others = tuple(
        Refused(one.spec.name, against[id(one)] or (f"{best.spec.name} is no smaller" if best else ""))
        for one in states
        if one is not best
    )
    if best is None:
        return Recommendation("", "none that is installed suits", (), others)
    return Recommendation(best.spec.name, _in_favour(best.spec, machine, languages), _steps(best), others)


def this_machine() -> Machine:
    """What can be known of this machine without opening a runtime."""
    platform = this_platform()
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        memory = 0
    return Machine(platform, memory, gpu=platform == APPLE_SILICON)


def _language(code: str) -> str:
    """The language of a code, without script and region: no model says more of itself."""
    return re.split("[-_.]", code.strip().lower())[0]


def _against(state: ModelState, machine: Machine, languages: Sequence[str]) -> str:
    spec = state.spec
    known = {_language(one) for one in spec.languages}
    missing = [one for one in languages if one not in known and MANY not in known]
    most = _MOST_WITH_GPU if machine.gpu else _MOST_WITHOUT_GPU
    if not state.runtime:
        return "no installed runtime can run it"
    if not spec.parameters:
        return "its size is not known"
    if spec.layer != _LAST_LAYER:
        return "it was not trained to embed texts; measure it before you use it"
    if spec.parameters > most and not _is_only_way(spec, languages):
        return f"{_millions(spec)} are slow {'here' if machine.gpu else 'without a GPU'}"
    if machine.memory and spec.parameters * _BYTES_A_WEIGHT * _SHARE > machine.memory:
        return f"it takes more than a quarter of {size(machine.memory)} of memory"
    return f"it was not trained for {', '.join(missing)}" if missing else ""


def _is_only_way(spec: ModelSpec, languages: Sequence[str]) -> bool:
    """A smaller model that does not know the language is no alternative."""
    beyond = any(one != "en" for one in languages)
    return beyond and MANY in spec.languages and spec.parameters <= _MOST_WITH_GPU


def _in_favour(spec: ModelSpec, machine: Machine, languages: Sequence[str]) -> str:
    known = "many languages" if MANY in spec.languages else ", ".join(languages)
    memory = f" of {size(machine.memory)}" if machine.memory else ""
    return (
        f"the largest of those installed that knows {known} and runs at a usable speed on {machine.platform}:"
        f" {_millions(spec)}, {size(spec.parameters * _BYTES_A_WEIGHT)}{memory}"
    )


def _millions(spec: ModelSpec) -> str:
    return f"{spec.parameters / 1e6:,.0f} million weights"


def _steps(state: ModelState) -> tuple[str, ...]:
    pull = (state.remedy,) if state.state == "pull" else ()
    write = f"write to .patina/oxidize.yaml: embedding_model: {state.spec.name}"
    return (*pull, _compare(state.spec.name), write, "patina sync")


def _compare(model: str) -> str:
    """Whether it is worth its cost only the repository's own history tells."""
    if model == DEFAULT_MODEL:
        return f"patina models compare {model} OTHER   # would another find more here?"
    return f"patina models compare {DEFAULT_MODEL} {model}   # does it find more here?"
