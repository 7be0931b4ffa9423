"""Changes that leave no run, event or history are measured with the next refresh all the same."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics.refresh import refresh
from sync_core.clock import VirtualClock
from sync_core.engine import claim
from tests.engine.replays import ADA, Staff, provisioned
from tests.engine.support import Bench
from tests.metrics.flow_rows import facts
from tests.metrics.support import caught_up

_LEASE = "UPDATE core.contract SET lease_owner = 999, lease_until = now() + interval '1 h' WHERE external_id = 'C-1'"


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database)


def _refreshed(bench: Bench, database: sa.Engine) -> int:
    bench.virtual.advance(timedelta(seconds=15))
    return caught_up(database, bench.clock, bench.estate).contracts


async def test_a_lost_workers_contract_shows_as_unverified_after_the_next_refresh(
    bench: Bench, database: sa.Engine
) -> None:
    await provisioned(bench, "C-1", "C-2")
    _refreshed(bench, database)
    assert facts(database, "exposure") == []
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text(_LEASE))
    async with bench.engine.begin() as conn:
        assert await claim.release_lost(conn, now=bench.clock.now()) == 1
    assert _refreshed(bench, database) == 1
    [contract] = [row[0] for row in await bench.rows("SELECT contract_id FROM core.contract WHERE external_id = 'C-1'")]
    assert [(row["contract_id"], row["unverified"]) for row in facts(database, "exposure")] == [(contract, True)]


class Standing(VirtualClock):
    """Once `due`, it stands still when asked the next time but one: a refresh has then measured and not committed."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.due, self.asked, self.stands, self.may_go = False, 0, threading.Event(), threading.Event()

    def now(self) -> datetime:
        self.asked += self.due
        if self.asked == 2:
            self.stands.set()
            assert self.may_go.wait(30)
        return super().now()


async def test_a_refresh_that_stands_still_holds_up_no_worker_and_misses_no_change(
    bench: Bench, database: sa.Engine
) -> None:
    """Workers mark the contract that it has just taken, without waiting; the next refresh measures it again."""
    await provisioned(bench, "C-1")
    _refreshed(bench, database)
    clock = Standing(bench.clock.now() + timedelta(seconds=15))
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text(_LEASE))
    async with bench.engine.begin() as conn:
        assert await claim.release_lost(conn, now=bench.clock.now()) == 1
        marked = await conn.scalar(sa.text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)"))
    await _passed(bench, marked)
    clock.due = True
    with ThreadPoolExecutor(1) as pool:
        measuring = pool.submit(refresh, database, clock=clock, estate=bench.estate)
        try:
            assert await asyncio.to_thread(clock.stands.wait, 30)
            async with bench.engine.begin() as conn:
                await conn.execute(sa.text("SET LOCAL lock_timeout = '2 s'"))
                await conn.execute(sa.text(_LEASE))
                assert await claim.release_lost(conn, now=bench.clock.now()) == 1
        finally:
            clock.may_go.set()
        assert measuring.result().contracts == 1
    assert _refreshed(bench, database) == 1
    assert _refreshed(bench, database) == 0


async def test_a_replay_changes_what_is_measured_when_it_is_dispatched_and_when_it_is_called_off(
    bench: Bench, database: sa.Engine
) -> None:
    replayer = await provisioned(bench, "C-1")
    staff = Staff(database, bench)
    [contract] = staff.ids("C-1")
    staff.execute("UPDATE core.contract SET state = 'set_aside', wanted_rev = wanted_rev + 1")
    replay = staff.preview("C-1")
    await replayer.previewer.drain()
    await replayer.dispatcher.tick()
    _refreshed(bench, database)
    staff.confirm(replay.replay_id)

    def marked() -> list[tuple[object, ...]]:
        return staff.rows("SELECT contract_id FROM metrics.mark")

    assert await replayer.dispatcher.tick() == 1
    assert marked() == [(contract,)]
    assert _refreshed(bench, database) == 1
    assert [row["touches"] for row in facts(database, "contract")] == [[]]
    staff.replays.cancel(ADA, replay.replay_id, reason="on a whim")
    await replayer.dispatcher.tick()
    assert staff.ends(replay.replay_id) == {"C-1": "cancelled"}
    assert marked() == [(contract,)]
    assert _refreshed(bench, database) == 1
    assert [row["touches"] for row in facts(database, "contract")] == [[]]


async def _passed(bench: Bench, xid: int) -> None:
    """A refresh looks below what still runs anywhere on the server, which other databases share."""
    below = sa.text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")
    async with asyncio.timeout(60):
        while True:
            async with bench.engine.begin() as conn:
                if int(await conn.scalar(below)) > xid:
                    return
