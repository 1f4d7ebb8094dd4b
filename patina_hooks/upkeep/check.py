"""Checks of staged files: functions of a path and its bytes, and `check_staged`, which reads the index.

Only a session document in the form that patina writes (`# Session:` and `**ID**`) is checked for that form;
other documents are text, whatever they look like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from patina_hooks.config.configuration import load_user_redaction
from patina_hooks.errors import GitError, SettingsError
from patina_hooks.git.repository import DOCUMENT_CAP, UNCONFIGURED
from patina_hooks.text.session_ids import is_session_id, looks_like_id, parse_tag

if TYPE_CHECKING:
    from patina_hooks.git.repository import Repository
    from patina_hooks.text.redaction import Redaction

RECIPE = ".patina/oxidize.yaml"
SETTINGS = ".patina/config.toml"
_SESSIONS = "layer/sessions"
_ARTIFACTS = ("active-session.md", "last-session.md", "*.vectors", "log.db*", "patina.log*", "spool*")
_LINK = "120000"
_SUBMODULE = "160000"

_HEADER = re.compile(r"\*\*(?P<name>[^*]+)\*\*: *(?P<value>.*?) *")


def _is_moment(text: str) -> bool:
    """Whether a text is an existing time as `YYYY-MM-DDTHH:MM:SSZ`."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text, re.ASCII):
        return False
    return is_session_id(re.sub("[-:Z]", "", text).replace("T", "-"))


def _is_start_tag(text: str) -> bool:
    tag = parse_tag(text)
    return tag is not None and tag.edge == "start"


_SHAPES: Mapping[str, tuple[Callable[[str], object], str]] = {
    "ID": (is_session_id, "YYYYMMDD-HHMMSS of a moment that exists"),
    "Started": (_is_moment, "YYYY-MM-DDTHH:MM:SSZ (UTC) of a moment that exists"),
    "LLM": (re.compile(r"[a-z0-9_-]{1,32}").fullmatch, "lower-case letters, digits, '-' or '_'"),
    "Git Branch": (re.compile(r"\S.*").fullmatch, "a branch"),
    "Session Tag": (_is_start_tag, "session-<id>[-<adapter>]-start"),
    "Starting Commit": (re.compile(r"[0-9a-f]{7,64}").fullmatch, "a commit's id in hexadecimal"),
}
_REQUIRED = ("ID", "Started", "LLM")


@dataclass(frozen=True, slots=True)
class StagedFinding:
    """An error in a staged file, with its location. line: 1-based."""

    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A path that is added or changed in the index."""

    path: str
    mode: str
    oid: str


def check_staged(repository: Repository, index: str | None = None) -> list[StagedFinding]:
    """Check staged files; return findings by path.

    index: the index file that git passed to its hook (GIT_INDEX_FILE), relative to the top of the work tree;
    None means the usual one.
    """
    sessions = _sessions_folder(repository)
    entries = [entry for entry in list_staged(repository, index) if entry.mode != _SUBMODULE]
    findings = [finding for entry in entries for finding in check_entry(entry, sessions)]
    files = [entry for entry in entries if entry.mode != _LINK]
    redaction = load_user_redaction()
    checked = [(entry, check) for entry in files if (check := _find_check(entry.path, sessions))]
    blobs = repository.blobs([entry.oid for entry, _ in checked], DOCUMENT_CAP)
    for (entry, check), blob in zip(checked, blobs, strict=True):
        if blob.missing:
            continue  # a partial clone; nothing is fetched from a hook
        if blob.data is None:
            message = f"{blob.size:,} bytes; patina reads {DOCUMENT_CAP:,} at most"
            findings.append(StagedFinding(entry.path, 1, message))
        else:
            findings += [*check(entry.path, blob.data), *check_secrets(entry.path, blob.data, redaction)]
    return sorted(findings, key=lambda finding: (finding.path, finding.line))


def list_staged(repository: Repository, index: str | None = None) -> list[StagedFile]:
    """List the files that the index adds to HEAD or changes; renames are additions."""
    extra = {"GIT_INDEX_FILE": index} if index else None
    against = repository.head() or repository.git.text("hash-object", "-t", "tree", "--stdin", data=b"")
    result = repository.git.run(
        "diff-index", "--cached", "--raw", "-z", *UNCONFIGURED, "--no-abbrev", "--diff-filter=AMT",
        "--ignore-submodules=all", against, "--", extra=extra,
    )  # fmt: skip
    if result.code:
        raise GitError(f"cannot read staged files: {result.err or f'exit {result.code}'}")
    fields = result.out.decode("utf-8", "surrogateescape").split("\0")
    entries = []
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, oid, _ = facts.split(" ")
        entries.append(StagedFile(path, mode, oid))
    return entries


def check_entry(entry: StagedFile, sessions: str = _SESSIONS) -> Iterator[StagedFinding]:
    """Check that a path is not local state of patina, and no link to a file that patina reads."""
    first, *parts = PurePosixPath(entry.path).parts
    if first == ".patina" and parts and (parts[0] == "local" or _is_artifact(parts[-1])):
        message = f"local state of patina, not to be committed; git rm --cached '{entry.path}'"
        yield StagedFinding(entry.path, 1, message)
    elif entry.mode == _LINK and _find_check(entry.path, sessions):
        message = "a symbolic link; patina does not follow it, commit the file itself"
        yield StagedFinding(entry.path, 1, message)


def check_recipe(path: str, data: bytes) -> Iterator[StagedFinding]:
    """Check that the recipe can be used."""
    from patina_hooks.config.recipe import parse_recipe

    yield from _check_settings(path, data, parse_recipe)


def check_settings(path: str, data: bytes) -> Iterator[StagedFinding]:
    """Check that the repository's settings can be used."""
    from patina_hooks.config.settings import parse_settings

    yield from _check_settings(path, data, parse_settings)


