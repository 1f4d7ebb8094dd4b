"""A model on a server, opened: it must give the vectors of the canaries that it gave before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from patina_hooks.errors import ModelError
from patina_hooks.model_types import ModelFiles, ModelSpec
from patina_remote import canaries
from patina_remote.answer import Unusable, batches, longest_answer, question, read_vectors
from patina_remote.canaries import Canaries
from patina_remote.server import Server, configured

if TYPE_CHECKING:
    from patina_hooks.types import Vectors
    from patina_remote.connection import Connection


def variant(model: ModelSpec) -> str:
    """What the fingerprint knows of the server: its name of the model, and which canaries it is held to.

    Asks the server where it never was asked before. Raises `ModelError`, `SettingsError`.
    """
    server = configured()
    cut = f" cut to {server.max_characters}" if server.max_characters else ""
    return f"{server.model} {_canaries(server, model).mark}{cut}"


def open_model(model: ModelSpec, files: ModelFiles) -> ServedModel:
    """The server's model. `ModelError` where it cannot be reached, or is another than it was."""
    server = configured()
    served = ServedModel(server, _canaries(server, model))
    served.recognise(embed_canaries(server))
    return served


class ServedModel:
    """A `TextModel`: what is embedded, the server pools and cuts.

    known: what its canaries are held to, for as long as it is open: a server may turn into another at any
        request, and a fleet of them may hold one that lags behind.
    """

    def __init__(self, server: Server, known: Canaries) -> None:
        self._server = server
        self._known = known

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Vectors [n, d], float32, as the server gives them.

        Each request has a canary among its texts, and all canaries are asked at the end. Raises `ModelError`,
        also where one of them tells of another model: no vector is given then.
        """
        # HTTP and numpy take 0.1 s to import; the fingerprint, which every sync asks for, wants neither.
        import numpy as np

        from patina_remote.connection import Connection

        most = self._server.max_characters or None
        texts = [text[:most] for text in texts]
        vectors = np.empty((len(texts), self._known.dimensions), dtype=np.float32)
        with Connection(self._server) as connection:
            for batch in batches(texts, self._server.batch - 1):
                vectors[batch] = self._beside_a_canary(connection, [texts[place] for place in batch])
            self.recognise(_ask(connection, self._server, canaries.TEXTS))
        return vectors

    def recognise(self, found: Vectors) -> None:
        """Raises `ModelError` where what all canaries gave is of another model."""
        alike = canaries.likeness(found, self._known.vectors)
        if not alike > canaries.ALIKE:  # nor where it is no number
            raise another_model(self._server, alike)

    def _beside_a_canary(self, connection: Connection, texts: Sequence[str]) -> Vectors:
        found = _ask(connection, self._server, [*texts, canaries.TEXTS[canaries.BESIDE]])
        known = self._known.vectors[canaries.BESIDE, None]
        alike = canaries.likeness(found[-1:], known)
        if not alike > canaries.ALIKE_BESIDE:
            raise another_model(self._server, alike)
        return found[:-1]


def embed_canaries(server: Server) -> Vectors:
    """What the server gives for them now, [n, d] float32. Raises `ModelError`."""
    from patina_remote.connection import Connection

    with Connection(server) as connection:
        return _ask(connection, server, canaries.TEXTS)


def another_model(server: Server, alike: float) -> ModelError:
    """What to say of a server whose canaries are not those that were kept."""
    return ModelError(
        f"the server {server.address} gives other vectors for {server.model!r} than it did (cosine"
        f" {alike:.3f}): it runs another model by that name, and what is embedded would not fit",
        hint="start the model that it was; or take this one, and embed all anew: patina remote --accept",
    )


def _canaries(server: Server, model: ModelSpec) -> Canaries:
    """Those that are kept, or else those that the server gives now, which are kept from now on."""
    known = canaries.kept(server.model)
    found = known or Canaries.of(embed_canaries(server))
    if found.dimensions != model.dimensions:
        raise ModelError(
            f"the server's {server.model!r} gives vectors of {found.dimensions} values, and the model"
            f" {model.name} has {model.dimensions}: it is another model",
            hint="correct model in config.toml, or the recipe's embedding_model",
        )
    return known or canaries.keep_first(server.model, found)


def _ask(connection: Connection, server: Server, texts: Sequence[str]) -> Vectors:
    """One request."""
    body = connection.ask(question(server.model, texts), longest_answer(len(texts)))
    try:
        return read_vectors(body, len(texts))
    except Unusable as error:
        raise ModelError(f"the embeddings server {server.address} {error}", hint="patina remote") from None
