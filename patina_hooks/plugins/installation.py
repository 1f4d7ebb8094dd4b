"""The command that installs a package into the environment in which patina runs.

`uv tool` and `pipx` give each tool an environment of its own, in which there is no pip to call.
"""

from __future__ import annotations

import shlex
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_TOOL: Final = "patina-hooks"
_MODELS: Final = {
    "minilm-l6-v2": ("patina-onnx", "patina-minilm"),
    **dict.fromkeys(("bge-small-en-v1.5", "bge-base-en-v1.5"), ("patina-bge",)),
    "e5-base-v2": ("patina-e5",),
    "nomic-embed-text-v1.5": ("patina-nomic",),
    **dict.fromkeys((f"qwen3-embedding-{size}" for size in ("0.6b", "4b", "8b")), ("patina-qwen3",)),
    "olmo-3-7b": ("patina-olmo",),
}
_PLUGINS: Final = {
    "runtime": {name: (f"patina-{name}",) for name in ("onnx", "mlx", "torch", "remote")},
    "index backend": {"usearch": ("patina-usearch",)},
    "command": {"export": ("patina-export",), "remote": ("patina-remote",)},
}


def install_command(*requirements: str, prefix: Path | None = None) -> str:
    """Write the command that adds packages to this environment.

    Args:
        requirements: names, as pip takes them.
        prefix: the root of the environment, by default that of this interpreter.
    """
    prefix = prefix or Path(sys.prefix)
    if (prefix / "uv-receipt.toml").is_file():
        return _uv_tool(prefix / "uv-receipt.toml", requirements)
    if (prefix / "pipx_metadata.json").is_file():
        if any(name.startswith(f"{_TOOL}[") for name in requirements):
            return f"pipx runpip {_TOOL} install {shlex.join(requirements)}"
        return f"pipx inject {_TOOL} {shlex.join(requirements)}"
    return f"{_pip(prefix)} {shlex.join(requirements)}"


def reinstall_command(requirement: str, *, prefix: Path | None = None) -> str:
    """Write the command that restores the files of an installed package."""
    prefix = prefix or Path(sys.prefix)
    if (prefix / "pipx_metadata.json").is_file():
        return f"pipx runpip {_TOOL} install --force-reinstall --no-deps {requirement}"
    if (prefix / "uv-receipt.toml").is_file() or _lacks_pip(prefix):
        return f"uv pip install --python {shlex.quote(str(prefix))} --reinstall --no-deps {requirement}"
    return f"pip install --force-reinstall --no-deps {requirement}"


def providers_of(noun: str, name: str) -> tuple[str, ...]:
    """Name the packages of this project that provide something, () for any other name.

    noun: of a kind of thing that plugins provide, "model" for example.
    """
    if noun == "model":
        return _MODELS.get(name, ())
    return _PLUGINS.get(noun, {}).get(name.partition("/")[0], ())


def _uv_tool(receipt: Path, requirements: tuple[str, ...]) -> str:
    """Write all requirements: `uv tool install` drops what an earlier call added and this one does not."""
    tool, *extras = [name for name in requirements if name.startswith(f"{_TOOL}[")] or [_TOOL]
    earlier = [name for name in _receipt_names(receipt) if name != _TOOL]
    added = dict.fromkeys([*earlier, *(name for name in requirements if name not in (tool, *extras))])
    words = [word for name in added for word in ("--with", name)]
    return shlex.join(["uv", "tool", "install", tool, *words])


def _receipt_names(receipt: Path) -> list[str]:
    import tomli

    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        content = tomli.loads(receipt.read_text("utf-8"))
        return [str(requirement["name"]) for requirement in content["tool"]["requirements"]]
    return []


def _pip(prefix: Path) -> str:
    return f"uv pip install --python {shlex.quote(str(prefix))}" if _lacks_pip(prefix) else "pip install"


def _lacks_pip(prefix: Path) -> bool:
    return prefix == Path(sys.prefix) and find_spec("pip") is None
