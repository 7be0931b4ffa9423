"""Approvals: a rule asks, somebody else decides, the ERP gets nothing before, and the CLM sees it."""

from datetime import timedelta

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import Forbidden, person
from sync_core.commands.desk import Changed, CommandRefused, NotFound
from sync_core.events import DECIDED
from sync_core.intake.cloudevents import parse_structured
from sync_core.intake.intake import ReceiptStatus, accept, release
from sync_core.keys import ExternalId
from sync_core.ports import PolledPage, WriteBack
from sync_core.reads.approvals import ApprovalStatus, RefusedBefore
from sync_core.writeback.writeback import write_back
from tests.commands.people import APPROVER, BRITISH_APPROVER, EVERYTHING, LEGAL, TAX, audited
from tests.engine.governed import Desk
from tests.sows import SIGNED_AT, SOURCE, cloud_event, milestone_terms, signed

SECOND = person("second@example.com", ["approver"])


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    return Desk(async_database, sync=database)


def terms(value: str, **changes: object) -> dict[str, object]:
    parts = {
        "value": value,
        "lines": [{"key": "1", "description": "Rollout", "amount": value}],
        "milestones": [{"key": "all", "name": "All", "amount": value, "due_on": "2026-09-30", "line": "1"}],
    }
    return milestone_terms(**{**parts, **changes})


def amended(number: int, value: str) -> dict[str, object]:
    made = terms(value)
    return {
        "contract_id": "C-1",
        "revision": number + 1,
        "amendment": {"number": number, "executed_at": f"2026-04-1{number}T09:00:00Z"},
        "changes": {name: made[name] for name in ("value", "lines", "milestones")},
    }


async def asked(desk: Desk, value: str = "150000.00", **changes: object) -> int:
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", terms(value, **changes))))
    await desk.run()
    return await desk.case_id("approval_needed")


async def test_below_the_threshold_nobody_is_asked(desk: Desk) -> None:
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", terms("99999.99"))))
    await desk.run()
    assert await desk.states() == {"C-1": "active"}


async def test_it_waits_with_nothing_in_the_erp_and_goes_on_when_approved(desk: Desk) -> None:
    case = await asked(desk)
    assert await desk.states() == {"C-1": "blocked"}
    assert await desk.cases() == [("approval_needed", "finance_operations", "open")]
    assert not desk.erp.objects
    [row] = desk.reads.approvals().rows
    assert (row.case.case_id, row.decidable, row.may_decide(APPROVER), row.may_decide(TAX)) == (case, True, True, False)
    assert row.who == "an approver for US01"
    assert row.case.message == ("approval needed: over 100,000 USD (Large contracts), the contract is 150,000.00 USD")
    done = desk.people.approvals.decide(APPROVER, case, True, "the board agreed", version=1)
    assert (done.approved, str(done.amount), done.currency) == (True, "150000.00", "USD")
    assert desk.reads.approvals().rows == ()
    assert (await desk.cases())[0][2] == "open"
    with pytest.raises(CommandRefused, match=r"approver@example\.com approved it"):
        desk.people.approvals.decide(SECOND, case, True, "me too")
    await desk.run()
    assert await desk.states() == {"C-1": "active"}
    assert await desk.told(case) == ["opened", "approved", "resolved"]
    [event] = await desk.rows("SELECT type, received_by, data FROM core.event WHERE id = :id", id=done.event_id)
    assert event[:2] == (DECIDED, "approval")
    assert (event[2]["by"], event[2]["reason"]) == ("approver@example.com", "the board agreed")
    assert [r["action"] for r in audited(desk.sync)] == ["approval.approve"]  # type: ignore[arg-type]


async def test_an_amendment_above_what_was_approved_asks_again(desk: Desk) -> None:
    first = await asked(desk)
    desk.people.approvals.decide(APPROVER, first, True, "fine")
    await desk.run()
    await desk.arrive(cloud_event("e2", "amended.v1", amended(1, "140000.00")))
    await desk.run()
    assert await desk.states() == {"C-1": "active"}
    await desk.arrive(cloud_event("e3", "amended.v1", amended(2, "160000.00")))
    await desk.run()
    assert await desk.states() == {"C-1": "blocked"}
    assert {f.fields.get("value") for f in desk.erp.objects.values() if "value" in f.fields} == {"140000"}
    again = await desk.case_id("approval_needed")
    assert again == first  # within seven days the same exception reopens
    assert await desk.told(first) == ["opened", "approved", "resolved", "reopened"]
    [row] = desk.reads.approvals().rows
    assert "160,000.00 USD" in row.case.message
    desk.people.approvals.decide(APPROVER, again, True, "fine as well")
    await desk.run()
    assert await desk.states() == {"C-1": "active"}


