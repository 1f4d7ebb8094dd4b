"""The spool: what was noted is pending until it is marked, and nothing in it can do harm."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from patina_hooks.git import spool
from patina_hooks.git.spool import SpoolEvent

_LONG = 70 * 1024


def fill(state: Path) -> None:
    with (state / "spool").open("ab") as file:
        file.write(b"post-commit\n" * (_LONG // 12))


def test_what_is_noted_is_pending_until_it_is_marked(tmp_path: Path) -> None:
    assert spool.pending_bytes(tmp_path) == 0
    assert spool.read_spool(tmp_path) == spool.SpoolContents((), 0)
    spool.append_event(tmp_path, SpoolEvent("post-commit"))
    reading = spool.read_spool(tmp_path)
    assert reading.events == (SpoolEvent("post-commit"),)
    spool.append_event(tmp_path, SpoolEvent("post-rewrite", ("amend",)))
    spool.set_offset(tmp_path, reading.end)
    assert spool.pending_bytes(tmp_path) == len("post-rewrite amend\n")
    assert spool.read_spool(tmp_path).events == (SpoolEvent("post-rewrite", ("amend",)),)


def test_a_short_spool_is_not_cut(tmp_path: Path) -> None:
    spool.append_event(tmp_path, SpoolEvent("post-commit"))
    spool.set_offset(tmp_path, spool.read_spool(tmp_path).end)
    assert not spool.truncate_spool(tmp_path)
    assert (tmp_path / "spool").stat().st_size > 0


def test_a_long_spool_is_cut_once_it_is_dealt_with(tmp_path: Path) -> None:
    fill(tmp_path)
    assert not spool.truncate_spool(tmp_path)
    spool.set_offset(tmp_path, spool.read_spool(tmp_path).end)
    assert spool.truncate_spool(tmp_path)
    assert ((tmp_path / "spool").stat().st_size, spool.pending_bytes(tmp_path)) == (0, 0)
    spool.append_event(tmp_path, SpoolEvent("post-merge", ("0",)))
    assert spool.read_spool(tmp_path).events == (SpoolEvent("post-merge", ("0",)),)


def test_a_kill_within_the_cut_makes_everything_pending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    fill(tmp_path)
    spool.set_offset(tmp_path, spool.read_spool(tmp_path).end)
    monkeypatch.setattr("os.truncate", killed)
    with pytest.raises(KeyboardInterrupt):
        spool.truncate_spool(tmp_path)
    assert spool.pending_bytes(tmp_path) == (tmp_path / "spool").stat().st_size


def test_a_spool_that_somebody_removed_is_all_new(tmp_path: Path) -> None:
    fill(tmp_path)
    spool.set_offset(tmp_path, spool.read_spool(tmp_path).end)
    (tmp_path / "spool").unlink()
    assert spool.pending_bytes(tmp_path) == 0
    spool.append_event(tmp_path, SpoolEvent("post-commit"))
    assert spool.read_spool(tmp_path).events == (SpoolEvent("post-commit"),)


@pytest.mark.parametrize("offset", [b"", b"-5\n", b"x", b"1e3", b"\xff", b"999999999999\n"])
def test_a_damaged_offset_means_looking_again(tmp_path: Path, offset: bytes) -> None:
    spool.append_event(tmp_path, SpoolEvent("post-commit"))
    (tmp_path / "spool.offset").write_bytes(offset)
    assert spool.pending_bytes(tmp_path) == len("post-commit\n")


def test_a_spool_that_is_a_folder_is_empty(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    assert spool.pending_bytes(tmp_path) == 0
    assert spool.read_spool(tmp_path).events == ()


def test_reading_a_huge_spool_is_bounded(tmp_path: Path) -> None:
    with (tmp_path / "spool").open("wb") as file:
        file.truncate(1 << 40)
    reading = spool.read_spool(tmp_path)
    assert (reading.events, reading.end) == ((), 1 << 40)


@given(data=st.binary(max_size=300))
def test_no_content_can_do_harm(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    state = tmp_path_factory.mktemp("state")
    (state / "spool").write_bytes(data)
    reading = spool.read_spool(state)
    assert reading.end == len(data)
    for event in reading.events:
        assert all(word.isascii() and word.isprintable() for word in (event.hook, *event.arguments))
    spool.set_offset(state, reading.end)
    assert spool.pending_bytes(state) == 0


@given(words=st.lists(st.text(max_size=5), max_size=4))
def test_an_event_is_one_line_whatever_its_arguments(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    state = tmp_path_factory.mktemp("state")
    spool.append_event(state, SpoolEvent("post-commit", tuple(words)))
    assert (state / "spool").read_bytes().count(b"\n") == 1
    assert [event.hook for event in spool.read_spool(state).events] == ["post-commit"]


class Spooling(RuleBasedStateMachine):
    """Hooks and a worker in any order: nothing that was noted after the last look is ever taken as done."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.state = Path(self.temporary.name)
        self.unseen = 0
        self.reading: spool.SpoolContents | None = None

    def teardown(self) -> None:
        self.temporary.cleanup()

    @rule(many=st.booleans())
    def a_hook_runs(self, many: bool) -> None:
        if many:
            fill(self.state)
            self.unseen += _LONG // 12
        else:
            spool.append_event(self.state, SpoolEvent("post-commit"))
            self.unseen += 1

    @rule()
    def the_worker_reads(self) -> None:
        self.reading = spool.read_spool(self.state)
        self.unseen = 0

    @rule()
    def the_worker_marks(self) -> None:
        if self.reading is not None:
            spool.set_offset(self.state, self.reading.end)
            if spool.truncate_spool(self.state):
                assert self.unseen == 0
            self.reading = None

    @invariant()
    def unseen_events_are_pending(self) -> None:
        assert spool.pending_bytes(self.state) >= self.unseen * len("post-commit\n")


TestSpooling = Spooling.TestCase
