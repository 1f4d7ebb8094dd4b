"""A small repository with an index in a temporary folder, and views of it, for checks of search plugins."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.config.settings import Settings
from patina_hooks.corpus.observations import Extractors, text_key
from patina_hooks.corpus.reconcile import reconcile
from patina_hooks.git.child import ChildGit
from patina_hooks.git.repository import Repository
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.filters.filters import Filters
from patina_hooks.search.query import Query
from patina_hooks.search.retrieval.store_view import StoreView
from patina_hooks.store.log import Log
from patina_hooks.text.words import split_query

if TYPE_CHECKING:
    from patina_hooks.evaluation.query_sets import mining
    from patina_hooks.evaluation.query_sets.mining import QuerySet
    from patina_hooks.search.retrieval.ranked_view import RankedView
    from patina_hooks.specs.vectors import Vectors

DIMENSIONS: Final = 64
TOPICS: Final = (
    ("bakers", "fold the sourdough twice", "oven"),
    ("sailors", "splice the mooring rope", "halyard"),
    ("MARMOTS", "whistle at eagles", "burrow"),
    ("weavers", "thread the loom by hand", "shuttle"),
    ("miners", "shore the gallery with oak", "lantern"),
    ("pilots", "trim the rudder in crosswind", "cockpit"),
)
_START_TIME: Final = 1_760_000_000
_AUTHOR: Final = "Ada <ada@example.invalid>"


class SmallMemory:
    """Six sessions with documents and commits, recorded by patina's own sources and extractors.

    Its vectors are sums of one random vector for each word: no model is needed.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="patina-search-"))
        self._calls = count()
        self._opened = ExitStack()
        weakref.finalize(self, self._opened.close)
        self._opened.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._repository = _make_repository(self._folder / "repository")
        extractors = Extractors(Plugins.load(disabled={"*"}))
        with Log(self._repository.state) as log:
            reconcile(self._repository, log, extractors, Settings())
        self._log = self._opened.enter_context(Log(self._repository.state, create=False))
        texts = [observation.text for observation in self.whole().observations()]
        self._vectors = {text_key(text): embed_words(text) for text in texts}

    def stored_files(self) -> dict[str, bytes]:
        """Return the content of what is stored, by name; without the locks of SQLite."""
        paths = [path for path in self._repository.state.rglob("*") if path.is_file()]
        return {path.name: path.read_bytes() for path in paths if path.suffix != ".db-shm"}

    # --- views of a search ----------------------------------------------------------------------

    def whole(self) -> StoreView:
        """Return the view of a question without filters."""
        return self._view(Query(""))

    def filtered(self) -> StoreView:
        """Return the view of a question about decisions only."""
        return self._view(Query("", kinds=("decision",)))

    def empty(self) -> StoreView:
        """Return a view that shows nothing."""
        return self._view(Query("", since=1, until=2))

    def _view(self, query: Query) -> StoreView:
        connection = self._log.connection
        allowed = Filters(connection).allowed(self._repository, query, Settings().sessions_folder)
        return StoreView(connection, allowed, self._nearest)

    def _nearest(self, question: str, limit: int, only: frozenset[bytes] | None) -> list[tuple[bytes, float]]:
        vector_of_question = embed_words(question)
        scores = {key: float(vector @ vector_of_question) for key, vector in self._vectors.items()}
        best = sorted(scores, key=lambda key: (-scores[key], key))
        return [(key, scores[key]) for key in best if only is None or key in only][:limit]

    # --- views of an evaluation -----------------------------------------------------------------

    def past(self) -> tuple[RankedView, RankedView, tuple[str, ...]]:
        """Return what a question of an evaluation may see.

        Returns:
            The view, a view of a set without the hidden texts, and the hidden texts.
        """
        query_set = self._past_set()
        (query,) = query_set.queries
        hidden = tuple(query_set.pieces[number].text for number in sorted(query.masked))
        return self._past_view(query_set), self._past_view(visible_set(query_set, query)), hidden

    def unseen(self) -> RankedView:
        """Return the view of an evaluation whose texts no view before it showed."""
        query_set = self._past_set()
        word = f"unseen{next(self._calls)}"
        pieces = [replace(piece, text=f"{piece.text} {word}") for piece in query_set.pieces]
        keyed = tuple(replace(piece, key=text_key(piece.text)) for piece in pieces)
        return self._past_view(replace(query_set, pieces=keyed))

    def _past_set(self) -> QuerySet:
        from patina_hooks.evaluation.history import read_history
        from patina_hooks.evaluation.query_sets.session_sets import mine_commit_session

        with self._log.reading() as connection:
            query_set = mine_commit_session(read_history(connection))
        return replace(query_set, queries=(_query_of_the_past(query_set),))

    def _past_view(self, query_set: QuerySet) -> RankedView:
        import numpy as np

        from patina_hooks.evaluation.embeddings import Embeddings
        from patina_hooks.evaluation.vector_ranking import VectorRanking
        from patina_hooks.evaluation.views import view_of

        (query,) = query_set.queries
        texts = {piece.key: piece.text for piece in query_set.pieces}
        rows = {key: row for row, key in enumerate(sorted(texts))}
        passages = np.array([embed_words(texts[key]) for key in rows], np.float32).reshape(-1, DIMENSIONS)
        questions = embed_words(query.text)[np.newaxis]
        embeddings = Embeddings(passages, rows, questions, {text_key(query.text): 0}, embed_words)
        view = view_of(query_set)
        self._opened.callback(view.close)
        self._opened.enter_context(view.showing(query))
        (view.vectors,) = VectorRanking(query_set, embeddings).each()
        return view


