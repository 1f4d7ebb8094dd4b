"""The Python API: as a notebook would use it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.history import excerpt_folder
from support.memory import Memory

import patina_hooks
from patina_hooks.errors import ModelError, NotARepository, StateError, UsageError
from patina_hooks.git.lock import SYNC_LOCK, SyncLock
from patina_hooks.models.encoding import Encoder, open_encoder
from patina_hooks.search.opening import Opening


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("feed the marmots", {"marmots.py": "x"})
    return memory


def test_open_sync_search_status(memory: Memory) -> None:
    with patina_hooks.open(memory.root) as patina:
        report = patina.sync()
        assert report is not None
        assert (report.commits, report.pending) == (1, 0)
        (hit,) = patina.search("marmots")
        assert isinstance(hit, patina_hooks.Hit)
        assert hit.text == "feed the marmots"
        status = patina.status()
        assert isinstance(status, patina_hooks.Status)
        assert (status.commits, status.model, status.runtime) == (1, "acme-64", "onnx")
        assert status.bytes > 0
        assert status.synced is not None
        assert patina.related("marmots.py").commits == 1


def test_from_a_folder_inside(memory: Memory) -> None:
    (memory.root / "deep/er").mkdir(parents=True)
    with patina_hooks.open(memory.root / "deep/er") as patina:
        assert patina.repository.root == memory.root


def test_without_a_repository(tmp_path: Path) -> None:
    with pytest.raises(NotARepository):
        patina_hooks.open(tmp_path)


@pytest.mark.parametrize("ask", ["search", "status", "events", "pairs", "related"])
def test_before_the_first_sync(memory: Memory, ask: str) -> None:
    arguments = ("x",) if ask in ("search", "related") else ()
    with pytest.raises(StateError, match="nothing is recorded yet"):
        getattr(memory.patina(), ask)(*arguments)


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "bogus"}, {"limit": 0}, {"limit": -1}, {"limit": 2.5}, {"limit": "3"}, {"limit": 1 << 63},
     {"kinds": "decisions"}, {"kinds": (1,)}, {"ref": "nowhere"},
     {"session": "nonsense"}, {"session": 20251101},
     {"since": datetime(2025, 11, 23, tzinfo=timezone.utc)}, {"until": "2025-11-23"}, {"since": float("nan")},
     {"until": float("inf")}, {"since": 1e30}, {"path": "/etc/passwd"}, {"path": "../elsewhere"},
     {"path": 5}, {"path": "a\0b"}, {"kinds": 5}, {"kinds": None}, {"ref": "HEAD\0"},
     {"text": None}, {"text": "\ud800"}],
    ids=repr,
)  # fmt: skip
def test_an_argument_that_can_mean_nothing_is_refused(memory: Memory, wrong: dict[str, Any]) -> None:
    memory.sync()
    with pytest.raises(UsageError):
        memory.patina().search(**{"text": "marmots", **wrong})


def test_a_path_may_lead_through_a_link_to_the_repository(memory: Memory, tmp_path: Path) -> None:
    memory.sync()
    (tmp_path / "link").symlink_to(memory.root)
    hits = memory.patina().search("marmots", path=tmp_path / "link" / "marmots.py")
    assert [hit.text for hit in hits] == ["feed the marmots"]


def test_no_listing_takes_a_limit_below_one(memory: Memory) -> None:
    memory.sync()
    patina = memory.patina()
    for ask in (patina.events, patina.pairs, lambda limit: patina.related("marmots.py", limit=limit)):
        with pytest.raises(UsageError, match="expected a whole number of 1 or more"):
            ask(limit=-1)


def test_numbers_of_numpy_are_numbers(memory: Memory) -> None:
    memory.sync()
    patina = memory.patina()
    since: Any = np.int64(patina.search("marmots")[0].when or 0)
    found = patina.search("marmots", limit=np.arange(4)[3], since=since, until=since + np.float64(0.5))
    assert [hit.text for hit in found] == ["feed the marmots"]


@pytest.mark.parametrize(
    "path", ["src", "src/", "./src", "src/../src/parse.py", Path("src/parse.py")], ids=str
)
def test_a_path_is_meant_from_the_root_or_is_absolute(
    memory: Memory, path: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.commit("teach marmots to parse", {"src/parse.py": "1"})
    memory.sync()
    monkeypatch.chdir(memory.root / "src")
    for given in (path, memory.root / path):
        hits = memory.patina().search("marmots", path=given)
        assert [hit.text for hit in hits] == ["teach marmots to parse"]
    assert memory.patina().related(memory.root / "src/parse.py").path == "src/parse.py"
    assert memory.patina().related("./src/parse.py").commits == 1


def test_threads_may_take_turns(memory: Memory) -> None:
    with patina_hooks.open(memory.root) as patina, ThreadPoolExecutor(1) as other:
        patina.sync()
        assert len(patina.search("marmots")) == 1
        assert len(other.submit(patina.search, "marmots").result()) == 1
        memory.commit("more marmots")
        other.submit(patina.sync).result()
        assert len(patina.search("marmots")) == 2
        assert patina.status().commits == 2


def test_another_process_at_work_is_waited_for_or_left_alone(memory: Memory) -> None:
    memory.sync()
    with SyncLock(memory.state / SYNC_LOCK):
        assert memory.patina().sync(wait=0) is None
    assert memory.patina().sync(wait=0) is not None


def test_progress_is_told_by_stages(memory: Memory) -> None:
    told: list[tuple[str, int, int]] = []
    memory.archive("20251101-090000", decisions="chose sqlite")
    memory.patina().sync(progress=lambda *step: told.append(step))
    assert [stage for stage, _, _ in told] == ["reading commits", "reading documents", "embedding"]
    assert all(done == total > 0 for _, done, total in told)


def test_a_search_sees_what_a_later_sync_brought(memory: Memory) -> None:
    patina = memory.patina()
    patina.sync()
    assert len(patina.search("marmots")) == 1
    memory.commit("more marmots")
    patina.sync()
    assert len(patina.search("marmots")) == 2
    memory.git("reset", "-q", "--hard", "HEAD~1")
    patina.sync()
    assert len(patina.search("marmots")) == 1


def test_it_may_be_used_again_after_it_was_closed(memory: Memory) -> None:
    patina = patina_hooks.open(memory.root)
    patina.sync()
    patina.close()
    assert len(patina.search("marmots")) == 1
    patina.close()


def test_a_model_that_is_being_opened_is_waited_for_and_used(memory: Memory) -> None:
    memory.sync()
    opening = Opening(memory.root)
    with patina_hooks.Patina(memory.repository, opening=opening) as patina:
        assert len(patina.search("marmots")) == 1
        (space,) = patina._engine.models._checked
        assert list(patina._engine.models._encoders.values()) == [opening.encoder(space)]


@pytest.mark.parametrize("early", [True, False])
def test_a_model_that_cannot_be_opened_is_waited_for_once(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    memory.sync()
    memory.commit("feed them again")
    tried = []

    def stalls(*_: object, **__: object) -> Encoder:
        tried.append(1)
        raise ModelError("the server said nothing for 60 s")

    monkeypatch.setattr("patina_hooks.search.opening.open_encoder", stalls)
    opening = Opening(memory.root) if early else None
    with patina_hooks.Patina(memory.repository, opening=opening) as patina:
        report = patina.sync()
        assert report is not None
        assert ["the server said nothing" in fault.error for fault in report.faults] == [True]
        said: list[str] = []
        assert len(patina.search("feed them", on_fault=said.append)) == 2
        assert said == ["answering by words only: the server said nothing for 60 s"]
        assert tried == [1]
        patina.sync()
        assert len(tried) == 1 + (not early), "a notebook's next sync tries anew"


@pytest.mark.parametrize("early", [True, False])
def test_another_model_than_the_one_that_is_indexed_is_opened_once(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    memory.sync()
    opened: list[Encoder] = []

    def another(*about: Any, **more: Any) -> Encoder:  # noqa: ANN401
        encoder = open_encoder(*about, **more)
        encoder.fingerprint = "another"
        opened.append(encoder)
        return encoder

    monkeypatch.setattr("patina_hooks.search.opening.open_encoder", another)
    opening = Opening(memory.root) if early else None
    with patina_hooks.Patina(memory.repository, opening=opening) as patina:
        for _ in range(2):
            said: list[str] = []
            assert len(patina.search("marmots", on_fault=said.append)) == 1
            assert said == [
                "answering by words only: the installed model differs from the one that is indexed"
            ]
    assert len(opened) == 1


def test_opening_where_nothing_is_recorded_opens_nothing(tmp_path: Path) -> None:
    Opening(tmp_path).wait()


# --- the default model, on real documents ---


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[patina_hooks.Patina]:
    memory = Memory.make(tmp_path_factory.mktemp("real") / "repository")
    memory.write(".patina/oxidize.yaml", "version: 2\nembedding_model: minilm-l6-v2\n")
    documents = sorted(excerpt_folder().glob("*.md"))
    memory.commit("sessions", {f"layer/sessions/{path.name}": path.read_bytes() for path in documents})
    with patina_hooks.open(memory.root) as patina:
        patina.sync()
        yield patina


@pytest.mark.parametrize(
    ("question", "session"),
    [
        ("should old observations lose relevance as time goes by", "20251107-061130"),
        ("how do we protect the main branch in continuous integration", "20250729-180929"),
        ("make modules black boxes", "20250810-144829"),
    ],
)
def test_the_right_session_comes_first_on_real_documents(
    real: patina_hooks.Patina, question: str, session: str
) -> None:
    hits = real.search(question)
    assert hits[0].session == session
    assert hits[0].channels["vector"] > 0.3
    assert real.status().model == "minilm-l6-v2"
