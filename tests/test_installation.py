"""Commands that install: for pip, and for the environments of `uv tool` and pipx, which have no pip."""

from __future__ import annotations

from pathlib import Path

import pytest

from patina_hooks.plugins.installation import install_command, providers_of, reinstall_command
from patina_hooks.plugins.kinds import BACKENDS, COMMANDS, MODELS, RUNTIMES
from patina_hooks.plugins.manager import Plugins

RECEIPT = """\
[tool]
requirements = [{ name = "patina-hooks" }, { name = "patina-bge" }]
entrypoints = [{ name = "patina", install-path = "/home/ada/.local/bin/patina", from = "patina-hooks" }]
"""


@pytest.mark.parametrize(
    ("marker", "content", "plain", "extra", "again"),
    [
        (
            "pyvenv.cfg", "", "pip install patina-onnx patina-minilm", "pip install 'patina-hooks[hub]'",
            "pip install --force-reinstall --no-deps acme==1.0",
        ),
        (
            "uv-receipt.toml", RECEIPT,
            "uv tool install patina-hooks --with patina-bge --with patina-onnx --with patina-minilm",
            "uv tool install 'patina-hooks[hub]' --with patina-bge",
            "uv pip install --python {prefix} --reinstall --no-deps acme==1.0",
        ),
        (
            "uv-receipt.toml", "damaged [",
            "uv tool install patina-hooks --with patina-onnx --with patina-minilm",
            "uv tool install 'patina-hooks[hub]'",
            "uv pip install --python {prefix} --reinstall --no-deps acme==1.0",
        ),
        (
            "pipx_metadata.json", "{}", "pipx inject patina-hooks patina-onnx patina-minilm",
            "pipx runpip patina-hooks install 'patina-hooks[hub]'",
            "pipx runpip patina-hooks install --force-reinstall --no-deps acme==1.0",
        ),
    ],
)  # fmt: skip
def test_command_fits_the_environment_when_a_tool_manages_it(
    tmp_path: Path, marker: str, content: str, plain: str, extra: str, again: str
) -> None:
    (tmp_path / marker).write_text(content)
    packages = providers_of("model", "minilm-l6-v2")
    assert install_command(*packages, prefix=tmp_path) == plain
    assert install_command("patina-hooks[hub]", prefix=tmp_path) == extra
    assert reinstall_command("acme==1.0", prefix=tmp_path) == again.format(prefix=tmp_path)


def test_package_is_named_when_this_project_provides_the_name() -> None:
    """Whatever the plugins of this project provide is known by name before they are installed."""
    plugins = Plugins.load(disabled=())
    kinds = ((MODELS, plugins.models()), (RUNTIMES, plugins.runtimes()), (COMMANDS, plugins.commands()))
    for kind, specs in kinds:
        for spec in specs:
            if spec.name != "acme-64":
                assert providers_of(kind.noun, spec.name), spec.name
    assert providers_of(BACKENDS.noun, "usearch") == ("patina-usearch",)
    assert providers_of("model", "acme-64") == ()
