"""What becomes true by time alone: a passed SLA, a notice date that is near, an amendment that a bill run will miss.

Each is announced once for its subject and its date, however often it is looked for.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.bill_runs import next_bill_run
from sync_core.calendar import add_working_hours
from sync_core.contract import Contract, Stage
from sync_core.delivery.announce import LOCK
from sync_core.delivery.announce_sql import (
    CONTRACT,
    EXCEPTION,
    PAGE_OF_CONTRACT,
    PAGE_OF_EXCEPTION,
    SEVERITY,
    insertion,
)
from sync_core.estate import Entity, Estate
from sync_core.estate_delivery import PREFIX
from sync_core.events import PREFIX as CONTRACT_EVENTS
from sync_core.events import Event, SchemaUnknown, understand
from sync_core.fold import fold

OVERDUE: Final = "delivery:overdue"  # watermark: up to which moment passed SLAs were looked for
_CHUNK: Final = 200

_WATERMARK = sa.text("SELECT value FROM core.watermark WHERE name = :name")
_MOVE = sa.text("""
    INSERT INTO core.watermark (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
""")
_OVERDUE = insertion(
    f"""
    SELECT 'exception.overdue.v1' AS kind, concat_ws('|', k.case_id, extract(epoch FROM k.due_at)) AS key,
           'exception/' || k.case_id AS subject, k.contract_id, nullif(c.legal_entity, '') AS legal_entity,
           k.function, {SEVERITY} AS severity, k.due_at AS occurred_at, k.due_at AS at,
           jsonb_build_object('contract', {CONTRACT}, 'exception', {EXCEPTION}, 'links', {PAGE_OF_EXCEPTION}) AS data
    FROM core.case AS k JOIN core.contract AS c USING (contract_id)
    WHERE k.state = 'open' AND k.due_at > :after AND k.due_at <= :now
    """,
    PREFIX,
)
# Amended after it was last active, and not active since.
_LATE = insertion(
    f"""
    SELECT 'amendment.late.v1' AS kind, concat_ws('|', c.contract_id, extract(epoch FROM r.run)) AS key,
           'contract/' || c.contract_id AS subject, c.contract_id, c.legal_entity,
           CAST(NULL AS text) AS function, 'high' AS severity, CAST(:now AS timestamptz) AS occurred_at, r.run AS at,
           jsonb_build_object('contract', {CONTRACT}, 'bill_run', r.run, 'state', c.state,
                              'links', {PAGE_OF_CONTRACT}) AS data
    FROM jsonb_to_recordset(CAST(:runs AS jsonb)) AS r(entity text, run timestamptz)
    JOIN core.contract AS c ON c.legal_entity = r.entity
    WHERE c.state IN ('waiting', 'blocked', 'set_aside') AND c.signed_at IS NOT NULL AND EXISTS (
        SELECT FROM core.event AS e
        WHERE e.source = c.source AND e.external_id = c.external_id AND e.type LIKE :amended
          AND e.recorded_at > coalesce(c.active_at, '-infinity'))
    """,
    PREFIX,
)
# Whether the date still stands only the fold can tell; this finds few enough to fold. Those announced are left out.
_NEAR = sa.text("""
    WITH near AS MATERIALIZED (
        SELECT DISTINCT source, external_id, notice_by FROM (
            SELECT source, external_id, left(coalesce(data #>> '{terms,renewal,notice_by}',
                                                      data #>> '{renewal,notice_by}'), 10) AS notice_by
            FROM core.event
        ) AS e WHERE notice_by BETWEEN :first AND :last
    )
    SELECT DISTINCT c.contract_id FROM near JOIN core.contract AS c USING (source, external_id)
    WHERE c.state NOT IN ('draft', 'ended') AND NOT EXISTS (
        SELECT FROM core.outgoing AS o
        WHERE o.contract_id = c.contract_id AND o.type = :type AND o.data ->> 'notice_by' = near.notice_by)
    ORDER BY 1
""")
_EVENTS = sa.text("""
    SELECT c.contract_id, e.source, e.id, e.type, e.occurred_at, CAST(e.data AS text) AS data
    FROM core.contract AS c JOIN core.event AS e USING (source, external_id)
    WHERE c.contract_id = ANY(:ids) ORDER BY c.contract_id, e.seq
""")
_RENEWALS = insertion(
    f"""
    SELECT 'renewal.due.v1' AS kind, concat_ws('|', c.contract_id, r.notice_by) AS key,
           'contract/' || c.contract_id AS subject, c.contract_id, nullif(c.legal_entity, '') AS legal_entity,
           CAST(NULL AS text) AS function, 'medium' AS severity, CAST(:now AS timestamptz) AS occurred_at,
           CAST(r.notice_by AS timestamptz) AS at,
           jsonb_build_object('contract', {CONTRACT}, 'links', {PAGE_OF_CONTRACT}, 'notice_by', r.notice_by,
                              'renews_on', r.renews_on, 'automatic', r.automatic) AS data
    FROM jsonb_to_recordset(CAST(:renewals AS jsonb)) AS r(
             contract_id bigint, notice_by date, renews_on date, automatic boolean)
    JOIN core.contract AS c USING (contract_id)
    """,
    PREFIX,
)


# Objectives as they were evaluated last (metrics/slo.py). One trouble has one begin; it is news again when it is worse.
_OBJECTIVES = insertion(
    """
    SELECT 'objective.broken.v1' AS kind, concat_ws('|', s.name, s.severity, extract(epoch FROM s.broken_at)) AS key,
           'objective/' || s.name AS subject, CAST(NULL AS bigint) AS contract_id, '*' AS legal_entity,
           'integration' AS function, s.severity, s.evaluated_at AS occurred_at, s.evaluated_at AS at,
           jsonb_build_object('objective', jsonb_build_object('name', s.name, 'title', s.title, 'target', s.target),
                              'state', s.state, 'says', s.says, 'since', s.broken_at,
                              'links', jsonb_build_object('page', CAST(:base AS text) || '/platform')) AS data
    FROM telemetry.slo AS s WHERE s.broken_at IS NOT NULL AND s.recovering_at IS NULL
    """,
    PREFIX,
)


@dataclass(frozen=True, slots=True)
class Scan:
    """`values`: of the announcer, for links and the reporting currency."""

    engine: AsyncEngine
    estate: Estate
    values: dict[str, object]

    async def overdue(self, now: datetime) -> int:
        """Exceptions whose time was up since the last look; none the first time. How many were announced."""
        async with self.engine.begin() as conn:
            await conn.execute(LOCK)
            last: str | None = await conn.scalar(_WATERMARK, {"name": OVERDUE})
            made = 0
            if last is not None:
                bound = self._bound(_OVERDUE, now=now, after=datetime.fromisoformat(last))
                made = (await conn.execute(_OVERDUE, bound)).rowcount
            await conn.execute(_MOVE, {"name": OVERDUE, "value": now.isoformat(), "now": now})
            return made

    async def objectives(self, now: datetime) -> int:
        """Service-level objectives that are broken and were not told so yet."""
        async with self.engine.begin() as conn:
            await conn.execute(LOCK)
            return (await conn.execute(_OBJECTIVES, self._bound(_OBJECTIVES, now=now))).rowcount

    async def late_amendments(self, now: datetime) -> int:
        """Amended contracts that the next bill run would miss, if it is within a working day."""
        runs = [{"entity": entity.code, "run": run} for entity in self.estate.entity if (run := _near_run(entity, now))]
        if not runs:
            return 0
        async with self.engine.begin() as conn:
            await conn.execute(LOCK)
            amended = f"{CONTRACT_EVENTS}amended.%"
            bound = self._bound(_LATE, now=now, runs=orjson.dumps(runs).decode(), amended=amended)
            return (await conn.execute(_LATE, bound)).rowcount

    async def renewals(self, now: datetime) -> int:
        """Contracts whose notice date is today or near, by the day in the group's zone."""
        today = now.astimezone(ZoneInfo(self.estate.group.timezone)).date()
        last = today + timedelta(days=self.estate.delivery.renewal_days)
        days = {"first": today.isoformat(), "last": last.isoformat(), "type": f"{PREFIX}renewal.due.v1"}
        async with self.engine.connect() as conn:
            ids = list((await conn.execute(_NEAR, days)).scalars())
        made = 0
        for start in range(0, len(ids), _CHUNK):
            made += await self._renewals(ids[start : start + _CHUNK], today, last, now)
            await asyncio.sleep(0)  # folding takes the loop from the contracts that are provisioned
        return made

    async def _renewals(self, ids: Sequence[int], today: date, last: date, now: datetime) -> int:
        async with self.engine.begin() as conn:
            due = list(_due((await conn.execute(_EVENTS, {"ids": list(ids)})).all(), today, last))
            if not due:
                return 0
            await conn.execute(LOCK)
            bound = self._bound(_RENEWALS, now=now, renewals=orjson.dumps(due).decode())
            return (await conn.execute(_RENEWALS, bound)).rowcount

    def _bound(self, statement: sa.TextClause, **values: object) -> dict[str, object]:
        every = {**self.values, **values}
        return {name: every[name] for name in statement.compile().params}


def _near_run(entity: Entity, now: datetime) -> datetime | None:
    """The next bill run, if it comes within one working day of the entity."""
    run = next_bill_run(entity, now)
    hours = entity.working_time
    day_long_h = (
        timedelta(hours=hours.closes.hour, minutes=hours.closes.minute)
        - timedelta(hours=hours.opens.hour, minutes=hours.opens.minute)
    ) / timedelta(hours=1)
    return run if run and run <= add_working_hours(now, day_long_h, hours, entity.timezone) else None


def _due(rows: Sequence[sa.Row[Any]], today: date, last: date) -> Iterator[dict[str, object]]:
    for contract_id, group in groupby(rows, key=lambda row: int(row.contract_id)):
        contract = _folded(list(group))
        if contract is None or contract.terms is None or contract.stage is not Stage.SIGNED:
            continue
        renewal = contract.terms.renewal
        if renewal.notice_by is not None and today <= renewal.notice_by <= last:
            yield {
                "contract_id": contract_id,
                "notice_by": renewal.notice_by,
                "renews_on": renewal.renews_on,
                "automatic": renewal.automatic,
            }


def _folded(rows: Sequence[sa.Row[Any]]) -> Contract | None:
    """None for a contract with an event that this release cannot read: it has an exception of its own."""
    return fold(events) if (events := list(_understood(rows))) and len(events) == len(rows) else None


def _understood(rows: Sequence[sa.Row[Any]]) -> Iterator[Event]:
    for row in rows:
        try:
            payload = understand(row.type, row.data)
        except SchemaUnknown:
            return
        yield Event(row.source, row.id, row.type, row.occurred_at, payload)
