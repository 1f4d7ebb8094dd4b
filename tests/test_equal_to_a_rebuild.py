"""Promise 1: after any sequence of git operations, hooks missed or syncs killed, a sync leaves the same
observations, pairs, vectors, hashes and answers as a memory built from nothing on the same refs with the same
plugins: of sessions, commits and files of trees. What absent plugins made is kept until `patina gc`.

`PATINA_EXAMPLES` sets how many sequences are tried; without it 25.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.memory import Memory
from support.sampling import examples

from patina_hooks import (
    CommitScope,
    Document,
    Extraction,
    ExtractorSpec,
    ModuleScope,
    Observation,
    Pair,
    PairGeneratorSpec,
    SessionScope,
    SourceSpec,
    hookimpl,
    sessions,
)
from patina_hooks.errors import SessionError
from patina_hooks.pairs import update
from patina_hooks.pairs.members import path_member
from patina_hooks.pairs.scopes import ScopeReader
from patina_hooks.plugins.manager import Plugins
from patina_hooks.projection.active import Active, store_active, store_weights
from patina_hooks.projection.weights import describe_weights
from patina_hooks.search.index.exact import ExactIndex
from patina_hooks.search.index.spaces import active_space
from patina_hooks.specs.plugins import PairScopeKind
from patina_hooks.specs.sources import NOT_PROSE, PROSE
from patina_hooks.specs.sources import SESSIONS as SESSIONS_FOLDER
from patina_hooks.specs.training import Trained
from patina_hooks.store.embeddings import EmbeddingCache
from patina_hooks.store.log import Log
from patina_hooks.upkeep import gc

SESSIONS = ("20251101-090000", "20251102-100000", "20251103-110000", "20251103-110001")
ACTIVE = ".patina/local/active/20251130-090000.md"
SETTLED = (
    "layer/sessions",
    ".patina/local/active",
    ".git/packed-refs",
    ".git/refs/tags",
    ".git/refs/patina/sessions",
)
BRANCHES = ("main", "side", "topic/one")
WORDS = st.sampled_from(
    [
        "sqlite",
        "parse tree",
        "worker crash",
        "session goals",
        "HTTPClient fix",
        "naïve ünïcode",
        "",
        "the the",
    ]
)
MESSAGES = st.builds(
    lambda a, b, body: f"{a} {b}".strip() + (f"\n\n- {body}\n- again {a}" if body else ""),
    WORDS,
    WORDS,
    WORDS,
)
PAGES = ("README.md", "docs/guide.md", "docs/deep/a.rst", "docs/moved.md", "docs/moved.md/b.md", "help/c.txt",
         "vendor/d.md", "docs/.env.md")  # fmt: skip
PAGE = st.sampled_from(PAGES)
PAGE_TEXTS = st.sampled_from(
    [
        "# SQLite\n\nWhy sqlite: one file.\n\n## Trees\n\nParse the tree.\n",
        "Title\n=====\n\nFix the crash in the worker.\n",
        "Session goals.\n",
        "<!-- Do not edit. -->\n\nParse the tree again.\n",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "sqlite \0 binary\n",
        "README.md",  # as a link to that file would be
        "",
    ]
)
RULE_FILES = st.sampled_from([".patinaignore", "docs/.patinaignore", ".gitattributes", "docs/.gitattributes"])
RULES = st.sampled_from(
    ["deep/\n", "*.md\n!README.md\n", "*.md linguist-generated\n", "*.md -linguist-generated\n",
     "* linguist-documentation\n", "/vendor/** -linguist-vendored\n", ""]
)  # fmt: skip
PATHS = st.sets(st.sampled_from(["a.py", "b/c.py", "b/d.py", "b/e/f.py", "d.md"]), min_size=1, max_size=4)
PICK = st.integers(0, 50)


def document(session: str, words: str, extra: str = "") -> str:
    return (
        f"# Session: about {words}\n**ID**: {session}\n**Started**: 2025-11-03T16:00:00Z\n**LLM**: claude\n"
        f"\n## Previous Session Context\nThe last one was about {extra or words}.\n"
        f"\n## Goals\n- [ ] understand {words}\n\n## Activity Log\n### 09:10 - Update\n\n**Key Decisions:**\n"
        f"- chose {words} over files\n- {extra or 'kept it simple'}\n\n**Patterns Observed:**\n- {words}s\n"
    )


def both_ends(unit: CommitScope | ModuleScope | SessionScope) -> Iterator[Pair]:
    """A generator of a plugin that comes and goes."""
    if isinstance(unit, SessionScope):
        ends = [one.id for one in (*unit.document, *unit.previous)]
    else:
        ends = [path_member(path) for path in unit.paths]
    if ends:
        yield Pair("ends", ends[0], ends[-1], None, 1 / len(ends), f"of {len(ends)}")


def last_line(document: Document) -> Extraction:
    """An extractor of a plugin that comes and goes."""
    lines = [line for line in document.text.splitlines() if line.strip()]
    found = (Observation("last", lines[-1], len(lines)),) if lines else ()
    return Extraction(found, title=lines[0] if lines else "")


class Pages:
    """A source of prose, as a plugin that is asked before the built-in one."""

    @hookimpl
    def patina_register_sources(self) -> Iterator[SourceSpec]:
        describe = "patina_hooks.extract.prose_source:describe"
        exclude = (NOT_PROSE, f"/{SESSIONS_FOLDER}/")
        yield SourceSpec("page", 1, "docs", include=(PROSE,), exclude=exclude, describe=describe)

    @hookimpl
    def patina_register_extractors(self) -> Iterator[ExtractorSpec]:
        yield ExtractorSpec("page", 1, "page", "patina_hooks.extract.prose:read_prose")


@cache
def with_pages() -> Plugins:
    providers = Plugins.load(disabled=())
    providers.register(Pages(), "patina-pages")
    return providers


def with_extractor(kind: str, version: int) -> Plugins:
    class Provider:
        @hookimpl
        def patina_register_extractors(self) -> list[ExtractorSpec]:
            return [ExtractorSpec(f"last_{kind}", version, kind, f"{__name__}:last_line")]

    providers = Plugins.load(disabled=())
    providers.register(Provider(), "provider")
    return providers


def with_generator(kind: PairScopeKind, version: int) -> Plugins:
    class Provider:
        @hookimpl
        def patina_register_pair_generators(self) -> list[PairGeneratorSpec]:
            return [PairGeneratorSpec("ends", version, f"{__name__}:both_ends", kind)]

    providers = Plugins.load(disabled=())
    providers.register(Provider(), "provider")
    return providers


class Killed(BaseException):
    """Stands for kill -9 in the middle of a sync."""


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """Let `steps` write steps of a sync happen, and stop at the next one."""
    left = steps
    places = [
        (Log, "record"), (Log, "remember"), (ScopeReader, "read"), (EmbeddingCache, "put"),
        (ExactIndex, "_replace_segments"),
    ]  # fmt: skip
    chunk, update._CHUNK = update._CHUNK, 2
    kept = [getattr(owner, name) for owner, name in places]

    def counted(original: object) -> object:
        def step(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return original(*arguments, **named)  # type: ignore[operator]

        return step

    for (owner, name), original in zip(places, kept, strict=True):
        setattr(owner, name, counted(original))
    try:
        yield
    except Killed:
        pass
    finally:
        update._CHUNK = chunk
        for (owner, name), original in zip(places, kept, strict=True):
            setattr(owner, name, original)


def forced(memory: Memory, out: int) -> Active:
    """A whitening of the recipe's model to so many dimensions, always the same."""
    draw = np.random.default_rng(out)
    components = draw.standard_normal((out, 64)).astype(np.float32)
    weights = {"mean": np.full(64, 0.01, np.float32), "components": components}
    kept = store_weights(memory.state, Trained(weights, describe_weights("whitening", weights)), "whitening")
    with Log(memory.state) as log:
        space = active_space(log)
    assert space is not None
    return Active("whitening", "whitening", kept, out, space.fingerprint, 0.0, None, None, 0, 0, True)


