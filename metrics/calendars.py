"""The legal entities' working time as rows, so that the database works out working hours by set.

Made from the estate (sync_core/calendar.py); a calendar that changed is written anew, and all contracts of its legal
entity are measured again: what that moves is a restatement like any other.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import orjson
import sqlalchemy as sa

from sync_core.calendar import working_intervals
from sync_core.estate import Estate, WorkingTime

_SINCE: Final = datetime(2015, 1, 1, tzinfo=UTC)
_AHEAD_YEARS: Final = 3

_KNOWN = sa.text("SELECT calendar, digest FROM metrics.calendar")
_FORGET = sa.text("DELETE FROM metrics.work_day WHERE calendar = :calendar")
_WRITE_DAYS = sa.text("""
    INSERT INTO metrics.work_day (calendar, opens_at, length_s, before_s, next_at)
    SELECT :calendar, opens_at, length_s, sum(length_s) OVER (ORDER BY opens_at) - length_s,
           coalesce(lead(opens_at) OVER (ORDER BY opens_at), 'infinity')
    FROM jsonb_to_recordset(CAST(:days AS jsonb)) AS r(opens_at timestamptz, length_s int)
""")
_WRITE = sa.text("""
    INSERT INTO metrics.calendar (calendar, digest, zone, day_s)
    SELECT :calendar, :digest, :zone, CAST(avg(length_s) AS int) FROM metrics.work_day WHERE calendar = :calendar
    ON CONFLICT (calendar) DO UPDATE SET digest = excluded.digest, zone = excluded.zone, day_s = excluded.day_s
""")
_MEASURE_AGAIN = sa.text("""
    INSERT INTO metrics.dirty SELECT contract_id FROM core.contract WHERE legal_entity = :calendar
    ON CONFLICT DO NOTHING
""")


def calendars_of(estate: Estate) -> Mapping[str, tuple[WorkingTime, str]]:
    """Working time and zone by legal entity; "" is the group's, for contracts of an entity that nobody knows."""
    found: dict[str, tuple[WorkingTime, str]] = {"": (WorkingTime(), estate.group.timezone)}
    return found | {entity.code: (entity.working_time, entity.timezone) for entity in estate.entity}


def keep(conn: sa.Connection, estate: Estate, *, now: datetime) -> None:
    """Write what is not written yet. The caller commits."""
    known = {row.calendar: row.digest for row in conn.execute(_KNOWN)}
    until = datetime(now.year + _AHEAD_YEARS, 1, 1, tzinfo=UTC)
    for code, (hours, zone) in calendars_of(estate).items():
        digest = hashlib.sha256(repr((hours, zone, until)).encode()).hexdigest()[:16]
        if known.get(code) == digest:
            continue
        conn.execute(_FORGET, {"calendar": code})
        conn.execute(_WRITE_DAYS, {"calendar": code, "days": _days(hours, zone, until)})
        conn.execute(_WRITE, {"calendar": code, "digest": digest, "zone": zone})
        if code in known:
            conn.execute(_MEASURE_AGAIN, {"calendar": code})


@lru_cache(maxsize=64)
def _days(hours: WorkingTime, zone: str, until: datetime) -> str:
    return orjson.dumps(list(_rows(hours, zone, until))).decode()


def _rows(hours: WorkingTime, zone: str, until: datetime) -> Iterator[dict[str, object]]:
    for opens, closes in working_intervals(_SINCE, hours, zone, days=(until - _SINCE).days):
        yield {"opens_at": opens, "length_s": int((closes - opens).total_seconds())}
