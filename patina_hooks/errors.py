"""The errors of patina, as one tree.

PatinaError                 expected: exit code 1; message, and the next command to type
+-- UsageError              the arguments are invalid or contradict each other: exit code 2
+-- NotARepository          no git repository encloses the path, or git refuses it
+-- GitError                a required git command failed
+-- SettingsError           settings or recipe: names file, line, key, value and fix
+-- SessionError            a session cannot be started, changed or ended now
+-- PluginError             a plugin failed, or a name that no plugin, or more than one, provides
|   +-- IndexUnavailable    the index of a plugin failed: only the lexical search answers
|   +-- ModelError          a model whose files are absent, altered or unusable
|       +-- TextsRefused    texts that the model cannot embed; it may embed others
+-- StateError              patina's own state is unreadable, locked or damaged
    +-- LockHeld            another process holds the lock
    +-- LogDamaged          the log is not a valid database: a sync rebuilds it
    +-- IndexDamaged        a vector file that must be rebuilt, or weights that must be trained again
"""

from __future__ import annotations


class PatinaError(Exception):
    """An expected failure: what happened and why.

    `hint` is the next command to type.

    exit_code: the exit code of `patina` when the error reaches `commands.main`.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(PatinaError):
    """The arguments are invalid or contradict each other."""

    exit_code = 2


class NotARepository(PatinaError):
    """No git repository encloses the path, or git refuses to read it."""


class GitError(PatinaError):
    """A git command that had to succeed failed; the message is git's."""


class SettingsError(PatinaError):
    """Settings or recipe are invalid."""


class SessionError(PatinaError):
    """A session cannot be started, changed or ended now."""


class PluginError(PatinaError):
    """A plugin that cannot be used, or a name that no plugin, or more than one, provides.

    plugin: the plugin whose code failed, "" if no plugin's code is the cause.
    """

    def __init__(self, message: str, *, hint: str = "", plugin: str = "") -> None:
        super().__init__(message, hint=hint)
        self.plugin = plugin


class IndexUnavailable(PluginError):
    """The index of a plugin failed; only the lexical search answers."""


class ModelError(PluginError):
    """A model that cannot be opened."""


class TextsRefused(ModelError):
    """The model failed on these texts.

    A single text may be the cause.
    """


class StateError(PatinaError):
    """The state folder cannot be read or written."""


class LockHeld(StateError):
    """Another process holds a lock for longer than the caller waits."""


class LogDamaged(StateError):
    """The log is not a valid database."""


class IndexDamaged(StateError):
    """A vector file is absent, truncated, altered or of another version."""
