"""models.toml: models of the user's own, and what is said of one that is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from patina_hooks.errors import SettingsError
from patina_hooks.models.catalog.user import parse_models, user_models, user_models_file
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.models import HubFile, LocalFile, ModelSpec

WHOLE = """\
[acme-768]
dimensions = 768
max_tokens = 128
pooling = "last"
layer = -2
query_prefix = "query: {task}"
passage_prefix = "passage: "
task = "find it"
matryoshka = [128, 512]
matryoshka_norm = "layer"
licence = "MIT"
revision = "2"
batch_invariant = false
description = "ours"
parameters = 1000
languages = ["en", "de"]
one_by_one = ["onnx/int8"]

[acme-768.files.onnx]
model = "/acme/model.onnx"
tokenizer = {path = "/acme/tokenizer.json", sha256 = "%s"}

[acme-768.files.torch]
model = {repository = "acme/acme", path = "model.safetensors", revision = "v2", size = 12}

[acme-768.files."onnx/int8"]
model = "/acme/model_int8.onnx"
""" % ("ab" * 32)

LEAST = '[{name}]\ndimensions = 8\nfiles.onnx.model = "/x"\n'


def test_every_field_is_read() -> None:
    (found,) = parse_models(WHOLE, "models.toml")
    assert found == ModelSpec(
        "acme-768", dimensions=768, max_tokens=128, pooling="last", layer=-2, query_prefix="query: {task}",
        passage_prefix="passage: ", task="find it", matryoshka=(512, 128), matryoshka_norm="layer",
        licence="MIT", revision="2", batch_invariant=False, description="ours", parameters=1000,
        languages=("en", "de"), unbatched_runtimes=("onnx/int8",),
        runtimes={
            "onnx": {
                "model": LocalFile(Path("/acme/model.onnx")),
                "tokenizer": LocalFile(Path("/acme/tokenizer.json"), "ab" * 32),
            },
            "torch": {"model": HubFile("acme/acme", "model.safetensors", "v2", size=12)},
            "onnx/int8": {"model": LocalFile(Path("/acme/model_int8.onnx"))},
        },
    )  # fmt: skip


def test_any_length_from_one_on() -> None:
    (found,) = parse_models(LEAST.format(name="x") + "matryoshka = {from = 2}\n", "models.toml")
    assert found.matryoshka == range(2, 8)


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    (found,) = parse_models('[x]\ndimensions = 8\nfiles.onnx.model = "~/model.onnx"\n', "models.toml")
    assert found.runtimes["onnx"]["model"] == LocalFile(Path("/home/me/model.onnx"))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[x]\nfiles = {}\n", 1, "x has no dimensions; write: dimensions = 768"),
        ("[x]\ndimensions = 8\n", 1, "x has no files; write: files = {onnx = "),
        ("[x]\ndimensions = 0\n", 2, "x.dimensions is 0, expected a whole number from 1 to 65536; write: "),
        ('[a]\n[x]\n\npooling = "avg"\n', 4, "x.pooling is 'avg', expected one of: mean, cls, last; write: "),
        ("[x]\nmatryoshka = 3\n", 2, "x.matryoshka is 3, expected lengths below the dimensions"),
        ("[x]\nbatch_invariant = 1\n", 2, "x.batch_invariant is 1, expected true or false"),
        ('[x]\none_by_one = "onnx"\n', 2, "x.one_by_one is 'onnx', expected a list of names"),
        (LEAST.format(name="x") + 'one_by_one = ["onnx/int8"]\n', 1, "one_by_one must be some of onnx, not"),
        (
            '[x]\ndimensions = 8\n[x.files."a/b/c"]\nmodel = "/x"\n',
            1,
            "named as onnx or onnx/int8, not a/b/c",
        ),
        ("[x]\nmodle = 1\n", 2, "unknown key 'x.modle'; expected one of: dimensions, files, max_tokens"),
        ("[x]\ntruncate = 8\n", 2, "unknown key 'x.truncate'"),
        (LEAST.format(name="x") + "matryoshka = [9]\n", 1, "matryoshka must be lengths below 8"),
        (
            "[x]\ndimensions = 768\nmatryoshka = {from = 5000}\nfiles.onnx.model = '/x'\n",
            3,
            "x.matryoshka begins at 5000, expected a length from 1 to below the dimensions, 768; write: ",
        ),
        ("[x]\ndimensions = 8\nmatryoshka = {from = 0}\nfiles.a.b = '/x'\n", 3, "x.matryoshka begins at 0"),
        (
            f"[x]\ndimensions = {'9' * 20}\nmatryoshka = {{from = 1}}\nfiles.onnx.model = '/x'\n",
            2,
            "expected a whole number from 1 to 65536; write: dimensions = 768",
        ),
        (f"x = {'[' * 100_000}\n", 1, ""),
        (f"x = {'9' * 5_000}\n", 1, ""),
        ("x = 1\n", 1, "[x] is not a table of a model"),
        ('["a/b"]\ndimensions = 8\n', 1, "[a/b] is not a table of a model"),
        ('[x]\ndimensions = 8\n[x.files.onnx]\nmodel = "model.onnx"\n', 4, "is not an absolute path"),
        ("[x]\ndimensions = 8\n[x.files.onnx]\nmodel = 7\n", 4, "x.files.onnx.model is 7, expected an abs"),
        ('[x]\ndimensions = 8\nfiles.onnx.model = {path = "/x", sha256 = "1"}\n', 3, "expected an absolute"),
        (
            '[x]\ndimensions = 8\n[x.files.onnx]\nmodel = {repository = "a/b", path = "../c"}\n',
            4,
            "'../c' is not a repository, path or revision of a hub",
        ),
        (
            '[x]\ndimensions = 8\n[x.files.onnx]\nmodel = {repository = "a/b", path = "c", size = -5}\n',
            4,
            "size must be in bytes, or 0, not -5",
        ),
        (
            '[x]\ndimensions = 8\n[x.files.onnx]\nmodel = {repository = "a/b", path = "c", size = true}\n',
            4,
            "expected an absolute path, or",
        ),
        ("[x\n", 1, "Expected"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_fix(text: str, line: int, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        list(parse_models(text, "models.toml"))
    lines = str(caught.value).splitlines()
    assert any(one.startswith(f"models.toml:{line}: ") and said in one for one in lines), lines


def test_a_model_that_is_wrong_hides_no_other() -> None:
    text = LEAST.format(name="a") + "[b]\ndimensions = 0\n" + LEAST.format(name="c") + "[d]\npooling = 1\n"
    models = parse_models(text, "models.toml")
    assert [next(models).name, next(models).name] == ["a", "c"]
    with pytest.raises(SettingsError, match=r"b\.dimensions.*\n.*d\.pooling"):
        next(models)


def test_they_are_provided_like_those_of_a_plugin() -> None:
    path = user_models_file()
    assert path == Path(os.environ["XDG_CONFIG_HOME"], "patina/models.toml")
    assert list(user_models()) == []
    path.parent.mkdir(parents=True)
    path.write_text(WHOLE + "\n[wrong]\n")
    plugins = Plugins.load(disabled=("*",), strict=False)
    assert [spec.name for spec in plugins.models()] == ["acme-768"]
    (fault,) = plugins.faults
    assert "models.toml" in fault.error
    assert "wrong has no dimensions" in fault.error


def test_a_file_without_end_is_refused() -> None:
    path = user_models_file()
    path.parent.mkdir(parents=True)
    path.write_text("#" * 300_000)
    with pytest.raises(SettingsError, match="larger than"):
        list(user_models())
