"""Reasons why a history gives no question for a query set, in the order in which the sets filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from patina_hooks.evaluation.history import History, PastCommit, PastSession
from patina_hooks.evaluation.query_sets.file_sets import HOTTEST, MOST_PATHS, has_informative_message
from patina_hooks.evaluation.query_sets.mining import SHORTEST
from patina_hooks.evaluation.query_sets.session_sets import SHORTEST_CONTEXT, SUBSTANCE

NO_DOCUMENTS: Final = "no session documents"


def explain_empty_set(name: str, history: History) -> str:
    """Return why a mined set has no question in this history."""
    return _REASONS[name](history)


def _context(history: History) -> str:
    if not history.sessions:
        return NO_DOCUMENTS
    if len(history.sessions) == 1:
        return "needs 2 session documents, there is 1"
    if not _has_text(history.sessions[1:], frozenset({"context"}), SHORTEST_CONTEXT, first=True):
        return f"no session after the first has a context of at least {SHORTEST_CONTEXT} characters"
    return "no session before one with a context says anything else"


def _commit_session(history: History) -> str:
    if not history.sessions:
        return NO_DOCUMENTS
    documented = {session.id for session in history.sessions}
    commits = [commit for commit in history.commits if documented.intersection(commit.ranges)]
    if not commits:
        return "no commit belongs to a session with a document"
    commits = [commit for commit in commits if not commit.bookkeeping]
    if not commits:
        return "the commits of sessions are all merges or change only session documents"
    if not _has_message(commits):
        return f"the commits of sessions have no message of at least {SHORTEST} characters"
    return "the session documents only repeat the messages of their commits"


def _goal(history: History) -> str:
    if not history.sessions:
        return NO_DOCUMENTS
    if not any(len(text) >= SHORTEST for text in map(_aims, history.sessions)):
        return f"no session has a title and goals of at least {SHORTEST} characters"
    return "the session documents say nothing but their titles and goals"


def _held_out(history: History) -> str:
    if not history.sessions:
        return NO_DOCUMENTS
    if not _has_text(history.sessions, SUBSTANCE, SHORTEST_CONTEXT):
        kinds = ", ".join(sorted(SUBSTANCE))
        return f"no session has an observation of at least {SHORTEST_CONTEXT} characters ({kinds})"
    return "the session documents say nothing but the held-out observations"


def _commit_files(history: History) -> str:
    return "; ".join(_without_files(history)) or "no commit changes a file that an earlier commit changed"


def _commit_files_cold(history: History) -> str:
    cold = f"no commit changes an earlier file other than the {HOTTEST} most changed ones"
    return "; ".join(_without_files(history)) or cold


def _without_files(history: History) -> Iterator[str]:
    commits = [commit for commit in history.commits if has_informative_message(commit)]
    if not history.commits:
        yield "no commits"
    elif not commits:
        yield f"needs commits that change 1 to {MOST_PATHS} files and are not merges"
    elif not _has_message(commits):
        yield f"no commit has a message of at least {SHORTEST} characters"


def _has_message(commits: list[PastCommit]) -> bool:
    return any(len(commit.message) >= SHORTEST for commit in commits)


def _has_text(
    sessions: tuple[PastSession, ...], kinds: frozenset[str], length: int, *, first: bool = False
) -> bool:
    """Tell whether a session has a long enough text of these kinds. first: only its first one counts."""
    for session in sessions:
        texts = [piece.text for piece in session.pieces if piece.kind in kinds]
        if any(len(text) >= length for text in (texts[:1] if first else texts)):
            return True
    return False


def _aims(session: PastSession) -> str:
    goals = [piece.text for piece in session.pieces if piece.kind == "goal"]
    return "\n".join(dict.fromkeys(filter(None, [session.title, *goals])))


_REASONS: Final[Mapping[str, Callable[[History], str]]] = {
    "context": _context,
    "commit_session": _commit_session,
    "goal": _goal,
    "held_out": _held_out,
    "commit_files": _commit_files,
    "commit_files_cold": _commit_files_cold,
}
"""Set -> the reason for its emptiness."""
