"""The contract of what plugins add to a search: retrievers, query rewriters, rerankers and filters.

In the author's tests, a test for each check:

    from patina_hooks.testing import SearchCheck, retriever_contract

    @retriever_contract("names")
    def test_contract(check: SearchCheck) -> None:
        check()

Every function answers questions about a small repository through several views: everything, decisions only,
nothing, and what a question of an evaluation may see. `patina doctor` runs the same checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from patina_hooks.errors import PluginError
from patina_hooks.plugins.hook_threads import HookThread, HookTimeout
from patina_hooks.plugins.kinds import FILTERS, RERANKERS, RETRIEVERS, REWRITERS, Kind
from patina_hooks.plugins.manager import Plugins
from patina_hooks.search.fusion import WEIGHTS
from patina_hooks.search.retrieval import step_calls
from patina_hooks.search.retrieval.builtin import BUILTIN_RETRIEVERS
from patina_hooks.search.retrieval.lent_view import LentView
from patina_hooks.search.retrieval.ranking import list_candidates, rank
from patina_hooks.search.retrieval.retrieve import retrieve
from patina_hooks.search.retrieval.step_results import read_groups, read_order, read_question, read_scores
from patina_hooks.testing.contract import CheckResult, check_module_is_light, require
from patina_hooks.testing.small_memory import SmallMemory

if TYPE_CHECKING:
    import pytest

    from patina_hooks.plugins.calls import PluginFunction
    from patina_hooks.search.retrieval.ranked_view import RankedView
    from patina_hooks.specs.retrieval import RankedGroup

QUESTIONS: Final = (
    "why do MARMOTS whistle at eagles",
    "what was decided about the oven of the bakers",
    "the",
    "zyzzyva",
    "study of pilots",
)
ODD_QUESTIONS: Final = (
    "", " \n\t ", "?!", "\0", "a\0b", '" OR * NEAR(', "title : x", "\u202e\x1b[31m", "日本語 🙂",
    "Straße naïve", "oven " * 5_000, "x" * 20_000,
)  # fmt: skip
_KINDS: Final[tuple[Kind[Any], ...]] = (RETRIEVERS, REWRITERS, RERANKERS, FILTERS)
_LIMIT: Final = 50
_NEAR: Final = 1e-6

Answer = Mapping[object, float]
"""What a function returned, in a form that does not depend on the numbers of a view."""


class _WatchedView(LentView):
    """A view that records whether vectors were requested."""

    vectors_requested = False

    def nearest(self, question: str, limit: int) -> Mapping[int, float]:
        self.vectors_requested = True
        return super().nearest(question, limit)


@dataclass(frozen=True, slots=True, eq=False)
class SearchSubject:
    """What is checked: a function of a plugin, its spec and module, and the repository it answers for."""

    kind: Kind[Any]
    spec: Any
    function: PluginFunction
    module: str
    memory: SmallMemory
    thread: HookThread

    def call(self, question: str, view: RankedView, limit: int = _LIMIT) -> object:
        """Return the raw result of the function.

        Raises:
            AssertionError: it does not return in time.
        """
        return self._run(lambda: self._call_function(question, _WatchedView(view), view, limit))

    def answer(self, question: str, view: RankedView, limit: int = _LIMIT) -> Answer:
        """Return the result of the function, read as a search reads it."""
        candidates = candidates_of(question, view)
        readers: Mapping[str, Callable[[Any], Answer]] = {
            RETRIEVERS.noun: lambda result: _by_content(read_scores(result, view, limit), view),
            REWRITERS.noun: lambda result: {read_question(result): 1.0},
            RERANKERS.noun: lambda result: _by_rank(read_order(result, candidates)),
            FILTERS.noun: lambda result: dict.fromkeys(read_groups(result), 1.0),
        }
        reader = readers[self.kind.noun]
        answer: Answer = self._run(lambda: reader(self._call_function(question, LentView(view), view, limit)))
        return answer

    def requests_vectors(self, question: str, view: RankedView) -> bool:
        """Return whether the function requests the nearest vectors of a view."""
        watched = _WatchedView(view)
        self._run(lambda: self._call_function(question, watched, view, _LIMIT))
        return watched.vectors_requested

    def views(self) -> Iterator[tuple[str, RankedView]]:
        """Yield views that show something, each with its name."""
        yield "everything", self.memory.whole()
        yield "decisions only", self.memory.filtered()
        yield "an evaluation", self.memory.past()[0]

    def _call_function(self, question: str, lent: LentView, view: RankedView, limit: int) -> object:
        if self.kind is RETRIEVERS:
            return self.function.function(question, lent, limit)
        if self.kind is REWRITERS:
            return self.function.function(question, lent)
        return self.function.function(question, candidates_of(question, view), lent)

    def _run(self, task: Callable[[], Any]) -> Any:  # noqa: ANN401 (of a plugin)
        require(not self.thread.is_abandoned, "an earlier call did not return")
        try:
            with self.function.guarded():
                return self.thread.call(task, step_calls.STEP_SECONDS)
        except HookTimeout:
            raise AssertionError(f"it does not return within {step_calls.STEP_SECONDS:g} s") from None


@dataclass(frozen=True, slots=True)
class SearchCheck:
    """A check bound to a function: calling it raises if the function fails it."""

    name: str
    function: Callable[[SearchSubject], None]
    subject: Callable[[], SearchSubject]

    def __call__(self) -> None:
        self.function(self.subject())


@dataclass(frozen=True, slots=True)
class SearchReport:
    """The results of a function. function: its kind and name, such as "retriever names"."""

    plugin: str
    function: str
    results: tuple[CheckResult, ...]


# --- the checks ---------------------------------------------------------------------------------


def check_shape(subject: SearchSubject) -> None:
    """Return finite scores, a question, an order or groups for every question and view."""
    for _, view in subject.views():
        for question in QUESTIONS:
            subject.answer(question, view)


def check_odd_questions(subject: SearchSubject) -> None:
    """Answer empty, long and odd questions too; a rewriter gets no empty question."""
    view = subject.memory.whole()
    for question in ODD_QUESTIONS:
        if subject.kind is not REWRITERS or question.strip():
            subject.answer(question, view)


def check_empty_view(subject: SearchSubject) -> None:
    """Find nothing if nothing is visible."""
    for question in QUESTIONS:
        answer = subject.answer(question, subject.memory.empty())
        require(subject.kind is REWRITERS or not answer, "it returns something although nothing is visible")


def check_repetition(subject: SearchSubject) -> None:
    """Return the same answer again after other questions."""
    for name, view in subject.views():
        first = [subject.answer(question, view) for question in QUESTIONS]
        second = [subject.answer(question, view) for question in reversed(QUESTIONS)]
        same = all(map(_is_same, first, reversed(second)))
        require(same, f"the same question has another answer the second time ({name})")


def check_hidden_texts(subject: SearchSubject) -> None:
    """Answer a question of an evaluation as if hidden texts did not exist, nor were shown to others."""
    visible, reduced, hidden = subject.memory.past()
    questions = (*QUESTIONS, *hidden)
    answers = [subject.answer(question, reduced) for question in questions]
    unrelated = subject.memory.unseen()
    for question in questions:
        subject.answer(question, unrelated)
    for view in (visible, reduced):
        for question, answer in zip(questions, answers, strict=True):
            same = _is_same(subject.answer(question, view), answer)
            require(same, f"texts hidden from a question change its answer: {question!r}")


def check_no_writes(subject: SearchSubject) -> None:
    """Do not change what is stored."""
    before = subject.memory.stored_files()
    check_shape(subject)
    require(subject.memory.stored_files() == before, "it changes the files of the store")


def check_light_import(subject: SearchSubject) -> None:
    """Import the plugin's module in a fresh process without heavy modules."""
    check_module_is_light(subject.module)


