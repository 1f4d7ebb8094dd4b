"""Settings: user and repository, who may say what, and what is refused where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patina_hooks.config.settings import (
    REPOSITORY_FILE,
    Settings,
    load_settings,
    parse_settings,
    user_file,
)
from patina_hooks.errors import SettingsError


def say(root: Path, *, user: str = "", repository: str = "") -> Settings:
    for path, text in ((user_file(), user), (root / REPOSITORY_FILE, repository)):
        if text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return load_settings(root)


def refused(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, REPOSITORY_FILE)
    return str(caught.value)


def test_without_files_the_defaults_hold(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings()


def test_the_repository_goes_before_the_user_where_both_may_speak(tmp_path: Path) -> None:
    user = '[session]\nadapter = "gemini"\nfolder = "notes"\n[worker]\ndefer_seconds = 5\n'
    settings = say(tmp_path, user=user, repository='[session]\nadapter = "opencode"\n')
    assert settings == Settings(adapter="opencode", sessions_folder="notes", defer_seconds=5)


def test_redaction_is_the_users_alone(tmp_path: Path) -> None:
    assert say(tmp_path, user='[redact]\npatterns = ["ghp_[a-z]+"]\n').redact == ("ghp_[a-z]+",)
    assert say(tmp_path, user="[redact]\nbuiltin = false\n").redact_builtin is False
    assert "unknown key 'redact'" in refused('[redact]\npatterns = ["."]\n')
    assert "unknown key 'worker'" in refused("[worker]\ndefer_seconds = 1\n")


def test_other_tools_keep_their_tables_in_the_repositorys_file() -> None:
    assert parse_settings('[dev]\ntype = "native"\n', REPOSITORY_FILE) == Settings()


def test_in_the_users_file_an_unknown_table_is_a_slip(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r":2: unknown key 'sesion'"):
        say(tmp_path, user='\n[sesion]\nadapter = "x"\n')


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('[session]\nadapter = "x"\nfoldr = "y"\n', 3, "unknown key 'session.foldr'; expected one of: ad"),
        ("[session]\nadapter = 3\n", 2, "session.adapter is 3, expected lower-case letters"),
        ('[session]\nbranch_policy = "maybe"\n', 2, 'expected "off" or "require"'),
        ('[session]\nadapter = "x"\nadapter = "y"\n', 3, "Cannot overwrite"),
        ("[session\n", 1, "Expected"),
        *(
            (f"[session]\n\nfolder = {folder}\n", 3, "expected a folder inside the repository")
            for folder in (
                '"/etc"', '"../other"', '"a/../../b"', '".git/hooks"', '"a/.GIT"', '""', '"."', '"./"',
                '"a\\nb"', '"a\\u0000b"', '"a\\u001b[2J"', "7",
            )
        ),
    ],
)  # fmt: skip
def test_what_is_invalid_is_refused_with_its_place(text: str, line: int, says: str) -> None:
    message = refused(text)
    assert message.startswith(f"{REPOSITORY_FILE}:{line}: ")
    assert says in message


@pytest.mark.parametrize("written", ["layer/notes", "layer/notes/", "./layer/notes", "layer//notes"])
def test_one_folder_has_one_name(written: str) -> None:
    found = parse_settings(f'[session]\nfolder = "{written}"\n', REPOSITORY_FILE)
    assert found.sessions_folder == "layer/notes"


def test_user_and_repository_may_choose_what_is_read_as_prose(tmp_path: Path) -> None:
    user = '[docs]\nenabled = false\nexclude = ["/drafts/"]\n'
    settings = say(tmp_path, user=user, repository='[docs]\nenabled = true\ninclude = ["docs/", "!*.txt"]\n')
    assert settings == Settings(docs_include=("docs/", "!*.txt"), docs_exclude=("/drafts/",))


@pytest.mark.parametrize("pattern", ["", "/", "!", "# docs/", "docs\\u001b[2J", "docs\\n/"])
def test_a_pattern_that_names_no_path_is_refused(pattern: str) -> None:
    assert "is not a pattern of paths" in refused(f'[docs]\ninclude = ["*.md", "{pattern}"]\n')
    assert "a list of patterns as in .gitignore" in refused('[docs]\nexclude = "docs/"\n')


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("(", "is not a regular expression"), ("", "matches the empty text"), ("x*", "matches the empty text")],
)
def test_a_pattern_that_cannot_redact_is_refused(tmp_path: Path, pattern: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        say(tmp_path, user=f'[redact]\npatterns = ["{pattern}"]\n')


@pytest.mark.parametrize("seconds", ["-1", "true", "1.5", "100000", '"1"'])
def test_a_time_is_whole_seconds_of_a_day_at_most(tmp_path: Path, seconds: str) -> None:
    with pytest.raises(SettingsError, match="whole seconds from 0 to 86400"):
        say(tmp_path, user=f"[worker]\ndefer_seconds = {seconds}\n")


def test_a_link_in_the_repository_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.toml").write_text('[session]\nadapter = "other"\n')
    (tmp_path / "root/.patina").mkdir(parents=True)
    (tmp_path / "root" / REPOSITORY_FILE).symlink_to(tmp_path / "outside.toml")
    assert load_settings(tmp_path / "root") == Settings()


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="larger than 65536 bytes"):
        say(tmp_path, repository="#" * 70_000)


@given(st.text(max_size=200))
def test_no_text_does_anything_but_parse_or_be_refused_with_its_place(text: str) -> None:
    try:
        assert isinstance(parse_settings(text, REPOSITORY_FILE), Settings)
    except SettingsError as error:
        place, line, _ = str(error).split(":", 2)
        assert (place, line.isdigit()) == (REPOSITORY_FILE, True)


@pytest.mark.parametrize(
    "text", ['[runtime.torch]\ndevice = "cuda"\n', '[plugins.acme]\nurl = "x"\n', "[plugins]\ndisable = []\n"]
)
def test_a_repository_neither_sets_up_nor_disables_runtimes_and_plugins(text: str) -> None:
    name = text.strip("[").split(".")[0].split("]")[0]
    assert f"unknown key {name!r}" in refused(text)
