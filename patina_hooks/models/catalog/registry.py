"""The state of each model here: what it is, what runs it, which of its files are present.

Nothing is opened, hashed or imported for this.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from patina_hooks.errors import ModelError, PluginError
from patina_hooks.models.choice import (
    AUTO,
    RuntimeOption,
    files_for,
    installed_runtimes,
    is_eligible,
    list_runtime_options,
    remote_runtimes,
    runtime_for,
    this_platform,
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
    """One file of a model.

    source: where it comes from, in words; path: "" where it is absent.
    bytes: None where they are not known; sha256: the one that it must have, "" for any.
    """

    role: str
    source: str
    path: str
    bytes: int | None
    sha256: str
    from_hub: bool


@dataclass(frozen=True, slots=True)
class FilesState:
    """The state of a model's files for one runtime. bytes: None where those of one are not known."""

    runtime: str
    state: State
    bytes: int | None


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model and its state here.

    runtime: what "auto" means here, "" where nothing can run it; options: the reason, for every runtime.
    state: "ready", or the obstacle: files must be pulled, files that cannot be pulled are absent, or no
        runtime can run it.
    bytes: of the files for that runtime, None where there is none, or those of a file are not known.
    files: the state of the files for everything in `spec.runtimes`, by name.
    """

    spec: ModelSpec
    runtime: str
    options: tuple[RuntimeOption, ...]
    state: State
    bytes: int | None
    files: tuple[FilesState, ...]

    @property
    def explicit_only(self) -> tuple[FilesState, ...]:
        """Files of other precisions, which run here once a recipe names them."""
        named = {option.runtime for option in self.options if option.explicit_only}
        return tuple(files for files in self.files if files.runtime in named)

    @property
    def remedy(self) -> str:
        """The command that removes the obstacle, "" where none does."""
        if self.state == "pull":
            return f"patina models pull {self.spec.name}"
        if self.state == "no runtime":
            return next((option.remedy for option in self.options if option.remedy), "")
        return ""


def model_states(plugins: Plugins) -> list[ModelState]:
    """Return the state of every model, by name."""
    installed = installed_runtimes(plugins)
    return [read_state_of(spec, installed) for spec in plugins.models()]


def read_state_of(
    spec: ModelSpec, installed: Mapping[str, tuple[str, ...]], platform: str | None = None
) -> ModelState:
    """Return the state of a model. installed: as `list_runtime_options` takes it."""
    options = tuple(list_runtime_options(spec, installed, platform or this_platform()))
    runtime = next((option.runtime for option in options if is_eligible(option)), "")
    files = tuple(_files_state(spec, name) for name in sorted(spec.runtimes))
    chosen = next((state for state in files if state.runtime == runtime), FilesState("", "no runtime", None))
    return ModelState(spec, runtime, options, chosen.state, chosen.bytes, files)


def _files_state(spec: ModelSpec, runtime: str) -> FilesState:
    files = file_states(spec, runtime)
    absent = [file for file in files if not file.path]
    state: State = "ready"
    if absent:
        state = "pull" if all(file.from_hub for file in absent) else "absent"
    sizes = [file.bytes for file in files if file.bytes is not None]
    return FilesState(runtime, state, sum(sizes) if len(sizes) == len(files) else None)


def file_states(spec: ModelSpec, runtime: str) -> list[FileState]:
    """Return the state of each file that the model lists for a runtime."""
    return [_file_state(role, file) for role, file in spec.runtimes[runtime].items()]


def _file_state(role: str, file: ModelFile) -> FileState:
    size: int | None
    try:
        located = locate(file)
        path, size = str(located), located.stat().st_size
    except (ModelError, OSError):
        recorded = read_record(file).files.get(file.path) if isinstance(file, HubFile) else None
        path, size = "", recorded.size if recorded else getattr(file, "size", 0) or None
    try:
        digest = expected_hash(file)
    except ModelError:
        digest = ""
    return FileState(role, describe_source(file), path, size, digest, isinstance(file, HubFile))


def describe_source(file: ModelFile) -> str:
    """Describe where the file comes from."""
    if isinstance(file, PackageFile):
        return f"{file.path} of the package {file.distribution}"
    if isinstance(file, LocalFile):
        return f"a local file, {file.path}"
    commit = read_record(file).commit
    pulled = f" ({commit[:12]})" if commit and commit != file.revision else ""
    return f"{file.path} of {file.repository} at {_COMMIT.sub(_SHORT, file.revision)}{pulled}"


def as_object(state: ModelState) -> dict[str, object]:
    """Return the object that `--json` prints for a model in a list; docs/json.md has the keys."""
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
        "sizes": {files.runtime: files.bytes for files in state.files},
        "runtime": state.runtime or None,
        "state": state.state,
        "bytes": state.bytes,
        "remedy": state.remedy or None,
    }


def as_details(state: ModelState) -> dict[str, object]:
    """Return the object that `--json` prints for one model: that of a list, and how it is read."""
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
    """Return the key of the model's files, or else the runtime's own name, without a plugin's name."""
    files = files_for(spec, runtime)
    return files if files in spec.runtimes else plugins.runtime(runtime).name


def explain_choice(plugins: Plugins, spec: ModelSpec, requested: str = AUTO) -> dict[str, object]:
    """Return what `patina models explain` prints: the runtime chosen here, and the reasons.

    `runtime` is None where none can run, or the requested one cannot; `variant` is what the user's settings
    change of its vectors.
    """
    options = list_runtime_options(
        spec, installed_runtimes(plugins), this_platform(), remote=remote_runtimes(plugins)
    )
    choice = None
    with suppress(PluginError):
        choice = runtime_for(plugins, spec, requested)
    return {
        "model": spec.name,
        "platform": this_platform(),
        "wanted": requested,
        "runtime": _without_plugin(plugins, spec, choice.runtime) if choice else None,
        "variant": choice.variant if choice else "",
        "runtimes": [
            {"runtime": option.runtime, "usable": option.usable, "reason": option.reason,
             "remedy": option.remedy or None,
             "bytes": _files_state(spec, option.runtime).bytes if option.runtime in spec.runtimes else 0}
            for option in options
        ],
    }  # fmt: skip
