"""The shell code that git runs: the part in each hook, and `hook.sh`, the script that all hooks source.

A hook must cost almost nothing (starting Python costs ten times an empty hook), so it is POSIX sh made of
builtins. The part in a hook finds the state folder and sources `hook.sh` there. Only that script has the
path of the interpreter, so a repository may be moved, and a tracked hook names no path of one machine.
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

# Hooks run at the top of the work tree. git sets GIT_DIR for linked work trees and submodules, but not for
# `commit` in a main work tree (where .git is a folder) nor for post-checkout of `worktree add` (.git is a
# file: only then git is called). A linked work tree's git folder names the shared one in `commondir`.
_LOCATE = (
    "patina_git=${GIT_COMMON_DIR:-${GIT_DIR:-.git}} patina_up=",
    '[ -d "$patina_git" ] || patina_git=$(git rev-parse --git-common-dir 2>/dev/null) || patina_git=.git',
    '[ ! -f "$patina_git/commondir" ] || read -r patina_up <"$patina_git/commondir" || :',
    "case $patina_up in /* | ?:*) patina_git=$patina_up ;; ?*) patina_git=$patina_git/$patina_up ;; esac",
    "patina_state=$patina_git/patina",
    # Sourcing a named pipe would wait forever, and an unreadable file ends the shell.
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
    case "$*" in *[!0-9a-z\\ ]*) set -- ;; esac # git passes object ids, flags and words; ignore anything else

    # Append first, then start the worker: a worker that is about to end reads the spool once more.
    [ -h "$patina_state/spool" ] || { [ -e "$patina_state/spool" ] && [ ! -f "$patina_state/spool" ]; } ||
        echo "$patina_event${1:+ $*}" >>"$patina_state/spool"

    # An interpreter without patina (a virtual environment that was recreated) runs the command instead.
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


def hook_script(interpreter: str) -> bytes:
    """Return the content of `<common dir>/patina/hook.sh`. interpreter: an absolute path."""
    return _SCRIPT.encode().replace(b"@PYTHON@", os.fsencode(shlex.quote(interpreter)))


def interpreter_of(content: bytes) -> str | None:
    """Return the interpreter that a `hook.sh` records, None if it records none."""
    line = next((line for line in content.splitlines() if line.startswith(b"patina_python=")), b"=")
    words = shlex.split(os.fsdecode(line.partition(b"=")[2]))
    return words[0] if words else None


def block(event: str) -> bytes:
    """Return the lines to add to a user's shell script, after its first line.

    They do not read standard input, do not change the arguments or the exit code, and work with `set -eu`.
    """
    return _marked("", event)


def whole(event: str) -> bytes:
    """Return a whole hook.

    It differs from a user's empty script with a block.
    """
    return _SHEBANG + _marked(" (whole file)", event)


def wrapper(event: str) -> bytes:
    """Return a hook that appends the event and then executes the previous hook.

    The previous hook keeps its basename, which dispatchers use, its arguments, standard input and exit code.
    """
    old = f'"${{0%/*}}/{CHAINED}/{event}"'
    return (
        _SHEBANG
        + _marked(" (then the hook that was here)", event)
        + f'[ ! -x {old} ] || exec {old} "$@"\n'.encode()
    )


def config_command(event: str) -> str:
    """Return the value of `hook.patina-<event>.command`; git 2.54 appends "$@"."""
    return "; ".join((f"patina_event={event}", *_LOCATE))


def manual_line(event: str) -> str:
    """Return the line for a hook that patina does not own.

    It names no path of this machine.

    It does nothing if patina is not installed, and a named pipe in place of `hook.sh` does not block it.
    """
    find = f"patina_hook=$(git rev-parse --git-common-dir 2>/dev/null)/patina/{SCRIPT} || :"
    return f'{find}; [ ! -f "$patina_hook" ] || patina_event={event} sh "$patina_hook" "$@" 2>/dev/null || :'


def line(event: str) -> bytes:
    """Return the line that `patina install` adds to a hook in the work tree."""
    return f"{manual_line(event)}{_ADDED}\n".encode()


def line_file(event: str) -> bytes:
    """Return a whole hook with that line.

    It differs from a user's empty script.
    """
    return _SHEBANG + f"{manual_line(event)}{_ADDED} (whole file)\n".encode()


def has_line(content: bytes, event: str) -> bool:
    """Whether a hook has the line, also in the form of 0.1.0.

    Not as a comment.
    """
    call = f"patina_event={event} sh ".encode()
    return any(call in line and not line.lstrip().startswith(b"#") for line in content.splitlines())


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
    """Return a hook's content without patina's block; the rest is unchanged."""
    start = content.find(MARK)
    end = content.find(_END, start)
    return content if start < 0 or end < 0 else content[:start] + content[end + len(_END) :]


def is_only_ours(content: bytes, event: str) -> bool:
    """Whether a file contains only what some version of patina wrote."""
    rest = without_block(content)
    if rest == content:
        return False
    return rest == without_block(wrapper(event)) or (rest == _SHEBANG and b"(whole file)" in content)


def _marked(note: str, event: str) -> bytes:
    lines = (f"{MARK.decode()}{note} >>>", f"patina_event={event}", *_LOCATE)
    return "".join(line + "\n" for line in lines).encode() + _END
