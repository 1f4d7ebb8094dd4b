"""One engine answers for the command line, Python and evaluation: words, vectors and what plugins add.

An engine keeps model, index and log open from one question to the next. What a question does not need is
imported by the method that does: a cold one waits for every import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from os import PathLike
from typing import TYPE_CHECKING

from patina_hooks.config.configuration import user_redaction
from patina_hooks.config.recipe import SearchSteps
from patina_hooks.errors import IndexDamaged, PatinaError, PluginError
from patina_hooks.search.fusion import weigh
from patina_hooks.search.hits import closeness, make_hits
from patina_hooks.search.index.spaces import VectorSpace, active_space
from patina_hooks.search.open_models import OpenModels
from patina_hooks.search.opening import Opening
from patina_hooks.search.query import Hit, Hits, Mode, Query
from patina_hooks.search.retrieval.ranking import rank
from patina_hooks.search.retrieval.retrieve import Evidence, Retriever, open_retrievers, retrieve
from patina_hooks.search.retrieval.store_view import SourceGroups, StoreView
from patina_hooks.search.steps import recorded_steps
from patina_hooks.search.tuned import remark_on_unknown, stored_weights, unknown_names
from patina_hooks.store.log import LOG_FILE, Log

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from patina_hooks.search.filters.filters import Allowed, Filters
    from patina_hooks.search.retrieval.refinement import Refinement
    from patina_hooks.specs.plugins import Fault
    from patina_hooks.specs.vectors import Vectors
    from patina_hooks.store.memory import Memory

    Near = Callable[[Vectors, int, frozenset[bytes] | None], list[tuple[bytes, float]]]


class SearchEngine:
    """Answers questions of one memory, for any thread, but not for several at once."""

    def __init__(self, memory: Memory, opening: Opening | None = None) -> None:
        """opening: the answering model, which a command has begun to open."""
        self.models = OpenModels(memory, opening)
        self._memory = memory
        self._index: tuple[VectorSpace, int, Near] | None = None
        self._random: tuple[VectorSpace, str, float | None] | None = None
        self._log: tuple[int, Log] | None = None
        self._groups = SourceGroups()
        self._filters: Filters | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._retrievers: list[Retriever] | None = None
        self._refined: tuple[SearchSteps, Refinement] | None = None
        self._on_fault: Callable[[str], None] | None = None

    def close(self) -> None:
        """Let go of model, index and log; the object may be used again."""
        if self._thread:
            self._thread.shutdown()
            self._thread = None
        self.close_log()
        self.models.close()
        self._index = None

    def search(
        self,
        text: str,
        *,
        limit: int = 10,
        mode: Mode = "hybrid",
        kinds: str | Iterable[str] = (),
        session: str | None = None,
        since: float | None = None,
        until: float | None = None,
        ref: str | None = None,
        path: str | PathLike[str] | None = None,
        fields: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        rewriters: Iterable[str] | None = None,
        rerankers: Iterable[str] | None = None,
        filters: Iterable[str] | None = None,
        on_fault: Callable[[str], None] | None = None,
    ) -> Hits:
        """Answer a question; see `patina_hooks.Patina.search`."""
        from patina_hooks.search.filters.arguments import checked_query

        query = checked_query(
            self._memory.repository.root, text, limit=limit, mode=mode, kinds=kinds, session=session,
            since=since, until=until, ref=ref, path=path, fields=fields, rewriters=rewriters,
            rerankers=rerankers, filters=filters,
        )  # fmt: skip
        self._check_steps(query)
        question = user_redaction().remove(query.text)
        if not question and query.text:
            return Hits(reason="the question holds nothing but secrets")
        query = replace(query, text=question)
        self._on_fault = on_fault
        try:
            hits = self._answer(query)
            hits.reason = self._reason(query, hits)
        finally:
            self._on_fault = None
        return hits

    @contextmanager
    def reading(self) -> Iterator[Log]:
        """Give one consistent view of the log, which stays open from one question to the next."""
        path = self._memory.repository.state / LOG_FILE
        inode = path.stat().st_ino if path.is_file() else 0
        if self._log is None or self._log[0] != inode:
            self.close_log()
            self._log = (inode, Log(self._memory.repository.state, create=False))
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

    def _forget_log(self) -> None:
        """Let go of what belongs to one connection."""
        self._log = self._filters = None
        self._groups = SourceGroups()

    # --- one question ---------------------------------------------------------------------------

    def _answer(self, query: Query) -> Hits:
        """Answer by words and vectors, or by words where vectors cannot be had. Raises as `search` does."""
        try:
            try:
                return self._hits(query)
            except IndexDamaged:
                # Since our view of the log, a sync may have merged files, or have had another index answer.
                self._index = None
                return self._hits(query)
        except (PluginError, IndexDamaged) as error:
            if query.mode == "vector" or (self._memory.plugins.is_strict and isinstance(error, PluginError)):
                raise
            if self._on_fault:
                self._on_fault(f"answering by words alone: {error}")
            return self._hits(replace(query, mode="lexical"))

    def _reason(self, query: Query, hits: Hits) -> str:
        """Return why there is no hit, or what of the question was not looked up."""
        from patina_hooks.search.remarks.no_hits import IndexedTexts, explain_no_hits, remark_on

        if hits:
            return remark_on(query.text)
        with self.reading() as log:
            texts = IndexedTexts.read(log.connection, query)
        return explain_no_hits(query, texts, lambda other: len(self._answer(other)))

    def _hits(self, query: Query) -> Hits:
        """Return the hits, by one view of the log. Raises as `_hits_by_vectors` does."""
        with self.reading() as log:
            only = self._filters_of(log).allowed(self._memory.repository, query, log.fact("folder"))
            if query.mode != "lexical":
                return self._hits_by_vectors(log, query, only)
            view = StoreView(log.connection, only, None, self._groups)
            return Hits(self._ranked(view, query, {}, self._refinement(log, query))[0])

    def _ranked(
        self, view: StoreView, query: Query, stored: Mapping[str, float], refinement: Refinement | None
    ) -> tuple[list[Hit], Evidence]:
        """Ask the retrievers of a mode, rank what they find, and make hits of it. stored: see `weigh`."""
        retrievers = self.retrievers()
        weights = weigh([retriever.spec for retriever in retrievers], stored)
        question = refinement.rewrite(query.text, view) if refinement else query.text
        evidence = retrieve(question, view, [one for one in retrievers if _takes_part(one, query.mode)])
        ranking = rank(query.text, view, evidence, weights, refinement)
        return make_hits(view, evidence, ranking, query.limit), evidence

    def _refinement(self, log: Log, query: Query) -> Refinement | None:
        """Open the rewriters, rerankers and filters that a query names, or else the recipe."""
        steps = _steps_of(query, recorded_steps(log))
        if steps == SearchSteps():
            return None
        from patina_hooks.search.retrieval.refinement import open_refinement

        if self._refined is None or self._refined[0] != steps:
            self._refined = (steps, open_refinement(self._memory.plugins, steps, self._tell_fault))
        return self._refined[1]

    def _check_steps(self, query: Query) -> None:
        """Raise `PluginError` for a step that a query names and no plugin provides."""
        steps = _steps_of(query, SearchSteps())
        if steps != SearchSteps():
            from patina_hooks.search.retrieval.refinement import check_names

            check_names(self._memory.plugins, steps)

    def retrievers(self) -> list[Retriever]:
        """Return all retrievers, which are opened once."""
        if self._retrievers is None:
            self._retrievers = open_retrievers(self._memory.plugins, self._tell_fault)
        return self._retrievers

    def _tell_fault(self, fault: Fault) -> None:
        if self._on_fault:
            self._on_fault(f"{fault.plugin}: {fault.where}: {fault.error}")

    def _filters_of(self, log: Log) -> Filters:
        from patina_hooks.search.filters.filters import Filters

        self._filters = self._filters or Filters(log.connection)
        return self._filters

    def _hits_by_vectors(self, log: Log, query: Query, only: Allowed) -> Hits:
        """Answer by vectors, with words or without.

        Raises:
            IndexDamaged: there are no vectors, or they cannot be used.
            PluginError: model or index cannot be opened.
        """
        space = active_space(log)
        if space is None:
            raise IndexDamaged("no vectors are here yet", hint="patina sync")
        refinement = self._refinement(log, query)
        encode = self._encoding(space, query, early=not (refinement and refinement.rewriters))

        def nearest(question: str, limit: int, texts: frozenset[bytes] | None) -> list[tuple[bytes, float]]:
            search = self._open_index(log, space)
            return search(encode(question), limit, texts)

        view = StoreView(log.connection, only, nearest, self._groups)
        stored = stored_weights(self._memory.repository.state, space)
        unknown = unknown_names(stored, (retriever.name for retriever in self.retrievers()))
        if unknown and self._on_fault:
            self._on_fault(remark_on_unknown(unknown))
        hits, evidence = self._ranked(view, query, stored, refinement)
        close = closeness(view, query.text, evidence)
        return Hits(hits, close.is_close(self._random_similarity(log, space)) if hits else None)

    def _random_similarity(self, log: Log, space: VectorSpace) -> float | None:
        """Return what two random texts have, sampled once for as long as the index stays as it is."""
        from patina_hooks.search.remarks.closeness import random_similarity

        generation = log.fact("generation", "0")
        if self._random is None or self._random[:2] != (space, generation):
            state, plugins = self._memory.repository.state, self._memory.plugins
            self._random = (space, generation, random_similarity(log.connection, state, space, plugins))
        return self._random[2]

    def _encoding(self, space: VectorSpace, query: Query, *, early: bool) -> Callable[[str], Vectors]:
        """Return what gives the vector of a question, the query's or another text, when it is needed.

        Words are looked up meanwhile. early: a model that is open reads the query in another thread; one that
        is not is opened in this thread, since that imports.
        """

        @cache
        def encode(text: str) -> Vectors:
            vector: Vectors = self.models.checked(space).encode([text], role="query").vectors[0]
            return vector

        if not early or not self.models.is_checked(space) or query.mode != "hybrid":
            return encode
        # 4 ms to import: a cold question does without.
        from concurrent.futures import ThreadPoolExecutor

        self._thread = self._thread or ThreadPoolExecutor(1)
        vector = self._thread.submit(encode, query.text)
        return lambda text: vector.result() if text == query.text else encode(text)

    def _open_index(self, log: Log, space: VectorSpace) -> Near:
        """Return the search of the index as the last sync left it, for a model's own vector [d]."""
        plugins, state = self._memory.plugins, self._memory.repository.state
        generation = log.number("generation") or 0
        if self._index is None or self._index[:2] != (space, generation):
            index = space.open(plugins, state)
            if index.stats().generation < generation:
                raise IndexDamaged("the vectors are older than the log, or gone", hint="patina sync")
            project = space.open_projection(plugins, state)

            def search(query: Vectors, most: int, only: frozenset[bytes] | None) -> list[tuple[bytes, float]]:
                return index.search(project(query[None])[0] if project else query, most, only)

            self._index = (space, generation, search)
        return self._index[2]


def _takes_part(retriever: Retriever, mode: Mode) -> bool:
    return mode == "hybrid" or retriever.spec.vectors == (mode == "vector")


def _steps_of(query: Query, steps: SearchSteps) -> SearchSteps:
    """Return the steps of a recipe, with those that a query names in their place."""
    named = {"rewriters": query.rewriters, "rerankers": query.rerankers, "filters": query.filters}
    return replace(steps, **{kind: names for kind, names in named.items() if names is not None})
