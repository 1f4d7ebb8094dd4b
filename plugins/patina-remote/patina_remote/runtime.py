"""A model on a server, opened: it must give the probe vectors that it gave before."""

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
from patina_remote.answer import Unusable, UnusableVectors, batches, longest_answer, question, read_vectors
from patina_remote.probes import (
    ALIKE,
    ALIKE_AMONG_OTHERS,
    AMONG,
    STEADY,
    keep_first_probes,
    load_probes,
)
from patina_remote.server import Server, configured

if TYPE_CHECKING:
    from patina_hooks.authoring import Vectors
    from patina_remote.connection import Connection


def variant(model: ModelSpec) -> str:
    """What the fingerprint knows of the server: its name of the model, and which probes it is held to.

    Asks the server where it never was asked before. Raises `ModelError`, `SettingsError`.
    """
    server = configured()
    cut = f" cut to {server.max_characters}" if server.max_characters else ""
    return f"{server.model} {_probes(server, model).mark}{cut}"


def open_model(model: ModelSpec, files: ModelFiles) -> ServedModel:
    """The server's model. `ModelError` where it cannot be reached, or is another than it was."""
    server = configured()
    served = ServedModel(server, _probes(server, model))
    served.recognise(embed_probes(server))
    return served


class ServedModel:
    """A `TextModel`: what is embedded, the server pools and cuts.

    known: what its probes are held to, for as long as it is open: a server may turn into another at any
        request, and a fleet of them may hold one that lags behind.
    """

    def __init__(self, server: Server, known: ProbeVectors) -> None:
        self._server = server
        self._known = known
        self._steady = False  # a probe among other texts has the vector that it has among probes
        self._patient = True

    @property
    def texts_at_once(self) -> int:
        """How many texts a request takes, with a probe text."""
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
        vectors = np.empty((len(texts), self._known.dimensions), dtype=np.float32)
        least = 1.0
        with Connection(self._server) as connection:
            for batch in batches(texts, self.texts_at_once):
                vectors[batch], alike = self._with_a_probe(connection, [texts[place] for place in batch])
                least = min(least, alike)
            if not (self._steady and least > STEADY):
                self.recognise(self._ask(connection, PROBE_TEXTS))
                self._steady = bool(texts) and least > STEADY
        return vectors

    def recognise(self, found: Vectors) -> None:
        """Raises `ModelError` where what all probes gave is of another model."""
        alike = least_cosine(found, self._known.vectors)
        if not alike > ALIKE:  # nor where it is no number
            raise another_model(self._server, alike)

    def _with_a_probe(self, connection: Connection, texts: Sequence[str]) -> tuple[Vectors, float]:
        """The vectors of one request, and how near its probe text came to the known vector."""
        found = self._ask(connection, [*texts, PROBE_TEXTS[AMONG]])
        alike = least_cosine(found[-1:], self._known.vectors[AMONG, None])
        if not alike > ALIKE_AMONG_OTHERS:
            raise another_model(self._server, alike)
        return found[:-1], alike

    def _ask(self, connection: Connection, texts: Sequence[str]) -> Vectors:
        try:
            found = _ask(connection, self._server, texts, patient=self._patient)
        except TextsRefused:
            self._patient = False  # smaller requests follow, to find the text
            raise
        self._patient = True
        return found


def embed_probes(server: Server) -> Vectors:
    """What the server gives for the probe texts now, [n, d] float32. Raises `ModelError`."""
    from patina_remote.connection import Connection

    with Connection(server) as connection:
        return _ask(connection, server, PROBE_TEXTS)


def another_model(server: Server, alike: float) -> ModelError:
    """What to say of a server whose probe vectors are not those that were kept."""
    return ModelError(
        f"the server {server.address} gives other vectors for {server.model!r} than it did (cosine"
        f" {alike:.3f}): it runs another model by that name, and what is embedded would not fit",
        hint="start the model that it was; or take this one, and embed all anew: patina remote --accept",
    )


def _probes(server: Server, model: ModelSpec) -> ProbeVectors:
    """Those that are kept, or else those that the server gives now, which are kept from now on."""
    known = load_probes(server.model)
    found = known or ProbeVectors.of(embed_probes(server))
    if found.dimensions != model.dimensions:
        raise ModelError(
            f"the server's {server.model!r} gives vectors of {found.dimensions} values, and the model"
            f" {model.name} has {model.dimensions}: it is another model",
            hint="correct model in config.toml, or the recipe's embedding_model",
        )
    return known or keep_first_probes(server.model, found)


def _ask(connection: Connection, server: Server, texts: Sequence[str], *, patient: bool = True) -> Vectors:
    """One request."""
    body = connection.ask(question(server.model, texts), longest_answer(len(texts)), patient=patient)
    try:
        return read_vectors(body, len(texts))
    except Unusable as error:
        kind = TextsRefused if isinstance(error, UnusableVectors) else ModelError
        raise kind(f"the embeddings server {server.address} {error}", hint="patina remote") from None
