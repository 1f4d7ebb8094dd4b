"""A model as a recipe wants it read: its own way, but for what the recipe says otherwise.

The result is a spec like any other, so that everything that follows (fingerprint, runtime, encoder) knows
of no recipe.
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
_ONE_LAYER: Final = "onnx"


def prefix_of(spec: ModelSpec, role: Role) -> str:
    """What stands before every text of this role, with the task filled in."""
    prefix = spec.query_prefix if role == "query" else spec.passage_prefix
    return prefix.replace(TASK, spec.task)


def takes_task(spec: ModelSpec) -> bool:
    """Whether a prefix of the model names the task."""
    return TASK in spec.query_prefix + spec.passage_prefix


def apply_reading(spec: ModelSpec, reading: Reading) -> ModelSpec:
    """`spec` with what `reading` says; `ModelError` names the key, the value, what was expected, the fix."""
    if reading.instruction is not None:
        spec = _instructed(spec, reading.instruction)
    if reading.pooling is not None:
        spec = replace(spec, pooling=reading.pooling)
    if reading.extraction_layer not in (None, spec.layer):
        spec = _from_layer(spec, int(reading.extraction_layer or 0))
    if reading.truncate is not None:
        spec = _cut_off(spec, reading.truncate)
    return spec


def with_batching(spec: ModelSpec, runtime: str) -> ModelSpec:
    """`spec` as its files for a runtime, named as a recipe does, want it run."""
    return (
        replace(spec, batch_invariant=False) if files_for(spec, runtime) in spec.unbatched_runtimes else spec
    )


def with_remote_runtime(spec: ModelSpec, runtime: str, reading: Reading | None) -> ModelSpec:
    """`spec` as a runtime has it that pools where it runs, and opens no files here.

    `ModelError` where `reading` would have it pool or look into layers.
    """
    asked = {"pooling": reading.pooling, "extraction_layer": reading.extraction_layer} if reading else {}
    for key, value in asked.items():
        if value is not None:
            raise ModelError(
                f"{key} is {value!r}, expected none: the runtime {runtime} gives whole vectors, pooled where"
                " it runs; remove the line, and have that done there"
            )
    return replace(spec, runtimes={**spec.runtimes, runtime: {}}, batch_invariant=False)


def with_runtimes(spec: ModelSpec, wanted: Callable[[str], bool]) -> ModelSpec:
    """`spec` with those of its runtimes whose name is wanted."""
    runtimes = {name: files for name, files in spec.runtimes.items() if wanted(name)}
    return replace(spec, runtimes=runtimes, unbatched_runtimes=tuple(filter(wanted, spec.unbatched_runtimes)))


def _instructed(spec: ModelSpec, instruction: str) -> ModelSpec:
    if not takes_task(spec):
        raise ModelError(
            f"instruction is {instruction!r}, expected none: {spec.name} was not trained to be told its task;"
            " remove the line, or name another model"
        )
    return replace(spec, task=instruction)


def _from_layer(spec: ModelSpec, layer: int) -> ModelSpec:
    """An ONNX file gives the one layer that it was written for."""
    others = with_runtimes(spec, lambda name: name.partition("/")[0] != _ONE_LAYER)
    if spec.runtimes and not others.runtimes:
        raise ModelError(
            f"extraction_layer is {layer}, expected {spec.layer}: {spec.name} has only an ONNX file, which"
            f" gives one layer alone; write: extraction_layer: {spec.layer}"
        )
    return replace(others, layer=layer)


def _cut_off(spec: ModelSpec, length: int) -> ModelSpec:
    if length == spec.dimensions:
        return replace(spec, truncate=0)
    if length in spec.matryoshka:
        return replace(spec, truncate=length)
    lengths = [*spec.matryoshka, spec.dimensions]
    nearest = min(lengths, key=lambda one: (abs(one - length), one))
    raise ModelError(
        f"truncate is {length}, expected {lengths_in_words(spec)}, which {spec.name} was trained for;"
        f" write: truncate: {nearest}"
    )


def short_length(spec: ModelSpec, index: IndexBackendSpec) -> int:
    """How many first dimensions `index` looks at before it looks at all, 0 where it always looks at all.

    Raises `ModelError` where vectors of this model cannot be cut, or are short already.
    """
    if not index.short:
        return 0
    lengths = [length for length in spec.matryoshka if index.short <= length < spec.width]
    if lengths:
        return min(lengths)
    raise ModelError(
        f"index is {index.name!r}, expected one that looks at whole vectors: {spec.name} has {spec.width}"
        f" dimensions, and was trained for no length from {index.short} to there; write: index: exact"
    )


def lengths_in_words(spec: ModelSpec) -> str:
    """The lengths that vectors of this model may have: "32 to 1024", "768, 512 or 256"."""
    whole = spec.dimensions
    if isinstance(spec.matryoshka, range) and spec.matryoshka == range(min(spec.matryoshka), whole):
        return f"{spec.matryoshka[0]} to {whole}"
    listed = sorted({*spec.matryoshka, whole}, reverse=True)
    *most, last = map(str, listed)
    return f"{', '.join(most)} or {last}" if most else last
