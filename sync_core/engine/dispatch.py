"""What the workers do for replays beside their contracts: end previews, dispatch at the chosen rate, end replays.

All of it is set-based and shared: any worker may do any of it at any time, and rows that another one is busy with are
left to that one. An item is dispatched by marking its contract; from there the contract goes its usual way, and its
run ends the item (sync_core/engine/replayed.py). Here end only those that no run will end in time.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sync_core.audit import audit
from sync_core.authority import SYSTEM
from sync_core.clock import Clock
from sync_core.moving.placement_sql import CANCELLED
from sync_core.replay import sql
from sync_core.replay.replay import DEADLINE, MOST_TRIES, ItemState
from sync_core.telemetry.measured import marking

log = logging.getLogger(__name__)

_ANY_OPEN = sa.text("SELECT EXISTS (SELECT FROM core.replay WHERE finished_at IS NULL)")
_PREVIEWED = sa.text("""
    UPDATE core.replay AS r SET state = 'previewed'
    WHERE r.state = 'previewing' AND r.finished_at IS NULL AND NOT EXISTS (
        SELECT FROM core.replay_item AS i
        WHERE i.replay_id = r.replay_id AND i.preview = 'pending' AND i.state = 'pending')
""")
# The replay's row holds the tokens of its rate, and two seconds' worth at most; whoever locks it dispatches. A
# contract in a worker's hands, or one whose ERP is shut off, waits for a later look. `was` is what the contract gets
# back if nothing is done for its item.
_DISPATCH = sa.text(f"""
    WITH earning AS MATERIALIZED (
        SELECT replay_id, least(greatest(1, per_minute / 30.0), tokens + per_minute / 60.0 * greatest(0,
                   extract(epoch FROM CAST(:now AS timestamptz) - tokens_at))) AS tokens
        FROM core.replay WHERE state = 'running' AND finished_at IS NULL ORDER BY replay_id FOR UPDATE SKIP LOCKED
    ), picked AS MATERIALIZED (
        SELECT earning.replay_id, next.*
        FROM earning CROSS JOIN LATERAL (
            SELECT c.contract_id, c.state, c.state_since, c.due_at, c.wanted_rev, c.last_error, c.last_error_class
            FROM core.replay_item AS i JOIN core.contract AS c USING (contract_id)
            WHERE i.replay_id = earning.replay_id AND i.confirmed AND i.state = 'pending' AND i.dispatched_at IS NULL
              AND c.lease_owner IS NULL AND c.replay_id IS NULL
              AND NOT EXISTS (SELECT FROM core.lane AS l WHERE l.lane = c.lane AND l.breaker <> 'closed')
            ORDER BY i.position LIMIT CAST(floor(earning.tokens) AS int)
            FOR UPDATE OF c SKIP LOCKED
        ) AS next
    ), placed AS (
        INSERT INTO core.placement AS held (contract_id, lane, leaving, replay_id, placed_at)
        SELECT p.contract_id, r.move_to, r.move_from, r.replay_id, CAST(:now AS timestamptz)
        FROM picked AS p JOIN core.replay AS r USING (replay_id) WHERE r.move_to IS NOT NULL
        ON CONFLICT (contract_id) DO UPDATE
        SET lane = excluded.lane, leaving = excluded.leaving, replay_id = excluded.replay_id,
            placed_at = excluded.placed_at, left_at = NULL,
            was = jsonb_build_object('lane', held.lane, 'leaving', held.leaving)
    ), marked AS (
        UPDATE core.contract AS c SET replay_id = p.replay_id, due_at = :now, attempt = 0,
            lane = coalesce((SELECT r.move_from FROM core.replay AS r WHERE r.replay_id = p.replay_id), c.lane),
            state = CASE WHEN c.state IN ('blocked', 'set_aside') THEN 'waiting' ELSE c.state END,
            state_since = CASE WHEN c.state IN ('blocked', 'set_aside') THEN :now ELSE c.state_since END
        FROM picked AS p WHERE c.contract_id = p.contract_id
    ), noted AS (
        UPDATE core.replay_item AS i SET dispatched_at = :now, was = jsonb_build_object('state', p.state,
            'since', p.state_since, 'due_at', p.due_at, 'rev', p.wanted_rev, 'error', p.last_error,
            'error_class', p.last_error_class)
        FROM picked AS p WHERE i.replay_id = p.replay_id AND i.contract_id = p.contract_id
    ), {marking("picked")}, counted AS (SELECT replay_id, count(*) AS n FROM picked GROUP BY replay_id)
    UPDATE core.replay AS r SET tokens = earning.tokens - coalesce(counted.n, 0), tokens_at = :now
    FROM earning LEFT JOIN counted USING (replay_id) WHERE r.replay_id = earning.replay_id
    RETURNING coalesce(counted.n, 0) AS dispatched
