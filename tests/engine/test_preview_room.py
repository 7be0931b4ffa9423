"""How many previews of which lane are taken in hand: none waits for another lane, contracts keep half of the slots."""

import time

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.engine import preview_rows
from sync_core.engine.preview import Previewer
from sync_core.engine.worker import Pace
from sync_core.keys import Lane
from sync_core.lanes.lanes import LaneGate
from tests.engine.replays import Staff, provisioned
from tests.engine.support import Bench


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database)


async def previewer(bench: Bench, sizes: dict[str, int], *, contracts: int = 0) -> Previewer:
    worker = await bench.worker()
    worker.lanes.gates = {**{lane: LaneGate(Lane(lane)) for lane in sizes}, **worker.lanes.gates}
    for lane, size in sizes.items():
        gate = worker.lanes.gates[lane]
        await gate.resize(size, valid_until=time.monotonic() + 60)
        gate.contracts = contracts
    return Previewer(bench.engine, worker.connectors, worker.lanes, bench.estate, bench.clock, 1, Pace())


async def test_beside_contracts_in_work_previews_fit_into_half_of_the_slots(bench: Bench) -> None:
    busy = await previewer(bench, {"cloud": 8}, contracts=10)
    assert busy._room()["cloud"] == 4
    alone = await previewer(bench, {"cloud": 8})
    assert alone._room()["cloud"] == 16


async def test_the_previews_of_a_narrow_lane_do_not_fill_the_room_of_a_wide_one(
    bench: Bench, database: sa.Engine
) -> None:
    """Those of one lane come first in the queue; of them as many are claimed as it has room for, no more."""
    names = [f"C-{n}" for n in range(6)]
    await provisioned(bench, *names)
    staff = Staff(database, bench)
    staff.preview(*names)
    staff.execute("UPDATE core.replay_item SET lane = 'narrow' WHERE position <= 3")
    room = (await previewer(bench, {"cloud": 8, "narrow": 1}))._room()
    assert (room["cloud"], room["narrow"]) == (16, 2)
    known, now = ["cloud", "narrow"], bench.clock.now()
    async with bench.engine.begin() as conn:
        taken = await preview_rows.claim(conn, room, known=known, worker=1, lease_s=60, now=now)
        again = await preview_rows.claim(conn, {"": 9}, known=["cloud"], worker=1, lease_s=60, now=now)
    assert sorted(ticket.lane for ticket in taken) == ["cloud", "cloud", "cloud", "narrow", "narrow"]
    assert [ticket.lane for ticket in again] == ["narrow"]  # as one that the estate has no more
