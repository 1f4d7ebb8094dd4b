"""A model hub on loopback: as much of the Hugging Face hub's protocol as pulling takes, and its mishaps.

A revision's commit is at /api/models/<repository>/revision/<revision>. Files are at
/<repository>/resolve/<revision>/<path>; large ones have the sha256 of their content as ETag, and another host
serves them, as with the real hub.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

COMMIT = "c0ffee" * 6 + "cafe"
_LARGE = 1_000


@dataclass(slots=True)
class Asked:
    """One request, as it came; names of headers in lower case."""

    method: str
    host: str
    path: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class Hub:
    """What the hub has and how it behaves; tests change it between requests.

    files: (repository, path) -> content. commits: revision -> commit.
    cuts: bytes after which the next downloads end, one a download; down: nothing is given any more.
    lies: says the right hash of a file and gives other bytes of the same length.
    """

    url: str = ""
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    gated: set[str] = field(default_factory=set)
    cuts: list[int] = field(default_factory=list)
    down: bool = False
    lies: bool = False
    asked: list[Asked] = field(default_factory=list)

    def add(self, repository: str, path: str, content: bytes) -> str:
        """Put a file there; its sha256."""
        self.files[repository, path] = content
        return hashlib.sha256(content).hexdigest()

    def downloads(self) -> list[str]:
        """The Range header of every download from the host of large files, "" where it asked for all."""
        return [
            one.headers.get("range", "")
            for one in self.asked
            if one.method == "GET" and one.host.startswith("localhost")
        ]


def set_hub_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the hub cache into a folder, for this process and its children, and return its path."""
    monkeypatch.setenv("HF_HOME", str(folder))
    # The library reads its variables when it is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
    return folder / "hub"


@contextmanager
def served() -> Iterator[Hub]:
    """A hub at `url` for as long as the block runs."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Not on the tests' stderr."""

    def _answer(self) -> None:
        hub, host = self.hub, self.headers.get("Host", "")
        hub.asked.append(
            Asked(
                self.command, host, self.path, {name.lower(): value for name, value in self.headers.items()}
            )
        )
        if hub.down and self.command == "GET":
            return self._refuse(503, "")
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)()", self.path)
        match = info or re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        if match is None or not any(repository == match[1] for repository, _ in hub.files):
            return self._refuse(404, "RepoNotFound")
        repository, revision, path = match.groups()
        commit = hub.commits.get(revision, revision if revision in hub.commits.values() else "")
        if repository in hub.gated:
            return self._refuse(403, "GatedRepo")
        if not commit:
            return self._refuse(404, "RevisionNotFound")
        if info:
            self._send(200, {}, json.dumps({"id": repository, "sha": commit}).encode())
        elif (content := hub.files.get((repository, path))) is None:
            self._refuse(404, "EntryNotFound")
        else:
            self._give(content, commit, f"/{repository}/resolve/{commit}/{path}", host)
        return None

    def _give(self, content: bytes, commit: str, path: str, host: str) -> None:
        large = len(content) > _LARGE
        told = {
            "X-Repo-Commit": commit,
            "ETag": f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        if large and host.startswith("127.0.0.1"):
            told["X-Linked-ETag"] = f'"{hashlib.sha256(content).hexdigest()}"'
            told["X-Linked-Size"] = str(len(content))
            told["Location"] = f"http://localhost:{host.partition(':')[2]}{path}"
            return self._send(302, told, b"")
        first = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or ["", "0"])[1])
        if first:
            told["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        given = content[::-1] if self.hub.lies else content
        return self._send(206 if first else 200, told, given[first:], self.hub.cuts)

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, {"X-Error-Code": code} if code else {}, b"")

    def _send(
        self, status: int, headers: Mapping[str, str], body: bytes, cuts: list[int] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD" or not body:
            return
        cut = cuts.pop(0) if cuts else len(body)
        self.wfile.write(body[:cut])
        if cut < len(body):
            self.close_connection = True
