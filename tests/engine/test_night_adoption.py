"""The first day with an ERP that takes batches: its orders get our keys in a night, and a lost field stops its lane."""

import time
from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from collectors import needs
from sync_core.commands.adoptions import Adopting, Adoptions
from sync_core.commands.desk import Desk
from sync_core.commands.replays import Replays
from sync_core.connectors.erp import sandbox_legacy
from sync_core.engine.replaying import Replayer
from sync_core.engine.surveying import survey, unplaced
from sync_core.engine.worker import Worker
from sync_core.keys import Lane
from sync_core.lanes.answers_needed import DeclaresNeeds
from sync_core.lanes.lanes import LaneGate
from sync_core.moving.adoption import Adoption
from sync_core.ports import CallContext, ErpConnector
from sync_core.replay.replay import Origin
from sync_core.replay.selection import Selection
from tests.engine.nights import PASSWORD, Nights, at, hourly, terms
from tests.engine.replays import ADA, LAX
from tests.engine.support import until

LONG = "Renewal of the claims platform in all branches of Société Générale d'Assurances"  # longer than its names are


@pytest.fixture
def nights(async_database: AsyncEngine) -> Nights:
    return Nights(async_database)


async def connector(nights: Nights) -> ErpConnector:
    gate = LaneGate(Lane("old"))
    await gate.resize(4, valid_until=time.monotonic() + 60)
    return sandbox_legacy.connect(
        nights.estate.erp[0], secret=PASSWORD, gate=gate, clock=nights.clock, transport=nights.transport()
    )


async def running_firm(nights: Nights, **agreed: dict[str, object]) -> Worker:
    """In the morning of the fourth it holds orders of these contracts, under keys of whoever entered them there."""
    worker = await nights.worker()
    for name, one in agreed.items():
        await nights.sign(name, one)
    for moment in (at("22:00"), at("06:00", 4)):
        nights.go_to(moment)
        await worker.drain()
    assert set((await nights.states()).values()) == {"active"}
    for kind in ("project", "contract_line", "milestone", "labour_rate"):
        for number, doc in enumerate(list(nights.erp.store.all(kind))):
            nights.erp.store.put(kind, {**doc, "external_id": f"{kind}-{number}"})
    nights.erp.store.commit()
    nights.go_to(at("07:00", 4))
    nights.erp.nights.publish(nights.clock.now())
    async with nights.engine.begin() as conn:
        for sql in (
            "UPDATE core.crosswalk SET state = 'closed' WHERE contract_id IS NOT NULL",
            "UPDATE core.contract SET state = 'waiting', due_at = '2026-03-04 07:00+01', first_active_at = NULL",
            "UPDATE core.lane_slot SET worker_id = NULL, lease_until = NULL",
        ):
            await conn.execute(sa.text(sql))
    erp = replace(nights.estate.erp[0], cut_over=date(2026, 6, 1))
    nights.estate = replace(nights.estate, erp=(erp,))
    return await nights.worker()


async def adopted(nights: Nights, database: sa.Engine) -> tuple[list[Adoption], Adopting]:
    erp = await connector(nights)
    wanted = await unplaced(nights.engine, nights.estate, nights.clock, lane="old", entity="")
    found = await survey(erp, wanted, {}, CallContext("adopt", time.monotonic() + 60))
    await erp.aclose()
    adoptions = Adoptions(Desk(database, nights.clock, nights.estate))
    return found, adoptions.adopt(ADA, found, lane="old", reason="the first day")


async def test_orders_of_a_running_firm_get_our_keys_in_a_night_and_nothing_is_posted_twice(
    nights: Nights, database: sa.Engine
) -> None:
    contracts = {"C-1": terms(title=LONG), "C-2": hourly()}
    worker = await running_firm(nights, **contracts)
    before = {str(doc["id"]) for kind in ("project", "milestone", "labour_rate") for doc in nights.erp.store.all(kind)}
    found, decided = await adopted(nights, database)
    assert decided == Adopting(2, 0, 0), [one.words for one in found]
    sent = len(nights.batches())
    for moment in (at("12:00", 4), at("22:00", 4), at("23:00", 4), at("06:00", 5)):
        nights.go_to(moment)
        await worker.drain()
    assert len(nights.batches()) == sent + 1
    assert await nights.states() == {"C-1": "active", "C-2": "active"}
    held = nights.held()
    assert set(held.values()) == {1}
    assert held.keys() >= {("project", "clm/C-1"), ("milestone", "clm/C-1#M:golive"), ("project", "clm/C-2")}
    after = {str(doc["id"]) for kind in ("project", "milestone", "labour_rate") for doc in nights.erp.store.all(kind)}
    assert after == before  # the same documents, under other keys
    assert await nights.rows("SELECT count(*) FROM core.adoption WHERE taken_at IS NULL") == [(0,)]
    assert await nights.rows("SELECT count(*) FROM core.case") == [(0,)]


