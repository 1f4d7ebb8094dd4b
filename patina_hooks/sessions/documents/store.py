"""The records of sessions: what the repository keeps of each, whatever happens to a work tree.

<common dir>/patina-sessions/   user data: neither `sync --full`, `gc` nor a rebuild of the log touches it
    active/<id>.json            header, work tree, last commit and last activity of a session under way
    active/<id>.md              a copy of its document
    ended/<id>.md               the document of an ended session, until a commit holds it
    intent.json                 a change that has begun (see `journal`)

The folder is private (0700, files 0600) and not followed through links. Every write replaces a file whole.
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
    """A session under way.

    git_dir: of its work tree, relative to the common dir; "" for the main work tree.
    root: where that work tree was when a command last ran in it.
    head: the commit that was last checked out there.
    used: when it was last worked on, seconds since 1970.
    stamp: of the document in the work tree when it was last copied, "" where there was none.
    """

    header: Header
    git_dir: Annotated[str, Rule(check=_check_inside)]
    root: str
    head: str
    used: int
    stamp: str = ""

    @property
    def id(self) -> str:
        return self.header.id


@dataclass(frozen=True, slots=True)
class Store:
    """The records of one repository; callers that write hold the session lock."""

    repository: Repository

    @property
    def folder(self) -> Path:
        return self.repository.common / SESSIONS_FOLDER

    # --- sessions under way -------------------------------------------------------------------

    def records(self) -> list[Record]:
        """All sessions under way, oldest first."""
        names = self._names(_ACTIVE, ".json") | self._names(_ACTIVE, ".md")
        return [record for name in sorted(names) if (record := self.record(name))]

    def record(self, session: str) -> Record | None:
        """The record of a session; from its copy where the record is damaged, None where there is neither."""
        text = self._read(f"{_ACTIVE}/{session}.json")
        try:
            record = parse_record(parse_json(text or ""))
            return record if record.id == session else self._record_of_copy(session)
        except ValueError:
            return self._record_of_copy(session)

    def keep(self, record: Record) -> None:
        """Write a record."""
        self._write(f"{_ACTIVE}/{record.id}.json", json.dumps(record_fields(record), indent=1) + "\n")

    def copy(self, session: str) -> str | None:
        """The copy of a document, None where there is none."""
        return self._read(f"{_ACTIVE}/{session}.md")

    def keep_copy(self, session: str, text: str) -> None:
        """Write the copy of a document, where it differs."""
        if self.copy(session) != text:
            self._write(f"{_ACTIVE}/{session}.md", text)

    def forget(self, session: str) -> None:
        """Remove a session from those under way; the copy last, which a killed end is completed from."""
        for suffix in (".json", ".md"):
            self._remove(f"{_ACTIVE}/{session}{suffix}")

    # --- ended sessions -----------------------------------------------------------------------

    def ended(self) -> list[str]:
        """The ended sessions whose documents no commit was seen to hold, oldest first."""
        return sorted(self._names(_ENDED, ".md"))

    def ended_text(self, session: str) -> str | None:
        return self._read(f"{_ENDED}/{session}.md")

    def keep_ended(self, session: str, text: str) -> None:
        """Write the document of a session that ends."""
        self._write(f"{_ENDED}/{session}.md", text)

    def ended_written(self, session: str) -> int:
        """Return when the document of an ended session was last kept, in nanoseconds since 1970."""
        try:
            return (self.folder / _ENDED / f"{session}.md").lstat().st_mtime_ns
        except OSError:
            return 0

    def forget_ended(self, session: str) -> None:
        self._remove(f"{_ENDED}/{session}.md")

    # --- the change that has begun --------------------------------------------------------------

    def intent(self) -> str | None:
        return self._read(_INTENT)

    def keep_intent(self, text: str) -> None:
        self._write(_INTENT, text)

    def forget_intent(self) -> None:
        self._remove(_INTENT)

    def sweep(self) -> None:
        """Remove what killed writes left behind."""
        for folder in ("", _ACTIVE, _ENDED):
            place = self.folder / folder
            for name in _listed(place) if self._is_folder(place) else ():
                if name.startswith("."):
                    self._remove(f"{folder}/{name}" if folder else name)

    # --- work trees -----------------------------------------------------------------------------

    def key(self) -> str:
        """The work tree of this repository object, as records name it."""
        if self.repository.git_dir == self.repository.common:
            return _MAIN
        return Path(os.path.relpath(self.repository.git_dir, self.repository.common)).as_posix()

    def work_tree(self, record: Record) -> Repository | None:
        """The repository at the session's work tree, None where that is not found now."""
        if record.git_dir == self.key():
            return self.repository
        git_dir = self.repository.common / record.git_dir if record.git_dir else self.repository.common
        root = _linked_root(git_dir) if record.git_dir else Path(record.root)
        if root is None or not root.is_dir() or not self.repository.owns(root):
            return None
        return Repository(root, git_dir, self.repository.common, self.repository.object_format)

    def is_gone(self, record: Record) -> bool:
        """Whether git no longer knows the session's work tree."""
        return record.git_dir != _MAIN and not (self.repository.common / record.git_dir).is_dir()

    # --- files ------------------------------------------------------------------------------------

    def _names(self, folder: str, suffix: str) -> set[str]:
        place = self.folder / folder
        names = _listed(place) if self._is_folder(place) else []
        return {stem for name in names if is_session_id(stem := name.removesuffix(suffix)) and stem != name}

    def _is_folder(self, place: Path) -> bool:
        """Whether the store, and a folder in it, are there. Raises `SessionError` for a link."""
        for folder in (self.folder, place):
            try:
                mode = folder.lstat().st_mode
            except OSError:
                return False
            if not stat.S_ISDIR(mode):
                raise SessionError(
                    f"{folder} is not a folder", hint=f"look at it, then: rm {shlex.quote(str(folder))}"
                )
        return True

    def _read(self, path: str) -> str | None:
        place = self.folder / path
        if not self._is_folder(place.parent):
            return None
        try:
            return read_regular(place, _SIZE_CAP).decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SessionError(
                f"cannot read {place}: {error.strerror}",
                hint=f"move it away: mv {shlex.quote(str(place))} {shlex.quote(str(place))}.odd",
            ) from error

    def _write(self, path: str, text: str) -> None:
        place = self.folder / path
        try:
            self._is_folder(place.parent)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            place.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(place, text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise SessionError(f"cannot write {place}: {error.strerror}") from error

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
    """Where a linked work tree is; git keeps that up to date when it is moved."""
    try:
        path = os.fsdecode(read_regular(git_dir / "gitdir", 1 << 16)).rstrip("\n")
    except OSError:
        return None
    return (git_dir / path).parent


def _listed(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def record_fields(record: Record) -> dict[str, object]:
    """A record as JSON keeps it."""
    header = {**asdict(record.header), "start_tag": str(record.header.start_tag)}
    return {**asdict(record), "header": header}


def parse_record(stored: object) -> Record:
    """A record from JSON. Raises ValueError where it is none."""
    record = read_value(Record, stored, ignore_unknown=True)
    if record.header.start_tag.id != record.id:
        raise ValueError(record.id)
    return record
