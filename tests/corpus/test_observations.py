"""Observations: cached by object and extractor, live while a document holds them, and never with a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory import Memory, plugins

from patina_hooks import ExtractorSpec, hookimpl
from patina_hooks.config.settings import user_file
from patina_hooks.corpus import reconcile
from patina_hooks.corpus.observations import (
    Extractors,
    ObservationChanges,
    add_live_document,
    find_unread_objects,
    remove_live_document,
    store_source,
    text_key,
)
from patina_hooks.extract.extraction import TITLE_CAP
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.values import Document, Extraction, Observation, Recorded
from patina_hooks.store.corpus.documents import DocumentLocation
from patina_hooks.store.log import Log

CALLS: list[str] = []
SECRET = "hunter2xyzzy"
SESSION = "20251101-090000"
DOCUMENT = f"layer/sessions/{SESSION}.md"


def count_calls(document: Document) -> Extraction:
    CALLS.append(document.oid)
    return Extraction((Observation("word", document.text.split()[0], 1),))


def with_counter(version: int) -> Plugins:
    class Counter:
        @hookimpl
        def patina_register_extractors(self) -> list[ExtractorSpec]:
            return [ExtractorSpec("counter", version, "session", f"{__name__}:count_calls")]

    providers = Plugins.load()
    providers.register(Counter(), "counter")
    CALLS.clear()
    return providers


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin", {"README.md": "x"})
    return memory


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(Log(tmp_path / "patina")) as log:
        yield log


def live(log: Log) -> list[str]:
    return [row[0] for row in log.connection.execute("SELECT text FROM observation WHERE live ORDER BY text")]


def test_an_object_at_two_places_is_live_once_and_until_both_are_gone(log: Log) -> None:
    extractors = Extractors(plugins())
    added: list[Recorded] = []
    removed: list[Recorded] = []
    changed = ObservationChanges(on_added=added.append, on_removed=removed.append)
    document = Document("session", "a" * 40, "# Session: x\n\n**Key Decisions:**\n- chose sqlite\n")
    first = DocumentLocation("session", document.oid, "layer/sessions/20251101-090000.md", "", SESSION)
    second = DocumentLocation("session", document.oid, "layer/sessions/copy.md")
    with log.writing() as connection:
        store_source(connection, extractors, document)
        add_live_document(connection, extractors, first, changed)
        add_live_document(connection, extractors, second, changed)
    assert (live(log), len(added)) == (["chose sqlite"], 1)
    with log.writing() as connection:
        remove_live_document(connection, first, changed)
    assert (live(log), removed) == (["chose sqlite"], [])
    with log.writing() as connection:
        remove_live_document(connection, second, changed)
        remove_live_document(connection, second, changed)
    assert live(log) == []
    assert [one.id for one in removed] == [one.id for one in added]


def test_texts_are_counted_by_what_says_them(log: Log) -> None:
    extractors = Extractors(plugins())
    with log.writing() as connection:
        for number in (1, 2):
            oid = f"{number:040x}"
            connection.execute(
                "INSERT INTO commits VALUES (?, ?, '', 0, ?, 0, 0, x'', NULL, NULL)", (number, oid, number)
            )
            store_source(connection, extractors, Document("commit", oid, "the same words"))
            add_live_document(connection, extractors, DocumentLocation("commit", oid), ObservationChanges())
    ask = "SELECT live, dated FROM text WHERE key = ?"
    assert log.connection.execute(ask, (text_key("the same words"),)).fetchall() == [(2, 2)]
    with log.writing() as connection:
        remove_live_document(connection, DocumentLocation("commit", f"{1:040x}"), ObservationChanges())
    assert log.connection.execute(ask, (text_key("the same words"),)).fetchall() == [(1, 2)]


def test_a_branch_that_returns_is_not_read_again(memory: Memory) -> None:
    providers = with_counter(1)
    memory.git("switch", "-q", "-c", "side")
    memory.archive(SESSION, decisions="chose sqlite")
    memory.sync(providers=providers)
    assert len(CALLS) == 1
    kept = memory.git("rev-parse", "side")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    assert memory.sync(providers=providers).removed > 0
    memory.git("branch", "side", kept)
    assert memory.sync(providers=providers).added > 0
    assert len(CALLS) == 1


def test_a_new_version_reads_everything_once_more(memory: Memory) -> None:
    memory.archive(SESSION, decisions="chose sqlite")
    memory.archive("20251102-090000", decisions="chose numpy")
    memory.sync(providers=with_counter(1))
    assert len(CALLS) == 2
    assert memory.sync(providers=with_counter(1)).added == 0
    assert CALLS == []
    assert memory.sync(providers=with_counter(2)).added > 0
    assert len(CALLS) == 2
    with memory.log() as log:
        tags = log.execute(
            "SELECT DISTINCT substr(s.extractor, 1, 9) FROM source s JOIN observation o ON o.source_id = s.id"
            " WHERE o.live AND s.extractor LIKE 'counter%'"
        ).fetchall()
    assert tags == [("counter@2",)]


def test_what_an_extractor_made_stays_until_gc_when_it_is_absent(memory: Memory) -> None:
    memory.archive(SESSION, decisions="chose sqlite")
    memory.sync()
    without = memory.snapshot()
    assert memory.sync(providers=with_counter(1)).added == 1
    both = memory.snapshot()
    assert memory.sync().removed == 0
    assert memory.snapshot() == both
    assert memory.patina().gc().observations == 1
    assert memory.snapshot() == without == memory.rebuilt()


def test_what_an_absent_extractor_made_goes_when_another_version_is_installed(memory: Memory) -> None:
    memory.archive(SESSION, decisions="chose sqlite")
    memory.sync(providers=with_counter(1))
    memory.sync()
    report = memory.sync(providers=with_counter(2))
    assert (report.added, report.removed, len(CALLS)) == (1, 1, 1)
    with memory.log() as log:
        tags = {row[0].partition("+")[0] for row in log.execute("SELECT extractor FROM source")}
    assert "counter@1" not in tags
    assert "counter@2" in tags


def test_what_an_absent_extractor_made_returns_with_its_branch(memory: Memory) -> None:
    memory.git("switch", "-q", "-c", "side")
    memory.archive(SESSION, decisions="chose sqlite")
    memory.sync(providers=with_counter(1))
    with_branch = memory.snapshot()
    kept = memory.git("rev-parse", "side")
    memory.git("switch", "-q", "main")
    memory.git("branch", "-q", "-D", "side")
    memory.sync()
    memory.git("switch", "-q", "-c", "side", kept)
    memory.sync()
    assert memory.snapshot() == with_branch


def test_a_pattern_that_comes_later_is_true_of_what_an_absent_extractor_read(memory: Memory) -> None:
    memory.commit("work", {DOCUMENT: f"{SECRET}\n"})
    memory.sync(providers=with_counter(1))
    memory.sync()
    assert SECRET.encode() in bytes_of(memory.state)
    say("hunter2[a-z]+")
    memory.sync()
    assert SECRET.encode() not in bytes_of(memory.state)
    assert memory.patina().status().kept == ()
    assert memory.snapshot() == memory.rebuilt()


class Listening:
    """Reads session documents too, and hears the kinds of what came and went."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @hookimpl
    def patina_register_extractors(self) -> list[ExtractorSpec]:
        return [ExtractorSpec("more", 1, "session", f"{__name__}:count_calls")]

    @hookimpl
    def patina_observations_changed(self, added: list[Recorded], removed: list[Recorded]) -> None:
        self.heard += [one.observation.kind for one in (*added, *removed)]