async def test_a_replay_has_the_keys_written_in_its_night(nights: Nights, database: sa.Engine) -> None:
    replayer = Replayer(await running_firm(nights, **{"C-1": terms()}))
    await adopted(nights, database)
    replays = Replays(Desk(database, nights.clock, replace(nights.estate, replay=LAX)))
    ((contract,),) = await nights.rows("SELECT contract_id FROM core.contract")
    made = replays.preview(ADA, Selection((int(str(contract)),)), origin=Origin.CURRENT, title="the first day")
    await replayer.previewer.drain()
    await replayer.dispatcher.tick()
    ((plan,),) = await nights.rows("SELECT plan FROM core.replay_item")
    assert {one["action"] for one in plan} == {"adopt"}  # type: ignore[attr-defined]
    replays.confirm(ADA, made.replay_id, reason="as it was shown")
    await replayer.dispatcher.tick()
    for moment in (at("22:00", 4), at("06:00", 5)):
        assert await nights.rows("SELECT state FROM core.replay_item") == [("pending",)]
        nights.go_to(moment)
        await replayer.drain()
    assert await nights.rows("SELECT state FROM core.replay_item") == [("verified",)]
    assert await nights.states() == {"C-1": "active"}
    assert set(nights.held().values()) == {1}


async def test_a_key_that_it_refuses_is_an_exception_and_nothing_is_made(nights: Nights, database: sa.Engine) -> None:
    worker = await running_firm(nights, **{"C-1": terms()})
    await adopted(nights, database)
    nights.go_to(at("22:00", 4))
    await worker.drain()
    (order,) = nights.erp.store.all("project")
    nights.erp.store.put("project", {**order, "status": "closed"})
    nights.erp.store.commit()
    nights.go_to(at("06:00", 5))
    await worker.drain()
    assert await nights.states() == {"C-1": "blocked"}
    ((message,),) = await nights.rows("SELECT message FROM core.case WHERE cause = 'erp_rejected'")
    assert message == f"document {order['id']} is not open (O01)"
    assert len(list(nights.erp.store.all("project"))) == 1


async def test_a_field_that_its_records_lost_stops_the_lane_before_a_file_is_sent(nights: Nights) -> None:
    worker = await nights.worker()
    await nights.sign("C-1")
    nights.go_to(at("22:00"))
    nights.erp.nights.dropped["30"] = {"po"}
    await worker.drain()
    assert nights.batches() == []
    ((breaker, reason),) = await nights.rows("SELECT breaker, reason FROM core.lane WHERE lane = 'old'")
    assert breaker != "closed"
    assert "its answers lack the field 30.po" in str(reason)
    assert await nights.rows("SELECT count(*) FROM core.case") == [(0,)]
    nights.erp.nights.dropped.clear()

    async def sent() -> bool:
        # The customer's reservation settles by the database's clock.
        nights.go_to(nights.clock.now() + timedelta(seconds=5))
        await worker.drain()
        return len(nights.batches()) == 1

    await until(sent)
    nights.go_to(at("06:00", 4))
    await worker.drain()
    assert await nights.states() == {"C-1": "active"}


async def test_the_minutes_look_finds_it_without_a_contract(nights: Nights) -> None:
    await nights.worker()
    erp = await connector(nights)
    assert isinstance(erp, DeclaresNeeds)
    assert await needs.collect(nights.engine, {"old": erp}, clock=nights.clock) == ()
    nights.erp.nights.dropped["32"] = {"bill_on", "amount"}
    assert await needs.collect(nights.engine, {"old": erp}, clock=nights.clock) == ("old",)
    ((problem,),) = await nights.rows("SELECT problem FROM core.connector_check")
    assert str(problem).startswith("its answers lack the fields 32.amount, 32.bill_on")
    await erp.aclose()
