"""Check the result of an extractor, and describe the lines that it left out."""

from __future__ import annotations

from dataclasses import replace

from patina_hooks.specs.values import TOO_MANY, Extraction, Observation, Omission

TITLE_CAP = 300
"""The longest title in characters: it is read whole into every listing and into the index of titles.

The name of a section, which is stored with each of its observations, has the same limit.
"""


class LimitReached(Exception):
    """Not an error: ends the reading.

    line: of the first observation that is left out.
    """

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def describe_unread_lines(extraction: Extraction) -> str:
    """Describe the lines beyond the limit of observations, "" if there are none."""
    return "; ".join(
        f"lines {lines.first:,} to {lines.last:,}: {lines.reason}"
        for lines in extraction.omissions
        if lines.reason == TOO_MANY
    )


def check_extraction(result: object) -> Extraction:
    """Check the result of an extractor, which may be a third party's.

    Raises TypeError.
    """
    if not isinstance(result, Extraction):
        raise TypeError(f"returned a value of type {type(result).__name__}; expected Extraction")
    observations = tuple(map(_convert_fields, result.observations))
    if not all(_is_valid(observation) for observation in observations):
        raise TypeError(
            "returned an observation with an invalid kind, text, line, section, weight, name or end"
        )
    omissions = tuple(result.omissions)
    if not all(isinstance(item, Omission) and _are_lines(item.first, item.last) for item in omissions):
        raise TypeError("returned an invalid omission, or one with invalid lines")
    fields = {str(name): str(value) for name, value in result.fields.items()}
    return Extraction(observations, str(result.title), fields, omissions)


def _convert_fields(observation: Observation) -> Observation:
    """Return an observation whose fields are a dict of texts, whatever mapping the extractor returned."""
    if not isinstance(observation, Observation) or not observation.fields:
        return observation
    fields = {str(name): str(value) for name, value in observation.fields.items()}
    return replace(observation, fields=fields)


def _are_lines(*numbers: object) -> bool:
    return all(isinstance(number, int) and 0 <= number < 1 << 31 for number in numbers)


def _is_valid(value: object) -> bool:
    return (
        isinstance(value, Observation)
        and all(isinstance(text, str) for text in (value.kind, value.text, value.section, value.name))
        and value.kind.isprintable()
        and _are_lines(value.line, value.end)
        and isinstance(value.weight, (int, float))
        and 0 <= value.weight <= 1
    )
