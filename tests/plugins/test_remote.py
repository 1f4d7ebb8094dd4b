"""The remote runtime's protocol: what is sent, to whom, what is taken from a server, and what is not."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from email.utils import formatdate
from html import escape
from pathlib import Path
from threading import Thread
from traceback import format_exception
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patina_remote.answer import Unusable, batch_by_size, read_vectors
from patina_remote.connection import LONGEST_PAUSE, Connection, backoff
from patina_remote.probes import AMONG
from patina_remote.runtime import ServedModel
from patina_remote.server import Server, load_server
from support.embedding_server import CERTIFICATE, EmbeddingServer, Reply, serving

from patina_hooks.config.settings import user_file
from patina_hooks.errors import ModelError, SettingsError
from patina_hooks.models.probes import PROBE_TEXTS, ProbeVectors

if TYPE_CHECKING:
    from patina_hooks.specs.vectors import Vectors

KEY = "sk-not-to-be-seen"
SLASHED = 'sk-not/to+"be"=seen'
SLOW_HEADER = b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 300
PROBE = PROBE_TEXTS[AMONG]
_NUMBERS = st.floats(0.5, 2.0**100, width=32)


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serving() as server:
        yield server


def known(server: EmbeddingServer, **changes: object) -> Server:
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    plain = Server("127.0.0.1", port, "/v1/embeddings", "acme", key=KEY, timeout=20)
    return replace(plain, **changes)  # type: ignore[arg-type]


def embed(server: EmbeddingServer, texts: Sequence[str], **changes: object) -> Vectors:
    """As a runtime that was opened does, which held the server to its probe texts."""
    held = ProbeVectors.of(server.vectors(PROBE_TEXTS))
    return ServedModel(known(server, **changes), held).embed_texts(texts)


def ask(server: EmbeddingServer, pauses: list[float] | None = None, **changes: object) -> bytes:
    """One request, with the pauses between attempts written down and not waited for."""
    kept = [] if pauses is None else pauses
    with Connection(known(server, **changes), sleep=kept.append) as connection:
        return connection.ask(b'{"model": "acme", "input": ["x"]}', 10_000)


# --- what is sent -----------------------------------------------------------------------------------


def test_a_request_has_the_model_the_texts_and_the_key(server: EmbeddingServer) -> None:
    texts = ["naïve 日本語 🙂", "\u202e odd \x1b[31m", "a lone \ud800", "x" * 5_000]
    vectors = embed(server, texts)
    asked = server.asked[0]
    assert (asked.path, asked.model) == ("/v1/embeddings", "acme")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert sorted(asked.texts) == sorted([*texts[:2], "a lone ?", texts[3], PROBE])
    assert np.array_equal(vectors[3], server.vectors([texts[3]])[0])


def test_texts_go_in_batches_over_one_connection_and_come_back_in_order(server: EmbeddingServer) -> None:
    texts = [f"{'word ' * (number % 7)}number {number}" for number in range(50)]
    vectors = embed(server, texts, batch=8)
    assert [len(asked.texts) for asked in server.asked] == [8, 8, 8, 8, 8, 8, 8, 2, len(PROBE_TEXTS)]
    assert len({asked.connection for asked in server.asked}) == 1
    assert np.array_equal(vectors, server.vectors(texts))
    assert embed(server, []).shape == (0, server.dimensions)


@settings(deadline=None)
@given(st.lists(st.text(max_size=30)), st.integers(1, 6), st.integers(1, 60))
def test_each_text_is_in_one_batch_and_no_batch_is_too_large(
    texts: list[str], most: int, most_bytes: int
) -> None:
    made = list(batch_by_size(texts, most, most_bytes))
    assert sorted(place for batch in made for place in batch) == list(range(len(texts)))
    for batch in made:
        size = sum(len(texts[place].encode("utf-8", "replace")) for place in batch)
        assert len(batch) == 1 or (len(batch) <= most and size <= most_bytes)


def test_texts_are_cut_where_the_user_says_so(server: EmbeddingServer) -> None:
    embed(server, ["a longer text", "ab"], max_characters=5)
    assert server.texts() == ["ab", "a lon", PROBE, *PROBE_TEXTS]


# --- what is taken ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda width: st.lists(st.lists(_NUMBERS, min_size=width, max_size=width), min_size=1, max_size=8)
    ),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_vectors_are_read_by_index_as_numbers_or_base64(
    rows: list[list[float]], order: object, packed: bool
) -> None:
    def written(row: list[float]) -> object:
        return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode() if packed else row

    data = [{"index": place, "embedding": written(row)} for place, row in enumerate(rows)]
    order.shuffle(data)  # type: ignore[attr-defined]
    found = read_vectors(json.dumps({"data": data}).encode(), len(rows))
    assert found.dtype == np.float32
    assert found.tolist() == rows


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_whatever_comes_it_is_vectors_or_unusable(body: bytes) -> None:
    with pytest.raises(Unusable):
        read_vectors(body, 1)


def entry(index: object, embedding: object) -> dict[str, object]:
    return {"index": index, "embedding": embedding}


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ([entry(0, [1.0])], "gave 1 vectors for 2 texts"),
        ([entry(0, [1.0])] * 2, "gave two vectors for the text 0"),
        ([entry(0, [1.0]), entry(2, [1.0])], "without the index of its text"),
        ([entry(0, [1.0]), entry(-1, [1.0])], "without the index of its text"),
        ([entry(0, [1.0]), entry(True, [1.0])], "without the index of its text"),
        ([entry(0, [1.0]), {"embedding": [1.0]}], "without the index of its text"),
        ([entry(0, [1.0]), "x"], "without the index of its text"),
        ([entry(0, [1.0]), entry(1, [1.0, 2.0])], "gave vectors of different lengths"),
        ([entry(0, [1.0]), entry(1, [0.0])], "gave a vector of zeros"),
        ([entry(0, [1.0]), entry(1, [float("nan")])], "not finite"),
        ([entry(0, [1.0]), entry(1, [float("-inf")])], "not finite"),
        ([entry(0, [1.0]), entry(1, [1e39])], "not finite"),
        ([entry(0, [1.0]), entry(1, [None])], "not finite"),
        ([entry(0, [1.0]), entry(1, ["one"])], "not a list of numbers"),
        ([entry(0, [1.0]), entry(1, [10**400])], "not a list of numbers"),
        ([entry(0, [1.0]), entry(1, [[1.0]])], "not a list of numbers"),
        ([entry(0, [1.0]), entry(1, "AAA")], "not a list of numbers"),
        ([entry(0, [1.0]), entry(1, "AAAA")], "not a list of numbers"),
        ([entry(0, [1.0]), entry(1, None)], "not a list of numbers"),
        ([entry(0, []), entry(1, [])], "gave a vector of zeros"),
        ({}, "no list of vectors"),
    ],
)
def test_an_answer_that_is_wrong_is_no_answer(data: object, what: str) -> None:
    with pytest.raises(Unusable, match=what):
        read_vectors(json.dumps({"data": data}).encode(), 2)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b'"x"', b"\xff"])
def test_what_is_no_json_is_no_answer(body: bytes) -> None:
    with pytest.raises(Unusable, match="is it an embeddings server"):
        read_vectors(body, 1)


def test_the_message_names_the_server(server: EmbeddingServer) -> None:
    server.replies.append(Reply(body=b"hello"))
    with pytest.raises(ModelError, match=f"{server.url}/embeddings gave what is not JSON"):
        embed(server, ["x"])


# --- again, where that helps ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server: EmbeddingServer, status: int) -> None:
    server.replies += [Reply(status), Reply(status)]
    pauses: list[float] = []
    assert b"embedding" in ask(server, pauses)
    assert len(server.asked) == 3
    assert 0.3 < pauses[0] < 0.7
    assert 0.7 < pauses[1] < 1.3


@pytest.mark.parametrize("cut", [0, 5])
def test_a_connection_that_is_cut_is_made_again(server: EmbeddingServer, cut: int) -> None:
    server.replies.append(Reply(body=b"x" * 100, cut=cut))
    assert b"embedding" in ask(server)
    assert len(server.asked) == 2


def test_it_is_asked_so_often_and_no_more(server: EmbeddingServer) -> None:
    server.replies += [Reply(503, b"loading")] * 5 + [Reply(cut=0)] * 5
    pauses: list[float] = []
    with pytest.raises(ModelError, match="answered 503: loading"):
        ask(server, pauses, retries=2)
    assert (len(server.asked), len(pauses)) == (3, 2)
    del server.replies[:2]
    with pytest.raises(ModelError, match="cut the connection"):
        ask(server, retries=1)


def test_it_says_how_long_to_wait(server: EmbeddingServer) -> None:
    soon = formatdate(time.time() + 20, usegmt=True)
    server.replies += [Reply(429, headers={"Retry-After": said}) for said in ("7", "0", soon)]
    pauses: list[float] = []
    ask(server, pauses)
    assert pauses[:2] == [7.0, 0.0]
    assert 0 < pauses[2] <= 20


def test_nobody_waits_for_long(server: EmbeddingServer) -> None:
    server.replies.append(Reply(429, headers={"Retry-After": "3600"}))
    pauses: list[float] = []
    with pytest.raises(ModelError, match="answered 429"):
        ask(server, pauses)
    assert pauses == []
    assert all(backoff(attempt) < LONGEST_PAUSE for attempt in range(5))


@pytest.mark.parametrize("status", [400, 404, 413, 422, 501])
def test_a_refusal_is_not_tried_again(server: EmbeddingServer, status: int) -> None:
    server.replies.append(Reply(status, b'{"error": "no"}'))
    with pytest.raises(ModelError, match=f"answered {status}: .*no") as caught:
        ask(server)
    assert caught.value.hint
    assert len(server.asked) == 1


@pytest.mark.parametrize("closes", [True, False], ids=["Connection: close", "HTTP/1.0"])
def test_a_server_that_ends_the_connection_with_each_answer_is_a_server(closes: bool) -> None:
    with serving(protocol="HTTP/1.1" if closes else "HTTP/1.0") as server:
        server.closes = closes
        texts = [f"number {number}" for number in range(20)]
        assert np.array_equal(embed(server, texts, batch=5, retries=0), server.vectors(texts))
        assert len({asked.connection for asked in server.asked}) == len(server.asked) == 6


# --- what is not waited for, nor followed -----------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        Reply(stalls="silent"),
        Reply(body=b"x" * 300, stalls="trickling"),
        Reply(body=b"x" * 300, stalls="trickling head"),
        Reply(body=SLOW_HEADER, stalls="trickling head"),
        Reply(body=b"x" * 300, stalls="trickling", headers={"Content-Length": "", "Connection": "close"}),
    ],
    ids=["silent", "body", "status", "header", "body without a length"],
)
def test_a_slow_server_is_given_up(server: EmbeddingServer, reply: Reply) -> None:
    server.replies.append(reply)
    with pytest.raises(ModelError, match=r"did not answer within 0\.3 seconds") as caught:
        ask(server, timeout=0.3)
    assert "timeout" in caught.value.hint
    assert not server.heard_out
    assert len(server.asked) == 1


def test_a_slow_server_is_given_up_over_tls_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with serving(tls=True) as server:
        server.replies.append(Reply(body=SLOW_HEADER, stalls="trickling head"))
        with pytest.raises(ModelError, match=r"did not answer within 0\.5 seconds"):
            ask(server, tls=True, timeout=0.5)
        assert not server.heard_out
        assert len(server.asked) == 1


def test_a_server_that_is_gone_is_said_at_once() -> None:
    with serving() as server:
        pass
    pauses: list[float] = []
    with pytest.raises(ModelError, match="nothing listens there"):
        ask(server, pauses)
    assert pauses == []


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "99999999999"}, {"Connection": "close"}])
def test_an_answer_without_end_is_not_read(server: EmbeddingServer, headers: dict[str, str]) -> None:
    server.replies.append(Reply(body=b" " * 1_000_000, headers=headers))
    with pytest.raises(ModelError, match="gave more than 10,000 bytes"):
        ask(server)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nothing_is_sent_to_where_a_redirect_leads(server: EmbeddingServer, status: int) -> None:
    with serving() as other:
        to = other.url.replace("//", "//me:pass@") + "/embeddings?token=secret#secret"
        server.replies.append(Reply(status, headers={"Location": to}))
        with pytest.raises(ModelError, match=f"sends on to {other.url}/embeddings, where"):
            ask(server)
        assert other.asked == []


PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy")


def test_server_of_this_machine_is_reached_without_a_proxy(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as proxy:
        for name in PROXIES:
            monkeypatch.setenv(name, proxy.url)
        ask(server)
        assert proxy.asked == []


def test_other_server_is_reached_through_the_proxy(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name in PROXIES:
        monkeypatch.setenv(name, server.url.removesuffix("/v1"))
    ask(server, host="embeddings.invalid", port=80, key="")
    (asked,) = server.asked
    assert asked.headers["host"] == "embeddings.invalid"
    monkeypatch.setenv("no_proxy", "embeddings.invalid")
    with pytest.raises(ModelError, match="cannot be reached"):
        ask(server, host="embeddings.invalid", port=80, key="")
    assert len(server.asked) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "embeddings.invalid"])
def test_credentials_of_netrc_are_not_sent(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str
) -> None:
    (tmp_path / ".netrc").write_text(
        f"machine {host} login me password secret\ndefault login me password x\n"
    )
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    ask(server, host=host, key="")
    ask(server, host=host)
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, f"Bearer {KEY}"]


def test_key_is_not_logged(server: EmbeddingServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    server.replies.append(Reply(401, KEY.encode()))
    with pytest.raises(ModelError):
        ask(server)
    assert "POST" in caplog.text
    assert KEY not in caplog.text


def test_packed_answer_is_not_unpacked(server: EmbeddingServer) -> None:
    """Its size would not be limited."""
    packed = gzip.compress(b" " * 1_000_000)
    server.replies.append(Reply(body=packed, headers={"Content-Encoding": "gzip"}))
    assert ask(server) == packed
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_server_that_does_not_speak_http_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(b"220 mail.example.org ESMTP\r\n\r\n")

        Thread(target=greet, daemon=True).start()
        server = Server("127.0.0.1", listener.getsockname()[1], "/v1/embeddings", "acme", retries=0)
        with (
            pytest.raises(ModelError, match="does not speak HTTP"),
            Connection(server, sleep=lambda _: None) as connection,
        ):
            connection.ask(b"{}", 1_000)


def test_a_strangers_words_are_cut_cleaned_and_hold_no_key(server: EmbeddingServer) -> None:
    said = f"\x1b[31mIncorrect key\n{KEY}\u202e provided " + "x" * 1_000
    server.replies.append(Reply(400, said.encode()))
    with pytest.raises(ModelError) as caught:
        ask(server)
    message = str(caught.value)
    assert "[31mIncorrect key ... provided xxx" in message
    assert KEY not in "".join(format_exception(caught.value))
    assert message.isprintable()
    assert len(message) < 400


@pytest.mark.parametrize(
    "repeated",
    [
        json.dumps(SLASHED).replace("/", "\\/"),
        json.dumps(json.dumps(SLASHED)).replace("/", "\\/"),
        quote(SLASHED, safe=""),
        quote(quote(SLASHED, safe="")),
        "".join(f"\\u{ord(letter):04x}" for letter in SLASHED),
        escape(SLASHED),
        "".join(f"&#{ord(letter)};" for letter in SLASHED),
        SLASHED[:5] + "\x00" + SLASHED[5:],
        SLASHED[:5] + "\u202e\n" + SLASHED[5:],
        SLASHED.upper(),
    ],
)
def test_a_key_is_not_shown_however_it_is_written(server: EmbeddingServer, repeated: str) -> None:
    server.replies.append(Reply(400, f"not {repeated} here".encode()))
    with pytest.raises(ModelError, match=r'answered 400: not [\\"]*\.\.\.[\\"]* here$'):
        ask(server, key=SLASHED)


@pytest.mark.parametrize("status", [401, 403])
def test_what_a_server_says_of_a_key_is_not_shown(server: EmbeddingServer, status: int) -> None:
    server.replies += [Reply(status, b"Incorrect key: sk-no****seen")] * 2
    with pytest.raises(ModelError, match=f"answered {status}: it refuses the key$") as caught:
        ask(server)
    assert "key_variable" in caught.value.hint
    with pytest.raises(ModelError, match=f"answered {status}: it refuses a request without a key$"):
        ask(server, key="")
    assert len(server.asked) == 2


def test_a_certificate_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tls=True) as server:
        with pytest.raises(ModelError, match="certificate verify failed"):
            ask(server, tls=True)
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert b"embedding" in ask(server, tls=True)
        with pytest.raises(ModelError, match="certificate verify failed"):
            ask(server, tls=True, host="localhost")


def test_what_is_no_web_server_is_said(server: EmbeddingServer) -> None:
    with pytest.raises(ModelError, match="cannot be reached"):
        ask(server, tls=True)


# --- the settings -----------------------------------------------------------------------------------


def write(**values: object) -> None:
    lines = (f"{name} = {json.dumps(value)}" for name, value in values.items())
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text("[runtime.remote]\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1/embeddings"),
        ("http://localhost/v1/", "http://localhost:80/v1/embeddings"),
        ("https://embed.example.org", "https://embed.example.org:443/embeddings"),
        ("https://embed.example.org/v1/embeddings", "https://embed.example.org:443/v1/embeddings"),
        ("http://[::1]:11434/v1", "http://[::1]:11434/v1/embeddings"),
    ],
)
def test_an_address_is_as_the_user_writes_it(url: str, address: str) -> None:
    write(url=url, model="acme")
    assert load_server().address == address


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"url": "ftp://x/v1"}, "url: expected an address such as"),
        ({"url": "127.0.0.1:8080"}, "url: expected an address such as"),
        ({"url": "http://x:99999/"}, "url: expected an address such as"),
        ({"url": "http://x/\n"}, "url: expected an address such as"),
        ({"url": "http://embed..example.org/v1"}, "url: expected an address such as"),
        ({"url": f"http://{'x' * 64}.example.org/v1"}, "url: expected an address such as"),
        ({"url": f"https://me:{KEY}@x/v1"}, "without user, query or fragment"),
        ({"url": f"https://x/v1?key={KEY}"}, "without user, query or fragment"),
        ({"model": "a\x1bb"}, "model: expected a name without control"),
        ({"batch": 4}, "batch: expected a whole number from 5"),
        ({"retries": 11}, "retries: expected a whole number from 0 to 10"),
        ({"timeout": 0}, "timeout: expected a whole number from 1"),
        ({"max_characters": -1}, "max_characters: expected a whole number from 0"),
        ({"key": KEY}, "unknown key 'runtime.remote.key'"),
        ({"url": "http://embed.example.org/v1", "key_variable": "ACME_KEY"}, "url: expected https://"),
    ],
)
def test_what_cannot_be_meant_is_said_without_what_may_be_secret(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], what: str
) -> None:
    monkeypatch.setenv("ACME_KEY", KEY)
    write(**{"url": "http://127.0.0.1:8080/v1", "model": "acme", **changes})
    with pytest.raises(SettingsError, match=what) as caught:
        load_server()
    assert KEY not in str(caught.value)


def test_the_key_is_read_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    write(url="http://127.0.0.1:8080/v1", model="acme", key_variable="ACME_KEY")
    with pytest.raises(ModelError, match="the variable that key_variable names is not set"):
        load_server()
    monkeypatch.setenv("ACME_KEY", "two\nlines")
    with pytest.raises(ModelError, match="characters that no header can") as caught:
        load_server()
    assert "two" not in str(caught.value)
    monkeypatch.setenv("ACME_KEY", f" {KEY}\n")
    found = load_server()
    assert found.key == KEY
    assert KEY not in repr(found)


@pytest.mark.parametrize("key", [KEY, "plausible_as_a_name"])
def test_a_key_in_the_place_of_its_variable_is_not_shown(key: str) -> None:
    write(url="http://127.0.0.1:8080/v1", model="acme", key_variable=key)
    with pytest.raises(ModelError, match="is not set") as caught:
        load_server()
    assert "not a key" in caught.value.hint
    assert key not in "".join(format_exception(caught.value)) + caught.value.hint


def test_without_a_server_in_the_settings_there_is_none() -> None:
    with pytest.raises(ModelError, match=r"no server is named .* gives no url and no model") as caught:
        load_server()
    assert "[runtime.remote]" in caught.value.hint
