"""Whether the files of models are those that their models name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from patina_hooks.errors import ModelError
from patina_hooks.models.files.hub import PullNeeded, read_record
from patina_hooks.models.files.weights import expected_hash, locate, pull_command, verify_file
from patina_hooks.specs.models import HubFile, ModelFile, ModelSpec


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What a check of a file found.

    path: where it is, "" if it is absent. state: "ok", "present, no hash is stated", "altered" or "absent".
    error, hint: what is wrong and the command to try, "" if nothing is.
    """

    model: str
    runtime: str
    role: str
    path: str
    state: str
    error: str
    hint: str


def check_files(specs: Iterable[ModelSpec], *, absent_too: bool) -> Iterator[FileCheck]:
    """Read the files of models whole and compare their hashes.

    Args:
        specs: models, whose files in common are checked once for each hash they must have.
        absent_too: report every file that is absent; otherwise only those that were once present.
    """
    checked: set[object] = set()
    for spec in specs:
        for runtime, files in spec.runtimes.items():
            located = {role: _locate(file) for role, file in files.items()}
            any_present = any(path for path, _ in located.values())
            for role, file in files.items():
                path, expected = located[role]
                identity = (path, expected) if path else file
                is_due = absent_too or path or (any_present and _is_expected(file))
                if identity not in checked and is_due:
                    checked.add(identity)
                    yield _check(spec, runtime, role, file, path, expected)


def _is_expected(file: ModelFile) -> bool:
    """Whether an absent file should be present: one of a hub only after it was pulled."""
    return not isinstance(file, HubFile) or file.path in read_record(file).files


def _locate(file: ModelFile) -> tuple[str, str]:
    """Return the path of a file and the sha256 it must have, each "" if there is none."""
    try:
        return str(locate(file)), expected_hash(file)
    except ModelError:
        return "", ""


def _check(spec: ModelSpec, runtime: str, role: str, file: ModelFile, path: str, expected: str) -> FileCheck:
    try:
        verify_file(file, reread=True)
    except ModelError as error:
        hint = pull_command(spec, runtime) if isinstance(error, PullNeeded) else error.hint
        return FileCheck(spec.name, runtime, role, path, "altered" if path else "absent", str(error), hint)
    state = "ok" if expected else "present, no hash is stated"
    return FileCheck(spec.name, runtime, role, path, state, "", "")
