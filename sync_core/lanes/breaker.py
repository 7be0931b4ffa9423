"""The breaker of each lane, shared by all workers: an ERP that is down or refuses us is left alone, but for one probe.

`open` closes by itself with the first good probe; `paused` needs a person (credentials, an answer that lost a field)
and is probed all the same, so that mending the cause is all there is to do. Every change is kept in lane_history.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

_OPEN = sa.text("""
    WITH opened AS (
        UPDATE core.lane SET breaker = :breaker, reason = :reason, opened_at = :now, probe_at = :probe_at,
               failures = failures + 1, prober = NULL
        WHERE lane = :lane AND breaker = 'closed' RETURNING lane
    )
    INSERT INTO core.lane_history (lane, breaker, reason, occurred_at)
    SELECT lane, :breaker, :reason, :now FROM opened
""")
# One probe per lane: whoever moves probe_at forward sends it.
_TAKE_PROBE = sa.text("""
    UPDATE core.lane SET prober = :worker, failures = failures + 1,
           probe_at = CAST(:now AS timestamptz) + make_interval(secs => least(60, power(2, least(failures, 6))))
    WHERE breaker <> 'closed' AND probe_at <= :now AND lane = ANY(:lanes) RETURNING lane
""")
_CLOSE = sa.text("""
    WITH closed AS (
        UPDATE core.lane SET breaker = 'closed', reason = NULL, failures = 0, probe_at = NULL, opened_at = NULL,
               prober = NULL
        WHERE lane = :lane AND breaker <> 'closed' RETURNING lane
    )
    INSERT INTO core.lane_history (lane, breaker, reason, occurred_at) SELECT lane, 'closed', NULL, :now FROM closed
""")


async def open_breaker(
    conn: AsyncConnection, lane: str, *, reason: str, paused: bool, now: datetime, probe_at: datetime
) -> None:
    """Stop claiming from a lane. `paused`: a person must act (credentials, a changed answer); still probed."""
    breaker = "paused" if paused else "open"
    await conn.execute(_OPEN, {"lane": lane, "breaker": breaker, "reason": reason, "now": now, "probe_at": probe_at})


async def take_probes(conn: AsyncConnection, lanes: Sequence[str], *, worker: int, now: datetime) -> list[str]:
    """Lanes that this worker must probe now; no other worker gets them until the next probe is due."""
    rows = await conn.execute(_TAKE_PROBE, {"worker": worker, "now": now, "lanes": list(lanes)})
    return [row.lane for row in rows]


async def close_breaker(conn: AsyncConnection, lane: str, *, now: datetime) -> None:
    await conn.execute(_CLOSE, {"lane": lane, "now": now})
