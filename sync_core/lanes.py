"""Lanes: the limits of each ERP over all workers. Slots say how many calls may be in flight at once.

Every ERP call holds a slot. Slots are rows that workers lease for seconds and share by demand: a worker alone
takes all, two busy ones take half each. A slot of a worker that died can be used again only `settle_s` after
its lease ended, because its last request may still be running in the ERP.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.estate import Erp
from sync_core.keys import Lane

SLOT_LEASE_S = 6.0


class LaneGate:
    """One worker's share of one ERP's slots: an in-process semaphore whose size follows the leases."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.size = 0
        self.in_use = 0
        self.waiting = 0
        self.contracts = 0  # in hand: each will want a slot again and again until it is done
        self.stated = 0  # the demand that the present share was made for
        self._valid_until = 0.0  # time.monotonic()
        self._changed = asyncio.Condition()

    @property
    def demand(self) -> int:
        """Slots wanted. Contracts count, not their calls of the moment: else a busy worker, whose contracts wait for
        its processor or the database just then, would give away the slots that it needs next.
        """
        return max(self.in_use + self.waiting, self.contracts)

    @property
    def outgrown(self) -> bool:
        """Far more is wanted than when slots were shared: do not wait for the next time."""
        return self.demand * 2 > self.stated * 3

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot whose lease still runs, and hold it."""
        if self._free() and not self.waiting:
            self.in_use += 1
        else:
            await self._wait()
        try:
            yield
        finally:
            self.in_use -= 1
            if self.waiting:
                async with self._changed:
                    self._changed.notify()

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            async with self._changed:
                await self._changed.wait_for(self._free)
                self.in_use += 1
        finally:
            self.waiting -= 1

    def _free(self) -> bool:
        return self.in_use < self.size and time.monotonic() < self._valid_until

    async def resize(self, size: int, *, valid_until: float) -> None:
        self.size, self._valid_until = size, valid_until
        async with self._changed:
            self._changed.notify_all()


_SETTLE_LANE = sa.text("""
    INSERT INTO core.lane AS l (lane, max_in_flight, requests_per_s, settle_s)
    VALUES (:lane, :max_in_flight, :requests_per_s, :settle_s)
    ON CONFLICT (lane) DO UPDATE SET max_in_flight = excluded.max_in_flight,
        requests_per_s = excluded.requests_per_s, settle_s = excluded.settle_s
""")
_ADD_SLOTS = sa.text("""
    INSERT INTO core.lane_slot (lane, slot) SELECT :lane, generate_series(1, :max_in_flight) ON CONFLICT DO NOTHING
""")
_DROP_SLOTS = sa.text("DELETE FROM core.lane_slot WHERE lane = :lane AND slot > :max_in_flight")


async def declare(conn: AsyncConnection, erps: Iterable[tuple[Erp, float]]) -> None:
    """Make or adjust the rows of each (ERP, its settle_s). The caller commits."""
    for erp, settle_s in erps:
        limits = {"lane": erp.name, "max_in_flight": erp.max_in_flight}
        await conn.execute(_SETTLE_LANE, {**limits, "requests_per_s": erp.requests_per_s, "settle_s": settle_s})
        await conn.execute(_ADD_SLOTS, limits)
        await conn.execute(_DROP_SLOTS, limits)


# Demand is stated first, so that every worker computes the same fair share from the same rows. A slot is free
# when nobody holds it, or when its holder's lease ended settle_s ago.
_SHARE = sa.text("""
    WITH mine AS (
        SELECT lane, wanted FROM jsonb_to_recordset(CAST(:demand AS jsonb)) AS w(lane text, wanted int)
    ), stated AS (
        INSERT INTO core.lane_demand (lane, worker_id, wanted, lease_until)
        SELECT lane, :worker, wanted, now() + make_interval(secs => :lease_s) FROM mine
        ON CONFLICT (lane, worker_id) DO UPDATE SET wanted = excluded.wanted, lease_until = excluded.lease_until
    ), others AS (
        SELECT mine.lane, coalesce(array_agg(d.wanted) FILTER (WHERE d.wanted > 0), '{}') AS wants
        FROM mine LEFT JOIN core.lane_demand AS d
          ON d.lane = mine.lane AND d.worker_id <> :worker AND d.lease_until > now()
        GROUP BY mine.lane
    )
    SELECT l.lane, l.max_in_flight, l.settle_s, others.wants, l.breaker
    FROM others JOIN core.lane AS l USING (lane)
