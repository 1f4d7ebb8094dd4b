"""Read a repository by plumbing commands, in bounded memory: refs, commits, objects."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from patina_hooks.errors import GitError, NotARepository
from patina_hooks.git.child import ChildGit
from patina_hooks.git.commit_log import FIELD_CAP, LOG_FORMAT, parse_commits, parse_seconds
from patina_hooks.git.environment import oldest_git
from patina_hooks.specs.values import Commit
from patina_hooks.system.files import read_regular

STATE_FOLDER = "patina"
_IN_PROGRESS = ("rebase-merge", "rebase-apply", "sequencer")
DOCUMENT_CAP = 8 << 20
"""Bytes of a document; a larger one is not read."""
_GIT_FILE_CAP = 64 * 1024
_TREE_CAP = 64 << 20  # bytes: a folder of about a million documents
_LOCATION_OPTIONS = ("--show-toplevel", "--git-dir", "--git-common-dir", "--show-object-format")
_USAGE_ERROR = 129  # git's exit code for an unknown option
_BATCH_SIZE = 1_000  # commits per git process


@dataclass(frozen=True, slots=True)
class Ref:
    """A ref, peeled.

    commit: what it peels to, None if that is not a commit.

    dated: the tagger's time of an annotated tag, seconds since 1970; None for anything else.
    """

    name: str
    oid: str
    commit: str | None
    dated: int | None = None


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A work tree of the repository.

    head: None while its branch is unborn.
    """

    path: Path
    head: str | None
    branch: str | None


