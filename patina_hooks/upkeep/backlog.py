"""Events that hooks wrote and that no process in the background has read."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from patina_hooks.git import spool
from patina_hooks.system.files import read_regular
from patina_hooks.text.display import format_count

_WORKER_LOCK: Final = "worker.lock"
_PATIENCE: Final = 60  # seconds that a worker may take to start


def describe_unread_events(state: Path) -> str:
    """Return a message if events are pending and no worker runs, else "".

    To be called before a command reads the events itself.
    """
    since = spool.last_event_time(state)
    if since is None or time.time() - since < _PATIENCE or _has_worker(state):
        return ""
    minutes = int(time.time() - since) // 60
    return f"no worker in the background read the events of {format_count(minutes, 'minute')} ago"


def _has_worker(state: Path) -> bool:
    """Whether the process that last held the worker's lock is alive; its id may belong to another by now."""
    with suppress(OSError, ValueError):
        number = int(read_regular(state / _WORKER_LOCK, 20))
        return number > 0 and _lives(number)
    return False


def _lives(number: int) -> bool:
    if sys.platform == "win32":  # where os.kill ends the process
        return True
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is another user's
        pass
    return True
