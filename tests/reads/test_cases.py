"""Work on exceptions as it is read: filters, groups, ages, approvals and one exception with all that hangs on it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from sync_core.authority import person
from sync_core.reads import ExceptionFilter, Reads, Window
from sync_core.reads.ages import CALENDAR_BUCKETS, WORKING_BUCKETS, cuts_of
from sync_core.reads.approvals import ApprovalStatus
from tests.commands.people import APPROVER, BRITISH_TAX, EXECUTIVE, LEGAL, TAX
from tests.reads.conftest import reads_over
from tests.reads.handmade import add_case, add_contract, add_event, insert
from tests.rows import NOW


def listed(reads: Reads, **wanted: object) -> list[int]:
    return [row.case_id for row in reads.exceptions(ExceptionFilter(**wanted)).rows]  # type: ignore[arg-type]


def test_exceptions_are_filtered_by_the_work_on_them(database: sa.Engine, reads: Reads) -> None:
    contract = add_contract(database, external_id="MSA_100%", customer_name="Harbour Mutual", title="Claims")
    mine = add_case(database, contract, "a", assignee="ada@example.com", group_key="g1", due_at=NOW)
    seen = add_case(database, contract, "b", acknowledged_at=NOW, acknowledged_by="bob", due_at=NOW + timedelta(days=1))
    other = add_case(database, add_contract(database, external_id="OTHER", customer_name="Acme"), "c", group_key="g1")
    decided = add_case(database, contract, "d", state="decided", closed_how="decision", resolved_at=NOW)
    resolved = add_case(database, contract, "e", state="resolved", closed_how="read_back", resolved_at=NOW)
    assert listed(reads, assignee="ada@example.com") == [mine]
    assert set(listed(reads, unassigned=True)) == {seen, other}
    assert listed(reads, acknowledged=True) == [seen]
    assert set(listed(reads, acknowledged=False)) == {mine, other}
    assert set(listed(reads, group="g1")) == {mine, other}
    assert listed(reads, due_before=NOW + timedelta(hours=1)) == [mine]
    assert set(listed(reads, text="harbour mut")) == {mine, seen}
    assert set(listed(reads, text="100%")) == {mine, seen}
    assert listed(reads, text="1_0") == listed(reads, text="MSA 100") == []
    assert listed(reads, text="\\' OR true --\0") == []
    assert listed(reads, state="decided") == [decided]
    assert set(listed(reads, state="closed")) == {decided, resolved}
    assert len(listed(reads, state="all")) == 5


# NOW is Monday, 23 November 2026, 06:00 UTC: before any office opens, after a weekend. New York has Veterans Day on
# the 11th; nobody here keeps holidays, because the estate's entities name no country for them.
MOMENTS = {
    datetime(2026, 11, 23, 5, tzinfo=UTC): 0,  # the night
    datetime(2026, 11, 20, 21, tzinfo=UTC): 0,  # Friday afternoon in New York, 16:00
    datetime(2026, 11, 20, 14, tzinfo=UTC): 1,  # Friday as New York opens: one day
    datetime(2026, 11, 18, 14, tzinfo=UTC): 2,
    datetime(2026, 11, 12, 14, tzinfo=UTC): 3,  # seven working days before Monday
    datetime(2026, 11, 3, 14, tzinfo=UTC): 4,
    datetime(2026, 10, 1, 14, tzinfo=UTC): 5,
}  # fmt: skip


def test_ages_are_in_working_days_and_every_open_one_is_in_one_bucket(database: sa.Engine, reads: Reads) -> None:
    contract = add_contract(database)
    ids: dict[int, list[int]] = {}
    for n, (at, bucket) in enumerate(MOMENTS.items()):
        ids.setdefault(bucket, []).append(add_case(database, contract, f"c{n}", opened_at=at, seen_at=at))
    add_case(database, contract, "closed", state="resolved", resolved_at=NOW)
    for bucket in range(len(WORKING_BUCKETS)):
        assert sorted(listed(reads, age=bucket)) == sorted(ids.get(bucket, [])), WORKING_BUCKETS[bucket]
    ageing = reads.exception_ageing()
    assert [b.count for b in ageing.working] == [2, 1, 1, 1, 1, 1]
    assert [b.name for b in ageing.calendar] == list(CALENDAR_BUCKETS)
    assert sum(b.count for b in ageing.calendar) == sum(b.count for b in ageing.working) == 7
    assert ageing.by_function["tax"] == ageing.working
    assert ageing.working[5].oldest == datetime(2026, 10, 1, 14, tzinfo=UTC)
    assert ageing.working[0].exposure.money.amount == 100  # all of them are of one contract


def test_each_legal_entity_is_aged_by_its_own_calendar_around_all_cuts(database: sa.Engine, reads: Reads) -> None:
    """Between the cuts of two calendars an age is in one bucket by the one and in the next by the other."""
    cuts = cuts_of(reads.estate, NOW).by_entity
    moments = sorted({at + timedelta(hours=h) for own in cuts.values() for at in own for h in (-1, 0, 1)})
    expected = dict.fromkeys(range(len(WORKING_BUCKETS)), 0)
    apart = 0
    for entity in (*reads.estate.entities, "??"):
        contract = add_contract(database, legal_entity=entity)
        for n, at in enumerate(moments):
            add_case(database, contract, f"c{n}", opened_at=at)
            bucket = sum(at <= cut for cut in cuts.get(entity, cuts[""]))
            expected[bucket] += 1
            apart += any(sum(at <= cut for cut in other) != bucket for other in cuts.values())
    assert [b.count for b in reads.exception_ageing().working] == list(expected.values())
    assert [reads.exceptions(ExceptionFilter(age=index)).total for index in expected] == list(expected.values())
    assert apart > 20
    british = reads.within(BRITISH_TAX).exception_ageing()
    assert sum(b.count for b in british.working) == len(moments)


def test_an_exception_that_reopened_is_as_old_as_it_ever_was(database: sa.Engine, reads: Reads) -> None:
    case = add_case(database, add_contract(database), "c", first_opened_at=NOW - timedelta(days=90))
    assert listed(reads, age=5) == [case]
    assert [b.count for b in reads.exception_ageing().calendar] == [0, 0, 1, 0]


def test_contracts_of_unknown_entities_are_aged_by_the_groups_calendar(database: sa.Engine, reads: Reads) -> None:
    case = add_case(database, add_contract(database, legal_entity="??"), "c", hours=24 * 400)
    assert listed(reads, age=5) == [case]
    assert reads.exception_ageing().working[5].count == 1


def test_groups_add_up_money_and_name_an_example(database: sa.Engine, reads: Reads) -> None:
    for n in range(3):
        add_case(
            database, add_contract(database), "a", group_key="g", message=f"no tax {n}", hours=n + 1, operation="check",
            due_at=NOW - timedelta(hours=1), exposure_reporting=Decimal(50), assignee="x" if n else None,
        )  # fmt: skip
    add_case(database, add_contract(database), "b", group_key="h", exposure_reporting=Decimal(500))
    add_case(
        database, add_contract(database, currency="BRL"), "a", group_key="g", currency="BRL", exposure_reporting=None
    )
    small, *_ = (group for group in reads.case_groups() if group.group_key == "g")
    assert [group.group_key for group in reads.case_groups()] == ["h", "g"]
    assert (small.exposure.count, small.exposure.money.amount, small.overdue, small.unassigned) == (
        4,
        Decimal(150),
        3,
        2,
    )
    assert small.exposure.unconverted[0].count == 1
    assert (small.example, small.oldest) == ("no tax 0", NOW - timedelta(hours=3))
    assert set(listed(reads, group=small.query["group"])) == set(listed(reads, cause="a"))
    assert reads.case_groups(ExceptionFilter(cause="b"))[0].group_key == "h"


def test_an_old_exception_without_a_group_is_grouped_by_its_cause(database: sa.Engine, reads: Reads) -> None:
    for _ in range(2):
        add_case(database, add_contract(database), "a")
    [group] = reads.case_groups()
    assert (group.group_key, group.exposure.count) == ("a US01", 2)


SIGNED = """{"contract_id": "%s", "revision": 1, "signed_at": "2026-11-20T00:00:00Z", "terms": {"title": "T",
    "customer": {"code": "C", "name": "N"}, "legal_entity": "US01", "service_line": "tax", "geography": "AMER",
    "currency": "USD", "value": "100", "starts_on": "2026-12-01", "ends_on": null,
    "billing": {"kind": "milestones", "payment_terms": "NET30"}, "tax": {}}}"""


def test_one_exception_with_history_form_and_what_can_be_done(database: sa.Engine, reads: Reads) -> None:
    contract = add_contract(database, external_id="C-9")
    add_event(database, "C-9", "com.tieline.contract.signed.v1", SIGNED % "C-9")
    case = add_case(database, contract, "tax_code_missing", function="tax")
    insert(database, "case_history", case_id=case, what="opened", function="tax", occurred_at=NOW, recorded_at=NOW)
    detail = reads.case(case)
    assert detail is not None
    assert [moment.what for moment in detail.history] == ["opened"]
    assert detail.form is not None
    assert detail.form.values == {"tax": {"tax_code": None, "exempt": False}}
    actions = {action.name: action for action in detail.actions}
    assert {name for name, action in actions.items() if action.allowed(TAX)} == {
        "cases.assign", "cases.acknowledge", "cases.hand_over", "cases.comment", "cases.decide", "corrections.submit",
    }  # fmt: skip
    assert not actions["corrections.submit"].allowed(LEGAL)
    assert not any(action.allowed(EXECUTIVE) or action.allowed(BRITISH_TAX) for action in detail.actions)
    lacking = actions["cases.comment"].refusal(EXECUTIVE)
    assert lacking is not None
    assert lacking.words == "exceptions:write for US01 is not yours"
    assert reads.case(case + 1) is None
    assert reads.within(BRITISH_TAX).case(case) is None
    assert reads.within(TAX).case(case) is not None


def test_an_exception_that_is_talked_about_without_end_is_open_all_the_same(database: sa.Engine, reads: Reads) -> None:
    case = add_case(database, add_contract(database), "po_missing", hours=5)
    with database.begin() as conn:
        conn.execute(sa.text("""
            INSERT INTO core.case_history (case_id, what, function, occurred_at, recorded_at)
            SELECT :case, CASE n WHEN 0 THEN 'opened' ELSE 'commented' END, 'tax', at, at
            FROM generate_series(0, 1000) AS n, LATERAL (
                SELECT CAST(:now AS timestamptz) - interval '5 h' + make_interval(secs => n) AS at) AS moment
        """), {"case": case, "now": NOW})  # fmt: skip
    detail = reads.case(case)
    assert detail is not None
    assert (len(detail.history), detail.open_for) == (1_000, timedelta(hours=5))


def test_a_closed_exception_allows_comments_alone_and_says_why(database: sa.Engine, reads: Reads) -> None:
    case = add_case(database, add_contract(database), "po_missing", state="decided", resolved_at=NOW)
    detail = reads.case(case)
    assert detail is not None
    everything = person("all@example.com", ["operator", "approver", "administrator"])
    assert [action.name for action in detail.actions if action.allowed(everything)] == ["cases.comment"]
    said = {refused.words for action in detail.actions if (refused := action.refusal(everything))}
    assert said == {f"exception {case} is decided already"}


def test_events_that_cannot_be_read_leave_the_exception_without_a_form(database: sa.Engine, reads: Reads) -> None:
    contract = add_contract(database, external_id="C-8")
    add_event(database, "C-8", "com.tieline.contract.signed.v1", '{"contract_id": "C-8"}')
    detail = reads.case(add_case(database, contract, "tax_code_missing"))
    assert detail is not None
    assert detail.form is None


def test_approvals_say_who_may_decide(database: sa.Engine, reads: Reads) -> None:
    policy: dict[str, Any] = {"error_class": "policy_denied", "function": "finance_operations"}
    one = add_case(database, add_contract(database, legal_entity="GB01"), "approval_needed", hours=2, **policy)
    clm = add_case(database, add_contract(database), "clause_rejected", **policy)
    add_case(database, add_contract(database), "approval_needed", decided_by="x@example.com", **policy)
    add_case(database, add_contract(database), "tax_code_missing")
    young = add_case(database, add_contract(database, legal_entity="GB01"), "approval_needed", **policy)
    page = reads.approvals(window=Window(1))
    assert (page.total, page.rows[0].case.case_id) == (2, one)
    british = person("uk@example.com", ["approver@GB01"])
    american = person("us@example.com", ["approver@US01"])
    row = page.rows[0]
    assert (row.may_decide(british), row.may_decide(american), row.may_decide(APPROVER)) == (True, False, True)
    [second] = reads.approvals(window=Window(1, after=page.after)).rows
    assert (second.case.case_id, second.status) == (young, ApprovalStatus.WAITING)
    [third] = reads.within(american).approvals(status=ApprovalStatus.IN_CLM).rows
    assert (third.case.case_id, third.decidable, third.who) == (clm, False, "decided in the CLM")
    assert reads.within(american).approvals().rows == ()


def test_work_on_many_exceptions_is_read_in_a_moment(many: sa.Engine) -> None:
    """Few of them are open; the partial index finds those without reading the rest."""
    reads = reads_over(many)
    total = reads.exceptions().total
    assert sum(bucket.count for bucket in reads.exception_ageing().working) == total
    assert sum(group.exposure.count for group in reads.case_groups()) == total
    assert reads.exceptions(ExceptionFilter(text="Contoso")).total > 0


@pytest.mark.parametrize("age", [-1, 6, 99])
def test_an_age_that_is_no_bucket_finds_nothing(database: sa.Engine, reads: Reads, age: int) -> None:
    add_case(database, add_contract(database), "c")
    assert reads.exceptions(ExceptionFilter(age=age)).total == 0
