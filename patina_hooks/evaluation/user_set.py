"""The user's queries: a JSON file, answered by `scry` itself.

    [{"query": "why did we choose sqlite", "relevant": ["20251103-090000", "src/log.rs"]}]

What is relevant is named exactly: a session's id, a commit's full id, the path of a session document, or the
path of a file, which an answer meets that is the message of a commit that touched it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol, TypedDict

from patina_hooks.config.parsing import parse_json
from patina_hooks.config.schema import Rule, SchemaError, read_value
from patina_hooks.errors import StateError, UsageError
from patina_hooks.evaluation.query_sets.mining import query_id
from patina_hooks.evaluation.results import Answer, SetResult
from patina_hooks.evaluation.statistics.metrics import QuestionMetrics, measure_relevance
from patina_hooks.store.log import Log
from patina_hooks.store.memory import Memory
from patina_hooks.store.search.past import is_answer, session_sizes, small_commits_of_path

if TYPE_CHECKING:
    from patina_hooks.search.query import Hit, Hits

USER_SET: Final = "queries"

_EXAMPLE: Final = '{"query": "why sqlite", "relevant": ["20251103-090000"]}'
_MOST_BYTES: Final = 20_000_000
_MOST_HITS: Final = 200
_MOST_PATHS: Final = 50
_RRF: Final = 60

Names = frozenset[str]
"""The names of an answer: a session's id, a commit's id, a path."""


@dataclass(frozen=True, slots=True)
class UserQuery:
    """One entry of the file. entry: its position, from 1."""

    entry: int
    query: str
    relevant: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _UserCorpus:
    """The answers of a memory.

    accepted: a relevant name -> the names of answers that match it.
    recent, popular: sessions in these orders.
    """

    accepted: Mapping[str, Names]
    recent: Sequence[Names]
    popular: Sequence[Names]


def read_user_queries(path: Path) -> list[UserQuery]:
    """Read a file of queries. Raises `UsageError` with file, entry and the expected value."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UsageError(f"cannot read {path}: it is larger than {_MOST_BYTES // 1_000_000} MB")
        entries = parse_json(data.decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}", hint=f"a list of entries like {_EXAMPLE}") from error
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path}: expected a list of entries", hint=f"[{_EXAMPLE}]")
    return [_entry(path, number, entry) for number, entry in enumerate(entries, 1)]


class SearchableMemory(Memory, Protocol):
    """A memory that answers questions."""

    def search(self, text: str, *, limit: int = ..., on_fault: Callable[[str], None] | None = ...) -> Hits:
        """See `patina_hooks.Patina.search`."""
        ...


def ask_user_set(
    memory: SearchableMemory, path: Path, progress: Callable[[str, int, int], None]
) -> SetResult:
    """Answer every query of a file.

    Raises:
        UsageError: the file is invalid, or the memory does not have a document that it names.
        StateError: the vectors are not usable.
    """
    queries = read_user_queries(path)
    with Log(memory.repository.state, create=False) as log, log.reading() as connection:
        corpus = _corpus(connection, queries, path)
    answers = []
    for number, query in enumerate(queries, 1):
        hits = memory.search(query.query, limit=_MOST_HITS, on_fault=_refuse)
        metrics = {
            method: _measure(names, query, corpus) for method, names in _rankings(hits, corpus).items()
        }
        identity = query_id(USER_SET, query.query, *sorted(query.relevant))
        answers.append(Answer(identity, identity, metrics))
        progress("asking", number, len(queries))
    return SetResult(USER_SET, tuple({answer.id: answer for answer in answers}.values()))


def _check_query(text: str) -> None:
    if not text.strip():
        raise ValueError


class _Entry(TypedDict):
    query: Annotated[str, Rule("a text that is not empty", check=_check_query)]
    relevant: Annotated[
        tuple[str, ...], Rule("a list of session ids, commit ids or paths, at least one", shortest=1)
    ]


def _entry(path: Path, number: int, stored: object) -> UserQuery:
    try:
        entry = read_value(_Entry, stored)
    except SchemaError as error:
        raise UsageError(f"{path}, entry {number}: {error}", hint=_EXAMPLE) from error
    return UserQuery(number, entry["query"], tuple(dict.fromkeys(entry["relevant"])))


def _corpus(connection: sqlite3.Connection, queries: Sequence[UserQuery], path: Path) -> _UserCorpus:
    accepted = {name: _meets(connection, name) for query in queries for name in query.relevant}
    for query in queries:
        if absent := [name for name in query.relevant if not accepted[name]]:
            raise UsageError(
                f"{path}, entry {query.entry}: the memory does not have {', '.join(map(repr, absent))}",
                hint="patina session list; git log --format=%H",
            )
    rows = session_sizes(connection)
    popular = sorted(rows, key=lambda row: -row[2])
    return _UserCorpus(accepted, [_named(*row[:2]) for row in rows], [_named(*row[:2]) for row in popular])


def _meets(connection: sqlite3.Connection, name: str) -> Names:
    """Return the names of answers that match a name, none if it is unknown."""
    if is_answer(connection, name):
        return frozenset([name])
    return frozenset(small_commits_of_path(connection, name, _MOST_PATHS))


def _rankings(hits: Sequence[Hit], corpus: _UserCorpus) -> Mapping[str, Sequence[Names]]:
    names = [_named(hit.session, hit.commit, hit.path, *hit.also_commits) for hit in hits]
    bm25, vector = _by_retriever(hits, "observation"), _by_retriever(hits, "vector")
    return {
        "hybrid": names,
        "rrf": [names[place] for place in _fused(bm25, vector)],
        "vector": [names[place] for place in vector],
        "bm25": [names[place] for place in bm25],
        "recent": corpus.recent,
        "popularity": corpus.popular,
    }


def _by_retriever(hits: Sequence[Hit], retriever: str) -> list[int]:
    """Return the positions of the hits of a retriever, its best first."""
    positions = [place for place, hit in enumerate(hits) if retriever in hit.channels]
    return sorted(positions, key=lambda place: -hits[place].channels[retriever])


def _fused(*lists: Sequence[int]) -> list[int]:
    scores: dict[int, float] = {}
    for ranked in lists:
        for rank, place in enumerate(ranked, 1):
            scores[place] = scores.get(place, 0.0) + 1 / (_RRF + rank)
    return sorted(scores, key=lambda place: (-scores[place], place))


def _measure(ranking: Sequence[Names], query: UserQuery, corpus: _UserCorpus) -> QuestionMetrics:
    return measure_relevance(list(_right(ranking, query, corpus)), len(query.relevant))


def _right(ranking: Sequence[Names], query: UserQuery, corpus: _UserCorpus) -> Iterator[bool]:
    """Yield whether each answer matches a name that no earlier answer matched."""
    open_ = set(query.relevant)
    for names in ranking:
        met = {name for name in open_ if names & corpus.accepted[name]}
        open_ -= met
        yield bool(met)


def _named(*names: str | None) -> Names:
    return frozenset(name for name in names if name)


def _refuse(reason: str) -> None:
    raise StateError(reason, hint="patina doctor")
