"""Where measures read from: the rollups for what is true now, the versions of the facts for any past moment.

Both give the same cells (a property proves it); a KPI never knows which of the two answered it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from metrics.asking import Ask, By, InvalidAsk
from metrics.buckets import BOUNDS
from metrics.facts import facts
from metrics.facts.fact import DIMENSIONS, Fact
from sync_core.estate import Estate

# The refresh that answers, and whether it is the newest of all: then what it knew is what the rollups say.
_REFRESH = sa.text("""
    SELECT r.finished_at, r.covers,
           r.at = (SELECT n.at FROM metrics.refresh AS n ORDER BY n.at DESC LIMIT 1) AS newest
    FROM metrics.refresh AS r WHERE r.finished_at <= coalesce(CAST(:as_of AS timestamptz), 'infinity')
    ORDER BY r.finished_at DESC LIMIT 1
""")
_FIRST = sa.text("SELECT min(finished_at) FROM metrics.refresh")
_KNOWN_AT = sa.text("SELECT set_config('tieline.known_at', :known_at, true)")


_calendars: WeakKeyDictionary[sa.Connection, str] = WeakKeyDictionary()


@lru_cache(maxsize=512)
def _statement(sql: str) -> tuple[sa.TextClause, tuple[str, ...]]:
    """And what it binds."""
    made = sa.text(sql)
    return made, tuple(made.compile().params)


def _grouped(by: By | None, rolled: str, dimensions: str) -> str:
    """The expression of the group; the aliases of what has period and label, and of what has the dimensions."""
    if by is None:
        return "''"
    if by is By.WEEK:
        return f"CAST({rolled}.period AS text)"
    return f"{rolled}.label" if by is By.LABEL else f"{dimensions}.{by}"


def chosen(alias: str) -> str:
    """The condition that Ask.values answers, on a table with the dimensions."""
    return " AND ".join(
        f"(CAST(:{name} AS text[]) IS NULL OR {alias}.{name} = ANY(CAST(:{name} AS text[])))" for name in DIMENSIONS
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """What one group of facts adds up to."""

    group: str  # as the `by` that was asked for
    measure: str
    label: str
    bucket: int  # -1 without
    n: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Counts:
    """What one group of durations adds up to: how many in each bucket that has any, and their seconds."""

    group: str
    measure: str
    label: str
    buckets: Sequence[int]
    n: Sequence[int]
    amount: float


_COUNTS: Final = (
    "b.grp, b.measure, b.label, array_agg(CAST(b.bucket AS int)), array_agg(b.n), CAST(sum(b.amount) AS float8)"
)


class Source:
    """One read-only snapshot, as of one moment. Made by metrics/measures.py; not for several threads at once."""

    latest: bool  # the rollups answer
    known_at: datetime | None  # the refresh that answers; None: nothing was ever measured
    data_as_of: datetime | None  # everything that was committed before is in it

    def __init__(self, conn: sa.Connection, ask: Ask, *, estate: Estate, from_versions: bool = False) -> None:
        """`from_versions`: even what the rollups could say. Raises InvalidAsk for a moment before the first refresh."""
        self.conn, self.ask, self.estate = conn, ask, estate
        self._told: dict[str, Sequence[sa.Row[*tuple[Any, ...]]]] = {}
        row = conn.execute(_REFRESH, {"as_of": ask.as_of}).first()
        if row is None and ask.as_of is not None:
            raise InvalidAsk(self._too_early(ask.as_of))
        self.known_at, self.data_as_of = (row.finished_at, row.covers) if row is not None else (None, None)
        self.latest = row is not None and row.newest and not from_versions

    @property
    def as_of(self) -> datetime | None:
        """What ages are measured against."""
        return self.ask.as_of or self.known_at

    def _too_early(self, as_of: datetime) -> str:
        first = self.conn.scalar(_FIRST)
        since = f"the first is {first:%Y-%m-%d %H:%M} UTC" if first else "nothing was measured yet"
        return f"as_of: nothing is known as of {as_of:%Y-%m-%d %H:%M} UTC; {since}"

    def valid(self, alias: str = "f") -> str:
        """The condition that picks the versions that were known; binds :known_at when the moment is past."""
        if self.latest:
            return f"{alias}.known_to IS NULL"
        return f"{alias}.known_from <= :known_at AND ({alias}.known_to IS NULL OR {alias}.known_to > :known_at)"

    @property
    def values(self) -> dict[str, object]:
        """What `valid`, `chosen` and a statement's :start, :end, :as_of, :zone, :bounds and :reporting bind."""
        return {
            "known_at": self.known_at, "as_of": self.as_of, "start": self.ask.window.start,
            "end": self.ask.window.end, "zone": self.estate.group.timezone, "bounds": list(BOUNDS),
            "reporting": self.estate.group.reporting_currency, **self.ask.values,
        }  # fmt: skip

    def run(self, sql: str, **more: object) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        """Rows of a statement of a KPI's own; binds of `values` and `more` what it names. A snapshot is asked once."""
        statement, names = _statement(sql)
        known = {**self.values, **more}
        values = {name: known[name] for name in names}
        key = f"{sql} {values}"
        if key not in self._told:
            self._use_calendars()
            self._told[key] = self.conn.execute(statement, values).all()
        return self._told[key]

    def _use_calendars(self) -> None:
        """Those of the moment: several sources may read through one connection."""
        wanted = "" if self.latest or self.known_at is None else self.known_at.isoformat()
        if _calendars.get(self.conn, "") != wanted:
            self.conn.execute(_KNOWN_AT, {"known_at": wanted})
            _calendars[self.conn] = wanted

    def cells(
        self, measures: Iterable[str], by: By | None = None, *, start: date | None = None, end: date | None = None
    ) -> list[Cell]:
        """Of the ask's window, or of [start, end). `by` a dimension of a level that the ask needs is chosen itself."""
        bounds = {"start": start or self.ask.window.start, "end": end or self.ask.window.end}
        return [Cell(*row) for row in self._cells(measures, by, bounds, "{cells} ORDER BY 1, 2, 3, 4")]

    def counts(self, measures: Iterable[str], by: By | None = None) -> list[Counts]:
        """The cells of measures with buckets, those of a group and label as one row: far fewer to bring here."""
        sql = f"SELECT {_COUNTS} FROM ({{cells}}) AS b GROUP BY 1, 2, 3"
        return [Counts(*row) for row in self._cells(measures, by, {}, sql)]

    def _cells(
        self, measures: Iterable[str], by: By | None, bounds: Mapping[str, date], sql: str
    ) -> Iterator[sa.Row[*tuple[Any, ...]]]:
        wanted: dict[str, list[str]] = {}
        for measure in measures:
            wanted.setdefault(measure.partition(".")[0], []).append(measure)
        if self.latest:  # all facts are in one table
            together = sorted(measure for some in wanted.values() for measure in some)
            wanted = {"": together} if together else {}
        for name, some in wanted.items():
            cells = self._rolled_up(by) if self.latest else self._past(facts()[name], by)
            more = {} if self.latest else facts()[name].values
            yield from self.run(sql.format(cells=cells), measures=some, **bounds, **more)

    def _rolled_up(self, by: By | None) -> str:
        level = 1 if self.ask.detailed or by in (By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING) else 0
        return f"""
            SELECT {_grouped(by, "c", "c")} AS grp, c.measure, c.label, c.bucket, CAST(sum(c.n) AS bigint) AS n,
                   sum(c.amount) AS amount
            FROM metrics.cell AS c
            WHERE c.measure = ANY(:measures) AND c.level = {level} AND c.period >= :start AND c.period < :end
              AND {chosen("c")}
            GROUP BY 1, 2, 3, 4 HAVING sum(c.n) <> 0 OR sum(c.amount) <> 0
        """

    def _past(self, fact: Fact, by: By | None) -> str:
        return f"""
            SELECT {_grouped(by, "x", "f")} AS grp, x.measure, x.label, x.bucket, CAST(sum(x.n) AS bigint) AS n,
                   CAST(sum(x.amount) AS numeric) AS amount
            FROM {fact.table} AS f CROSS JOIN {fact.contributions}
            WHERE {self.valid()} AND {chosen("f")} AND x.measure = ANY(:measures)
              AND x.period >= :start AND x.period < :end
            GROUP BY 1, 2, 3, 4 HAVING sum(x.n) <> 0 OR sum(x.amount) <> 0
        """
