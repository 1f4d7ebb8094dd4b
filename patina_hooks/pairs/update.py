"""Pairs in the log, kept unit by unit: what a sync touched is generated anew, the rest stays.

Units are worked through in transactions of some hundred, so that memory is bounded and a killed sync loses
only the one that it was in: what is stale stays marked, and a new generator's way through all units is kept.

Another environment may have generators that are not installed here. Their pairs stay until `patina gc`, but
for those of units that changed: the other environment makes these again, from the first such unit on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from patina_hooks.errors import PluginError
from patina_hooks.pairs.totals import PairTotals
from patina_hooks.pairs.units import PairUnit, Side, UnitReader
from patina_hooks.plugins.calls import PluginFunction
from patina_hooks.plugins.fault_counts import FaultCounts
from patina_hooks.plugins.kinds import GENERATORS, is_provided
from patina_hooks.plugins.manager import Plugins
from patina_hooks.specs.plugins import Fault, PairGeneratorSpec, PairUnitKind
from patina_hooks.specs.values import Pair
from patina_hooks.store.log import Log

_CHUNK = 200
_MOST_PAIRS = 20_000  # of one generator, of one unit
_MOST_FAILED = 10_000
_FAILED = "failed units"
_UNIT_KINDS: tuple[PairUnitKind, ...] = ("commit", "module", "session")

Key = tuple[int, str, int, int, int]
"""A pair of a unit, as it is stored: generator, kind, anchor, positive, negative."""


@dataclass(slots=True)
class Extracted:
    """What an update made.

    on_pair: called with each new pair, its evidence in full, where a plugin listens; came: how many are new;
    failed: units, by id, that a generator failed on; faults: of generators.
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
    """Have every generator in force read the units that are stale, and each new one all that there are.

    The caller holds the sync lock. Nothing is written where nothing is to be done.
    retry: read units again that a generator failed on. keep_absent: whether pairs stay whose generator is not
    installed here.
    """
    extracted = Extracted(on_pair)
    before = log.parsed(_FAILED, "[]", _read_units)
    if retry and before:
        with log.writing() as connection:
            connection.executemany("UPDATE unit SET stale = 1 WHERE id = ?", [(unit,) for unit in before])
            log.remember(_FAILED, "[]")
        before = set()
    _update(log, plugins, extracted, keep_absent=keep_absent)
    if not extracted.failed <= before:
        failed = sorted(before | extracted.failed)[:_MOST_FAILED]
        with log.writing():
            log.remember(_FAILED, json.dumps(failed))
    return extracted


def _read_units(stored: list[int]) -> set[int]:
    """Raises TypeError for what `update_pairs` did not write."""
    if not isinstance(stored, list) or not all(type(unit) is int for unit in stored):
        raise TypeError(stored)
    return set(stored)


def _update(log: Log, plugins: Plugins, extracted: Extracted, *, keep_absent: bool) -> None:
    specs = {spec.name: spec for spec in plugins.pair_generators()}
    known = _known(log.connection)
    dropped = {name for name in known if name not in specs and not (keep_absent and _can_keep(name, specs))}
    if not dropped and _is_settled(known, specs) and not _stale(log.connection):
        return
    opened = _opened(specs.values(), plugins, extracted.counts)
    with log.writing() as connection:
        _settle(connection, known, {name: specs[name] for name in opened}, dropped)
    rows = _known(log.connection).items()
    generators = [
        _Generator(number, specs[name], opened[name], reached)
        for name, (number, *_, reached) in rows
        if name in opened
    ]
    absent = [(number, reads) for name, (number, _, reads, *_) in rows if name not in opened]
    _Update(log, generators, extracted, plugins, absent).run()


def said_evidence(evidence: str, unit: PairUnitKind, name: str, commit: str | None) -> str:
    """The evidence of a pair that has none of its own. evidence: of its generator; name: of its unit; commit:
    the one whose message the anchor is."""
    said = evidence or f"{unit} {{unit}}"
    return said.replace("{commit}", commit or "").replace("{unit}", name)


# --- generators in force --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Generator:
    """reached: see `generator` in the log."""

    number: int
    spec: PairGeneratorSpec
    generate: PluginFunction
    reached: int | None


_Known = Mapping[str, tuple[int, int, str, str, int | None]]
"""Name -> (number, version, reads, evidence, reached)."""


def _known(connection: sqlite3.Connection) -> _Known:
    rows = connection.execute("SELECT name, id, version, reads, evidence, reached FROM generator ORDER BY id")
    return {name: tuple(row) for name, *row in rows}


