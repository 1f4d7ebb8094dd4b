"""The records of sessions, which the repository keeps whatever happens to a work tree.

<common dir>/patina-sessions/   user data: `sync --full`, `gc` and a rebuild of the log do not change it
    active/<id>.json            header, work tree, last commit and last activity of an active session
    active/<id>.md              a copy of its document
    ended/<id>.md               the document of an ended session, until a commit contains it
    intent.json                 a change that has started (see `journal`)

The folder is private (0700, files 0600); links are not followed. Every write replaces a whole file.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import Rule, read_value
from patina_hooks.errors import SessionError
from patina_hooks.git.repository import Repository
from patina_hooks.sessions.documents.document import Header, read_header
from patina_hooks.system.files import read_regular, replace_file
from patina_hooks.text.session_ids import SESSIONS_FOLDER, is_session_id

_ACTIVE = "active"
_ENDED = "ended"
_INTENT = "intent.json"
_SIZE_CAP = 64 << 20
_MAIN = ""


def _check_inside(git_dir: str) -> None:
    if ".." in Path(git_dir).parts or Path(git_dir).is_absolute():
        raise ValueError("outside the common dir")


@dataclass(frozen=True, slots=True)
class Record:
    """An active session.

    git_dir: of its work tree, relative to the common dir; "" for the main work tree.
    root: the path of that work tree when a command last ran in it.
    head: the commit that was last checked out there.
    used: when it was last worked on, seconds since 1970.
    change_token: of the document in the work tree when it was last copied, "" if there was none.
    """

    header: Header
    git_dir: Annotated[str, Rule(check=_check_inside)]
    root: str
    head: str
    used: int
    change_token: str = ""

    @property
    def id(self) -> str:
        return self.header.id


@dataclass(frozen=True, slots=True)
class Store:
    """The records of one repository; writers hold the session lock."""

    repository: Repository

    @property
    def folder(self) -> Path:
        return self.repository.common / SESSIONS_FOLDER

    # --- active sessions ----------------------------------------------------------------------

    def records(self) -> list[Record]:
        """Return all active sessions, oldest first."""
        names = self._names(_ACTIVE, ".json") | self._names(_ACTIVE, ".md")
        return [record for name in sorted(names) if (record := self.record(name))]

    def record(self, session: str) -> Record | None:
        """Read the record of a session, or rebuild a damaged one from its copy.

        None if absent.
        """
        text = self._read(f"{_ACTIVE}/{session}.json")
        try:
            record = parse_record(parse_json(text or ""))
            return record if record.id == session else self._record_of_copy(session)
        except ValueError:
            return self._record_of_copy(session)

    def save_record(self, record: Record) -> None:
        """Write a record."""
        self._write(f"{_ACTIVE}/{record.id}.json", json.dumps(record_fields(record), indent=1) + "\n")

    def copy(self, session: str) -> str | None:
        """Read the copy of a document, None if there is none."""
        return self._read(f"{_ACTIVE}/{session}.md")

    def save_copy(self, session: str, text: str) -> None:
        """Write the copy of a document, if it differs."""
        if self.copy(session) != text:
            self._write(f"{_ACTIVE}/{session}.md", text)

    def remove_record(self, session: str) -> None:
        """Remove an active session.

        The copy last, since completing an end needs it.
        """
        for suffix in (".json", ".md"):
            self._remove(f"{_ACTIVE}/{session}{suffix}")

    # --- ended sessions -----------------------------------------------------------------------

    def ended(self) -> list[str]:
        """List the ended sessions whose documents are in no known commit, oldest first."""
        return sorted(self._names(_ENDED, ".md"))

    def ended_text(self, session: str) -> str | None:
        return self._read(f"{_ENDED}/{session}.md")

    def save_ended(self, session: str, text: str) -> None:
        """Write the document of an ending session."""
        self._write(f"{_ENDED}/{session}.md", text)

    def ended_written(self, session: str) -> int:
        """Return when the document of an ended session was last saved, in nanoseconds since 1970."""
        try:
            return (self.folder / _ENDED / f"{session}.md").lstat().st_mtime_ns
        except OSError:
            return 0

    def remove_ended(self, session: str) -> None:
        self._remove(f"{_ENDED}/{session}.md")

    # --- the started change ---------------------------------------------------------------------

    def intent(self) -> str | None:
        return self._read(_INTENT)

    def save_intent(self, text: str) -> None:
        self._write(_INTENT, text)

    def remove_intent(self) -> None:
        self._remove(_INTENT)

    def sweep(self) -> None:
        """Remove temporary files of killed writes."""
        for folder in ("", _ACTIVE, _ENDED):
            location = self.folder / folder
            for name in _listed(location) if self._is_folder(location) else ():
                if name.startswith("."):
                    self._remove(f"{folder}/{name}" if folder else name)

    # --- work trees -----------------------------------------------------------------------------

    def work_tree_key(self) -> str:
        """Return the work tree of this repository object, as in `Record.git_dir`."""
        if self.repository.git_dir == self.repository.common:
            return _MAIN
        return Path(os.path.relpath(self.repository.git_dir, self.repository.common)).as_posix()

    def work_tree(self, record: Record) -> Repository | None:
        """Open the repository at the session's work tree, None if it is not found."""
        if record.git_dir == self.work_tree_key():
            return self.repository
        git_dir = self.repository.common / record.git_dir if record.git_dir else self.repository.common
        root = _linked_root(git_dir) if record.git_dir else Path(record.root)
        if root is None or not root.is_dir() or not self.repository.owns(root):
            return None
        return Repository(root, git_dir, self.repository.common, self.repository.object_format)

    def has_lost_work_tree(self, record: Record) -> bool:
        """Whether the session's work tree was removed from git."""
        return record.git_dir != _MAIN and not (self.repository.common / record.git_dir).is_dir()

    # --- files ------------------------------------------------------------------------------------

    def _names(self, folder: str, suffix: str) -> set[str]:
        location = self.folder / folder
        names = _listed(location) if self._is_folder(location) else []
        return {stem for name in names if is_session_id(stem := name.removesuffix(suffix)) and stem != name}

    def _is_folder(self, location: Path) -> bool:
        """Whether the store, and a folder in it, exist.

        Raises `SessionError` for a link.
        """
        for folder in (self.folder, location):
            try:
                mode = folder.lstat().st_mode
            except OSError:
                return False
            if not stat.S_ISDIR(mode):
                raise SessionError(f"{folder} is not a folder", hint=f"rm {shlex.quote(str(folder))}")
        return True

    def _read(self, path: str) -> str | None:
        location = self.folder / path
        if not self._is_folder(location.parent):
            return None
        try:
            return read_regular(location, _SIZE_CAP).decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SessionError(
                f"cannot read {location}: {error.strerror}",
                hint=f"mv {shlex.quote(str(location))} {shlex.quote(str(location))}.odd",
            ) from error

    def _write(self, path: str, text: str) -> None:
        location = self.folder / path
        try:
            self._is_folder(location.parent)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            location.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(location, text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise SessionError(f"cannot write {location}: {error.strerror}") from error

    def _remove(self, path: str) -> None:
        try:
            (self.folder / path).unlink(missing_ok=True)
        except OSError as error:
            raise SessionError(f"cannot remove {self.folder / path}: {error.strerror}") from error

    def _record_of_copy(self, session: str) -> Record | None:
        text = self.copy(session)
        if text is None:
            return None
        try:
            header = read_header(text, session)
        except SessionError:
            return None
        root = str(self.repository.main_root())
        return Record(replace(header, id=session), _MAIN, root, header.starting_commit, 0)


def _linked_root(git_dir: Path) -> Path | None:
    """Return the root of a linked work tree.

    Git updates it when the tree is moved.
    """
    try:
        path = os.fsdecode(read_regular(git_dir / "gitdir", 1 << 16)).rstrip("\n")
    except OSError:
        return None
    return (git_dir / path).parent


def _listed(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def record_fields(record: Record) -> dict[str, object]:
    """Convert a record to JSON."""
    header = {**asdict(record.header), "start_tag": str(record.header.start_tag)}
    return {**asdict(record), "header": header}


def parse_record(stored: object) -> Record:
    """Convert a record from JSON. Raises ValueError if it is invalid."""
    record = read_value(Record, stored, ignore_unknown=True)
    if record.header.start_tag.id != record.id:
        raise ValueError(record.id)
    return record
