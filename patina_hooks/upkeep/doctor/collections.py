"""Check the databases and the vectors of the collections other than history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from patina_hooks.errors import IndexDamaged, PatinaError
from patina_hooks.git.repository import Repository
from patina_hooks.plugins.manager import Plugins
from patina_hooks.store.collections import collection_folder, stored_collections
from patina_hooks.store.log import Log
from patina_hooks.upkeep.doctor.finding import Finding

_REBUILD = "patina sync --full"


def check_collections(repository: Repository, plugins: Plugins) -> Iterator[Finding]:
    """Check each collection; one that is damaged does not stop the others."""
    for name in stored_collections(repository.state):
        try:
            yield from _check_collection(repository, plugins, name)
        except IndexDamaged as damage:
            yield Finding(name, "fault", str(damage), "answers by meaning are missed", _REBUILD)
        except PatinaError as error:
            yield Finding(name, "fault", str(error), fix=error.hint)
        except (OSError, sqlite3.DatabaseError) as error:
            yield Finding(name, "fault", str(error), fix=_REBUILD)


def _check_collection(repository: Repository, plugins: Plugins, name: str) -> Iterator[Finding]:
    from patina_hooks.search.index.spaces import active_space
    from patina_hooks.store.facts import counts

    folder = collection_folder(repository.state, name)
    with Log(folder, create=False) as log:
        log.check()
        yield Finding(name, "ok", "the database is sound")
        if pending := counts(log.connection)["pending"]:
            reason = "they are found by their words, not yet by their meaning"
            yield Finding(name, "warning", f"{pending:,} texts are not embedded yet", reason, "patina sync")
        space = active_space(log)
        if space is None:
            return
        index = space.open(plugins, folder)
        index.verify()
        stats = index.stats()
        if log.number("generation") != stats.generation:
            yield Finding(
                name, "warning", "the vectors are not those that the database names", fix="patina sync"
            )
        else:
            yield Finding(name, "ok", f"{stats.rows:,} vectors in {stats.files} files, checksums match")
