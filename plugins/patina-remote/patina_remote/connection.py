"""Send requests to a server over HTTP, and retry where that may help.

Only the address in the user's settings gets a request: no redirect is followed. The environment's proxies
are used, unless the server is this machine; credentials of .netrc are not. TLS is checked against the
system's certificates (or SSL_CERT_FILE).
"""

from __future__ import annotations

import random
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html import escape
from threading import Timer
from types import TracebackType
from typing import Any, Final

import httpx

from patina_hooks.authoring import ModelError, TextsRefused, clean_line
from patina_remote.server import Server, is_loopback

LONGEST_PAUSE: Final = 30.0
"""Seconds: a server that asks for more is not waited for."""

_FIRST_PAUSE: Final = 0.5
_TO_CONNECT: Final = 10.0
_SHOWN: Final = 200
_READ: Final = 20_000
_GRACE: Final = 0.05  # s: whoever finds a connection shut, finds that the time is over, too
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_BROKEN: Final = 500
_CLOSED: Final = re.compile(r"Server disconnected|peer closed connection")
_TOO_LONG: Final = frozenset({400, 413, 422})
_KEY_REFUSED: Final = frozenset({401, 403})


class _Cut(Exception):
    """The connection ended before the answer did; another may fare better."""


class Connection:
    """A connection to a server, kept open from one request to the next until the block ends."""

    def __init__(self, server: Server, sleep: Callable[[float], object] = time.sleep) -> None:
        self._server = server
        self._sleep = sleep
        self._http = _client(server)
        self._socket: socket.socket | None = None

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(self, body: bytes, longest: int, *, patient: bool = True) -> bytes:
        """Send a request and return the body of the answer.

        Retries after growing pauses where the server is busy or the connection was cut.

        Args:
            body: the body of the request.
            longest: the most bytes of the answer.
            patient: retry also after a 500 or a cut connection, which one text may cause each time.

        Raises:
            ModelError: there is no answer, with the reason.
            TextsRefused: the texts may be the reason.
        """
        failure: ModelError
        for attempt in range(self._server.retries + 1):
            pause = backoff(attempt)
            try:
                response, answer = self._once(body, longest)
            except _Cut as error:
                failure = TextsRefused(f"{self._who} cut the connection: {error}", hint="patina remote")
                if not patient:
                    break
            else:
                status = response.status_code
                if status == 200:
                    return answer
                failure = self._refusal(response, answer)
                if status not in _BUSY or (status == _BROKEN and not patient):
                    break
                requested = _seconds(response.headers.get("Retry-After"))
                pause = pause if requested is None else requested
            if attempt == self._server.retries or pause > LONGEST_PAUSE:
                break
            self._sleep(pause)
        raise failure

    @property
    def _who(self) -> str:
        return f"the embeddings server {self._server.address}"

    def _once(self, body: bytes, longest: int) -> tuple[httpx.Response, bytes]:
        deadline = time.monotonic() + self._server.timeout
        try:
            with self._shut_at(deadline):
                return self._exchange(body, longest, deadline)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._failure(error, late=time.monotonic() >= deadline) from None

    def _failure(self, error: Exception, *, late: bool) -> Exception:
        """Explain an error of the library; late: the time is over, however the connection ended."""
        reason = self._shown(str(error))
        if late or isinstance(error, httpx.TimeoutException):
            return TextsRefused(
                f"{self._who} did not answer within {self._server.timeout:g} seconds",
                hint="a larger timeout, or a smaller batch, in config.toml",
            )
        if isinstance(error, (httpx.ReadError, httpx.WriteError)) or _CLOSED.search(reason):
            return _Cut(reason or type(error).__name__)
        if isinstance(error, httpx.RemoteProtocolError):
            return ModelError(f"{self._who} does not speak HTTP", hint="look at url in config.toml")
        if any(isinstance(cause, ConnectionRefusedError) for cause in _causes(error)):
            return ModelError(
                f"{self._who} cannot be reached: nothing listens there",
                hint="start it, then check it with: patina remote",
            )
        return ModelError(f"{self._who} cannot be reached: {reason}", hint="patina remote")

    def _exchange(self, body: bytes, longest: int, deadline: float) -> tuple[httpx.Response, bytes]:
        data = bytearray()
        with self._http.stream(
            "POST", self._server.address, content=body, extensions={"trace": self._keep_socket}
        ) as response:
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > longest:
                    raise ModelError(
                        f"{self._who} gave more than {longest:,} bytes, which no answer here can have"
                    )
        if time.monotonic() >= deadline:  # where no length was told, the end may be that of the time
            raise httpx.ReadTimeout("")
        return response, bytes(data)

    def _keep_socket(self, event: str, info: dict[str, Any]) -> None:
        """Take the socket of a connection that the library made, to shut it when the time is over."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")

    @contextmanager
    def _shut_at(self, deadline: float) -> Iterator[None]:
        """Shut the connection when its time is over.

        The library's time limits hold for each read of the socket: a header that trickles in outlasts them.
        """
        timer = Timer(deadline - time.monotonic() + _GRACE, self._shut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it is closed already
                # TLS's own shutdown would take it from who reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _refusal(self, response: httpx.Response, answer: bytes) -> ModelError:
        status = response.status_code
        if 300 <= status < 400:
            to = self._shown(_without_secrets(response.headers.get("Location", "")))
            return ModelError(
                f"{self._who} sends on to {to}, where nothing is sent: your texts and key are for the address"
                " in your settings alone",
                hint="write the address that is meant as url in config.toml",
            )
        if status in _KEY_REFUSED:
            of = "the key" if self._server.key else "a request without a key"
            return ModelError(
                f"{self._who} answered {status}: it refuses {of}",
                hint="look at key_variable in config.toml, and at what the server logs",
            )
        message = self._shown(answer.decode("utf-8", "replace"))
        hints = {
            404: "look at url and model in config.toml",
            **dict.fromkeys(
                _TOO_LONG, "have the server cut long texts, or set max_characters in config.toml"
            ),
        }
        hint = hints.get(status, "again in a while")
        kind = TextsRefused if status in _TOO_LONG or status == _BROKEN else ModelError
        return kind(f"{self._who} answered {status}: {message or 'nothing'}", hint=hint)

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
        rf"(?:{re.escape(char)}|%(?:25)*{ord(char):02x}|u00{ord(char):02x}|&#0*{ord(char)};|&#x0*{ord(char):x};"
        rf"|{re.escape(escape(char))})"
        for char in key
    )
    return re.sub(r"[\s\\]*".join(spelt), "...", text, flags=re.IGNORECASE)


def _without_secrets(address: str) -> str:
    """Remove query, fragment and user from an address, since each may hold a key."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", address)[0])


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _client(server: Server) -> httpx.Client:
    local = is_loopback(server.host)
    # A plain server of this machine needs none of the system's certificates, which take time to load.
    plain = local and not server.tls
    return httpx.Client(
        headers=_headers(server),
        timeout=httpx.Timeout(server.timeout, connect=min(server.timeout, _TO_CONNECT)),
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else ssl.create_default_context(),
        follow_redirects=False,
        trust_env=not local,  # proxies; a key may go to this machine unencrypted, and to no proxy
    )


def _headers(server: Server) -> dict[str, str]:
    key = {"Authorization": f"Bearer {server.key}"} if server.key else {}
    # An answer that is not packed has the size that it is read with.
    return {
        "Content-Type": "application/json",
        "User-Agent": "patina-remote",
        "Accept-Encoding": "identity",
        **key,
    }


def _seconds(header: str | None) -> float | None:
    """Parse Retry-After: seconds, or a date (RFC 9110, 10.2.3). None where it is neither."""
    from email.utils import parsedate_to_datetime

    with suppress(ValueError, TypeError, OverflowError):
        if header and header.strip().isdigit():
            return float(header)
        if header:
            return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    return None
