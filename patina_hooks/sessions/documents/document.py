"""The text of a session document: render its parts, and read them back.

The format is the ancestor project's; its documents and ours are identical in form. All functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Final

from patina_hooks.config.schema import Rule
from patina_hooks.errors import SessionError, UsageError
from patina_hooks.sessions.metrics import Numbers
from patina_hooks.text.display import clean_line, strip_controls
from patina_hooks.text.session_ids import TagEdge, TagName, is_session_id, parse_tag

TITLE_LIMIT = 300
_CONTEXT = "<!-- AI: Summarize the last session from last-session.md -->"
# CSI, OSC and the two-byte escape sequences of ECMA-48: without this the letters after ESC would stay.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]"
)
_FIELD = re.compile(r"\*\*([^*:]{1,40})(?:\*\*:|:\*\*) *(.*)")
_FRONT_FIELD = re.compile(r"( *)([a-z_]{1,40}): *(.*)")
_CLASSIFIED = re.compile(r"- ([A-Z][A-Za-z ]{1,40}): *(.*)")
_WINDOW = re.compile(
    r"^### (\d\d:\d\d) - (?:Session Start$|Update \(covering since )", re.ASCII | re.MULTILINE
)
OID_PATTERN: Final = r"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_OID = re.compile(OID_PATTERN)
_HEADER_LINES = 40


def _tag_at(edge: TagEdge) -> Callable[[str], TagName]:
    def convert(text: str) -> TagName:
        tag = parse_tag(text)
        if tag is None or tag.edge != edge:
            raise ValueError
        return tag

    return convert


StartTag = Annotated[TagName, Rule("a session's start tag", stored=str, convert=_tag_at("start"))]
EndTag = Annotated[TagName, Rule("a session's end tag", stored=str, convert=_tag_at("end"))]
Oid = Annotated[str, Rule("a full object id", pattern=OID_PATTERN)]
_Count = int | None
_Numbers = Annotated[
    Numbers,
    Rule(
        "three whole numbers",
        stored=tuple[_Count, _Count, _Count],
        convert=lambda counts: Numbers(*(count or 0 for count in counts)),
    ),
]


@dataclass(frozen=True, slots=True)
class Header:
    """The first lines of a session document.

    started: UTC, YYYY-MM-DDTHH:MM:SSZ. continues: the id of the previous session, None if there is none.
    """

    title: str
    id: str
    started: str
    adapter: str
    branch: str
    start_tag: StartTag
    starting_commit: str
    continues: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a session, which is appended to its document.

    commit: of the end tag.
    numbers: None if the start is not in this repository.
    abandoned: the worker ended it: it was idle for too long, or its work tree was removed.
    """

    title: str
    start_tag: StartTag
    end_tag: EndTag
    commit: Oid
    numbers: _Numbers | None
    abandoned: bool

    @property
    def id(self) -> str:
        return self.start_tag.id

    @property
    def work_type(self) -> str:
        return self.numbers.work_type if self.numbers else "unknown"


def clean_title(text: str) -> tuple[str, bool]:
    """Clean a title to one line without control sequences.

    Return it, and whether it was cut.

    A title of more than `TITLE_LIMIT` characters is cut there, with an ellipsis as its last character.
    Raises `UsageError` if it is empty.
    """
    # Twice: a removed control character may leave two adjacent spaces.
    title = clean_line(clean_line(_ESCAPES.sub("", text)))
    if not title:
        raise UsageError("a session needs a title", hint='patina session start "title"')
    if len(title) <= TITLE_LIMIT:
        return title, False
    return title[: TITLE_LIMIT - 1].rstrip() + "…", True


