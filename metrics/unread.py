"""Signatures that nobody could read: open exceptions of `integration` from their receipt until they are released.

A dismissed one is closed by decision. Of which legal entity one is, its contract says when there is one, as it was
known at the moment that was asked for. What a past moment knew is told by transactions, as of all facts: a receipt
that was committed late does not appear behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from metrics.asking import By
from metrics.cells import Row
from metrics.reading import WORKED_NOW, WORKED_NOW_S, group_of
from metrics.source import Source, chosen
from sync_core.errors import Function

FUNCTION: Final = Function.INTEGRATION.value
CAUSE: Final = "CAST('in quarantine' AS text)"  # what the rows behind a number say it is

KNOWN: Final = "q.signature AND q.recorded_at <= :as_of AND q.recorded_xid < CAST(:cut AS xid8)"
_ENDED: Final = "q.ended_xid < CAST(:cut AS xid8) AND least(q.released_at, q.dismissed_at) <= :as_of"
OPEN: Final = f"({_ENDED}) IS NOT TRUE"

# Of `f`, the mean length of its legal entity's working day; of an entity that nobody knows, the group's.
DAY_S: Final = """
    (SELECT k.day_s FROM metrics.calendar AS k WHERE k.calendar IN (f.legal_entity, '')
     ORDER BY k.calendar DESC LIMIT 1)
"""
_CASES: Final = f"""
    SELECT f.*, {DAY_S} AS day_s, CAST('{FUNCTION}' AS text) AS function,
           CAST(extract(epoch FROM f.until - f.recorded_at) AS bigint) AS lasted_s,
           greatest(CASE WHEN f.ended_at IS NULL THEN {WORKED_NOW_S} ELSE metrics.worked(f.legal_entity, f.until) END
                    - metrics.worked(f.legal_entity, f.recorded_at), 0) AS lasted_work_s
    FROM (
        SELECT q.quarantine_id, q.recorded_at, q.external_id AS contract, c.contract_id, c.title, e.ended_at,
               e.ended_at IS NOT NULL AND q.released_at IS NULL AS dismissed,
               coalesce(e.ended_at, :as_of) AS until,
               coalesce(v.legal_entity, '') AS legal_entity, coalesce(v.service_line, '') AS service_line,
               coalesce(v.geography, '') AS geography, coalesce(v.billing, '') AS billing,
               CAST(date_trunc('week', q.recorded_at, :zone) AT TIME ZONE :zone AS date) AS period
        FROM core.quarantine AS q LEFT JOIN core.contract AS c USING (source, external_id)
             LEFT JOIN metrics.contract_fact AS v ON v.contract_id = c.contract_id AND {{valid}}
             CROSS JOIN LATERAL (
                 SELECT CASE WHEN {_ENDED} THEN least(q.released_at, q.dismissed_at) END AS ended_at
             ) AS e
        WHERE {KNOWN} AND NOT coalesce(v.test, false) AND {{which}}
    ) AS f {WORKED_NOW} WHERE {chosen("f")}
"""
_IN_WINDOW: Final = """q.recorded_at >= CAST(:start AS timestamp) AT TIME ZONE :zone
    AND q.recorded_at < CAST(:end AS timestamp) AT TIME ZONE :zone"""


@dataclass(frozen=True, slots=True)
class StillUnread:
    group: str
    legal_entity: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Unread:
    group: str
    open: bool
    dismissed: bool
    lasted_s: int  # until its end or :as_of
    lasted_work_s: int


def received(source: Source, by: By | None) -> list[Unread]:
    """All that came in the window, by the week of their receipt."""
    rows = _read(source, by, _IN_WINDOW, "f.ended_at IS NULL AS open, f.dismissed, f.lasted_s, f.lasted_work_s")
    return [Unread(str(row.grp), row.open, row.dismissed, row.lasted_s, row.lasted_work_s) for row in rows]


def still_unread(source: Source, by: By | None) -> list[StillUnread]:
    """All that are open at the moment that was asked for, whenever they came."""
    rows = _read(source, by, OPEN, "f.legal_entity, f.recorded_at")
    return [StillUnread(str(row.grp), row.legal_entity, row.recorded_at) for row in rows]


def received_rows(source: Source, columns: str) -> str:
    """What metrics/drilling.py lists of those that came in the window and were not dismissed."""
    return listed(_CASES.format(which=_IN_WINDOW, valid=source.valid("v")), columns, "NOT f.dismissed")


def still_unread_rows(source: Source, columns: str) -> str:
    return listed(_CASES.format(which=OPEN, valid=source.valid("v")), columns, "true")


def listed(cases: str, columns: str, which: str) -> str:
    """Rows of what stands in quarantine, for metrics/drilling.py; `columns` are SQL of `f` and name a `place`."""
    return f"""
        SELECT -f.quarantine_id AS key, f.contract_id, f.contract, f.title, f.legal_entity, {columns}
        FROM ({cases}) AS f WHERE {which}"""


def _read(source: Source, by: By | None, which: str, columns: str) -> Sequence[Row]:
    """No column but those that are asked for, for working time is worked out row by row."""
    group, cases = group_of(by, label="f.function"), _CASES.format(which=which, valid=source.valid("v"))
    return source.run(f"SELECT {group} AS grp, {columns} FROM ({cases}) AS f")
