"""A replay from the original payloads: what quarantine holds of its contracts is released, if understood by now."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.estate.estate import Estate
from sync_core.events import REGISTRY
from sync_core.intake import sql
from sync_core.intake.intake import registered_schemas, understood_again
from sync_core.intake.rows import as_json
from sync_core.keys import ContractId

# Whoever releases the same rows just now does our work.
_HELD = sa.text("""
    SELECT q.quarantine_id, q.source, q.event_id, q.body, q.received_by, q.correlation_id, q.occurred_at, q.recorded_at
    FROM core.contract AS c JOIN core.quarantine AS q USING (source, external_id)
    WHERE c.contract_id = ANY(:ids) AND q.released_at IS NULL AND q.dismissed_at IS NULL AND q.type = ANY(:types)
    ORDER BY q.quarantine_id FOR UPDATE OF q SKIP LOCKED
""")


async def release_of(conn: AsyncConnection, ids: Sequence[ContractId], *, estate: Estate, now: datetime) -> int:
    """How many events were released. They make their contracts due, as events do. The caller commits."""
    registered = await registered_schemas(conn)
    found = (await conn.execute(_HELD, {"ids": list(ids), "types": [*REGISTRY, *registered]})).all()
    again = understood_again(found, estate=estate, now=now, registered=registered)
    if not again.done:
        return 0
    await conn.execute(sql.STORE, {"rows": as_json(again.rows), "now": now, "releasing": True})
    await conn.execute(sql.RELEASED, {"ids": [held.quarantine_id for held in again.done], "now": now})
    return len(again.done)