def clean_note(text: str) -> str:
    """Clean the text of a note, with its line breaks.

    Raises `UsageError` if it is empty.
    """
    note = strip_controls(_ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not note:
        raise UsageError("a note needs a text", hint='patina session note "text"')
    return note


def render_document(header: Header, moment: datetime) -> str:
    """Render a new document. moment: local time of the start."""
    return (
        f"# Session: {header.title}\n"
        f"**ID**: {header.id}\n"
        f"**Started**: {header.started}\n"
        f"**LLM**: {header.adapter}\n"
        f"**Git Branch**: {header.branch}\n"
        f"**Session Tag**: {header.start_tag}\n"
        f"**Starting Commit**: {header.starting_commit}\n"
        + (f"**Continues**: {header.continues}\n" if header.continues else "")
        + f"\n## Previous Session Context\n{_CONTEXT}\n"
        f"\n## Goals\n- [ ] {header.title}\n"
        f"\n## Activity Log\n### {format_clock(moment)} - Session Start\n"
        f"Session initialized with goal: {header.title}\n"
        f"Working on branch: {header.branch}\n"
        f"Tagged as: {header.start_tag}\n\n"
    )


def render_update(moment: datetime, since: str, commits: int, files: int, last_commit: str) -> str:
    """Render an update.

    since: "HH:MM" or "session start". last_commit: relative time as git prints it.
    """
    return (
        f"\n### {format_clock(moment)} - Update (covering since {since})\n"
        "\n**Git Activity:**\n"
        f"- Commits this session: {commits}\n"
        f"- Files changed: {files}\n"
        f"- Last commit: {last_commit}\n\n"
    )


def render_note(moment: datetime, location: str, text: str) -> str:
    """Render a note. location: "<branch>@<short oid>"."""
    return f"\n### {format_clock(moment)} - Note [{location}]\n{text}\n"


def render_classification(ending: Ending) -> str:
    """Render the block that ends a document."""
    numbers = ending.numbers or Numbers()
    return (
        "\n## Session Classification\n"
        f"- Work Type: {ending.work_type}\n"
        f"- Files Changed: {numbers.files}\n"
        f"- Commits: {numbers.commits}\n"
        f"- Patterns Modified: {numbers.patterns}\n"
        f"- Session Tags: {ending.start_tag}..{ending.end_tag}\n"
        + ("- Status: abandoned\n" if ending.abandoned else "")
    )


def render_pointer(ending: Ending, path: str) -> str:
    """Render `last-session.md`. path: of the archived document, relative to the root."""
    # The last line can be pasted into a shell: in double quotes only these four characters are special.
    quoted = re.sub(r'(["$`\\])', r"\\\1", ending.title)
    return (
        f"# Last Session: {ending.title}\n"
        f"\nSee: {path}\n"
        f"Tags: {ending.start_tag}..{ending.end_tag}\n"
        f"Classification: {ending.work_type}\n"
        f'\nQuick start: patina session start "continue from {quoted}"\n'
    )


def append_block(text: str, block: str) -> str:
    """Append a block to a text, on a new line."""
    return text + ("" if not text or text.endswith("\n") else "\n") + block


def last_update(text: str) -> str:
    """Return when a document was last updated: "HH:MM", or "session start"."""
    headings = _WINDOW.findall(text)
    return headings[-1] if headings else "session start"


def format_clock(moment: datetime) -> str:
    """Format a local time as documents do."""
    return moment.strftime("%H:%M")


def format_utc(moment: datetime) -> str:
    """Format an aware moment in UTC as documents do."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_header(text: str, source: str) -> Header:
    """Read the header of an active document.

    `source` names it in a `SessionError`.
    """
    facts = read_facts(text)
    tag = parse_tag(facts.get("Session Tag", ""))
    if "title" not in facts:
        raise _unreadable(source, "its first line is not '# Session: <title>'")
    if not is_session_id(facts.get("ID", "")):
        raise _unreadable(source, "**ID** is absent or not YYYYMMDD-HHMMSS")
    if tag is None or tag.id != facts["ID"] or tag.edge != "start":
        raise _unreadable(source, f"**Session Tag** is absent or not the start tag of {facts['ID']}")
    if not _OID.fullmatch(facts.get("Starting Commit", "")):
        raise _unreadable(source, "**Starting Commit** is absent or not a commit id")
    return Header(
        title=clean_line(facts["title"]) or facts["ID"],
        id=facts["ID"],
        started=clean_line(facts.get("Started", "")),
        adapter=clean_line(facts.get("LLM", "")),
        branch=clean_line(facts.get("Git Branch", "")),
        start_tag=tag,
        starting_commit=facts["Starting Commit"],
        continues=facts["Continues"] if is_session_id(facts.get("Continues", "")) else None,
    )


def read_facts(text: str) -> dict[str, str]:
    """Read the metadata of a document: "title", the header's fields and the classification's.

    The names are those in the document ("Work Type", "Commits", ...), also for front matter.
    """
    lines = text.splitlines()
    facts = _front_matter(lines) if lines and lines[0].strip() == "---" else _header(lines)
    starts = [n for n, line in enumerate(lines) if line.startswith("## Session Classification")]
    for line in lines[starts[-1] + 1 :] if starts else ():
        match = _CLASSIFIED.fullmatch(line.rstrip())
        if match:
            facts.setdefault(match[1], match[2].strip())
        elif line.startswith("#"):
            break
    return facts


def _header(lines: list[str]) -> dict[str, str]:
    facts = {}
    for line in lines[:_HEADER_LINES]:
        if line.startswith("# ") and "title" not in facts:
            facts["title"] = line[2:].removeprefix("Session:").strip()
        elif match := _FIELD.fullmatch(line.rstrip()):
            facts.setdefault(match[1].strip(), match[2].strip())
        elif line.startswith("## "):
            break
    return facts


_FRONT_NAMES: Mapping[str, str] = {
    "title": "title",
    "id": "ID",
    "created": "Started",
    "llm": "LLM",
    "branch": "Git Branch",
    "start_tag": "Session Tag",
    "starting_commit": "Starting Commit",
}


def _front_matter(lines: list[str]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for line in lines[1:_HEADER_LINES]:
        if line.strip() == "---":
            break
        match = _FRONT_FIELD.fullmatch(line.rstrip())
        if match and match[2] in _FRONT_NAMES:
            facts.setdefault(_FRONT_NAMES[match[2]], match[3].strip("\"'"))
    return facts


def _unreadable(source: str, reason: str) -> SessionError:
    return SessionError(
        f"{source} is not a session document: {reason}",
        hint=f"correct its first lines, or move it: mv {source} {source}.broken",
    )