def check_limit(subject: SearchSubject) -> None:
    """Return at most `limit` scores."""
    for name, view in subject.views():
        for limit in (1, 3, _LIMIT):
            for question in QUESTIONS:
                result = subject.call(question, view, limit)
                number = len(result) if isinstance(result, Collection) else 0
                require(number <= limit, f"it returns {number} scores for the limit {limit} ({name})")


def check_visible(subject: SearchSubject) -> None:
    """Return only observations and groups that the view shows."""
    for name, view in subject.views():
        numbers = [observation.number for observation in view.observations()]
        visible = {*numbers, *(group for groups in view.groups(numbers).values() for group in groups)}
        for question in (*QUESTIONS, *subject.memory.past()[2]):
            result = subject.call(question, view)
            keys = set(result) if isinstance(result, Mapping) else set()
            require(keys <= visible, f"it returns what the view does not show ({name})")


def check_vectors(subject: SearchSubject) -> None:
    """State `vectors=True` if the function requests the nearest vectors."""
    requests = any(subject.requests_vectors(question, subject.memory.whole()) for question in QUESTIONS)
    require(subject.spec.vectors or not requests, "it requests vectors; its spec must state vectors=True")


def check_candidates(subject: SearchSubject) -> None:
    """Keep only candidates."""
    for name, view in subject.views():
        for question in QUESTIONS:
            groups = {candidate.group for candidate in candidates_of(question, view)}
            result = subject.answer(question, view).keys()
            require(result <= groups, f"it keeps groups that are not candidates ({name})")


