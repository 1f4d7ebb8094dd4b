"""Pairs in the log, kept scope by scope: what a sync touched is generated again, the rest stays.

Scopes are worked through in transactions of some hundred, so that memory is bounded and a killed sync loses
only the one that it was in: what is stale stays marked, and a new generator's way through all scopes is kept.

Another environment may have generators that are not installed here. Their pairs stay until `patina gc`, but
for those of scopes that changed: the other environment makes these again, from the first such scope on.
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
from patina_hooks.specs.plugins import Fault, PairGeneratorSpec, PairScopeKind
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
class Extracted:
    """What an update made.

    on_pair: called with each new pair, its evidence in full, where a plugin listens; came: how many are new;
    failed: scopes, by id, that a generator failed on; faults: of generators.
    """

    on_pair: Callable[[Pair], object] | None = None
    came: int = 0
    failed: set[int] = field(default_factory=set)
    counts: FaultCounts = field(default_factory=FaultCounts)

    @property
    def faults(self) -> list[Fault]:
        return self.counts.faults()


def update_pairs(
    log: Log,
    plugins: Plugins,
    *,
    on_pair: Callable[[Pair], object] | None = None,
    retry: bool = False,
    keep_absent: bool = True,
) -> Extracted:
    """Have every generator in force read the scopes that are stale, and each new one all that there are.

    The caller holds the sync lock. Nothing is written where nothing is to be done.
    retry: read scopes again that a generator failed on. keep_absent: whether pairs stay whose generator is
    not installed here.
    """
    extracted = Extracted(on_pair)
    before = log.parsed(_FAILED, "[]", _read_scopes)
    if retry and before:
        with log.writing() as connection:
            mark_stale(connection, before)
            log.remember(_FAILED, "[]")
        before = set()
    _update(log, plugins, extracted, keep_absent=keep_absent)
    if not extracted.failed <= before:
        failed = sorted(before | extracted.failed)[:_MOST_FAILED]
        with log.writing():
            log.remember(_FAILED, json.dumps(failed))
    return extracted


def _read_scopes(stored: object) -> set[int]:
    """Raises ValueError for what `update_pairs` did not write."""
    return set(read_list(int, stored))


def _update(log: Log, plugins: Plugins, extracted: Extracted, *, keep_absent: bool) -> None:
    specs = {spec.name: spec for spec in plugins.pair_generators()}
    known = {row.name: row for row in read_generators(log.connection)}
    dropped = {name for name in known if name not in specs and not (keep_absent and _can_keep(name, specs))}
    if not dropped and _is_settled(known, specs) and not read_stale(log.connection, 1):
        return
    opened = _opened(specs.values(), plugins, extracted.counts)
    with log.writing() as connection:
        _settle(connection, known, {name: specs[name] for name in opened}, dropped)
    rows = read_generators(log.connection)
    generators = [
        _Generator(row.id, specs[row.name], opened[row.name], row.reached)
        for row in rows
        if row.name in opened
    ]
    absent = [row for row in rows if row.name not in opened]
    _Update(log, generators, extracted, plugins, absent).run()


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
    """reached: see `generator` in the log."""

    number: int
    spec: PairGeneratorSpec
    generate: PluginFunction
    reached: int | None


def _is_settled(known: Mapping[str, StoredGenerator], specs: Mapping[str, PairGeneratorSpec]) -> bool:
    return known.keys() >= specs.keys() and all(
        (known[name].version, known[name].scope_kind, known[name].evidence, known[name].reached)
        == (spec.version, spec.scope, spec.evidence, None)
        for name, spec in specs.items()
    )


def _opened(
    specs: Iterable[PairGeneratorSpec], plugins: Plugins, counts: FaultCounts
) -> dict[str, PluginFunction]:
    """One that cannot be opened counts as absent: when it can be, it reads what it has missed."""
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


def _settle(
    connection: sqlite3.Connection,
    known: Mapping[str, StoredGenerator],
    specs: Mapping[str, PairGeneratorSpec],
    dropped: Collection[str],
) -> None:
    """Write down what is in force; the pairs of dropped generators go, and new ones begin their way."""
    for name, row in known.items():
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
    extracted: Extracted
    plugins: Plugins
    absent: Sequence[StoredGenerator]
    totals: PairTotals = field(default_factory=PairTotals)

    def run(self) -> None:
        for kind in SCOPE_KINDS:
            new = [one for one in self.generators if one.spec.scope == kind and one.reached is not None]
            if new:
                self._walk(kind, new)
        while scopes := read_stale(self.log.connection, _CHUNK):
            with self.log.writing() as connection:
                for scope in scopes:
                    self._renew(scope, [g for g in self.generators if g.spec.scope == scope.kind])
                    self._drop_absent(scope)
                    mark_read(connection, scope.id)
                self.totals.write(connection)

    def _walk(self, kind: PairScopeKind, new: Sequence[_Generator]) -> None:
        """Have new generators read every scope but those that are stale, which all generators read anyway."""
        reached: int | None = min(one.reached or 0 for one in new)
        while reached is not None:
            with self.log.writing() as connection:
                scopes = read_fresh(connection, kind, reached, _CHUNK)
                for scope in scopes:
                    self._renew(scope, new)
                reached = scopes[-1].id if len(scopes) == _CHUNK else None
                set_reached(connection, [generator.number for generator in new], reached)
                self.totals.write(connection)

    def _drop_absent(self, scope: PairScope) -> None:
        """Delete a changed scope's pairs by absent generators, and have these read it again."""
        connection = self.log.connection
        if not has_scope(connection, scope.id):
            return
        for generator in [row.id for row in self.absent if row.scope_kind == scope.kind]:
            self.totals.add(delete_generated_pairs(connection, scope.id, generator), -1)
            lower_reached(connection, generator, scope.id - 1)

    def _renew(self, scope: PairScope, generators: Sequence[_Generator]) -> None:
        """Generate the pairs of one scope again, and write what differs."""
        connection = self.log.connection
        reader = ScopeReader(connection)
        contents = reader.read(scope.kind, scope.name)
        if contents is None:
            self.totals.add(read_pair_weights(connection, scope.id), -1)
            delete_scope(connection, scope.id)
            return
        made: dict[PairKey, Pair] = {}
        for generator in generators:
            pairs = self._made(generator, contents, f"{scope.kind} {scope.name}", reader.members)
            made |= pairs or {}
            if pairs is None:
                self.extracted.failed.add(scope.id)
        specs = {generator.number: generator.spec for generator in generators}
        stored = read_pairs(connection, scope.id)
        old = {key: value for key, value in stored.items() if key.generator in specs}
        now = {key: PairValue(float(pair.weight), pair.evidence) for key, pair in made.items()}
        replace_pairs(connection, scope.id, old, now)
        self.totals.add(((key[:2], value.weight) for key, value in old.items()), -1)
        self.totals.add((key[:2], value.weight) for key, value in now.items())
        came = [key for key in made if key not in old]
        self.extracted.came += len(came)
        if on_pair := self.extracted.on_pair:
            for key in came:
                commit = reader.members[made[key].anchor].commit
                evidence = made[key].evidence or fill_evidence(
                    specs[key.generator].evidence, scope.kind, scope.name, commit
                )
                on_pair(replace(made[key], evidence=evidence))

    def _made(
        self, generator: _Generator, contents: GeneratorInput, where: str, members: Mapping[str, PairMember]
    ) -> dict[PairKey, Pair] | None:
        """What one generator makes of a scope: None where any of it is no pair. Of two equal ones, one."""
        name = generator.spec.name
        made: dict[PairKey, Pair] = {}
        try:
            # A plugin's generator may go on for ever, and give what is no pair.
            with generator.generate.guarded():
                for pair in islice(generator.generate.function(contents), _MOST_PAIRS):
                    _check(pair, members)
                    negative = members[pair.negative].row if pair.negative is not None else 0
                    kind = "" if pair.kind == name else pair.kind
                    anchor, positive = members[pair.anchor].row, members[pair.positive].row
                    made.setdefault(PairKey(generator.number, kind, anchor, positive, negative), pair)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            owner, failure = generator.generate.plugin, generator.generate.failure(error)
            fault = self.plugins.fault(owner, f"pair generator {name}", failure, error)
            self.extracted.counts.add(fault, where)
            return None
        return made


def _check(pair: object, members: Mapping[str, PairMember]) -> None:
    if not isinstance(pair, Pair):
        raise TypeError(f"gave a value of type {type(pair).__name__}; wants Pair")
    if not {pair.anchor, pair.positive} | ({pair.negative} - {None}) <= members.keys():
        raise ValueError("gave a pair with a member outside of the scope")
    if not all(isinstance(text, str) for text in (pair.kind, pair.evidence)):
        raise TypeError("gave a pair whose kind or evidence is no text")
    if not pair.kind.isprintable() or not pair.kind or "\0" in pair.evidence.encode().decode():
        raise ValueError("gave a pair whose kind or evidence cannot be shown")
    if not isinstance(pair.weight, (int, float)) or not 0 <= pair.weight <= 1:
        raise ValueError("gave a pair whose weight is not from 0 to 1")
    if pair.negative is not None:
        anchor, negative = members[pair.anchor], members[pair.negative]
        if negative.text in (anchor.text, members[pair.positive].text):
            raise ValueError("gave a pair whose negative says the same")
        if negative.session is not None and negative.session == anchor.session:
            raise ValueError("gave a pair whose negative is of the anchor's session")
