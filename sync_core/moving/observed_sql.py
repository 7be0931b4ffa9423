"""Statements on contracts of ERPs that are only observed (core.observed), beside the group commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.engine.outcome import Outcome
from sync_core.replay.replay import Effect

_KEEP: Final = sa.text("""
    INSERT INTO core.observed (contract_id, lane, words, plan, findings, observed_at)
    SELECT id, lane, words, plan, findings, CAST(:now AS timestamptz)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id bigint, lane text, words text, plan jsonb, findings jsonb)
    ORDER BY id
    ON CONFLICT (contract_id) DO UPDATE SET lane = excluded.lane, words = excluded.words, plan = excluded.plan,
        findings = excluded.findings, observed_at = excluded.observed_at
""")
_FORGET: Final = sa.text("DELETE FROM core.observed WHERE contract_id = ANY(:ids)")
# One that was decided anew meanwhile is still to be carried out.
_TAKEN: Final = sa.text("""
    UPDATE core.adoption AS a SET taken_at = :now
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id bigint, decided_at timestamptz)
    WHERE a.contract_id = r.id AND a.decided_at = r.decided_at AND a.taken_at IS NULL
""")
# When a worker starts under an estate that lets these ERPs be written to: what was only observed is due.
_RESUME: Final = sa.text("""
    WITH held AS (
        SELECT c.contract_id FROM core.observed AS o JOIN core.contract AS c USING (contract_id)
        WHERE o.lane = ANY(:lanes) AND (c.due_at IS NULL OR c.due_at > :now)
        ORDER BY c.source, c.external_id FOR UPDATE OF c SKIP LOCKED
    )
    UPDATE core.contract AS c SET due_at = :now FROM held WHERE c.contract_id = held.contract_id
""")


async def store(conn: AsyncConnection, outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """What these runs only observed, and of which contracts that is past. Only of those whose lease still was ours."""
    kept = [
        {
            "id": o.claimed.contract_id,
            "lane": o.observed.lane,
            "words": o.observed.words,
            "plan": [Effect.of(operation).stored for operation in o.observed.operations],
            "findings": [finding.message for finding in o.observed.findings],
        }
        for o in outcomes
        if o.observed is not None
    ]
    past = [o.claimed.contract_id for o in outcomes if o.was_observed and o.observed is None and o.state is not None]
    if kept:
        await conn.execute(_KEEP, {"rows": orjson.dumps(kept).decode(), "now": now})
    if past:
        await conn.execute(_FORGET, {"ids": past})
    if taken := [{"id": o.claimed.contract_id, "decided_at": o.taken} for o in outcomes if o.taken]:
        await conn.execute(_TAKEN, {"rows": orjson.dumps(taken).decode(), "now": now})


async def resume(conn: AsyncConnection, lanes: Sequence[str], *, now: datetime) -> int:
    """How many contracts are due now because their ERP may be written to. The caller commits."""
    return (await conn.execute(_RESUME, {"lanes": list(lanes), "now": now})).rowcount
