"""The legal entities' working time as rows, so that the database works out working hours by set.

Made from the estate (sync_core/estate/calendar.py). A calendar that changed is written anew, and all contracts that
it counts for are measured again: what that moves is a restatement like any other. The former one is kept for past
moments.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import orjson
import sqlalchemy as sa

from sync_core.estate.calendar import working_intervals
from sync_core.estate.estate import Estate, WorkingTime

_GROUPS: Final = WorkingTime()
# A working day of the group's calendar, in hours: where lines in charts and targets stand. Cases are counted by the day
# of their own legal entity.
GROUP_DAY_H: Final = (
    _GROUPS.closes.hour - _GROUPS.opens.hour + (_GROUPS.closes.minute - _GROUPS.opens.minute) / 60
)  # fmt: skip

_SINCE: Final = datetime(2015, 1, 1, tzinfo=UTC)
_UNTIL: Final = datetime(2040, 1, 1, tzinfo=UTC)

_KNOWN = sa.text("SELECT calendar, digest FROM metrics.calendar")
_KEEP_FORMER = sa.text("""
    WITH former AS (
        INSERT INTO metrics.former_calendar (calendar, kept_as, known_from, known_to)
        SELECT calendar, calendar || '@' || CAST(:at AS timestamptz), known_from, :at
        FROM metrics.calendar WHERE calendar = :calendar RETURNING kept_as
    )
    UPDATE metrics.work_day AS d SET calendar = f.kept_as FROM former AS f WHERE d.calendar = :calendar
""")
_WRITE_DAYS = sa.text("""
    INSERT INTO metrics.work_day (calendar, opens_at, length_s, before_s, next_at)
    SELECT :calendar, opens_at, length_s, sum(length_s) OVER (ORDER BY opens_at) - length_s,
           coalesce(lead(opens_at) OVER (ORDER BY opens_at), 'infinity')
    FROM jsonb_to_recordset(CAST(:days AS jsonb)) AS r(opens_at timestamptz, length_s int)
""")
_WRITE = sa.text("""
    INSERT INTO metrics.calendar (calendar, digest, zone, day_s, known_from)
    SELECT :calendar, :digest, :zone, CAST(avg(length_s) AS int), CAST(:at AS timestamptz)
    FROM metrics.work_day WHERE calendar = :calendar
    ON CONFLICT (calendar) DO UPDATE SET digest = excluded.digest, zone = excluded.zone, day_s = excluded.day_s,
        known_from = excluded.known_from
""")
_MEASURE_AGAIN = sa.text("""
    INSERT INTO metrics.dirty SELECT contract_id FROM core.contract
    WHERE legal_entity = :calendar OR :calendar = '' AND legal_entity <> ALL(:known)
    ON CONFLICT DO NOTHING
""")


def calendars_of(estate: Estate) -> Mapping[str, tuple[WorkingTime, str]]:
    """Working time and zone by legal entity; "" is the group's, for contracts of an entity that nobody knows."""
    found: dict[str, tuple[WorkingTime, str]] = {"": (_GROUPS, estate.group.timezone)}
    return found | {entity.code: (entity.working_time, entity.timezone) for entity in estate.entity}


def keep(conn: sa.Connection, estate: Estate, *, at: datetime) -> None:
    """Write what is not written yet, known from `at` on. The caller commits."""
    known = {row.calendar: row.digest for row in conn.execute(_KNOWN)}
    wanted = calendars_of(estate)
    for code, (hours, zone) in wanted.items():
        days, digest = _days(hours, zone)
        if known.get(code) == digest:
            continue
        values = {"calendar": code, "at": at}
        conn.execute(_KEEP_FORMER, values)
        conn.execute(_WRITE_DAYS, {"calendar": code, "days": days})
        conn.execute(_WRITE, {**values, "digest": digest, "zone": zone})
        if known:  # else this is the first refresh, which measures all
            conn.execute(_MEASURE_AGAIN, {"calendar": code, "known": list(wanted)})


@lru_cache(maxsize=64)
def _days(hours: WorkingTime, zone: str) -> tuple[str, str]:
    """All working days as JSON, and a digest of them: it moves with the hours, the zone and the public holidays."""
    days = orjson.dumps(list(_rows(hours, zone)))
    return days.decode(), hashlib.sha256(zone.encode() + days).hexdigest()[:16]


def _rows(hours: WorkingTime, zone: str) -> Iterator[dict[str, object]]:
    for opens, closes in working_intervals(_SINCE, hours, zone, days=(_UNTIL - _SINCE).days):
        yield {"opens_at": opens, "length_s": int((closes - opens).total_seconds())}
