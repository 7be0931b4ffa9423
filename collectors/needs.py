"""Do the ERPs' answers hold what their connectors need? One that does not has its lane paused before anything is sent.

The lane's probe asks the same, so it goes on by itself once the ERP or the estate file was put right.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sync_core.clock import Clock
from sync_core.errors import ErpAnswerIncomplete, ErpError
from sync_core.lanes import breaker
from sync_core.lanes.answers_needed import DeclaresNeeds
from sync_core.ports import CallContext, ErpConnector
from sync_core.telemetry.latencies import LATENCIES

log = logging.getLogger(__name__)

_PROBE_AFTER: Final = timedelta(seconds=1)

_NOTE = sa.text("""
    INSERT INTO core.connector_check (lane, api, needs, checked_at, problem, does_without)
    VALUES (:lane, :api, CAST(:needs AS jsonb), :now, :problem, :without)
    ON CONFLICT (lane) DO UPDATE SET api = excluded.api, needs = excluded.needs, checked_at = excluded.checked_at,
        problem = excluded.problem, does_without = excluded.does_without
""")


async def collect(
    engine: AsyncEngine, erps: Mapping[str, ErpConnector], *, clock: Clock, call_timeout_s: float = 60.0
) -> tuple[str, ...]:
    """The lanes whose ERP lacks something; those that do not answer say nothing of it. Commits."""
    lacking = []
    for lane, erp in erps.items():
        if not isinstance(erp, DeclaresNeeds):
            continue
        try:
            problem, without = await _found(lane, erp, call_timeout_s)
        except ErpError as down:
            log.info("what %s answers could not be looked at: %s", lane, down)
            continue
        lacking += [lane] if problem else []
        async with engine.begin() as conn:
            await _note(conn, lane, erp, problem, without, clock.now())
    return tuple(lacking)


async def _found(lane: str, erp: DeclaresNeeds, call_timeout_s: float) -> tuple[str | None, str | None]:
    """What it lacks, and what it does without."""
    ctx = CallContext(f"check:{lane}", time.monotonic() + call_timeout_s)
    try:
        return None, await erp.check(ctx)
    except ErpAnswerIncomplete as wrong:
        return wrong.words, None
    finally:
        LATENCIES.calls(ctx.calls)


async def _note(
    conn: AsyncConnection, lane: str, erp: DeclaresNeeds, problem: str | None, without: str | None, now: datetime
) -> None:
    needs = orjson.dumps(erp.needs.listed()).decode()
    bound = {"lane": lane, "api": " or ".join(erp.needs.api), "needs": needs, "now": now, "problem": problem,
             "without": without}  # fmt: skip
    await conn.execute(_NOTE, bound)
    if problem is not None:
        reason = f"{lane}: {problem}"
        await breaker.open_breaker(conn, lane, reason=reason, paused=True, now=now, probe_at=now + _PROBE_AFTER)
