"""A repository as patina reads it: refs, commits and objects by plumbing, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from patina_hooks.errors import GitError, NotARepository
from patina_hooks.git.child import ChildGit
from patina_hooks.git.commit_log import FIELD_CAP, LOG_FORMAT, commits_in, seconds
from patina_hooks.git.environment import oldest_git
from patina_hooks.specs.values import Commit
from patina_hooks.system.files import read_regular

STATE_FOLDER = "patina"
_IN_PROGRESS = ("rebase-merge", "rebase-apply", "sequencer")
DOCUMENT_CAP = 8 << 20
"""Bytes of a document; a larger one is not read."""
_GIT_FILE_CAP = 64 * 1024
_TREE_CAP = 64 << 20  # bytes: a folder of about a million documents
_PLACES = ("--show-toplevel", "--git-dir", "--git-common-dir", "--show-object-format")
_USAGE = 129  # git's exit code for an option that it does not know
_AT_ONCE = 1_000  # commits that one git child is asked for


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


UNCONFIGURED: Final = ("-O" + os.devnull, "--no-renames", "--no-relative")
"""Options of every diff: its order and paths depend on the commits, not on configuration, which may name an
order file that is not there."""


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
        git = ChildGit(path)
        done = git.run("rev-parse", "--path-format=absolute", *_PLACES)
        # Not splitlines(): a folder's name may hold what Unicode takes for the end of a line.
        found = done.out.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
        if done.code:
            why, hint = _why_not(done.err)
            raise NotARepository(f"no git work tree at {path}: {why}", hint=hint)
        if found[0].startswith("--"):  # an option that git does not know comes back as it is
            version = git.text("version").removeprefix("git version ")
            why = f"git {version} is too old: patina needs git {oldest_git()}"
            raise NotARepository(why, hint="update git")
        if len(found) != len(_PLACES):  # a folder's name holds the end of a line
            found = [git.text("rev-parse", "--path-format=absolute", place) for place in _PLACES]
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
        dated = {blob.oid: _tag_date(blob.data) for blob in self.blobs(tags, FIELD_CAP)}
        return [
            Ref(name, oid, commit, dated.get(oid)) for (name, oid), commit in zip(pairs, commits, strict=True)
        ]

    def refs(self, *patterns: str) -> list[Ref]:
        """Refs under full-name patterns, by name, peeled."""
        return self.peel(names_in(self.listing_of_refs(*patterns)))

    def work_trees(self) -> list[WorkTree]:
        """All work trees, the main one first; a bare main repository is left out."""
        found = []
        for facts in self._work_tree_facts():
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

    def _work_tree_facts(self) -> Iterator[dict[bytes, bytes]]:
        """The attributes of each work tree, as `git worktree list` prints them."""
        end, done = b"\0", self.git.run("worktree", "list", "--porcelain", "-z")
        if (
            done.code == _USAGE
        ):  # before git 2.36 there is no -z, and a path with a line feed is not told whole
            end, done = b"\n", self.git.run("worktree", "list", "--porcelain")
        if done.code:
            raise GitError(f"git worktree failed in {self.root}: {done.err or f'exit {done.code}'}")
        for record in done.out.split(end * 2):
            yield dict(_fact(line) for line in record.split(end) if line)

    def at(self, root: Path) -> Repository:
        """The same repository, seen from another of its work trees; its `git_dir` is this one's."""
        return Repository(root, self.git_dir, self.common, self.object_format)

    def is_bare(self) -> bool:
        """Whether the main repository has no work tree of its own, though others may be linked to it."""
        return b"bare" in next(iter(self._work_tree_facts()), {})

    def default_branch(self) -> str | None:
        """The short name of the branch that the main repository's HEAD is at, None when detached."""
        try:
            text = read_regular(self.common / "HEAD", _GIT_FILE_CAP).decode("utf-8", "surrogateescape")
        except OSError:
            return None
        prefix = "ref: refs/heads/"
        return text.removeprefix(prefix).strip() if text.startswith(prefix) else None

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
                place = (
                    work_tree
                    / os.fsdecode(read_regular(place, _GIT_FILE_CAP)).removeprefix("gitdir: ").strip()
                )
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

    def in_progress(self) -> bool:
        """Whether a rebase, am or cherry-pick sequence is under way in any work tree."""
        return bool(self.operations())

    def operations(self) -> list[Path]:
        """List the folders in which git keeps an unfinished rebase, am or cherry-pick of any work tree."""
        folders = [self.common, *(self.common / "worktrees").glob("*")]
        return [folder / name for folder in folders for name in _IN_PROGRESS if (folder / name).exists()]

    def submodules(self) -> list[str]:
        """List the paths of the submodules that HEAD names, sorted."""
        wanted = ("-z", "--get-regexp", r"^submodule\..*\.path$")
        done = self.git.run("config", "--blob", "HEAD:.gitmodules", *wanted)
        entries = done.out.decode("utf-8", "surrogateescape").split("\0")
        return sorted(entry.partition("\n")[2] for entry in entries if "\n" in entry)

    # --- commits --------------------------------------------------------------------------------

    def reachable(
        self, include: Iterable[str], exclude: Iterable[str] = (), *, most: int | None = None
    ) -> list[str]:
        """List commits that `include` reaches and `exclude` does not, newest first; at most `most`."""
        limit = [] if most is None else [f"--max-count={most}"]
        listed = self.git.check("rev-list", *limit, "--stdin", data=_revisions(include, exclude))
        return listed.decode().split()

    def reachable_with_border(
        self, include: Iterable[str], exclude: Iterable[str]
    ) -> tuple[list[str], set[str]]:
        """`reachable`, and the excluded commits that are parents of those (or asked for themselves)."""
        lines = self.git.lines("rev-list", "--boundary", "--stdin", data=_revisions(include, exclude))
        found = [line.decode() for line in lines]
        return [one for one in found if one[0] != "-"], {one[1:] for one in found if one[0] == "-"}

    def commits(self, oids: Iterable[str]) -> Iterator[Commit]:
        """These commits with their paths: renames off, merges against their first parent.

        One whose trees a partial clone lacks comes without paths, truncated.
        """
        waiting = list(oids)
        while part := waiting[:_AT_ONCE]:
            told: set[str] = set()
            try:
                for commit in self._with_paths(part):
                    told.add(commit.oid)
                    yield commit
            except GitError:
                left = [oid for oid in part if oid not in told]
                sound = self.with_trees(left)
                lacking = [oid for oid in left if oid not in sound]
                # With all of those trees here, one further down is absent: the first may be whose that is.
                yield from self._without_paths(lacking) if lacking else self._alone(left[0])
                told.update(lacking or left[:1])
            waiting = [*(oid for oid in part if oid not in told), *waiting[_AT_ONCE:]]

    def _alone(self, oid: str) -> Iterator[Commit]:
        try:
            yield from self._with_paths([oid])
        except GitError:
            yield from self._without_paths([oid])

    def _without_paths(self, oids: list[str]) -> Iterator[Commit]:
        return (replace(commit, truncated=True) for commit in self._log(oids))

    def with_trees(self, oids: Iterable[str]) -> set[str]:
        """Which of these commits have their own tree and their first parent's in this clone."""
        found = self._trees(oids)
        parents = {commit[1] for commit in found.values() if len(commit) > 1}
        trees = {oid: commit[0] for oid, commit in (found | self._trees(parents - found.keys())).items()}
        here = self.exists(sorted(set(trees.values())))
        return {
            oid
            for oid, commit in found.items()
            if here[commit[0]] and all(here[trees[parent]] for parent in commit[1:2])
        }

    def _trees(self, oids: Iterable[str]) -> dict[str, list[str]]:
        """Commit -> its tree, and its parents."""
        if not (wanted := _revisions(oids, ())):
            return {}
        form = "--format=%H %T %P"
        lines = self.git.lines(
            "log", "--stdin", "--no-walk=unsorted", "--no-show-signature", form, data=wanted
        )
        return {words[0]: words[1:] for line in lines for words in [line.decode().split()]}

    def _with_paths(self, oids: list[str]) -> Iterator[Commit]:
        """Each commit once git has gone beyond it: of one that it dies in, not all paths are known."""
        before: Commit | None = None
        options = ("--raw", "--root", "--diff-merges=first-parent", *UNCONFIGURED)
        # A work tree's .gitmodules, which may be broken, is not asked which submodules to leave out.
        for commit in self._log(oids, *options, "--ignore-submodules=none"):
            if before is not None:
                yield before
            before = commit
        if before is not None:
            yield before

    def _log(self, oids: Iterable[str], *options: str) -> Iterator[Commit]:
        if not (wanted := _revisions(oids, ())):
            return
        cut = self.shallow()
        arguments = (
            "log", "--stdin", "--no-walk=unsorted", *options, "-z", "--no-abbrev", "--no-ext-diff",
            "--no-textconv", "--no-show-signature", "--no-notes", "--no-mailmap", "--encoding=UTF-8",
            "--format=" + LOG_FORMAT,
        )  # fmt: skip
        with self.git.stream(*arguments, data=wanted) as out:
            yield from commits_in(out, cut)

    # --- objects --------------------------------------------------------------------------------

    def exists(self, oids: Iterable[str]) -> dict[str, bool]:
        """Which of these objects this clone holds; nothing is fetched."""
        return {oid: size >= 0 for oid, size in self._sizes(list(oids)).items()}

    def names(self, expressions: list[str]) -> list[str | None]:
        """The object id of each expression ("<oid>:layer/sessions"), None where there is none."""
        if not expressions:
            return []
        if any("\n" in expression for expression in expressions):  # a path may hold what ends a line of stdin
            return [self._name(expression) for expression in expressions]
        data = "".join(expression + "\n" for expression in expressions).encode("utf-8", "surrogateescape")
        done = self.git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", data=data)
        if done.code and len(expressions) > 1:
            # git dies of an object that a partial clone lacks and may not fetch: which one is that?
            return [name for expression in expressions for name in self.names([expression])]
        answers = done.out.splitlines() if done.code == 0 else [b" missing"]
        return [None if answer.endswith(b" missing") else answer.split()[0].decode() for answer in answers]

    def _name(self, expression: str) -> str | None:
        done = self.git.run("rev-parse", "--quiet", "--verify", "--end-of-options", expression)
        return done.out.decode().strip() if done.code == 0 else None

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
        """The entries of a tree, by its id or "<commit>:<path>", not recursive; empty where there is none."""
        done = self.git.run("cat-file", "tree", oid)
        return self._entries(done.out if done.code == 0 else b"")

    def trees(self, oids: Iterable[str]) -> dict[str, list[TreeEntry]]:
        """Each of these that is a tree and is here -> its entries, not recursive; three children for all."""
        asked = list(oids)
        peeled = self.names([f"{oid}^{{tree}}" for oid in asked])
        found = self.blobs((oid for oid, tree in zip(asked, peeled, strict=True) if oid == tree), _TREE_CAP)
        return {blob.oid: self._entries(blob.data or b"") for blob in found}

    def files(self, tree: str) -> list[TreeEntry]:
        """Return the entries of a tree and of all trees in it, by path, but for the trees themselves."""
        listed = self.git.check("ls-tree", "-r", "-z", "--full-tree", tree).split(b"\0")[:-1]
        entries = []
        for line in listed:
            about, _, name = line.partition(b"\t")
            mode, _, oid = about.decode().split(" ")
            entries.append(TreeEntry(mode, name.decode("utf-8", "surrogateescape"), oid))
        return entries

    def changed_entries(
        self, old: str, new: str, *, deep: bool = False
    ) -> tuple[list[TreeEntry], list[TreeEntry]]:
        """Return the entries of one tree that another has not, and the other way round.

        deep: those of the trees in them, by path, instead of the trees themselves.
        """
        how = ("-r",) if deep else ()
        raw = self.git.check("diff-tree", "-z", "--no-renames", "--no-abbrev", "--raw", *how, old, new)
        fields = raw.split(b"\0")
        before, after = [], []
        for about, path in zip(fields[0::2], fields[1::2], strict=False):
            name = path.decode("utf-8", "surrogateescape")
            mode, new_mode, oid, new_oid, _ = about.decode().split(" ")
            before += [TreeEntry(mode[1:], name, oid)] if oid.strip("0") else []
            after += [TreeEntry(new_mode, name, new_oid)] if new_oid.strip("0") else []
        return before, after

    def parents(self, oids: Iterable[str]) -> dict[str, list[str]]:
        """Return the parents of commits, none at a shallow border."""
        return {oid: about[1:] for oid, about in self._trees(oids).items()}

    def _entries(self, rest: bytes) -> list[TreeEntry]:
        width = 32 if self.object_format == "sha256" else 20
        entries, at = [], 0
        while at < len(rest):
            end = rest.index(b"\0", at)
            mode, _, name = rest[at:end].decode("utf-8", "surrogateescape").partition(" ")
            at = end + 1 + width
            entries.append(TreeEntry(mode, name, rest[end + 1 : at].hex()))
        return entries


