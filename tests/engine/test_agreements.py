"""What is published of a contract that is over, under a number that is used, or behind a gap: seen, and never lost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

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


async def ended(desk: Desk, terms: dict[str, object] | None = None) -> None:
    """Provisioned, invoiced in part, and terminated."""
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1", terms)))
    for held in [*desk.erp.of(Kind.LABOUR_RATE), *(f for f in desk.erp.of(Kind.MILESTONE) if f.key.endswith("design"))]:
        desk.erp.hold(replace(held, billed=True))


def again(desk: Desk, revision: int, terms: dict[str, object] | None = None) -> dict[str, object]:
    data = {**signed("C-1", terms, revision=revision), "signed_at": desk.clock.now().isoformat()}
    return cloud_event(f"again-{revision}", "signed.v1", data, at=desk.clock.now())


@pytest.mark.parametrize("at_once", [False, True], ids=["after the end was carried out", "together with the end"])
async def test_a_milestone_key_that_was_invoiced_under_the_agreement_before_stops_the_new_one(
    desk: Desk, *, at_once: bool
) -> None:
    await ended(desk)
    end = said("cancelled", 2, ended_on="2026-03-02")
    if at_once:
        await arrived(desk, end, again(desk, 3))
    else:
        await arrived(desk, end)
        assert await desk.states() == {"C-1": "ended"}
        await arrived(desk, again(desk, 3))
    made = len(desk.erp.calls)
    for _ in range(2):
        assert (await desk.states(), await desk.cases()) == (
            {"C-1": "blocked"}, [("milestone_key_reused", "legal", "open")],
        )  # fmt: skip
        [[told]] = await desk.rows("SELECT message FROM core.case")
        assert told == (
            "milestone design was invoiced under the agreement before; the new one needs a key of its own"
        )  # fmt: skip
        await desk.run(after=timedelta(hours=25))
    assert {*desk.erp.calls[made:]} == {"observe"}
    milestones = [{**one, "key": "design-2"} for one in milestone_terms()["milestones"] if one["key"] == "design"]  # type: ignore[attr-defined]
    changes = {"milestones": milestones, "remove_milestones": ["design"]}
    mended = {"contract_id": "C-1", "revision": 4, "overrides": 3, "changes": changes}
    await arrived(desk, cloud_event("k", "corrected.v1", mended, at=desk.clock.now()))
    assert await desk.states() == {"C-1": "active"}
    assert [state for *_, state in await desk.cases()] == ["resolved"]
    open_ones = {
        str(f.key).partition("#M:")[2]: f.fields["amount"] for f in desk.erp.of(Kind.MILESTONE) if not f.billed
    }
    assert open_ones == {"design-2": "10000", "golive": "15000"}


async def test_what_is_invoiced_under_the_new_agreement_is_its_own(desk: Desk) -> None:
    """A key that the agreement before had and never invoiced."""
    for event in (cloud_event("e1", "signed.v1", signed("C-1")), said("cancelled", 2, ended_on="2026-03-02")):
        await arrived(desk, event)
    await arrived(desk, again(desk, 3))
    [design] = [held for held in desk.erp.of(Kind.MILESTONE) if held.key.endswith("design")]
    desk.erp.hold(replace(design, billed=True))
    await arrived(desk, cloud_event("a1", "amended.v1", amended("C-1", revision=4, po_number="PO-9")))
    assert (await desk.states(), await desk.cases()) == ({"C-1": "active"}, [])
    [held] = desk.erp.of(Kind.PROJECT)
    assert held.fields["po_number"] == "PO-9"


@pytest.mark.parametrize("at_once", [False, True], ids=["after the end was carried out", "together with the end"])
async def test_rates_under_which_hours_were_invoiced_are_made_anew_for_the_new_agreement(
    desk: Desk, *, at_once: bool
) -> None:
    await ended(desk, tm_terms())
    [old] = desk.erp.of(Kind.PROJECT)
    desk.erp.hold(replace(old, billed=True, billed_amount=Decimal(8000)))
    await desk.arrive(said("cancelled", 2, ended_on="2026-03-02"))
    if not at_once:
        await desk.run(after=timedelta(minutes=1))
    await arrived(desk, again(desk, 3, tm_terms()))
    await desk.run(after=timedelta(minutes=1))
    assert (await desk.states(), await desk.cases()) == ({"C-1": "active"}, [])
    [held] = desk.erp.of(Kind.PROJECT)
    assert held.ref != old.ref
    assert held.fields["not_to_exceed"] == "48000"
    rates = [rate for rate in desk.erp.of(Kind.LABOUR_RATE) if rate.parent == held.ref]
    assert sorted(str(rate.fields["rate"]) for rate in rates) == ["160", "240"]


async def test_what_the_new_agreement_was_billed_for_and_then_took_out_is_to_be_credited(desk: Desk) -> None:
    """Although the agreement before had a milestone of that key: nothing of it was ever invoiced."""
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")))
    await arrived(desk, said("cancelled", 2, ended_on="2026-03-02"))
    await arrived(desk, again(desk, 3))
    assert (await desk.states(), await desk.cases()) == ({"C-1": "active"}, [])
    [design] = [held for held in desk.erp.of(Kind.MILESTONE) if held.key.endswith("design")]
    desk.erp.hold(replace(design, billed=True))
    lines = [{"key": "1", "description": "Rollout", "amount": "15000.00"}]
    out = amended("C-1", revision=4, value="15000.00", lines=lines, remove_milestones=["design"])
    await arrived(desk, cloud_event("a1", "amended.v1", out, at=desk.clock.now()))
    assert (await desk.states(), await desk.cases()) == (
        {"C-1": "active"}, [("billed_differs", "finance_operations", "open")],
    )  # fmt: skip
    told = desk.reads.amendments(1)
    assert told is not None
    assert told.books is not None
    assert (told.books.invoiced, told.books.difference) == (Decimal(10_000), Decimal(-10_000))
