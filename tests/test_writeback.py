"""The CLM learns what became of its contracts: once, in bulk, and again after whatever went wrong."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.errors import ClmError
from sync_core.ports import ClmConnector, ClmUnanswered, PolledPage, WriteBack
from sync_core.writeback import writeback
from sync_core.writeback.writeback import GIVE_UP_AFTER, write_back
from tests.engine.support import Bench, until
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


async def test_what_is_due_anew_without_a_change_of_state_is_told_again(bench: Bench) -> None:
    await provision(bench, "C-1")
    clm = MemoryClm()
    clm.engine = bench.engine
    clm.meanwhile = ["UPDATE core.contract SET writeback_at = CAST(:now AS timestamptz) - interval '1 s'"]
    await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock)
    assert clm.calls == [1, 1]
    assert await due_in(bench) == []


async def test_a_decision_that_leads_to_the_same_state_while_it_is_told_is_told_again(bench: Bench) -> None:
    await provision(bench, "C-1")
    clm = MemoryClm()
    clm.engine = bench.engine
    clm.meanwhile = ["UPDATE core.contract SET wanted_rev = 2, done_rev = 2"]
    await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock)
    assert clm.calls == [1, 1]
    assert await due_in(bench) == []


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


class SlowClm(MemoryClm):
    """The next call is under way until `answered` is set, and takes effect only then."""

    def __init__(self, name: str = "clm") -> None:
        super().__init__()
        self.name = name
        self.under_way, self.answered = asyncio.Event(), asyncio.Event()

    async def write_back(self, items: Sequence[WriteBack]) -> None:
        if not self.under_way.is_set():
            self.under_way.set()
            await self.answered.wait()
        await super().write_back(items)


async def end(bench: Bench) -> None:
    """The contract's state changes, as a worker commits it."""
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.contract SET state = 'ended', writeback_at = :now"), {"now": SIGNED_AT})


async def pass_time(bench: Bench, seconds: float) -> None:
    """Of the database's clock, as far as the turn to tell is concerned."""
    async with bench.engine.begin() as conn:
        older = sa.text("UPDATE core.watermark SET updated_at = updated_at - make_interval(secs => :s)")
        await conn.execute(older, {"s": seconds})


async def turn(bench: Bench, clm: ClmConnector) -> int:
    return await write_back(bench.engine, {SOURCE: clm}, clock=bench.clock)


async def test_no_second_worker_tells_a_newer_state_while_an_older_one_is_on_its_way(bench: Bench) -> None:
    await provision(bench, "C-1")
    clm = SlowClm()
    first = asyncio.create_task(turn(bench, clm))
    await clm.under_way.wait()
    await end(bench)
    await turn(bench, clm)
    assert clm.calls == [], "sent beside a call that may arrive later"
    clm.answered.set()
    assert await first == 2
    assert clm.told["C-1"].status == "ended"
    assert await due_in(bench) == []


async def test_a_report_that_comes_as_the_turn_ends_is_not_left_behind(bench: Bench) -> None:
    await provision(bench, *(f"C-{n}" for n in range(30)))
    clm = MemoryClm()

    async def change_and_tell(n: int) -> None:
        statement = "UPDATE core.contract SET state = 'ended', writeback_at = :now WHERE external_id = :id"
        async with bench.engine.begin() as conn:
            await conn.execute(sa.text(statement), {"now": SIGNED_AT, "id": f"C-{n}"})
        await turn(bench, clm)

    await asyncio.gather(*(change_and_tell(n) for n in range(30)))
    assert {item.status for item in clm.told.values()} == {"ended"}
    assert await due_in(bench) == []


async def test_what_a_dead_worker_was_telling_is_told_once_the_clm_is_done_with_its_call(bench: Bench) -> None:
    await provision(bench, "C-1")
    dead, clm = SlowClm(), MemoryClm()
    dies = asyncio.create_task(turn(bench, dead))
    await dead.under_way.wait()
    await pass_time(bench, writeback.TURN_S - 5)
    assert await turn(bench, clm) == 0
    await pass_time(bench, 6)
    assert await turn(bench, clm) == 1
    dead.answered.set()
    await dies


async def test_a_worker_that_stood_still_too_long_has_its_old_news_put_right(bench: Bench) -> None:
    await provision(bench, "C-1")
    clm = SlowClm()
    stands_still = asyncio.create_task(turn(bench, clm))
    await clm.under_way.wait()
    await end(bench)
    await pass_time(bench, writeback.TURN_S + 1)
    assert await turn(bench, clm) == 1
    clm.answered.set()
    await stands_still
    assert clm.told["C-1"].status == "active", "the old news came last"
    await turn(bench, clm)
    assert clm.told["C-1"].status == "ended"


async def test_after_a_call_without_an_answer_nothing_newer_is_sent_until_it_must_be_over(bench: Bench) -> None:
    class Silent(MemoryClm):
        async def write_back(self, items: Sequence[WriteBack]) -> None:
            self.calls.append(len(items))
            raise ClmUnanswered(self.source, "no answer")

    await provision(bench, "C-1", "C-2")
    silent, clm = Silent(), MemoryClm()
    assert await turn(bench, silent) == 0
    assert silent.calls == [2], "not repeated one by one"
    await end(bench)
    assert await turn(bench, clm) == 0
    await pass_time(bench, writeback.TURN_S + 1)
    assert await turn(bench, clm) == 2
    assert {item.status for item in clm.told.values()} == {"ended"}


async def test_a_clm_that_never_answers_is_given_up_and_holds_up_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writeback, "CALL_S", 0.5)
    await provision(bench, "C-1", "C-2")
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.contract SET source = 'urn:other' WHERE external_id = 'C-2'"))
    hangs, other = SlowClm(), MemoryClm()
    both: dict[str, ClmConnector] = {SOURCE: hangs, "urn:other": other}
    telling = asyncio.create_task(write_back(bench.engine, both, clock=bench.clock))

    async def told() -> bool:
        return "C-2" in other.told and not telling.done()

    await until(told)
    assert await telling == 1
    assert len(await due_in(bench)) == 1


async def test_who_is_told_to_stop_ends_with_the_call_under_way(bench: Bench) -> None:
    await provision(bench, "C-1", "C-2")
    clm = SlowClm()
    stopping = asyncio.create_task(turn(bench, clm))
    await clm.under_way.wait()
    stopping.cancel()
    await end(bench)
    clm.answered.set()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert clm.calls == [2]
    assert await turn(bench, clm) == 2, "its turn was given back"


async def test_who_is_told_to_stop_does_not_wait_for_a_clm_that_hangs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writeback, "LEAVE_S", 0.1)
    await provision(bench, "C-1")
    hangs, clm = SlowClm(), MemoryClm()
    stopping = asyncio.create_task(turn(bench, hangs))
    await hangs.under_way.wait()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert await turn(bench, clm) == 0, "its call may still arrive"
    await pass_time(bench, writeback.TURN_S + 1)
    assert await turn(bench, clm) == 1
