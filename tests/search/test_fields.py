"""Fields of observations: a plugin's extractor states them, a search filters by them."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner
from support.memory import Memory, memory_of

from patina_hooks import Document, Extraction, ExtractorSpec, Hit, Observation, Patina, hookimpl
from patina_hooks.commands.search.scry import scry_command
from patina_hooks.errors import UsageError
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.query import Mode

_TICKET = re.compile(r"#([0-9]+)")


def read_tickets(document: Document) -> Extraction:
    found = [
        Observation("ticket", line, at, name=f"ticket {match[1]}", end=at + 1, fields={"ticket": match[1]})
        for at, line in enumerate(document.text.splitlines(), 1)
        if (match := _TICKET.search(line))
    ]
    return Extraction(tuple(found))


class Tickets:
    @hookimpl
    def patina_register_extractors(self) -> list[ExtractorSpec]:
        return [ExtractorSpec("tickets", 1, "commit", f"{__name__}:read_tickets")]


@pytest.fixture(scope="module")
def patina(tmp_path_factory: pytest.TempPathFactory) -> Patina:
    memory = Memory.make(tmp_path_factory.mktemp("fields") / "repository")
    for number in range(12):
        memory.commit(f"Feed marmots, see #{number}", {"a.py": str(number)})
    providers = Plugins.load(disabled=())
    providers.register(Tickets(), "patina-tickets")
    memory.sync(providers=providers)
    return memory_of(memory.repository, providers)


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "vector"])
def test_only_observations_with_the_field_are_found(patina: Patina, mode: Mode) -> None:
    (hit,) = patina.search("marmots", mode=mode, fields={"ticket": "7"})
    assert (hit.kind, hit.text, hit.name) == ("ticket", "Feed marmots, see #7", "ticket 7")
    assert (hit.line, hit.end, hit.fields) == (1, 2, {"ticket": "7"})


def test_fields_hold_together_and_with_other_filters(patina: Patina) -> None:
    def found(**filters: object) -> list[Hit]:
        return list(patina.search("marmots", **filters))  # type: ignore[arg-type]

    assert found(fields=[("ticket", "7"), ("ticket", "8")]) == []
    assert found(fields={"ticket": "7"}, kinds="commit") == []
    assert len(found(fields={"ticket": "7"}, kinds="ticket", path="a.py")) == 1
    assert found(fields={"ticket": "99"}) == []


def test_an_unknown_field_lists_the_known_ones(patina: Patina) -> None:
    with pytest.raises(UsageError, match="no observation has a field 'status'") as caught:
        patina.search("marmots", fields={"status": "open"})
    assert caught.value.hint == "one of ticket"


@pytest.mark.parametrize("fields", [7, ["ticket=7"], {"ticket": 7}])
def test_fields_that_are_none_are_refused(patina: Patina, fields: object) -> None:
    with pytest.raises(UsageError):
        patina.search("marmots", fields=fields)  # type: ignore[arg-type]


def test_a_rebuilt_index_has_the_same_fields(patina: Patina) -> None:
    before = [(hit.text, hit.fields) for hit in patina.search("marmots", kinds="ticket", limit=20)]
    patina.sync(full=True)
    assert [(hit.text, hit.fields) for hit in patina.search("marmots", kinds="ticket", limit=20)] == before


def test_the_command_takes_fields(patina: Patina, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(patina.repository.root)
    monkeypatch.setenv("PATINA_DISABLE_PLUGINS", "")
    run = CliRunner().invoke(scry_command, ["--mode", "lexical", "--json", "--field", "ticket=3", "marmots"])
    assert [hit["fields"] for hit in json.loads(run.stdout)["hits"]] == [{"ticket": "3"}]
    run = CliRunner().invoke(scry_command, ["--field", "ticket", "marmots"])
    assert str(run.exception) == "invalid field 'ticket'; use NAME=VALUE"


def test_the_filter_walks_along_the_index_of_fields(patina: Patina) -> None:
    from patina_hooks.store.search.filters import field_condition

    condition = field_condition("ticket", "7")
    with patina._engine.reading() as log:
        plan = log.connection.execute(
            f"EXPLAIN QUERY PLAN {condition.walk}", condition.walk_values
        ).fetchall()
    assert any("field_by_value" in row[3] for row in plan)
