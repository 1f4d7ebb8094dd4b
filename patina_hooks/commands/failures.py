"""Report an error to the user, and name its exit code."""

from __future__ import annotations

import errno
import os
from typing import Final

import click

from patina_hooks.commands.messages import say
from patina_hooks.commands.streams import close_stdout
from patina_hooks.errors import PatinaError, StateError

_DISK_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_PATH_ERRORS: Final = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP),
    errno.ENAMETOOLONG,
)
"""Errors of a user's folder: where a file is named, they are not a bug of patina."""
_BUG: Final = 3


def report(error: Exception) -> int:
    """Print an error with the command to try.

    Returns:
        The exit code.
    """
    if isinstance(error, PatinaError):
        return _report_expected(error)
    if isinstance(error, OSError) and (expected := _expected_os_error(error)):
        return _report_expected(expected)
    return _report_bug(error)


def _report_expected(error: PatinaError) -> int:
    say(str(error), hint=error.hint)
    return error.exit_code


def _expected_os_error(error: OSError) -> PatinaError | None:
    if error.errno in _DISK_ERRORS:
        return _disk_error(error)
    if error.errno == errno.ENOENT and error.filename is None and _is_current_folder_missing():
        return StateError("the current folder does not exist any more", hint="cd ..")
    if error.errno == errno.ENOENT and "temporary directory" in str(error):
        return StateError("cannot write temporary files: no folder is writable", hint='export TMPDIR="$HOME"')
    if error.errno in _PATH_ERRORS and error.filename is not None:
        return _path_error(error)
    return None


def _is_current_folder_missing() -> bool:
    from pathlib import Path

    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _path_error(error: OSError) -> PatinaError:
    """Name a path that cannot be used; the hint lists its nearest existing parent."""
    import shlex
    from pathlib import Path

    path = Path(str(error.filename))
    existing = next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), path)
    return StateError(f"cannot use {path}: {error.strerror}", hint=f"ls -ld {shlex.quote(str(existing))}")


def _disk_error(error: OSError) -> PatinaError:
    """Name what a full or failing disk did not take; an error that names no file is of stdout."""
    if error.filename is None:
        close_stdout()
    output = error.filename or "the output"
    return StateError(f"cannot write {output}: {error.strerror}", hint="df -h")


def _report_bug(error: Exception) -> int:
    """Keep the traceback in a file, and print its path."""
    import tempfile
    import traceback

    from patina_hooks.config.configuration import load_user_redaction
    from patina_hooks.text.display import strip_controls

    # An error may quote texts of the repository, and users send the file to others.
    redact = load_user_redaction().redact
    text = redact("".join(traceback.format_exception(error)))
    say(f"this is a bug: {redact(f'{type(error).__name__}: {error}')}")
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="patina-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as log:
            log.write(text)
    except OSError:  # no folder for temporary files
        click.echo(strip_controls(text), err=True)
    else:
        click.echo(f"  the traceback is in {log.name}", err=True)
    return _BUG