def test_what_other_extractors_found_stays_as_it_is(memory: Memory) -> None:
    """An extractor that comes, and one whose results are freed, cost what they made."""
    memory.archive(SESSION, decisions="chose sqlite")
    memory.commit("twice", {"layer/sessions/copy.md": (memory.root / DOCUMENT).read_bytes()})
    memory.sync()
    without = memory.snapshot()
    providers, listening = Plugins.load(), Listening()
    providers.register(listening, "listening")
    report = memory.sync(providers=providers)
    assert (report.added, report.removed, listening.heard) == (1, 0, ["word"])
    report = memory.sync()
    assert (report.added, report.removed) == (0, 0)
    assert memory.patina().gc().observations == 1
    assert memory.snapshot() == without == memory.rebuilt()


MENDED: list[bool] = []


def needs_something(document: Document) -> Extraction:
    if not MENDED:
        raise ImportError("what it needs is not installed")
    return Extraction((Observation("needy", f"found in {document.oid}", 1),))


@pytest.mark.parametrize("kind", ["session", "commit"])
def test_an_extractor_that_failed_is_asked_again(memory: Memory, kind: str) -> None:
    class Needy:
        @hookimpl
        def patina_register_extractors(self) -> list[ExtractorSpec]:
            return [ExtractorSpec("needy", 1, kind, f"{__name__}:needs_something")]

    providers = Plugins.load()
    providers.register(Needy(), "needy")
    MENDED.clear()
    for day in range(1, 25):
        memory.archive(f"202511{day:02}-090000", decisions="chose sqlite")
    with memory.session("20251130-090000"):
        memory.commit("work")
    first = memory.sync(providers=providers)
    again = memory.sync(providers=providers)
    ((first_fault,), (second_fault,)) = first.faults, again.faults
    failed = int(first_fault.error.partition("(in ")[2].partition(" ")[0])
    assert failed > 20
    assert "(in 20 " in second_fault.error, "a sync bears so many failures"
    MENDED.append(True)
    report = memory.sync(providers=providers)
    assert report.faults == ()
    assert report.added == failed
    assert memory.patina().status().faults == ()
    kept = memory.snapshot()
    assert memory.sync(full=True, providers=providers).faults == ()
    assert memory.snapshot() == kept


