"""Lanes: the limits of each ERP over all workers. Slots say how many calls may be in flight at once.

Every ERP call holds a slot. Slots are rows that workers lease for seconds and share by demand: a worker alone
takes all, two busy ones take half each, and more busy ones than slots take turns. A slot of a worker that died can
be used again only `settle_s` after its lease ended, because its last request may still be running in the ERP.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.estate.estate import Erp
from sync_core.keys import Lane

SLOT_LEASE_S = 6.0
TURN_S = 2.0  # of the database's clock, when there are fewer slots than workers that want one


class LaneGate:
    """One worker's share of one ERP's slots: an in-process semaphore whose size follows the leases."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.size = 0
        self.in_use = 0
        self.waiting = 0
        self.contracts = 0  # in hand: each will want a slot again and again until it is done
        self.previews = 0  # in hand, likewise
        self.stated = 0  # the demand that the present share was made for
        self.tokens: float | None = None  # requests that may be sent; None: the ERP has no rate limit
        self._valid_until = 0.0  # time.monotonic()
        self._changed = asyncio.Condition()

    @property
    def demand(self) -> int:
        """Slots wanted. Contracts count, not their calls of the moment: else a busy worker, whose contracts wait for
        its processor or the database just then, would give away the slots that it needs next.
        """
        return max(self.in_use + self.waiting, self.contracts + self.previews)

    @property
    def outgrown(self) -> bool:
        """Far more is wanted than when slots were shared, or some for the first time: do not wait for the next."""
        return self.demand * 2 > self.stated * 3 or (self.demand > 0 and self.size == 0)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot whose lease still runs, and hold it."""
        if self._free() and not self.waiting:
            self._take()
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
                self._take()
        finally:
            self.waiting -= 1

    def _free(self) -> bool:
        allowed = self.tokens is None or self.tokens >= 1
        return allowed and self.in_use < self.size and time.monotonic() < self._valid_until

    def _take(self) -> None:
        self.in_use += 1
        if self.tokens is not None:
            self.tokens -= 1

    async def resize(self, size: int, *, valid_until: float, tokens: float | None = None) -> None:
        """`tokens` are added to those that are left; None when the lane has no rate limit."""
        self.size, self._valid_until = size, valid_until
        self.tokens = None if tokens is None else (self.tokens or 0.0) + tokens
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


# A lane that left the estate is claimed by nobody: its contracts are routed anew when they are due. Locked in the
# order in which intake and the group commit lock.
_REROUTE = sa.text("""
    WITH stranded AS (
        SELECT contract_id FROM core.contract
        WHERE due_at IS NOT NULL AND lease_owner IS NULL AND lane <> '' AND lane <> ALL(:lanes)
        ORDER BY source, external_id FOR UPDATE
    )
    UPDATE core.contract AS c SET lane = '' FROM stranded WHERE c.contract_id = stranded.contract_id
