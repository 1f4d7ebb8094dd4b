"""What a user relies on: what a record states is on each of its passages."""

import pytest
from patina_adr import describe, read_record

import patina_hooks
from patina_hooks import Document

NYGARD = """\
# 7. Store vectors in files

Date: 2026-03-01

## Status

Superseded by [12. Store vectors in SQLite](0012-store-vectors-in-sqlite.md)

## Decision

Vectors are rows of a file, since blobs were slower.
"""
MADR = """\
---
status: accepted
date: 2026-05-09
---

# Store vectors in SQLite

Blobs are fast enough by now.
"""


def read(text: str, path: str) -> list[patina_hooks.Observation]:
    facts = describe(path)
    document = Document("adr", "0" * 40, text, facts.language, facts.fields)
    return list(read_record(document).observations)


def test_every_passage_has_what_the_record_states() -> None:
    passages = read(NYGARD, "docs/adr/0007-store-vectors-in-files.md")
    assert passages[-1].section == "7. Store vectors in files > Decision"
    assert passages[-1].kind == "decision"
    assert {tuple(sorted(passage.fields.items())) for passage in passages} == {
        (("adr", "7"), ("date", "2026-03-01"), ("status", "superseded"), ("superseded-by", "12"))
    }


@pytest.mark.parametrize("status", ["status: accepted", "* Status: Accepted", "## Status\n\naccepted"])
def test_a_status_is_read_wherever_it_stands(status: str) -> None:
    (*_, last) = read(f"{status}\n\nText.\n", "docs/decisions/0012-x.md")
    assert last.fields == {"adr": "12", "status": "accepted"}
