"""What goes wrong, as one tree.

PatinaError                 expected: exit code 1; message, and the next command to type
+-- UsageError              the command line cannot mean anything: exit code 2
+-- NotARepository          there is no git repository here, or git refuses it
+-- GitError                a git command that had to succeed failed
+-- SettingsError           settings or recipe: names file, line, key, value and fix
+-- SessionError            a session cannot be started, changed or ended now
+-- PluginError             a name that no plugin, or more than one, provides
|   +-- IndexUnavailable    the index of a plugin failed: words answer
|   +-- ModelError          a model whose files are absent, altered or unusable
|       +-- TextsRefused    texts that the model cannot read; it may read others
+-- StateError              patina's own state is unreadable, locked or damaged
    +-- LockHeld            another process holds the lock
    +-- LogDamaged          the log is no sound database: a sync begins it anew
    +-- IndexDamaged        a vector file that must be rebuilt, or weights that must be trained anew
"""

from __future__ import annotations


class PatinaError(Exception):
    """What happened and why; `hint` is the next command to type.

    exit_code: what `patina` ends with when this reaches the top.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(PatinaError):
    """The arguments contradict each other or cannot mean anything."""

    exit_code = 2


class NotARepository(PatinaError):
    """No git repository encloses the path, or git refuses to read it."""


class GitError(PatinaError):
    """A git command that had to succeed failed; carries git's own words."""


class SettingsError(PatinaError):
    """Settings or recipe are invalid."""


class SessionError(PatinaError):
    """The session command cannot be carried out now."""


class PluginError(PatinaError):
    """A plugin that cannot be used, or a name that none, or more than one, provides.

    plugin: the one whose code failed, "" where that is not the cause.
    """

    def __init__(self, message: str, *, hint: str = "", plugin: str = "") -> None:
        super().__init__(message, hint=hint)
        self.plugin = plugin


class IndexUnavailable(PluginError):
    """The index of a plugin failed; words answer."""


class ModelError(PluginError):
    """A model that cannot be opened."""


class TextsRefused(ModelError):
    """The model failed on these texts, of which one may be the cause."""


class StateError(PatinaError):
    """The state folder cannot be read or written."""


class LockHeld(StateError):
    """Another process holds a lock for longer than the caller waits."""


class LogDamaged(StateError):
    """The log is no database, or one whose pages contradict each other."""


class IndexDamaged(StateError):
    """A vector file is absent, truncated, altered or of another make."""
