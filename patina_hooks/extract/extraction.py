"""What an extractor gave: whether it is what was promised, and what of the document it has no room for."""

from __future__ import annotations

from dataclasses import replace

from patina_hooks.specs.values import TOO_MANY, Extraction, Observation, Omission

TITLE_CAP = 300
"""A longer title is cut, in characters: it is read whole into every listing and into the index of titles.

So is the name of a section, which is stored with each observation that stands under it.
"""


def unread(found: Extraction) -> str:
    """Which lines are missed, since there was no room for what they say; "" for none."""
    return "; ".join(
        f"lines {lines.first:,} to {lines.last:,}: {lines.reason}"
        for lines in found.omissions
        if lines.reason == TOO_MANY
    )


def checked(found: object) -> Extraction:
    """What an extractor gave, if that is what it promised: it may be anybody's. Raises TypeError."""
    if not isinstance(found, Extraction):
        raise TypeError(f"gave a value of type {type(found).__name__}; wants Extraction")
    observations = tuple(map(_with_fields, found.observations))
    if not all(_is_sound(one) for one in observations):
        raise TypeError("gave an observation with an invalid kind, text, line, section, weight, name or end")
    omissions = tuple(found.omissions)
    if not all(isinstance(one, Omission) and _are_lines(one.first, one.last) for one in omissions):
        raise TypeError("gave an omission that is none, or whose lines are none")
    stated = {str(name): str(value) for name, value in found.fields.items()}
    return Extraction(observations, str(found.title), stated, omissions)


def _with_fields(one: Observation) -> Observation:
    """Return an observation whose fields are text by text, whatever mapping the extractor gave."""
    if not isinstance(one, Observation) or not one.fields:
        return one
    return replace(one, fields={str(name): str(value) for name, value in one.fields.items()})


def _are_lines(*numbers: object) -> bool:
    return all(isinstance(number, int) and 0 <= number < 1 << 31 for number in numbers)


def _is_sound(one: object) -> bool:
    return (
        isinstance(one, Observation)
        and all(isinstance(text, str) for text in (one.kind, one.text, one.section, one.name))
        and one.kind.isprintable()
        and _are_lines(one.line, one.end)
        and isinstance(one.weight, (int, float))
        and 0 <= one.weight <= 1
    )
