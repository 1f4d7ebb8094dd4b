"""Asking a server over HTTP, and again where that may help.

Nothing but the address in the user's settings is ever asked: no redirect is followed, no proxy of the
environment is used, and TLS is checked against the system's certificates (or SSL_CERT_FILE).
"""

from __future__ import annotations

import http.client
import random
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from threading import Timer
from types import TracebackType
from typing import Final

from patina_hooks.authoring import ModelError, TextsRefused, clean_line
from patina_remote.server import Server

LONGEST_PAUSE: Final = 30.0
"""Seconds: a server that asks for more is not waited for."""

_FIRST_PAUSE: Final = 0.5
_TO_CONNECT: Final = 10.0
_CHUNK: Final = 1 << 16
_SHOWN: Final = 200
_READ: Final = 20_000
_GRACE: Final = 0.05  # s: whoever finds a connection shut, finds the time past, too
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_BROKEN: Final = 500
_TOO_LONG: Final = frozenset({400, 413, 422})
_KEY_REFUSED: Final = frozenset({401, 403})


class _Cut(Exception):
    """The connection ended before the answer did; another may fare better."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """pause: seconds that the server asks for, None where it does not say."""

    status: int
    body: bytes
    pause: float | None = None
    elsewhere: str = ""


class Connection:
    """A connection to a server, kept open from one request to the next until the block ends."""

    def __init__(self, server: Server, sleep: Callable[[float], object] = time.sleep) -> None:
        self._server = server
        self._sleep = sleep
        self._http = _connection(server)

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(self, body: bytes, longest: int, *, patient: bool = True) -> bytes:
        """The body of the answer, of at most `longest` bytes. `ModelError` says why there is none,
        `TextsRefused` where the texts may be the reason.

        Asks again, after a pause that grows, where the server is busy or the connection was cut.
        patient: also where it answered 500 or cut the connection, as it may do for one text each time.
        """
        failure: ModelError
        for attempt in range(self._server.retries + 1):
            pause = backoff(attempt)
            try:
                answer = self._once(body, longest)
            except _Cut as error:
                failure = TextsRefused(f"{self._who} cut the connection: {error}", hint="patina remote")
                if not patient:
                    break
            else:
                if answer.status == 200:
                    return answer.body
                failure = self._refusal(answer)
                if answer.status not in _BUSY or (answer.status == _BROKEN and not patient):
                    break
                pause = pause if answer.pause is None else answer.pause
            if attempt == self._server.retries or pause > LONGEST_PAUSE:
                break
            self._sleep(pause)
        raise failure

    @property
    def _who(self) -> str:
        return f"the embeddings server {self._server.address}"

    def _once(self, body: bytes, longest: int) -> _Answer:
        deadline = time.monotonic() + self._server.timeout
        try:
            return self._exchange(body, longest, deadline)
        except (http.client.HTTPException, OSError) as error:
            self._http.close()
            if time.monotonic() >= deadline:  # how a connection ends that is shut then, differs
                raise self._unreachable(TimeoutError()) from None
            if isinstance(error, ConnectionRefusedError):
                what = f"{self._who} cannot be reached: nothing listens there"
                raise ModelError(
                    what, hint="start it; patina remote tells whether it is what it was"
                ) from None
            if isinstance(error, (ConnectionError, http.client.IncompleteRead)):
                raise _Cut(type(error).__name__) from None
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> ModelError:
        if isinstance(error, TimeoutError):
            what = f"did not answer within {self._server.timeout:g} seconds"
            return TextsRefused(
                f"{self._who} {what}", hint="a larger timeout, or a smaller batch, in config.toml"
            )
        if isinstance(error, OSError):
            said = clean_line(error.strerror or str(error))[:_SHOWN]
            return ModelError(f"{self._who} cannot be reached: {said}", hint="patina remote")
        return ModelError(f"{self._who} does not speak HTTP", hint="look at url in config.toml")

    def _exchange(self, body: bytes, longest: int, deadline: float) -> _Answer:
        if self._http.sock is None:
            self._http.connect()
        with _shut_at(deadline, self._http.sock):
            self._http.request("POST", self._server.path, body, _headers(self._server))
            data = bytearray()
            with self._http.getresponse() as response:  # where all is read, the connection takes another
                while len(data) <= longest and (chunk := response.read1(_CHUNK)):
                    data += chunk
            _left(deadline)  # where no length was told, the end may be that of the time
        if len(data) > longest:
            self._http.close()
            raise ModelError(f"{self._who} gave more than {longest:,} bytes, which no answer here can have")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        pause, elsewhere = response.getheader("Retry-After"), response.getheader("Location", "")
        return _Answer(response.status, bytes(data), _seconds(pause), elsewhere)

    def _refusal(self, answer: _Answer) -> ModelError:
        if 300 <= answer.status < 400:
            to = self._shown(_without_secrets(answer.elsewhere))
            return ModelError(
                f"{self._who} sends on to {to}, where nothing is sent: your texts and key are for the address"
                " in your settings alone",
                hint="write the address that is meant as url in config.toml",
            )
        if answer.status in _KEY_REFUSED:
            of = "the key" if self._server.key else "a request without a key"
            return ModelError(
                f"{self._who} answered {answer.status}: it refuses {of}",
                hint="look at key_variable in config.toml, and at what the server logs",
            )
        said = self._shown(answer.body.decode("utf-8", "replace"))
        hints = {
            404: "look at url and model in config.toml",
            **dict.fromkeys(
                _TOO_LONG, "have the server cut long texts, or set max_characters in config.toml"
            ),
        }
        hint = hints.get(answer.status, "again in a while")
        kind = TextsRefused if answer.status in _TOO_LONG or answer.status == _BROKEN else ModelError
        return kind(f"{self._who} answered {answer.status}: {said or 'nothing'}", hint=hint)

    def _shown(self, text: str) -> str:
        """Words of a stranger: safe to print, without the key, which some repeat, and cut."""
        return without_key(clean_line(text[:_READ]), self._server.key)[:_SHOWN]


def backoff(attempt: int) -> float:
    """Seconds before another attempt, twice as long each time; drawn, so that many clients come apart."""
    return float(_FIRST_PAUSE * 2**attempt * random.uniform(0.75, 1.25))  # noqa: S311 - no secret


def without_key(text: str, key: str) -> str:
    """With "..." for the key, also as JSON, HTML or an address writes it, or with spaces in between."""
    if not key:
        return text
    spelt = (
        rf"(?:{re.escape(one)}|%(?:25)*{ord(one):02x}|u00{ord(one):02x}|&#0*{ord(one)};|&#x0*{ord(one):x};"
        rf"|{re.escape(escape(one))})"
        for one in key
    )
    return re.sub(r"[\s\\]*".join(spelt), "...", text, flags=re.IGNORECASE)


def _without_secrets(address: str) -> str:
    """An address without query, fragment and user, of which any may hold a key."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", address)[0])


