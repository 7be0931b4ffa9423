"""What runs before this one carried out of contracts that were signed anew, so that old invoices are told from new."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.events import Event
from sync_core.keys import ContractId
from sync_core.life.reused import may_be

# How many events each run knew that found or made all as wanted. `rev` also rises without an event, so those that came
# after the run are not among them; by its end, as clocks of several hosts differ.
CARRIED_OUT = sa.text("""
    SELECT r.contract_id, array_agg(DISTINCT least(r.rev, (
        SELECT count(*) FROM core.event AS e
        WHERE e.source = c.source AND e.external_id = c.external_id AND e.recorded_at <= r.finished_at))) AS known
    FROM core.run AS r JOIN core.contract AS c USING (contract_id)
    WHERE r.contract_id = ANY(:ids) AND (r.outcome = 'converged' AND r.state IN ('active', 'suspended') OR EXISTS (
        SELECT FROM core.operation AS o WHERE o.run_id = r.run_id AND o.action = 'activate' AND o.status = 'done'))
    GROUP BY r.contract_id
""")


async def carried_out(
    conn: AsyncConnection, events: Mapping[ContractId, Sequence[Event]]
) -> dict[ContractId, tuple[int, ...]]:
    """In one statement; in none where every contract was signed once, or never ended."""
    again = [number for number, its in events.items() if may_be(its)]
    if not again:
        return {}
    rows = await conn.execute(CARRIED_OUT, {"ids": again})
    return {ContractId(row.contract_id): tuple(row.known) for row in rows}
