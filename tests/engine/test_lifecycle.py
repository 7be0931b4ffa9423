"""The rest of a contract's life in its ERP: suspended, renewed by itself, ended on a day, and what is left to bill."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.desired import Kind
from sync_core.estate.estate import governed
from sync_core.intake.cloudevents import parse_structured
from sync_core.intake.intake import accept
from sync_core.policy.table import read
from tests.engine.governed import Desk
from tests.sows import cloud_event, estate, milestone_terms, signed, tm_terms

AUTOMATIC = {"renews_on": "2027-01-01", "notice_by": "2026-10-01", "automatic": True, "term_months": 12}


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    return Desk(async_database, sync=database, estate=estate())


def said(kind: str, revision: int, **data: object) -> dict[str, object]:
    return cloud_event(f"{kind}-{revision}", f"{kind}.v1", {"contract_id": "C-1", "revision": revision, **data})


async def arrived(desk: Desk, *events: dict[str, object], after: timedelta = timedelta(minutes=1)) -> None:
    await desk.arrive(*events)
    await desk.run(after=after)


async def on_day(desk: Desk, day: datetime) -> None:
    await desk.run(after=day - desk.clock.now())


def project(desk: Desk) -> dict[str, object]:
    [held] = desk.erp.of(Kind.PROJECT)
    return {name: held.fields[name] for name in ("billable", "ends_on")}


async def row(desk: Desk, columns: str) -> tuple[object, ...]:
    [found] = await desk.rows(f"SELECT {columns} FROM core.contract")
    return found


async def test_a_suspended_contract_is_not_billable_and_goes_on_when_it_is_resumed(desk: Desk) -> None:
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")))
    first = await row(desk, "first_active_at")
    await arrived(desk, said("suspended", 2, suspended_on="2026-03-02", reason="review"))
    assert await desk.states() == {"C-1": "suspended"}
    assert project(desk)["billable"] is False
    assert await row(desk, "suspension") == ("suspended since 2026-03-02: review",)
    assert await desk.cases() == []
    await desk.run(after=timedelta(days=2))
    assert await desk.states() == {"C-1": "suspended"}
    await arrived(desk, said("resumed", 3, resumed_on="2026-03-04"))
    assert await desk.states() == {"C-1": "active"}
    assert project(desk)["billable"] is True
    assert await row(desk, "suspension, first_active_at") == ("", *first)
    told = await desk.rows("SELECT action, after FROM core.operation WHERE kind = 'project' ORDER BY started_at, step")
    assert [(action, after.get("billable")) for action, after in told if after][-2:] == [
        ("update", False), ("activate", True),
    ]  # fmt: skip


async def test_suspended_before_it_was_ever_billable_it_is_set_up_and_not_counted_as_billable(desk: Desk) -> None:
    await arrived(
        desk, cloud_event("e1", "signed.v1", signed("C-1")), said("suspended", 2, suspended_on="2026-03-01")
    )  # fmt: skip
    assert await row(desk, "state, first_active_at") == ("suspended", None)
    assert project(desk)["billable"] is False
    assert await desk.rows("SELECT 1 FROM core.progress WHERE step = 'active'") == []
    await arrived(desk, said("resumed", 3, resumed_on="2026-03-02"))
    assert await desk.states() == {"C-1": "active"}
    assert len(await desk.rows("SELECT 1 FROM core.progress WHERE step = 'active'")) == 1


async def test_a_suspension_that_lies_ahead_begins_and_ends_at_the_entitys_midnight(desk: Desk) -> None:
    ahead = said("suspended", 2, suspended_on="2026-05-01", resumes_on="2026-06-01")
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")), ahead)
    assert await row(desk, "state, due_at") == ("active", datetime(2026, 5, 1, 4, tzinfo=UTC))
    await on_day(desk, datetime(2026, 5, 1, 5, tzinfo=UTC))
    assert await row(desk, "state, due_at") == ("suspended", datetime(2026, 6, 1, 4, tzinfo=UTC))
    await on_day(desk, datetime(2026, 6, 1, 5, tzinfo=UTC))
    assert await desk.states() == {"C-1": "active"}


async def test_an_automatic_renewal_changes_the_end_in_the_erp_on_its_day(desk: Desk) -> None:
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(renewal=AUTOMATIC))))
    assert project(desk)["ends_on"] == "2026-12-31"
    shown = "renewal, CAST(notice_by AS text), CAST(renewal_due AS text)"
    assert await row(desk, shown) == ("automatic", "2026-10-01", "2026-10-01")
    await on_day(desk, datetime(2027, 1, 1, 6, tzinfo=UTC))
    assert project(desk) == {"billable": True, "ends_on": "2027-12-31"}
    assert await row(desk, shown) == ("automatic", "2027-10-01", "2027-10-01")


async def test_a_declined_renewal_closes_the_project_after_the_last_day(desk: Desk) -> None:
    await arrived(
        desk,
        cloud_event("e1", "signed.v1", signed("C-1", tm_terms(renewal=AUTOMATIC))),
        said("renewal_declined", 2, declined_on="2026-09-01", reason="in-house"),
    )
    assert await row(desk, "state, renewal, CAST(renewal_due AS text)") == ("active", "declined", "2026-12-31")
    await on_day(desk, datetime(2026, 12, 31, 20, tzinfo=UTC))
    assert await desk.states() == {"C-1": "active"}
    await on_day(desk, datetime(2027, 1, 1, 6, tzinfo=UTC))
    assert await desk.states() == {"C-1": "ended"}
    assert not desk.erp.of(Kind.PROJECT)
    assert not desk.erp.of(Kind.LABOUR_RATE)


async def test_a_termination_that_lies_ahead_leaves_the_erp_alone_until_its_day(desk: Desk) -> None:
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")))
    calls = len([c for c in desk.erp.calls if c != "observe"])
    await arrived(desk, said("terminated", 2, ended_on="2026-05-20"))
    assert await desk.states() == {"C-1": "active"}
    assert len([c for c in desk.erp.calls if c != "observe"]) == calls
    await on_day(desk, datetime(2026, 5, 20, 5, tzinfo=UTC))
    assert await desk.states() == {"C-1": "ended"}
    assert not desk.erp.of(Kind.PROJECT)


async def test_what_was_due_by_the_end_can_be_invoiced_and_then_all_closes(desk: Desk) -> None:
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")))
    await on_day(desk, datetime(2026, 7, 1, 12, tzinfo=UTC))
    await arrived(desk, said("terminated", 2, ended_on="2026-06-30"))
    assert [held.fields["name"] for held in desk.erp.of(Kind.MILESTONE)] == ["Design"]
    assert project(desk)["billable"] is True
    assert await desk.cases() == [("earned_not_billed", "finance_operations", "open")]
    [(message, exposure)] = await desk.rows("SELECT message, CAST(exposure AS text) FROM core.case")
    assert message.startswith("the contract ended on 2026-06-30; not invoiced yet: Design due 2026-05-29")
    assert exposure == "10000.00"
    [milestone] = desk.erp.of(Kind.MILESTONE)
    desk.erp.hold(replace(milestone, billed=True))
    await desk.run(after=timedelta(hours=25))
    assert await desk.states() == {"C-1": "ended"}
    assert not desk.erp.of(Kind.PROJECT)
    assert [held.fields["name"] for held in desk.erp.of(Kind.MILESTONE)] == ["Design"], "what is billed stays"
    assert await desk.cases() == [("earned_not_billed", "finance_operations", "resolved")]
    await arrived(desk, said("approved", 3, approval="approved"))
    assert desk.erp.creates[Kind.PROJECT, "clm/C-1"] == 1, "a closed project is not made again"
    assert await desk.states() == {"C-1": "ended"}


async def test_a_project_that_was_closed_before_is_not_opened_for_what_was_earned(desk: Desk) -> None:
    """As an earlier release left it: it closed all that was not billed at the end."""
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")))
    await on_day(desk, datetime(2026, 7, 1, 12, tzinfo=UTC))
    for held in list(desk.erp.objects.values()):
        if not held.kind.shared:
            desk.erp.hold(replace(held, active=False))
    desk.erp.calls.clear()
    await arrived(desk, said("terminated", 2, ended_on="2026-06-30"))
    assert set(desk.erp.calls) <= {"observe"}
    assert await desk.states() == {"C-1": "ended"}
    assert await desk.cases() == [("earned_not_billed", "finance_operations", "open")]
    await arrived(desk, said("approved", 3, approval="approved"))
    assert set(desk.erp.calls) <= {"observe"}
    assert await desk.cases() == [("earned_not_billed", "finance_operations", "open")]


async def test_what_was_not_reached_is_amended_away(desk: Desk) -> None:
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")))
    await on_day(desk, datetime(2026, 7, 1, 12, tzinfo=UTC))
    await arrived(desk, said("terminated", 3, ended_on="2026-06-30"))
    amended = {"number": 1, "executed_at": "2026-07-02T09:00:00Z"}
    changes = {"remove_milestones": ["design"], "value": "15000.00",
               "lines": [{"key": "1", "description": "Rollout", "amount": "15000.00"}]}  # fmt: skip
    await arrived(desk, said("amended", 4, amendment=amended, changes=changes))
    assert await desk.states() == {"C-1": "ended"}
    assert await desk.cases() == [("earned_not_billed", "finance_operations", "resolved")]


async def test_a_cancelled_contract_leaves_nothing_open(desk: Desk) -> None:
    await arrived(desk, cloud_event("e1", "signed.v1", signed("C-1")))
    await on_day(desk, datetime(2026, 7, 1, 12, tzinfo=UTC))
    await arrived(desk, said("cancelled", 2, ended_on="2026-06-30"))
    assert await desk.states() == {"C-1": "ended"}
    assert not [held for held in desk.erp.objects.values() if held.active and not held.kind.shared]
    assert await desk.cases() == []


async def test_a_draft_is_checked_without_a_call_to_the_erp_and_legal_is_warned(desk: Desk) -> None:
    await arrived(desk, said("drafted", 1, terms=milestone_terms(tax={})))
    assert await desk.states() == {"C-1": "draft"}
    assert await desk.cases() == [("draft_would_not_provision", "legal", "open")]
    [(message, exposure, severity)] = await desk.rows("SELECT message, exposure, severity FROM core.case")
    assert "neither a tax code nor an exemption" in message
    assert (exposure, severity) == (0, "low")
    assert await row(desk, "last_error") == (None,)
    runs = len(await desk.rows("SELECT 1 FROM core.run"))
    await desk.run(after=timedelta(hours=25))
    assert len(await desk.rows("SELECT 1 FROM core.run")) == runs, "looked at again, and no news"
    await arrived(desk, said("drafted", 2, terms=milestone_terms()))
    assert await desk.cases() == [("draft_would_not_provision", "legal", "resolved")]
    assert desk.erp.calls == []


async def test_a_faultless_draft_leaves_no_trace(desk: Desk) -> None:
    async def delivered(*events: dict[str, object]) -> None:
        parsed = [parse_structured(orjson.dumps(event)) for event in events]
        async with desk.engine.begin() as conn:
            await accept(conn, parsed, estate=desk.estate, now=desk.clock.now(), received_by="test")
        await desk.run(after=timedelta(minutes=1))

    await delivered(said("drafted", 1, terms=milestone_terms()), said("approved", 2, approval="approved"))
    await delivered(said("clauses", 3, clauses={"ip": "standard"}))
    assert await desk.states() == {"C-1": "draft"}
    assert await desk.rows("SELECT 1 FROM core.case UNION ALL SELECT 1 FROM core.run") == []
    assert await row(desk, "due_at") == (None,)


async def test_the_warning_is_over_when_the_draft_is_signed_as_it_is(desk: Desk) -> None:
    await arrived(desk, said("drafted", 1, terms=milestone_terms(tax={})))
    await arrived(desk, cloud_event("e2", "signed.v1", signed("C-1", milestone_terms(tax={}), revision=2)))
    assert await desk.states() == {"C-1": "blocked"}
    assert await desk.cases() == [
        ("draft_would_not_provision", "legal", "resolved"), ("tax_code_missing", "tax", "open"),
    ]  # fmt: skip


async def test_the_warning_is_over_when_the_draft_is_cancelled(desk: Desk) -> None:
    await arrived(desk, said("drafted", 1, terms=milestone_terms(tax={})))
    await arrived(desk, said("cancelled", 2, ended_on="2026-03-02"))
    assert await desk.states() == {"C-1": "ended"}
    assert await desk.cases() == [("draft_would_not_provision", "legal", "resolved")]


CLAUSES = '[[clause]]\nname = "Liability"\nlegal_entity = "US01"\nclauses = ["liability_cap", "data_protection"]\n'


async def test_a_named_clause_that_is_not_approved_stops_the_contract_before_any_write(desk: Desk) -> None:
    desk.estate = governed(desk.estate, read(CLAUSES))
    known = said("clauses", 1, clauses={"liability_cap": "negotiated", "audit_right": "negotiated"})
    await arrived(desk, known, cloud_event("e2", "signed.v1", signed("C-1", revision=2)))
    assert await desk.states() == {"C-1": "blocked"}
    assert await desk.cases() == [("clause_not_approved", "legal", "open")]
    [(message,)] = await desk.rows("SELECT message FROM core.case")
    assert message.startswith("not approved: liability_cap (negotiated), data_protection (never reported)")
    assert not desk.erp.objects
    approved = {"liability_cap": "approved", "data_protection": "standard"}
    await arrived(desk, said("clauses", 3, clauses=approved))
    assert await desk.states() == {"C-1": "active"}
    assert await desk.cases() == [("clause_not_approved", "legal", "resolved")]
