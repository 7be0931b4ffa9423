"""All that is known of one contract, and its history in words."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from sync_core.contract import Stage
from sync_core.money import Money
from sync_core.reads import Reads
from sync_core.reads.timeline import EXPLAINED, StoredEvent
from tests.folds import history
from tests.reads.handmade import add_case, add_contract, add_event, add_progress, insert
from tests.rows import NOW, SOURCE

PREFIX = "com.tieline.contract."
TERMS = {
    "title": "Rollout",
    "customer": {"code": "CU-1", "name": "Northwind"},
    "legal_entity": "US01",
    "service_line": "consulting",
    "geography": "AMER",
    "currency": "USD",
    "value": "100.50",
    "starts_on": "2026-11-01",
    "ends_on": None,
    "billing": {"kind": "time_and_materials", "payment_terms": "NET30"},
    "milestones": [{"key": "M1", "name": "Design", "amount": "60", "due_on": "2026-12-01"}],
    "rates": [{"category": "senior", "name": "Senior", "rate": "200"}],
}


def signed(revision: int = 1) -> str:
    terms = {"contract_id": "C-1", "revision": revision, "signed_at": "2026-11-01T10:00:00Z", "terms": TERMS}
    return orjson.dumps(terms).decode()


def amended(number: int, changes: dict[str, object]) -> str:
    header = {"number": number, "executed_at": "2026-11-05T10:00:00Z", "summary": f"change {number}"}
    body = {"contract_id": "C-1", "revision": 1 + number, "amendment": header, "changes": changes}
    return orjson.dumps(body).decode()


def stored(seq: int, what: str, data: str) -> StoredEvent:
    return StoredEvent(seq, SOURCE, f"e{seq}", f"{PREFIX}{what}", NOW, NOW, "webhook", "k", data)


def test_a_contract_that_does_not_exist_is_none(reads: Reads) -> None:
    assert reads.contract(1) is None
    assert reads.contract((SOURCE, "C-1")) is None


def test_a_contract_is_told_whole_by_either_name(database: sa.Engine, reads: Reads) -> None:
    mine = add_contract(database, external_id="C-1", took=2, last_error_class="transient")
    other = add_contract(database, external_id="C-2")
    add_event(database, "C-1", f"{PREFIX}signed.v1", signed(), at=NOW - timedelta(hours=24))
    add_event(database, "C-1", f"{PREFIX}amended.v1", amended(1, {"value": "120"}), correlation_id="newest")
    run_id = UUID(int=7)
    insert(
        database, "run", run_id=run_id, contract_id=mine, rev=1, lane="cloud", outcome="converged", state="active",
        correlation_id="k", trace_id="t", started_at=NOW, finished_at=NOW, recorded_at=NOW,
    )  # fmt: skip
    with database.begin() as conn:
        conn.execute(
            sa.text("""INSERT INTO core.operation (run_id, step, contract_id, system, action, kind, business_key,
                status, before, after, started_at, finished_at) VALUES (:run, 0, :contract, 'cloud', 'update',
                'project', 'crm/C-1', 'done', '{"value": "100.5"}', '{"value": "120"}', :now, :now)"""),
            {"run": run_id, "contract": mine, "now": NOW},
        )
    held: dict[str, Any] = {"system": "cloud", "state": "confirmed", "confirmed_at": NOW}
    insert(database, "crosswalk", kind="project", business_key="crm/C-1", ref="P1", contract_id=mine, **held)
    insert(database, "crosswalk", kind="project", business_key="crm/C-2", ref="P2", contract_id=other, **held)
    insert(database, "crosswalk", kind="customer", business_key="CU-1", ref="K1", **held)
    insert(database, "crosswalk", kind="labour_category", business_key="senior", ref="L1", **held)
    insert(database, "crosswalk", kind="labour_category", business_key="junior", ref="L2", **held)
    case_id = add_case(database, mine, "po_missing", state="resolved")
    for what in ("opened", "resolved"):
        insert(database, "case_history", case_id=case_id, what=what, function="tax", occurred_at=NOW, recorded_at=NOW)
    insert(
        database, "financial_fact", system="cloud", kind="invoice", ref="I1", project_key="crm/C-1", contract_id=mine,
        amount=Decimal(60), currency="USD", status="posted", occurred_on=date(2026, 12, 1), recorded_at=NOW,
    )  # fmt: skip
    add_progress(database, mine, "signed", "captured")

    seen = reads.contract(mine)
    assert seen == reads.contract((SOURCE, "C-1"))
    assert seen is not None
    assert (seen.summary.external_id, seen.last_error_class, seen.correlation_id) == ("C-1", "transient", "newest")
    assert seen.contract is not None
    assert seen.contract.terms is not None
    assert (seen.contract.stage, seen.contract.terms.value) == (Stage.SIGNED, Decimal(120))
    assert (seen.terms["value"], seen.terms["customer name"]) == ("120", "Northwind")
    assert [moment.what for moment in seen.timeline] == ["signed", "amended"]
    assert [str(change) for change in seen.timeline[1].changes] == ["value: 100.5 → 120", "amendment 1: change 1"]
    assert [(operation.before, operation.after) for run in seen.runs for operation in run.operations] == [
        ({"value": "100.5"}, {"value": "120"})
    ]
    assert [moment.what for case in seen.cases for moment in case.history] == ["opened", "resolved"]
    assert [(held.ref, held.shared) for held in seen.objects] == [("K1", True), ("L1", True), ("P1", False)]
    assert [(fact.ref, fact.money) for fact in seen.financials] == [("I1", Money(Decimal(60), "USD"))]
    assert sorted(reached.step for reached in seen.progress) == ["captured", "signed"]


def test_history_shows_parts_that_were_changed_added_and_removed() -> None:
    changes: dict[str, object] = {
        "milestones": [{"key": "M2", "name": "Build", "amount": "40.50", "due_on": "2027-01-01"}],
        "rates": [{"category": "senior", "name": "Senior", "rate": "210"}],
        "remove_milestones": ["M1"],
    }
    told = history([stored(1, "signed.v1", signed()), stored(2, "amended.v1", amended(1, changes))])
    assert [str(change) for change in told.moments[1].changes] == [
        "milestone M2, name: Build",
        "milestone M2, amount: 40.5",
        "milestone M2, due on: 2027-01-01",
        "rate senior, rate: 200 → 210",
        "amendment 1: change 1",
        "milestone M1, name: Design → removed",
        "milestone M1, amount: 60 → removed",
        "milestone M1, due on: 2026-12-01 → removed",
    ]


def test_a_late_amendment_changes_nothing_until_the_one_before_it_comes() -> None:
    told = history(
        [
            stored(1, "signed.v1", signed()),
            stored(2, "amended.v1", amended(2, {"value": "300"})),
            stored(3, "amended.v1", amended(1, {"value": "200"})),
        ]
    )
    words = [[str(change) for change in moment.changes] for moment in told.moments]
    assert words[1] == ["missing amendment: 1"]
    assert "value: 100.5 → 300" in words[2]


def test_an_event_that_no_longer_fits_is_listed_with_the_reason() -> None:
    told = history([stored(1, "signed.v1", signed()), stored(2, "amended.v9", "{}")])
    assert (told.moments[1].what, told.moments[1].changes) == ("amended", ())
    assert "not registered" in (told.moments[1].problem or "")
    assert told.contract is not None
    assert history([stored(1, "signed.v9", "{}")]).contract is None


def test_of_very_many_events_only_the_latest_are_explained() -> None:
    events = [stored(1, "signed.v1", signed())]
    events += [stored(1 + n, "amended.v1", amended(n, {"po_number": f"PO-{n}"})) for n in range(1, EXPLAINED + 5)]
    told = history(events)
    explained = [moment for moment in told.moments if moment.changes]
    assert len(explained) == EXPLAINED
    assert str(explained[0].changes[0]) == "po number: PO-4 → PO-5"
    assert str(told.moments[-1].changes[0]) == f"po number: PO-{EXPLAINED + 3} → PO-{EXPLAINED + 4}"
