from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest

from patina_hooks.models import fingerprint as module
from patina_hooks.models.fingerprint import fingerprint_of
from patina_hooks.specs.models import ModelSpec, PackageFile

FILE = PackageFile("acme", "acme/model.onnx", sha256="0" * 64)
SPEC = ModelSpec("acme-64", dimensions=64, runtimes={"onnx": {"model": FILE}})
HASHES = {"model": "0" * 64, "tokenizer": "1" * 64}

CHANGES_VECTORS: dict[str, Any] = {
    "name": "acme-65",
    "dimensions": 65,
    "max_tokens": 64,
    "pooling": "cls",
    "passage_prefix": "passage: ",
    "revision": "2",
    "batch_invariant": False,
    "layer": -2,
}
CHANGES_A_CUT_VECTOR: dict[str, Any] = {"truncate": 16, "matryoshka_norm": "layer"}
CHANGES_A_TOLD_VECTOR: dict[str, Any] = {"task": "find decisions"}
CHANGES_NOTHING: dict[str, Any] = {
    "query_prefix": "query: ",  # questions are embedded when they are asked
    "licence": "MIT",
    "description": "a model",
    "parameters": 1_000,
    "languages": ("en",),
    "matryoshka": (32, 16),
    "runtimes": {"onnx": {"model": FILE}, "mlx": {"model": FILE}},
    "unbatched_runtimes": ("onnx",),  # what a recipe takes is asked for by `with_batching`
}


def test_it_is_32_hex_digits_and_the_same_in_every_process() -> None:
    assert re.fullmatch("[0-9a-f]{32}", fingerprint_of(SPEC, HASHES))
    assert fingerprint_of(SPEC, HASHES) == "9342959a94d4ec026a437299412e8a3f"


@pytest.mark.parametrize("name", CHANGES_VECTORS)
def test_what_changes_a_vector_changes_it(name: str) -> None:
    changed = replace(SPEC, **{name: CHANGES_VECTORS[name]})
    assert fingerprint_of(changed, HASHES) != fingerprint_of(SPEC, HASHES)


@pytest.mark.parametrize("name", CHANGES_NOTHING)
def test_what_changes_no_vector_leaves_it(name: str) -> None:
    changed = replace(SPEC, **{name: CHANGES_NOTHING[name]})
    assert fingerprint_of(changed, HASHES) == fingerprint_of(SPEC, HASHES)


@pytest.mark.parametrize("name", CHANGES_A_CUT_VECTOR)
def test_the_way_of_cutting_changes_what_is_cut_and_nothing_else(name: str) -> None:
    whole = replace(SPEC, matryoshka=(32, 16))
    cut = replace(whole, truncate=32)
    changed = {name: CHANGES_A_CUT_VECTOR[name]}
    assert fingerprint_of(replace(cut, **changed), HASHES) != fingerprint_of(cut, HASHES)
    assert fingerprint_of(cut, HASHES) != fingerprint_of(whole, HASHES)
    assert fingerprint_of(replace(whole, matryoshka_norm="layer"), HASHES) == fingerprint_of(SPEC, HASHES)


def test_the_task_changes_what_is_told_it_and_nothing_else() -> None:
    told = replace(SPEC, passage_prefix="Instruct: {task}\nText:")
    assert fingerprint_of(replace(told, **CHANGES_A_TOLD_VECTOR), HASHES) != fingerprint_of(told, HASHES)
    filled = replace(SPEC, passage_prefix="Instruct: find decisions\nText:")
    assert fingerprint_of(replace(told, **CHANGES_A_TOLD_VECTOR), HASHES) == fingerprint_of(filled, HASHES)
    asked = replace(SPEC, query_prefix="Instruct: {task}\nQuery:")
    for spec in (SPEC, asked):
        assert fingerprint_of(replace(spec, **CHANGES_A_TOLD_VECTOR), HASHES) == fingerprint_of(SPEC, HASHES)


def test_every_field_of_a_spec_is_in_one_of_the_lists() -> None:
    listed = [*CHANGES_VECTORS, *CHANGES_A_CUT_VECTOR, *CHANGES_A_TOLD_VECTOR, *CHANGES_NOTHING]
    assert sorted(field.name for field in fields(ModelSpec)) == sorted(listed)


@pytest.mark.parametrize("role", HASHES)
def test_another_file_changes_it(role: str) -> None:
    assert fingerprint_of(SPEC, {**HASHES, role: "2" * 64}) != fingerprint_of(SPEC, HASHES)


def test_files_that_change_places_change_it() -> None:
    turned = {"model": HASHES["tokenizer"], "tokenizer": HASHES["model"]}
    assert fingerprint_of(SPEC, turned) != fingerprint_of(SPEC, HASHES)


def test_the_order_and_case_of_hashes_do_not_matter() -> None:
    turned = {role: digest.upper() for role, digest in reversed(HASHES.items())}
    assert fingerprint_of(SPEC, turned) == fingerprint_of(SPEC, HASHES)


def test_what_settings_change_of_a_runtimes_vectors_changes_it() -> None:
    fingerprints = {fingerprint_of(SPEC, HASHES, variant) for variant in ("", "bfloat16", "float16")}
    assert len(fingerprints) == 3
    assert fingerprint_of(SPEC, HASHES, "") == fingerprint_of(SPEC, HASHES)


@pytest.mark.parametrize("rule", ["TEXT_RULES", "NORMALISATION"])
def test_other_rules_for_texts_or_norms_change_it(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    before = fingerprint_of(SPEC, HASHES)
    monkeypatch.setattr(module, rule, "another")
    assert fingerprint_of(SPEC, HASHES) != before
