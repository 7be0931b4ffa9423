"""The first day: what an ERP held before is found, adopted once it may be written to, and nothing is made twice."""

import time
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import Forbidden, person
from sync_core.commands.adoptions import Adopting, Adoptions
from sync_core.commands.desk import Desk, NotFound
from sync_core.desired import Kind
from sync_core.engine.surveying import survey, unplaced
from sync_core.engine.worker import Worker
from sync_core.errors import ErpUnavailable
from sync_core.estate.estate import Erp, ErpMode
from sync_core.keys import BusinessKey, ErpRef, Lane
from sync_core.lanes.lanes import LaneGate
from sync_core.moving.adoption import Adoption
from sync_core.ports import CallContext
from tests.engine.replays import ADA
from tests.engine.support import Bench
from tests.memory_erp import MemoryConnector, MemoryErp
from tests.sows import cloud_event, milestone_terms, signed


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database)


async def under(bench: Bench, **changes: object) -> Worker:
    erp: Erp = replace(bench.estate.erp[0], **changes)  # type: ignore[arg-type]
    bench.estate = replace(bench.estate, erp=(erp,))
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.lane_slot SET worker_id = NULL, lease_until = NULL"))
    return await bench.worker()


async def running_firm(bench: Bench, *names: str) -> None:
    """The ERP holds what somebody entered there by hand: projects of these contracts, under keys of its own."""
    titles = {name: milestone_terms(title=f"Rollout {name}") for name in names}
    await bench.arrive(*(cloud_event(f"e-{name}", "signed.v1", signed(name, titles[name])) for name in names))
    await (await under(bench)).drain()
    await forgotten(bench, bench.erp)


async def forgotten(bench: Bench, erp: MemoryErp) -> None:
    """What it holds bears keys of its own, and Tieline knows of none of it."""
    for number, found in enumerate(list(erp.objects.values())):
        if not found.kind.shared:
            erp.by_owner[found.key.partition("#")[0]].discard(found.ref)
            erp.hold(replace(found, key=BusinessKey(f"OLD-{number}")))
    erp.creates = Counter()
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.crosswalk SET state = 'closed' WHERE contract_id IS NOT NULL"))
        await conn.execute(sa.text("UPDATE core.contract SET state = 'waiting', due_at = :now, first_active_at = NULL"),
                           {"now": bench.clock.now()})  # fmt: skip


async def looked(
    bench: Bench, named: dict[str, str] | None = None, *, lane: str = "cloud", erp: MemoryErp | None = None
) -> list[Adoption]:
    gate = LaneGate(Lane(lane))
    await gate.resize(8, valid_until=time.monotonic() + 60)
    wanted = await unplaced(bench.engine, bench.estate, bench.clock, lane=lane, entity="")
    ctx = CallContext("adopt", time.monotonic() + 60)
    return await survey(MemoryConnector(erp or bench.erp, gate, name=lane), wanted, named or {}, ctx)


def decide(database: sa.Engine, bench: Bench, found: list[Adoption], *, lane: str = "cloud") -> Adopting:
    adoptions = Adoptions(Desk(database, bench.clock, bench.estate))
    return adoptions.adopt(ADA, found, lane=lane, reason="the first day")


async def test_a_project_of_a_running_firm_is_adopted_and_not_made_twice(bench: Bench, database: sa.Engine) -> None:
    await running_firm(bench, "C-1", "C-2")
    worker = await under(bench, cut_over=date(2026, 6, 1))
    await worker.drain()
    assert await bench.states() == {"C-1": "waiting", "C-2": "waiting"}
    assert bench.erp.creates == Counter()
    found = await looked(bench)
    assert {one.name: one.result.value for one in found} == {"C-1": "matched", "C-2": "matched"}
    assert decide(database, bench, found) == Adopting(2, 0, 0)
    bench.virtual.advance(timedelta(seconds=5))
    await worker.drain()
    assert await bench.states() == {"C-1": "active", "C-2": "active"}
    assert bench.erp.creates == Counter()
    assert sorted(str(held.key) for held in bench.erp.of(Kind.PROJECT)) == ["clm/C-1", "clm/C-2"]
    assert len(bench.erp.of(Kind.MILESTONE)) == 4
    assert await bench.rows("SELECT count(*) FROM core.adoption WHERE taken_at IS NULL") == [(0,)]
    assert await bench.rows("SELECT count(*) FROM core.observed") == [(0,)]
    entry = await bench.rows("SELECT action, items FROM core.audit")
    assert entry == [("contract.adopt", 2)]


async def test_an_observed_erp_gets_our_keys_once_it_may_be_written_to(bench: Bench, database: sa.Engine) -> None:
    await running_firm(bench, "C-1")
    worker = await under(bench, mode=ErpMode.OBSERVE)
    decide(database, bench, await looked(bench))
    await worker.drain()
    ((words,),) = await bench.rows("SELECT words FROM core.observed")
    assert words.startswith("cloud is only observed; it is adopted as project E")
    assert not [call for call in bench.erp.calls if call.startswith("relabel")]
    bench.virtual.advance(timedelta(days=2))
    await (await under(bench, mode=ErpMode.WRITE)).drain()
    assert await bench.states() == {"C-1": "active"}
    assert bench.erp.creates == Counter()


