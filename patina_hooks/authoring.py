"""Names that plugins import beyond the specs and values of `patina_hooks`.

    from patina_hooks import ModelSpec, hookimpl
    from patina_hooks.authoring import ModelError, Vectors

Together with `patina_hooks` and `patina_hooks.testing` this is the public surface: other modules may change
in any release. Names are opened on first use, so that a plugin module imports nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patina_hooks.config.plugin_settings import plugin_settings, runtime_settings
    from patina_hooks.config.schema import Rule
    from patina_hooks.config.settings import user_file
    from patina_hooks.errors import ModelError, SettingsError, StateError, TextsRefused
    from patina_hooks.extract.prose import extract_prose
    from patina_hooks.git.lock import SyncLock
    from patina_hooks.models.catalog.entry import add_model, as_toml, refuse_name
    from patina_hooks.models.choice import runtime_for
    from patina_hooks.models.encoding import Encoder, open_encoder, open_files, processors
    from patina_hooks.models.files.weights import cached_hash, file_hashes, model_files, sha256_of
    from patina_hooks.models.probes import PROBE_TEXTS, ProbeVectors, least_cosine, texts_hash
    from patina_hooks.models.reading import prefix_of, with_runtimes
    from patina_hooks.models.similarity import nearest_passages, row_cosines
    from patina_hooks.models.tokenizer import TextTokenizer, open_tokenizer
    from patina_hooks.pairs.members import path_member
    from patina_hooks.plugins.installation import install_command
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.index.exact import ScoredKeys, rank_keys, scan, score
    from patina_hooks.search.index.manifest import SidecarFile
    from patina_hooks.search.index.segments import SegmentedIndex, SegmentView
    from patina_hooks.specs.models import ModelFiles, Role
    from patina_hooks.specs.training import (
        PairRows,
        Projection,
        TooLittleToLearn,
        Trained,
        TrainingSettings,
        TrainingStep,
        TrainingTask,
        Watch,
    )
    from patina_hooks.specs.vectors import Keys, Rows, Vectors
    from patina_hooks.system.files import make_private, replace_file
    from patina_hooks.system.progress import show_progress
    from patina_hooks.system.telemetry import stay_offline
    from patina_hooks.system.user_folders import cache_folder, data_folder
    from patina_hooks.text.display import clean_line, format_size
    from patina_hooks.training.trainers import mlp, residual
    from patina_hooks.training.trainers.layers import Tensors
    from patina_hooks.training.trainers.mlp import TripletObjective, Triplets
    from patina_hooks.training.trainers.residual import Contrast, ContrastObjective

_HOME = {
    "PROBE_TEXTS": "models.probes",
    "Contrast": "training.trainers.residual",
    "ContrastObjective": "training.trainers.residual",
    "Encoder": "models.encoding",
    "Keys": "specs.vectors",
    "ModelError": "errors",
    "ModelFiles": "specs.models",
    "PairRows": "specs.training",
    "Plugins": "plugins.manager",
    "ProbeVectors": "models.probes",
    "Projection": "specs.training",
    "Role": "specs.models",
    "Rows": "specs.vectors",
    "Rule": "config.schema",
    "ScoredKeys": "search.index.exact",
    "SegmentView": "search.index.segments",
    "SegmentedIndex": "search.index.segments",
    "SettingsError": "errors",
    "SidecarFile": "search.index.manifest",
    "StateError": "errors",
    "SyncLock": "git.lock",
    "Tensors": "training.trainers.layers",
    "TextTokenizer": "models.tokenizer",
    "TextsRefused": "errors",
    "TooLittleToLearn": "specs.training",
    "Trained": "specs.training",
    "TrainingSettings": "specs.training",
    "TrainingStep": "specs.training",
    "TrainingTask": "specs.training",
    "TripletObjective": "training.trainers.mlp",
    "Triplets": "training.trainers.mlp",
    "Vectors": "specs.vectors",
    "Watch": "specs.training",
    "add_model": "models.catalog.entry",
    "as_toml": "models.catalog.entry",
    "cache_folder": "system.user_folders",
    "cached_hash": "models.files.weights",
    "clean_line": "text.display",
    "data_folder": "system.user_folders",
    "extract_prose": "extract.prose",
    "file_hashes": "models.files.weights",
    "format_size": "text.display",
    "install_command": "plugins.installation",
    "least_cosine": "models.probes",
    "make_private": "system.files",
    "mlp": "training.trainers",
    "model_files": "models.files.weights",
    "nearest_passages": "models.similarity",
    "open_encoder": "models.encoding",
    "open_files": "models.encoding",
    "open_tokenizer": "models.tokenizer",
    "path_member": "pairs.members",
    "plugin_settings": "config.plugin_settings",
    "prefix_of": "models.reading",
    "processors": "models.encoding",
    "rank_keys": "search.index.exact",
    "refuse_name": "models.catalog.entry",
    "replace_file": "system.files",
    "residual": "training.trainers",
    "row_cosines": "models.similarity",
    "runtime_for": "models.choice",
    "runtime_settings": "config.plugin_settings",
    "scan": "search.index.exact",
    "score": "search.index.exact",
    "sha256_of": "models.files.weights",
    "show_progress": "system.progress",
    "stay_offline": "system.telemetry",
    "texts_hash": "models.probes",
    "user_file": "config.settings",
    "with_runtimes": "models.reading",
}

__all__ = [
    "PROBE_TEXTS",
    "Contrast",
    "ContrastObjective",
    "Encoder",
    "Keys",
    "ModelError",
    "ModelFiles",
    "PairRows",
    "Plugins",
    "ProbeVectors",
    "Projection",
    "Role",
    "Rows",
    "Rule",
    "ScoredKeys",
    "SegmentView",
    "SegmentedIndex",
    "SettingsError",
    "SidecarFile",
    "StateError",
    "SyncLock",
    "Tensors",
    "TextTokenizer",
    "TextsRefused",
    "TooLittleToLearn",
    "Trained",
    "TrainingSettings",
    "TrainingStep",
    "TrainingTask",
    "TripletObjective",
    "Triplets",
    "Vectors",
    "Watch",
    "add_model",
    "as_toml",
    "cache_folder",
    "cached_hash",
    "clean_line",
    "data_folder",
    "extract_prose",
    "file_hashes",
    "format_size",
    "install_command",
    "least_cosine",
    "make_private",
    "mlp",
    "model_files",
    "nearest_passages",
    "open_encoder",
    "open_files",
    "open_tokenizer",
    "path_member",
    "plugin_settings",
    "prefix_of",
    "processors",
    "rank_keys",
    "refuse_name",
    "replace_file",
    "residual",
    "row_cosines",
    "runtime_for",
    "runtime_settings",
    "scan",
    "score",
    "sha256_of",
    "show_progress",
    "stay_offline",
    "texts_hash",
    "user_file",
    "with_runtimes",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__package__}.{_HOME[name]}")
    # The trainers are modules: other runtimes reimplement their losses.
    return getattr(home, name, None) or import_module(f"{__package__}.{_HOME[name]}.{name}")


def __dir__() -> list[str]:
    return __all__
