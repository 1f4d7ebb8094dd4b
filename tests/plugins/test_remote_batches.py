"""How many requests a sync makes of a server, and one text that a server refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import ceil
from pathlib import Path

import pytest
from support.embedding_server import Asked, EmbeddingServer, Reply, serving, use
from support.memory import Memory
from support.shell import Shell

from patina_hooks.api import Patina
from patina_hooks.models.embedding import PieceSize
from patina_hooks.plugins.manager import Plugins
from patina_hooks.upkeep.doctor import examine
from patina_hooks.upkeep.sync import SyncReport

RECIPE = "version: 2\nembedding_model: acme-64\nruntime: remote\n"
SESSION = "20251103-160000"
POISON = "the word that no server likes"
REQUEST_SECONDS = 0.6


class Clock:
    """Passes by for requests only."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serving() as server:
        use(server)
        yield server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("patina_hooks.search.index.vector_update.time", clock)
    return clock


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.write(".patina/oxidize.yaml", RECIPE)
    return memory


def archive(memory: Memory, texts: int, *more: str) -> None:
    """Commit a document: so many texts, its own title and commit among them."""
    decisions = (*(f"decision number {number}" for number in range(texts)), *more)
    memory.archive(SESSION, decisions=decisions)


def sync(memory: Memory, *, full: bool = False) -> SyncReport:
    with Patina(memory.repository, Plugins.load(disabled=())) as patina:
        report = patina.sync(full=full)
    assert report is not None
    return report


@pytest.mark.parametrize("texts", [1, 28, 59, 300, 1_400])
@pytest.mark.parametrize("seconds", [REQUEST_SECONDS, 0.01, 3.0])
def test_requests_are_full_when_each_takes_its_time(
    memory: Memory, server: EmbeddingServer, clock: Clock, texts: int, seconds: float
) -> None:
    def meanwhile(_: Asked) -> None:
        clock.now += seconds

    server.meanwhile = meanwhile
    archive(memory, texts)
    report = sync(memory)
    assert (report.faults, report.pending) == ((), 0)
    assert report.encoded >= texts
    assert len(server.asked) <= ceil(report.encoded / 31) + 5


def test_a_batch_is_sent_again_whole_when_every_second_request_is_one_too_many(
    memory: Memory, server: EmbeddingServer
) -> None:
    use(server, retries=1)
    server.replies += [Reply(429, headers={"Retry-After": "0"}), None] * 20
    archive(memory, 58)
    report = sync(memory)
    assert (report.faults, report.pending) == ((), 0)
    assert len(server.asked) <= 2 * (ceil(report.encoded / 31) + 5)


@pytest.mark.parametrize("reply", [Reply(400, b"too long"), Reply(500), Reply(413), Reply(cut=0)])
def test_a_text_that_the_server_refuses_is_set_aside_and_named(
    memory: Memory, server: EmbeddingServer, reply: Reply
) -> None:
    use(server, retries=0)

    def meanwhile(asked: Asked) -> None:
        server.replies[:] = [reply] if any(POISON in text for text in asked.texts) else []

    server.meanwhile = meanwhile
    archive(memory, 58, POISON)
    report = sync(memory)
    (fault,) = report.faults
    assert fault.where.startswith(f"layer/sessions/{SESSION}.md:")
    assert fault.hint == "patina sync --full"
    assert report.pending == 0
    assert len(server.asked) < 30
    with Patina(memory.repository) as patina:
        (skipped,) = patina.status().skipped
    assert skipped[0] == fault.where
    assert "sync --full" in skipped[1]
    assert refused(memory) == [(fault.where, "patina sync --full")]

    before = len(server.asked)
    assert sync(memory).faults == ()
    assert len(server.asked) == before, "it is not sent at each sync"

    server.meanwhile = id
    server.replies.clear()
    hits = json.loads(Shell(memory.root).out("scry", "--json", POISON))["hits"]
    assert POISON in hits[0]["text"], "words find it"
    server.asked.clear()
    assert sync(memory, full=True).faults == ()
    assert POISON in server.texts()
    assert refused(memory) == []


def refused(memory: Memory) -> list[tuple[str, str]]:
    """What the doctor says of refused texts: places and fixes."""
    findings = examine(memory.repository, Plugins.load(disabled=()))
    return [(one.what.split()[0], one.fix) for one in findings if one.check == "refused"]


def test_a_refused_text_is_tried_again_when_the_settings_changed(
    memory: Memory, server: EmbeddingServer
) -> None:
    use(server, retries=0)

    def meanwhile(asked: Asked) -> None:
        server.replies[:] = [Reply(400)] if any(POISON in text for text in asked.texts) else []

    server.meanwhile = meanwhile
    archive(memory, 3, POISON)
    assert len(sync(memory).faults) == 1
    server.meanwhile = id
    server.replies.clear()
    server.asked.clear()
    use(server, retries=0, timeout=59)
    assert sync(memory).faults == ()
    assert POISON in server.texts()


def test_all_texts_wait_when_the_server_answers_nothing_at_all(
    memory: Memory, server: EmbeddingServer
) -> None:
    use(server, retries=0)
    archive(memory, 40)
    sync(memory)
    memory.commit("a later text")
    asked = len(server.asked)

    def meanwhile(_: Asked) -> None:
        server.replies[:] = [Reply(500)] if len(server.asked) > asked + 1 else []

    server.meanwhile = meanwhile
    report = sync(memory)
    (fault,) = report.faults
    assert "answered 500" in fault.error
    assert report.pending == 1
    assert len(server.asked) <= asked + 4


def test_a_server_that_takes_fewer_texts_is_asked_for_fewer(memory: Memory, server: EmbeddingServer) -> None:
    use(server, retries=0)

    def meanwhile(asked: Asked) -> None:
        server.replies[:] = [Reply(413)] if len(asked.texts) > 20 else []

    server.meanwhile = meanwhile
    archive(memory, 300)
    report = sync(memory)
    assert (report.faults, report.pending) == ((), 0)
    assert len(server.asked) <= report.encoded / 15 + 12


@pytest.mark.parametrize(
    ("call", "text", "unit", "least", "most"),
    [
        (0.0, 1.0, 1, 2, 2),
        (0.0, 5.0, 1, 1, 2),
        (3.0, 0.0, 1, 1_024, 1_024),
        (5.0, 0.0, 1, 512, 1_024),
        (1.9, 0.001, 1, 64, 1_024),
        (0.0, 0.001, 1, 1_024, 1_024),
        (0.0, 0.02, 31, 62, 217),
    ],
)
def test_pieces_grow_until_they_take_their_time(
    call: float, text: float, unit: int, least: int, most: int
) -> None:
    """call, text: seconds of a call, and of each text in it."""
    piece = PieceSize(unit)
    sizes = []
    for _ in range(40):
        piece.learn(piece.size, call + text * piece.size)
        sizes.append(piece.size)
    assert least <= min(sizes[20:]) <= max(sizes[20:]) <= most


def test_pieces_stay_small_when_a_large_one_was_too_much() -> None:
    piece = PieceSize(31, size=93)
    piece.shrink(31)
    piece.learn(15, 0.1)
    assert piece.size == 15
