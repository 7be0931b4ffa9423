"""Revenue that the ERPs posted, beside what they billed: a portfolio worked out by hand."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.money_rows import fact, reporting, signed, told
from tests.metrics.reconciled import WINDOW, asked_of, measures_of, money

EARNED = ("recognised", "deferred", "accrued")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def _portfolio(database: sa.Engine) -> None:
    """Four contracts of 100: three with an ERP that reports revenue, the fourth with one that does not."""
    reporting(database, "cloud")
    reporting(database, "legacy", "invoice", "payment")
    # Billed 40 and credited 10; 55 were earned and 5 of that taken back: 20 ahead of the bills.
    ahead = told(database, "C-1", [signed()], confirmed=1)
    fact(database, ahead, "invoice", "I-1", 40)
    fact(database, ahead, "invoice", "I-2", -10)
    fact(database, ahead, "revenue", "R-1", 55, status="posted", line_key="crm/C-1#L:1")
    fact(database, ahead, "revenue", "R-2", -5, status="posted", line_key="crm/C-1#L:1", reverses_ref="R-1")
    # Billed whole in pounds, a quarter earned; one posting was put right, one struck out, one in another currency.
    behind = told(database, "C-2", [signed()], confirmed=1, currency="GBP", legal_entity="GB01")
    fact(database, behind, "invoice", "I-3", 100, currency="GBP")
    for amount in (30, 25):
        fact(database, behind, "revenue", "R-3", amount, status="posted", currency="GBP")
    for status in ("posted", "void"):
        fact(database, behind, "revenue", "R-4", 400, status=status, currency="GBP")
    fact(database, behind, "revenue", "R-5", 7, status="posted", currency="EUR")
    told(database, "C-3", [signed()], confirmed=1)
    silent = told(database, "C-4", [signed()], confirmed=1, lane="legacy")
    fact(database, silent, "invoice", "I-4", 60, system="legacy")


def test_what_was_recognised_is_the_postings_less_their_reversals(database: sa.Engine, clock: VirtualClock) -> None:
    _portfolio(database)
    asked = asked_of(database, clock)
    # 50 + 25 * 1.25; 75 * 1.25 are billed and not earned; 20 are earned and not billed.
    assert [money(asked, key) for key in EARNED] == [Decimal("81.25"), Decimal("93.75"), Decimal(20)]
    assert [money(asked, f"{key}:GBP") for key in ("recognised", "deferred")] == [Decimal(25), Decimal(75)]
    note = asked.answer.figure("recognised").note
    assert note.startswith("revenue as the ERPs posted it, less what they reversed; not reported by legacy")
    assert [money(asked, key) for key in ("without_revenue", "without_revenue_billed")] == [1, 60]
    assert asked.answer.figure("other_currency").value == 1
    assert asked.answer.value == 0, "revenue explains nothing and leaves nothing unexplained"


def test_each_row_of_the_drill_down_says_what_is_recognised(database: sa.Engine, clock: VirtualClock) -> None:
    _portfolio(database)
    measures = measures_of(database, clock)
    found = {row["contract"]: (row["recognised"], row["deferred"], row["erp"])
             for row in measures.drill("reconciliation", Ask(WINDOW)).rows}  # fmt: skip
    assert found == {
        "C-1": (50, -20, "cloud"), "C-2": (25, 75, "cloud"), "C-3": (0, 0, "cloud"), "C-4": (None, None, "legacy"),
    }  # fmt: skip


def test_each_legal_entity_has_its_own_and_none_is_no_zero(database: sa.Engine, clock: VirtualClock) -> None:
    _portfolio(database)
    parts = asked_of(database, clock, By.LEGAL_ENTITY).parts
    shown = {entity: part.figure("recognised").value for entity, part in parts.items()}
    assert shown == {"GB01": Decimal("31.25"), "US01": Decimal(50)}
    assert "not reported" not in parts["GB01"].figure("recognised").note


def test_where_no_erp_reports_revenue_it_says_which(database: sa.Engine, clock: VirtualClock) -> None:
    reporting(database, "legacy", "invoice")
    contract = told(database, "C-1", [signed()], confirmed=1, lane="legacy")
    fact(database, contract, "invoice", "I-1", 60, system="legacy")
    told(database, "C-2", [signed()])  # that no ERP has it yet makes no zero of the others
    asked = asked_of(database, clock)
    assert [(asked.answer.figure(key).value, asked.answer.figure(key).note) for key in EARNED] == [
        (None, "not reported by legacy")
    ] * 3


def test_one_of_two_erps_that_does_not_report_leaves_the_whole_unknown(
    database: sa.Engine, clock: VirtualClock
) -> None:
    """A contract that was moved: what its former ERP earned of it is not known."""
    reporting(database, "cloud")
    moved = told(database, "C-1", [signed()], confirmed=1)
    fact(database, moved, "invoice", "I-1", 30, system="legacy")
    fact(database, moved, "revenue", "R-1", 10, status="posted")
    assert asked_of(database, clock).answer.figure("recognised").value is None
    reporting(database, "legacy")
    with database.begin() as conn:
        conn.execute(sa.text("INSERT INTO metrics.mark (contract_id) VALUES (:id)"), {"id": moved})
    clock.advance(timedelta(seconds=1))
    assert money(asked_of(database, clock), "recognised") == 10


def test_a_contract_that_no_erp_has_yet_has_recognised_nothing(database: sa.Engine, clock: VirtualClock) -> None:
    told(database, "C-1", [signed()], lane="legacy")
    recognised = asked_of(database, clock).answer.figure("recognised")
    assert (recognised.value, "not reported" in recognised.note) == (Decimal(0), False)


def test_what_was_known_at_a_past_moment_stays(database: sa.Engine, clock: VirtualClock) -> None:
    reporting(database, "cloud")
    contract = told(database, "C-1", [signed()], confirmed=1)
    fact(database, contract, "revenue", "R-1", 40, status="posted")
    asked_of(database, clock)
    then = clock.now()
    clock.advance(timedelta(days=1))
    fact(database, contract, "revenue", "R-2", 15, status="posted")
    measures = measures_of(database, clock)
    now, past = (measures.kpi("reconciliation", Ask(WINDOW, as_of=at)) for at in (None, then))
    assert [money(one, "recognised") for one in (now, past)] == [55, 40]