def check_session(path: str, data: bytes) -> Iterator[StagedFinding]:
    """Check that a session document can be read and has the form that it claims to have."""
    if b"\0" in data:
        yield StagedFinding(path, data[: data.index(b"\0")].count(b"\n") + 1, "a NUL byte; this is not text")
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield StagedFinding(
            path, data[: error.start].count(b"\n") + 1, f"not UTF-8: byte {data[error.start]:#04x}"
        )
        return
    lines = [line.removesuffix("\r") for line in text.split("\n")]  # as editors and grep -n count them
    header = _header(lines)
    if lines[0].startswith("# Session:") and "ID" in header:
        yield from _check_header(path, lines[0], header)
        yield from _check_placeholders(path, lines)
    elif looks_like_id(name := PurePosixPath(path).stem) and not is_session_id(name):
        yield StagedFinding(path, 1, f"{name} is not an existing time, so it is not a session")


def check_secrets(path: str, data: bytes, redaction: Redaction) -> Iterator[StagedFinding]:
    """Report the lines with a secret and its form, never the secret itself."""
    for secret in redaction.find(data.decode("utf-8", "replace")):
        message = f"{secret.form} in plain text; remove it from the file, and revoke it if it was shared"
        yield StagedFinding(path, secret.line, message)


def _sessions_folder(repository: Repository) -> str:
    from patina_hooks.config.configuration import load_repository_settings

    try:
        return load_repository_settings(repository).sessions_folder.strip("/")
    except SettingsError:
        return _SESSIONS


def _find_check(path: str, sessions: str) -> Callable[[str, bytes], Iterator[StagedFinding]] | None:
    pure = PurePosixPath(path)
    if str(pure.parent) == sessions and pure.suffix == ".md":
        return check_session
    return {RECIPE: check_recipe, SETTINGS: check_settings}.get(path)


def _is_artifact(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _ARTIFACTS)


def _check_settings(path: str, data: bytes, parse: Callable[[str, str], object]) -> Iterator[StagedFinding]:
    try:
        parse(data.decode("utf-8"), path)
    except UnicodeDecodeError as error:
        yield StagedFinding(
            path, data[: error.start].count(b"\n") + 1, f"not UTF-8: byte {data[error.start]:#04x}"
        )
    except SettingsError as error:
        line, _, message = str(error).removeprefix(f"{path}:").partition(": ")
        yield (
            StagedFinding(path, int(line), message) if line.isdigit() else StagedFinding(path, 1, str(error))
        )


def _header(lines: list[str]) -> dict[str, tuple[int, str]]:
    """Return name -> (line, value) of the fields under the title, up to the first line of another kind."""
    fields: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines[1:], 2):
        field = _HEADER.fullmatch(line)
        if field is None:
            break
        fields.setdefault(field["name"], (number, field["value"]))
    return fields


def _check_header(path: str, title: str, header: dict[str, tuple[int, str]]) -> Iterator[StagedFinding]:
    if not title.removeprefix("# Session:").strip():
        yield StagedFinding(path, 1, "the session has no title")
    for name in _REQUIRED:
        if name not in header:
            yield StagedFinding(path, header["ID"][0], f"**{name}** is missing from the header")
    for name, (line, value) in header.items():
        fits, expected = _SHAPES.get(name, (bool, ""))
        if expected and not fits(value):
            yield StagedFinding(path, line, f"**{name}** is {value!r}, expected {expected}")
    line, session = header["ID"]
    if session != PurePosixPath(path).stem:
        yield StagedFinding(
            path, line, f"**ID** is {session!r}, but the file is named {PurePosixPath(path).name!r}"
        )
    line, tag = header.get("Session Tag", (0, ""))
    if tag.startswith("session-") and not tag.startswith(f"session-{session}-"):
        yield StagedFinding(path, line, f"**Session Tag** is {tag!r}, which is not of session {session}")


def _check_placeholders(path: str, lines: list[str]) -> Iterator[StagedFinding]:
    """Report a `<!-- AI:` without `-->`, which hides the rest of a rendered document."""
    opened = 0
    for number, line in enumerate(lines, 1):
        if not opened and line.lstrip().startswith("<!-- AI:"):
            opened = number
        if opened and "-->" in line:
            opened = 0
    if opened:
        yield StagedFinding(path, opened, "this placeholder is never closed; end it with -->")
