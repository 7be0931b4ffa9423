"""The CLM learns what became of its contracts: once, in bulk, and again after whatever went wrong."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import VirtualClock
from sync_core.errors import ClmError
from sync_core.ports import PolledPage, WriteBack
from sync_core.writeback import CLAIM_FOR, GIVE_UP_AFTER, write_back
from tests.engine.support import Bench
from tests.sows import SIGNED_AT, SOURCE, cloud_event, signed


class MemoryClm:
    """A CLM that remembers what it was told, refuses while `down`, and does not know some contracts."""

    name, source = "clm", SOURCE

    def __init__(self) -> None:
        self.told: dict[str, WriteBack] = {}
        self.calls: list[int] = []
        self.down = False
        self.unknown: set[str] = set()
        self.meanwhile: Sequence[str] = ()  # statements that take effect while a call is under way
        self.engine: AsyncEngine | None = None

    async def poll(self, watermark: str | None) -> PolledPage:
        return PolledPage((), watermark or "0", more=False)

    async def write_back(self, items: Sequence[WriteBack]) -> None:
        self.calls.append(len(items))
        if self.down:
            raise ClmError(self.source, "is down")
        self.told |= {item.external_id: item for item in items if item.external_id not in self.unknown}
        if self.engine is not None:
            async with self.engine.begin() as conn:
                for statement in self.meanwhile:
                    await conn.execute(sa.text(statement), {"now": SIGNED_AT})
            self.meanwhile = ()
        if lost := self.unknown & {item.external_id for item in items}:
            raise ClmError(self.source, f"does not know {lost}")

    async def aclose(self) -> None:
        self.calls.clear()


@pytest.fixture
async def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database)


async def provision(bench: Bench, *ids: str) -> None:
    await bench.arrive(*(cloud_event(f"e-{one}", "signed.v1", signed(one)) for one in ids))
    await (await bench.worker()).drain()


async def due_in(bench: Bench) -> list[timedelta]:
    rows = await bench.rows("SELECT writeback_at FROM core.contract WHERE writeback_at IS NOT NULL")
    return [row[0] - bench.clock.now() for row in rows]


async def test_a_provisioned_contract_is_reported_once_with_its_project(bench: Bench) -> None:
    await provision(bench, "C-1", "C-2")
    clm = MemoryClm()
    assert await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock) == 2
    assert clm.calls == [2]
    told = clm.told["C-1"]
    assert (told.status, told.erp, told.provisioned_at is not None) == ("active", "cloud", True)
    assert told.project_ref
    assert await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock) == 0


async def test_many_contracts_go_in_calls_of_at_most_that_many(bench: Bench) -> None:
    await provision(bench, *(f"C-{n}" for n in range(5)))
    clm = MemoryClm()
    assert await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock, most=2) == 5
    assert clm.calls == [2, 2, 1]


async def test_a_state_that_changes_while_it_is_told_is_told_again(bench: Bench) -> None:
    await provision(bench, "C-1")
    clm = MemoryClm()
    clm.engine, clm.meanwhile = bench.engine, ["UPDATE core.contract SET state = 'ended', writeback_at = :now"]
    await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock)
    assert clm.calls == [1, 1]
    assert clm.told["C-1"].status == "ended"


async def test_a_clm_that_is_down_hears_it_later_and_is_not_asked_for_each_contract(bench: Bench) -> None:
    await provision(bench, *(f"C-{n}" for n in range(20)))
    clm = MemoryClm()
    clm.down = True
    assert await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock) == 0
    assert len(clm.calls) == 1 + GIVE_UP_AFTER
    assert all(timedelta(seconds=4) < wait < timedelta(seconds=6) for wait in await due_in(bench))
    clm.down = False
    bench.virtual.advance(timedelta(seconds=6))
    assert await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock) == 20


async def test_one_contract_that_the_clm_refuses_holds_up_no_other(bench: Bench) -> None:
    await provision(bench, "C-1", "C-2", "C-3")
    clm = MemoryClm()
    clm.unknown = {"C-2"}
    assert await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock) == 2
    assert len(await due_in(bench)) == 1


async def test_the_longer_a_contract_waits_the_less_often_it_is_tried(bench: Bench) -> None:
    await provision(bench, "C-1")
    clm = MemoryClm()
    clm.down = True
    waits = []
    for _ in range(12):
        await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock)
        (wait,) = await due_in(bench)
        waits.append(wait)
        bench.virtual.advance(wait)
    assert waits[0] < timedelta(seconds=6) < waits[6]
    assert max(waits) <= timedelta(minutes=12)


async def test_what_a_dead_worker_was_about_to_tell_is_told_when_its_claim_ends(bench: Bench) -> None:
    await provision(bench, "C-1")
    claimed = bench.clock.now() + CLAIM_FOR
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.contract SET writeback_at = :at"), {"at": claimed})
    clm = MemoryClm()
    assert await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock) == 0
    later = VirtualClock(claimed)
    assert await write_back(bench.engine, {SOURCE: clm}, clock=later) == 1
