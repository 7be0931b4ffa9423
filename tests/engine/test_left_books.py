"""A contract has left an ERP that invoiced it otherwise than it says now: finance settles it there, which is seen."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from sync_core.desired import Kind
from sync_core.engine.replaying import Replayer
from sync_core.errors import ErpUnavailable
from tests.engine.moves import OLD, Movers, TwoErps, amounts, moved, settled, value
from tests.engine.test_moves import DESIGN, GOLIVE, provisioned
from tests.engine.test_moves import bench as bench
from tests.engine.test_moves import movers as movers
from tests.sows import SIGNED_AT, amended, cloud_event, milestone_terms

CASE = "SELECT state, closed_how, exposure FROM core.case WHERE cause = 'billed_differs'"


async def differing(bench: TwoErps, movers: Movers, *, gone: bool = False) -> tuple[Replayer, int]:
    """Moved with its design invoiced, which is then amended to 8,000, or away. The move's number."""
    replayer = await provisioned(bench, "C-1")
    bench.invoice(bench.old, DESIGN)
    move_id = await moved(bench, movers, replayer)
    terms = milestone_terms(value="15000.00" if gone else "23000.00")
    lines = [{"key": "1", "description": "Rollout", "amount": terms["value"]}]
    first = {**terms["milestones"][0], "amount": "8000.00"}  # type: ignore[index]
    change: dict[str, object] = {"remove_milestones": ["design"]} if gone else {"milestones": [first]}
    header = {"number": 1, "executed_at": SIGNED_AT.isoformat()}
    changes = {"value": terms["value"], "lines": lines, **change}
    data: dict[str, object] = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": changes}
    await bench.arrive(cloud_event("a1", "amended.v1", data))
    await settled(bench, replayer)
    assert movers.rows(CASE) == [("open", None, 10000 if gone else 2000)]
    return replayer, move_id


async def hours(bench: TwoErps, replayer: Replayer, count: int = 2) -> None:
    for _ in range(count):
        bench.virtual.advance(timedelta(hours=1, minutes=1))
        await settled(bench, replayer, rounds=2)


def held(bench: TwoErps, **changes: object) -> None:
    (design,) = [f for f in bench.old.objects.values() if f.key == DESIGN]
    bench.old.hold(replace(design, **changes))  # type: ignore[arg-type]


async def test_it_closes_by_read_back_once_the_books_of_the_erp_that_was_left_agree(
    bench: TwoErps, movers: Movers
) -> None:
    replayer, move_id = await differing(bench, movers)
    await hours(bench, replayer)
    assert movers.rows(CASE)[0][0] == "open"
    held(bench, invoiced=Decimal(8000))
    await hours(bench, replayer)
    assert movers.rows(CASE) == [("resolved", "read_back", 2000)]
    assert movers.rows("SELECT behind FROM core.placement") == [
        ({OLD: {"billed": "8000", "milestones": {DESIGN: "8000"}}},)
    ]
    assert (amounts(bench.erp), value(bench.erp)) == ({GOLIVE: "15000"}, ["15000"])
    assert movers.differences(move_id) == {0}
    assert movers.rows("SELECT state, due_at FROM core.contract") == [("active", None)]


async def test_settled_in_part_the_rest_is_left_to_settle(bench: TwoErps, movers: Movers) -> None:
    replayer, _ = await differing(bench, movers)
    held(bench, invoiced=Decimal(9000))
    await hours(bench, replayer)
    ((state, message),) = movers.rows("SELECT state, message FROM core.case WHERE cause = 'billed_differs'")
    assert (state, "was invoiced with 9000 in legacy, the contract says 8000" in str(message)) == ("open", True)


async def test_a_milestone_that_was_taken_out_is_settled_once_it_is_credited_whole(
    bench: TwoErps, movers: Movers
) -> None:
    replayer, _ = await differing(bench, movers, gone=True)
    held(bench, billed=False)
    await hours(bench, replayer)
    assert movers.rows(CASE) == [("resolved", "read_back", 10000)]
    assert amounts(bench.erp) == {GOLIVE: "15000"}


async def test_one_that_is_credited_whole_and_still_agreed_is_made_nowhere_else(bench: TwoErps, movers: Movers) -> None:
    """Finance may bill it anew in the ERP that was left, in the next minute."""
    replayer, _ = await differing(bench, movers)
    held(bench, billed=False)
    await hours(bench, replayer)
    assert movers.rows(CASE)[0][0] == "open"
    assert amounts(bench.erp) == {GOLIVE: "15000"}


async def test_an_erp_that_is_away_settles_nothing_and_stops_nothing(bench: TwoErps, movers: Movers) -> None:
    replayer, _ = await differing(bench, movers)
    held(bench, invoiced=Decimal(8000))
    bench.old.before = lambda _op, _ctx: ErpUnavailable(OLD, "refused the connection")
    await hours(bench, replayer)
    assert movers.rows(CASE)[0][0] == "open"
    assert movers.rows("SELECT state FROM core.contract") == [("active",)]
    bench.old.before = lambda _op, _ctx: None
    await hours(bench, replayer)
    assert movers.rows(CASE)[0][0] == "resolved"


async def test_the_erp_that_was_left_is_not_read_while_its_books_agree(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.invoice(bench.old, DESIGN)
    await moved(bench, movers, replayer)
    bench.old.calls.clear()
    await bench.arrive(cloud_event("a1", "amended.v1", amended("C-1", po_number="PO-78")))
    await settled(bench, replayer)
    assert bench.erp.of(Kind.PROJECT)[0].fields["po_number"] == "PO-78"
    assert bench.old.calls == []