async def test_a_refusal_ends_the_question_and_is_legals_to_settle(desk: Desk) -> None:
    case = await asked(desk)
    desk.people.approvals.decide(APPROVER, case, False, "far too much risk")
    await desk.run()
    assert await desk.states() == {"C-1": "blocked"}
    assert await desk.cases() == [
        ("approval_needed", "finance_operations", "decided"), ("approval_refused", "legal", "open"),
    ]  # fmt: skip
    assert await desk.told(case) == ["opened", "refused"]
    assert not desk.erp.objects
    await desk.arrive(cloud_event("e2", "amended.v1", amended(1, "160000.00")))
    await desk.run()
    assert (await desk.cases())[1] == ("approval_refused", "legal", "open")
    refused = await desk.case_id("approval_refused")
    with pytest.raises(CommandRefused, match="was refused already"):
        desk.people.approvals.decide(SECOND, refused, False, "still no")
    desk.people.approvals.decide(SECOND, refused, True, "renegotiated, now it is fine")
    await desk.run()
    assert await desk.states() == {"C-1": "active"}


async def test_what_was_refused_shows_as_refused_until_its_data_changes(desk: Desk) -> None:
    case = await asked(desk)
    desk.people.approvals.decide(APPROVER, case, False, "far too much risk")
    refused_at = desk.clock.now()
    await desk.run(after=timedelta(minutes=1))
    assert desk.reads.approvals().rows == ()
    [row] = desk.reads.approvals(status=ApprovalStatus.REFUSED).rows
    assert row.refused == RefusedBefore("approver@example.com", "far too much risk", refused_at)
    detail = desk.reads.case(row.case.case_id)
    assert detail is not None
    assert detail.refused == row.refused
    await desk.arrive(cloud_event("e2", "amended.v1", amended(1, "120000.00")))
    await desk.run(after=timedelta(minutes=1))
    assert desk.reads.approvals(status=ApprovalStatus.REFUSED).rows == ()
    [row] = desk.reads.approvals().rows
    assert (row.case.case_id, row.refused) == (case, None)


async def test_an_approval_closes_once_the_check_passes_whatever_the_erp_says_next(desk: Desk) -> None:
    desk.erp.tax_codes.clear()
    case = await asked(desk)
    desk.people.approvals.decide(APPROVER, case, True, "the board agreed")
    await desk.run()
    assert await desk.cases() == [
        ("approval_needed", "finance_operations", "resolved"), ("tax_profile_missing", "tax", "open"),
    ]  # fmt: skip


async def test_an_amendment_below_what_was_refused_asks_again_or_needs_none(desk: Desk) -> None:
    case = await asked(desk)
    desk.people.approvals.decide(APPROVER, case, False, "too much")
    await desk.run()
    await desk.arrive(cloud_event("e2", "amended.v1", amended(1, "120000.00")))
    await desk.run()
    assert "120,000.00" in str((await desk.rows("SELECT last_error FROM core.contract"))[0][0])
    await desk.arrive(cloud_event("e3", "amended.v1", amended(2, "90000.00")))
    await desk.run()
    assert await desk.states() == {"C-1": "active"}
    assert "open" not in {state for _, _, state in await desk.cases()}


async def test_who_corrected_the_contract_may_not_approve_it(desk: Desk) -> None:
    both = person("both@example.com", ["operator:tax", "approver"])
    case = await asked(desk, tax={})
    mended = await desk.case_id("tax_code_missing")
    desk.people.corrections.submit(both, mended, {"tax": {"tax_code": "US-CA-STD"}}, "the usual code")
    [row] = desk.reads.approvals().rows
    assert (row.authors, row.may_decide(both), row.may_decide(APPROVER)) == (("both@example.com",), False, True)
    assert "but not both@example.com" in row.who
    with pytest.raises(Forbidden, match="you corrected this contract yourself"):
        desk.people.approvals.decide(both, case, True, "I think it is fine")
    desk.people.approvals.decide(APPROVER, case, True, "looks right")
    await desk.run()
    assert await desk.states() == {"C-1": "active"}


@pytest.mark.parametrize("later", ["approved.v1", "amended.v1"])
async def test_a_correction_that_later_events_leave_standing_still_has_its_author(desk: Desk, later: str) -> None:
    both = person("both@example.com", ["operator:tax", "approver"])
    case = await asked(desk, tax={})
    mended = await desk.case_id("tax_code_missing")
    desk.people.corrections.submit(both, mended, {"tax": {"tax_code": "US-CA-STD"}}, "the usual code")
    data = {"approval": "approved"} if later == "approved.v1" else {
        "amendment": {"number": 1, "executed_at": SIGNED_AT.isoformat()}, "changes": {"title": "Another title"},
    }  # fmt: skip
    await desk.arrive(cloud_event("e2", later, {"contract_id": "C-1", "revision": 2, **data}))
    await desk.run()
    with pytest.raises(Forbidden, match="you corrected this contract yourself"):
        desk.people.approvals.decide(both, case, True, "I think it is fine")
    again = signed("C-1", terms("150000.00"), revision=3)
    await desk.arrive(cloud_event("e3", "signed.v1", again))
    await desk.run()
    desk.people.approvals.decide(both, case, True, "signed anew, nothing of it is mine")


