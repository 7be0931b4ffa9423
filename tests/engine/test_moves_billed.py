"""Moving contracts that were billed, or may be: a cap holds over all projects of a contract, what an ERP would still
invoice is invoiced there first, and what is held twice stays.
"""

from dataclasses import replace

import pytest

from sync_core.commands.desk import CommandRefused
from sync_core.desired import Kind
from sync_core.engine.outcome import RECHECK_TASK
from sync_core.ports import CallContext
from tests.engine.moves import OLD, Movers, TwoErps, amounts, moved, settled, value
from tests.engine.replays import ADA
from tests.engine.test_moves import DESIGN, provisioned
from tests.engine.test_moves import bench as bench
from tests.engine.test_moves import movers as movers
from tests.sows import cloud_event, milestone_terms, signed, tm_terms


async def test_hours_invoiced_before_a_move_and_back_stay_off_the_cap(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1", terms=tm_terms())
    bench.invoice_hours(bench.old, "8000")
    move_id = await moved(bench, movers, replayer)
    back = movers.moves.undo(ADA, move_id)
    await replayer.drain()
    movers.confirm(back.replay_id)
    await settled(bench, replayer)
    assert movers.items(back.replay_id) == {"C-1": ("verified", "")}
    (project,) = bench.old.of(Kind.PROJECT)
    assert (project.fields["value"], project.fields["not_to_exceed"]) == ("40000", "40000")
    assert movers.differences(move_id) == movers.differences(back.replay_id) == {0}


async def test_what_an_erp_holds_twice_is_not_moved(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1", "C-2")
    bench.invoice(bench.old, DESIGN)
    (design,) = [f for f in bench.old.of(Kind.MILESTONE) if f.key == DESIGN]
    bench.old.hold(replace(design, ref=bench.old.next_ref()))
    await bench.arrive(cloud_event("e-2", "signed.v1", signed("C-1", milestone_terms(title="Renamed"), revision=2)))
    await settled(bench, replayer)
    made = movers.preview()
    ends = movers.items(made.replay_id)
    assert ends["C-1"] == ("skipped", "blocked: legacy holds something of it twice; close one of the two there first")
    assert ends["C-2"][0] == "pending"


async def test_what_the_old_erp_would_still_invoice_is_invoiced_there_before_the_contract_leaves(
    bench: TwoErps, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.earn(bench.old, "10000")
    made = movers.preview()
    await replayer.drain()
    ((found,),) = movers.rows("SELECT findings FROM core.replay_item WHERE replay_id = :id", id=made.replay_id)
    assert [one["cause"] for one in found] == ["earned_before_move"]  # type: ignore[attr-defined]
    assert "10,000.00 USD of project E" in found[0]["message"]  # type: ignore[index]
    with pytest.raises(CommandRefused, match="no item is left"):
        movers.confirm(made.replay_id)
    bench.earn(bench.old, None)
    bench.invoice(bench.old, DESIGN)
    move_id = await moved(bench, movers, replayer)
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    assert value(bench.erp) == ["15000"]


async def test_what_is_earned_between_preview_and_turn_leaves_the_contract_where_it_was(
    bench: TwoErps, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    made = movers.preview()
    await replayer.drain()
    movers.confirm(made.replay_id)
    bench.earn(bench.old, "10000")
    await settled(bench, replayer)
    ((state, words),) = movers.items(made.replay_id).values()
    assert state == "skipped"
    assert "was earned in legacy and is not invoiced" in words
    assert (value(bench.old), value(bench.erp), bench.erp.calls.count("create project")) == (["25000"], [], 0)
    assert await bench.states() == {"C-1": "active"}


async def test_what_is_earned_while_the_contract_is_being_closed_is_made_nowhere_else_until_it_is_invoiced(
    bench: TwoErps, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    made = movers.preview()
    await replayer.drain()
    movers.confirm(made.replay_id)

    def reached(operation: str, _ctx: CallContext) -> None:
        if operation == "close":
            bench.earn(bench.old, "10000")

    bench.old.before = reached
    await settled(bench, replayer)
    bench.old.before = lambda _op, _ctx: None
    assert (value(bench.old), value(bench.erp)) == ([], [])
    assert await bench.rows("SELECT cause, function, state FROM core.case") == [
        ("earned_before_move", "finance_operations", "open")
    ]
    assert movers.placed() == [("C-1", "cloud", OLD)]
    (design,) = [f for f in bench.old.objects.values() if f.key == DESIGN]
    bench.old.hold(replace(design, active=True, billed=True))  # finance invoices it in the project that is closed
    bench.earn(bench.old, None)
    for _ in range(4):
        await settled(bench, replayer)
        bench.virtual.advance(RECHECK_TASK)
    assert (value(bench.erp), amounts(bench.erp)) == (["15000"], {"clm/C-1#M:golive": "15000"})
    assert await bench.rows("SELECT state FROM core.case") == [("resolved",)]
    assert await bench.states() == {"C-1": "active"}
