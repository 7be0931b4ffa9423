"""What pages, the API, reports and the command line ask for KPIs. Each call is one read-only snapshot."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time
from functools import reduce
from operator import add
from typing import Any, Self
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from metrics.asking import Ask, By, InvalidAsk
from metrics.at_once import Moment, Moments
from metrics.budgets import Left, budgets
from metrics.catalog import kpis
from metrics.checking import refuse_future, refuse_moment, refuse_unknown
from metrics.headlines import headlines_of
from metrics.kpi import Definition, Drill, Kpi, Result, Value
from metrics.outages import Outage, outages
from metrics.pooling import pooled
from metrics.slo import Standing, standings, within
from metrics.source import Source, chosen
from metrics.spread import Bin, spread
from metrics.technical import Technical
from metrics.weeks import week_of
from sync_core.authority import Actor, Permission
from sync_core.clock import Clock
from sync_core.estate.estate import Estate

MOST_ROWS = 500


_DIMENSIONS = f"""
    SELECT DISTINCT c.service_line, c.geography, c.billing FROM metrics.cell AS c
    WHERE c.measure IN ('contract.provisioned', 'contract.open', 'contract.cancelled') AND c.level = 1 AND c.n <> 0
      AND c.period >= :start AND c.period < :end AND {chosen("c")}
"""


_KNOWN_SINCE = sa.text("SELECT EXISTS (SELECT FROM metrics.refresh WHERE finished_at <= :moment)")


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Codes in alphabetical order."""

    service_lines: tuple[str, ...]
    geographies: tuple[str, ...]
    billing: tuple[str, ...]


class UnknownKpi(InvalidAsk):
    code = "measure.unknown"


