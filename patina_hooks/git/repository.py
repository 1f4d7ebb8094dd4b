"""A repository as patina reads it: refs, commits and objects by plumbing, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from patina_hooks.errors import GitError, NotARepository
from patina_hooks.git.child import ChildGit
from patina_hooks.types import Change, Commit

STATE_FOLDER = "patina"
_LOG_FORMAT = "%x01%H%x00%P%x00%an%x00%at%x00%ct%x00%B%x00"
_IN_PROGRESS = ("rebase-merge", "rebase-apply", "sequencer", "BISECT_LOG")
_MESSAGE_CAP = 1 << 20
_LAST_SECOND = 253_402_300_799  # of the year 9999


@dataclass(frozen=True, slots=True)
class Ref:
    """A ref, peeled. commit: what it peels to, None where that is no commit.

    dated: the tagger's time of an annotated tag, seconds since 1970; None for anything else.
    """

    name: str
    oid: str
    commit: str | None
    dated: int | None = None


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A work tree of the repository; head is None while its branch is unborn."""

    path: Path
    head: str | None
    branch: str | None


@dataclass(frozen=True, slots=True)
class Blob:
    """An object as it was read. data is None where it is absent or larger than the cap asked for."""

    oid: str
    size: int
    data: bytes | None

    @property
    def missing(self) -> bool:
        return self.size < 0


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One entry of a tree object: mode as git writes it ("100644", "120000", ...), name, id."""

    mode: str
    name: str
    oid: str


class Repository:
    """The repository that encloses a path.

    root: the work tree of that path. common: the common dir that all work trees share.
    """

    def __init__(self, root: Path, git_dir: Path, common: Path, object_format: str) -> None:
        self.root = root
        self.git_dir = git_dir
        self.common = common
        self.object_format = object_format
        self.git = ChildGit(root)

    @classmethod
    def open(cls, path: Path) -> Repository:
        """Raises `NotARepository` with git's own words where there is none, or git refuses it."""
        done = ChildGit(path).run(
            "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-dir", "--git-common-dir",
            "--show-object-format",
        )  # fmt: skip
        # Not splitlines(): a folder's name may hold what Unicode takes for the end of a line.
        found = done.out.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
        if done.code or len(found) != 4:
            why = done.err.partition("\n")[0] or "git gave no answer"
            raise NotARepository(f"no git work tree at {path}: {why}", hint=_hint_for(done.err))
        root, git_dir, common, object_format = found
        return cls(Path(root), Path(git_dir), Path(common), object_format)

    @property
    def state(self) -> Path:
        """Where patina keeps what it knows; shared by all work trees, never committed."""
        return self.common / STATE_FOLDER

    def writing(self) -> ChildGit:
        """Git with the user's own configuration, for what the user typed."""
        return ChildGit(self.root, writing=True)

    # --- refs -----------------------------------------------------------------------------------

    def head(self) -> str | None:
        """The commit checked out in this work tree, None while the branch is unborn."""
        return self.resolve("HEAD")

    def branch(self) -> str | None:
        """The short name of the branch checked out, born or not; None when detached."""
        # Not --short: it says "heads/main" where a tag is named like the branch.
        done = self.git.run("symbolic-ref", "-q", "HEAD")
        return done.out.decode("utf-8", "replace").strip().removeprefix("refs/heads/") or None

    def resolve(self, revision: str) -> str | None:
        """The commit that a revision names, None where it names none."""
        done = self.git.run("rev-parse", "-q", "--verify", "--end-of-options", revision + "^{commit}")
        return done.out.decode().strip() if done.code == 0 else None

    def listing_of_refs(self, *patterns: str) -> bytes:
        """A line "<object id> <full name>" a ref under patterns ("refs/heads/"); no object is opened."""
        return self.git.check("for-each-ref", "--format=%(objectname) %(refname)", *patterns)

    def peel(self, names: Iterable[tuple[str, str]]) -> list[Ref]:
        """What each (name, object id) peels to, through nested tags too, and when a tag was made."""
        pairs = list(names)
        commits = self.names([f"{oid}^{{commit}}" for _, oid in pairs])
        tags = [oid for (_, oid), commit in zip(pairs, commits, strict=True) if commit != oid]
        dated = {blob.oid: _tag_date(blob.data) for blob in self.blobs(tags, _MESSAGE_CAP)}
        return [
            Ref(name, oid, commit, dated.get(oid)) for (name, oid), commit in zip(pairs, commits, strict=True)
        ]

    def refs(self, *patterns: str) -> list[Ref]:
        """Refs under full-name patterns, by name, peeled."""
        return self.peel(names_in(self.listing_of_refs(*patterns)))

    def work_trees(self) -> list[WorkTree]:
        """All work trees, the main one first; a bare main repository is left out."""
        found = []
        for record in self.git.check("worktree", "list", "--porcelain", "-z").split(b"\0\0"):
            facts = dict(_fact(line) for line in record.split(b"\0") if line)
            if b"worktree" not in facts or b"bare" in facts:
                continue
            head = facts.get(b"HEAD", b"").decode()
            branch = facts.get(b"branch", b"").decode("utf-8", "surrogateescape")
            found.append(
                WorkTree(
                    Path(facts[b"worktree"].decode("utf-8", "surrogateescape")),
                    head if head.strip("0") else None,
                    branch.removeprefix("refs/heads/") or None,
                )
            )
        return found

    def main_root(self) -> Path:
        """The main work tree, whose recipe and settings hold for all; this one where the main one is bare."""
        if self.git_dir == self.common:
            return self.root
        trees = self.work_trees()
        return trees[0].path if trees else self.root

    def owns(self, work_tree: Path) -> bool:
        """Whether a work tree's `.git` leads back here: an unpacked archive could list anybody's."""
        place, common = work_tree / ".git", self.common.resolve()
        try:
            if not place.is_dir():
                place = work_tree / os.fsdecode(place.read_bytes()).removeprefix("gitdir: ").strip()
            place = place.resolve()
        except (OSError, ValueError):
            return False
        return place == common or place.parent == common / "worktrees"

    def shallow(self) -> frozenset[str]:
        """The commits at which this clone's history was cut off."""
        try:
            return frozenset((self.common / "shallow").read_text("ascii").split())
        except OSError:
            return frozenset()

    def in_progress(self, *, within: Path | None = None) -> bool:
        """Whether a rebase, am or cherry-pick sequence is under way in any work tree."""
        folders = [self.common, *(self.common / "worktrees").glob("*")] if within is None else [within]
        return any((folder / name).exists() for folder in folders for name in _IN_PROGRESS[:3])

    # --- commits --------------------------------------------------------------------------------

    def reachable(self, include: Iterable[str], exclude: Iterable[str] = ()) -> list[str]:
        """Commits that `include` reaches and `exclude` does not, newest first."""
        lines = self.git.lines("rev-list", "--stdin", data=_revisions(include, exclude))
        return [line.decode() for line in lines]

    def reachable_with_border(
        self, include: Iterable[str], exclude: Iterable[str]
    ) -> tuple[list[str], set[str]]:
        """`reachable`, and the excluded commits that are parents of those (or asked for themselves)."""
        lines = self.git.lines("rev-list", "--boundary", "--stdin", data=_revisions(include, exclude))
        found = [line.decode() for line in lines]
        return [one for one in found if one[0] != "-"], {one[1:] for one in found if one[0] == "-"}

    def commits(self, oids: Iterable[str]) -> Iterator[Commit]:
        """These commits with their paths: renames off, merges against their first parent.

        Where git cannot say the paths, since a partial clone lacks the trees, the rest come without.
        """
        asked, told = list(oids), set()
        try:
            for commit in self._log(asked, "--raw", "--root", "--no-renames", "--diff-merges=first-parent"):
                told.add(commit.oid)
                yield commit
        except GitError:
            yield from self._log([oid for oid in asked if oid not in told])

    def _log(self, oids: Iterable[str], *options: str) -> Iterator[Commit]:
        wanted = "".join(oid + "\n" for oid in oids).encode()
        if not wanted:
            return
        cut = self.shallow()
        arguments = (
            "log", "--stdin", "--no-walk=unsorted", *options, "-z", "--no-abbrev", "--no-ext-diff",
            "--no-textconv", "--no-show-signature", "--no-notes", "--no-mailmap", "--encoding=UTF-8",
            "--format=" + _LOG_FORMAT,
        )  # fmt: skip
        with self.git.stream(*arguments, data=wanted) as out:
            yield from _parse_log(out, cut)

    # --- objects --------------------------------------------------------------------------------

    def exists(self, oids: Iterable[str]) -> dict[str, bool]:
        """Which of these objects this clone holds; nothing is fetched."""
        return {oid: size >= 0 for oid, size in self._sizes(list(oids)).items()}

    def names(self, expressions: list[str]) -> list[str | None]:
        """The object id of each expression ("<oid>:layer/sessions"), None where there is none."""
        if not expressions:
            return []
        data = "".join(expression + "\n" for expression in expressions).encode("utf-8", "surrogateescape")
        done = self.git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", data=data)
        if done.code and len(expressions) > 1:
            # git dies of an object that a partial clone lacks and may not fetch: which one is that?
            return [name for expression in expressions for name in self.names([expression])]
        answers = done.out.splitlines() if done.code == 0 else [b" missing"]
        return [None if answer.endswith(b" missing") else answer.split()[0].decode() for answer in answers]

    def blobs(self, oids: Iterable[str], cap: int) -> Iterator[Blob]:
        """Objects in the order asked for; larger ones than `cap` bytes and absent ones without data."""
        asked = list(oids)
        if not asked:
            return
        sizes = self._sizes(asked)
        small = [oid for oid in asked if 0 <= sizes[oid] <= cap]
        wanted = "".join(oid + "\n" for oid in small).encode()
        with self.git.stream("cat-file", "--batch", data=wanted) as out:
            for oid in asked:
                if not 0 <= sizes[oid] <= cap:
                    yield Blob(oid, sizes[oid], None)
                    continue
                header = out.readline().split()
                content = out.read(int(header[2]) + 1)[:-1]
                yield Blob(oid, len(content), content)

    def _sizes(self, oids: list[str]) -> dict[str, int]:
        """Object -> its bytes, -1 where this clone lacks it."""
        if not oids:
            return {}
        form, data = "--batch-check=%(objectname) %(objectsize)", _revisions(oids, ())
        done = self.git.run("cat-file", form, data=data)
        if done.code:
            # git dies of an object that a partial clone lacks and may not fetch; rev-list leaves it out.
            listed = self.git.lines(
                "rev-list", "--objects", "--no-walk", "--missing=allow-any", "--ignore-missing", "--stdin",
                data=data,
            )  # fmt: skip
            here = {line.split()[0].decode() for line in listed}
            present = [oid for oid in oids if oid in here]
            if len(present) == len(oids):
                raise GitError(f"git cat-file failed in {self.root}: {done.err}")
            return dict.fromkeys(oids, -1) | self._sizes(present)
        sizes = [answer.split()[1] for answer in done.out.splitlines()]
        return {oid: -1 if size == b"missing" else int(size) for oid, size in zip(oids, sizes, strict=True)}

    def tree(self, oid: str) -> list[TreeEntry]:
        """The entries of one tree object, not recursive; empty where it is absent or no tree."""
        done = self.git.run("cat-file", "tree", oid)
        width = 32 if self.object_format == "sha256" else 20
        entries, rest = [], done.out if done.code == 0 else b""
        while rest:
            mode, _, rest = rest.partition(b" ")
            name, _, rest = rest.partition(b"\0")
            entries.append(
                TreeEntry(mode.decode(), name.decode("utf-8", "surrogateescape"), rest[:width].hex())
            )
            rest = rest[width:]
        return entries


