"""Changes that leave no run, event or history are measured with the next refresh all the same."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.engine import claim
from tests.engine.replays import ADA, Staff, provisioned
from tests.engine.support import Bench
from tests.metrics.flow_rows import facts
from tests.metrics.support import caught_up
from tests.sows import cloud_event, signed

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


async def test_a_change_while_the_contract_is_already_due_for_measuring_is_not_lost(
    bench: Bench, database: sa.Engine
) -> None:
    """A refresh that takes the mark while the change is not committed yet would measure what was before."""
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    _refreshed(bench, database)
    with database.begin() as conn:
        conn.execute(sa.text("INSERT INTO metrics.dirty SELECT contract_id FROM core.contract"))
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text(_LEASE))
    async with bench.engine.begin() as conn:
        assert await claim.release_lost(conn, now=bench.clock.now()) == 1
        with database.connect() as other:
            free = other.scalars(sa.text("SELECT contract_id FROM metrics.dirty FOR UPDATE SKIP LOCKED")).all()
        assert free == [], "a refresh waits for the change before it takes the mark"


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
        return staff.rows("SELECT contract_id FROM metrics.dirty")

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