class Measures:
    """Safe for many threads. `engine` connects as the application's role, to the primary or to a replica."""

    def __init__(self, engine: sa.Engine, *, clock: Clock, estate: Estate) -> None:
        self._engine, self.clock, self.estate = engine, clock, estate
        self._moments = Moments(engine)
        self._actor: Actor | None = None

    def within(self, actor: Actor) -> Self:
        """The same measures of the legal entities within the actor's reach; asking raises Forbidden without one."""
        limited = copy.copy(self)
        limited._actor = actor
        return limited

    @contextmanager
    def at_once(self) -> Iterator[Self]:
        """The same measures, for one thread, of one snapshot until the end of the block: questions that a page asks
        together. What one of them read, the others need not read again.
        """
        together = copy.copy(self)
        together._moments = self._moments.shared()
        try:
            yield together
        finally:
            together.close()

    def close(self) -> None:
        """End the snapshot of `at_once`; the next question would open another."""
        self._moments.close()

    @property
    def technical(self) -> Technical:
        """How Tieline itself runs; the same for everybody with kpi:read. Raises Forbidden."""
        self._reach(Permission.KPI_READ)
        return Technical(self._engine, clock=self.clock, moments=self._moments)

    def objectives(self) -> list[Standing]:
        """How the service-level objectives stood a minute ago; those never looked at are absent. Raises Forbidden.

        Those of all contracts are for those alone who reach all legal entities; a stuck one, for who may see it.
        """
        entities = self._reach(Permission.KPI_READ)
        contracts = self._actor.entities(Permission.CONTRACTS_READ) if self._actor else None
        with self._moments.one() as moment:
            return within(standings(moment.conn), entities, contracts)

    def budgets(self) -> Mapping[str, Sequence[Left]]:
        """How each error budget was spent over its 30 days, of the objectives that are seen. Raises Forbidden."""
        return budgets(self.objectives())

    def definitions(self) -> Sequence[Definition]:
        """Of all KPIs, by slug."""
        return [kpi.definition for kpi in kpis().values()]

    def kpi(self, slug: str, ask: Ask, by: By | None = None) -> Result:
        """Raises UnknownKpi and InvalidAsk."""
        return self.several({slug: by}, ask)[slug]

    def several(self, wanted: Mapping[str, By | None], ask: Ask) -> dict[str, Result]:
        """What a page shows together, from one snapshot, so that its numbers agree."""
        with self._moments.one() as moment:
            return results_of({_kpi(slug): by for slug, by in wanted.items()}, self._source(moment, ask))

    def headlines(self, slugs: Iterable[str], ask: Ask) -> dict[str, Value]:
        """The values that `several` would answer, without their figures and by fewer reads; for comparisons."""
        with self._moments.one() as moment:
            return headlines_of([_kpi(slug) for slug in slugs], self._source(moment, ask))

    def expect(self, wanted: Mapping[str, By | None], ask: Ask) -> None:
        """Of `at_once`: that `several` is going to be asked this. Its cells come with those of the next question."""
        needs = [need for slug, by in wanted.items() for need in _kpi(slug).needs(by)]
        self._moments.expect(ask.narrowed(self._reach(Permission.KPI_READ)), needs)

    def known_since(self, moment: datetime) -> bool:
        """Whether anything was measured by then."""
        with self._moments.one() as one:
            return bool(one.conn.scalar(_KNOWN_SINCE, {"moment": moment}))

    def spread(self, ask: Ask) -> tuple[Bin, ...]:
        """The working time from signature to activation of the contracts signed in the window, by its length."""
        with self._moments.one() as moment:
            return spread(self._source(moment, ask))

    def outages(self, ask: Ask) -> tuple[Outage, ...]:
        """The longest times in the window in which an ERP could not be used; the same for everybody with kpi:read."""
        self._reach(Permission.KPI_READ)
        zone = ZoneInfo(self.estate.group.timezone)
        since, until = (datetime.combine(day, time.min, zone) for day in (ask.window.start, ask.window.end))
        with self._moments.one() as moment:
            return outages(moment.conn, since=since, until=min(until, ask.as_of or self.clock.now()))

    def dimensions(self, ask: Ask) -> Dimensions:
        """What the contracts signed in the window can be narrowed by; the filters that are set do not narrow it."""
        with self._moments.one() as moment:
            source = self._source(moment, Ask(ask.window, ask.as_of))
            rows = source.run(_DIMENSIONS)
        columns = ({str(row[place]) for row in rows if row[place]} for place in range(3))
        return Dimensions(*(tuple(sorted(found)) for found in columns))

    def drill(self, slug: str, ask: Ask, *, after: str | None = None, limit: int = 50) -> Drill:
        """The rows that the KPI's value is made of, largest first. Raises UnknownKpi, InvalidAsk and InvalidCursor."""
        kpi = _kpi(slug)
        if not kpi.definition.drill:
            raise InvalidAsk(f"{slug}: has no rows behind it; ask for its figures")
        with self._moments.one() as moment:
            return kpi.drill(self._source(moment, ask, rows=True), after=after, limit=min(max(limit, 1), MOST_ROWS))

    def _source(self, moment: Moment, ask: Ask, *, rows: bool = False) -> Source:
        """Raises Forbidden, and InvalidAsk for what cannot be meant."""
        reach = self._reach(Permission.KPI_READ)
        narrowed = ask.narrowed(reach)
        if rows:
            narrowed = narrowed.narrowed(self._reach(Permission.CONTRACTS_READ))
        refuse_moment(ask.as_of)
        source = Source(moment.conn, narrowed, estate=self.estate, told=moment.told)
        refuse_future(source, self.clock.now())
        refuse_unknown(source, ask, reach)
        return source

    def _reach(self, permission: Permission) -> frozenset[str] | None:
        if self._actor is None:
            return None
        self._actor.require(permission)
        return self._actor.entities(permission)


def _kpi(slug: str) -> Kpi[Any]:
    found = kpis().get(slug)
    if found is None:
        raise UnknownKpi(f"{slug!r} is no KPI; there are {', '.join(kpis())}")
    return found


def results_of(wanted: Mapping[Kpi[Any], By | None], source: Source) -> dict[str, Result]:
    """Of several KPIs from one snapshot, by slug. Raises InvalidAsk."""
    source.prefetch(need for kpi, by in wanted.items() for need in kpi.needs(by))
    return {kpi.definition.slug: result_of(kpi, source, by) for kpi, by in wanted.items()}


def result_of(kpi: Kpi[Any], source: Source, by: By | None) -> Result:
    """Of one KPI from one snapshot. Raises InvalidAsk."""
    known = kpi.definition
    if by is not None and by not in known.splits:
        raise InvalidAsk(f"by: {known.slug} is not split by {by}; it is by {', '.join(known.splits) or 'nothing'}")
    read = kpi.read(source, by)
    parts = {group: kpi.answer(inputs, source) for group, inputs in sorted(read.items())} if by else {}
    total = kpi.answer(_sum(kpi, read.values()), source)
    of_more = pooled(kpi, read, parts, source) if by is By.WEEK else {}
    running = week_of(source.as_of, source.estate.group.timezone) if source.as_of else None
    return Result(known, total, source.as_of, source.data_as_of, by, parts, of_more, running)


def _sum(kpi: Kpi[Any], inputs: Iterable[Any]) -> Any:
    return reduce(add, inputs, kpi.nothing())
