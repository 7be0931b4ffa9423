"""Alerts of notice dates that are near: one for each number of days ahead that the estate names, each once.

What is to be renewed stands on the contracts' rows, as runs folded it. Contracts that no run of this release has looked
at yet are folded here first. An alert is a row of core.renewal_alert, an outgoing event, and an entry of the audit for
all alerts of one look.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sync_core.audit import audit
from sync_core.audit.audit import Entry
from sync_core.authority import SYSTEM
from sync_core.contract import Contract
from sync_core.delivery.announce import LOCK
from sync_core.delivery.announce_sql import CONTRACT, PAGE_OF_CONTRACT, insertion
from sync_core.estate.delivery import PREFIX
from sync_core.estate.estate import Estate
from sync_core.events import Event, SchemaUnknown, understand
from sync_core.fold import fold
from sync_core.life.life_row import life_row

_CHUNK: Final = 200
_HIGH_DAYS, _MEDIUM_DAYS = 7, 30

_UNKNOWN = sa.text("""
    SELECT contract_id FROM core.contract
    WHERE renewal IS NULL AND signed_at IS NOT NULL AND contract_id > :after ORDER BY contract_id LIMIT :most
""")
_EVENTS = sa.text("""
    SELECT c.contract_id, e.source, e.id, e.type, e.occurred_at, CAST(e.data AS text) AS data
    FROM core.contract AS c JOIN core.event AS e USING (source, external_id)
    WHERE c.contract_id = ANY(:ids) ORDER BY c.contract_id, e.seq
""")
# In the order in which intake and the group commit lock. A row that a run holds is written by that run.
_FILL = sa.text("""
    WITH mine AS (
        SELECT c.contract_id FROM core.contract AS c
        WHERE c.contract_id = ANY(:ids) AND c.renewal IS NULL ORDER BY c.source, c.external_id FOR UPDATE SKIP LOCKED
    )
    UPDATE core.contract AS c
    SET renewal = r.renewal, renews_on = r.renews_on, notice_by = r.notice_by, renewal_due = r.renewal_due,
        suspension = r.suspension
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
             contract_id bigint, renewal text, renews_on date, notice_by date, renewal_due date, suspension text)
         JOIN mine USING (contract_id)
    WHERE c.contract_id = r.contract_id
""")
# The nearest number of days that is reached. The announcer's lock makes looks wait for each other.
_ALERT = sa.text("""
    INSERT INTO core.renewal_alert (contract_id, notice_by, days_ahead, alerted_at)
    SELECT c.contract_id, c.notice_by, d.days_ahead, CAST(:now AS timestamptz)
    FROM core.contract AS c CROSS JOIN LATERAL (
        SELECT min(n) AS days_ahead FROM unnest(CAST(:days AS int[])) AS n WHERE n >= c.notice_by - CAST(:today AS date)
    ) AS d
    WHERE c.renewal_due IS NOT NULL AND c.state NOT IN ('draft', 'ended') AND c.renewal <> 'declined'
      AND c.notice_by BETWEEN :today AND :last AND c.renewal_due <= :last
    ORDER BY c.contract_id
    ON CONFLICT (contract_id, notice_by, days_ahead) DO NOTHING
    RETURNING contract_id, notice_by, days_ahead
