"""A plugin for tests: models of words alone, in a runtime in which some of them go wrong.

bag-32 adds up a drawn vector for each word. bag-noisy prints on stdout beside. bag-fails cannot be opened.
bag-dies takes its process with it. bag-hangs never gives a vector. Where they are measured all is well with
bag-late, which in the runtime bag raises what no plugin should, and with bag-waits, which says so on stderr
and never ends.

bag-shared has the same files, none, in three runtimes: bag-near differs from bag by little, and
bag-wrong has another table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.distributions import Site, importable

_PLUGIN = """
from patina_hooks import ModelSpec, RuntimeSpec, hookimpl

@hookimpl
def patina_register_runtimes():
    yield RuntimeSpec("bag", factory="bag_runtime:open_model")
    yield RuntimeSpec("bag-near", factory="bag_runtime:open_near")
    yield RuntimeSpec("bag-wrong", factory="bag_runtime:open_wrong")

@hookimpl
def patina_register_models():
    for name in ("32", "noisy", "fails", "dies", "hangs", "waits"):
        yield ModelSpec(f"bag-{name}", dimensions=32, runtimes={"bag": {}}, licence="MIT")
    yield ModelSpec("bag-late", dimensions=32, runtimes={"bag": {}, "bag-near": {}})
    yield ModelSpec("bag-shared", dimensions=32, runtimes={"bag": {}, "bag-near": {}, "bag-wrong": {}})
"""
_RUNTIME = """
import os, signal, sys, threading, zlib
import numpy as np
from patina_hooks import Tokens

MEASURED = sys.argv[0].endswith("probe.py")

def drawn(seed):
    return np.random.default_rng(seed).standard_normal((4096, 32)).astype(np.float32)

def open_model(spec, files):
    if spec.name == "bag-fails":
        raise ValueError("the bag has a hole")
    return Bag(spec.name, drawn(32))

def open_near(spec, files):
    return Bag("bag-near", drawn(32) + 1e-2 * drawn(33))

def open_wrong(spec, files):
    return Bag(spec.name, drawn(33))

class Bag:
    def __init__(self, name, table):
        self.name = name
        self.table = table

    def tokenize(self, texts, max_tokens):
        each = ([zlib.crc32(word.encode()) % 4096 for word in text.lower().split()] for text in texts)
        return [Tokens(ids[:max_tokens], cut=len(ids[max_tokens:])) for ids in each]

    def forward(self, ids, mask):
        if self.name == "bag-noisy":
            os.write(1, b"what a fine day\\n")
        if self.name == "bag-dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.name == "bag-late" and not MEASURED:
            raise RuntimeError("the bag burst")
        if self.name == "bag-hangs" or (self.name == "bag-waits" and not MEASURED):
            os.write(2, b"the bag waits\\n")
            threading.Event().wait()
        return self.table[ids]
"""


@contextmanager
def bag_installed(folder: Path) -> Iterator[None]:
    """The plugin, in this process and in those that it starts."""
    site = Site(folder)
    site.add(
        "patina-bag", files={"patina_bag.py": _PLUGIN, "bag_runtime.py": _RUNTIME},
        entry_points={"bag": "patina_bag"},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, importable(folder):
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield
