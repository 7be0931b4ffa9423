"""What becomes true by time alone: a passed SLA, a notice date that is near, an amendment that a bill run will miss.

Each is announced once for its subject and its date, however often it is looked for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.delivery.announce import LOCK
from sync_core.delivery.announce_sql import (
    CONTRACT,
    EXCEPTION,
    PAGE_OF_CONTRACT,
    PAGE_OF_EXCEPTION,
    SEVERITY,
    insertion,
)
from sync_core.estate.bill_runs import next_bill_run
from sync_core.estate.calendar import add_working_hours
from sync_core.estate.delivery import PREFIX
from sync_core.estate.estate import Entity, Estate
from sync_core.events import PREFIX as CONTRACT_EVENTS

OVERDUE: Final = "delivery:overdue"  # watermark: up to which moment passed SLAs were looked for

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