""")


async def declare(conn: AsyncConnection, erps: Iterable[tuple[Erp, float]]) -> None:
    """Make or adjust the rows of each (ERP, its settle_s). The caller commits."""
    known = sorted(erps, key=lambda pair: pair[0].name)
    await conn.execute(_REROUTE, {"lanes": [erp.name for erp, _ in known]})
    for erp, settle_s in known:
        limits = {"lane": erp.name, "max_in_flight": erp.max_in_flight}
        await conn.execute(_SETTLE_LANE, {**limits, "requests_per_s": erp.requests_per_s, "settle_s": settle_s})
        await conn.execute(_ADD_SLOTS, limits)
        await conn.execute(_DROP_SLOTS, limits)


# Demand is stated first, so that every worker computes the same fair share from the same rows, and whose turn it is
# from the same clock. A slot is free when nobody holds it, or when its holder's lease ended settle_s ago.
_SHARE = sa.text("""
    WITH mine AS (
        SELECT lane, wanted FROM jsonb_to_recordset(CAST(:demand AS jsonb)) AS w(lane text, wanted int)
    ), stated AS (
        INSERT INTO core.lane_demand (lane, worker_id, wanted, lease_until)
        SELECT lane, :worker, wanted, now() + make_interval(secs => :lease_s) FROM mine
        ON CONFLICT (lane, worker_id) DO UPDATE SET wanted = excluded.wanted, lease_until = excluded.lease_until
    ), others AS (
        SELECT mine.lane, coalesce(array_agg(d.wanted) FILTER (WHERE d.wanted > 0), '{}') AS wants,
               coalesce(array_agg(d.worker_id) FILTER (WHERE d.wanted > 0), '{}') AS busy,
               count(*) FILTER (WHERE d.wanted = 0) AS idle
        FROM mine LEFT JOIN core.lane_demand AS d
          ON d.lane = mine.lane AND d.worker_id <> :worker AND d.lease_until > now()
        GROUP BY mine.lane
    )
    SELECT l.lane, l.max_in_flight, l.settle_s, others.wants, others.busy, others.idle, l.breaker, l.requests_per_s,
           CAST(floor(extract(epoch FROM now()) / CAST(:turn_s AS numeric)) AS bigint) AS turn
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
# A lane earns requests_per_s tokens a second, and keeps two seconds' worth at most. Each worker takes what fills it
# up to one second's worth: few statements, and no ERP sees more than its limit over any few seconds.
_TOKENS = sa.text("""
    WITH mine AS (
        SELECT lane, has FROM jsonb_to_recordset(CAST(:mine AS jsonb)) AS m(lane text, has double precision)
    ), earned AS (
        SELECT l.lane, least(2 * l.requests_per_s, l.tokens + l.requests_per_s * extract(epoch FROM
                   now() - coalesce(l.tokens_at, now() - interval '1 s'))) AS there,
               greatest(l.requests_per_s - mine.has, 0) AS asked
        FROM core.lane AS l JOIN mine USING (lane) ORDER BY l.lane FOR NO KEY UPDATE OF l
    )
    UPDATE core.lane AS l SET tokens = earned.there - least(earned.there, earned.asked), tokens_at = now()
    FROM earned WHERE earned.lane = l.lane RETURNING l.lane, least(earned.there, earned.asked) AS taken
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


def spare_share(most: int, spare: int, others: Sequence[int], *, idle: int) -> int:
    """What a worker without work may hold in advance: of what busy ones leave, as much as each other idle one."""
    return max(0, min(spare, (most - sum(others)) // (idle + 1)))


def has_turn(most: int, worker: int, others: Sequence[int], turn: int) -> bool:
    """Whether a busy worker gets one of too few slots now; over the turns all get them equally often."""
    all_busy = sorted([worker, *others])
    return (all_busy.index(worker) - turn * most) % len(all_busy) < most


@dataclass(frozen=True, slots=True)
class LaneView:
    lane: str
    breaker: str


async def share_slots(
    conn: AsyncConnection, gates: Sequence[LaneGate], *, worker: int, spare: int = 0
) -> list[LaneView]:
    """State this worker's demand, lease its fair share of each lane's slots, and size the gates. Caller commits.

    `spare` is what a worker asks for while it has nothing to do, so that its first call need not wait. It yields to
    work. Slots in use are never given up, but a gate above its share lets no new call in: it would never shrink.
    """
    by_lane = {gate.lane: gate for gate in gates}
    for gate in gates:
        gate.stated = max(gate.demand, spare)
    wanted = [{"lane": gate.lane, "wanted": gate.stated if gate.demand else 0} for gate in gates]
    limits = {"worker": worker, "lease_s": SLOT_LEASE_S}
    rows = list(await conn.execute(_SHARE, {**limits, "demand": orjson.dumps(wanted).decode(), "turn_s": TURN_S}))
    busy = {row["lane"] for row in wanted if row["wanted"]}
    shares = {row.lane: _share(row, by_lane[Lane(row.lane)].stated, worker, row.lane in busy) for row in rows}
    targets = [{"lane": lane, "size": max(share, by_lane[Lane(lane)].in_use)} for lane, share in shares.items()]
    started = time.monotonic()
    held = {
        row.lane: row.held for row in await conn.execute(_LEASE, {**limits, "targets": orjson.dumps(targets).decode()})
    }
    limited = [row.lane for row in rows if row.requests_per_s is not None]
    tokens = await _reserve_tokens(conn, [by_lane[Lane(lane)] for lane in limited]) if limited else {}
    for gate in gates:
        valid_until = started + SLOT_LEASE_S
        size = min(held.get(gate.lane, 0), shares.get(gate.lane, 0))
        await gate.resize(size, valid_until=valid_until, tokens=tokens.get(gate.lane))
    return [LaneView(row.lane, row.breaker) for row in rows]


def _share(row: sa.Row[Any], stated: int, worker: int, busy: bool) -> int:
    if not busy:
        return spare_share(row.max_in_flight, stated, row.wants, idle=row.idle)
    if len(row.busy) >= row.max_in_flight:
        return int(has_turn(row.max_in_flight, worker, row.busy, row.turn))
    return fair_share(row.max_in_flight, stated, row.wants)


async def _reserve_tokens(conn: AsyncConnection, gates: Sequence[LaneGate]) -> dict[str, float]:
    mine = [{"lane": gate.lane, "has": gate.tokens or 0.0} for gate in gates]
    rows = await conn.execute(_TOKENS, {"mine": orjson.dumps(mine).decode()})
    return {row.lane: row.taken for row in rows}


async def give_back(conn: AsyncConnection, *, worker: int) -> None:
    """On a clean stop, when no call is in flight any more. The caller commits."""
    await conn.execute(_GIVE_BACK, {"worker": worker})


def unlimited(lane: str, size: int = 1_000) -> LaneGate:
    """A gate for a tool that runs alone, such as a connector check: no rows, no sharing."""
    gate = LaneGate(Lane(lane))
    gate.size, gate._valid_until = size, math.inf
    return gate
