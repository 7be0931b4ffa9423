"""Moving contracts from and to ERPs that have a cut-over, are only observed, or held the contracts before Tieline."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.commands.desk import CommandRefused
from sync_core.engine.replaying import Replayer
from sync_core.estate.estate import ErpMode
from sync_core.moving.adoption import Adoption
from tests.engine.moves import NEW, OLD, Movers, TwoErps, moved, settled, value
from tests.engine.replays import ADA
from tests.engine.test_adopting import decide, forgotten, looked
from tests.engine.test_moves import provisioned
from tests.sows import SIGNED_AT, milestone_terms


@pytest.fixture
def bench(async_database: AsyncEngine) -> TwoErps:
    return TwoErps(async_database)


@pytest.fixture
def movers(database: sa.Engine, bench: TwoErps) -> Movers:
    return Movers(database, bench)


async def under(bench: TwoErps, lane: str, **changes: object) -> Replayer:
    """Workers made from now on see this ERP otherwise; those of before are gone, and their slots are free."""
    erps = tuple(replace(e, **changes) if e.name == lane else e for e in bench.estate.erp)  # type: ignore[arg-type]
    bench.estate = replace(bench.estate, erp=erps)
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.lane_slot SET worker_id = NULL, lease_until = NULL"))
    return Replayer(await bench.worker())


async def test_the_cut_over_of_the_new_erp_is_not_for_contracts_that_are_moved_there(
    bench: TwoErps, movers: Movers
) -> None:
    await provisioned(bench, "C-1")
    cut_over = date(2026, 6, 1)
    assert SIGNED_AT.date() < cut_over
    replayer = await under(bench, NEW, cut_over=cut_over)
    move_id = await moved(bench, movers, replayer)
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    assert (value(bench.old), value(bench.erp)) == ([], ["25000"])
    assert (await bench.states(), bench.billable()) == ({"C-1": "active"}, {"clm/C-1": 1})
    assert movers.differences(move_id) == {0}


async def test_nor_is_that_of_the_old_erp_for_contracts_that_are_taken_back(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1")
    move_id = await moved(bench, movers, replayer)
    assert (value(bench.old), value(bench.erp)) == ([], ["25000"])
    replayer = await under(bench, OLD, cut_over=date(2026, 6, 1))
    back = movers.moves.undo(ADA, move_id)
    await replayer.drain()
    movers.confirm(back.replay_id)
    await settled(bench, replayer)
    assert movers.items(back.replay_id) == {"C-1": ("verified", "")}
    assert (value(bench.old), value(bench.erp)) == (["25000"], [])


@pytest.mark.parametrize("lane", [OLD, NEW])
async def test_a_move_from_or_to_an_erp_that_is_only_observed_is_stopped_by_its_preview(
    bench: TwoErps, movers: Movers, lane: str
) -> None:
    replayer = await provisioned(bench, "C-1")
    made = movers.preview()  # the file is changed after it was asked for
    replayer = await under(bench, lane, mode=ErpMode.OBSERVE)
    await replayer.drain()
    ((found,),) = movers.rows("SELECT findings FROM core.replay_item WHERE replay_id = :id", id=made.replay_id)
    assert [(one["cause"], one["message"]) for one in found] == [  # type: ignore[attr-defined]
        ("erp_observed", f"{lane} is only observed")
    ]
    with pytest.raises(CommandRefused):
        movers.confirm(made.replay_id)
    assert (value(bench.old), value(bench.erp)) == (["25000"], [])


async def test_a_preview_says_that_an_adopted_contract_waits_for_its_keys(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1", terms=milestone_terms(title="Rollout C-1"))
    await forgotten(bench, bench.old)
    decide(movers.engine, bench, await looked(bench, lane=OLD, erp=bench.old), lane=OLD)
    made = movers.preview()
    await replayer.previewer.drain()
    await replayer.dispatcher.tick()
    ((cause, words),) = movers.rows(
        "SELECT findings -> 0 ->> 'cause', findings -> 0 ->> 'message' FROM core.replay_item"
    )
    assert (cause, "does not bear our keys yet" in str(words)) == ("adoption_waits", True)
    with pytest.raises(CommandRefused):
        movers.confirm(made.replay_id)
    await settled(bench, replayer)
    assert (await bench.states(), value(bench.old)) == ({"C-1": "active"}, ["25000"])
    move_id = await moved(bench, movers, replayer)
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    assert (value(bench.old), value(bench.erp), bench.billable()) == ([], ["25000"], {"clm/C-1": 1})


async def on_its_way(bench: TwoErps, movers: Movers) -> tuple[Replayer, int, list[Adoption]]:
    """A move that is about to take C-1, of which the old ERP holds a project under no key of ours: it was found."""
    replayer = await provisioned(bench, "C-1", terms=milestone_terms(title="Rollout C-1"))
    await forgotten(bench, bench.old)
    found = await looked(bench, lane=OLD, erp=bench.old)
    made = movers.preview()
    await replayer.previewer.drain()
    await replayer.dispatcher.tick()
    movers.confirm(made.replay_id)
    await replayer.dispatcher.tick()
    return replayer, made.replay_id, found


def lose(movers: Movers) -> None:
    """As a worker leaves it that dies with the contract in its hands."""
    with movers.engine.begin() as conn:
        conn.execute(sa.text("UPDATE core.replay_item SET in_hand = true"))


async def stays(bench: TwoErps, movers: Movers) -> None:
    assert (value(bench.old), value(bench.erp), bench.billable()) == (["25000"], [], {"clm/C-1": 1})
    assert (await bench.states(), movers.placed()) == ({"C-1": "active"}, [])


@pytest.mark.parametrize("lost", [False, True], ids=["", "a worker was lost with it"])
async def test_a_contract_that_is_adopted_while_it_waits_for_its_turn_stays(
    bench: TwoErps, movers: Movers, lost: bool
) -> None:
    replayer, move_id, found = await on_its_way(bench, movers)
    decide(movers.engine, bench, found, lane=OLD)
    if lost:
        lose(movers)
    await settled(bench, replayer)
    state, words = movers.items(move_id)["C-1"]
    assert (state, "does not bear our keys yet" in words) == ("skipped", True), words
    await stays(bench, movers)


async def test_one_that_is_adopted_after_its_item_came_to_nothing_stays_too(bench: TwoErps, movers: Movers) -> None:
    replayer, move_id, found = await on_its_way(bench, movers)
    lose(movers)
    bench.erp.tax_codes.clear()
    await settled(bench, replayer, rounds=2)
    assert (movers.items(move_id)["C-1"][0], movers.placed()) == ("skipped", [("C-1", NEW, OLD)])
    bench.erp.tax_codes.add("US-CA-STD")
    decide(movers.engine, bench, found, lane=OLD)
    bench.virtual.advance(timedelta(hours=1))
    await settled(bench, replayer)
    await stays(bench, movers)
