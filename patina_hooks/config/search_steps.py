"""What a recipe names for questions and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from patina_hooks.config.schema import Rule

STEP_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
NAME_PATTERN: Final = rf"{STEP_PATTERN}(?:/{STEP_PATTERN})?"
"""A name of what plugins provide: NAME or PLUGIN/NAME."""

_Steps = Annotated[
    tuple[Annotated[str, Rule("the name of an installed one", pattern=NAME_PATTERN)], ...],
    Rule("a list of names", "[name]", longest=16),
]


@dataclass(frozen=True, slots=True)
class SearchSteps:
    """The steps of plugins in a search, by name and in order.

    None by default.
    """

    rewriters: _Steps = ()
    rerankers: _Steps = ()
    filters: _Steps = ()
