"""Sources of plugins: which files are documents, of which kind, as branches and plugins come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks import (
    Document,
    DocumentFacts,
    Extraction,
    ExtractorSpec,
    Observation,
    SourceSpec,
    hookimpl,
)
from patina_hooks.plugins.manager import Plugins

STORY = "20251105-120000"
HERE = __name__


def describe_story(path: str) -> DocumentFacts:
    session = path.rpartition("/")[2].removesuffix(".md")
    return DocumentFacts(session=session, title="a story", date=1_700_000_000, language="en")


def fail(path: str) -> DocumentFacts:
    raise OSError("no such story")


def starts_with_story(head: bytes, path: str) -> bool:
    return head.startswith(b"story")


def read_lines(document: Document) -> Extraction:
    lines = document.text.splitlines()
    return Extraction(
        tuple(Observation("line", line, at, document.language) for at, line in enumerate(lines, 1))
    )


def with_source(*specs: SourceSpec) -> Plugins:
    class Provider:
        @hookimpl
        def patina_register_sources(self) -> Iterator[SourceSpec]:
            yield from specs

        @hookimpl
        def patina_register_extractors(self) -> Iterator[ExtractorSpec]:
            for spec in specs:
                yield ExtractorSpec(f"read_{spec.name}", 1, spec.name, f"{HERE}:read_lines")

    providers = Plugins.load(disabled=())
    providers.register(Provider(), "patina-stories")
    return providers


def story(**changes: object) -> SourceSpec:
    fields = {
        "collection": "history", "include": ("/.stories/*.md",), "trees": "refs",
        "describe": f"{HERE}:describe_story", **changes,
    }  # fmt: skip
    return SourceSpec("story", 1, **fields)  # type: ignore[arg-type]


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "hello", f".stories/{STORY}.md": "story of marmots\n"})
    return memory


def documents(memory: Memory) -> set[tuple[str, str, str | None, str]]:
    with memory.log() as log:
        rows = log.execute("SELECT kind, path, session, title FROM document WHERE path != ''")
        return set(rows.fetchall())


def lines(memory: Memory) -> list[tuple[str, str]]:
    with memory.log() as log:
        rows = log.execute("SELECT text, section FROM observation WHERE live AND kind = 'line' ORDER BY 1, 2")
        return rows.fetchall()


def rebuilt(memory: Memory, providers: Plugins) -> set[tuple[str, str, str | None, str]]:
    memory.sync(providers=providers, full=True)
    return documents(memory)


def test_files_of_a_source_are_documents_with_what_their_paths_state(memory: Memory) -> None:
    memory.sync(providers=with_source(story()))
    assert documents(memory) == {("story", f".stories/{STORY}.md", STORY, "a story")}
    assert lines(memory) == [("story of marmots", "en")]
    with memory.log() as log:
        assert log.execute("SELECT state FROM session WHERE id = ?", (STORY,)).fetchone() == ("ended",)


def test_documents_follow_edits_renames_links_and_branches(memory: Memory) -> None:
    providers = with_source(story())
    memory.sync(providers=providers)
    memory.git("switch", "-q", "-c", "side")
    steps = [
        lambda: memory.write(f".stories/{STORY}.md", "story of bears\n"),
        lambda: memory.git("mv", f".stories/{STORY}.md", ".stories/20251106-120000.md"),
        lambda: (memory.root / ".stories/20251106-120000.md").chmod(0o755),
        lambda: (memory.root / ".stories/link.md").symlink_to("20251106-120000.md"),
        lambda: memory.git("rm", "-q", "-f", ".stories/20251106-120000.md"),
    ]
    for number, step in enumerate(steps):
        step()  # type: ignore[no-untyped-call]
        memory.git("add", "-A")
        memory.commit(f"step {number}")
        memory.sync(providers=providers)
        followed = documents(memory)
        assert ("story", f".stories/{STORY}.md", STORY, "a story") in followed  # main still holds it
        assert followed == rebuilt(memory, providers)
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    memory.sync(providers=providers)
    assert lines(memory) == [("story of marmots", "en")]


def test_files_of_heads_are_those_of_head_and_default_branch(memory: Memory) -> None:
    providers = with_source(story(trees="heads", include=(".stories/**/*.md",)))
    memory.git("switch", "-q", "-c", "side")
    memory.commit("add", {".stories/deep/er/20251106-120000.md": "story of bears\n"})
    memory.sync(providers=providers)
    both = {f".stories/{STORY}.md", ".stories/deep/er/20251106-120000.md"}
    assert {path for _, path, _, _ in documents(memory)} == both
    memory.git("switch", "-q", "main")
    memory.sync(providers=providers)
    assert {path for _, path, _, _ in documents(memory)} == {f".stories/{STORY}.md"}
    assert documents(memory) == rebuilt(memory, providers)


def test_a_file_belongs_to_the_first_source_that_accepts_it(memory: Memory) -> None:
    path = "layer/sessions/20251107-120000.md"
    memory.archive("20251108-120000", decisions="chose sqlite")
    memory.commit("add", {path: "story of owls\n"})
    tales = story(include=("layer/sessions/*.md",), accepts=f"{HERE}:starts_with_story", describe="")
    providers = with_source(tales)
    memory.sync(providers=providers)
    kinds = {path: kind for kind, path, _, _ in documents(memory)}
    assert kinds == {path: "story", "layer/sessions/20251108-120000.md": "session"}
    assert documents(memory) == rebuilt(memory, providers)


def test_documents_of_a_source_leave_when_its_plugin_is_not_installed(memory: Memory) -> None:
    memory.sync(providers=with_source(story()))
    before = memory.snapshot()
    memory.sync()
    assert documents(memory) == set()
    assert lines(memory) == []
    memory.sync(providers=with_source(story()))
    assert memory.snapshot().observations == before.observations


@pytest.mark.parametrize("order", [("history", "docs"), ("docs", "history")])
def test_documents_follow_their_source_into_another_collection(
    memory: Memory, order: tuple[str, str]
) -> None:
    for collection in (*order, *order):
        memory.providers = with_source(story(collection=collection, describe="", trees="heads"))
        memory.sync()
        with memory.patina() as patina:
            hits = patina.search("marmots", mode="lexical")
        assert [(hit.collection, hit.path) for hit in hits] == [(collection, f".stories/{STORY}.md")]


def test_a_source_that_fails_is_a_fault_and_its_documents_are_read(memory: Memory) -> None:
    report = memory.sync(providers=with_source(story(describe=f"{HERE}:fail")))
    assert [(fault.where, "no such story" in fault.error) for fault in report.faults] == [
        ("source story", True)
    ]
    assert documents(memory) == {("story", f".stories/{STORY}.md", None, "")}


def date_by_name(path: str) -> DocumentFacts:
    return DocumentFacts(date={"old": 1_600_000_000, "new": 1_650_000_000}.get(Path(path).stem))


@pytest.mark.parametrize("collection", ["history", "docs"])
def test_stated_dates_are_shown_and_filtered_by(memory: Memory, collection: str) -> None:
    memory.commit("write", {f".stories/{name}.md": f"marmots {name}\n" for name in ("old", "new", "undated")})
    spec = story(collection=collection, describe=f"{HERE}:date_by_name", trees="heads")
    memory.providers = with_source(spec)
    memory.sync()

    with memory.patina() as patina:

        def search(since: int | None = None, until: int | None = None) -> dict[str | None, int | None]:
            hits = patina.search("marmots", mode="lexical", since=since, until=until)
            return {hit.path: hit.when for hit in hits}

        old, new = (".stories/old.md", 1_600_000_000), (".stories/new.md", 1_650_000_000)
        undated = {f".stories/{STORY}.md": None, ".stories/undated.md": None}
        assert search() == {**dict([old, new]), **undated}
        assert search(since=1_640_000_000) == dict([new])
        assert search(until=1_640_000_000) == dict([old])


def test_another_stated_date_replaces_the_old_one(memory: Memory) -> None:
    for describe, expected in (("date_by_name", 1_600_000_000), ("date_none", None)):
        memory.commit(describe, {".stories/old.md": "marmots old\n"})
        memory.providers = with_source(
            replace(story(describe=f"{HERE}:{describe}"), version=2 if expected is None else 1)
        )
        memory.sync()
        with memory.patina() as patina:
            hits = patina.search("old marmots", mode="lexical")
        assert [hit.when for hit in hits if hit.path == ".stories/old.md"] == [expected]


def date_none(path: str) -> DocumentFacts:
    return DocumentFacts()


def state_no_session(path: str) -> DocumentFacts:
    return DocumentFacts(session="nonsense")


def state_datetime(path: str) -> DocumentFacts:
    return DocumentFacts(date=datetime.now(timezone.utc))  # type: ignore[arg-type]


def return_text(path: str) -> str:
    return path


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (state_no_session, "session is 'nonsense'; expected the id of a session, such as 20260102-090000"),
        (state_datetime, "date is a value of type datetime; expected seconds since 1970"),
        (return_text, "returned a value of type str; expected DocumentFacts"),
    ],
)
def test_invalid_facts_are_recorded_and_left_out(
    memory: Memory, function: Callable[[str], object], reason: str
) -> None:
    report = memory.sync(providers=with_source(story(describe=f"{HERE}:{function.__name__}")))

    assert [fault.plugin for fault in report.faults] == ["patina-stories"]
    assert reason in report.faults[0].error
    assert documents(memory) == {("story", f".stories/{STORY}.md", None, "")}


@pytest.mark.parametrize("field", ["include", "exclude", "drafts"])
def test_text_is_not_a_list_of_patterns(field: str) -> None:
    with pytest.raises(ValueError, match=rf"source story: {field} must be a tuple of patterns"):
        story(**{field: "stories/*.md"})


def test_a_file_above_the_limit_is_listed_and_not_read(memory: Memory) -> None:
    memory.sync(providers=with_source(story(largest=4)))
    assert lines(memory) == []
    assert ("larger than" in dict(memory.patina().status().skipped)[f".stories/{STORY}.md"]) is True


def test_one_object_is_read_for_each_kind_and_language(memory: Memory) -> None:
    text = (memory.root / f".stories/{STORY}.md").read_text()
    memory.commit("copy", {"tales/copy.md": text})
    tale = SourceSpec("tale", 1, "history", include=("tales/*.md",))
    memory.sync(providers=with_source(story(), tale))
    assert lines(memory) == [("story of marmots", ""), ("story of marmots", "en")]
    memory.git("rm", "-q", "-r", "tales")
    memory.commit("remove the copy")
    memory.sync(providers=with_source(story(), tale))
    assert lines(memory) == [("story of marmots", "en")]
