"""What is published of a contract that is over, under a number that is used, or behind a gap: seen, and never lost."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.desired import Kind
from tests.commands.people import LEGAL
from tests.engine.governed import Desk
from tests.engine.test_lifecycle import AUTOMATIC, arrived, on_day, project, said
from tests.sows import amended, cloud_event, estate, milestone_terms, signed, tm_terms

OVER = datetime(2027, 1, 3, 12, tzinfo=UTC)
NEXT = milestone_terms(
    value="50000.00", starts_on="2027-02-01", ends_on="2027-12-31",
    lines=[{"key": "1", "description": "Rollout", "amount": "50000.00"}],
    milestones=[{"key": "two", "name": "Two", "amount": "50000.00", "due_on": "2027-06-30", "line": "1"}],
)  # fmt: skip


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    return Desk(async_database, sync=database, estate=estate())


async def expired(desk: Desk) -> None:
    """Its renewal was declined, and its last day is over."""
    await arrived(
        desk,
        cloud_event("e1", "signed.v1", signed("C-1", tm_terms(renewal=AUTOMATIC))),
        said("renewal_declined", 2, declined_on="2026-09-01"),
    )
    await on_day(desk, OVER)
    assert await desk.states() == {"C-1": "ended"}


async def test_signed_anew_after_a_declined_renewal_it_gets_a_new_project(desk: Desk) -> None:
    await expired(desk)
    anew = {**signed("C-1", NEXT, revision=3), "signed_at": desk.clock.now().isoformat()}
    await arrived(desk, cloud_event("e9", "signed.v1", anew, at=desk.clock.now()))
    assert (await desk.states(), await desk.cases()) == ({"C-1": "active"}, [])
    assert project(desk) == {"billable": True, "ends_on": "2027-12-31"}
    assert [held.fields["name"] for held in desk.erp.of(Kind.MILESTONE)] == ["Two"]


async def test_published_otherwise_after_its_last_day_it_becomes_an_exception(desk: Desk) -> None:
    """As it was signed before the end, it is no new signature; nor is it nothing."""
    await expired(desk)
    await arrived(desk, cloud_event("e9", "signed.v1", signed("C-1", NEXT, revision=3), at=desk.clock.now()))
    assert (await desk.states(), await desk.cases()) == ({"C-1": "ended"}, [])
    await desk.run(after=timedelta(hours=25))
    assert (await desk.states(), await desk.cases()) == ({"C-1": "ended"}, [("silent_change", "legal", "open")])
    desk.people.amendments.accept(LEGAL, await desk.case_id("silent_change"), "they went on after all")
    await desk.run(after=timedelta(minutes=1))
    assert (await desk.states(), [state for *_, state in await desk.cases()]) == ({"C-1": "active"}, ["resolved"])


async def test_a_number_that_is_used_again_waits_for_legal(desk: Desk) -> None:
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")))
    await arrived(desk, cloud_event("a1", "amended.v1", amended("C-1", po_number="PO-1")))
    await arrived(desk, cloud_event("a1b", "amended.v1", amended("C-1", revision=3, po_number="PO-2")))
    [held] = desk.erp.of(Kind.PROJECT)
    assert (held.fields["po_number"], await desk.cases()) == ("PO-1", [])
    story = desk.reads.amendments(1)
    assert story is not None
    assert ([one.step.event_id for one in story.amendments], len(story.silent)) == (["a1"], 1)
    await desk.run(after=timedelta(hours=25))
    assert await desk.cases() == [("silent_change", "legal", "open")]
    desk.people.amendments.accept(LEGAL, await desk.case_id("silent_change"), "the number was used twice by mistake")
    await desk.run(after=timedelta(minutes=1))
    [held] = desk.erp.of(Kind.PROJECT)
    assert (held.fields["po_number"], await desk.cases()) == ("PO-2", [("silent_change", "legal", "resolved")])


async def test_further_amendments_do_not_put_off_that_one_is_missing(desk: Desk) -> None:
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")))
    await arrived(desk, cloud_event("a2", "amended.v1", amended("C-1", 2, po_number="P2")))
    await arrived(desk, cloud_event("a3", "amended.v1", amended("C-1", 3, po_number="P3")), after=timedelta(hours=20))
    assert (await desk.states(), await desk.cases()) == ({"C-1": "waiting"}, [])
    await arrived(desk, cloud_event("a4", "amended.v1", amended("C-1", 4, po_number="P4")), after=timedelta(hours=5))
    assert await desk.cases() == [("amendment_missing", "legal", "open")]


async def test_what_was_to_hold_after_the_end_never_reaches_the_erp(desk: Desk) -> None:
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")))
    ahead = amended("C-1", po_number="PO-2027", billing={"kind": "milestones", "payment_terms": "NET90"})
    ahead["amendment"] = {"number": 1, "executed_at": desk.clock.now().isoformat(), "effective_on": "2027-01-01"}
    await arrived(desk, cloud_event("a1", "amended.v1", ahead))
    await arrived(desk, said("terminated", 3, ended_on="2026-06-15"))
    for day in (datetime(2026, 6, 16, 12, tzinfo=UTC), OVER):
        await on_day(desk, day)
        [held] = desk.erp.of(Kind.PROJECT)
        assert (held.fields["po_number"], held.fields["payment_terms"]) == ("PO-77", "NET30")
        assert ("earned_not_billed", "finance_operations", "open") in await desk.cases()
