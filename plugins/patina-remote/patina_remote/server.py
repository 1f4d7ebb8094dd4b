"""The server of the user's settings; nothing in a repository is read for it.

[runtime.remote]
url = "http://127.0.0.1:8080/v1"     # requests go to <url>/embeddings
model = "BAAI/bge-base-en-v1.5"      # what the server calls it
key_variable = "EMBEDDINGS_KEY"      # the environment variable that holds the key, where it wants one
batch = 32                           # texts a request, with a probe text
timeout = 60                         # seconds a request may take, to its last byte
retries = 3                          # of one that the server was too busy for
max_characters = 0                   # texts are cut to so many; 0: the server cuts them itself
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from patina_hooks.authoring import PROBE_TEXTS, ModelError, Rule, SettingsError, runtime_settings, user_file

NAME: Final = "remote"
_ADDRESS: Final = "an address such as http://127.0.0.1:8080/v1"


def _check_url(url: str) -> None:
    """Refuse an address that may not be shown: it holds no secret and no control character."""
    try:
        split = urlsplit(url)
        fits = split.scheme in ("http", "https") and split.hostname and split.port != 0
        (split.hostname or "").encode("idna")  # as the resolver does: no label is empty or too long
    except ValueError:  # UnicodeError is one
        fits = False
    if not fits or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError
    if split.username is not None or split.query or split.fragment:
        raise ValueError("expected an address without user, query or fragment; a key goes into key_variable")


def _check_printable(text: str) -> None:
    if not text.isprintable():
        raise ValueError


@dataclass(frozen=True, slots=True)
class _Settings:
    url: Annotated[str, Rule(_ADDRESS, check=_check_url)] = ""
    model: Annotated[str, Rule("a name without control characters", check=_check_printable)] = ""
    key_variable: str = ""
    batch: Annotated[int, Rule(least=len(PROBE_TEXTS), most=2048)] = 32  # all probe texts go together
    timeout: Annotated[int, Rule(least=1, most=3600)] = 60
    retries: Annotated[int, Rule(least=0, most=10)] = 3
    max_characters: Annotated[int, Rule(least=0, most=10_000_000)] = 0


@dataclass(frozen=True, slots=True)
class Server:
    """A server and how it is to be asked. timeout: in seconds; path: of its embeddings; key: "" for none.

    The key is not shown in its repr, nor in any error.
    """

    host: str
    port: int
    path: str
    model: str
    tls: bool = False
    key: str = field(default="", repr=False)
    batch: int = 32
    timeout: float = 60.0
    retries: int = 3
    max_characters: int = 0

    @property
    def address(self) -> str:
        """The address for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path}"


def load_server() -> Server:
    """Load the server of the user's settings.

    Raises:
        ModelError: there is none, or its key is not in the environment.
        SettingsError: a setting is invalid.
    """
    settings = runtime_settings(NAME, _Settings)
    absent = [name for name in ("url", "model") if not getattr(settings, name)]
    if absent:
        raise ModelError(
            f"no server is named for the runtime {NAME}: {user_file()} gives no {' and no '.join(absent)}",
            hint=f'write there: [runtime.{NAME}] url = "http://127.0.0.1:8080/v1" model = "its name there"',
        )
    split = urlsplit(settings.url)
    tls, host = split.scheme == "https", split.hostname or ""
    key = _key(settings.key_variable)
    if key and not tls and not is_loopback(host):
        raise SettingsError(
            f"{user_file()}: runtime.{NAME}.url: expected https:// where a key is sent to another machine:"
            " http would show it to all between"
        )
    return Server(
        host,
        split.port or (443 if tls else 80),
        split.path.rstrip("/").removesuffix("/embeddings") + "/embeddings",
        settings.model,
        tls,
        key,
        settings.batch,
        settings.timeout,
        settings.retries,
        settings.max_characters,
    )


def _key(variable: str) -> str:
    """Read the key from a variable, whose name is not shown: some write the key itself there."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelError(
            f"the runtime {NAME} takes its key from the environment, where the variable that key_variable"
            " names is not set",
            hint="export it, also where git's hooks run; key_variable is the name of a variable, not a key",
        )
    if not key.isascii() or not key.isprintable():
        # A header that cannot be sent would be shown in the error of the library below.
        raise ModelError(
            "the key in the variable that key_variable names holds characters that no header can",
            hint="export it anew",
        )
    return key


def is_loopback(host: str) -> bool:
    """Say whether the host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
