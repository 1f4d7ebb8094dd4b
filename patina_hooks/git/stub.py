"""The shell that git runs: what stands in a hook, and the one script that a repository's hooks lead to.

A hook must not be felt (Python alone costs ten times an empty hook), so it is POSIX sh made of builtins.
What stands in a hook finds the state folder and sources `hook.sh` there; that script is where the
interpreter's path is, so a repository may be moved, and a tracked hook names nothing of one machine.
"""

from __future__ import annotations

import os
import re
import shlex

SCRIPT = "hook.sh"
MARK = b"# >>> patina-hooks"
CHAINED = "patina-chained"
_END = b"# <<< patina-hooks <<<\n"
_SHEBANG = b"#!/bin/sh\n"
_ADDED = " # added by patina install"

# Hooks run at the top of the work tree. git sets GIT_DIR for linked work trees and submodules, and leaves
# it out for `commit` in a main work tree (.git is a folder there) and for post-checkout of `worktree add`
# (.git is a file: only then is git asked). A linked work tree's git folder names the shared one in
# `commondir`.
_LOCATE = (
    "patina_git=${GIT_COMMON_DIR:-${GIT_DIR:-.git}} patina_up=",
    '[ -d "$patina_git" ] || patina_git=$(git rev-parse --git-common-dir 2>/dev/null) || patina_git=.git',
    '[ ! -f "$patina_git/commondir" ] || read -r patina_up <"$patina_git/commondir" || :',
    "case $patina_up in /* | ?:*) patina_git=$patina_up ;; ?*) patina_git=$patina_git/$patina_up ;; esac",
    "patina_state=$patina_git/patina",
    # Sourcing a named pipe would wait for ever, and what cannot be read ends the shell.
    '[ ! -f "$patina_state/hook.sh" ] || [ ! -r "$patina_state/hook.sh" ] || . "$patina_state/hook.sh"',
)

_SCRIPT = """\
# patina-hooks: what this repository's git hooks run, with $patina_event set and the hook's own arguments.
# It notes the event and starts the worker, which does the work. It never fails, prints, waits or reads.
# `patina install` writes this file, `patina uninstall` removes it.
patina_python=@PYTHON@
patina_start='
import os, sys
from importlib.util import find_spec
sys.path = [folder for folder in sys.path if folder]
event = sys.argv.pop(1)
if find_spec("patina_hooks"):
    import runpy
    runpy.run_module("patina_hooks.upkeep.worker", run_name="__main__", alter_sys=True)
else:
    import shutil
    command = shutil.which("patina")
    os.chdir(sys.argv[2])
    command and os.execv(command, [command, "hook", event])
'
patina_state=${patina_state:-${0%/*}}

patina_notify() {
    [ "${PATINA_SKIP:-}" != 1 ] || return 0
    [ -z "${CI:-}" ] || [ "${PATINA_CI:-}" = 1 ] || return 0
    case $patina_state in /* | ?:*) ;; *) patina_state=$PWD/$patina_state ;; esac
    case "$*" in *[!0-9a-z\\ ]*) set -- ;; esac # git gives object ids, flags and words; all else is noise

    # First the note, then the worker: one that is about to end looks at the spool once more.
    [ -h "$patina_state/spool" ] || { [ -e "$patina_state/spool" ] && [ ! -f "$patina_state/spool" ]; } ||
        echo "$patina_event${1:+ $*}" >>"$patina_state/spool"

    # An interpreter that has no patina (a virtual environment that was made again) hands on to the command.
    patina_from=/ # Python would import from the current folder, and that is the repository's
    if [ -x "$patina_python" ]; then
        set -- "$patina_python" -c "$patina_start" "$patina_event" "${patina_state%/*}" "$PWD"
    elif command -v patina; then
        set -- patina hook "$patina_event"
        patina_from=.
    else
        return 0
    fi
    ! command -v setsid || set -- setsid "$@"

    # A caller that captures git's output waits until every copy of the pipe is closed: close them all.
    { cd "$patina_from" && exec "$@"; } 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
}
patina_notify "$@" </dev/null >/dev/null 2>&1 || :
"""


