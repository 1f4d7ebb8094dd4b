"""Disable telemetry and network access of the libraries that plugins import.

Libraries read these variables once, when they are imported or first used; later calls have no effect (ONNX
Runtime has sent its first event by then). So the variables are set when this package is imported, which every
plugin does first; child processes inherit them.
"""

from __future__ import annotations

import os
from typing import Final

TELEMETRY_OFF: Final = {
    # ONNX Runtime 1.32 for Linux and macOS keeps a device id and a database in ~/.cache/Microsoft and uploads
    # events to mobile.events.data.microsoft.com.
    "ORT_DISABLE_TELEMETRY": "1",
    # huggingface_hub reports to the hub which program and which assistant runs it.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "DO_NOT_TRACK": "1",
}
"""Variables that disable telemetry, set in every process that imports this package."""

OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
"""Variables that disable network access of model libraries, set only in patina's own processes."""

_replaced: dict[str, str | None] = {}


def disable_telemetry() -> None:
    """Disable the telemetry of libraries, for this process and its children."""
    os.environ.update(TELEMETRY_OFF)


def stay_offline() -> None:
    """Disable network access of model libraries until `allow_network`."""
    for name, value in OFFLINE.items():
        _replaced.setdefault(name, os.environ.get(name))
        os.environ[name] = value


def allow_network() -> None:
    """Restore the variables that `stay_offline` replaced."""
    for name, value in _replaced.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _replaced.clear()
