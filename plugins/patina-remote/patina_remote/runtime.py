"""A model on a server, which must return the same probe vectors as before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from patina_hooks import ModelSpec
from patina_hooks.authoring import (
    PROBE_TEXTS,
    ModelError,
    ModelFiles,
    ProbeVectors,
    TextsRefused,
    least_cosine,
)
from patina_remote.answer import (
    Unusable,
    UnusableVectors,
    answer_limit,
    batch_by_size,
    build_request,
    read_vectors,
)
from patina_remote.probes import (
    ALIKE,
    ALIKE_AMONG_OTHERS,
    AMONG,
    STEADY,
    load_probes,
    store_first_probes,
)
from patina_remote.server import Server, load_server

if TYPE_CHECKING:
    from patina_hooks.authoring import Vectors
    from patina_remote.connection import Connection


def variant(model: ModelSpec) -> str:
    """Return the part of the fingerprint for the server: its model name and its probe vectors.

    Sends a request if the server has no stored probe vectors.

    Raises:
        ModelError: the server cannot be used.
        SettingsError: the settings are invalid.
    """
    server = load_server()
    cut = f" cut to {server.max_characters}" if server.max_characters else ""
    return f"{server.model} {_probes(server, model).mark}{cut}"


def open_model(model: ModelSpec, files: ModelFiles) -> ServedModel:
    """Open the server's model.

    Raises:
        ModelError: it cannot be reached, or is another model than before.
    """
    server = load_server()
    served = ServedModel(server, _probes(server, model))
    served.check_probes(embed_probes(server))
    return served


class ServedModel:
    """A `TextModel` whose texts the server pools and cuts.

    expected: the probe vectors that each request is compared with: a server may change its model at any time,
        and one of several servers behind an address may be outdated.
    """

    def __init__(self, server: Server, expected: ProbeVectors) -> None:
        self._server = server
        self._expected = expected
        self._steady = False  # a probe among other texts has the vector that it has among probes
        self._patient = True

    @property
    def texts_at_once(self) -> int:
        """Texts of a request, apart from its probe text."""
        return self._server.batch - 1

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Vectors [n, d], float32, as the server gives them.

        Each request has a probe text among its texts. All probes are asked at the end, unless the one in each
        request was shown to be as strict. Raises `ModelError`, also where one of them tells of another model:
        no vector is given then. `TextsRefused` where the texts may be the reason.
        """
        # HTTP and numpy take 0.1 s to import; the fingerprint, which every sync asks for, wants neither.
        import numpy as np

        from patina_remote.connection import Connection

        most = self._server.max_characters or None
        texts = [text[:most] for text in texts]
        vectors = np.empty((len(texts), self._expected.dimensions), dtype=np.float32)
        least = 1.0
        with Connection(self._server) as connection:
            for batch in batch_by_size(texts, self.texts_at_once):
                vectors[batch], cosine = self._request_with_probe(
                    connection, [texts[place] for place in batch]
                )
                least = min(least, cosine)
            if not (self._steady and least > STEADY):
                self.check_probes(self._request(connection, PROBE_TEXTS))
                self._steady = bool(texts) and least > STEADY
        return vectors

    def check_probes(self, vectors: Vectors) -> None:
        """Compare the vectors of all probe texts.

        Raises:
            ModelError: they are of another model.
        """
        cosine = least_cosine(vectors, self._expected.vectors)
        if not cosine > ALIKE:  # also for NaN
            raise another_model(self._server, cosine)

    def _request_with_probe(self, connection: Connection, texts: Sequence[str]) -> tuple[Vectors, float]:
        """Return the vectors of one request, and the cosine of its probe text."""
        vectors = self._request(connection, [*texts, PROBE_TEXTS[AMONG]])
        cosine = least_cosine(vectors[-1:], self._expected.vectors[AMONG, None])
        if not cosine > ALIKE_AMONG_OTHERS:
            raise another_model(self._server, cosine)
        return vectors[:-1], cosine

    def _request(self, connection: Connection, texts: Sequence[str]) -> Vectors:
        try:
            vectors = _request(connection, self._server, texts, patient=self._patient)
        except TextsRefused:
            self._patient = False  # smaller requests follow, to find the text
            raise
        self._patient = True
        return vectors


def embed_probes(server: Server) -> Vectors:
    """Request the vectors of the probe texts, [n, d] float32.

    Raises:
        ModelError: the server cannot be used.
    """
    from patina_remote.connection import Connection

    with Connection(server) as connection:
        return _request(connection, server, PROBE_TEXTS)


def another_model(server: Server, cosine: float) -> ModelError:
    """Return the error for a server whose probe vectors differ from the stored ones."""
    return ModelError(
        f"the server {server.address} gives other vectors for {server.model!r} than it did (cosine"
        f" {cosine:.3f}): it runs another model by that name, and what is embedded would not fit",
        hint="start the earlier model; or accept this one and embed everything again: patina remote --accept",
    )


def _probes(server: Server, model: ModelSpec) -> ProbeVectors:
    """Return the stored probe vectors; without any, request and store them."""
    stored = load_probes(server.model)
    probes = stored or ProbeVectors.of(embed_probes(server))
    if probes.dimensions != model.dimensions:
        raise ModelError(
            f"the server's {server.model!r} gives vectors of {probes.dimensions} values, and the model"
            f" {model.name} has {model.dimensions}: it is another model",
            hint="correct model in config.toml, or the recipe's embedding_model",
        )
    return stored or store_first_probes(server.model, probes)


def _request(
    connection: Connection, server: Server, texts: Sequence[str], *, patient: bool = True
) -> Vectors:
    """Send one request."""
    body = connection.ask(build_request(server.model, texts), answer_limit(len(texts)), patient=patient)
    try:
        return read_vectors(body, len(texts))
    except Unusable as error:
        kind = TextsRefused if isinstance(error, UnusableVectors) else ModelError
        raise kind(f"the embeddings server {server.address} {error}", hint="patina remote") from None
