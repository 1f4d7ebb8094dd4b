"""Compare what makes vectors now with what made those that are stored, by probe texts.

A sync compares where the engine versions of a model's vectors changed, `patina sync --full` and the doctor
always do. A question is answered with vectors only if the engine versions are known, or their probe vectors
match.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from patina_hooks.errors import IndexDamaged
from patina_hooks.models.probes import (
    MOST_DISTANCE,
    PROBE_TEXTS,
    ProbeRecord,
    ProbeVectors,
    least_cosine,
    long_text,
    variant_of,
)
from patina_hooks.store.embeddings import read_embedded_keys, read_embeddings
from patina_hooks.store.log import Log
from patina_hooks.store.search.indexed_texts import read_live_text

if TYPE_CHECKING:
    from patina_hooks.models.encoding import Encoder
    from patina_hooks.models.engine_versions import EngineVersions
    from patina_hooks.plugins.manager import Plugins
    from patina_hooks.search.index.spaces import VectorSpace

_SAMPLE: Final = 8


@dataclass(frozen=True, slots=True)
class Compared:
    """A space, as what makes vectors now has it. message: what changed, "" where nothing did."""

    space: VectorSpace
    message: str = ""


def probe(encoder: Encoder) -> ProbeVectors:
    """Embed the probe texts. Raises `ModelError`."""
    texts = (*PROBE_TEXTS, long_text(encoder.spec.max_tokens))
    return ProbeVectors.of(encoder.encode(texts, role="passage").vectors)


def compared_space(
    plugins: Plugins,
    log: Log,
    state: Path,
    space: VectorSpace,
    open_encoder: Callable[[VectorSpace], Encoder],
    *,
    always: bool = False,
) -> Compared:
    """Give the space of the variant that is installed now; opens the model where its engine versions changed.

    A runtime that pools elsewhere holds its server to probe texts itself, at each request.

    Args:
        plugins: the loaded plugins.
        log: whose live texts may be embedded already.
        state: where the probe vectors are recorded; the caller holds the sync lock.
        space: what the recipe asks for.
        open_encoder: opens the model of a space.
        always: compare, also where no engine version changed.

    Raises:
        PluginError: the model cannot be opened.
    """
    engine_versions, is_remote = _read_versions(plugins, space)
    record = ProbeRecord(state)
    is_known = record.variant(space.base, engine_versions) is not None
    if is_remote or (is_known and not always):
        return Compared(space)
    if not record.has_probes(space.base) and not _holds_vectors(state, space):
        return Compared(space)  # recorded once the model is opened, see `record_engine_versions`
    before, last = record.last_engine_versions(space.base), record.last_variant(space.base)
    encoder = open_encoder(space)
    first = record.has_probes(space.base) or _sample_agrees(log, state, space, encoder)
    variant = record.add(space.base, encoder.engine_versions, probe(encoder), first=first)
    record.save()
    probed = replace(space, fingerprint=variant_of(space.base, variant))
    if variant == last:
        return Compared(probed)
    message = f"the runtime {space.runtime} gives other vectors for {space.model} than before"
    news = encoder.engine_versions.list_new(before)
    since = f"now {news}" if news else "with the same versions"
    return Compared(probed, f"{message} ({since}): its texts are embedded again")


def record_engine_versions(state: Path, encoder: Encoder) -> None:
    """Record the probe vectors of a model that embeds its first texts."""
    record = ProbeRecord(state)
    variant = record.variant(encoder.fingerprint, encoder.engine_versions)
    if encoder.output == "text_vectors" or variant is not None:
        return
    record.add(encoder.fingerprint, encoder.engine_versions, probe(encoder), first=True)
    record.save()


def check_encoder(state: Path, space: VectorSpace, encoder: Encoder) -> None:
    """Check that an encoder gives the vectors that a space holds.

    Raises:
        IndexDamaged: it gives others.
    """
    if encoder.fingerprint != (space.base or space.fingerprint):
        raise IndexDamaged("the installed model differs from the one that is indexed", hint="patina sync")
    if encoder.output == "text_vectors":
        return
    record = ProbeRecord(state)
    variant = record.variant(encoder.fingerprint, encoder.engine_versions)
    if variant is None and record.has_probes(encoder.fingerprint):
        variant = record.match(encoder.fingerprint, probe(encoder))
    elif variant is None:
        return
    if variant is None or variant_of(encoder.fingerprint, variant) != space.fingerprint:
        message = f"the runtime {space.runtime} gives other vectors for {space.model} than the indexed ones"
        raise IndexDamaged(message, hint="patina sync")


def makers_key(plugins: Plugins, space: VectorSpace) -> str:
    """Give `EngineVersions.key` of what would embed texts for a space now."""
    return _read_versions(plugins, space)[0].key


def _read_versions(plugins: Plugins, space: VectorSpace) -> tuple[EngineVersions, bool]:
    """Return the engine versions of a space, and whether its runtime is remote."""
    from patina_hooks.models.choice import provider_of
    from patina_hooks.models.engine_versions import read_engine_versions

    provider = provider_of(plugins.model(space.model), space.runtime)
    engine_versions = read_engine_versions(plugins, space.model, provider)
    return engine_versions, plugins.runtime(provider).output == "text_vectors"


def _holds_vectors(state: Path, space: VectorSpace) -> bool:
    return space.folder(state).is_dir() or bool(read_embedded_keys(state, space.base, 1))


def _sample_agrees(log: Log, state: Path, space: VectorSpace, encoder: Encoder) -> bool:
    """Compare a few embedded texts with what an encoder gives for them: the probe vectors are lost.

    False where none of them is live: then nothing tells what made the others.
    """
    keys: list[bytes] = []
    texts: list[str] = []
    for key in read_embedded_keys(state, space.base, 50 * _SAMPLE):
        if len(keys) < _SAMPLE and (text := read_live_text(log.connection, key)) is not None:
            keys.append(key)
            texts.append(text)
    stored, vectors = read_embeddings(state, space.base, keys, space.dimensions)
    if not stored:
        return False
    now = encoder.encode([texts[keys.index(key)] for key in stored], role="passage").vectors
    return 1 - least_cosine(now, vectors) <= MOST_DISTANCE
