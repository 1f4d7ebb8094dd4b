"""What is known of each model here: what it is, what runs it, which of its files are here.

Nothing is opened, hashed or imported for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from patina_hooks.errors import ModelError
from patina_hooks.models.choice import AUTO, Weighed, installed_runtimes, this_platform, weigh
from patina_hooks.models.hub import read_record
from patina_hooks.models.reading import lengths_in_words
from patina_hooks.models.weights import expected_hash, locate
from patina_hooks.types import HubFile, LocalFile, ModelFile, ModelSpec, PackageFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patina_hooks.plugins import Plugins

State = Literal["ready", "pull", "absent", "no runtime"]


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of a model. source: where it comes from, in words; path: where it lies, "" where it does not.

    bytes: 0 where they are not known; sha256: that it must have, "" where nobody said so.
    """

    role: str
    source: str
    path: str
    bytes: int
    sha256: str
    from_hub: bool


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model and how it stands here.

    runtime: what "auto" means here, "" where nothing can run it; weighed: why, for every runtime.
    state: "ready", or what is in the way: files must be pulled, files that cannot be pulled are absent, or no
        runtime can run it.
    bytes: of the files for that runtime, as far as they are known.
    """

    spec: ModelSpec
    runtime: str
    weighed: tuple[Weighed, ...]
    state: State
    bytes: int

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
    runtime = next((one.runtime for one in weighed if one.usable), "")
    files = file_states(spec, runtime) if runtime else []
    absent = [file for file in files if not file.path]
    state: State = "ready"
    if not runtime:
        state = "no runtime"
    elif absent:
        state = "pull" if all(file.from_hub for file in absent) else "absent"
    return ModelState(spec, runtime, weighed, state, sum(file.bytes for file in files))


def file_states(spec: ModelSpec, runtime: str) -> list[FileState]:
    """The files that the model lists for a runtime."""
    return [_file_state(role, file) for role, file in spec.runtimes[runtime].items()]


def _file_state(role: str, file: ModelFile) -> FileState:
    try:
        path = locate(file)
        where, size = str(path), path.stat().st_size
    except (ModelError, OSError):
        known = read_record(file).files.get(file.path) if isinstance(file, HubFile) else None
        where, size = "", known.size if known else getattr(file, "size", 0)
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
        return "a file of yours"
    commit = read_record(file).commit[:12]
    return f"{file.path} of {file.repository} at {file.revision}" + (f" ({commit})" if commit else "")


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
        "runtime": state.runtime or None,
        "state": state.state,
        "bytes": state.bytes or None,
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
        "files": [
            {"runtime": runtime, "role": file.role, "source": file.source, "path": file.path or None,
             "bytes": file.bytes or None, "sha256": file.sha256 or None}
            for runtime in sorted(spec.runtimes)
            for file in file_states(spec, runtime)
        ],
    }  # fmt: skip


def decision(plugins: Plugins, spec: ModelSpec, wanted: str = AUTO) -> dict[str, object]:
    """What `patina models explain` prints: which runtime `wanted` means here, and why no other.

    `runtime` is None where none can run, or the wanted one cannot.
    """
    weighed = weigh(spec, installed_runtimes(plugins), this_platform())
    fitting = (one.runtime for one in weighed if one.usable and wanted in (AUTO, one.runtime))
    return {
        "model": spec.name,
        "platform": this_platform(),
        "wanted": wanted,
        "runtime": next(fitting, None),
        "runtimes": [
            {"runtime": one.runtime, "usable": one.usable, "reason": one.reason, "remedy": one.remedy or None}
            for one in weighed
        ],
    }
