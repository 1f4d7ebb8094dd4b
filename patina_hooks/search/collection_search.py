"""Answering from one collection: its log, its vectors, and what is kept open for the next question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from patina_hooks.errors import IndexDamaged, PatinaError
from patina_hooks.search.fusion import assign_weights
from patina_hooks.search.hits import closeness, make_hits
from patina_hooks.search.query import Hit, Hits, Mode, Query
from patina_hooks.search.retrieval.ranking import rank
from patina_hooks.search.retrieval.retrieve import Evidence, Retriever, retrieve
from patina_hooks.search.retrieval.store_view import SourceGroups, StoreView
from patina_hooks.search.stored_weights import (
    describe_unknown_retrievers,
    find_unknown_retrievers,
    load_stored_weights,
)
from patina_hooks.specs.retrieval import FILE_WEIGHTS
from patina_hooks.specs.sources import HISTORY
from patina_hooks.store.collections import collection_folder
from patina_hooks.store.log import LOG_FILE, Log

if TYPE_CHECKING:
    from patina_hooks.search.filters.filters import Allowed, Filters
    from patina_hooks.search.index.spaces import VectorSpace
    from patina_hooks.search.question_vectors import QuestionVectors
    from patina_hooks.search.retrieval.refinement import Refinement
    from patina_hooks.specs.vectors import Vectors
    from patina_hooks.store.memory import Memory

    Near = Callable[[Vectors, int, frozenset[bytes] | None], list[tuple[bytes, float]]]


class CollectionSearch:
    """One collection of a memory, with its log and index open from one question to the next."""

    def __init__(self, memory: Memory, name: str) -> None:
        self.name = name
        self._memory = memory
        self._folder = collection_folder(memory.repository.state, name)
        self._index: tuple[VectorSpace, int, Near] | None = None
        self._random: tuple[VectorSpace, str, float | None] | None = None
        self._log: tuple[int, Log] | None = None
        self._groups = SourceGroups()
        self._filters: Filters | None = None

    @property
    def is_stored(self) -> bool:
        """Whether a sync has made the log of this collection."""
        return (self._folder / LOG_FILE).is_file()

    @contextmanager
    def reading(self) -> Iterator[Log]:
        """Give one consistent view of the log, which stays open from one question to the next."""
        path = self._folder / LOG_FILE
        inode = path.stat().st_ino if path.is_file() else 0
        if self._log is None or self._log[0] != inode:
            self.close_log()
            self._log = (inode, Log(self._folder, create=False))
        log = self._log[1]
        try:
            with log.reading():
                yield log
        except Exception as error:
            try:
                log.explain(error)
            except PatinaError:
                self._forget_log()
                log.close()
                raise
            raise

    def close_log(self) -> None:
        """Close the log; the next question opens it again."""
        if self._log is not None:
            self._log[1].close()
            self._forget_log()

    def close_index(self) -> None:
        """Let go of the index; the next question opens it again."""
        self._index = None

    def _forget_log(self) -> None:
        """Let go of what belongs to one connection."""
        self._log = self._filters = None
        self._groups = SourceGroups()

    # --- one question ---------------------------------------------------------------------------

    def hits(
        self,
        query: Query,
        retrievers: list[Retriever],
        vectors: QuestionVectors,
        refinement: Refinement | None,
        remark: Callable[[str], None],
    ) -> Hits:
        """Return the hits of a question, by one view of the log.

        Args:
            query: the question, its text without secrets.
            retrievers: all of them; the mode decides which take part.
            vectors: of the question, asked for when words have been looked up.
            refinement: rewriters, rerankers and filters, None for none.
            remark: told about weights of unknown retrievers.

        Raises:
            UsageError: a filter names what is not recorded here.
            IndexDamaged: there are no vectors, or they cannot be used.
            PluginError: model or index cannot be opened.
        """
        with self.reading() as log:
            only = self._allowed(log, query)
            if query.mode == "lexical":
                view = StoreView(log.connection, only, None, self._groups, self.name)
                return Hits(
                    self._ranked(
                        view, query, {} if self.name == HISTORY else FILE_WEIGHTS, retrievers, refinement
                    )[0]
                )
            return self._hits_by_vectors(log, query, only, retrievers, vectors, refinement, remark)

    def _hits_by_vectors(
        self,
        log: Log,
        query: Query,
        only: Allowed,
        retrievers: list[Retriever],
        vectors: QuestionVectors,
        refinement: Refinement | None,
        remark: Callable[[str], None],
    ) -> Hits:
        from patina_hooks.search.index.spaces import active_space

        space = active_space(log)
        if space is None:
            raise IndexDamaged("there are no vectors yet", hint="patina sync")
        vectors.begin(space)

        def nearest(question: str, limit: int, texts: frozenset[bytes] | None) -> list[tuple[bytes, float]]:
            search = self._open_index(log, space)
            return search(vectors.of(space, question), limit, texts)

        view = StoreView(log.connection, only, nearest, self._groups, self.name)
        stored = self._stored_weights(space)
        if unknown := find_unknown_retrievers(stored, (retriever.name for retriever in retrievers)):
            remark(describe_unknown_retrievers(unknown))
        hits, evidence = self._ranked(view, query, stored, retrievers, refinement)
        close = closeness(view, query.text, evidence)
        return Hits(hits, close.is_close(self._random_similarity(log, space)) if hits else None)

    def _stored_weights(self, space: VectorSpace) -> Mapping[str, float]:
        """Return what was tuned on history; other collections have weights of their own."""
        if self.name != HISTORY:
            return FILE_WEIGHTS
        return load_stored_weights(self._memory.repository.state, space)

    def _ranked(
        self,
        view: StoreView,
        query: Query,
        stored: Mapping[str, float],
        retrievers: list[Retriever],
        refinement: Refinement | None,
    ) -> tuple[list[Hit], Evidence]:
        """Run the retrievers of a mode, rank the results, and make hits. stored: see `assign_weights`."""
        weights = assign_weights([retriever.spec for retriever in retrievers], stored)
        question = refinement.rewrite(query.text, view) if refinement else query.text
        evidence = retrieve(
            question, view, [retriever for retriever in retrievers if _takes_part(retriever, query.mode)]
        )
        ranking = rank(query.text, view, evidence, weights, refinement)
        return make_hits(view, evidence, ranking, query.limit), evidence

    def _allowed(self, log: Log, query: Query) -> Allowed:
        from patina_hooks.search.filters.filters import Filters

        self._filters = self._filters or Filters(log.connection, self.name)
        return self._filters.allowed(self._memory.repository, query, log.fact("folder"))

    def _random_similarity(self, log: Log, space: VectorSpace) -> float | None:
        """Return what two random texts have, sampled once for as long as the index stays as it is."""
        from patina_hooks.search.remarks.closeness import random_similarity

        generation = log.fact("generation", "0")
        if self._random is None or self._random[:2] != (space, generation):
            state, plugins = self._memory.repository.state, self._memory.plugins
            self._random = (space, generation, random_similarity(log.connection, state, space, plugins))
        return self._random[2]

    def _open_index(self, log: Log, space: VectorSpace) -> Near:
        """Return the search of the index as the last sync left it, for a model's own vector [d]."""
        plugins = self._memory.plugins
        generation = log.number("generation") or 0
        if self._index is None or self._index[:2] != (space, generation):
            index = space.open(plugins, self._folder)
            if index.stats().generation < generation:
                raise IndexDamaged("the vectors are older than the log, or gone", hint="patina sync")
            project = space.open_projection(plugins, self._memory.repository.state)

            def search(query: Vectors, most: int, only: frozenset[bytes] | None) -> list[tuple[bytes, float]]:
                return index.search(project(query[None])[0] if project else query, most, only)

            self._index = (space, generation, search)
        return self._index[2]


def _takes_part(retriever: Retriever, mode: Mode) -> bool:
    return mode == "hybrid" or retriever.spec.vectors == (mode == "vector")