@dataclass(frozen=True, slots=True)
class Blob:
    """An object.

    data: None if it is absent or larger than the requested cap.
    """

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
"""Options of every diff: its order and paths depend on the commits, not on configuration, which may name a
missing order file."""


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
        """Open the repository that encloses a path.

        Raises:
            NotARepository: there is none, or git refuses it; the message is git's.
        """
        git = ChildGit(path)
        result = git.run("rev-parse", "--path-format=absolute", *_LOCATION_OPTIONS)
        # Not splitlines(): a folder's name may contain a character that Unicode treats as a line end.
        lines = result.out.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
        if result.code:
            reason, hint = _refusal(result.err)
            raise NotARepository(f"no git work tree at {path}: {reason}", hint=hint)
        if lines[0].startswith("--"):  # git prints an unknown option unchanged
            version = git.text("version").removeprefix("git version ")
            message = f"git {version} is too old: patina needs git {oldest_git()}"
            raise NotARepository(message, hint="update git")
        if len(lines) != len(_LOCATION_OPTIONS):  # a folder's name contains a line end
            lines = [git.text("rev-parse", "--path-format=absolute", option) for option in _LOCATION_OPTIONS]
        root, git_dir, common, object_format = lines
        return cls(Path(root), Path(git_dir), Path(common), object_format)

    @property
    def state(self) -> Path:
        """The state folder of patina; shared by all work trees, never committed."""
        return self.common / STATE_FOLDER

    def writing(self) -> ChildGit:
        """Return git with the user's own configuration, for what the user typed."""
        return ChildGit(self.root, writing=True)

    # --- refs -----------------------------------------------------------------------------------

    def head(self) -> str | None:
        """Return the checked-out commit of this work tree, None while the branch is unborn."""
        return self.resolve("HEAD")

    def branch(self) -> str | None:
        """Return the short name of the checked-out branch, born or not.

        None when detached.
        """
        # Not --short: it prints "heads/main" if a tag has the name of the branch.
        result = self.git.run("symbolic-ref", "-q", "HEAD")
        return result.out.decode("utf-8", "replace").strip().removeprefix("refs/heads/") or None

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a revision names, None if it names none."""
        result = self.git.run("rev-parse", "-q", "--verify", "--end-of-options", revision + "^{commit}")
        return result.out.decode().strip() if result.code == 0 else None

    def list_refs(self, *patterns: str) -> bytes:
        """Print a line "<object id> <full name>" per ref under patterns.

        Open no object.
        """
        return self.git.check("for-each-ref", "--format=%(objectname) %(refname)", *patterns)

    def peel(self, names: Iterable[tuple[str, str]]) -> list[Ref]:
        """Peel each (name, object id), through nested tags too, and read the date of tags."""
        pairs = list(names)
        commits = self.object_ids([f"{oid}^{{commit}}" for _, oid in pairs])
        tags = [oid for (_, oid), commit in zip(pairs, commits, strict=True) if commit != oid]
        dated = {blob.oid: _tag_date(blob.data) for blob in self.blobs(tags, FIELD_CAP)}
        return [
            Ref(name, oid, commit, dated.get(oid)) for (name, oid), commit in zip(pairs, commits, strict=True)
        ]

    def refs(self, *patterns: str) -> list[Ref]:
        """Return the refs under full-name patterns, by name, peeled."""
        return self.peel(parse_refs(self.list_refs(*patterns)))

    def work_trees(self) -> list[WorkTree]:
        """Return all work trees, the main one first.

        A bare main repository is left out.
        """
        trees = []
        for facts in self._work_tree_facts():
            if b"worktree" not in facts or b"bare" in facts:
                continue
            head = facts.get(b"HEAD", b"").decode()
            branch = facts.get(b"branch", b"").decode("utf-8", "surrogateescape")
            trees.append(
                WorkTree(
                    Path(facts[b"worktree"].decode("utf-8", "surrogateescape")),
                    head if head.strip("0") else None,
                    branch.removeprefix("refs/heads/") or None,
                )
            )
        return trees

    def _work_tree_facts(self) -> Iterator[dict[bytes, bytes]]:
        """Yield the attributes of each work tree, as `git worktree list` prints them."""
        end, result = b"\0", self.git.run("worktree", "list", "--porcelain", "-z")
        if result.code == _USAGE_ERROR:  # git before 2.36 has no -z, and cuts a path at a line feed
            end, result = b"\n", self.git.run("worktree", "list", "--porcelain")
        if result.code:
            raise GitError(f"git worktree failed in {self.root}: {result.err or f'exit {result.code}'}")
        for record in result.out.split(end * 2):
            yield dict(_fact(line) for line in record.split(end) if line)

    def at(self, root: Path) -> Repository:
        """Return the same repository with the root of another work tree, but this `git_dir`."""
        return Repository(root, self.git_dir, self.common, self.object_format)

    def is_bare(self) -> bool:
        """Whether the main repository has no work tree of its own, though others may be linked to it."""
        return b"bare" in next(iter(self._work_tree_facts()), {})

    def default_branch(self) -> str | None:
        """Return the short name of the main repository's branch, None when detached."""
        try:
            text = read_regular(self.common / "HEAD", _GIT_FILE_CAP).decode("utf-8", "surrogateescape")
        except OSError:
            return None
        prefix = "ref: refs/heads/"
        return text.removeprefix(prefix).strip() if text.startswith(prefix) else None

    def main_root(self) -> Path:
        """Return the main work tree, whose recipe and settings apply to all.

        This one if it is bare.
        """
        if self.git_dir == self.common:
            return self.root
        trees = self.work_trees()
        return trees[0].path if trees else self.root

    def owns(self, work_tree: Path) -> bool:
        """Whether a work tree's `.git` leads to this repository: an unpacked archive may list any path."""
        git_dir, common = work_tree / ".git", self.common.resolve()
        try:
            if not git_dir.is_dir():
                content = os.fsdecode(read_regular(git_dir, _GIT_FILE_CAP))
                git_dir = work_tree / content.removeprefix("gitdir: ").strip()
            git_dir = git_dir.resolve()
        except (OSError, ValueError):
            return False
        return git_dir == common or git_dir.parent == common / "worktrees"

    def shallow(self) -> frozenset[str]:
        """Return the commits at the border of a shallow clone."""
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
        options = ("-z", "--get-regexp", r"^submodule\..*\.path$")
        result = self.git.run("config", "--blob", "HEAD:.gitmodules", *options)
        entries = result.out.decode("utf-8", "surrogateescape").split("\0")
        return sorted(entry.partition("\n")[2] for entry in entries if "\n" in entry)

    # --- commits --------------------------------------------------------------------------------

    def reachable(self, include: Iterable[str], exclude: Iterable[str] = ()) -> list[str]:
        """List commits that `include` reaches and `exclude` does not, newest first."""
        listed = self.git.check("rev-list", "--stdin", data=_revisions(include, exclude))
        return listed.decode().split()

    def reachable_with_border(
        self, include: Iterable[str], exclude: Iterable[str]
    ) -> tuple[list[str], set[str]]:
        """Return `reachable`, and the excluded commits that are parents of those or listed in `include`."""
        output = self.git.lines("rev-list", "--boundary", "--stdin", data=_revisions(include, exclude))
        lines = [line.decode() for line in output]
        return [line for line in lines if line[0] != "-"], {line[1:] for line in lines if line[0] == "-"}

    def commits(self, oids: Iterable[str]) -> Iterator[Commit]:
        """Read commits with their paths: renames off, merges against their first parent.

        A commit whose trees a partial clone lacks has no paths, and is truncated.
        """
        pending = list(oids)
        while batch := pending[:_BATCH_SIZE]:
            finished: set[str] = set()
            try:
                for commit in self._with_paths(batch):
                    finished.add(commit.oid)
                    yield commit
            except GitError:
                rest = [oid for oid in batch if oid not in finished]
                complete = self.with_trees(rest)
                lacking = [oid for oid in rest if oid not in complete]
                # If all of those trees are present, a subtree is absent, perhaps of the first commit.
                yield from self._without_paths(lacking) if lacking else self._single(rest[0])
                finished.update(lacking or rest[:1])
            pending = [*(oid for oid in batch if oid not in finished), *pending[_BATCH_SIZE:]]

    def _single(self, oid: str) -> Iterator[Commit]:
        try:
            yield from self._with_paths([oid])
        except GitError:
            yield from self._without_paths([oid])

    def _without_paths(self, oids: list[str]) -> Iterator[Commit]:
        return (replace(commit, truncated=True) for commit in self._log(oids))

    def with_trees(self, oids: Iterable[str]) -> set[str]:
        """Return the commits whose own tree and first parent's tree are in this clone."""
        commits = self._trees(oids)
        parents = {commit[1] for commit in commits.values() if len(commit) > 1}
        trees = {oid: commit[0] for oid, commit in (commits | self._trees(parents - commits.keys())).items()}
        is_present = self.exists(sorted(set(trees.values())))
        return {
            oid
            for oid, commit in commits.items()
            if is_present[commit[0]] and all(is_present[trees[parent]] for parent in commit[1:2])
        }

    def _trees(self, oids: Iterable[str]) -> dict[str, list[str]]:
        """Return commit -> its tree, and its parents."""
        if not (revisions := _revisions(oids, ())):
            return {}
        form = "--format=%H %T %P"
        lines = self.git.lines(
            "log", "--stdin", "--no-walk=unsorted", "--no-show-signature", form, data=revisions
        )
        return {words[0]: words[1:] for line in lines for words in [line.decode().split()]}

    def _with_paths(self, oids: list[str]) -> Iterator[Commit]:
        """Yield each commit once git has printed the next: if git dies, the last one is incomplete."""
        previous: Commit | None = None
        options = ("--raw", "--root", "--diff-merges=first-parent", *UNCONFIGURED)
        # A work tree's .gitmodules may be broken: it does not decide which submodules are left out.
        for commit in self._log(oids, *options, "--ignore-submodules=none"):
            if previous is not None:
                yield previous
            previous = commit
        if previous is not None:
            yield previous

    def _log(self, oids: Iterable[str], *options: str) -> Iterator[Commit]:
        if not (revisions := _revisions(oids, ())):
            return
        cut = self.shallow()
        arguments = (
            "log", "--stdin", "--no-walk=unsorted", *options, "-z", "--no-abbrev", "--no-ext-diff",
            "--no-textconv", "--no-show-signature", "--no-notes", "--no-mailmap", "--encoding=UTF-8",
            "--format=" + LOG_FORMAT,
        )  # fmt: skip
        with self.git.stream(*arguments, data=revisions) as out:
            yield from parse_commits(out, cut)

    # --- objects --------------------------------------------------------------------------------

    def exists(self, oids: Iterable[str]) -> dict[str, bool]:
        """Return whether this clone has each object; fetch nothing."""
        return {oid: size >= 0 for oid, size in self._sizes(list(oids)).items()}

    def object_ids(self, expressions: list[str]) -> list[str | None]:
        """Return the object id of each expression ("<oid>:layer/sessions"), None if there is none."""
        if not expressions:
            return []
        if any("\n" in expression for expression in expressions):  # in a path
            return [self._object_id(expression) for expression in expressions]
        data = "".join(expression + "\n" for expression in expressions).encode("utf-8", "surrogateescape")
        result = self.git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", data=data)
        if result.code and len(expressions) > 1:
            # git dies of an object that a partial clone lacks and may not fetch: find it.
            return [oid for expression in expressions for oid in self.object_ids([expression])]
        answers = result.out.splitlines() if result.code == 0 else [b" missing"]
        return [None if answer.endswith(b" missing") else answer.split()[0].decode() for answer in answers]

    def _object_id(self, expression: str) -> str | None:
        result = self.git.run("rev-parse", "--quiet", "--verify", "--end-of-options", expression)
        return result.out.decode().strip() if result.code == 0 else None

    def blobs(self, oids: Iterable[str], cap: int) -> Iterator[Blob]:
        """Read objects in this order.

        Those larger than `cap` bytes, or absent, without data.
        """
        requested = list(oids)
        if not requested:
            return
        sizes = self._sizes(requested)
        small = [oid for oid in requested if 0 <= sizes[oid] <= cap]
        with self.git.stream("cat-file", "--batch", data=_revisions(small, ())) as out:
            for oid in requested:
                if not 0 <= sizes[oid] <= cap:
                    yield Blob(oid, sizes[oid], None)
                    continue
                header = out.readline().split()
                content = out.read(int(header[2]) + 1)[:-1]
                yield Blob(oid, len(content), content)

    def _sizes(self, oids: list[str]) -> dict[str, int]:
        """Return object -> its bytes, -1 if this clone lacks it."""
        if not oids:
            return {}
        form, data = "--batch-check=%(objectname) %(objectsize)", _revisions(oids, ())
        result = self.git.run("cat-file", form, data=data)
        if result.code:
            # git dies of an object that a partial clone lacks and may not fetch; rev-list leaves it out.
            listed = self.git.lines(
                "rev-list", "--objects", "--no-walk", "--missing=allow-any", "--ignore-missing", "--stdin",
                data=data,
            )  # fmt: skip
            available = {line.split()[0].decode() for line in listed}
            present = [oid for oid in oids if oid in available]
            if len(present) == len(oids):
                raise GitError(f"git cat-file failed in {self.root}: {result.err}")
            return dict.fromkeys(oids, -1) | self._sizes(present)
        sizes = [answer.split()[1] for answer in result.out.splitlines()]
        return {oid: -1 if size == b"missing" else int(size) for oid, size in zip(oids, sizes, strict=True)}

    def tree(self, oid: str) -> list[TreeEntry]:
        """Read the entries of a tree, not recursive.

        Empty if there is none.

        oid: its id or "<commit>:<path>".
        """
        result = self.git.run("cat-file", "tree", oid)
        return self._entries(result.out if result.code == 0 else b"")

    def trees(self, oids: Iterable[str]) -> dict[str, list[TreeEntry]]:
        """Read the entries of each tree that is in this clone, not recursive.

        In three git processes.
        """
        requested = list(oids)
        peeled = self.object_ids([f"{oid}^{{tree}}" for oid in requested])
        trees = (oid for oid, tree in zip(requested, peeled, strict=True) if oid == tree)
        return {blob.oid: self._entries(blob.data or b"") for blob in self.blobs(trees, _TREE_CAP)}

    def files(self, tree: str) -> list[TreeEntry]:
        """Return the entries of a tree and of all trees in it, by path, without the trees."""
        listed = self.git.check("ls-tree", "-r", "-z", "--full-tree", tree).split(b"\0")[:-1]
        entries = []
        for line in listed:
            header, _, name = line.partition(b"\t")
            mode, _, oid = header.decode().split(" ")
            entries.append(TreeEntry(mode, name.decode("utf-8", "surrogateescape"), oid))
        return entries

    def changed_entries(
        self, old: str, new: str, *, deep: bool = False
    ) -> tuple[list[TreeEntry], list[TreeEntry]]:
        """Return the entries only in the old tree, and those only in the new one.

        deep: the entries of the trees in them, by path, instead of those trees.
        """
        options = ("--no-renames", "--no-abbrev", "--raw", *(("-r",) if deep else ()))
        raw = self.git.check("diff-tree", "-z", *options, old, new)
        fields = raw.split(b"\0")
        before, after = [], []
        for header, path in zip(fields[0::2], fields[1::2], strict=False):
            name = path.decode("utf-8", "surrogateescape")
            mode, new_mode, oid, new_oid, _ = header.decode().split(" ")
            before += [TreeEntry(mode[1:], name, oid)] if oid.strip("0") else []
            after += [TreeEntry(new_mode, name, new_oid)] if new_oid.strip("0") else []
        return before, after

    def parents(self, oids: Iterable[str]) -> dict[str, list[str]]:
        """Return the parents of commits, none at a shallow border."""
        return {oid: commit[1:] for oid, commit in self._trees(oids).items()}

    def _entries(self, tree: bytes) -> list[TreeEntry]:
        width = 32 if self.object_format == "sha256" else 20
        entries, position = [], 0
        while position < len(tree):
            end = tree.index(b"\0", position)
            mode, _, name = tree[position:end].decode("utf-8", "surrogateescape").partition(" ")
            position = end + 1 + width
            entries.append(TreeEntry(mode, name, tree[end + 1 : position].hex()))
        return entries


