"""One engine answers for the command line, Python and evaluation: words, vectors and what plugins add.

An engine keeps models, indexes and logs open from one question to the next. What a question does not need is
imported by the method that does: a cold one waits for every import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from patina_hooks.config.configuration import load_user_redaction
from patina_hooks.config.search_steps import SearchSteps
from patina_hooks.errors import IndexDamaged, PluginError, UsageError
from patina_hooks.search.collection_search import CollectionSearch
from patina_hooks.search.open_models import OpenModels
from patina_hooks.search.query import Hits, Query
from patina_hooks.search.question_vectors import QuestionVectors
from patina_hooks.search.retrieval.retrieve import Retriever, open_retrievers
from patina_hooks.search.retrieval.step_calls import StepCalls
from patina_hooks.search.steps import recorded_steps
from patina_hooks.specs.sources import COLLECTIONS, HISTORY
from patina_hooks.store.recorded_faults import read_question_faults, record_question_faults

if TYPE_CHECKING:
    from patina_hooks.search.opening import Opening
    from patina_hooks.search.retrieval.refinement import Refinement
    from patina_hooks.specs.plugins import RecordedError
    from patina_hooks.store.log import Log
    from patina_hooks.store.memory import Memory


class SearchEngine:
    """Answers questions of one memory, for any thread, but not for several at once."""

    def __init__(self, memory: Memory, opening: Opening | None = None) -> None:
        """Create an engine. opening: the active model, which a command has started to open."""
        self.models = OpenModels(memory, opening)
        self._memory = memory
        self._collections = {name: CollectionSearch(memory, name) for name in COLLECTIONS}
        self._calls = StepCalls(memory.plugins, self._add_fault)
        self._faults: list[RecordedError] = []
        self._retrievers: list[Retriever] | None = None
        self._refined: tuple[SearchSteps, Refinement] | None = None
        self._on_fault: Callable[[str], None] | None = None
        self._remarks: set[str] = set()

    def close(self) -> None:
        """Let go of models, indexes and logs; the object may be used again."""
        self.close_logs()
        self.models.close()
        for collection in self._collections.values():
            collection.close_index()

    @property
    def history(self) -> CollectionSearch:
        """The collection of commits and sessions."""
        return self._collections[HISTORY]

    def close_logs(self) -> None:
        """Close the logs; the next question opens them again."""
        for collection in self._collections.values():
            collection.close_log()

    def reading(self) -> AbstractContextManager[Log]:
        """Give one consistent view of the log of history."""
        return self.history.reading()

    def search(self, query: Query, on_fault: Callable[[str], None] | None = None) -> Hits:
        """Answer a question; see `patina_hooks.Patina.search`."""
        self._check_steps(query)
        question = load_user_redaction().remove(query.text)
        if not question and query.text:
            return Hits(reason="the question holds nothing but secrets")
        query = replace(query, text=question)
        self._on_fault, self._remarks = on_fault, set()
        try:
            hits = self._answer(query)
            hits.reason = self._reason(query, hits)
        finally:
            self._on_fault = None
        self._record_faults()
        return hits

    # --- one question ---------------------------------------------------------------------------

    def _answer(self, query: Query) -> Hits:
        """Answer from each collection that is asked, in blocks.

        A filter that a collection knows nothing of leaves it out, and so do vectors that are still to come in
        `mode="vector"`; what all refuse is an error.
        """
        blocks: list[Hits] = []
        refusals: list[UsageError | IndexDamaged] = []
        refinement = self._refinement(query)
        vectors = QuestionVectors(self.models, query, early=not (refinement and refinement.rewriters))
        for collection in self._asked(query):
            try:
                blocks.append(self._block(collection, query, vectors, refinement))
            except (UsageError, IndexDamaged) as error:
                refusals.append(error)
        if refusals and not blocks:
            raise refusals[0]
        hits = [hit for block in blocks for hit in block]
        verdicts = [block.close_match for block in blocks if block.close_match is not None]
        return Hits(hits, any(verdicts) if verdicts else None)

    def _asked(self, query: Query) -> Iterator[CollectionSearch]:
        """Yield the collections that a query names, or all; history always has a log to answer from."""
        for name, collection in self._collections.items():
            named = name in query.collections if query.collections else True
            if named and (name == HISTORY or collection.is_stored):
                yield collection

    def _block(
        self,
        collection: CollectionSearch,
        query: Query,
        vectors: QuestionVectors,
        refinement: Refinement | None,
    ) -> Hits:
        """Answer by words and vectors, or by words where vectors cannot be had. Raises as `search` does."""

        def hits(query: Query) -> Hits:
            return collection.hits(query, self.retrievers(), vectors, refinement, self._remark)

        try:
            try:
                return hits(query)
            except IndexDamaged:
                # Since our view of the log, a sync may have merged files, or have had another index answer.
                collection.close_index()
                return hits(query)
        except (PluginError, IndexDamaged) as error:
            if query.mode == "vector" or (self._memory.plugins.is_strict and isinstance(error, PluginError)):
                raise
            self._remark_on_words(collection.name, error)
            return hits(replace(query, mode="lexical"))

    def _reason(self, query: Query, hits: Hits) -> str:
        """Return why there is no hit, or what of the question was not looked up."""
        from patina_hooks.search.remarks.no_hits import IndexedTexts, explain_no_hits, remark_on

        if hits:
            return remark_on(query.text)
        answering = next(self._asked(query), None)
        if answering is None:
            return _not_indexed(query)
        with answering.reading() as log:
            texts = IndexedTexts.read(log.connection, query)
        if answering.name != HISTORY and not texts.total:
            return _not_indexed(query)
        return explain_no_hits(query, texts, lambda other: len(self._answer(other)))

    def _refinement(self, query: Query) -> Refinement | None:
        """Open the rewriters, rerankers and filters that a query names, or else the recipe."""
        with self.reading() as log:
            steps = _steps_of(query, recorded_steps(log))
        if steps == SearchSteps():
            return None
        from patina_hooks.search.retrieval.refinement import open_refinement

        if self._refined is None or self._refined[0] != steps:
            self._refined = (steps, open_refinement(self._calls, steps))
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
            self._retrievers = open_retrievers(self._calls)
        return self._retrievers

    def _remark_on_words(self, collection: str, error: PluginError | IndexDamaged) -> None:
        """Tell that words answer without vectors; a collection is named where history has vectors."""
        remark = f"answering by words only: {error}"
        if collection != HISTORY and remark not in self._remarks:
            remark = f"answering from {collection} by words only: {error}"
        self._remark(remark)

    def _add_fault(self, fault: RecordedError) -> None:
        self._faults.append(fault)
        self._remark(f"{fault.plugin}: {fault.where}: {fault.error}")

    def _record_faults(self) -> None:
        """Record what plugins did wrong at this question; what succeeds now is no longer recorded."""
        faults, self._faults = tuple(self._faults), []
        called = frozenset(self._calls.called)
        self._calls.called.clear()
        with self.reading() as log:
            before = read_question_faults(log)
        if before or faults:
            names = self._memory.plugins.names()
            accepted = [
                fault
                for fault in before
                if fault.plugin in names and (fault.plugin, fault.where) not in called
            ]
            record_question_faults(self._memory.repository.state, before, [*accepted, *faults])

    def _remark(self, text: str) -> None:
        """Tell the caller once a question, whichever collections the remark is about."""
        if self._on_fault and text not in self._remarks:
            self._remarks.add(text)
            self._on_fault(text)


def _not_indexed(query: Query) -> str:
    return f"nothing is indexed in {', '.join(query.collections)}"


def _steps_of(query: Query, steps: SearchSteps) -> SearchSteps:
    """Return the steps of a recipe, with those that a query names in their place."""
    named = {"rewriters": query.rewriters, "rerankers": query.rerankers, "filters": query.filters}
    return replace(steps, **{kind: names for kind, names in named.items() if names is not None})
