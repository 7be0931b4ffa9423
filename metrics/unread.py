"""Signatures that nobody could read: open exceptions of `integration` from their receipt until they are released.

A dismissed one is closed by decision. Of which legal entity one is, its contract says when there is one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from metrics.asking import By
from metrics.reading import group_of
from metrics.source import Source, chosen
from sync_core.errors import Function

FUNCTION: Final = Function.INTEGRATION.value

_ROWS: Final = f"""
    SELECT {{group}} AS grp, f.legal_entity, f.recorded_at, f.ended_at, f.dismissed,
           CAST(extract(epoch FROM f.until - f.recorded_at) AS bigint) AS lasted_s,
           greatest(metrics.worked(f.legal_entity, f.until) - metrics.worked(f.legal_entity, f.recorded_at), 0)
               AS lasted_work_s
    FROM (
        SELECT q.recorded_at, e.ended_at, e.ended_at IS NOT NULL AND q.released_at IS NULL AS dismissed,
               coalesce(e.ended_at, :as_of) AS until,
               coalesce(c.legal_entity, '') AS legal_entity, coalesce(c.service_line, '') AS service_line,
               coalesce(c.geography, '') AS geography, coalesce(c.billing, '') AS billing,
               CAST(date_trunc('week', q.recorded_at, :zone) AT TIME ZONE :zone AS date) AS period
        FROM core.quarantine AS q LEFT JOIN core.contract AS c USING (source, external_id)
             CROSS JOIN LATERAL (
                 SELECT CASE WHEN least(q.released_at, q.dismissed_at) <= :as_of
                             THEN least(q.released_at, q.dismissed_at) END AS ended_at
             ) AS e
        WHERE q.signature AND q.recorded_at <= :as_of AND NOT coalesce(c.test, false) AND {{which}}
    ) AS f WHERE {chosen("f")}
"""
_IN_WINDOW: Final = """q.recorded_at >= CAST(:start AS timestamp) AT TIME ZONE :zone
    AND q.recorded_at < CAST(:end AS timestamp) AT TIME ZONE :zone"""
_OPEN: Final = """(q.released_at IS NULL AND q.dismissed_at IS NULL
    OR least(q.released_at, q.dismissed_at) > :as_of)"""


@dataclass(frozen=True, slots=True)
class Unread:
    group: str
    legal_entity: str
    recorded_at: datetime
    open: bool
    dismissed: bool
    lasted_s: int  # until its end or :as_of
    lasted_work_s: int


def received(source: Source, by: By | None) -> list[Unread]:
    """All that came in the window, by the week of their receipt."""
    return _read(source, by, _IN_WINDOW)


def still_unread(source: Source, by: By | None) -> list[Unread]:
    """All that are open at the moment that was asked for, whenever they came."""
    return _read(source, by, _OPEN)


def _read(source: Source, by: By | None, which: str) -> list[Unread]:
    rows = source.run(_ROWS.format(group=group_of(by, label=f"'{FUNCTION}'"), which=which))
    return [
        Unread(str(row.grp), row.legal_entity, row.recorded_at, row.ended_at is None, row.dismissed, row.lasted_s,
               row.lasted_work_s)
        for row in rows
    ]  # fmt: skip
