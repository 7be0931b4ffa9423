"""Where measures read from: the rollups for what is true now, the versions of the facts for any past moment.

Both give the same cells (a property proves it); a KPI never knows which of the two answered it. The cells that several
KPIs need are brought by one statement, and what one snapshot was asked once, it is not asked again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from metrics.asking import Ask, By, InvalidAsk
from metrics.buckets import BOUNDS
from metrics.cells import Cell, Counts, Need, Of, Row, Told
from metrics.facts import facts
from metrics.facts.fact import DIMENSIONS, Fact
from sync_core.estate.estate import Estate
from sync_core.money import exponent

# The refresh that answers, and whether it is the newest of all: then what it knew is what the rollups say.
_REFRESH = sa.text("""
    SELECT r.finished_at, r.covers, CAST(r.cut AS text) AS cut, r.stuck_by,
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


T = TypeVar("T")

_PAST_COUNTED: Final = """SELECT b.grp, b.measure, b.label, array_agg(CAST(b.bucket AS integer)), array_agg(b.n),
    CAST(sum(b.amount) AS float8) FROM ({cells}) AS b GROUP BY 1, 2, 3"""
# One statement for all that a page asks: each measure is a walk of its own along the index, so what has to be planned
# does not grow with what is asked. Cells with buckets come as one row of each group and label: far fewer to bring here.
# They are not added up by bucket before, which would cost more than it saves.
_GROUP: Final = " ".join(f"WHEN '{by}' THEN {_grouped(by, 'c', 'c')}" for by in By)
_ROLLED: Final = f"""
    SELECT asked.place, x.grp, asked.measure, x.label, x.bucket, x.n, x.amount, x.buckets, x.counts
    FROM jsonb_to_recordset(CAST(:{{kind}} AS jsonb))
         AS asked(place integer, measure text, level smallint, split text, since date, until date)
    CROSS JOIN LATERAL (
        SELECT CASE asked.split {_GROUP} ELSE '' END AS grp, c.label, {{columns}}
        FROM metrics.cell AS c
        WHERE c.measure = asked.measure AND c.level = asked.level AND c.period >= asked.since
          AND c.period < asked.until AND {chosen("c")}
        GROUP BY {{keys}} HAVING sum(c.n) <> 0 OR sum(c.amount) <> 0
    ) AS x
"""
_LISTED: Final = _ROLLED.format(
    kind="listed", keys="1, 2, 3",
    columns="""c.bucket, CAST(sum(c.n) AS bigint) AS n, sum(c.amount) AS amount,
            CAST(NULL AS integer[]) AS buckets, CAST(NULL AS bigint[]) AS counts""",
)  # fmt: skip
_COUNTED: Final = _ROLLED.format(
    kind="counted", keys="1, 2",
    columns="""CAST(NULL AS smallint) AS bucket, CAST(NULL AS bigint) AS n, sum(c.amount) AS amount,
            array_agg(CAST(c.bucket AS integer)) AS buckets, array_agg(c.n) AS counts""",
)  # fmt: skip


