"""Replays on an ERP with batches: through a whole night to their end, and one download of each file for all."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.in_process import InProcess
from app.sandbox.legacy.server import SandboxLegacy
from sync_core.commands.desk import Desk
from sync_core.commands.replays import Replays
from sync_core.connectors.erp import sandbox_legacy
from sync_core.engine.replaying import Replayer
from sync_core.keys import BusinessKey, Lane
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import CallContext, Scope
from sync_core.replay.replay import Origin
from sync_core.replay.selection import Selection
from tests.engine.nights import PASSWORD, Nights, at
from tests.engine.replays import ADA, LAX

NAMES = tuple(f"C-{number}" for number in range(1, 8))  # more than the ERP's lane works on at once
_ITEMS = "SELECT DISTINCT state, words FROM core.replay_item"


class _Far(InProcess):
    """Others go on while an answer is awaited, as over a network."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        await asyncio.sleep(0)
        return answer


class _Replacing(InProcess):
    """The ERP writes another dump as soon as the first list of its files is on its way."""

    replaced = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        if request.url.path == "/files" and not self.replaced:
            self.replaced = True
            assert isinstance(self._app, SandboxLegacy)
            self._app.nights.publish(self._app.now() + timedelta(seconds=1))
        return answer


@pytest.fixture
def nights(async_database: AsyncEngine) -> Nights:
    return Nights(async_database)


async def _repair(nights: Nights, database: sa.Engine) -> Replayer:
    """All are active, the ERP has lost a milestone of each, and the repair is confirmed at noon of the fifth."""
    replayer = Replayer(await nights.worker())
    for name in NAMES:
        await nights.sign(name)
    for moment in (at("22:00"), at("06:00", 4)):
        nights.go_to(moment)
        await replayer.drain()
    assert set((await nights.states()).values()) == {"active"}
    for doc in list(nights.erp.store.all("milestone")):
        if str(doc["external_id"]).endswith("#M:golive"):
            nights.erp.store.drop("milestone", str(doc["id"]))
    nights.erp.store.commit()
    nights.go_to(at("12:00", 5))
    replays = Replays(Desk(database, nights.clock, replace(nights.estate, replay=LAX)))
    ids = [int(str(row[0])) for row in await nights.rows("SELECT contract_id FROM core.contract")]
    made = replays.preview(ADA, Selection(tuple(ids)), origin=Origin.CURRENT, title="after the loss")
    await replayer.drain()
    replays.confirm(ADA, made.replay_id, reason="put it back")
    await replayer.drain()
    assert {state for state, _ in await nights.rows(_ITEMS)} == {"pending"}
    return replayer


async def test_a_replay_goes_through_a_whole_night_to_verified(nights: Nights, database: sa.Engine) -> None:
    replayer = await _repair(nights, database)
    for moment in (at("22:00", 5), at("23:30", 5), at("06:00", 6)):
        nights.go_to(moment)
        await replayer.drain()
    assert {state for state, _ in await nights.rows(_ITEMS)} == {"verified"}
    assert await nights.rows("SELECT state FROM core.replay") == [("finished",)]
    assert set((await nights.states()).values()) == {"active"}
    held = nights.held()
    assert {held["milestone", f"clm/{name}#M:golive"] for name in NAMES} == {1}


async def test_no_item_is_late_because_its_erp_answers_late(nights: Nights, database: sa.Engine) -> None:
    replayer = await _repair(nights, database)
    nights.go_to(at("22:20", 5))  # long after the window opened
    await replayer.dispatcher.tick()
    assert {state for state, _ in await nights.rows(_ITEMS)} == {"pending"}
    await replayer.drain()
    nights.go_to(at("07:00", 6))
    await replayer.dispatcher.tick()
    assert {state for state, _ in await nights.rows(_ITEMS)} == {"pending"}
    await replayer.drain()
    assert {state for state, _ in await nights.rows(_ITEMS)} == {"verified"}


async def test_all_who_look_at_the_hour_of_answers_read_each_file_once(nights: Nights) -> None:
    worker = await nights.worker()
    await nights.sign("C-1")
    nights.go_to(at("22:00"))
    await worker.drain()
    nights.go_to(at("06:00", 4))
    gate = LaneGate(Lane("old"))
    await gate.resize(8, valid_until=time.monotonic() + 60)
    connector = sandbox_legacy.connect(
        nights.estate.erp[0], secret=PASSWORD, gate=gate, clock=nights.clock, transport=_Far(nights.erp)
    )
    scope = Scope(BusinessKey("clm/C-1"), "TN01", BusinessKey("TN-001"), "TN-TVA", "NET30", (), ())
    before = nights.erp.seen["file.read"]
    seen = await asyncio.gather(
        *(connector.observe(scope, CallContext(f"look {n}", time.monotonic() + 60)) for n in range(20))
    )
    assert nights.erp.seen["file.read"] - before == 2  # the dump and the answer
    assert {len(one.found) for one in seen} == {len(seen[0].found)}
    assert seen[0].answers
    await connector.aclose()


async def test_a_dump_that_is_replaced_between_the_list_and_its_reading_is_looked_for_again(nights: Nights) -> None:
    await nights.worker()
    gate = LaneGate(Lane("old"))
    await gate.resize(8, valid_until=time.monotonic() + 60)
    connector = sandbox_legacy.connect(
        nights.estate.erp[0], secret=PASSWORD, gate=gate, clock=nights.clock, transport=_Replacing(nights.erp)
    )
    scope = Scope(BusinessKey("clm/C-1"), "TN01", BusinessKey("TN-001"), "TN-TVA", "NET30", (), ())
    seen = await connector.observe(scope, CallContext("look", time.monotonic() + 60))
    assert seen.references.legal_entity is not None
    await connector.aclose()
