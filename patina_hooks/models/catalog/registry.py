"""What is known of each model here: what it is, what runs it, which of its files are here.

Nothing is opened, hashed or imported for it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from patina_hooks.errors import ModelError, PluginError
from patina_hooks.models.choice import (
    AUTO,
    Weighed,
    files_for,
    installed_runtimes,
    may_be_taken,
    remote_runtimes,
    runtime_for,
    this_platform,
    weigh,
)
from patina_hooks.models.files.hub import read_record
from patina_hooks.models.files.weights import expected_hash, locate
from patina_hooks.models.reading import lengths_in_words
from patina_hooks.specs.models import HubFile, LocalFile, ModelFile, ModelSpec, PackageFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patina_hooks.plugins.manager import Plugins

_COMMIT: Final = re.compile(r"([0-9a-f]{12})[0-9a-f]{28}")
_SHORT: Final = r"\1"

State = Literal["ready", "pull", "absent", "no runtime"]


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of a model. source: where it comes from, in words; path: where it lies, "" where it does not.

    bytes: None where they are not known; sha256: that it must have, "" where nobody said so.
    """

    role: str
    source: str
    path: str
    bytes: int | None
    sha256: str
    from_hub: bool


@dataclass(frozen=True, slots=True)
class FilesState:
    """How a model's files for one of its runtimes stand; bytes: None where those of one are not known."""

    runtime: str
    state: State
    bytes: int | None


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model and how it stands here.

    runtime: what "auto" means here, "" where nothing can run it; weighed: why, for every runtime.
    state: "ready", or what is in the way: files must be pulled, files that cannot be pulled are absent, or no
        runtime can run it.
    bytes: of the files for that runtime, None where there is none, or those of a file are not known.
    offers: how the files stand for everything in `spec.runtimes`, by name.
    """

    spec: ModelSpec
    runtime: str
    weighed: tuple[Weighed, ...]
    state: State
    bytes: int | None
    offers: tuple[FilesState, ...]

    @property
    def explicit_only(self) -> tuple[FilesState, ...]:
        """What can run here too, once a recipe names it: files of other precisions."""
        named = {one.runtime for one in self.weighed if one.explicit_only}
        return tuple(one for one in self.offers if one.runtime in named)

    @property
    def remedy(self) -> str:
        """The command that mends what is in the way, "" where none does."""
        if self.state == "pull":
            return f"patina models pull {self.spec.name}"
        if self.state == "no runtime":
            return next((one.remedy for one in self.weighed if one.remedy), "")
        return ""


def model_states(plugins: Plugins) -> list[ModelState]:
    """Every model, by name."""
    installed = installed_runtimes(plugins)
    return [state_of(spec, installed) for spec in plugins.models()]


def state_of(
    spec: ModelSpec, installed: Mapping[str, tuple[str, ...]], platform: str | None = None
) -> ModelState:
    """How one model stands. installed: as `patina_hooks.models.choice.weigh` takes it."""
    weighed = tuple(weigh(spec, installed, platform or this_platform()))
    runtime = next((one.runtime for one in weighed if may_be_taken(one)), "")
    offers = tuple(_files_state(spec, name) for name in sorted(spec.runtimes))
    taken = next((one for one in offers if one.runtime == runtime), FilesState("", "no runtime", None))
    return ModelState(spec, runtime, weighed, taken.state, taken.bytes, offers)


def _files_state(spec: ModelSpec, runtime: str) -> FilesState:
    files = file_states(spec, runtime)
    absent = [file for file in files if not file.path]
    state: State = "ready"
    if absent:
        state = "pull" if all(file.from_hub for file in absent) else "absent"
    known = [file.bytes for file in files if file.bytes is not None]
    return FilesState(runtime, state, sum(known) if len(known) == len(files) else None)


def file_states(spec: ModelSpec, runtime: str) -> list[FileState]:
    """The files that the model lists for a runtime."""
    return [_file_state(role, file) for role, file in spec.runtimes[runtime].items()]


def _file_state(role: str, file: ModelFile) -> FileState:
    size: int | None
    try:
        path = locate(file)
        where, size = str(path), path.stat().st_size
    except (ModelError, OSError):
        known = read_record(file).files.get(file.path) if isinstance(file, HubFile) else None
        where, size = "", known.size if known else getattr(file, "size", 0) or None
    try:
        digest = expected_hash(file)
    except ModelError:
        digest = ""
    return FileState(role, source_of(file), where, size, digest, isinstance(file, HubFile))


def source_of(file: ModelFile) -> str:
    """In words: where the file comes from."""
    if isinstance(file, PackageFile):
        return f"{file.path} of the package {file.distribution}"
    if isinstance(file, LocalFile):
        return f"a file of yours, {file.path}"
    commit = read_record(file).commit
    which = f" ({commit[:12]})" if commit and commit != file.revision else ""
    return f"{file.path} of {file.repository} at {_COMMIT.sub(_SHORT, file.revision)}{which}"


def as_object(state: ModelState) -> dict[str, object]:
    """The object that `--json` prints for a model in a list; docs/json.md has the keys."""
    spec = state.spec
    return {
        "name": spec.name,
        "description": spec.description,
        "dimensions": spec.dimensions,
        "lengths": lengths_in_words(spec),
        "max_tokens": spec.max_tokens,
        "pooling": spec.pooling,
        "languages": list(spec.languages),
        "parameters": spec.parameters or None,
        "licence": spec.licence,
        "runtimes": sorted(spec.runtimes),
        "sizes": {one.runtime: one.bytes for one in state.offers},
        "runtime": state.runtime or None,
        "state": state.state,
        "bytes": state.bytes,
        "remedy": state.remedy or None,
    }


def as_details(state: ModelState) -> dict[str, object]:
    """The object that `--json` prints for one model: that of a list, and how its vectors are made."""
    spec = state.spec
    return {
        **as_object(state),
        "layer": spec.layer,
        "query_prefix": spec.query_prefix,
        "passage_prefix": spec.passage_prefix,
        "task": spec.task,
        "matryoshka_norm": spec.matryoshka_norm,
        "batch_invariant": spec.batch_invariant,
        "one_by_one": list(spec.unbatched_runtimes),
        "files": [
            {"runtime": runtime, "role": file.role, "source": file.source, "path": file.path or None,
             "bytes": file.bytes, "sha256": file.sha256 or None}
            for runtime in sorted(spec.runtimes)
            for file in file_states(spec, runtime)
        ],
    }  # fmt: skip


def _without_plugin(plugins: Plugins, spec: ModelSpec, runtime: str) -> str:
    """As `weigh` names it: the key of the model's files, or else the runtime's own name."""
    files = files_for(spec, runtime)
    return files if files in spec.runtimes else plugins.runtime(runtime).name


def decision(plugins: Plugins, spec: ModelSpec, wanted: str = AUTO) -> dict[str, object]:
    """What `patina models explain` prints: which runtime `wanted` means here, and why no other.

    `runtime` is None where none can run, or the wanted one cannot; `variant` is what the user's settings
    change of its vectors.
    """
    weighed = weigh(spec, installed_runtimes(plugins), this_platform(), remote=remote_runtimes(plugins))
    choice = None
    with suppress(PluginError):
        choice = runtime_for(plugins, spec, wanted)
    return {
        "model": spec.name,
        "platform": this_platform(),
        "wanted": wanted,
        "runtime": _without_plugin(plugins, spec, choice.runtime) if choice else None,
        "variant": choice.variant if choice else "",
        "runtimes": [
            {"runtime": one.runtime, "usable": one.usable, "reason": one.reason, "remedy": one.remedy or None,
             "bytes": _files_state(spec, one.runtime).bytes if one.runtime in spec.runtimes else 0}
            for one in weighed
        ],
    }  # fmt: skip
