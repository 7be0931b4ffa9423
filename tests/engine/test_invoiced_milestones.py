"""An amendment after invoices: the unbilled rest is applied, what was invoiced stays, the difference is a task."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.desired import Found, Kind
from sync_core.life.amendments import Fate
from tests.commands.people import FINANCE
from tests.engine.governed import Desk
from tests.sows import SIGNED_AT, cloud_event, signed

DESIGN, GOLIVE = "clm/C-1#M:design", "clm/C-1#M:golive"
LOWER = [
    {"key": "design", "name": "Design", "amount": "8000.00", "due_on": "2026-05-29", "line": "1"},
    {"key": "golive", "name": "Go-live", "amount": "16000.00", "due_on": "2026-10-30", "line": "1"},
]


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    """Provisioned, and its first milestone invoiced."""
    bench = Desk(async_database, sync=database)
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    await bench.run()
    bench.erp.hold(replace(at(bench, DESIGN), billed=True))
    return bench


def at(desk: Desk, key: str) -> Found:
    return next(f for f in desk.erp.of(Kind.MILESTONE) if f.key == key)


async def amended(desk: Desk, number: int, value: str, **changes: object) -> None:
    header = {"number": number, "executed_at": SIGNED_AT.isoformat(), "summary": "<b>less</b> of it"}
    lines = [{"key": "1", "description": "Rollout", "amount": value}]
    data = {"contract_id": "C-1", "revision": number + 1, "amendment": header,
            "changes": {"value": value, "lines": lines, **changes}}  # fmt: skip
    await desk.arrive(cloud_event(f"a{number}", "amended.v1", data))
    await desk.run(after=timedelta(minutes=1))


async def test_the_rest_is_applied_the_contract_stays_active_and_finance_has_the_difference(desk: Desk) -> None:
    before = at(desk, DESIGN)
    await amended(desk, 1, "24000.00", milestones=LOWER)
    assert await desk.states() == {"C-1": "active"}
    assert at(desk, DESIGN) == before
    assert (at(desk, GOLIVE).fields["amount"], at(desk, GOLIVE).fields["bill_on"]) == ("16000", "2026-10-30")
    assert desk.erp.of(Kind.PROJECT)[0].fields["value"] == "24000"
    [row] = await desk.rows("SELECT cause, function, state, exposure, message FROM core.case")
    assert row == (
        "billed_differs", "finance_operations", "open", 2000,
        "milestone design was invoiced with 10,000.00 USD and is 8,000.00 USD now; credit 2,000.00 USD",
    )  # fmt: skip
    detail = desk.reads.case(await desk.case_id("billed_differs"))
    assert detail is not None
    [one] = detail.differences
    assert (one.kind, one.what, one.held, one.wanted, one.amount) == (
        "credit", "milestone design", "10000.00", "8000.00", Decimal(-2000),
    )  # fmt: skip
    assert await desk.rows("SELECT last_error FROM core.contract") == [(None,)]
    assert ("task", "task") in await desk.rows("SELECT action, status FROM core.operation")


async def test_it_closes_by_read_back_once_the_books_agree(desk: Desk) -> None:
    await amended(desk, 1, "24000.00", milestones=LOWER)
    runs = len(await desk.rows("SELECT 1 FROM core.run"))
    await desk.run(after=timedelta(hours=3))
    assert len(await desk.rows("SELECT 1 FROM core.run")) == runs  # no news
    desk.erp.hold(replace(at(desk, DESIGN), invoiced=Decimal(8000)))
    await desk.run(after=timedelta(hours=2))
    [row] = await desk.rows("SELECT state, closed_how FROM core.case")
    assert row == ("resolved", "read_back")
    assert await desk.rows("SELECT due_at FROM core.contract") == [(None,)]


async def test_a_milestone_that_was_credited_whole_is_billed_anew_as_agreed(desk: Desk) -> None:
    await amended(desk, 1, "24000.00", milestones=LOWER)
    desk.erp.hold(replace(at(desk, DESIGN), billed=False))
    await desk.run(after=timedelta(hours=2))
    assert at(desk, DESIGN).fields["amount"] == "8000"
    assert [c[2] for c in await desk.cases()] == ["resolved"]


async def test_it_closes_by_decision_and_nobody_looks_again(desk: Desk) -> None:
    await amended(desk, 1, "24000.00", milestones=LOWER)
    case = await desk.case_id("billed_differs")
    desk.people.cases.decide(FINANCE, [case], "the client keeps it as an advance")
    await desk.run(after=timedelta(hours=2))
    assert await desk.told(case) == ["opened", "decided"]
    assert await desk.rows("SELECT due_at FROM core.contract") == [(None,)]
    higher = [{**LOWER[0], "amount": "9000.00"}, LOWER[1]]
    await amended(desk, 2, "25000.00", milestones=higher)
    assert await desk.told(case) == ["opened", "decided", "reopened"]
    assert await desk.rows("SELECT exposure FROM core.case") == [(1000,)]


async def test_a_milestone_taken_out_after_its_invoice_is_credited_whole(desk: Desk) -> None:
    await amended(desk, 1, "15000.00", remove_milestones=["design"])
    assert await desk.states() == {"C-1": "active"}
    assert at(desk, DESIGN).active
    [row] = await desk.rows("SELECT exposure, state FROM core.case")
    assert row == (10000, "open")
    story = desk.reads.amendments(1)
    assert story is not None
    assert story.books is not None
    books = story.books
    assert [books.invoiced, books.to_invoice, books.difference, books.after] == [10000, 15000, -10000, 15000]


async def test_a_new_due_date_of_an_invoice_is_nothing_to_do(desk: Desk) -> None:
    before = at(desk, DESIGN)
    moved = [{"key": "design", "name": "Design", "amount": "10000.00", "due_on": "2026-08-01", "line": "1"}]
    await amended(desk, 1, "25000.00", milestones=moved)
    assert (await desk.cases(), at(desk, DESIGN), await desk.states()) == ([], before, {"C-1": "active"})


async def test_an_invoice_of_before_an_amendment_of_the_currency_is_told_in_its_own(desk: Desk) -> None:
    await amended(desk, 1, "25000.00", po_number="PO-78")
    await amended(desk, 2, "25000.00", currency="EUR")
    story = desk.reads.amendments(1)
    assert story is not None
    assert story.books is not None
    design, golive = story.books.rows
    assert (design.invoiced, design.invoiced_in, design.difference) == (Decimal(10000), "USD", Decimal(10000))
    assert (golive.invoiced, golive.to_invoice) == (None, Decimal(15000))
    assert (story.books.invoiced, story.books.invoiced_otherwise) == (Decimal(0), (("USD", Decimal(10000)),))


async def test_the_story_has_both_sides_and_adds_up(desk: Desk) -> None:
    await amended(desk, 1, "24000.00", milestones=LOWER)
    story = desk.reads.amendments(1)
    assert story is not None
    [one] = story.amendments
    assert one.step.comparison is not None
    schedule = one.step.comparison.schedule
    design, golive = schedule.rows
    assert [design.before, design.after, design.invoiced] == [10000, 8000, 10000]
    assert [golive.before, golive.after, golive.invoiced] == [15000, 16000, None]
    assert {design.fate, golive.fate} == {Fate.CHANGED}
    assert [schedule.before, schedule.after, one.step.comparison.delta] == [25000, 24000, -1000]
    assert schedule.invoiced + schedule.to_invoice + schedule.difference == 24000
    assert one.synced_at is not None
    assert one.lag is not None