""")
_ANNOUNCE = insertion(
    f"""
    SELECT 'renewal.due.v1' AS kind, concat_ws('|', c.contract_id, r.notice_by, r.days_ahead) AS key,
           'contract/' || c.contract_id AS subject, c.contract_id, nullif(c.legal_entity, '') AS legal_entity,
           CAST(NULL AS text) AS function,
           CASE WHEN r.days_ahead <= {_HIGH_DAYS} THEN 'high' WHEN r.days_ahead <= {_MEDIUM_DAYS} THEN 'medium'
                ELSE 'low' END AS severity,
           CAST(:now AS timestamptz) AS occurred_at, CAST(r.notice_by AS timestamptz) AS at,
           jsonb_build_object('contract', {CONTRACT}, 'links', {PAGE_OF_CONTRACT}, 'notice_by', r.notice_by,
                              'renews_on', c.renews_on, 'automatic', c.renewal = 'automatic',
                              'initiated', c.renewal = 'initiated', 'days_ahead', r.days_ahead) AS data
    FROM jsonb_to_recordset(CAST(:alerts AS jsonb)) AS r(contract_id bigint, notice_by date, days_ahead int)
    JOIN core.contract AS c USING (contract_id)
    """,
    PREFIX,
)


@dataclass(frozen=True, slots=True)
class RenewalAlerts:
    """`values`: of the announcer, for links and the reporting currency."""

    engine: AsyncEngine
    estate: Estate
    values: dict[str, object]

    async def look(self, now: datetime) -> int:
        """How many alerts were raised; days are those of the group's zone."""
        await self._complete(now)
        days = self.estate.renewal.alerts(self.estate.delivery)
        if not days:
            return 0
        today = now.astimezone(ZoneInfo(self.estate.group.timezone)).date()
        bound = {"days": list(days), "today": today, "last": today + timedelta(days=max(days)), "now": now}
        async with self.engine.begin() as conn:
            await conn.execute(LOCK)
            raised = [dict(row._mapping) for row in await conn.execute(_ALERT, bound)]
            if raised:
                await self._tell(conn, raised, now)
            return len(raised)

    async def _tell(self, conn: AsyncConnection, raised: Sequence[dict[str, Any]], now: datetime) -> None:
        every = {**self.values, "now": now, "alerts": orjson.dumps(raised).decode()}
        await conn.execute(_ANNOUNCE, {name: every[name] for name in _ANNOUNCE.compile().params})
        ahead = {str(n): sum(row["days_ahead"] == n for row in raised) for n in {row["days_ahead"] for row in raised}}
        items = [[row["contract_id"], row["notice_by"].isoformat(), row["days_ahead"]] for row in raised]
        entry = Entry("renewal.alert", f"{len(raised)} renewals", detail={"by_days_ahead": ahead}, items=items)
        await conn.run_sync(lambda sync: audit.append(sync, SYSTEM, [entry], now=now))

    async def _complete(self, now: datetime) -> None:
        """Contracts of which no run has said yet what is to be renewed: those of before this was known."""
        after = 0
        while True:
            async with self.engine.begin() as conn:
                ids = list((await conn.execute(_UNKNOWN, {"after": after, "most": _CHUNK})).scalars())
                if not ids:
                    return
                after = ids[-1]
                rows = list(_rows((await conn.execute(_EVENTS, {"ids": ids})).all(), self.estate, now))
                await conn.execute(_FILL, {"ids": ids, "rows": orjson.dumps(rows).decode()})
            await asyncio.sleep(0)  # folding takes the loop from the contracts that are provisioned


def _rows(rows: Sequence[sa.Row[Any]], estate: Estate, now: datetime) -> Iterator[dict[str, object]]:
    for contract_id, group in groupby(rows, key=lambda row: int(row.contract_id)):
        contract = _folded(list(group), estate)
        if contract is not None:
            yield {"contract_id": contract_id, **asdict(life_row(contract, _day(contract, estate, now)))}


def _folded(rows: Sequence[sa.Row[Any]], estate: Estate) -> Contract | None:
    """None for a contract with an event that this release cannot read: it has an exception of its own."""
    events = list(_understood(rows))
    return fold(events, day_at=estate.day_at) if events and len(events) == len(rows) else None


def _understood(rows: Sequence[sa.Row[Any]]) -> Iterator[Event]:
    for row in rows:
        try:
            payload = understand(row.type, row.data)
        except SchemaUnknown:
            return
        yield Event(row.source, row.id, row.type, row.occurred_at, payload)


def _day(contract: Contract, estate: Estate, now: datetime) -> date:
    entity = estate.entities.get(contract.terms.legal_entity if contract.terms else "")
    return now.astimezone(ZoneInfo(entity.timezone if entity else estate.group.timezone)).date()