@contextmanager
def _shut_at(deadline: float, sock: socket.socket) -> Iterator[None]:
    """Shut a connection when its time is up.

    A time limit of the socket's own holds for each read of it: a header that trickles in outlasts it.
    """
    sock.settimeout(_left(deadline))
    timer = Timer(_left(deadline) + _GRACE, _shut, [sock])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # TLS's own would take it from who reads


def _left(deadline: float) -> float:
    """Seconds that remain for a request. TimeoutError where there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connection(server: Server) -> http.client.HTTPConnection:
    timeout = min(server.timeout, _TO_CONNECT)
    if not server.tls:
        return http.client.HTTPConnection(server.host, server.port, timeout=timeout)
    import ssl

    context = ssl.create_default_context()
    return http.client.HTTPSConnection(server.host, server.port, timeout=timeout, context=context)


def _headers(server: Server) -> dict[str, str]:
    key = {"Authorization": f"Bearer {server.key}"} if server.key else {}
    return {"Content-Type": "application/json", "User-Agent": "patina-remote", **key}


def _seconds(said: str | None) -> float | None:
    """Retry-After: seconds, or a date (RFC 9110, 10.2.3). None where it is neither."""
    from email.utils import parsedate_to_datetime

    with suppress(ValueError, TypeError, OverflowError):
        if said and said.strip().isdigit():
            return float(said)
        if said:
            return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    return None
