"""Which server, as the user's settings say. Nothing in a repository is ever read for it.

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
from typing import Final
from urllib.parse import SplitResult, urlsplit

from patina_hooks.authoring import PROBE_TEXTS, ModelError, SettingsError, runtime_settings, user_file

NAME: Final = "remote"
_USUAL: Final[dict[str, str | int]] = {
    "url": "",
    "model": "",
    "key_variable": "",
    "batch": 32,
    "timeout": 60,
    "retries": 3,
    "max_characters": 0,
}
_BOUNDS: Final = {
    "batch": (len(PROBE_TEXTS), 2048),  # all probe texts go together
    "timeout": (1, 3600),
    "retries": (0, 10),
    "max_characters": (0, 10_000_000),
}


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
        """As messages name it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path}"


def configured() -> Server:
    """The server of the user's settings.

    Raises `ModelError` where there is none, or its key is not in the environment, `SettingsError` for what
    cannot be meant.
    """
    told = runtime_settings(NAME, _USUAL)
    absent = [name for name in ("url", "model") if not told[name]]
    if absent:
        raise ModelError(
            f"no server is named for the runtime {NAME}: {user_file()} gives no {' and no '.join(absent)}",
            hint=f'write there: [runtime.{NAME}] url = "http://127.0.0.1:8080/v1" model = "its name there"',
        )
    numbers = {name: _bounded(name, told[name]) for name in _BOUNDS}
    split = _split(str(told["url"]))
    tls, host = split.scheme == "https", split.hostname or ""
    key = _key(str(told["key_variable"]))
    if key and not tls and not is_loopback(host):
        raise _wrong(
            "url", "https:// where a key is sent to another machine: http would show it to all between"
        )
    path = split.path.rstrip("/").removesuffix("/embeddings") + "/embeddings"
    model = str(told["model"])
    if not model.isprintable():
        raise _wrong("model", "a name without control characters")
    return Server(host, split.port or (443 if tls else 80), path, model, tls, key, **numbers)


def _split(url: str) -> SplitResult:
    """The parts of an address that may be shown: it holds no secret and no control character."""
    try:
        split = urlsplit(url)
        fits = split.scheme in ("http", "https") and split.hostname and split.port != 0
        (split.hostname or "").encode("idna")  # as the resolver does: no label is empty or too long
    except ValueError:  # UnicodeError is one
        fits = False
    if not fits or not url.isascii() or not url.isprintable() or " " in url:
        raise _wrong("url", "an address such as http://127.0.0.1:8080/v1")
    if split.username is not None or split.query or split.fragment:
        raise _wrong("url", "an address without user, query or fragment; a key goes into key_variable")
    return split


def _bounded(name: str, value: str | int) -> int:
    least, most = _BOUNDS[name]
    if not least <= int(value) <= most:
        raise _wrong(name, f"a whole number from {least} to {most}")
    return int(value)


def _key(variable: str) -> str:
    """The key in a variable, whose name is not shown: some write the key itself in its place."""
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


def _wrong(name: str, expected: str) -> SettingsError:
    """Without the value: who puts a key in the wrong place does not want to read it in a log."""
    return SettingsError(f"{user_file()}: runtime.{NAME}.{name}: expected {expected}")
