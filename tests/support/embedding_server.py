"""An embeddings server on loopback: as much of the OpenAI protocol as embedding takes, and its mishaps.

A text's vector is the sum of its words' vectors, which are random by word and by the model that it runs.
"""

from __future__ import annotations

import json
import re
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Literal

import numpy as np

from patina_hooks.config.settings import user_file

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

_WORDS = 4_096


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as it came; names of headers in lower case. connection: the client's port."""

    path: str
    headers: Mapping[str, str]
    connection: int
    model: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What comes instead of vectors. cut: bytes after which the connection ends, None for all of them.

    headers: an empty one replaces the server's own by none.
    stalls: nothing comes until the test is over, or a byte of body now and then, which may stand for a head.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    stalls: Literal["", "silent", "trickling", "trickling head"] = ""


@dataclass
class EmbeddingServer:
    """What it runs and how it behaves; tests change it between requests.

    runs: which model; another number is another model. noise: of this size on every value, as of a batch
        on a GPU.
    replies: what comes instead, one a request, before it serves again; None is an answer like any other.
    meanwhile: called with each request before it is answered. closes: the connection, after each answer.
    heard_out: whether a client stayed to the end of what trickled.
    """

    url: str = ""
    dimensions: int = 64
    runs: int = 0
    noise: float = 0.0
    replies: list[Reply | None] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    meanwhile: Callable[[Asked], object] = id
    closes: bool = False
    heard_out: bool = False
    over: Event = field(default_factory=Event)

    @cached_property
    def _noise(self) -> np.random.Generator:
        return np.random.default_rng(1)

    def texts(self) -> list[str]:
        """All that it was asked for, in order."""
        return [text for asked in self.asked for text in asked.texts]

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """[n, d] float32."""
        generator = np.random.default_rng(self.runs)
        table = generator.standard_normal((_WORDS, self.dimensions), dtype=np.float32)
        places = [
            [zlib.crc32(word.encode()) % _WORDS for word in re.findall(r"\w+|\S", text.lower())] or [0]
            for text in texts
        ]
        sums = np.stack([table[one].sum(axis=0) for one in places])
        noise = self.noise * self._noise.standard_normal(sums.shape, dtype=np.float32)
        return np.asarray(sums + noise, dtype=np.float32)

    def answer(self, texts: Sequence[str]) -> bytes:
        """The body of an answer, the last text first."""
        rows = enumerate(self.vectors(texts).tolist())
        data = [{"object": "embedding", "index": place, "embedding": row} for place, row in rows]
        return json.dumps({"object": "list", "data": data[::-1]}).encode()


CERTIFICATE = Path(__file__).parents[1] / "data" / "loopback.pem"
"""Of 127.0.0.1, signed by itself, with its key, which guards nothing."""


@contextmanager
def serving(*, tls: bool = False, protocol: str = "HTTP/1.1") -> Iterator[EmbeddingServer]:
    """A server at `url` for as long as the block runs."""
    served = EmbeddingServer()

    class Handler(_Handler):
        server_here = served
        protocol_version = protocol

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True, do_handshake_on_connect=False)
    served.url = f"http{'s' * tls}://127.0.0.1:{httpd.server_port}/v1"
    thread = Thread(target=httpd.serve_forever, args=[0.01])
    thread.start()
    try:
        yield served
    finally:
        served.over.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def use(server: EmbeddingServer, **values: object) -> None:
    """Write the user's settings: the runtime "remote" asks this server."""
    told = {"url": server.url, "model": "acme", "timeout": 20, "retries": 0, **values}
    user_file().parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{name} = {json.dumps(value)}" for name, value in told.items())
    user_file().write_text("[runtime.remote]\n" + "\n".join(lines) + "\n")


class _Handler(BaseHTTPRequestHandler):
    server_here: EmbeddingServer

    def handle(self) -> None:
        with suppress(ConnectionError, ssl.SSLError):  # who does not like an answer goes away
            super().handle()

    def do_POST(self) -> None:
        here = self.server_here
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = json.loads(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        port, texts = self.client_address[1], told["input"]
        here.asked.append(Asked(self.path, headers, port, told["model"], tuple(texts)))
        here.meanwhile(here.asked[-1])
        reply = (here.replies.pop(0) if here.replies else None) or Reply(body=here.answer(texts))
        self._send(reply)

    def log_message(self, *_: object) -> None:
        """Not on the tests' stderr."""

    def _send(self, reply: Reply) -> None:
        if reply.stalls == "silent":
            self.server_here.over.wait()
        if reply.cut == 0 or reply.stalls == "silent":
            self.close_connection = True
            return
        if reply.stalls == "trickling head":
            self._trickle(reply.body)
            return
        self.send_response(reply.status)
        if self.server_here.closes:
            self.send_header("Connection", "close")
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if reply.stalls == "trickling":
            self._trickle(reply.body)
            return
        self.wfile.write(reply.body[: reply.cut])
        if reply.cut is not None:
            self.close_connection = True

    def _trickle(self, data: bytes) -> None:
        for byte in data:
            self.wfile.write(bytes([byte]))
            if self.server_here.over.wait(0.01):
                break
        else:
            self.server_here.heard_out = True
        self.close_connection = True
