"""Which installed model suits this machine and these languages: a rule of thumb with its reasons.

Only a repository's own history shows how good a model is there (`patina models compare`); the rule uses what
is known beforehand. Weights have to fit into memory next to other programs, and a text has to be embedded in
well under a second, or a first sync takes days.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from patina_hooks.config.recipe import DEFAULT_MODEL
from patina_hooks.models.catalog.registry import ModelState, read_state_of
from patina_hooks.models.choice import APPLE_SILICON, installed_runtimes, this_platform
from patina_hooks.specs.models import ModelSpec
from patina_hooks.text.display import format_size

if TYPE_CHECKING:
    from patina_hooks.plugins.manager import Plugins

MANY: Final = "mul"
"""The language code of a model that was trained for very many languages."""

_BYTES_A_WEIGHT: Final = 4
_SHARE: Final = 4
"""The weights, in float32, may take this part of the memory."""
_MOST_WITHOUT_GPU: Final = 200_000_000
_MOST_WITH_GPU: Final = 1_000_000_000
_LAST_LAYER: Final = -1


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine. memory: in bytes, 0 where it is not known; gpu: whether it is known to have one."""

    platform: str
    memory: int
    gpu: bool


@dataclass(frozen=True, slots=True)
class Rejection:
    """A model that was not chosen, and the reason."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The recommended model, "" where none suits, and the commands to use it."""

    model: str
    reason: str
    commands: tuple[str, ...]
    rejected: tuple[Rejection, ...]


def recommend(plugins: Plugins, machine: Machine, languages: Sequence[str]) -> Recommendation:
    """Recommend the largest installed model that suits; of two as large, the first by name.

    Args:
        plugins: the loaded plugins.
        machine: see `this_machine`.
        languages: codes: "en", "EN", "en-US" and "en_US.UTF-8" mean the same.
    """
    languages = tuple(dict.fromkeys(map(_language, languages)))
    installed = installed_runtimes(plugins)
    states = [read_state_of(spec, installed, machine.platform) for spec in plugins.models()]
    objections = {id(state): _objection(state, machine, languages) for state in states}
    suitable = [state for state in states if not objections[id(state)]]
    best = max(suitable, key=lambda state: state.spec.parameters, default=None)
    larger = f"{best.spec.name} is at least as large" if best else ""
    rejected = tuple(
        Rejection(state.spec.name, objections[id(state)] or larger) for state in states if state is not best
    )
    if best is None:
        return Recommendation("", "no installed model suits", (), rejected)
    return Recommendation(best.spec.name, _reason(best.spec, machine, languages), _steps(best), rejected)


def as_json_object(recommendation: Recommendation) -> dict[str, object]:
    """Return the object that `--json` prints; docs/json.md has the keys."""
    return {
        "model": recommendation.model,
        "why": recommendation.reason,
        "commands": recommendation.commands,
        "others": [{"model": entry.model, "why": entry.reason} for entry in recommendation.rejected],
    }


def this_machine() -> Machine:
    """Describe this machine without opening a runtime."""
    platform = this_platform()
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        memory = 0
    return Machine(platform, memory, gpu=platform == APPLE_SILICON)


def _language(code: str) -> str:
    """Return the language of a code, without script and region."""
    return re.split("[-_.]", code.strip().lower())[0]


def _objection(state: ModelState, machine: Machine, languages: Sequence[str]) -> str:
    spec = state.spec
    trained = {_language(code) for code in spec.languages}
    missing = [code for code in languages if code not in trained and MANY not in trained]
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
        return f"it takes more than a quarter of {format_size(machine.memory)} of memory"
    return f"it was not trained for {', '.join(missing)}" if missing else ""


def _is_only_way(spec: ModelSpec, languages: Sequence[str]) -> bool:
    """Return whether smaller models do not know the languages."""
    has_others = any(code != "en" for code in languages)
    return has_others and MANY in spec.languages and spec.parameters <= _MOST_WITH_GPU


def _reason(spec: ModelSpec, machine: Machine, languages: Sequence[str]) -> str:
    trained = "many languages" if MANY in spec.languages else ", ".join(languages)
    memory = f" of {format_size(machine.memory)}" if machine.memory else ""
    return (
        f"the largest installed model that knows {trained} and runs at a usable speed on {machine.platform}:"
        f" {_millions(spec)}, {format_size(spec.parameters * _BYTES_A_WEIGHT)}{memory}"
    )


def _millions(spec: ModelSpec) -> str:
    return f"{spec.parameters / 1e6:,.0f} million weights"


def _steps(state: ModelState) -> tuple[str, ...]:
    pull = (state.remedy,) if state.state == "pull" else ()
    edit = f"write to .patina/oxidize.yaml: embedding_model: {state.spec.name}"
    return (*pull, _comparison(state.spec.name), edit, "patina sync")


def _comparison(model: str) -> str:
    """Return the command that compares the model on the repository's own history."""
    if model == DEFAULT_MODEL:
        return f"patina models compare {model} OTHER   # would another find more here?"
    return f"patina models compare {DEFAULT_MODEL} {model}   # does it find more here?"