def parse_refs(listing: bytes) -> list[tuple[str, str]]:
    """Parse the output of `list_refs` into (full name, object id)."""
    pairs = (line.decode("utf-8", "surrogateescape").partition(" ") for line in listing.split(b"\n")[:-1])
    return [(name, oid) for oid, _, name in pairs]


def _refusal(error: str) -> tuple[str, str]:
    """Return the reason why git opens no work tree, and a hint."""
    if "safe.bareRepository" in error:  # patina's own setting, unknown to the user
        reason = "this is a bare repository, or a repository's own folder"
        return reason, "run this inside a work tree; git worktree add FOLDER creates one"
    reason = error.partition("\n")[0] or "git printed no reason"
    if "dubious ownership" in error:
        return reason, "git does not trust this folder's owner; see git help safe, safe.directory"
    return reason, "run this inside a git work tree, or create one with: git init"


def _tag_date(tag: bytes | None) -> int | None:
    """Read the tagger's time of a tag object, None if it has none."""
    for line in (tag or b"").partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(b"tagger "):
            words = line.rsplit(b" ", 2)
            return parse_seconds(words[1]) if len(words) == 3 else None
    return None


def _fact(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b" ")
    return name, value


def _revisions(include: Iterable[str], exclude: Iterable[str]) -> bytes:
    return "".join([*(f"{oid}\n" for oid in include), *(f"^{oid}\n" for oid in exclude)]).encode()