class Source:
    """One read-only snapshot, as of one moment. Made by metrics/measures.py; not for several threads at once."""

    latest: bool  # the rollups answer
    known_at: datetime | None  # the refresh that answers; None: nothing was ever measured
    data_as_of: datetime | None  # everything that was committed before is in it
    stuck_by: str | None  # metrics/stuck_cells.py
    # What `valid`, `chosen` and KPIs bind: :start, :end, :as_of, :cut (transactions below it are in), :zone, :bounds,
    # :reporting and :minor, the decimals of its minor unit.
    values: Mapping[str, object]

    def __init__(
        self, conn: sa.Connection, ask: Ask, *, estate: Estate, from_versions: bool = False, told: Told | None = None
    ) -> None:
        """`from_versions`: even what the rollups could say. `told`: what other sources of the same snapshot were told.

        Raises InvalidAsk for a moment before the first refresh.
        """
        self.conn, self.ask, self.estate = conn, ask, estate
        self._told = Told() if told is None else told
        self._made: dict[str, Any] = {}
        rows = self._tell(f"{_REFRESH} {ask.as_of}", _REFRESH, {"as_of": ask.as_of})
        if not rows and ask.as_of is not None:
            raise InvalidAsk(self._too_early(ask.as_of))
        self.known_at, self.data_as_of = (rows[0].finished_at, rows[0].covers) if rows else (None, None)
        self.stuck_by = rows[0].stuck_by if rows else None
        self.latest = bool(rows) and rows[0].newest and not from_versions
        self.values = {
            "known_at": self.known_at, "cut": rows[0].cut if rows else None, "as_of": self.as_of,
            "start": ask.window.start, "end": ask.window.end, "zone": estate.group.timezone, "bounds": list(BOUNDS),
            "reporting": estate.group.reporting_currency, "minor": exponent(estate.group.reporting_currency),
            **ask.values,
        }  # fmt: skip

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

    def run(self, sql: str, **more: object) -> Sequence[Row]:
        """Rows of a statement of a KPI's own; binds of `values` and `more` what it names. A snapshot is asked once."""
        statement, names = _statement(sql)
        known = {**self.values, **more}
        values = {name: known[name] for name in names}
        calendars = "" if self.latest or self.known_at is None else self.known_at.isoformat()
        return self._tell(f"{calendars} {sql} {values}", statement, values, calendars)

    def _tell(
        self, key: str, statement: sa.TextClause, values: Mapping[str, object], calendars: str | None = None
    ) -> Sequence[Row]:
        """`calendars`: as they were known then, "" is now. Several sources may read through one connection."""
        if key not in self._told.rows:
            if calendars not in (None, _calendars.get(self.conn, "")):
                self.conn.execute(_KNOWN_AT, {"known_at": calendars})
                _calendars[self.conn] = calendars or ""
            self._told.rows[key] = self.conn.execute(statement, values).all()
        return self._told.rows[key]

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What the answers of each group need alike: made for the first of them."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    def cells(
        self, measures: Iterable[str], by: By | None = None, *, start: date | None = None, end: date | None = None
    ) -> list[Cell]:
        """Of the ask's window, or of [start, end). `by` a dimension of a level that the ask needs is chosen itself."""
        return self.cells_of(Need(tuple(measures), by, start=start, end=end))

    def cells_of(self, need: Need) -> list[Cell]:
        if self.latest:
            return [Cell(*row[1:7]) for row in self._rolled_up(need)]
        return [Cell(*row) for row in self._past(need, "{cells} ORDER BY 1, 2, 3, 4")]

    def counts(self, measures: Iterable[str], by: By | None = None) -> list[Counts]:
        """The cells of measures with buckets, those of a group and label as one."""
        need = Need(tuple(measures), by, counted=True)
        if self.latest:
            return [
                Counts(row.grp, row.measure, row.label, row.buckets, row.counts, float(row.amount))
                for row in self._rolled_up(need)
            ]
        return [Counts(*row) for row in self._past(need, _PAST_COUNTED)]

    def prefetch(self, needs: Iterable[Need]) -> None:
        """All of it in one statement, for `cells` and `counts` to take. Of the past, each fact is read for itself.

        What is expected to be asked of the same snapshot and the same part of the firm comes with it.
        """
        if not self.latest:
            return
        missing: dict[Of, set[str]] = {}
        self._miss(missing, needs, self.ask)
        if not any(missing.values()):
            return
        for ask, more in self._told.expected:
            if ask.as_of is None and ask.filters == self.ask.filters:
                self._miss(missing, more, ask)
        asked = [(of, sorted(measures)) for of, measures in missing.items() if measures]
        for of, measures in asked:
            self._held(of).update({measure: [] for measure in measures})
        for row in self._walked(asked):
            self._held(asked[row.place][0])[row.measure].append(row)

    def _walked(self, asked: Sequence[tuple[Of, list[str]]]) -> Sequence[Row]:
        listed, counted = self._walks(asked, counted=False), self._walks(asked, counted=True)
        parts = {"listed": (_LISTED, listed), "counted": (_COUNTED, counted)}
        sql = " UNION ALL ".join(part for part, walks in parts.values() if walks)
        return self.run(sql, **{kind: orjson.dumps(walks).decode() for kind, (_, walks) in parts.items()})

    def _walks(self, asked: Sequence[tuple[Of, list[str]]], *, counted: bool) -> list[Mapping[str, object]]:
        return [
            {"place": place, "measure": measure, "level": self._level(of[0]), "split": of[0], "since": of[2],
             "until": of[3]}
            for place, (of, measures) in enumerate(asked) if of[1] == counted for measure in measures
        ]  # fmt: skip

    def _level(self, by: By | None) -> int:
        """Of the rollup that has the dimension of the split, and those that are chosen by."""
        if by in (By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING):
            return 1
        return 0 if self.ask.level == 2 and by is By.LEGAL_ENTITY else self.ask.level

    def _miss(self, missing: dict[Of, set[str]], needs: Iterable[Need], ask: Ask) -> None:
        for need in needs:
            of = self._of(need, ask)
            held = self._held(of)
            missing.setdefault(of, set()).update(m for m in need.measures if m not in held)

    def _held(self, of: Of) -> dict[str, list[Row]]:
        """Cells by measure. The filters say how deep the rollup is that they come from."""
        return self._told.cells.setdefault((self.ask.filters, of), {})

    def ripe(self, days: int) -> date:
        """The Monday of the first week that had not ended so many days before the moment that was asked for."""
        if self.as_of is None:
            return self.ask.window.start
        day = self.as_of.astimezone(ZoneInfo(self.estate.group.timezone)).date() - timedelta(days=days + 6)
        return day + timedelta(days=7 - day.weekday())

    def _of(self, need: Need, ask: Ask | None = None) -> Of:
        window = (ask or self.ask).window
        start, end = need.start or window.start, need.end or window.end
        if need.ripe_days is not None:
            end = min(end, self.ripe(need.ripe_days))
        if need.young_days is not None:
            start = max(start, self.ripe(need.young_days))
        return need.by, need.counted, start, end

    def _rolled_up(self, need: Need) -> Iterator[Row]:
        self.prefetch([need])
        held = self._held(self._of(need))
        for measure in sorted(set(need.measures)):
            yield from held[measure]

    def _past(self, need: Need, sql: str) -> Iterator[Row]:
        _, _, start, end = self._of(need)
        wanted: dict[str, list[str]] = {}
        for measure in need.measures:
            wanted.setdefault(measure.partition(".")[0], []).append(measure)
        for name, measures in wanted.items():
            fact = facts()[name]
            cells = self._contributed(fact, need.by)
            yield from self.run(sql.format(cells=cells), measures=measures, start=start, end=end, **fact.values)

    def _contributed(self, fact: Fact, by: By | None) -> str:
        return f"""
            SELECT {_grouped(by, "x", "f")} AS grp, x.measure, x.label, x.bucket, CAST(sum(x.n) AS bigint) AS n,
                   CAST(sum(x.amount) AS numeric) AS amount
            FROM {fact.table} AS f CROSS JOIN {fact.contributions}
            WHERE {self.valid()} AND {fact.within} AND {chosen("f")} AND x.measure = ANY(:measures)
              AND x.period >= :start AND x.period < :end
            GROUP BY 1, 2, 3, 4 HAVING sum(x.n) <> 0 OR sum(x.amount) <> 0
        """
