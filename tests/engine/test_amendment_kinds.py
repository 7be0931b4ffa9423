"""Amendments of no value, of less value and of earlier days, through to what the ERP holds."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.desired import Found, Kind
from tests.engine.governed import Desk
from tests.sows import SIGNED_AT, cloud_event, signed, tm_terms

DESIGN, GOLIVE = "clm/C-1#M:design", "clm/C-1#M:golive"


@pytest.fixture
def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    return Desk(async_database, sync=database)


async def provisioned(desk: Desk, terms: dict[str, object] | None = None) -> None:
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", terms)))
    await desk.run()
    assert await desk.states() == {"C-1": "active"}
    desk.erp.calls.clear()


async def amended(desk: Desk, number: int, *, effective_on: str | None = None, **changes: object) -> None:
    header: dict[str, object] = {"number": number, "executed_at": SIGNED_AT.isoformat()}
    header |= {"effective_on": effective_on} if effective_on else {}
    data = {"contract_id": "C-1", "revision": number + 1, "amendment": header, "changes": changes}
    await desk.arrive(cloud_event(f"a{number}", "amended.v1", data))
    await desk.run(after=timedelta(minutes=1))
    assert await desk.states() == {"C-1": "active"}


def milestone(key: str, name: str, amount: str, due_on: str) -> dict[str, object]:
    return {"key": key, "name": name, "amount": amount, "due_on": due_on, "line": "1"}


def line(amount: str) -> dict[str, object]:
    return {"key": "1", "description": "Rollout", "amount": amount}


def held(desk: Desk, kind: Kind) -> dict[str, Found]:
    return {str(found.key): found for found in desk.erp.of(kind)}


def schedule(desk: Desk) -> dict[str, tuple[object, object]]:
    parts = held(desk, Kind.MILESTONE)
    return {key.partition("#M:")[2]: (f.fields["amount"], f.fields["bill_on"]) for key, f in parts.items()}


def value(desk: Desk) -> object:
    (project,) = desk.erp.of(Kind.PROJECT)
    return project.fields["value"]


async def written(desk: Desk) -> set[tuple[object, object]]:
    """Kinds and fields of the updates that the ERP got since it was provisioned."""
    rows = await desk.rows("SELECT kind, after FROM core.operation WHERE action = 'update' AND status = 'done'")
    return {(kind, name) for kind, after in rows for name in after}


def writes(desk: Desk) -> list[str]:
    return sorted(
        call for call in desk.erp.calls if call.partition(" ")[0] in ("create", "update", "activate", "close")
    )


async def delta(desk: Desk) -> object:
    story = desk.reads.amendments(1)
    assert story is not None
    comparison = story.amendments[-1].step.comparison
    assert comparison is not None
    return comparison.delta


async def test_one_of_no_value_moves_money_between_milestones_and_leaves_project_and_line_alone(desk: Desk) -> None:
    await provisioned(desk)
    before = (held(desk, Kind.PROJECT), held(desk, Kind.CONTRACT_LINE))
    moved = [milestone("design", "Design", "12000.00", "2026-05-29"),
             milestone("golive", "Go-live", "13000.00", "2026-11-30")]  # fmt: skip
    await amended(desk, 1, value="25000.00", lines=[line("25000.00")], milestones=moved)
    assert schedule(desk) == {"design": ("12000", "2026-05-29"), "golive": ("13000", "2026-11-30")}
    assert (held(desk, Kind.PROJECT), held(desk, Kind.CONTRACT_LINE)) == before
    assert writes(desk) == ["update milestone", "update milestone"]
    assert await written(desk) == {("milestone", "amount"), ("milestone", "bill_on")}
    assert (await delta(desk), await desk.cases()) == (0, [])


async def test_one_of_no_value_that_names_another_order_changes_that_field_alone(desk: Desk) -> None:
    await provisioned(desk)
    await amended(desk, 1, po_number="PO-78")
    assert held(desk, Kind.PROJECT)["clm/C-1"].fields["po_number"] == "PO-78"
    assert (writes(desk), await written(desk)) == (["update project"], {("project", "po_number")})
    assert (await delta(desk), value(desk), await desk.cases()) == (0, "25000", [])


async def test_one_that_says_what_is_agreed_already_writes_nothing(desk: Desk) -> None:
    await provisioned(desk)
    await amended(desk, 1, value="25000.00", po_number="PO-77")
    assert writes(desk) == []
    assert (await delta(desk), await desk.cases()) == (0, [])


async def test_one_of_less_value_lowers_project_line_and_milestones_and_closes_what_was_taken_out(desk: Desk) -> None:
    await provisioned(desk)
    await amended(desk, 1, value="19000.00", lines=[line("19000.00")],
                  milestones=[milestone("golive", "Go-live", "9000.00", "2026-09-30")])  # fmt: skip
    assert (schedule(desk)["golive"], value(desk)) == (("9000", "2026-09-30"), "19000")
    assert await delta(desk) == -6000
    await amended(desk, 2, value="10000.00", lines=[line("10000.00")], remove_milestones=["golive"])
    assert schedule(desk) == {"design": ("10000", "2026-05-29")}
    assert [value(desk), held(desk, Kind.CONTRACT_LINE)["clm/C-1#L:1"].fields["amount"]] == ["10000", "10000"]
    assert (await delta(desk), await desk.cases()) == (-9000, [])
    assert desk.erp.creates[Kind.PROJECT, "clm/C-1"] == 1


async def test_one_of_earlier_days_holds_at_once_for_what_is_not_invoiced_and_leaves_the_invoice(desk: Desk) -> None:
    await provisioned(desk)
    desk.erp.hold(replace(held(desk, Kind.MILESTONE)[DESIGN], billed=True))
    invoiced = held(desk, Kind.MILESTONE)[DESIGN]
    earlier = [milestone("design", "Design", "11000.00", "2026-05-29"),
               milestone("golive", "Go-live", "16000.00", "2026-09-30")]  # fmt: skip
    await amended(desk, 1, effective_on="2026-01-01", value="27000.00", lines=[line("27000.00")], po_number="PO-78",
                  milestones=earlier)  # fmt: skip
    assert held(desk, Kind.MILESTONE)[DESIGN] == invoiced
    assert (schedule(desk)["golive"], value(desk)) == (("16000", "2026-09-30"), "27000")
    assert held(desk, Kind.PROJECT)["clm/C-1"].fields["po_number"] == "PO-78"
    assert await desk.rows("SELECT cause, state, exposure FROM core.case") == [("billed_differs", "open", 1000)]
    story = desk.reads.amendments(1)
    assert story is not None
    assert story.books is not None
    assert [story.books.invoiced, story.books.to_invoice, story.books.difference] == [10000, 16000, 1000]


async def test_hourly_rates_of_earlier_days_price_at_once_what_is_not_invoiced(desk: Desk) -> None:
    await provisioned(desk, tm_terms())
    senior = {"category": "SR", "name": "Senior consultant", "rate": "260.00", "planned_hours": "120", "line": "1"}
    await amended(desk, 1, effective_on="2026-01-01", rates=[senior])
    rates = {key.partition("#R:")[2]: f.fields["rate"] for key, f in held(desk, Kind.LABOUR_RATE).items()}
    assert sorted(rates.values(), key=str) == ["160", "260"]
    assert writes(desk) == ["update labour_rate"]
    assert await desk.cases() == []