async def test_nobody_approves_after_all_more_than_they_saw(desk: Desk) -> None:
    first = await asked(desk)
    desk.people.approvals.decide(APPROVER, first, False, "far too much risk")
    await desk.run()
    refused = await desk.case_id("approval_refused")
    [row] = desk.reads.approvals(status=ApprovalStatus.REFUSED).rows
    assert "the contract is 150,000.00 USD" in row.case.message
    await desk.arrive(cloud_event("e2", "amended.v1", amended(1, "900000.00")))
    with pytest.raises(Changed, match=r"900,000\.00 USD"):
        desk.people.approvals.decide(SECOND, refused, True, "seen before the amendment")
    await desk.run()
    [row] = desk.reads.approvals(status=ApprovalStatus.REFUSED).rows
    assert "the contract is 900,000.00 USD" in row.case.message
    desk.people.approvals.decide(SECOND, refused, True, "now I saw it")


async def test_nobody_else_decides_and_only_on_what_they_saw(desk: Desk) -> None:
    case = await asked(desk)
    decide = desk.people.approvals.decide
    for actor in (EVERYTHING, LEGAL):
        with pytest.raises(Forbidden):
            decide(actor, case, True, "I may not")
    with pytest.raises(NotFound):
        decide(BRITISH_APPROVER, case, True, "not my country")
    with pytest.raises(NotFound):
        decide(APPROVER, case + 99, True, "no such thing")
    with pytest.raises(Changed):
        decide(APPROVER, case, True, "an old page", version=7)
    await desk.arrive(cloud_event("e2", "amended.v1", amended(1, "900000.00")))
    with pytest.raises(Changed, match=r"900,000\.00 USD"):
        decide(APPROVER, case, True, "seen before the amendment")
    await desk.run()
    with pytest.raises(Changed):
        decide(APPROVER, case, True, "the version is past too", version=1)
    other = await desk.rows("SELECT case_id FROM core.case WHERE cause <> 'approval_needed'")
    assert other == []


async def test_a_sender_cannot_approve_a_contract(desk: Desk) -> None:
    case = await asked(desk)
    data = {
        "contract_id": "C-1", "revision": 1, "subject": "provisioning", "rule": "Large contracts", "by": "nobody",
        "decision": "approved", "amount": "999999999", "currency": "USD", "reason": "because",
    }  # fmt: skip
    forged = parse_structured(orjson.dumps({**cloud_event("x1", "signed.v1", data), "type": DECIDED}))
    async with desk.engine.begin() as conn:
        [receipt] = await accept(conn, [forged], estate=desk.estate, now=SIGNED_AT, received_by="webhook")
    assert receipt.status is ReceiptStatus.QUARANTINED
    assert "Tieline's own commands" in str(receipt.reason)
    async with desk.engine.begin() as conn:
        assert (await release(conn, estate=desk.estate, now=SIGNED_AT)).receipts == ()
    await desk.run()
    assert await desk.states() == {"C-1": "blocked"}
    assert case == await desk.case_id("approval_needed")
    assert await desk.rows("SELECT 1 FROM core.event WHERE type = :t", t=DECIDED) == []


class Telling:
    """A CLM that remembers what it was told last."""

    name, source = "clm", SOURCE

    def __init__(self) -> None:
        self.held: dict[ExternalId, WriteBack] = {}

    async def poll(self, watermark: str | None) -> PolledPage:
        return PolledPage((), "0", more=False)

    async def write_back(self, items: object) -> None:
        self.held |= {item.external_id: item for item in items}  # type: ignore[attr-defined]

    async def aclose(self) -> None: ...


async def test_the_clm_is_told_what_is_asked_and_what_was_decided(desk: Desk) -> None:
    clm = Telling()

    async def note() -> str | None:
        await write_back(desk.engine, {SOURCE: clm}, clock=desk.clock)
        return clm.held[ExternalId("C-1")].note

    case = await asked(desk)
    assert str(await note()).startswith("approval needed: over 100,000 USD")
    desk.people.approvals.decide(APPROVER, case, False, "too much")
    await desk.run()
    assert await note() == "refused by approver@example.com: too much"
    desk.people.approvals.decide(APPROVER, await desk.case_id("approval_refused"), True, "after all")
    await desk.run()
    assert await note() == "approved by approver@example.com"