def script(interpreter: str) -> bytes:
    """The content of `<common dir>/patina/hook.sh`; `interpreter` is an absolute path."""
    return _SCRIPT.encode().replace(b"@PYTHON@", os.fsencode(shlex.quote(interpreter)))


def interpreter_of(content: bytes) -> str | None:
    """The interpreter that a `hook.sh` records, None where it records none."""
    line = next((line for line in content.splitlines() if line.startswith(b"patina_python=")), b"=")
    words = shlex.split(os.fsdecode(line.partition(b"=")[2]))
    return words[0] if words else None


def block(event: str) -> bytes:
    """The lines that go into a shell script of the user's, right after its first line.

    They read no standard input, leave the arguments and the exit code alone, and survive `set -eu`.
    """
    return _marked("", event)


def whole(event: str) -> bytes:
    """A hook where there was none; it can be told from a user's own empty script with a block in it."""
    return _SHEBANG + _marked(" (whole file)", event)


def wrapper(event: str) -> bytes:
    """A hook that notes the event and then becomes the one that was there before.

    The old hook keeps its basename, which dispatchers go by, its arguments, standard input and exit code.
    """
    old = f'"${{0%/*}}/{CHAINED}/{event}"'
    return (
        _SHEBANG
        + _marked(" (then the hook that was here)", event)
        + f'[ ! -x {old} ] || exec {old} "$@"\n'.encode()
    )


def config_command(event: str) -> str:
    """The value of `hook.patina-<event>.command`; git (2.54) appends the hook's arguments as "$@"."""
    return "; ".join((f"patina_event={event}", *_LOCATE))


def by_hand(event: str) -> str:
    """Return the line for a hook of others; it names nothing of this machine.

    It does nothing where patina is not installed, and a named pipe in place of `hook.sh` does not hang it.
    """
    find = f"patina_hook=$(git rev-parse --git-common-dir 2>/dev/null)/patina/{SCRIPT} || :"
    return f'{find}; [ ! -f "$patina_hook" ] || patina_event={event} sh "$patina_hook" "$@" 2>/dev/null || :'


def line(event: str) -> bytes:
    """Return the line that `patina install` adds to a hook in the work tree."""
    return f"{by_hand(event)}{_ADDED}\n".encode()


def line_alone(event: str) -> bytes:
    """Return a hook with that line where there was none; it differs from a user's own empty script."""
    return _SHEBANG + f"{by_hand(event)}{_ADDED} (whole file)\n".encode()


def has_line(content: bytes, event: str) -> bool:
    """Whether a hook has the line, which 0.1.0 wrote in another form; not as a comment."""
    call = f"patina_event={event} sh ".encode()
    return any(call in text and not text.lstrip().startswith(b"#") for text in content.splitlines())


def has_added_line(content: bytes, event: str) -> bool:
    """Whether a hook has the line with the mark of `patina install`."""
    return bool(_added(event).search(content))


def without_line(content: bytes, event: str) -> bytes:
    """Return a hook's content without the line that `patina install` added."""
    return _added(event).sub(b"", content)


def _added(event: str) -> re.Pattern[bytes]:
    text = f"^[^\n#]*patina_event={event} sh [^\n]*{_ADDED}[^\n]*\n"
    return re.compile(text.encode(), re.MULTILINE)


def without_block(content: bytes) -> bytes:
    """A hook's content with our block taken out; what was written around it stays as it is."""
    start = content.find(MARK)
    end = content.find(_END, start)
    return content if start < 0 or end < 0 else content[:start] + content[end + len(_END) :]


def is_ours_alone(content: bytes, event: str) -> bool:
    """Whether nothing but ours is in this file, whichever version of patina wrote it."""
    rest = without_block(content)
    if rest == content:
        return False
    return rest == without_block(wrapper(event)) or (rest == _SHEBANG and b"(whole file)" in content)


def _marked(note: str, event: str) -> bytes:
    lines = (f"{MARK.decode()}{note} >>>", f"patina_event={event}", *_LOCATE)
    return "".join(line + "\n" for line in lines).encode() + _END