""")
_OVER = sa.text("""
    SELECT r.replay_id, r.state FROM core.replay AS r
    WHERE r.finished_at IS NULL AND r.state IN ('running', 'paused', 'cancelled', 'refused') AND NOT EXISTS (
        SELECT FROM core.replay_item AS i WHERE i.replay_id = r.replay_id AND i.state = 'pending')
    ORDER BY r.replay_id LIMIT 1 FOR UPDATE SKIP LOCKED
""")
_FINISH = sa.text("""
    UPDATE core.replay SET finished_at = :now, result = CAST(:result AS jsonb),
           state = CASE WHEN state IN ('cancelled', 'refused') THEN state ELSE 'finished' END, version = version + 1
    WHERE replay_id = :replay_id
""")


class Dispatcher:
    """Any number of workers have one each."""

    def __init__(self, engine: AsyncEngine, clock: Clock, nightly: Sequence[str] = ()) -> None:
        """`nightly`: the lanes of ERPs with batches; their items take as long as the ERP takes."""
        self._engine, self._clock, self._nightly = engine, clock, list(nightly)

    async def tick(self) -> int:
        """One round of all that is due; how many items were dispatched."""
        async with self._engine.begin() as conn:
            if not await conn.scalar(_ANY_OPEN):
                return 0
            now = self._clock.now()
            await conn.execute(_PREVIEWED)
        async with self._engine.begin() as conn:
            dispatched = sum(int(row.dispatched) for row in await conn.execute(_DISPATCH, {"now": now}))
        async with self._engine.begin() as conn:
            late = {"now": now, "before": now - DEADLINE, "most_tries": MOST_TRIES, "nightly": self._nightly}
            await conn.execute(sql.EXPIRE, late)
        async with self._engine.begin() as conn:
            await conn.execute(CANCELLED, {"replay_id": None})
            await conn.execute(sql.CANCEL_DISPATCHED, {"now": now, "replay_id": None})
        while await self._finish_one(now):
            pass
        return dispatched

    async def _finish_one(self, now: datetime) -> bool:
        async with self._engine.begin() as conn:
            over = (await conn.execute(_OVER)).one_or_none()
            if over is None:
                return False
            await _finish(conn, over.replay_id, over.state, now)
        log.info("replay %d is over", over.replay_id)
        return True


async def _finish(conn: AsyncConnection, replay_id: int, state: str, now: datetime) -> None:
    """The audit keeps the root over what became of every item."""
    items = [
        {"contract_id": row.contract_id, "state": row.state, "words": row.words, "digest": row.digest,
         "run_id": str(row.run_id or "")}
        for row in await conn.execute(sql.RESULTS, {"replay_id": replay_id})
    ]  # fmt: skip
    counts = Counter(str(item["state"]) for item in items)
    result = {name.value: counts[name.value] for name in ItemState if name is not ItemState.PENDING}
    kept = {"replay_id": replay_id, "now": now, "result": orjson.dumps(result).decode()}
    await conn.execute(_FINISH, kept)
    detail = {"result": result, "was": state}
    entry = audit.Entry("replay.finish", f"replay {replay_id}", detail=detail, items=items)
    await conn.run_sync(lambda sync: audit.append(sync, SYSTEM, [entry], now=now))