def names_in(listing: bytes) -> list[tuple[str, str]]:
    """(full name, object id) of each line of a listing of refs."""
    pairs = (line.decode("utf-8", "surrogateescape").partition(" ") for line in listing.split(b"\n")[:-1])
    return [(name, oid) for oid, _, name in pairs]


def _hint_for(error: str) -> str:
    if "dubious ownership" in error:
        return (
            "git does not trust this folder's owner; its message above names the setting (see git help safe)"
        )
    return "run this inside a git work tree, or make one with: git init"


def _tag_date(tag: bytes | None) -> int | None:
    """The tagger's time in a tag object's header, None where it has none (a tree or blob has none)."""
    for line in (tag or b"").partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(b"tagger "):
            when = line.rsplit(b" ", 2)
            return _seconds(when[1]) if len(when) == 3 else None
    return None


def _seconds(stated: bytes) -> int | None:
    """Seconds since 1970 as an object states them; None for what is no moment before the year 10000."""
    seconds = int(stated) if stated.isdigit() and len(stated) <= len(str(_LAST_SECOND)) else None
    return seconds if seconds is not None and seconds <= _LAST_SECOND else None


def _fact(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b" ")
    return name, value


def _revisions(include: Iterable[str], exclude: Iterable[str]) -> bytes:
    return "".join([*(f"{oid}\n" for oid in include), *(f"^{oid}\n" for oid in exclude)]).encode()


