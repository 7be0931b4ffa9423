"""What the ERPs say of invoices, payments, disputes and revenue: pages of financial status, each fact kept once.

The cursor of an ERP is the watermark `erp:<lane>`, committed together with the facts behind it, so a crash repeats a
page and never skips one. What differs from the newest fact of an object is a new fact: a changed status or amount,
and a status that comes back. Every call holds one of the lane's slots.

What an ERP reports at all is kept beside its facts, so that revenue which nobody reports is not taken for zero.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sync_core.clock import Clock
from sync_core.errors import ErpAnswerIncomplete
from sync_core.locks import Lock
from sync_core.ports import CallContext, ErpConnector, FinancialFact, FinancialKind, FinancialPage
from sync_core.telemetry.latencies import LATENCIES
from sync_core.watch import drift_rows
from sync_core.writeback import told

_READ = sa.text("SELECT value FROM core.watermark WHERE name = :name")
# One page of an ERP at a time, before the cursor is read again: a slower collector would store old statuses as news.
_ALONE = sa.text(f"SELECT pg_advisory_xact_lock({Lock.FINANCIAL_STATUS}, hashtext(:name))")
_MOVE = sa.text("""
    INSERT INTO core.watermark (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
""")
# A project that Tieline did not make, or of another firm's contracts, has no contract here: its facts are kept too.
_STORE = sa.text("""
    WITH f AS (
        SELECT f.*, lag(row(f.status, f.amount)) OVER (PARTITION BY f.kind, f.ref ORDER BY f.place) AS before
        FROM ROWS FROM (jsonb_to_recordset(CAST(:facts AS jsonb)) AS (
                 kind text, ref text, project text, invoice text, amount numeric, currency text, status text,
                 occurred_on date, line text, reverses text)) WITH ORDINALITY AS f(
                 kind, ref, project, invoice, amount, currency, status, occurred_on, line, reverses, place)
    )
    INSERT INTO core.financial_fact (system, kind, ref, project_key, contract_id, invoice_ref, amount, currency, status,
                                     occurred_on, line_key, reverses_ref, recorded_at)
    SELECT :system, f.kind, f.ref, f.project, x.contract_id, f.invoice, f.amount, f.currency, f.status, f.occurred_on,
           f.line, f.reverses, :now
    FROM f
         LEFT JOIN core.crosswalk AS x ON x.system = :system AND x.kind = 'project' AND x.business_key = f.project
         LEFT JOIN LATERAL (
             SELECT row(n.status, n.amount) AS held FROM core.financial_fact AS n
             WHERE n.system = :system AND n.kind = f.kind AND n.ref = f.ref ORDER BY n.seq DESC LIMIT 1
         ) AS newest ON f.before IS NULL
    WHERE row(f.status, f.amount) IS DISTINCT FROM coalesce(f.before, newest.held)
    ORDER BY f.place
    RETURNING contract_id, kind
""")


_SAID = sa.text("""
    SELECT EXISTS (SELECT FROM core.financial_source WHERE system = :system AND reports = CAST(:reports AS text[]))
""")
# Measures look again at every contract with this ERP once it has said whether it reports revenue, and says otherwise.
_SAY = sa.text("""
    WITH before AS (SELECT reports FROM core.financial_source WHERE system = :system),
    said AS (
        INSERT INTO core.financial_source (system, reports, said_at) VALUES (:system, CAST(:reports AS text[]), :now)
        ON CONFLICT (system) DO UPDATE SET reports = excluded.reports, said_at = excluded.said_at
    )
    INSERT INTO metrics.mark (contract_id)
    SELECT c.contract_id FROM core.contract AS c
    WHERE (c.lane = :system
           OR EXISTS (SELECT FROM core.financial_fact AS f WHERE f.contract_id = c.contract_id AND f.system = :system)
           OR EXISTS (SELECT FROM core.crosswalk AS x JOIN core.financial_fact AS f
                           ON f.system = x.system AND f.project_key = x.business_key
                      WHERE x.contract_id = c.contract_id AND x.system = :system AND x.kind = 'project'))
      AND ('revenue' = ANY(CAST(:reports AS text[]))) IS DISTINCT FROM (SELECT 'revenue' = ANY(reports) FROM before)
""")


@dataclass(frozen=True, slots=True)
class _Stored:
    new: int
    moved: bool  # False: another collector is ahead of this one


async def collect(
    engine: AsyncEngine, connector: ErpConnector, *, clock: Clock, call_timeout_s: float = 60.0, most_pages: int = 1000
) -> int:
    """Read on from the cursor to the end; how many facts were new. Commits per page. Raises the connector's errors."""
    new = 0
    seen = await _cursor(engine, connector.name)
    for read in range(most_pages):
        ctx = CallContext(f"financial-status:{connector.name}", time.monotonic() + call_timeout_s)
        try:
            page = await connector.financial_status(seen, ctx)
        finally:
            LATENCIES.calls(ctx.calls)
        if page.more and page.cursor == seen:
            raise ErpAnswerIncomplete(connector.name, f"says there is more but stays at {seen!r}; its paging is broken")
        if not read:
            await _say(engine, connector, now=clock.now())  # a connector may know by its first answer alone
        stored = await _store(engine, connector.name, page, seen=seen, now=clock.now())
        new += stored.new
        if not (page.more and stored.moved):
            break
        seen = page.cursor
    return new


async def _cursor(engine: AsyncEngine, system: str) -> str | None:
    async with engine.connect() as conn:
        seen: str | None = await conn.scalar(_READ, {"name": f"erp:{system}"})
    return seen


async def _say(engine: AsyncEngine, connector: ErpConnector, *, now: datetime) -> None:
    """On record before its facts: what the ERP reports."""
    reports = sorted(kind.value for kind in connector.capabilities.reports)
    said = {"system": connector.name, "reports": reports}
    async with engine.connect() as conn:
        known = await conn.scalar(_SAID, said)
    if not known:
        async with engine.begin() as conn:
            await conn.execute(_SAY, {**said, "now": now})


async def _store(engine: AsyncEngine, system: str, page: FinancialPage, *, seen: str | None, now: datetime) -> _Stored:
    name = f"erp:{system}"
    async with engine.begin() as conn:
        await conn.execute(_ALONE, {"name": name})
        if await conn.scalar(_READ, {"name": name}) != seen:
            return _Stored(0, moved=False)
        new = await _insert(conn, system, page.facts, now=now)
        if page.cursor != seen:
            await conn.execute(_MOVE, {"name": name, "value": page.cursor, "now": now})
        return _Stored(new, moved=True)


async def _insert(conn: AsyncConnection, system: str, facts: Sequence[FinancialFact], *, now: datetime) -> int:
    if not facts:
        return 0
    rows = orjson.dumps([_row(fact) for fact in facts]).decode()
    new = (await conn.execute(_STORE, {"system": system, "facts": rows, "now": now})).all()
    known = [fact for fact in new if fact.contract_id is not None]
    await told.due(conn, [fact.contract_id for fact in known], now=now)
    invoiced = [fact.contract_id for fact in known if fact.kind == FinancialKind.INVOICE]
    await drift_rows.ask(conn, system, invoiced, now=now)
    return len(new)


def _row(fact: FinancialFact) -> dict[str, str | None]:
    return {
        "kind": fact.kind.value,
        "ref": fact.ref,
        "project": fact.project,
        "invoice": fact.invoice,
        "amount": str(fact.amount),  # text, so that no float touches it
        "currency": fact.currency,
        "status": fact.status,
        "occurred_on": fact.occurred_on.isoformat(),
        "line": fact.line,
        "reverses": fact.reverses,
    }
