"""Files of a clone and of the state: never through a link, never for other eyes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from patina_hooks.errors import StateError
from patina_hooks.git import spool
from patina_hooks.git.lock import SyncLock
from patina_hooks.models.probes import PROBES_FILE, ProbeRecord, texts_hash
from patina_hooks.store.log import Log
from patina_hooks.system.files import make_private, read_state, remove_path


def test_a_folder_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "patina"
    folder.mkdir(mode=0o755)
    make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateError, match="cannot make"):
        make_private(tmp_path / "file" / "patina")


@pytest.mark.parametrize(
    "name", ["", "log.db", "patina.log", "spool.offset", "hook.sh", "vectors", "vectors/a/b"]
)
def test_a_link_in_the_state_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    target, link = tmp_path / "target", tmp_path / "patina" / name
    target.mkdir()
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    for use in (make_private, Log, lambda folder: Log(folder, create=False)):
        with pytest.raises(StateError, match="is a link, which is not followed") as caught:
            use(tmp_path / "patina")
        assert caught.value.hint == f"rm {link}"
    assert list(target.iterdir()) == []


def test_neither_lock_nor_spool_follows_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    for name in ("lock", "spool"):
        (tmp_path / name).symlink_to(target)
    with pytest.raises(StateError, match="cannot open"):
        SyncLock(tmp_path / "lock").acquire()
    with pytest.raises(OSError, match="spool"):
        spool.append_event(tmp_path, spool.SpoolEvent("post-commit"))
    assert not target.exists()


def test_what_stands_there_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    kept, folder = tmp_path / "kept", tmp_path / "folder"
    kept.mkdir()
    (kept / "file").touch()
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(kept)
    for name in ("folder", "file", "link", "absent"):
        remove_path(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    remove_path(kept / "file" / "in the way")
    assert list(kept.iterdir()) == []


def test_the_beginning_is_read_of_a_state_file_that_is_huge(tmp_path: Path) -> None:
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1 << 40)
    assert len(read_state(tmp_path / "huge.json")) == 64 << 20


@pytest.mark.parametrize("rows", ["1e999", "-1", "[]", "NaN", '"x"'])
def test_probe_vectors_of_another_shape_are_made_again(tmp_path: Path, rows: str) -> None:
    probes = f'{{"probes": {{"": {{"rows": {rows}, "vectors": "AAAA"}}}}, "engine_versions": {{}}}}'
    text = f'{{"texts": "{texts_hash()}", "models": {{"model": {probes}}}}}'
    (tmp_path / PROBES_FILE).write_text(text)
    assert not ProbeRecord(tmp_path).has_probes("model")
