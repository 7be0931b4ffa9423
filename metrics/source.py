"""Where measures read from: the rollups for what is true now, the versions of the facts for any past moment.

Both give the same cells (a property proves it); a KPI never knows which of the two answered it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from metrics.asking import Ask, By, InvalidAsk
from metrics.buckets import BOUNDS
from metrics.facts import facts
from metrics.facts.fact import DIMENSIONS, Fact
from sync_core.estate import Estate

_NEWEST = sa.text("SELECT max(at) FROM metrics.refresh WHERE finished_at IS NOT NULL")
_AT = sa.text("""
    SELECT (SELECT max(at) FROM metrics.refresh WHERE finished_at IS NOT NULL AND at <= :as_of) AS at,
           (SELECT min(at) FROM metrics.refresh) AS first
""")


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


class Source:
    """One read-only snapshot, as of one moment. Made by metrics/measures.py; not for several threads at once."""

    def __init__(self, conn: sa.Connection, ask: Ask, *, estate: Estate) -> None:
        """Raises InvalidAsk for a moment before anything was measured."""
        self.conn, self.ask, self.estate = conn, ask, estate
        self.latest = ask.as_of is None
        self._told: dict[str, Sequence[sa.Row[*tuple[Any, ...]]]] = {}
        self.data_as_of: datetime | None = self._data_as_of()
        self.as_of: datetime | None = ask.as_of or self.data_as_of  # None: nothing was ever measured

    def _data_as_of(self) -> datetime | None:
        if self.ask.as_of is None:
            newest: datetime | None = self.conn.scalar(_NEWEST)
            return newest
        row = self.conn.execute(_AT, {"as_of": self.ask.as_of}).one()
        if row.at is None:
            since = f"the first is {row.first:%Y-%m-%d %H:%M} UTC" if row.first else "nothing was measured yet"
            raise InvalidAsk(f"as_of: nothing is known as of {self.ask.as_of:%Y-%m-%d %H:%M} UTC; {since}")
        moment: datetime = row.at
        return moment

    def valid(self, alias: str = "f") -> str:
        """The condition that picks the versions that were known; binds :known_at when the moment is past."""
        if self.latest:
            return f"{alias}.known_to IS NULL"
        return f"{alias}.known_from <= :known_at AND ({alias}.known_to IS NULL OR {alias}.known_to > :known_at)"

    @property
    def values(self) -> dict[str, object]:
        """What `valid`, `chosen` and a statement's :start, :end, :as_of, :zone, :bounds and :reporting bind."""
        return {
            "known_at": self.data_as_of, "as_of": self.as_of, "start": self.ask.window.start,
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
            self._told[key] = self.conn.execute(statement, values).all()
        return self._told[key]

    def cells(
        self, measures: Iterable[str], by: By | None = None, *, start: date | None = None, end: date | None = None
    ) -> list[Cell]:
        """Of the ask's window, or of [start, end). `by` a dimension of a level that the ask needs is chosen itself."""
        wanted: dict[str, list[str]] = {}
        for measure in measures:
            wanted.setdefault(measure.partition(".")[0], []).append(measure)
        bounds = {"start": start or self.ask.window.start, "end": end or self.ask.window.end}
        found: list[Cell] = []
        for name, together in wanted.items():
            sql = self._rolled_up(by) if self.latest else self._past(facts()[name], by)
            rows = self.run(sql, **bounds, measures=together, **facts()[name].values)
            found += [Cell(*row) for row in rows]
        return found

    def _rolled_up(self, by: By | None) -> str:
        level = 1 if self.ask.detailed or by in (By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING) else 0
        return f"""
            SELECT {_grouped(by, "c", "c")} AS grp, c.measure, c.label, c.bucket, CAST(sum(c.n) AS bigint),
                   sum(c.amount)
            FROM metrics.cell AS c
            WHERE c.measure = ANY(:measures) AND c.level = {level} AND c.period >= :start AND c.period < :end
              AND {chosen("c")}
            GROUP BY 1, 2, 3, 4 HAVING sum(c.n) <> 0 OR sum(c.amount) <> 0 ORDER BY 1, 2, 3, 4
        """

    def _past(self, fact: Fact, by: By | None) -> str:
        return f"""
            SELECT {_grouped(by, "x", "f")} AS grp, x.measure, x.label, x.bucket, CAST(sum(x.n) AS bigint),
                   CAST(sum(x.amount) AS numeric)
            FROM {fact.table} AS f CROSS JOIN {fact.contributions}
            WHERE {self.valid()} AND {chosen("f")} AND x.measure = ANY(:measures)
              AND x.period >= :start AND x.period < :end
            GROUP BY 1, 2, 3, 4 HAVING sum(x.n) <> 0 OR sum(x.amount) <> 0 ORDER BY 1, 2, 3, 4
        """
