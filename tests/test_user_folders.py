"""A user without a home has no settings; what needs none goes on."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from support.memory import Memory

from patina_hooks.config.settings import Settings, merge_settings
from patina_hooks.models.catalog.user import user_models
from patina_hooks.models.files.folder import describe_folder
from patina_hooks.system.user_folders import NO_FOLDER, cache_folder, config_folder, data_folder

WITHOUT_ENTRY = (
    "import pwd\n"
    "def getpwuid(uid): raise KeyError(uid)\n"
    "pwd.getpwuid = getpwuid\n"
    "from patina_hooks.commands import main\n"
    "main()\n"
)
FOLDERS = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")


@pytest.fixture(params=[None, "", "relative"])
def homeless(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Take HOME and the entry of the password database away; return the current folder."""

    def no_entry(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    for name in FOLDERS:
        monkeypatch.delenv(name, raising=False)
    if request.param is None:
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", request.param)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_settings_below_the_current_folder_are_not_the_users_when_there_is_no_home(homeless: Path) -> None:
    for home in ("~", "", "relative"):
        folder = homeless / home / ".config" / "patina"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text("[redact]\nbuiltin = false\n")
        (folder / "models.toml").write_text("[x]\n")
    assert {config_folder(), data_folder(), cache_folder()} == {NO_FOLDER}
    assert merge_settings("") == Settings()
    assert list(user_models()) == []


@pytest.mark.parametrize(
    "arguments",
    ["sync", "scry marmots", "status", "session start look", "session note x", "session end", "check",
     "models list", "gc", "doctor"],
)  # fmt: skip
def test_command_ends_without_a_bug_when_there_is_no_home(tmp_path: Path, arguments: str) -> None:
    memory = Memory.make(tmp_path / "repository")
    memory.commit("begin with marmots", {"README.md": "x"})
    memory.sync()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ENTRY, *arguments.split()],
        cwd=memory.root,
        env={name: value for name, value in os.environ.items() if name not in {"HOME", *FOLDERS}},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert "bug" not in done.stderr


def test_folder_of_an_unknown_user_is_named_when_a_model_is_added(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"~nosuchuser/model has no config\.json"):
        describe_folder(Path("~nosuchuser/model"), "x")