def names_in(listing: bytes) -> list[tuple[str, str]]:
    """(full name, object id) of each line of a listing of refs."""
    pairs = (line.decode("utf-8", "surrogateescape").partition(" ") for line in listing.split(b"\n")[:-1])
    return [(name, oid) for oid, _, name in pairs]


def _why_not(error: str) -> tuple[str, str]:
    """Why git gives no work tree, and what to do about it."""
    if "safe.bareRepository" in error:  # our own setting, which the user need not know of
        why = "this is a bare repository, or a repository's own folder"
        return why, "run this inside a work tree; git worktree add FOLDER makes one"
    why = error.partition("\n")[0] or "git gave no answer"
    if "dubious ownership" in error:
        return why, "git does not trust this folder's owner; see git help safe, safe.directory"
    return why, "run this inside a git work tree, or make one with: git init"


def _tag_date(tag: bytes | None) -> int | None:
    """The tagger's time in a tag object's header, None where it has none (a tree or blob has none)."""
    for line in (tag or b"").partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(b"tagger "):
            when = line.rsplit(b" ", 2)
            return seconds(when[1]) if len(when) == 3 else None
    return None


def _fact(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b" ")
    return name, value


def _revisions(include: Iterable[str], exclude: Iterable[str]) -> bytes:
    return "".join([*(f"{oid}\n" for oid in include), *(f"^{oid}\n" for oid in exclude)]).encode()