class Killed(BaseException):
    pass


@pytest.mark.parametrize("changed_back", [False, True])
def test_a_pattern_that_changes_after_a_killed_sync_is_true_of_what_it_read(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, changed_back: bool
) -> None:
    """Commits are stored before the rest: a pattern must not pass them by, nor stay on them."""
    if changed_back:
        memory.sync()
        say("hunter2[a-z]+")
    everywhere(memory)

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "store_live_refs", kill)
        with pytest.raises(Killed):
            memory.sync()
    if changed_back:
        user_file().unlink()
    else:
        say("hunter2[a-z]+")
    memory.sync()
    assert memory.snapshot() == memory.rebuilt()
    assert bool(memory.patina().search(SECRET, mode="lexical")) == changed_back


def test_only_what_some_extractor_has_not_read_is_missing(log: Log) -> None:
    first = Extractors(plugins())
    document = Document("session", "a" * 40, "# Session: x\n\n- words\n")
    with log.writing() as connection:
        store_source(connection, first, document)
        assert find_unread_objects(connection, first, "session", ["a" * 40, "b" * 40]) == ["b" * 40]
        more = Extractors(with_counter(1))
        assert find_unread_objects(connection, more, "session", ["a" * 40]) == ["a" * 40]


# --- what is found of a document, and what is not ---


HEADINGS = (
    "# Session: headings\n\n### Why Quetzalcoatl segfaults\n\n#### On drop\nBecause of the order.\n\n"
    "**Xylophone findings:**\n- one\n\n## Key Decisions about Zugzwang\n\n**Rationale:**\n- it is fast\n"
)


@pytest.mark.parametrize(
    ("word", "said", "line"),
    [
        ("Quetzalcoatl", "Why Quetzalcoatl segfaults", 3),
        ("Xylophone", "Xylophone findings", 8),
        ("Zugzwang", "Key Decisions about Zugzwang", 11),
        ("Frobnication", "Frobnication", 3),
    ],
)
def test_a_word_that_stands_only_in_a_heading_or_label_is_found(
    memory: Memory, word: str, said: str, line: int
) -> None:
    memory.commit("work\n\nFrobnication:\n- one\n", {DOCUMENT: HEADINGS})
    memory.archive("20251102-090000", decisions="chose numpy")
    memory.sync()
    (hit,) = memory.patina().search(word, mode="lexical")
    assert (hit.text, hit.line) == (said, line)
    assert text_key(said) in memory.snapshot().vectors
    assert memory.snapshot() == memory.rebuilt()


def test_headings_that_every_document_has_do_not_stand_before_what_was_asked_for(memory: Memory) -> None:
    memory.archive("20251102-090000", decisions="moved the cache out of the container that docker starts")
    headings = "### What We Did\n- tea\n\n### Session Summary\n- rest\n\n### What Did We Change\n- cups\n"
    memory.commit("work", {DOCUMENT: f"# Session: headings\n\n{headings}"})
    memory.sync()
    hits = memory.patina().search("what did we do about docker", limit=10)
    assert "docker" in hits[0].text
    assert not {"What We Did", "Session Summary", "What Did We Change"} & {hit.text for hit in hits}


@pytest.mark.parametrize("form", ["# Session: {}\n", "---\ntitle: {}\nllm: claude\n---\n\n# {}\n"])
def test_the_end_of_a_title_that_is_cut_is_found(memory: Memory, form: str) -> None:
    title = "A long title that somebody took from an issue, " * 9 + "about the wombat"
    memory.commit("work", {DOCUMENT: form.replace("{}", title) + "\n- one\n"})
    memory.archive("20251102-090000", decisions="chose numpy")
    memory.sync()
    (hit,) = memory.patina().search("wombat", mode="lexical")
    assert hit.text.endswith("about the wombat")
    assert memory.snapshot() == memory.rebuilt()


def test_a_huge_heading_is_not_stored_with_all_that_stands_under_it(memory: Memory) -> None:
    memory.commit("work", {DOCUMENT: "# Session: x\n\n## " + "wide " * 2_000 + "\n\n" + "- one\n" * 100})
    memory.sync()
    with memory.log() as log:
        assert log.execute("SELECT max(length(section)) FROM observation").fetchone() == (TITLE_CAP,)