def embed_words(text: str) -> Vectors:
    """Return the unit vector [64] of a text's words, zero if it has none."""
    import numpy as np

    vector = np.zeros(DIMENSIONS, np.float32)
    for word in split_query(text.casefold()):
        digest = blake2b(word.encode(), digest_size=DIMENSIONS // 8).digest()
        vector += np.unpackbits(np.frombuffer(digest, np.uint8)).astype(np.float32) - np.float32(0.5)
    norm = np.linalg.norm(vector)
    return vector / norm if norm else vector


def visible_set(query_set: QuerySet, query: mining.MinedQuery) -> QuerySet:
    """Return the set that a question sees, without what is hidden from it."""
    import numpy as np

    visible = np.flatnonzero(~query_set.hidden(query))
    number = {old: new for new, old in enumerate(visible.tolist())}
    links_of_set = zip(query_set.link_pieces.tolist(), query_set.link_units.tolist(), strict=True)
    links = np.array([(number[piece], unit) for piece, unit in links_of_set if piece in number], np.intp)
    titles = ("" if unit in query.untitled else title for unit, title in enumerate(query_set.titles))
    return replace(
        query_set,
        pieces=tuple(query_set.pieces[old] for old in visible),
        titles=tuple(titles),
        link_pieces=links.reshape(-1, 2)[:, 0],
        link_units=links.reshape(-1, 2)[:, 1],
        queries=(replace(query, masked=frozenset(), untitled=frozenset(), visible_passages=len(visible)),),
    )


def _query_of_the_past(query_set: QuerySet) -> mining.MinedQuery:
    """Ask before the last two sessions, without the texts and the title of the first one."""
    import numpy as np

    from patina_hooks.evaluation.query_sets import mining

    units = len(query_set.units)
    owner = dict(zip(query_set.link_pieces.tolist(), query_set.link_units.tolist(), strict=True))
    masked = frozenset(piece for piece, unit in owner.items() if unit == 0)
    return mining.MinedQuery(
        id="contract", text="why do weavers thread the loom", relevant=frozenset({3}), cluster="contract",
        moment=_START_TIME,
        visible_passages=len(query_set.pieces), touched=0, masked=masked, untitled=frozenset({0}),
        candidates=mining.Candidates.of(np.arange(units) < units - 2),
    )  # fmt: skip


# --- the repository -----------------------------------------------------------------------------


def _make_repository(folder: Path) -> Repository:
    folder.mkdir()
    git = ChildGit(folder)
    git.check("init", "-q", "-b", "main")
    git.check("fast-import", "--quiet", data="".join(_commits()).encode())
    return Repository.open(folder)


def _commits() -> Iterator[str]:
    """Yield the history as `git fast-import` reads it: three commits for each session, between its tags."""
    yield _commit(0, "begin")
    for number, (people, habit, tool) in enumerate(TOPICS):
        session = f"202511{number + 1:02}-090000"
        yield _tag(f"session-{session}-start")
        yield _commit(3 * number + 1, f"teach the {tool} to obey {people}", {f"src/{tool}.py": "1"})
        yield _commit(3 * number + 2, f"{people} now {habit} in every {tool}", {f"src/{tool}.py": "2"})
        document = {f"{Settings().sessions_folder}/{session}.md": _document(session, people, habit, tool)}
        yield _commit(3 * number + 3, f"archive {session}", document)
        yield _tag(f"session-{session}-end")


def _document(session: str, people: str, habit: str, tool: str) -> str:
    return (
        f"# Session: study of {people}\n**ID**: {session}\n**Started**: 2025-11-03T16:00:00Z\n\n"
        f"## Goals\n- [ ] learn how {people} work\n\n"
        "## Activity Log\n### 09:10 - Update\n\n**Key Decisions:**\n"
        f"- It was decided that {people} {habit} because of the {tool}\n"
        f"- Every {tool} is kept for {people}, whatever the others may say\n"
    )


def _commit(number: int, message: str, files: dict[str, str] | None = None) -> str:
    date = f"{_START_TIME + 60 * number} +0000"
    entries = [f"M 100644 inline {path}\n{_data(text)}" for path, text in (files or {}).items()]
    head = f"commit refs/heads/main\nauthor {_AUTHOR} {date}\ncommitter {_AUTHOR} {date}\n"
    return f"{head}{_data(message)}{''.join(entries)}\n"


def _tag(name: str) -> str:
    return f"tag {name}\nfrom refs/heads/main\ntagger {_AUTHOR} {_START_TIME} +0000\n{_data(name)}"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"
