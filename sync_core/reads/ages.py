"""How old open exceptions are, in the working days of their legal entity and in calendar days (docs: ageing).

The moments at which a bucket begins are worked out for each entity's calendar and bound, so that one statement sorts
all exceptions into buckets. Ages count from when an exception opened first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
import sqlalchemy as sa

from sync_core.estate.calendar import working_days_before
from sync_core.estate.estate import Estate, WorkingTime
from sync_core.reads.amounts import MoneyTotal, Part, add_up, of_views
from sync_core.reads.paging import Row
from sync_core.reads.scope import CASES, NOT_OF_A_TEST, OF_CONTRACT, Entities, bound

WORKING_DAYS: Final = (1, 3, 7, 14, 30)
WORKING_BUCKETS: Final = ("< 1 working day", "1-3", "3-7", "7-14", "14-30", "> 30 working days")
CALENDAR_DAYS: Final = (31, 61, 91)
CALENDAR_BUCKETS: Final = ("0-30 days", "31-60 days", "61-90 days", "90+ days")

_OPENED: Final = "coalesce(k.first_opened_at, k.opened_at)"
_CALENDAR: Final = "CASE WHEN c.legal_entity = ANY(CAST(:calendars AS text[])) THEN c.legal_entity ELSE '' END"
IN_BUCKET: Final = f"""EXISTS (
    SELECT 1 FROM jsonb_to_recordset(CAST(:bucket AS jsonb)) AS b(entity text, newest timestamptz, oldest timestamptz)
    WHERE b.entity = {_CALENDAR} AND (b.newest IS NULL OR {_OPENED} <= b.newest)
      AND (b.oldest IS NULL OR {_OPENED} > b.oldest))"""

# :cuts has the moments of all calendars, one after the other, each oldest first; that of :calendars[i] is the i-th, and
# the first of all is for those that nobody knows. Calendars differ by hours or a day: which one an exception's contract
# has is looked up only where the first and the last of them to begin a bucket (:earliest, :latest) do not agree.
_MANY: Final = len(WORKING_DAYS)
_AT: Final = f"{_OPENED} - interval '1 microsecond'"
_BY_OWN: Final = f"""(
    SELECT {_MANY} - width_bucket({_AT}, (CAST(:cuts AS timestamptz[]))[n.at * {_MANY} + 1 : (n.at + 1) * {_MANY}])
    FROM core.contract AS own CROSS JOIN LATERAL (
        SELECT coalesce(array_position(CAST(:calendars AS text[]), own.legal_entity), 0) AS at) AS n
    WHERE own.contract_id = k.contract_id)"""
_FOUND: Final = f"""
    SELECT contract_id, k.case_id, k.exposure_reporting, k.exposure, k.currency, {_OPENED} AS opened, k.function,
           CASE WHEN w.low = w.high THEN w.low ELSE {_BY_OWN} END AS working,
           width_bucket(date_part('epoch', :now - {_OPENED}) / 86400, CAST(:days AS float8[])) AS calendar
    FROM {CASES} CROSS JOIN LATERAL (
        SELECT {_MANY} - width_bucket({_AT}, CAST(:earliest AS timestamptz[])) AS low,
               {_MANY} - width_bucket({_AT}, CAST(:latest AS timestamptz[])) AS high OFFSET 0) AS w
    WHERE k.state = 'open' AND {NOT_OF_A_TEST} AND {OF_CONTRACT}"""
_VIEWS: Final = "VALUES ('working', '', k.working), ('function', k.function, k.working), ('calendar', '', k.calendar)"
AGEING = sa.text(of_views(_FOUND, facets="function, working, calendar", views=_VIEWS, columns="days, owner, bucket"))


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the buckets begin, newest first, for each legal entity; "" is the calendar of those that nobody knows."""

    by_entity: Mapping[str, tuple[datetime, ...]]

    def bucket(self, index: int) -> dict[str, object]:
        """What IN_BUCKET binds. An index that is none finds nothing."""
        rows = [
            {
                "entity": entity,
                "newest": cuts[index - 1] if index > 0 else None,
                "oldest": cuts[index] if index < len(cuts) else None,
            }
            for entity, cuts in self.by_entity.items()
            if 0 <= index <= len(cuts)
        ]
        return {"bucket": orjson.dumps(rows).decode(), "calendars": self.known}

    @property
    def known(self) -> list[str]:
        return [entity for entity in self.by_entity if entity]


def cuts_of(estate: Estate, now: datetime) -> Cuts:
    calendars: dict[str, tuple[WorkingTime, str]] = {"": (WorkingTime(), estate.group.timezone)}
    calendars |= {entity.code: (entity.working_time, entity.timezone) for entity in estate.entity}
    return Cuts(
        {code: tuple(working_days_before(now, WORKING_DAYS, *calendar)) for code, calendar in calendars.items()}
    )


@dataclass(frozen=True, slots=True)
class AgeBucket:
    """Open exceptions of one age: how many, the money of their contracts (each once), since when the oldest."""

    name: str
    count: int
    exposure: MoneyTotal
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Ageing:
    """The counts of each row add up to the open exceptions; `working` and `calendar` count the same ones."""

    working: tuple[AgeBucket, ...]
    calendar: tuple[AgeBucket, ...]
    by_function: Mapping[str, tuple[AgeBucket, ...]]  # in working days


def ageing(conn: sa.Connection, estate: Estate, *, now: datetime, entities: Entities) -> Ageing:
    cuts = cuts_of(estate, now)
    calendars = [cuts.by_entity[entity][::-1] for entity in ("", *cuts.known)]
    by_day = list(zip(*calendars, strict=True))
    values = {
        "now": now, "days": list(CALENDAR_DAYS), "cuts": [moment for one in calendars for moment in one],
        "calendars": cuts.known, "earliest": list(map(min, by_day)), "latest": list(map(max, by_day)),
    }  # fmt: skip
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in conn.execute(AGEING, {**values, **bound(entities)}):
        cells.setdefault((row.days, row.owner), []).append(row)
    reporting = estate.group.reporting_currency
    return Ageing(
        _buckets(WORKING_BUCKETS, cells.get(("working", ""), []), reporting),
        _buckets(CALENDAR_BUCKETS, cells.get(("calendar", ""), []), reporting),
        {
            function: _buckets(WORKING_BUCKETS, rows, reporting)
            for (days, function), rows in sorted(cells.items())
            if days == "function"
        },
    )


def _buckets(names: Sequence[str], rows: Sequence[Row], reporting: str) -> tuple[AgeBucket, ...]:
    found = []
    for index, name in enumerate(names):
        same = [row for row in rows if row.bucket == index]
        parts = (Part(row.cases, row.reporting, row.unconverted, row.amount) for row in same)
        total = add_up(parts, reporting)
        found.append(AgeBucket(name, total.count, total, min((row.oldest for row in same), default=None)))
    return tuple(found)
