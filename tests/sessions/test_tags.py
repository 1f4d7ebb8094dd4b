from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessions.workbench import NOON, NOON_ID, Workbench

from patina_hooks.errors import SessionError, UsageError
from patina_hooks.sessions.tags import check_adapter, create_tag, delete_tag, free_id, session_tags
from patina_hooks.text.session_ids import TagName, parse_tag


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("session-20250818-140534-end", TagName("20250818-140534", None, "end")),
        ("session-20260101-000000-opencode-start", TagName("20260101-000000", "opencode", "start")),
        ("session-20260101-000000-a-b_c-start", TagName("20260101-000000", "a-b_c", "start")),
        ("session-20260101-000000-start-end", TagName("20260101-000000", "start", "end")),
        ("session-20260230-000000-start", None),
        ("session-20260101-250000-start", None),
        ("session-20260101-000000-Claude-start", None),
        ("session-20260101-000000", None),
        ("session-\uff120260101-000000-start", None),
        ("my-session-20260101-000000-start", None),
    ],
)
def test_names_of_both_forms_are_read_and_impossible_dates_are_not(name: str, parts: TagName | None) -> None:
    assert parse_tag(name) == parts


@given(st.datetimes(), st.none() | st.from_regex(r"[a-z0-9_-]{1,20}", fullmatch=True), st.booleans())
def test_a_name_is_read_back_as_it_was_made(moment: datetime, adapter: str | None, start: bool) -> None:
    name = TagName(f"{moment:%Y%m%d-%H%M%S}".rjust(15, "0"), adapter, "start" if start else "end")
    assert parse_tag(str(name)) == name


@pytest.mark.parametrize("adapter", ["", "Claude", "a b", "../x", "-" * 33, "é"])
def test_an_adapter_that_fits_no_tag_is_refused(adapter: str) -> None:
    with pytest.raises(UsageError, match="adapter"):
        check_adapter(adapter)


def test_tags_tell_titles_and_what_is_only_named_alike_is_left_out(bench: Workbench) -> None:
    bench.git("tag", "-a", "-m", "Session start: a title", "session-20250818-140534-start")
    bench.git("tag", "session-20250818-140534-end")
    bench.git("tag", "session-20250899-140534-start")
    bench.git("tag", "session-20250101-000000-start", bench.git("rev-parse", "HEAD:readme"))
    found = [(str(tag.name), tag.title) for tag in session_tags(bench.repository)]
    assert found == [
        ("session-20250101-000000-start", ""),
        ("session-20250818-140534-end", ""),
        ("session-20250818-140534-start", "a title"),
    ]


def test_a_free_id_is_past_every_tag_and_every_document(bench: Workbench) -> None:
    bench.git("tag", f"session-{NOON_ID}-gemini-end")
    bench.commit("held by HEAD alone", {"layer/sessions/20251121-183027.md": "x"})
    (bench.root / "layer/sessions/20251121-183027.md").unlink()
    (bench.root / "layer/sessions/20251121-183028.md").write_text("x")
    session, moment = free_id(bench.repository, NOON, "layer/sessions")
    assert session == "20251121-183029"
    assert (moment - NOON).total_seconds() == 3


def test_a_tag_is_annotated_whatever_the_user_configured_for_signing(bench: Workbench) -> None:
    for key in ("tag.gpgSign", "tag.forceSignAnnotated"):
        bench.git("config", key, "true")
    bench.git("config", "gpg.program", "false")
    head = bench.git("rev-parse", "HEAD")
    create_tag(bench.repository, TagName(NOON_ID, None, "start"), head, "# no comment -m $(x)")
    tag = bench.git("cat-file", "tag", f"session-{NOON_ID}-start")
    assert tag.endswith("\n\nSession start: # no comment -m $(x)")
    assert "tagger Ada <ada@example.invalid>" in tag


def test_without_an_identity_the_error_tells_the_two_lines(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    monkeypatch.setenv("HOME", str(bench.root))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    bench.git("config", "user.useConfigOnly", "true")
    with pytest.raises(SessionError, match=r"user\.name and user\.email are not set") as caught:
        create_tag(bench.repository, TagName(NOON_ID, None, "start"), bench.git("rev-parse", "HEAD"), "x")
    assert "user.name" in caught.value.hint
    assert "user.email" in caught.value.hint


def test_only_a_tag_that_stayed_where_it_was_put_is_taken_back(bench: Workbench) -> None:
    name, first = TagName(NOON_ID, None, "start"), bench.git("rev-parse", "HEAD")
    create_tag(bench.repository, name, first, "x")
    second = bench.commit("second", {})
    delete_tag(bench.repository, name, second)
    assert bench.tags() == [str(name)]
    delete_tag(bench.repository, name, first)
    assert bench.tags() == []
