"""An ERP that is only observed: what would be done is kept and told, nothing is written, and later it converges."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.commands.desk import CommandRefused
from sync_core.desired import Kind
from sync_core.engine.replaying import Replayer
from sync_core.estate.estate import Erp, ErpMode
from sync_core.moving import observed_sql
from tests.engine.replays import Staff
from tests.engine.support import Bench
from tests.sows import SIGNED_AT, cloud_event, signed


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database)


async def under(bench: Bench, **changes: object) -> Replayer:
    """A worker under an estate whose ERP is changed like this; what others had in hand is free."""
    erp: Erp = replace(bench.estate.erp[0], **changes)  # type: ignore[arg-type]
    bench.estate = replace(bench.estate, erp=(erp,))
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.lane_slot SET worker_id = NULL, lease_until = NULL"))
        if erp.mode is ErpMode.WRITE:
            await observed_sql.resume(conn, [erp.name], now=bench.clock.now())
    return Replayer(await bench.worker())


def writes(bench: Bench) -> int:
    return sum(call.startswith(("create", "update", "activate", "close")) for call in bench.erp.calls)


async def test_what_would_be_done_is_kept_and_nothing_is_written(bench: Bench) -> None:
    replayer = await under(bench, mode=ErpMode.OBSERVE)
    await bench.arrive(cloud_event("e-1", "signed.v1", signed("C-1")))
    await replayer.drain()
    assert (writes(bench), await bench.states()) == (0, {"C-1": "waiting"})
    ((lane, words, plan),) = await bench.rows("SELECT lane, words, plan FROM core.observed")
    assert (lane, words) == ("cloud", "cloud is only observed; would create 4, activate 1")
    assert {effect["kind"] for effect in plan} >= {"project", "milestone", "contract_line"}
    assert await bench.rows("SELECT count(*) FROM core.case") == [(0,)]


async def test_once_it_may_be_written_to_contracts_converge_and_are_observed_no_more(bench: Bench) -> None:
    replayer = await under(bench, mode=ErpMode.OBSERVE)
    await bench.arrive(cloud_event("e-1", "signed.v1", signed("C-1")))
    await replayer.drain()
    bench.virtual.advance(timedelta(minutes=1))
    replayer = await under(bench, mode=ErpMode.WRITE)
    await replayer.drain()
    assert await bench.states() == {"C-1": "active"}
    assert await bench.rows("SELECT count(*) FROM core.observed") == [(0,)]


async def test_what_is_as_wanted_is_active_though_its_erp_is_only_observed(bench: Bench) -> None:
    await bench.arrive(cloud_event("e-1", "signed.v1", signed("C-1")))
    await (await under(bench)).drain()
    before = writes(bench)
    replayer = await under(bench, mode=ErpMode.OBSERVE)
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.contract SET due_at = :now"), {"now": bench.clock.now()})
    await replayer.drain()
    assert (await bench.states(), writes(bench)) == ({"C-1": "active"}, before)
    assert await bench.rows("SELECT count(*) FROM core.observed") == [(0,)]


async def test_what_an_observed_erp_lacks_is_told_and_raised_once_it_is_written_to(bench: Bench) -> None:
    bench.erp.tax_codes.clear()
    replayer = await under(bench, mode=ErpMode.OBSERVE)
    await bench.arrive(cloud_event("e-1", "signed.v1", signed("C-1")))
    await replayer.drain()
    ((words,),) = await bench.rows("SELECT words FROM core.observed")
    assert words.startswith("cloud is only observed; would stop: the ERP has no tax profile")
    assert await bench.rows("SELECT count(*) FROM core.case") == [(0,)]
    bench.virtual.advance(timedelta(minutes=1))
    await (await under(bench, mode=ErpMode.WRITE)).drain()
    assert await bench.rows("SELECT cause FROM core.case") == [("tax_profile_missing",)]


@pytest.mark.parametrize(
    ("cut_over", "state", "projects"), [(date(2026, 3, 3), "waiting", 0), (date(2026, 3, 2), "active", 1)]
)
async def test_what_was_signed_before_the_cut_over_is_not_created(
    bench: Bench, cut_over: date, state: str, projects: int
) -> None:
    assert SIGNED_AT.date() == date(2026, 3, 2)
    replayer = await under(bench, cut_over=cut_over)
    await bench.arrive(cloud_event("e-1", "signed.v1", signed("C-1")))
    await replayer.drain()
    assert (await bench.states(), len(bench.erp.of(Kind.PROJECT))) == ({"C-1": state}, projects)


async def test_a_replay_into_an_observed_erp_is_stopped_by_its_preview(bench: Bench, database: sa.Engine) -> None:
    replayer = await under(bench, mode=ErpMode.OBSERVE)
    await bench.arrive(cloud_event("e-1", "signed.v1", signed("C-1")))
    await replayer.drain()
    staff = Staff(database, bench)
    made = staff.preview("C-1")
    await replayer.drain()
    found = staff.rows("SELECT findings -> 0 ->> 'cause', creates FROM core.replay_item")
    assert found == [("erp_observed", 4)]
    with pytest.raises(CommandRefused, match="no item is left"):
        staff.confirm(made.replay_id)
