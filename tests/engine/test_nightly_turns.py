"""Files to an ERP with batches: reservations that outlast them, and refusals that are told once and asked again."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.connectors.erp.sandbox_legacy.connector import SandboxLegacy
from sync_core.desired import Kind
from sync_core.keys import BusinessKey
from sync_core.lanes.batches import Group
from sync_core.ports import CallContext
from tests.engine.nights import Nights, at, customer, terms
from tests.engine.support import until

Shared = tuple[Kind, BusinessKey]


@pytest.fixture
def nights(async_database: AsyncEngine) -> Nights:
    return Nights(async_database)


async def test_one_look_is_enough_for_all_that_a_file_shares(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, looks = await nights.worker(), list[list[Shared]]()
    look = SandboxLegacy.there

    async def counted(self: SandboxLegacy, shared: Sequence[Shared], ctx: CallContext) -> frozenset[Shared]:
        looks.append(list(shared))
        return await look(self, shared, ctx)

    monkeypatch.setattr(SandboxLegacy, "there", counted)
    for n in (1, 2, 3):
        await nights.sign(f"C-{n}", terms(customer=customer(n)))
    nights.go_to(at("22:00"))
    await worker.drain()
    assert len(nights.batches()) == len(looks) == 1
    assert sorted(looks[0]) == [(Kind.CUSTOMER, f"TN-00{n}") for n in (1, 2, 3)]
    nights.go_to(at("06:00", 4))
    await worker.drain()
    assert set((await nights.states()).values()) == {"active"}
    assert set(nights.held().values()) == {1}


async def test_a_file_is_not_sent_when_its_reservations_may_have_run_out_though_its_leases_were_renewed(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, sent = await nights.worker(), list[int]()
    write, look = SandboxLegacy.written, SandboxLegacy.there

    def written(self: SandboxLegacy, group: Group) -> bytes:
        if group.shared is None:
            sent.append(len(nights.batches()))
        if len(sent) == 1:
            for running in worker.running.values():
                running.ctx.send_before = time.monotonic() + 1  # the first try has a lease that is near its end
        return write(self, group)

    async def slow(self: SandboxLegacy, shared: Sequence[Shared], ctx: CallContext) -> frozenset[Shared]:
        found = await look(self, shared, ctx)
        if len(sent) == 1:
            await until(too_late(ctx.send_before))
        await worker.renew_leases()
        return found

    def too_late(send_before: float) -> Callable[[], Awaitable[bool]]:
        async def passed() -> bool:
            return time.monotonic() > send_before

        return passed

    monkeypatch.setattr(SandboxLegacy, "written", written)
    monkeypatch.setattr(SandboxLegacy, "there", slow)
    await nights.sign("C-1")
    nights.go_to(at("22:00"))

    async def handed_over() -> bool:
        # The reservation settles by the database's clock.
        nights.go_to(nights.clock.now() + timedelta(seconds=5))
        await worker.drain()
        return str((await nights.waits())[0][1]).startswith("handed over")

    await until(handed_over)
    assert sent[:2] == [0, 0]
    assert len(nights.batches()) == 1
    nights.go_to(at("06:00", 4))
    await worker.drain()
    assert await nights.states() == {"C-1": "active"}
    assert set(nights.held().values()) == {1}


async def test_what_was_refused_is_asked_again_whatever_the_erps_clock_says(nights: Nights) -> None:
    worker = await nights.worker()
    await nights.sign("C-1")
    nights.go_to(at("22:00"))
    await worker.drain()
    nights.erp.store.put(
        "period", {"id": "7700/2026-05", "legal_entity": "7700", "period": "2026-05", "status": "closed"}
    )
    nights.erp.store.commit()
    nights.erp.shift = timedelta(seconds=20)  # it is morning there before it is here
    nights.go_to(at("05:59:50", 4))
    await nights.sign("C-1", revision=2)  # nothing is changed, but somebody looks
    await worker.drain()
    assert await nights.states() == {"C-1": "blocked"}
    nights.erp.store.drop("period", "7700/2026-05")
    nights.erp.store.commit()
    nights.go_to(at("22:00", 4))
    await worker.drain()
    assert (await nights.states(), len(nights.batches())) == ({"C-1": "waiting"}, 2)
    nights.go_to(at("06:00", 5))
    await worker.drain()
    assert await nights.states() == {"C-1": "active"}
    assert await nights.rows("SELECT state, occurrences FROM core.case") == [("resolved", 1)]


async def test_a_second_refusal_of_the_same_wish_is_told_again(nights: Nights) -> None:
    worker = await nights.worker()
    await nights.sign("C-1")
    nights.go_to(at("22:00"))
    await worker.drain()
    nights.erp.store.put(
        "period", {"id": "7700/2026-05", "legal_entity": "7700", "period": "2026-05", "status": "closed"}
    )
    nights.erp.store.commit()
    told = []
    for day in (4, 5, 6):
        nights.go_to(at("06:00", day))
        await worker.drain()
        assert await nights.states() == {"C-1": "blocked"}
        told += await nights.rows("SELECT batch FROM core.batch_refusal")
        nights.go_to(at("22:00", day))
        await worker.drain()
        assert await nights.states() == {"C-1": "waiting"}
    assert len(set(told)) == 3
    assert len(nights.batches()) == 4
    assert await nights.rows("SELECT state, occurrences FROM core.case") == [("open", 3)]