def make_room(root: Path, path: str) -> None:
    """Remove a file, a folder of its name, and files in the place of its folders."""
    for place in [root / path, *(root / path).parents]:
        if place == root:
            break
        if place.is_symlink() or place.is_file():
            place.unlink()
    if (root / path).is_dir():
        shutil.rmtree(root / path)
    (root / path).parent.mkdir(parents=True, exist_ok=True)


class Rebuild(RuleBasedStateMachine):
    """Random work in a real repository, with syncs at random points."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="patina-test-"))

    @initialize()
    def begin(self) -> None:
        self.memory = Memory.make(self.folder / "repository")
        self.memory.providers = with_pages()
        self.memory.commit("begin", {"README.md": "hello"})

    def teardown(self) -> None:
        try:
            self.memory.git("rebase", "--abort", check=False)
            self.memory.sync()
            if self.memory.patina().status().kept:
                self.memory.patina().gc()
            assert self.memory.snapshot() == self.memory.rebuilt()
        finally:
            shutil.rmtree(self.folder)

    # --- commits ---

    @rule(message=MESSAGES, paths=PATHS, text=WORDS)
    def commit(self, message: str, paths: set[str], text: str) -> None:
        self.memory.commit(message, dict.fromkeys(sorted(paths), text))

    @rule(paths=PATHS)
    def remove_files(self, paths: set[str]) -> None:
        self.memory.git("rm", "-q", "-f", "--ignore-unmatch", "--", *sorted(paths))
        self.memory.commit("remove files")

    @rule(message=MESSAGES)
    def amend(self, message: str) -> None:
        self.memory.git("commit", "-q", "--amend", "--allow-empty", "--allow-empty-message", "-m", message)

    @rule(session=st.sampled_from(SESSIONS), words=WORDS, extra=WORDS)
    def archive(self, session: str, words: str, extra: str) -> None:
        path = f"layer/sessions/{session}.md"
        self.memory.commit(f"session: archive {words}", {path: document(session, words, extra)})

    @rule(session=st.sampled_from(SESSIONS))
    def remove_live_document(self, session: str) -> None:
        self.memory.git("rm", "-q", "-f", "--ignore-unmatch", f"layer/sessions/{session}.md")
        self.memory.commit("remove a document")

    # --- files of trees ---

    @rule(path=PAGE, text=PAGE_TEXTS, second=st.booleans())
    def write_page(self, path: str, text: str, second: bool) -> None:
        root = self.root(second)
        make_room(root, path)
        self.memory.write(path, text, at=root)
        self.commit_path(path, root)

    @rule(path=PAGE, how=st.sampled_from(["mode", "link", "submodule", "remove"]), second=st.booleans())
    def change_page(self, path: str, how: str, second: bool) -> None:
        root = self.root(second)
        file = root / path
        if how == "submodule":
            entry = f"160000,{'1' * 40},{path}"
            self.memory.git("update-index", "--add", "--cacheinfo", entry, at=root, check=False)
            self.memory.git("commit", "-q", "--allow-empty", "-m", "add a submodule", at=root)
            return
        if how == "mode" and file.is_file() and not file.is_symlink():
            file.chmod(file.stat().st_mode ^ 0o111)
        elif how != "mode":
            make_room(root, path)
        if how == "link":
            file.symlink_to("README.md")
        self.commit_path(path, root)

    @rule(path=PAGE, other=PAGE)
    def rename_page(self, path: str, other: str) -> None:
        (self.memory.root / other).parent.mkdir(parents=True, exist_ok=True) if path != other else None
        self.memory.git("mv", "-f", path, other, check=False)
        self.memory.commit("rename a page")

    @rule(path=RULE_FILES, text=RULES, second=st.booleans())
    def write_rules(self, path: str, text: str, second: bool) -> None:
        root = self.root(second)
        self.memory.write(path, text, at=root)
        self.commit_path(path, root)

    @rule(most=st.integers(0, 3))
    def limit_pages(self, most: int) -> None:
        """Set how many files are read, 0 for what is usual."""
        self.memory.write(".patina/config.toml", f"[docs]\nmax_files = {most}\n" if most else "")

    def root(self, second: bool) -> Path:
        folder = self.folder / "second"
        return folder if second and folder.is_dir() else self.memory.root

    def commit_path(self, path: str, root: Path) -> None:
        self.memory.git("add", "-A", "-f", "--", path, at=root, check=False)
        self.memory.git("commit", "-q", "--allow-empty", "-m", f"change {path}", at=root)

    # --- branches ---

    @rule(branch=st.sampled_from(BRANCHES))
    def switch(self, branch: str) -> None:
        if self.memory.git("switch", "-q", "-f", branch, check=False) == "":
            self.memory.git("switch", "-q", "-f", "-c", branch, check=False)

    @rule(branch=st.sampled_from(BRANCHES))
    def delete_branch(self, branch: str) -> None:
        self.memory.git("branch", "-q", "-D", branch, check=False)

    @rule(branch=st.sampled_from(BRANCHES), way=st.sampled_from(["--no-ff", "--ff"]))
    def merge(self, branch: str, way: str) -> None:
        self.memory.git("merge", "-q", "-X", "ours", way, "-m", f"merge {branch}", branch, check=False)
        self.memory.git("merge", "--abort", check=False)

    @rule(branch=st.sampled_from(BRANCHES))
    def rebase(self, branch: str) -> None:
        self.memory.git("rebase", "-q", "-X", "theirs", branch, check=False)
        self.memory.git("rebase", "--abort", check=False)

    @rule(pick=PICK)
    def cherry_pick(self, pick: int) -> None:
        known = self.memory.git("rev-list", "--all").split()
        if known:
            quiet = ("cherry-pick", "-X", "theirs", "-m1", "--allow-empty", "--keep-redundant-commits")
            one = known[pick % len(known)]
            merge = len(self.memory.git("rev-list", "--parents", "-1", one).split()) > 2
            self.memory.git(*(quiet if merge else [*quiet[:3], *quiet[4:]]), one, check=False)
            self.memory.git("cherry-pick", "--abort", check=False)

    @rule(back=st.integers(1, 3))
    def reset(self, back: int) -> None:
        self.memory.git("reset", "-q", "--hard", f"HEAD~{back}", check=False)

    @rule(pick=PICK)
    def detach(self, pick: int) -> None:
        known = self.memory.git("rev-list", "--all").split()
        if known:
            self.memory.git("checkout", "-q", "-f", "--detach", known[pick % len(known)])

    @rule()
    def pack_refs(self) -> None:
        self.memory.git("pack-refs", "--all", "--prune")

    @rule()
    def collect_garbage(self) -> None:
        self.memory.git("reflog", "expire", "--expire=now", "--all")
        self.memory.git("gc", "-q", "--prune=now")

    # --- tags ---

    @rule(
        session=st.sampled_from(SESSIONS),
        side=st.sampled_from(["start", "end", "claude-start", "claude-end"]),
        back=st.integers(0, 2),
        annotated=st.booleans(),
    )
    def tag(self, session: str, side: str, back: int, annotated: bool) -> None:
        kind = ["-a", "-m", f"Session {side}: x"] if annotated else []
        self.memory.git("tag", "-f", *kind, f"session-{session}-{side}", f"HEAD~{back}", check=False)

    @rule(session=st.sampled_from(SESSIONS), side=st.sampled_from(["start", "end"]))
    def delete_tag(self, session: str, side: str) -> None:
        self.memory.git("tag", "-d", f"session-{session}-{side}", check=False)

    @rule(pick=PICK)
    def delete_any_session_tag(self, pick: int) -> None:
        """As `fetch.pruneTags` does: hidden refs stay."""
        names = self.memory.git("tag", "--list", "session-*").split()
        if names:
            self.memory.git("tag", "-d", names[pick % len(names)])

    @rule()
    def tag_a_blob(self) -> None:
        blob = self.memory.git("hash-object", "-w", "--stdin", text="no commit")
        self.memory.git("update-ref", "refs/tags/session-20251104-120000-start", blob)

    # --- work trees and drafts ---

    @rule(branch=st.sampled_from(BRANCHES))
    def add_work_tree(self, branch: str) -> None:
        self.memory.git("worktree", "add", "-q", "-f", str(self.folder / "second"), branch, check=False)

    @rule()
    def remove_work_tree(self) -> None:
        self.memory.git("worktree", "remove", "--force", str(self.folder / "second"), check=False)

    @precondition(lambda self: (self.folder / "second").is_dir())
    @rule(message=MESSAGES)
    def commit_in_work_tree(self, message: str) -> None:
        quiet = ("commit", "-q", "--allow-empty", "--allow-empty-message", "-m", message)
        self.memory.git(*quiet, at=self.folder / "second")

    @precondition(lambda self: (self.folder / "second").is_dir())
    @rule(pick=PICK)
    def switch_in_work_tree(self, pick: int) -> None:
        known = self.memory.git("rev-list", "--all").split()
        commit = known[pick % len(known)]
        self.memory.git("switch", "-q", "-f", "--detach", commit, at=self.folder / "second", check=False)

    @rule(session=st.sampled_from(SESSIONS), words=WORDS, second=st.booleans(), active=st.booleans())
    def draft(self, session: str, words: str, second: bool, active: bool) -> None:
        root = self.folder / "second" if second else self.memory.root
        if root.is_dir():
            path = ACTIVE if active else f"layer/sessions/{session}.md"
            self.memory.write(path, document(session, words), at=root)

    @rule()
    def end_draft(self) -> None:
        (self.memory.root / ACTIVE).unlink(missing_ok=True)

    # --- session commands ---

    @rule(words=WORDS, adapter=st.sampled_from([None, "gemini"]), second=st.integers(0, 59))
    def start_session(self, words: str, adapter: str | None, second: int) -> None:
        now = datetime(2025, 11, 5, 12, 0, second, tzinfo=timezone.utc)
        with suppress(SessionError):
            sessions.start(self.memory.repository, f"about {words}", adapter=adapter, moment=now)

    @rule(words=WORDS)
    def note(self, words: str) -> None:
        now = datetime(2025, 11, 5, 13, tzinfo=timezone.utc)
        with suppress(SessionError):
            sessions.note(self.memory.repository, f"noted {words}", moment=now)
            sessions.update(self.memory.repository, moment=now)

    @rule(commit=st.booleans())
    def end_session(self, commit: bool) -> None:
        with suppress(SessionError):
            sessions.end(self.memory.repository, commit=commit)

    # --- projections ---

    @rule(out=st.sampled_from([0, 8, 16]))
    def project(self, out: int) -> None:
        """As a run of training ends: another projection, or the raw model, is to answer."""
        self.memory.sync()
        store_active(self.memory.state, forced(self.memory, out) if out else None)

    # --- syncs ---

    @rule()
    def sync(self) -> None:
        self.memory.sync()

    @rule()
    def quick_sync(self) -> None:
        """As a hook's worker does it, when nothing has changed for a while."""
        for name in (*SETTLED, ACTIVE):
            with suppress(FileNotFoundError):
                path = self.memory.root / name
                os.utime(path, ns=(0, path.stat().st_mtime_ns - 10_000_000_000))
        self.memory.sync(quick=True)

    @rule(steps=st.integers(0, 40))
    def killed_sync(self, steps: int) -> None:
        with killed_after(steps):
            self.memory.sync()

    @rule(kind=st.sampled_from(["session", "commit", "module"]), version=st.integers(1, 2))
    def sync_with_another_generator(self, kind: PairScopeKind, version: int) -> None:
        self.memory.sync(providers=with_generator(kind, version))

    @rule(kind=st.sampled_from(["session", "commit", "module"]), steps=st.integers(0, 30))
    def killed_sync_with_another_generator(self, kind: PairScopeKind, steps: int) -> None:
        with killed_after(steps):
            self.memory.sync(providers=with_generator(kind, 1))

    @rule(kind=st.sampled_from(["session", "commit"]), version=st.integers(1, 2))
    def sync_with_another_extractor(self, kind: str, version: int) -> None:
        self.memory.sync(providers=with_extractor(kind, version))

    @rule(kind=st.sampled_from(["session", "commit"]), steps=st.integers(0, 30))
    def killed_sync_with_another_extractor(self, kind: str, steps: int) -> None:
        with killed_after(steps):
            self.memory.sync(providers=with_extractor(kind, 1))

    @rule(steps=st.integers(0, 30))
    def killed_sync_that_keeps_nothing_absent(self, steps: int) -> None:
        with killed_after(steps):
            self.memory.sync(keep_absent=False)

    @rule()
    def free(self) -> None:
        self.memory.sync()
        log = Log(self.memory.state)
        try:
            gc.collect_garbage(log, self.memory.state, active_space(log))
        finally:
            log.close()


TestRebuild = Rebuild.TestCase
TestRebuild.settings = settings(
    max_examples=examples(25),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
