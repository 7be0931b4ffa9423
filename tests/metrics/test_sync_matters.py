"""Each matter that makes an invoice wrong is proven by an open exception of each of its causes, and by no other."""

import pytest
import sqlalchemy as sa

from metrics.asking import By
from metrics.facts.invoice import MISMATCHES
from sync_core.cases.ownership import CAUSES
from tests.metrics.billing import Books, day, dispute, figures, invoice
from tests.reads.handmade import add_case, insert

# As docs/kpis.md and the definition of sync-caused have them; written down here so that none is lost or moved unseen.
MATTERS = {
    "rate": ["rate_card_missing", "rate_twice", "rate_missing", "labour_category_missing"],
    "milestone": ["milestones_do_not_add_up", "milestone_key_twice", "lines_do_not_add_up", "amount_invalid",
                  "billing_mixed"],
    "po": ["po_missing"],
    "tax": ["tax_code_missing", "tax_profile_missing", "customer_tax_profile_missing"],
    "entity": ["legal_entity_unknown", "legal_entity_missing", "currency_differs"],
    "amendment": ["amendment_missing", "events_contradict", "billed_differs", "silent_change"],
}  # fmt: skip


@pytest.fixture
def books(database: sa.Engine) -> Books:
    return Books(database)


def _opened(books: Books, contract_id: int, cause: str, at: str) -> None:
    case_id = add_case(books.engine, contract_id, cause)
    insert(books.engine, "case_history", case_id=case_id, what="opened", function="tax", occurred_at=day(at),
           recorded_at=day(at))  # fmt: skip


@pytest.mark.parametrize("matter", MATTERS)
def test_an_open_exception_of_any_cause_of_a_matter_proves_a_mismatch_of_it(books: Books, matter: str) -> None:
    for cause in MATTERS[matter]:
        one = books.contract()
        _opened(books, one, cause, "2026-06-01")
        invoice(books.engine, one, cause, "100", "2026-06-10")
        dispute(books.engine, one, cause, "100", "2026-06-20")
    untouched = books.contract()
    _opened(books, untouched, "customer_unknown", "2026-06-01")  # stops a contract and makes no invoice wrong
    invoice(books.engine, untouched, "I-0", "100", "2026-06-10")
    dispute(books.engine, untouched, "I-0", "100", "2026-06-20")
    books.refresh()
    with books.engine.connect() as conn:
        found = conn.execute(sa.text("SELECT ref, sync_cause FROM metrics.invoice_fact WHERE known_to IS NULL"))
        assert {row.ref: row.sync_cause for row in found} == dict.fromkeys(MATTERS[matter], matter) | {"I-0": ""}
    n = len(MATTERS[matter])
    answer = books.rate()
    assert figures(answer, "sync_caused", "sync_caused_count") == [pytest.approx(n / (n + 1)), n]
    assert {cause: part.value for cause, part in books.parts(By.LABEL).items()} == {
        matter: pytest.approx(n / (n + 1)), "not stated": pytest.approx(1 / (n + 1)),
    }  # fmt: skip


def test_what_proves_a_mismatch_are_these_causes_and_exceptions_have_them() -> None:
    assert {matter: sorted(causes) for matter, causes in MISMATCHES.items()} == {
        matter: sorted(causes) for matter, causes in MATTERS.items()
    }
    assert {cause for causes in MATTERS.values() for cause in causes} <= set(CAUSES)
