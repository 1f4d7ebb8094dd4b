"""Keep libraries that plugins import from reporting to their makers and from using the network.

Libraries read these variables once, when they are imported or first used: a call to the library afterwards
is too late (ONNX Runtime has sent its first event by then). So the variables are set when this package is
imported, which every plugin does first; child processes inherit them.
"""

from __future__ import annotations

import os
from typing import Final

TELEMETRY_OFF: Final = {
    # ONNX Runtime 1.32 for Linux and macOS keeps a device id and a database in ~/.cache/Microsoft and uploads
    # events to mobile.events.data.microsoft.com.
    "ORT_DISABLE_TELEMETRY": "1",
    # huggingface_hub tells the hub which program and which assistant runs it.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "DO_NOT_TRACK": "1",
}
"""Variables that switch telemetry off, set in every process that imports this package."""

OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
"""Variables that keep model libraries off the network, set in patina's own processes only."""

_replaced: dict[str, str | None] = {}


def disable_telemetry() -> None:
    """Switch off the telemetry of libraries, for this process and its children."""
    os.environ.update(TELEMETRY_OFF)


def stay_offline() -> None:
    """Keep model libraries from the network until `allow_network`."""
    for name, value in OFFLINE.items():
        _replaced.setdefault(name, os.environ.get(name))
        os.environ[name] = value


def allow_network() -> None:
    """Restore what the user's environment said before `stay_offline`."""
    for name, value in _replaced.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _replaced.clear()
