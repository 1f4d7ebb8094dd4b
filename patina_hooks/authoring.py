"""What plugins import beyond the specs and values of `patina_hooks`.

    from patina_hooks import ModelSpec, hookimpl
    from patina_hooks.authoring import ModelError, Vectors

Together with `patina_hooks` and `patina_hooks.testing` this is the public surface: other modules may change
in any release. Names are opened on first use, so that a plugin module imports nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patina_hooks.config.settings import runtime_settings, user_file
    from patina_hooks.errors import ModelError, SettingsError, StateError, TextsRefused
    from patina_hooks.extract.prose import extract_prose
    from patina_hooks.git.lock import SyncLock
    from patina_hooks.models.encoding import open_encoder, processors
    from patina_hooks.models.probes import PROBE_TEXTS, ProbeVectors, least_cosine, texts_hash
    from patina_hooks.models.tokenizer import TextTokenizer, open_tokenizer
    from patina_hooks.pairs.sides import path_side
    from patina_hooks.plugins.installation import install_command
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.index.exact import Found, ranked, scan, score
    from patina_hooks.search.index.segments import Piece, SegmentedIndex
    from patina_hooks.specs.models import ModelFiles
    from patina_hooks.specs.training import Trained, TrainingTask, Watch
    from patina_hooks.specs.vectors import Keys, Rows, Vectors
    from patina_hooks.system.files import make_private, replace_file
    from patina_hooks.system.user_folders import cache_folder, data_folder
    from patina_hooks.text.display import clean_line
    from patina_hooks.training.trainers import mlp, residual
    from patina_hooks.training.trainers.layers import Tensors
    from patina_hooks.training.trainers.mlp import TripletObjective, Triplets
    from patina_hooks.training.trainers.residual import Contrast, ContrastObjective

_HOME = {
    "Contrast": "training.trainers.residual",
    "ContrastObjective": "training.trainers.residual",
    "Found": "search.index.exact",
    "Keys": "specs.vectors",
    "ModelError": "errors",
    "ModelFiles": "specs.models",
    "PROBE_TEXTS": "models.probes",
    "Piece": "search.index.segments",
    "Plugins": "plugins.manager",
    "ProbeVectors": "models.probes",
    "Rows": "specs.vectors",
    "SegmentedIndex": "search.index.segments",
    "SettingsError": "errors",
    "StateError": "errors",
    "SyncLock": "git.lock",
    "Tensors": "training.trainers.layers",
    "TextTokenizer": "models.tokenizer",
    "TextsRefused": "errors",
    "Trained": "specs.training",
    "TrainingTask": "specs.training",
    "TripletObjective": "training.trainers.mlp",
    "Triplets": "training.trainers.mlp",
    "Vectors": "specs.vectors",
    "Watch": "specs.training",
    "cache_folder": "system.user_folders",
    "clean_line": "text.display",
    "data_folder": "system.user_folders",
    "install_command": "plugins.installation",
    "least_cosine": "models.probes",
    "make_private": "system.files",
    "mlp": "training.trainers",
    "open_encoder": "models.encoding",
    "open_tokenizer": "models.tokenizer",
    "path_side": "pairs.sides",
    "processors": "models.encoding",
    "ranked": "search.index.exact",
    "extract_prose": "extract.prose",
    "replace_file": "system.files",
    "residual": "training.trainers",
    "runtime_settings": "config.settings",
    "scan": "search.index.exact",
    "score": "search.index.exact",
    "texts_hash": "models.probes",
    "user_file": "config.settings",
}

__all__ = [
    "PROBE_TEXTS",
    "Contrast",
    "ContrastObjective",
    "Found",
    "Keys",
    "ModelError",
    "ModelFiles",
    "Piece",
    "Plugins",
    "ProbeVectors",
    "Rows",
    "SegmentedIndex",
    "SettingsError",
    "StateError",
    "SyncLock",
    "Tensors",
    "TextTokenizer",
    "TextsRefused",
    "Trained",
    "TrainingTask",
    "TripletObjective",
    "Triplets",
    "Vectors",
    "Watch",
    "cache_folder",
    "clean_line",
    "data_folder",
    "extract_prose",
    "install_command",
    "least_cosine",
    "make_private",
    "mlp",
    "open_encoder",
    "open_tokenizer",
    "path_side",
    "processors",
    "ranked",
    "replace_file",
    "residual",
    "runtime_settings",
    "scan",
    "score",
    "texts_hash",
    "user_file",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__package__}.{_HOME[name]}")
    # The trainers are modules: their losses are written again for other runtimes.
    return getattr(home, name, None) or import_module(f"{__package__}.{_HOME[name]}.{name}")