def _parse_log(out: IO[bytes], cut: frozenset[str]) -> Iterator[Commit]:
    """Read `log --raw -z`: records of NUL-ended fields; a field that starts with \\1 begins a commit."""
    header: list[bytes] = []
    changes: list[Change] = []
    fields = _fields(out)
    for field in fields:
        if field.startswith(b"\n:") or field.startswith(b":"):
            status = field.rsplit(b" ", 1)[1][:1].decode()
            changes += [Change(path.decode("utf-8", "surrogateescape"), status) for path in islice(fields, 1)]
        elif field.lstrip(b"\n").startswith(b"\x01"):
            if header:
                yield _commit(header, changes, cut)
            header = [field.lstrip(b"\n")[1:], *islice(fields, 5)]
            changes = []
    if len(header) == 6:  # else git died in the midst of it
        yield _commit(header, changes, cut)


def _fields(out: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := out.read(1 << 16):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest.strip():
        yield rest


def _commit(header: list[bytes], changes: list[Change], cut: frozenset[str]) -> Commit:
    oid, parents, author, authored, committed, message = header
    name = oid.decode()
    return Commit(
        oid=name,
        parents=tuple(parents.decode().split()),
        author=author.decode("utf-8", "replace"),
        authored=_seconds(authored) or 0,
        committed=_seconds(committed) or 0,
        message=message[:_MESSAGE_CAP].decode("utf-8", "replace").strip("\n"),
        changes=() if name in cut else tuple(changes),
        truncated=name in cut,
    )
