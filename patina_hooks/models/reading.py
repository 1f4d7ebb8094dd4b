"""Apply the settings of a recipe to a model: instruction, pooling, layer and length.

The result is a spec like any other, so that fingerprint, runtime and encoder need no recipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import ModelError
from patina_hooks.models.choice import files_for
from patina_hooks.specs.models import ModelSpec, Role
from patina_hooks.specs.plugins import IndexBackendSpec

if TYPE_CHECKING:
    from patina_hooks.config.recipe import Reading

TASK: Final = "{task}"
_SINGLE_LAYER: Final = "onnx"


def prefix_of(spec: ModelSpec, role: Role) -> str:
    """Return the prefix of texts of this role, with the task filled in."""
    prefix = spec.query_prefix if role == "query" else spec.passage_prefix
    return prefix.replace(TASK, spec.task)


def takes_task(spec: ModelSpec) -> bool:
    """Return whether a prefix of the model has the task in it."""
    return TASK in spec.query_prefix + spec.passage_prefix


def apply_reading(spec: ModelSpec, reading: Reading) -> ModelSpec:
    """Return the spec with the settings of a recipe.

    Raises:
        ModelError: names the key, the value, what is expected and what to write.
    """
    if reading.instruction is not None:
        spec = _with_instruction(spec, reading.instruction)
    if reading.pooling is not None:
        spec = replace(spec, pooling=reading.pooling)
    if reading.extraction_layer not in (None, spec.layer):
        spec = _with_layer(spec, int(reading.extraction_layer or 0))
    if reading.truncate is not None:
        spec = _with_length(spec, reading.truncate)
    return spec


def with_batching(spec: ModelSpec, runtime: str) -> ModelSpec:
    """Return the spec for a runtime, named as in a recipe: unbatched where its files require that."""
    return (
        replace(spec, batch_invariant=False) if files_for(spec, runtime) in spec.unbatched_runtimes else spec
    )


def with_remote_runtime(spec: ModelSpec, runtime: str, reading: Reading | None) -> ModelSpec:
    """Return the spec for a runtime of text vectors, which opens no files here.

    Raises:
        ModelError: the recipe sets pooling or a layer.
    """
    fixed = {"pooling": reading.pooling, "extraction_layer": reading.extraction_layer} if reading else {}
    for key, value in fixed.items():
        if value is not None:
            raise ModelError(
                f"{key} is {value!r}, expected none: the runtime {runtime} pools itself; remove the line"
            )
    return replace(spec, runtimes={**spec.runtimes, runtime: {}}, batch_invariant=False)


def with_runtimes(spec: ModelSpec, accepts: Callable[[str], bool]) -> ModelSpec:
    """Return the spec with only those of its runtimes whose names are accepted."""
    runtimes = {name: files for name, files in spec.runtimes.items() if accepts(name)}
    return replace(
        spec, runtimes=runtimes, unbatched_runtimes=tuple(filter(accepts, spec.unbatched_runtimes))
    )


def _with_instruction(spec: ModelSpec, instruction: str) -> ModelSpec:
    if not takes_task(spec):
        raise ModelError(
            f"instruction is {instruction!r}, expected none: {spec.name} was not trained with instructions;"
            " remove the line, or name another model"
        )
    return replace(spec, task=instruction)


def _with_layer(spec: ModelSpec, layer: int) -> ModelSpec:
    """Change the layer; an ONNX file has only the layer that it was exported with."""
    remaining = with_runtimes(spec, lambda name: name.partition("/")[0] != _SINGLE_LAYER)
    if spec.runtimes and not remaining.runtimes:
        raise ModelError(
            f"extraction_layer is {layer}, expected {spec.layer}: {spec.name} has only an ONNX file, which"
            f" has one layer; write: extraction_layer: {spec.layer}"
        )
    return replace(remaining, layer=layer)


def _with_length(spec: ModelSpec, length: int) -> ModelSpec:
    if length == spec.dimensions:
        return replace(spec, truncate=0)
    if length in spec.matryoshka:
        return replace(spec, truncate=length)
    lengths = [*spec.matryoshka, spec.dimensions]
    nearest = min(lengths, key=lambda candidate: (abs(candidate - length), candidate))
    raise ModelError(
        f"truncate is {length}, expected {lengths_in_words(spec)}, which {spec.name} was trained for;"
        f" write: truncate: {nearest}"
    )


def short_length(spec: ModelSpec, index: IndexBackendSpec) -> int:
    """Return how many first dimensions the index searches before all, 0 where it always searches all.

    Raises:
        ModelError: vectors of this model cannot be cut, or are short already.
    """
    if not index.short:
        return 0
    lengths = [length for length in spec.matryoshka if index.short <= length < spec.width]
    if lengths:
        return min(lengths)
    raise ModelError(
        f"index is {index.name!r}, expected one that searches whole vectors: {spec.name} has {spec.width}"
        f" dimensions, and was trained for no length from {index.short} to there; write: index: exact"
    )


def lengths_in_words(spec: ModelSpec) -> str:
    """Describe the lengths that vectors of this model may have: "32 to 1024", "768, 512 or 256"."""
    whole = spec.dimensions
    if isinstance(spec.matryoshka, range) and spec.matryoshka == range(min(spec.matryoshka), whole):
        return f"{spec.matryoshka[0]} to {whole}"
    listed = sorted({*spec.matryoshka, whole}, reverse=True)
    *most, last = map(str, listed)
    return f"{', '.join(most)} or {last}" if most else last