def _is_settled(known: _Known, specs: Mapping[str, PairGeneratorSpec]) -> bool:
    wanted = {name: (spec.version, spec.reads, spec.evidence, None) for name, spec in specs.items()}
    return wanted == {name: row[1:] for name, row in known.items() if name in specs}


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
    known: _Known,
    specs: Mapping[str, PairGeneratorSpec],
    dropped: Collection[str],
) -> None:
    """Write down what is in force; the pairs of dropped generators go, and new ones begin their way."""
    for name, (number, version, reads, evidence, _) in known.items():
        spec = specs.get(name)
        if name in dropped or (spec and spec.reads != reads):
            connection.execute("DELETE FROM pair WHERE generator_id = ?", (number,))
            connection.execute("DELETE FROM pair_total WHERE generator_id = ?", (number,))
            connection.execute("DELETE FROM generator WHERE id = ?", (number,))
        elif spec and (spec.version, spec.evidence) != (version, evidence):
            connection.execute(
                "UPDATE generator SET reached = iif(version = ?, reached, 0), version = ?, evidence = ?"
                " WHERE id = ?",
                (spec.version, spec.version, spec.evidence, number),
            )
    connection.executemany(
        "INSERT OR IGNORE INTO generator (name, version, reads, evidence, reached) VALUES (?, ?, ?, ?, 0)",
        [(name, spec.version, spec.reads, spec.evidence) for name, spec in sorted(specs.items())],
    )


def _stale(connection: sqlite3.Connection) -> list[tuple[int, PairUnitKind, str]]:
    return connection.execute(
        "SELECT id, reads, name FROM unit WHERE stale ORDER BY reads, name LIMIT ?", (_CHUNK,)
    ).fetchall()


# --- units ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Update:
    log: Log
    generators: Sequence[_Generator]
    extracted: Extracted
    plugins: Plugins
    absent: Sequence[tuple[int, str]]
    totals: PairTotals = field(default_factory=PairTotals)

    def run(self) -> None:
        for reads in _UNIT_KINDS:
            new = [one for one in self.generators if one.spec.reads == reads and one.reached is not None]
            if new:
                self._walk(reads, new)
        while units := _stale(self.log.connection):
            with self.log.writing() as connection:
                for number, reads, name in units:
                    self._renew(number, reads, name, [g for g in self.generators if g.spec.reads == reads])
                    self._drop_absent(number, reads)
                    connection.execute("UPDATE unit SET stale = 0 WHERE id = ?", (number,))
                self.totals.write(connection)

    def _walk(self, reads: PairUnitKind, new: Sequence[_Generator]) -> None:
        """Have new generators read every unit but those that are stale, which all generators read anyway."""
        reached: int | None = min(one.reached or 0 for one in new)
        while reached is not None:
            with self.log.writing() as connection:
                units = connection.execute(
                    # The plus keeps the order of ids, which is how far they came.
                    "SELECT id, name FROM unit WHERE id > ? AND +reads = ? AND NOT stale ORDER BY id LIMIT ?",
                    (reached, reads, _CHUNK),
                ).fetchall()
                for number, name in units:
                    self._renew(number, reads, name, new)
                reached = units[-1][0] if len(units) == _CHUNK else None
                connection.executemany(
                    "UPDATE generator SET reached = ? WHERE id = ?", [(reached, one.number) for one in new]
                )
                self.totals.write(connection)

    def _drop_absent(self, unit: int, reads: PairUnitKind) -> None:
        """Delete the pairs of a changed unit that only absent generators can make, and have these read it."""
        connection = self.log.connection
        if not connection.execute("SELECT 1 FROM unit WHERE id = ?", (unit,)).fetchone():
            return
        for generator in [number for number, kind in self.absent if kind == reads]:
            pairs = (unit, generator)
            rows = connection.execute(
                "SELECT kind, weight FROM pair WHERE unit_id = ? AND generator_id = ?", pairs
            )
            self.totals.add((((generator, kind), weight) for kind, weight in rows), -1)
            connection.execute("DELETE FROM pair WHERE unit_id = ? AND generator_id = ?", pairs)
            connection.execute(
                "UPDATE generator SET reached = min(coalesce(reached, ?1), ?1) WHERE id = ?2",
                (unit - 1, generator),
            )

    def _renew(self, number: int, reads: PairUnitKind, name: str, generators: Sequence[_Generator]) -> None:
        """Generate the pairs of one unit anew, and write what differs."""
        connection = self.log.connection
        reader = UnitReader(connection)
        unit = reader.read(reads, name)
        if unit is None:
            left = connection.execute(
                "SELECT generator_id, kind, weight FROM pair WHERE unit_id = ?", (number,)
            )
            self.totals.add((((row[0], row[1]), row[2]) for row in left), -1)
            connection.execute("DELETE FROM pair WHERE unit_id = ?", (number,))
            connection.execute("DELETE FROM unit WHERE id = ?", (number,))
            return
        made: dict[Key, Pair] = {}
        for generator in generators:
            pairs = self._made(generator, unit, f"{reads} {name}", reader.sides)
            made |= pairs or {}
            if pairs is None:
                self.extracted.failed.add(number)
        specs = {generator.number: generator.spec for generator in generators}
        old = _stored(connection, number, specs)
        now = {key: (float(pair.weight), pair.evidence) for key, pair in made.items()}
        _write(connection, number, old, now)
        self.totals.add(((key[:2], row[0]) for key, row in old.items()), -1)
        self.totals.add((key[:2], row[0]) for key, row in now.items())
        came = [key for key in made if key not in old]
        self.extracted.came += len(came)
        if on_pair := self.extracted.on_pair:
            for key in came:
                commit = reader.sides[made[key].anchor].commit
                evidence = made[key].evidence or said_evidence(specs[key[0]].evidence, reads, name, commit)
                on_pair(replace(made[key], evidence=evidence))

    def _made(
        self, generator: _Generator, unit: PairUnit, where: str, sides: Mapping[str, Side]
    ) -> dict[Key, Pair] | None:
        """What one generator makes of a unit: None where any of it is no pair. Of two equal ones, one."""
        name = generator.spec.name
        made: dict[Key, Pair] = {}
        try:
            # A plugin's generator may go on for ever, and give what is no pair.
            with generator.generate.guarded():
                for pair in islice(generator.generate.function(unit), _MOST_PAIRS):
                    _check(pair, sides)
                    negative = sides[pair.negative].row if pair.negative is not None else 0
                    kind = "" if pair.kind == name else pair.kind
                    anchor, positive = sides[pair.anchor].row, sides[pair.positive].row
                    made.setdefault((generator.number, kind, anchor, positive, negative), pair)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            owner, failure = generator.generate.plugin, generator.generate.failure(error)
            fault = self.plugins.fault(owner, f"pair generator {name}", failure, error)
            self.extracted.counts.add(fault, where)
            return None
        return made


