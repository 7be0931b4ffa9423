"""Statements on refused batches that contracts were told of (core.batch_refusal), beside the group commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.engine.outcome import Outcome

_KEEP: Final = sa.text("""
    INSERT INTO core.batch_refusal (contract_id, lane, batch, told_at)
    SELECT id, lane, batch, CAST(:now AS timestamptz)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id bigint, lane text, batch text) ORDER BY id
    ON CONFLICT (contract_id) DO UPDATE SET lane = excluded.lane, batch = excluded.batch, told_at = excluded.told_at
""")


async def store(conn: AsyncConnection, outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """What these runs told for the first time. Only of those whose lease still was ours."""
    told = [(o.claimed.contract_id, o.refused) for o in outcomes if o.refused and o.refused != o.was_refused]
    if told:
        rows = [{"id": contract, "lane": lane, "batch": batch} for contract, (lane, batch) in told]
        await conn.execute(_KEEP, {"rows": orjson.dumps(rows).decode(), "now": now})