""")
_LEASE = sa.text("""
    WITH target AS (
        SELECT lane, size FROM jsonb_to_recordset(CAST(:targets AS jsonb)) AS t(lane text, size int)
    ), mine AS (
        SELECT s.lane, s.slot, row_number() OVER (PARTITION BY s.lane ORDER BY s.slot) AS place
        FROM core.lane_slot AS s JOIN target USING (lane) WHERE s.worker_id = :worker
    ), kept AS (
        UPDATE core.lane_slot AS s
        SET lease_until = CASE WHEN mine.place <= target.size THEN now() + make_interval(secs => :lease_s) END,
            worker_id = CASE WHEN mine.place <= target.size THEN s.worker_id END
        FROM mine JOIN target USING (lane) WHERE s.lane = mine.lane AND s.slot = mine.slot
        RETURNING s.lane, s.worker_id
    ), free AS (
        SELECT pick.lane, pick.slot FROM target JOIN core.lane AS l USING (lane) CROSS JOIN LATERAL (
            SELECT s.lane, s.slot FROM core.lane_slot AS s
            WHERE s.lane = target.lane
              AND (s.worker_id IS NULL
                   OR (s.worker_id <> :worker AND s.lease_until + make_interval(secs => l.settle_s) < now()))
            ORDER BY s.slot
            LIMIT greatest(target.size - (SELECT count(*) FROM mine WHERE mine.lane = target.lane), 0)
            FOR UPDATE SKIP LOCKED
        ) AS pick
    ), taken AS (
        UPDATE core.lane_slot AS s SET worker_id = :worker, lease_until = now() + make_interval(secs => :lease_s)
        FROM free WHERE s.lane = free.lane AND s.slot = free.slot RETURNING s.lane
    )
    SELECT lane, count(*) AS held FROM (
        SELECT lane FROM kept WHERE worker_id IS NOT NULL UNION ALL SELECT lane FROM taken
    ) AS held GROUP BY lane
""")
_GIVE_BACK = sa.text("""
    WITH slots AS (UPDATE core.lane_slot SET worker_id = NULL, lease_until = NULL WHERE worker_id = :worker)
    DELETE FROM core.lane_demand WHERE worker_id = :worker
""")


def fair_share(most: int, mine: int, others: Sequence[int]) -> int:
    """How many of `most` slots a worker wanting `mine` may hold beside others that want `others`.

    All want less than there is: everyone gets what it wants and one more, so that a burst need not wait.
    Otherwise the smallest wishes are met first and the rest is split evenly, at least one each.
    """
    if mine + sum(others) <= most:
        return min(most - sum(others), mine + 1)
    left, wishes = most, sorted(others)
    while wishes and wishes[0] <= left // (len(wishes) + 1):
        left -= wishes.pop(0)
    return max(1, min(mine, math.ceil(left / (len(wishes) + 1))))


@dataclass(frozen=True, slots=True)
class LaneView:
    lane: str
    breaker: str


async def share_slots(
    conn: AsyncConnection, gates: Sequence[LaneGate], *, worker: int, spare: int = 0
) -> list[LaneView]:
    """State this worker's demand, lease its fair share of each lane's slots, and size the gates. Caller commits.

    `spare` is what a worker asks for while it has nothing to do, so that its first call need not wait.
    Slots in use are never given up: a gate shrinks only to what is in use.
    """
    by_lane = {gate.lane: gate for gate in gates}
    for gate in gates:
        gate.stated = max(gate.demand, spare)
    wanted = [{"lane": gate.lane, "wanted": gate.stated} for gate in gates]
    limits = {"worker": worker, "lease_s": SLOT_LEASE_S}
    rows = list(await conn.execute(_SHARE, {**limits, "demand": orjson.dumps(wanted).decode()}))
    targets = []
    for row in rows:
        gate = by_lane[Lane(row.lane)]
        share = fair_share(row.max_in_flight, gate.stated, row.wants)
        targets.append({"lane": row.lane, "size": max(share, gate.in_use)})
    started = time.monotonic()
    held = {
        row.lane: row.held for row in await conn.execute(_LEASE, {**limits, "targets": orjson.dumps(targets).decode()})
    }
    for gate in gates:
        await gate.resize(held.get(gate.lane, 0), valid_until=started + SLOT_LEASE_S)
    return [LaneView(row.lane, row.breaker) for row in rows]


async def give_back(conn: AsyncConnection, *, worker: int) -> None:
    """On a clean stop, when no call is in flight any more. The caller commits."""
    await conn.execute(_GIVE_BACK, {"worker": worker})


def unlimited(lane: str, size: int = 1_000) -> LaneGate:
    """A gate for a tool that runs alone, such as a connector check: no rows, no sharing."""
    gate = LaneGate(Lane(lane))
    gate.size, gate._valid_until = size, math.inf
    return gate


# ---- breaker -------------------------------------------------------------------------------------------------

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
_BREAKERS = sa.text("SELECT lane, breaker, probe_at FROM core.lane")


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


async def breakers(conn: AsyncConnection) -> dict[str, tuple[str, datetime | None]]:
    """Breaker state and next probe of every lane."""
    return {row.lane: (row.breaker, row.probe_at) for row in await conn.execute(_BREAKERS)}