def _check(pair: object, sides: Mapping[str, Side]) -> None:
    if not isinstance(pair, Pair):
        raise TypeError(f"gave a value of type {type(pair).__name__}; wants Pair")
    if not {pair.anchor, pair.positive} | ({pair.negative} - {None}) <= sides.keys():
        raise ValueError("gave a pair of what the unit does not have")
    if not all(isinstance(text, str) for text in (pair.kind, pair.evidence)):
        raise TypeError("gave a pair whose kind or evidence is no text")
    if not pair.kind.isprintable() or not pair.kind or "\0" in pair.evidence.encode().decode():
        raise ValueError("gave a pair whose kind or evidence cannot be shown")
    if not isinstance(pair.weight, (int, float)) or not 0 <= pair.weight <= 1:
        raise ValueError("gave a pair whose weight is not from 0 to 1")
    if pair.negative is not None:
        anchor, negative = sides[pair.anchor], sides[pair.negative]
        if negative.text in (anchor.text, sides[pair.positive].text):
            raise ValueError("gave a pair whose negative says the same")
        if negative.session is not None and negative.session == anchor.session:
            raise ValueError("gave a pair whose negative is of the anchor's session")


def _stored(
    connection: sqlite3.Connection, unit: int, generators: Mapping[int, PairGeneratorSpec]
) -> dict[Key, tuple[float, str]]:
    """Key -> (weight, evidence) of a unit's pairs by these generators."""
    rows = connection.execute(
        "SELECT generator_id, kind, anchor, positive, negative, weight, evidence FROM pair WHERE unit_id = ?",
        (unit,),
    )
    return {tuple(row[:5]): (row[5], row[6]) for row in rows if row[0] in generators}


def _write(
    connection: sqlite3.Connection,
    unit: int,
    old: Mapping[Key, tuple[float, str]],
    now: Mapping[Key, tuple[float, str]],
) -> None:
    connection.executemany(
        "DELETE FROM pair WHERE unit_id = ? AND generator_id = ? AND kind = ? AND anchor = ? AND positive = ?"
        " AND negative = ?",
        [(unit, *key) for key in old if key not in now],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO pair VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(unit, *key, *rest) for key, rest in now.items() if old.get(key) != rest],
    )