_COMMON: Final[Mapping[str, Callable[[SearchSubject], None]]] = {
    "shape": check_shape,
    "odd questions": check_odd_questions,
    "empty view": check_empty_view,
    "repetition": check_repetition,
    "hidden texts": check_hidden_texts,
    "no writes": check_no_writes,
    "light import": check_light_import,
}
SEARCH_CHECKS: Final[Mapping[str, Mapping[str, Callable[[SearchSubject], None]]]] = {
    RETRIEVERS.noun: {
        **_COMMON, "limit": check_limit, "visible": check_visible, "vectors": check_vectors,
    },
    REWRITERS.noun: _COMMON,
    RERANKERS.noun: _COMMON,
    FILTERS.noun: {**_COMMON, "candidates": check_candidates},
}  # fmt: skip
"""The checks of each kind of function, by name. Every check limits calls to a minute, as a search does."""


# --- running them -------------------------------------------------------------------------------


def retriever_contract(name: str, *, plugins: Callable[[], Plugins] = Plugins.load) -> pytest.MarkDecorator:
    """Make a test with the argument `check` run once for every check of a retriever."""
    return _contract(RETRIEVERS, name, plugins)


def rewriter_contract(name: str, *, plugins: Callable[[], Plugins] = Plugins.load) -> pytest.MarkDecorator:
    """Make a test with the argument `check` run once for every check of a query rewriter."""
    return _contract(REWRITERS, name, plugins)


def reranker_contract(name: str, *, plugins: Callable[[], Plugins] = Plugins.load) -> pytest.MarkDecorator:
    """Make a test with the argument `check` run once for every check of a reranker."""
    return _contract(RERANKERS, name, plugins)


def filter_contract(name: str, *, plugins: Callable[[], Plugins] = Plugins.load) -> pytest.MarkDecorator:
    """Make a test with the argument `check` run once for every check of a filter."""
    return _contract(FILTERS, name, plugins)


def _contract(kind: Kind[Any], name: str, plugins: Callable[[], Plugins]) -> pytest.MarkDecorator:
    import pytest

    subject = lru_cache(maxsize=1)(lambda: open_search_subject(plugins(), kind, name, SmallMemory()))
    checks = [SearchCheck(title, check, subject) for title, check in SEARCH_CHECKS[kind.noun].items()]
    return pytest.mark.parametrize("check", checks, ids=[check.name for check in checks])


def run_search_contract(plugins: Plugins) -> list[SearchReport]:
    """Run every check of every function that plugins add to a search.

    A function that cannot be opened has a single failed result, "opens".
    """
    installed = [(kind, name) for kind in _KINDS for name in plugins.added_names(kind)]
    memory = SmallMemory() if installed else None
    return [_report(plugins, kind, name, memory) for kind, name in installed if memory]


def open_search_subject(plugins: Plugins, kind: Kind[Any], name: str, memory: SmallMemory) -> SearchSubject:
    """Open a function for its checks.

    Raises:
        PluginError: it cannot be opened.
    """
    plugin = plugins.owner(kind, name)
    return SearchSubject(
        kind, plugins.spec(kind, name), plugins.open_spec(kind, name), plugins.module_of(kind, name),
        memory, HookThread(plugin),
    )  # fmt: skip


def candidates_of(question: str, view: RankedView) -> tuple[RankedGroup, ...]:
    """Return the candidates of a reranker or a filter."""
    ranking = rank(question, view, retrieve(question, view, BUILTIN_RETRIEVERS), WEIGHTS)
    return tuple(list_candidates(view, ranking))


def _report(plugins: Plugins, kind: Kind[Any], name: str, memory: SmallMemory) -> SearchReport:
    try:
        subject = open_search_subject(plugins, kind, name, memory)
    except PluginError as error:
        results = [CheckResult("opens", False, str(error))]
    else:
        results = [_result(title, check, subject) for title, check in SEARCH_CHECKS[kind.noun].items()]
    return SearchReport(plugins.owner(kind, name), f"{kind.noun} {name}", tuple(results))


def _result(name: str, check: Callable[[SearchSubject], None], subject: SearchSubject) -> CheckResult:
    try:
        check(subject)
    except AssertionError as error:
        return CheckResult(name, False, str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return CheckResult(name, False, subject.function.failure(error))
    return CheckResult(name, True)


def _by_content(scores: Mapping[Any, float], view: RankedView) -> Answer:
    """Name observations by text and groups: their numbers are those of a view."""
    numbers = [key for key in scores if isinstance(key, int)]
    texts, groups = view.texts(numbers), view.groups(numbers)
    return {
        (texts[key], *groups[key]) if isinstance(key, int) else key: score for key, score in scores.items()
    }


def _by_rank(candidates: Collection[RankedGroup]) -> Answer:
    return {candidate.group: float(rank) for rank, candidate in enumerate(candidates)}


def _is_same(left: Answer, right: Answer) -> bool:
    return left.keys() == right.keys() and all(
        math.isclose(score, right[key], rel_tol=_NEAR, abs_tol=_NEAR) for key, score in left.items()
    )
