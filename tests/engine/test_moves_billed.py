"""Moving contracts that were billed, or may be: a cap holds over all projects of a contract, what an ERP would still
invoice is invoiced there first, and what is held twice stays.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest

from sync_core.commands.desk import CommandRefused
from sync_core.desired import Kind
from sync_core.engine.outcome import RECHECK_TASK
from sync_core.engine.replaying import Replayer
from sync_core.errors import ErpAmbiguous
from sync_core.ports import CallContext
from sync_core.reads.moves import FILE_COLUMNS
from tests.engine.moves import OLD, Movers, TwoErps, amounts, moved, settled, value
from tests.engine.replays import ADA
from tests.engine.test_moves import DESIGN, provisioned
from tests.engine.test_moves import bench as bench
from tests.engine.test_moves import movers as movers
from tests.sows import amended, cloud_event, milestone_terms, signed, tm_terms


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


async def signed_anew(bench: TwoErps, replayer: Replayer, terms: dict[str, object]) -> None:
    """After an end that was carried out."""
    ended = {"contract_id": "C-1", "revision": 2, "ended_on": "2026-03-02"}
    await bench.arrive(cloud_event("end", "cancelled.v1", ended))
    await settled(bench, replayer)
    assert await bench.states() == {"C-1": "ended"}
    again = {**signed("C-1", terms, revision=3), "signed_at": bench.clock.now().isoformat()}
    await bench.arrive(cloud_event("again", "signed.v1", again, at=bench.clock.now()))
    await settled(bench, replayer)


async def test_hours_of_an_agreement_that_ended_stay_off_no_cap_of_the_next_one(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1", terms=tm_terms())
    bench.invoice_hours(bench.old, "8000")
    await signed_anew(bench, replayer, tm_terms())
    bench.invoice_hours(bench.old, "3000")
    move_id = await moved(bench, movers, replayer)
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    (project,) = bench.erp.of(Kind.PROJECT)
    assert (project.fields["value"], project.fields["not_to_exceed"]) == ("45000", "45000")
    bench.invoice_hours(bench.erp, "1000")
    back = await moved(bench, movers, replayer, back=True)
    assert movers.items(back) == {"C-1": ("verified", "")}
    (project,) = bench.old.of(Kind.PROJECT)
    assert (project.fields["value"], project.fields["not_to_exceed"]) == ("44000", "44000")
    bench.invoice_hours(bench.old, "500")
    await moved(bench, movers, replayer)
    assert value(bench.erp) == ["43500"]


async def test_hours_that_another_erp_invoiced_before_the_end_stay_off_no_cap_either(
    bench: TwoErps, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1", terms=tm_terms())
    bench.invoice_hours(bench.old, "8000")
    await moved(bench, movers, replayer)
    await signed_anew(bench, replayer, tm_terms())
    await bench.arrive(cloud_event("a", "amended.v1", amended("C-1", revision=4, po_number="PO-9")))
    await settled(bench, replayer)
    (project,) = bench.erp.of(Kind.PROJECT)
    held = [project.fields[name] for name in ("value", "not_to_exceed", "po_number")]
    assert held == ["48000", "48000", "PO-9"]


async def test_a_milestone_key_that_another_erp_invoiced_before_the_end_stops_the_next_agreement(
    bench: TwoErps, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.invoice(bench.old, DESIGN)
    await moved(bench, movers, replayer)
    await signed_anew(bench, replayer, milestone_terms())
    assert await bench.states() == {"C-1": "blocked"}
    assert [row[0] for row in movers.rows("SELECT cause FROM core.case WHERE state = 'open'")] == [
        "milestone_key_reused"
    ]  # fmt: skip


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


@pytest.mark.parametrize("how", ["earned", "untold hours"])
async def test_a_contract_that_ends_on_its_way_is_closed_whatever_is_to_be_invoiced_of_it(
    bench: TwoErps, movers: Movers, how: str
) -> None:
    """Nothing of it is made in the other ERP any more, so nothing can be billed twice."""
    replayer = await provisioned(bench, "C-1", terms=tm_terms())
    made = movers.preview()
    await replayer.drain()
    movers.confirm(made.replay_id)
    closes = count()

    def lost(operation: str, _ctx: CallContext) -> ErpAmbiguous | None:
        if operation != "close" or next(closes):
            return None
        if how == "earned":
            bench.earn(bench.old, "10000")
        else:
            bench.invoice_hours(bench.old, "0")
            for found in bench.old.of(Kind.PROJECT):
                bench.old.hold(replace(found, billed_amount=None))
        return ErpAmbiguous(OLD, "no answer")

    bench.old.before = lost
    await settled(bench, replayer, rounds=1)
    assert (len(bench.old.of(Kind.PROJECT)), movers.placed()) == (1, [("C-1", "cloud", OLD)])
    await bench.arrive(cloud_event("e-2", "cancelled.v1", {
        "contract_id": "C-1", "revision": 2, "ended_on": bench.clock.now().date().isoformat()}))  # fmt: skip
    for _ in range(3):
        await settled(bench, replayer)
        bench.virtual.advance(timedelta(minutes=10))
    assert (value(bench.old), value(bench.erp), bench.erp.calls.count("create project")) == ([], [], 0)
    assert await bench.states() == {"C-1": "ended"}
    assert await bench.rows("SELECT cause FROM core.case WHERE state = 'open'") == []


async def test_what_is_not_billed_any_more_is_told_in_the_reconciliation(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1", "C-2", "C-3")
    await bench.arrive(cloud_event("e-4", "signed.v1", signed("C-4", milestone_terms(tax={}))))
    bench.invoice(bench.old, DESIGN)
    await settled(bench, replayer)
    move_id = await moved(bench, movers, replayer)
    ended = {"contract_id": "C-1", "revision": 2, "ended_on": bench.clock.now().date().isoformat()}
    await bench.arrive(cloud_event("x", "cancelled.v1", ended))
    await settled(bench, replayer)
    rows = {str(row["contract"]): row for row in movers.reconciled(move_id)}
    assert list(rows["C-1"])[-3:] == ["stands", "item", "why"], "programs read the columns of the file by place"
    assert tuple(rows["C-1"]) == FILE_COLUMNS
    told = {name: (row["difference"], row["why"], row["billed_old"]) for name, row in rows.items()}
    assert told["C-1"] == (15000, "ended", 10000)
    assert (told["C-2"], told["C-3"]) == ((0, "", 0), (0, "", 0))
    assert told["C-4"] == (25000, "nowhere", 0), "its tax code is missing, so it never got a project"
    (total,) = movers.totals(move_id)
    assert [(one.why.value, one.contracts, one.amount.amount) for one in total.parts] == [
        ("ended", 1, Decimal(15000)), ("nowhere", 1, Decimal(25000))
    ]  # fmt: skip
    assert total.sums.difference.amount == sum(one.amount.amount for one in total.parts)
