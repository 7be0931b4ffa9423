"""Disputes that a mismatch of contract and ERP caused: only what is on record through the whole day of issue."""

import pytest
import sqlalchemy as sa

from metrics.asking import By
from tests.metrics.billing import Books, day, dispute, figures, invoice
from tests.reads.handmade import add_case, add_event, insert


@pytest.fixture
def books(database: sa.Engine) -> Books:
    return Books(database)


def test_an_amendment_executed_before_and_confirmed_after_the_invoice_proves_a_mismatch(books: Books) -> None:
    one = books.contract(external_id="C-1")
    for n, issued in enumerate(("2026-06-02", "2026-06-03", "2026-06-06", "2026-06-07"), 1):
        invoice(books.engine, one, f"I-{n}", "100", issued)
        dispute(books.engine, one, f"I-{n}", "100", "2026-06-10")
    data = '{"contract_id": "C-1", "revision": 2, "changes": {}, "amendment": {"number": 1, "executed_at": "%s"}}'
    add_event(books.engine, "C-1", "com.tieline.contract.amended.v1", data % "2026-06-02T09:00:00Z",
              at=day("2026-06-02"))  # fmt: skip
    ran = {"contract_id": one, "rev": 2, "lane": "cloud", "correlation_id": "k", "state": "active"}
    for number, (outcome, at) in enumerate((("blocked", "2026-06-04"), ("converged", "2026-06-06")), 1):
        insert(books.engine, "run", "", run_id=f"00000000-0000-0000-0000-00000000000{number}", outcome=outcome,
               started_at=day(at), finished_at=day(at), recorded_at=day(at), **ran)  # fmt: skip
    books.refresh()
    # Of the 2nd: executed on that very day. Of the 6th: confirmed on that day. Of the 7th: confirmed.
    with books.engine.connect() as conn:
        found = conn.execute(sa.text("SELECT ref, sync_cause FROM metrics.invoice_fact WHERE known_to IS NULL"))
        assert {row.ref: row.sync_cause for row in found} == {"I-1": "", "I-2": "amendment", "I-3": "", "I-4": ""}
    answer = books.rate()
    assert figures(answer, "sync_caused", "sync_caused_count") == [0.25, 1]
    assert {cause: part.value for cause, part in books.parts(By.LABEL).items()} == {
        "amendment": 0.25, "not stated": 0.75,
    }  # fmt: skip


def test_an_open_exception_about_the_matter_proves_one_unless_the_customer_says_otherwise(books: Books) -> None:
    one = books.contract()
    case = add_case(books.engine, one, "po_missing")
    for what, at in (("opened", "2026-06-02"), ("resolved", "2026-06-10"), ("reopened", "2026-06-20")):
        insert(books.engine, "case_history", case_id=case, what=what, function="tax", occurred_at=day(at),
               recorded_at=day(at))  # fmt: skip
    other = add_case(books.engine, one, "customer_unknown")  # nothing that makes an invoice wrong
    insert(books.engine, "case_history", case_id=other, what="opened", function="tax", occurred_at=day("2026-01-02"),
           recorded_at=day("2026-01-02"))  # fmt: skip
    told = {"2026-06-02": None, "2026-06-03": None, "2026-06-04": "po", "2026-06-05": "quality", "2026-06-10": None,
            "2026-06-12": None, "2026-06-21": "rate"}  # fmt: skip
    for issued, cause in told.items():
        invoice(books.engine, one, issued, "100", issued)
        dispute(books.engine, one, issued, "100", "2026-06-30", cause=cause)
    books.refresh()
    with books.engine.connect() as conn:
        found = conn.execute(sa.text("SELECT ref FROM metrics.invoice_fact WHERE sync_cause = 'po' ORDER BY ref"))
        assert list(found.scalars()) == ["2026-06-03", "2026-06-04", "2026-06-21"]
