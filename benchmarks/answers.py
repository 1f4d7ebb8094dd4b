"""How often an answer is remarked to be no close match, to questions about nothing and to mined ones.

Mined questions are leak-free: the text that a question was made of is hidden from it, as in `patina eval`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.table import Bound, Row
from benchmarks.workshop import Workshop, opened

if TYPE_CHECKING:
    from patina_hooks.api import Patina

NEVER_OCCURRED: Final = Path(__file__).parents[1] / "tests/data/questions/never_occurred.txt"
_GROUP = "answers"
_MINED = 100
_LEAST_REMARKED, _MOST_REMARKED = 80.0, 5.0


def measure(workshop: Workshop) -> Iterator[Row]:
    with opened(workshop.history) as patina:
        yield from measure_remarks(patina)


def measure_remarks(patina: Patina) -> Iterator[Row]:
    """The share of questions that are told of no close match, in percent, of one memory."""
    never = NEVER_OCCURRED.read_text("utf-8").splitlines()
    remarked = [patina.search(question).close_match is False for question in never]
    what = f"no close match, of {len(never)} questions about what never occurred"
    yield Row(_GROUP, what, _share(remarked), "%", bound=Bound(_LEAST_REMARKED, "ours", least=True))
    mined = list(_mined(patina))
    remarked = [_is_far(patina, question, hidden) for question, hidden in mined]
    what = f"no close match, of {len(mined)} mined questions"
    yield Row(_GROUP, what, _share(remarked), "%", bound=Bound(_MOST_REMARKED, "ours"))


def _share(flags: Sequence[bool]) -> float:
    return 100 * sum(flags) / len(flags)


def _mined(patina: Patina) -> Iterator[tuple[str, frozenset[bytes]]]:
    """A hundred questions, as many of each set, with the texts that are hidden from each."""
    from patina_hooks.evaluation.evaluate import mine
    from patina_hooks.evaluation.history import read_history
    from patina_hooks.evaluation.query_sets.mining import QueryFilter
    from patina_hooks.store.log import Log

    with Log(patina.repository.state, create=False) as log, log.reading() as connection:
        history = read_history(connection)
        texts = {
            key: text.casefold()
            for key, text in connection.execute("SELECT text_key, text FROM observation WHERE live")
        }
    sets = [query_set for query_set in mine(history, query_filter=QueryFilter(most=_MINED)) if query_set]
    for query_set in sets:
        for query in sorted(query_set.queries, key=lambda query: query.id)[: _MINED // len(sets) + 1]:
            asked = query.text.casefold()
            own = {key for key, text in texts.items() if len(text) >= 12 and text in asked}
            masked = {query_set.pieces[number].key for number in query.masked}
            yield query.text, frozenset(own | masked)


def _is_far(patina: Patina, question: str, hidden: frozenset[bytes]) -> bool:
    """Whether the answer is remarked to be no close match when texts are hidden from it."""
    from patina_hooks.search.filters.filters import Allowed
    from patina_hooks.search.hits import closeness
    from patina_hooks.search.index.spaces import active_space
    from patina_hooks.search.retrieval.retrieve import retrieve
    from patina_hooks.search.retrieval.store_view import StoreView
    from patina_hooks.store.search.filters import Condition

    test = "o.text_key NOT IN (SELECT key FROM temp.hidden)"
    shown = Condition(
        test, (), f"SELECT o.id FROM observation o WHERE o.live AND {test}", (),
        "SELECT 1 FROM observation", (), of_observation=True,
    )  # fmt: skip
    with patina._engine.reading() as log:
        space = active_space(log)
        assert space  # the workshop's history is embedded
        connection = log.connection
        connection.execute("CREATE TEMP TABLE IF NOT EXISTS hidden (key BLOB PRIMARY KEY)")
        connection.execute("DELETE FROM temp.hidden")
        connection.executemany("INSERT INTO temp.hidden VALUES (?)", [(key,) for key in hidden])
        vector = patina._engine.models.checked(space).encode([question], role="query").vectors[0]
        search = patina._engine.history._open_index(log, space)
        view = StoreView(
            connection, Allowed(connection, [shown]), lambda _, limit, texts: search(vector, limit, texts)
        )
        close = closeness(view, question, retrieve(question, view, patina._engine.retrievers()))
        return close.is_close(patina._engine.history._random_similarity(log, space)) is False