def many(count: int) -> str:
    return "# Session: many\n\n" + "".join(f"- bullet number {number}\n" for number in range(count))


def test_what_there_was_no_room_for_is_told(memory: Memory) -> None:
    """In a document, a draft and a message: by status, and by the log when it was met."""
    draft = ".patina/local/active/20251130-090000.md"
    memory.write(draft, many(5_003))
    oid = memory.commit(many(1_200), {DOCUMENT: many(6_000)})
    memory.sync()
    told = [
        (draft, "lines 5,003 to 5,006: too many observations"),
        (oid, "lines 1,002 to 1,202: too many observations"),
        (DOCUMENT, "lines 5,003 to 6,003: too many observations"),
    ]
    assert sorted(memory.patina().status().skipped) == sorted(told)
    skipped = [(event.subject, event.detail) for event in memory.patina().events(kind="skipped")]
    assert sorted(skipped) == sorted(told[1:])
    memory.sync()
    assert len(memory.patina().events(kind="skipped")) == 2
    memory.sync(full=True)
    assert sorted(memory.patina().status().skipped) == sorted(told)
    memory.commit("shorter", {DOCUMENT: many(5_000)})
    memory.sync()
    assert sorted(memory.patina().status().skipped) == sorted(told[:2])


# --- redaction ---


def say(*patterns: str) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    quoted = ", ".join(f"'{pattern}'" for pattern in patterns)
    user_file().write_text(f"[redact]\npatterns = [{quoted}]\n")


def bytes_of(state: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file())


def everywhere(memory: Memory) -> None:
    """A secret in every place that is read: document, title, heading, message, draft."""
    memory.archive(
        SESSION,
        title=f"title {SECRET}",
        goals=f"goal {SECRET}",
        decisions=(f"decided on {SECRET}", "to keep"),
    )
    memory.commit(f"subject {SECRET}\n\n- body {SECRET}", {"a": SECRET})
    memory.write(
        ".patina/local/active/20251130-090000.md", f"# Session: draft {SECRET}\n\n## Notes on {SECRET}\n- x\n"
    )


def test_a_secret_is_in_no_file_and_no_answer(memory: Memory) -> None:
    say("hunter2[a-z]+")
    everywhere(memory)
    memory.sync()
    assert SECRET.encode() not in bytes_of(memory.state)
    texts = [hit.text for hit in memory.patina().search("decided on", limit=50)]
    assert "decided on [redacted]" in texts
    assert memory.patina().search(SECRET, mode="lexical") == []


def test_a_pattern_that_comes_later_is_true_of_the_past(memory: Memory) -> None:
    everywhere(memory)
    memory.sync()
    assert SECRET.encode() in bytes_of(memory.state)
    say("hunter2[a-z]+")
    memory.sync()
    texts = [hit.text for hit in memory.patina().search("decided on", limit=50)]
    assert "decided on [redacted]" in texts
    assert not any(SECRET in text for text in texts)
    assert memory.patina().search(SECRET, mode="lexical") == []
    assert SECRET.encode() not in bytes_of(memory.state)
    assert memory.snapshot() == memory.rebuilt()


def test_each_pattern_is_a_rule_of_its_own(memory: Memory) -> None:
    say("(?i)HUNTER2[A-Z]+", r"(a)\1\1", r"(?P<n>b)(?P=n)\b", r"(?P<n>c)(?P=n)\b")
    memory.commit(f"say {SECRET} aaa bb cc dd")
    memory.sync()
    (hit,) = memory.patina().search("say dd", mode="lexical")
    assert hit.text == "say [redacted] [redacted] [redacted] [redacted] dd"


def test_taking_a_pattern_back_brings_the_words_back(memory: Memory) -> None:
    everywhere(memory)
    memory.sync()
    before = memory.snapshot()
    say("hunter2[a-z]+")
    memory.sync()
    memory.patina().gc()
    user_file().unlink()
    memory.sync()
    assert memory.snapshot() == before


@given(st.text(), st.text())
def test_equal_texts_alone_share_a_key(one: str, other: str) -> None:
    assert (text_key(one) == text_key(other)) == (one == other)
    assert len(text_key(one)) == 16


def test_text_that_no_database_takes_is_made_storable(log: Log) -> None:
    with log.writing() as connection:
        connection.execute("INSERT INTO commits VALUES (1, ?, '', 0, 0, 0, 0, x'', NULL, NULL)", ("c" * 40,))
        store_source(
            connection, Extractors(plugins()), Document("commit", "c" * 40, "nul \0 and \ud800 lone")
        )
        add_live_document(
            connection, Extractors(plugins()), DocumentLocation("commit", "c" * 40), ObservationChanges()
        )
    (text,) = live(log)
    assert re.fullmatch(r"nul .* and .* lone", text)
