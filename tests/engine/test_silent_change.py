"""A silent change in the engine: never applied, an exception of legal after the grace time, and how it ends."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.commands.desk import Changed, CommandRefused
from sync_core.desired import Kind
from tests.commands.people import LEGAL, TAX, audited
from tests.engine.governed import Desk
from tests.sows import amended, cloud_event, milestone_terms, signed

HIGHER = milestone_terms(
    value="31000.00",
    lines=[{"key": "1", "description": "Rollout", "amount": "31000.00"}],
    milestones=[
        {"key": "design", "name": "Design", "amount": "10000.00", "due_on": "2026-05-29", "line": "1"},
        {"key": "golive", "name": "Go-live", "amount": "15000.00", "due_on": "2026-09-30", "line": "1"},
        {"key": "care", "name": "Care", "amount": "6000.00", "due_on": "2026-12-31", "line": "1"},
    ],
)


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    bench = Desk(async_database, sync=database)
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    await bench.run()
    await bench.arrive(cloud_event("e2", "signed.v1", signed("C-1", HIGHER, revision=2)))
    await bench.run(after=timedelta(hours=1))
    return bench


def numbered(revision: int) -> dict[str, object]:
    """The amendment that says the same."""
    changes: dict[str, Any] = {name: HIGHER[name] for name in ("value", "lines", "milestones")}
    return cloud_event(f"a{revision}", "amended.v1", amended("C-1", revision=revision, **changes))


def held_value(desk: Desk) -> object:
    (project,) = desk.erp.of(Kind.PROJECT)
    return project.fields["value"]


async def overdue(desk: Desk) -> int:
    await desk.run(after=timedelta(hours=25))
    return await desk.case_id("silent_change")


async def test_it_is_not_applied_and_becomes_an_exception_of_legal_after_the_grace_time(desk: Desk) -> None:
    assert (await desk.cases(), held_value(desk), await desk.states()) == ([], "25000", {"C-1": "active"})
    case = await overdue(desk)
    assert (held_value(desk), await desk.states()) == ("25000", {"C-1": "active"})
    [row] = await desk.rows("SELECT cause, error_class, function, state, exposure, exposure_reporting FROM core.case")
    assert row == ("silent_change", "sequence_gap", "legal", "open", 6000, 6000)
    detail = desk.reads.case(case)
    assert detail is not None
    assert [(one.what, one.held, one.wanted) for one in detail.differences][:1] == [("value", "25000", "31000")]
    assert [one.deed for one in detail.actions if one.allowed(LEGAL)]
    assert await desk.rows("SELECT last_error FROM core.contract") == [(None,)]


async def test_it_stops_nothing_else_and_is_no_news_when_it_is_found_again(desk: Desk) -> None:
    await overdue(desk)
    runs = len(await desk.rows("SELECT 1 FROM core.run"))
    await desk.run(after=timedelta(days=2))
    assert len(await desk.rows("SELECT 1 FROM core.run")) == runs
    assert await desk.rows("SELECT occurrences FROM core.case") == [(1,)]


@pytest.mark.parametrize("how", ["amendment", "amendment of before", "the agreed terms again"])
async def test_it_ends_by_the_amendment_or_by_the_agreed_terms(desk: Desk, how: str) -> None:
    case = await overdue(desk)
    agreed = how == "the agreed terms again"
    amendment = numbered(1 if "before" in how else 9)
    await desk.arrive(cloud_event("e9", "signed.v1", signed("C-1", revision=9)) if agreed else amendment)
    await desk.run(after=timedelta(minutes=1))
    assert await desk.told(case) == ["opened", "resolved"]
    assert (held_value(desk), await desk.states()) == ("25000" if agreed else "31000", {"C-1": "active"})


async def test_within_the_grace_time_the_amendment_leaves_no_exception(desk: Desk) -> None:
    await desk.arrive(numbered(3))
    await desk.run(after=timedelta(hours=2))
    await desk.run(after=timedelta(days=3))
    assert (await desk.cases(), held_value(desk)) == ([], "31000")


async def test_legal_accepts_what_was_published(desk: Desk) -> None:
    case = await overdue(desk)
    assert desk.sync is not None
    with pytest.raises(CommandRefused):
        desk.people.amendments.accept(LEGAL, case, "")
    accepted = desk.people.amendments.accept(LEGAL, case, "signed on paper, the number was forgotten")
    assert ("value", "25000", "31000") in {(one.field, one.before, one.after) for one in accepted.changes}
    await desk.run(after=timedelta(minutes=1))
    assert await desk.told(case) == ["opened", "corrected", "resolved"]
    assert (held_value(desk), len(desk.erp.of(Kind.MILESTONE))) == ("31000", 3)
    assert [row["action"] for row in audited(desk.sync)] == ["amendment.accept"]


async def test_only_legal_accepts_and_only_what_it_saw(desk: Desk) -> None:
    case = await overdue(desk)
    with pytest.raises(Exception, match="legal"):
        desk.people.amendments.accept(TAX, case, "not mine to say")
    higher = {**HIGHER, "po_number": "PO-99"}
    await desk.arrive(cloud_event("e3", "signed.v1", signed("C-1", higher, revision=3)))
    with pytest.raises(Changed):
        desk.people.amendments.accept(LEGAL, case, "what I saw before")
    await desk.arrive(cloud_event("e4", "signed.v1", signed("C-1", revision=4)))
    with pytest.raises(CommandRefused, match="is agreed by now"):
        desk.people.amendments.accept(LEGAL, case, "what I saw before")


async def test_closed_by_decision_the_agreed_terms_stay(desk: Desk) -> None:
    case = await overdue(desk)
    desk.people.cases.decide(LEGAL, [case], "the client withdrew it, the agreed terms hold")
    for _ in range(2):
        await desk.run(after=timedelta(days=1))
    assert (await desk.told(case), held_value(desk)) == (["opened", "decided"], "25000")
    await desk.arrive(cloud_event("e3", "signed.v1", signed("C-1", {**HIGHER, "po_number": "PO-9"}, revision=3)))
    await desk.run(after=timedelta(days=2))
    assert await desk.told(case) == ["opened", "decided", "reopened"]


async def test_another_day_of_an_amendment_is_told_and_accepted_though_the_first_one_has_come(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    """What held already waits again in the ERP; the day that was accepted brings it back."""
    desk = Desk(async_database, sync=database)
    today = desk.clock.now().date()
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    for revision, since in ((2, today), (3, today + timedelta(days=10))):
        data = amended("C-1", revision=revision, po_number="PO-2")
        data["amendment"] = {**data["amendment"], "effective_on": since.isoformat()}  # type: ignore[dict-item]
        await desk.arrive(cloud_event(f"a{revision}", "amended.v1", data))
    await desk.run()
    assert held_po(desk) == "PO-2"
    case = await overdue(desk)
    detail = desk.reads.case(case)
    assert detail is not None
    days = (today.isoformat(), (today + timedelta(days=10)).isoformat())
    assert [(one.what, one.held, one.wanted) for one in detail.differences] == [("amendment 1, effective on", *days)]
    accepted = desk.people.amendments.accept(LEGAL, case, "they moved it by a letter")
    assert [(one.field, one.before, one.after) for one in accepted.changes] == [("amendment 1, effective on", *days)]
    await desk.run(after=timedelta(minutes=1))
    assert (await desk.told(case), held_po(desk)) == (["opened", "corrected", "resolved"], "PO-77")
    await desk.run(after=timedelta(days=10))
    assert (held_po(desk), await desk.states()) == ("PO-2", {"C-1": "active"})


async def test_a_correction_of_a_day_that_moves_nothing_is_told_and_one_of_no_amendment_cannot_be_accepted(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    desk = Desk(async_database, sync=database)
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    await desk.arrive(cloud_event("a1", "amended.v1", amended("C-1", revision=2, po_number="PO-2")))
    await desk.run()
    day = (desk.clock.now().date() + timedelta(days=30)).isoformat()
    days = [{"number": 1, "effective_on": day}, {"number": 2, "effective_on": day}]
    data = {"contract_id": "C-1", "revision": 3, "overrides": 1, "changes": {}, "amendment_days": days}
    await desk.arrive(cloud_event("c1", "corrected.v1", data))
    await desk.run(after=timedelta(hours=1))
    assert (await desk.cases(), held_po(desk)) == ([], "PO-2")
    case = await overdue(desk)
    detail = desk.reads.case(case)
    assert detail is not None
    wanted = ["amendment 1, effective on", "amendment 2 (never sent), effective on"]
    assert [(one.what, one.wanted) for one in detail.differences] == [(name, day) for name in wanted]
    desk.people.amendments.accept(LEGAL, case, "signed for that day")
    await desk.run(after=timedelta(minutes=1))
    assert (held_po(desk), await desk.states()) == ("PO-77", {"C-1": "active"})
    with pytest.raises(CommandRefused, match="amendment 2 was never sent"):
        desk.people.amendments.accept(LEGAL, case, "signed for that day")


def held_po(desk: Desk) -> object:
    (project,) = desk.erp.of(Kind.PROJECT)
    return project.fields["po_number"]


async def test_a_blocked_one_has_it_beside_what_blocks_it(async_database: AsyncEngine, database: sa.Engine) -> None:
    """The CLM published it mended, and nobody would know why nothing happens."""
    desk = Desk(async_database, sync=database)
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(ends_on="2026-01-01"))))
    await desk.run()
    await desk.arrive(cloud_event("e2", "signed.v1", signed("C-1", revision=2)))
    await desk.run(after=timedelta(minutes=1))
    await desk.run(after=timedelta(hours=25))
    assert {(c[0], c[2]) for c in await desk.cases()} == {("end_before_start", "open"), ("silent_change", "open")}
    desk.people.amendments.accept(LEGAL, await desk.case_id("silent_change"), "the end was mistyped")
    await desk.run(after=timedelta(minutes=1))
    assert {c[2] for c in await desk.cases()} == {"resolved"}
    assert await desk.states() == {"C-1": "active"}
