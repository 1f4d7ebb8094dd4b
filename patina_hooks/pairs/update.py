"""Update the pairs in the log by scope: changed scopes are generated again, the others stay.

Each transaction processes 200 scopes, so that memory is bounded and a killed sync repeats only one
transaction: stale scopes stay marked, and the progress of a new generator is stored.

Another environment may have generators that are not installed here. Their pairs stay until `patina gc`,
except those of changed scopes: the other environment generates these again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from patina_hooks.config.schema import read_list
from patina_hooks.errors import PluginError
from patina_hooks.pairs.scopes import GeneratorInput, PairMember, ScopeReader
from patina_hooks.pairs.totals import PairTotals
from patina_hooks.plugins.calls import PluginFunction
from patina_hooks.plugins.fault_counts import FaultCounts
from patina_hooks.plugins.kinds import GENERATORS, is_provided
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import PairGeneratorSpec, PairScopeKind, RecordedError
from patina_hooks.specs.values import Pair
from patina_hooks.store.log import Log
from patina_hooks.store.pairs.generators import (
    StoredGenerator,
    add_generators,
    delete_generator,
    lower_reached,
    read_generators,
    set_reached,
    update_generator,
)
from patina_hooks.store.pairs.pairs import (
    PairKey,
    PairValue,
    delete_generated_pairs,
    read_pair_weights,
    read_pairs,
    replace_pairs,
)
from patina_hooks.store.pairs.scopes import (
    PairScope,
    delete_scope,
    has_scope,
    mark_read,
    mark_stale,
    read_fresh,
    read_stale,
)

_CHUNK = 200
_MOST_PAIRS = 20_000  # of one generator, of one scope
_MOST_FAILED = 10_000
_FAILED = "failed units"
SCOPE_KINDS: Final[tuple[PairScopeKind, ...]] = ("commit", "module", "session")


@dataclass(slots=True)
class PairUpdate:
    """The result of an update.

    on_pair: called with each new pair and its full evidence if a plugin listens.
    added: the number of new pairs.
    failed: the ids of scopes that a generator failed on.
    faults: of generators.
    """

    on_pair: Callable[[Pair], object] | None = None
    added: int = 0
    failed: set[int] = field(default_factory=set)
    counts: FaultCounts = field(default_factory=FaultCounts)

    @property
    def faults(self) -> list[RecordedError]:
        return self.counts.faults()


def update_pairs(
    log: Log,
    plugins: Plugins,
    *,
    on_pair: Callable[[Pair], object] | None = None,
    retry: bool = False,
    keep_absent: bool = True,
) -> PairUpdate:
    """Generate the pairs of stale scopes, and those of new generators for every scope.

    The caller holds the sync lock. If nothing is stale or new, nothing is written.

    Args:
        log: the log to update.
        plugins: the installed plugins.
        on_pair: called with each new pair.
        retry: read the scopes again that a generator failed on.
        keep_absent: keep the pairs of generators that are not installed here.
    """
    result = PairUpdate(on_pair)
    failed_before = log.parsed(_FAILED, "[]", _read_scopes)
    if retry and failed_before:
        with log.writing() as connection:
            mark_stale(connection, failed_before)
            log.remember(_FAILED, "[]")
        failed_before = set()
    _update(log, plugins, result, keep_absent=keep_absent)
    if not result.failed <= failed_before:
        failed = sorted(failed_before | result.failed)[:_MOST_FAILED]
        with log.writing():
            log.remember(_FAILED, json.dumps(failed))
    return result


def _read_scopes(stored: object) -> set[int]:
    """Read the ids that `update_pairs` wrote; raises ValueError for anything else."""
    return set(read_list(int, stored))


def _update(log: Log, plugins: Plugins, result: PairUpdate, *, keep_absent: bool) -> None:
    specs = {spec.name: spec for spec in plugins.pair_generators()}
    stored = {row.name: row for row in read_generators(log.connection)}
    dropped = {name for name in stored if name not in specs and not (keep_absent and _can_keep(name, specs))}
    if not dropped and _is_current(stored, specs) and not read_stale(log.connection, 1):
        return
    functions = _open_generators(specs.values(), plugins, result.counts)
    with log.writing() as connection:
        _store_generators(connection, stored, {name: specs[name] for name in functions}, dropped)
    rows = read_generators(log.connection)
    generators = [
        _Generator(row.id, specs[row.name], functions[row.name], row.reached)
        for row in rows
        if row.name in functions
    ]
    absent = [row for row in rows if row.name not in functions]
    _Update(log, generators, result, plugins, absent).run()


def fill_evidence(template: str, kind: PairScopeKind, name: str, commit: str | None) -> str:
    """Return the evidence of a pair that has none of its own.

    Args:
        template: the evidence of its generator, "" where it has none.
        kind: the kind of the scope.
        name: the name of the scope.
        commit: the commit whose message is the anchor.
    """
    filled = template or f"{kind} {{scope}}"
    return filled.replace("{commit}", commit or "").replace("{scope}", name)


# --- generators in force --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Generator:
    """An installed generator. reached: see the table `generator`."""

    number: int
    spec: PairGeneratorSpec
    generate: PluginFunction
    reached: int | None


def _is_current(stored: Mapping[str, StoredGenerator], specs: Mapping[str, PairGeneratorSpec]) -> bool:
    return stored.keys() >= specs.keys() and all(
        (stored[name].version, stored[name].scope_kind, stored[name].evidence, stored[name].reached)
        == (spec.version, spec.scope, spec.evidence, None)
        for name, spec in specs.items()
    )


def _open_generators(
    specs: Iterable[PairGeneratorSpec], plugins: Plugins, counts: FaultCounts
) -> dict[str, PluginFunction]:
    """Open generators; one that cannot be opened counts as absent, and catches up later."""
    opened = {}
    for spec in specs:
        try:
            opened[spec.name] = plugins.open(GENERATORS, spec.name, spec.generate)
        except PluginError as error:
            owner = plugins.owner(GENERATORS, spec.name)
            counts.add(plugins.fault(owner, f"pair generator {spec.name}", str(error), error))
    return opened


def _can_keep(name: str, specs: Mapping[str, PairGeneratorSpec]) -> bool:
    return not is_provided(name, specs.values())


def _store_generators(
    connection: sqlite3.Connection,
    stored: Mapping[str, StoredGenerator],
    specs: Mapping[str, PairGeneratorSpec],
    dropped: Collection[str],
) -> None:
    """Store the installed generators, and delete dropped ones with their pairs."""
    for name, row in stored.items():
        spec = specs.get(name)
        if name in dropped or (spec and spec.scope != row.scope_kind):
            delete_generator(connection, row.id)
        elif spec and (spec.version, spec.evidence) != (row.version, row.evidence):
            update_generator(connection, row.id, spec.version, spec.evidence)
    rows = [(name, spec.version, spec.scope, spec.evidence) for name, spec in sorted(specs.items())]
    add_generators(connection, rows)


# --- scopes ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Update:
    log: Log
    generators: Sequence[_Generator]
    result: PairUpdate
    plugins: Plugins
    absent: Sequence[StoredGenerator]
    totals: PairTotals = field(default_factory=PairTotals)

    def run(self) -> None:
        for kind in SCOPE_KINDS:
            new = [
                generator
                for generator in self.generators
                if generator.spec.scope == kind and generator.reached is not None
            ]
            if new:
                self._run_new_generators(kind, new)
        while scopes := read_stale(self.log.connection, _CHUNK):
            with self.log.writing() as connection:
                for scope in scopes:
                    self._update_scope(
                        scope,
                        [generator for generator in self.generators if generator.spec.scope == scope.kind],
                    )
                    self._drop_absent(scope)
                    mark_read(connection, scope.id)
                self.totals.write(connection)

    def _run_new_generators(self, kind: PairScopeKind, new: Sequence[_Generator]) -> None:
        """Run new generators on every scope that is not stale; all generators read stale ones."""
        reached: int | None = min(generator.reached or 0 for generator in new)
        while reached is not None:
            with self.log.writing() as connection:
                scopes = read_fresh(connection, kind, reached, _CHUNK)
                for scope in scopes:
                    self._update_scope(scope, new)
                reached = scopes[-1].id if len(scopes) == _CHUNK else None
                set_reached(connection, [generator.number for generator in new], reached)
                self.totals.write(connection)

    def _drop_absent(self, scope: PairScope) -> None:
        """Delete a changed scope's pairs by absent generators, which later read it again."""
        connection = self.log.connection
        if not has_scope(connection, scope.id):
            return
        for generator in [row.id for row in self.absent if row.scope_kind == scope.kind]:
            self.totals.add(delete_generated_pairs(connection, scope.id, generator), -1)
            lower_reached(connection, generator, scope.id - 1)

    def _update_scope(self, scope: PairScope, generators: Sequence[_Generator]) -> None:
        """Generate the pairs of one scope again, and write the differences."""
        connection = self.log.connection
        reader = ScopeReader(connection)
        contents = reader.read(scope.kind, scope.name)
        if contents is None:
            self.totals.add(read_pair_weights(connection, scope.id), -1)
            delete_scope(connection, scope.id)
            return
        generated: dict[PairKey, Pair] = {}
        for generator in generators:
            pairs = self._generate(generator, contents, f"{scope.kind} {scope.name}", reader.members)
            generated |= pairs or {}
            if pairs is None:
                self.result.failed.add(scope.id)
        specs = {generator.number: generator.spec for generator in generators}
        stored = read_pairs(connection, scope.id)
        previous = {key: value for key, value in stored.items() if key.generator in specs}
        current = {key: PairValue(float(pair.weight), pair.evidence) for key, pair in generated.items()}
        replace_pairs(connection, scope.id, previous, current)
        self.totals.add(((key[:2], value.weight) for key, value in previous.items()), -1)
        self.totals.add((key[:2], value.weight) for key, value in current.items())
        added = [key for key in generated if key not in previous]
        self.result.added += len(added)
        if on_pair := self.result.on_pair:
            for key in added:
                commit = reader.members[generated[key].anchor].commit
                evidence = generated[key].evidence or fill_evidence(
                    specs[key.generator].evidence, scope.kind, scope.name, commit
                )
                on_pair(replace(generated[key], evidence=evidence))

    def _generate(
        self, generator: _Generator, contents: GeneratorInput, scope: str, members: Mapping[str, PairMember]
    ) -> dict[PairKey, Pair] | None:
        """Generate the distinct pairs of a scope, None if any result is invalid."""
        name = generator.spec.name
        pairs: dict[PairKey, Pair] = {}
        try:
            # A plugin's generator may never end, and may yield invalid values.
            with generator.generate.guarded():
                for pair in islice(generator.generate.function(contents), _MOST_PAIRS):
                    _check_pair(pair, members)
                    negative = members[pair.negative].row if pair.negative is not None else 0
                    kind = "" if pair.kind == name else pair.kind
                    anchor, positive = members[pair.anchor].row, members[pair.positive].row
                    pairs.setdefault(PairKey(generator.number, kind, anchor, positive, negative), pair)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            owner, failure = generator.generate.plugin, generator.generate.failure(error)
            fault = self.plugins.fault(owner, f"pair generator {name}", failure, error)
            self.result.counts.add(fault, scope)
            return None
        return pairs


def _check_pair(pair: object, members: Mapping[str, PairMember]) -> None:
    if not isinstance(pair, Pair):
        raise TypeError(f"yielded a value of type {type(pair).__name__}; expected Pair")
    if not {pair.anchor, pair.positive} | ({pair.negative} - {None}) <= members.keys():
        raise ValueError("yielded a pair with a member outside of the scope")
    if not all(isinstance(text, str) for text in (pair.kind, pair.evidence)):
        raise TypeError("yielded a pair whose kind or evidence is not a string")
    if not pair.kind.isprintable() or not pair.kind or "\0" in pair.evidence.encode().decode():
        raise ValueError("yielded a pair whose kind or evidence cannot be shown")
    if not isinstance(pair.weight, (int, float)) or not 0 <= pair.weight <= 1:
        raise ValueError("yielded a pair whose weight is not from 0 to 1")
    if pair.negative is not None:
        anchor, negative = members[pair.anchor], members[pair.negative]
        if negative.text in (anchor.text, members[pair.positive].text):
            raise ValueError("yielded a pair whose negative has the same text")
        if negative.session is not None and negative.session == anchor.session:
            raise ValueError("yielded a pair whose negative is of the anchor's session")