async def test_what_is_not_found_for_certain_is_an_exception_and_is_not_created(
    bench: Bench, database: sa.Engine
) -> None:
    await running_firm(bench, "C-1", "C-2")
    for held in bench.erp.of(Kind.PROJECT):
        if held.fields["name"] == "Rollout C-1":
            bench.erp.hold(replace(held, ref=ErpRef("Z1")))
        else:
            bench.erp.hold(replace(held, fields={**held.fields, "value": "1"}))
    worker = await under(bench, cut_over=date(2026, 6, 1))
    assert decide(database, bench, await looked(bench)) == Adopting(0, 1, 1)
    await worker.drain()
    cases = await bench.rows("SELECT c.external_id, k.cause FROM core.case AS k JOIN core.contract AS c"
                             " USING (contract_id) WHERE k.state = 'open' ORDER BY 1")  # fmt: skip
    assert cases == [("C-1", "adoption_ambiguous"), ("C-2", "adoption_unmatched")]
    assert bench.erp.creates == Counter()
    assert set((await bench.states()).values()) == {"blocked"}
    ref = next(held.ref for held in bench.erp.of(Kind.PROJECT) if held.fields["name"] == "Rollout C-1")
    decide(database, bench, await looked(bench, {"C-1": str(ref)}))
    bench.virtual.advance(timedelta(hours=1))
    await worker.drain()
    assert (await bench.states())["C-1"] == "active"
    assert await bench.rows("SELECT cause FROM core.case WHERE state = 'open'") == [("adoption_unmatched",)]


async def test_a_worker_that_dies_between_two_keys_leaves_nothing_to_clean_up(
    bench: Bench, database: sa.Engine
) -> None:
    await running_firm(bench, "C-1")
    worker = await under(bench, cut_over=date(2026, 6, 1))
    decide(database, bench, await looked(bench))
    failed: list[str] = []

    def away(operation: str, _ctx: CallContext) -> ErpUnavailable | None:
        if operation == "relabel milestone" and not failed:
            failed.append(operation)
            return ErpUnavailable("cloud", "refused the connection")
        return None

    bench.erp.before = away
    for _ in range(4):
        await worker.drain()
        bench.virtual.advance(timedelta(seconds=5))
    assert failed
    assert await bench.states() == {"C-1": "active"}
    assert bench.erp.creates == Counter()


async def test_only_an_operator_of_the_legal_entity_decides(bench: Bench, database: sa.Engine) -> None:
    await running_firm(bench, "C-1")
    await under(bench, cut_over=date(2026, 6, 1))
    found = await looked(bench)
    adoptions = Adoptions(Desk(database, bench.clock, bench.estate))
    for who in ("operator@GB01", "executive"):
        with pytest.raises(Forbidden):
            adoptions.adopt(person("eve@example.com", [who]), found, lane="cloud", reason="the first day")
    assert await bench.rows("SELECT count(*) FROM core.adoption") == [(0,)]


async def test_a_contract_that_got_a_project_meanwhile_is_not_adopted(bench: Bench, database: sa.Engine) -> None:
    await running_firm(bench, "C-1", "C-2")
    found = await looked(bench)
    (second,) = [one for one in found if one.name == "C-2"]
    await (await under(bench)).drain()  # it may be written to: both get a project of their own
    assert await bench.states() == {"C-1": "active", "C-2": "active"}
    with pytest.raises(NotFound):
        decide(database, bench, [one for one in found if one is not second])
    # And at the very moment of the decision: its run is stored after it.
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.crosswalk SET state = 'creating' WHERE business_key = 'clm/C-2'"))
    assert decide(database, bench, found) == Adopting(1, 0, 0)
    await (await under(bench)).drain()
    assert not [call for call in bench.erp.calls if call.startswith("relabel")]
    projects = Counter(str(held.key).partition("-")[0] for held in bench.erp.of(Kind.PROJECT))
    assert projects == {"OLD": 2, "clm/C": 2}
    case = "SELECT cause, function, state FROM core.case"
    assert await bench.rows(case) == [("adoption_ambiguous", "finance_operations", "open")]


async def test_a_blocked_contract_gets_its_keys_once(bench: Bench, database: sa.Engine) -> None:
    await running_firm(bench, "C-1")
    worker = await under(bench, cut_over=date(2026, 6, 1))
    decide(database, bench, await looked(bench))
    bench.erp.tax_codes.clear()
    for _ in range(4):
        await worker.drain()
        bench.virtual.advance(timedelta(days=1))
    assert await bench.states() == {"C-1": "blocked"}
    written = [call for call in bench.erp.calls if call.startswith("relabel")]
    assert len(written) == 1 + len(bench.erp.of(Kind.CONTRACT_LINE)) + len(bench.erp.of(Kind.MILESTONE))
    assert await bench.rows("SELECT count(*) FROM core.adoption WHERE taken_at IS NULL") == [(0,)]
