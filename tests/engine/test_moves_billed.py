"""Moving contracts that were billed: a cap holds over all projects of a contract, and what is held twice stays."""

from dataclasses import replace

from sync_core.desired import Kind
from tests.engine.moves import Movers, TwoErps, moved, settled
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
