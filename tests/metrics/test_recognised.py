"""Revenue that the ERPs posted, beside what they billed: a portfolio worked out by hand."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By
from sync_core.clock import VirtualClock
from sync_core.reads.reads import Reads
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


def test_an_erp_that_nobody_has_asked_yet_is_not_one_that_reports_none(
    database: sa.Engine, clock: VirtualClock
) -> None:
    """The first moments after an upgrade: two ERPs have said nothing, one has said that it reports none."""
    told(database, "C-1", [signed()], confirmed=1)
    both = told(database, "C-2", [signed()], confirmed=1)
    fact(database, both, "invoice", "I-1", 30, system="other")
    asked = asked_of(database, clock)
    assert [(asked.answer.figure(key).value, asked.answer.figure(key).note) for key in EARNED] == [
        (None, "not asked yet: cloud, other")
    ] * 3
    reporting(database, "legacy", "invoice")
    silent = told(database, "C-3", [signed()], confirmed=1, lane="legacy")
    fact(database, silent, "invoice", "I-2", 60, system="legacy")
    clock.advance(timedelta(seconds=1))
    note = asked_of(database, clock).answer.figure("recognised").note
    assert note == "not reported by legacy; not asked yet: cloud, other"
    reporting(database, "cloud")
    with database.begin() as conn:
        conn.execute(sa.text("INSERT INTO metrics.mark SELECT contract_id FROM core.contract"))
    clock.advance(timedelta(seconds=1))
    asked = asked_of(database, clock)
    assert money(asked, "recognised") == 0
    assert [money(asked, key) for key in ("without_revenue", "without_revenue_billed")] == [1, 60]
    assert [money(asked, key) for key in ("unasked_revenue", "unasked_revenue_billed")] == [1, 30]
    assert asked.answer.figure("unasked_revenue").note == "not asked yet: other"


def test_one_rule_for_measures_and_pages_whatever_currency_an_invoice_is_in(
    database: sa.Engine, clock: VirtualClock
) -> None:
    """Contracts in dollars that another ERP invoiced too: in their currency, in another, found by the project's key."""
    reporting(database, "cloud")
    reporting(database, "legacy", "invoice")
    known = told(database, "C-1", [signed()], confirmed=1)
    fact(database, known, "invoice", "I-1", 40)
    fact(database, known, "invoice", "I-2", 9, currency="EUR")
    fact(database, known, "revenue", "R-1", 15, status="posted")
    fact(database, known, "revenue", "R-2", 5, status="posted", currency="EUR")
    own = told(database, "C-2", [signed()], confirmed=1)
    fact(database, own, "invoice", "I-3", 9, system="legacy")
    other = told(database, "C-3", [signed()], confirmed=1)
    fact(database, other, "invoice", "I-4", 9, system="legacy", currency="EUR")
    by_key = told(database, "C-4", [signed()], confirmed=1)
    with database.begin() as conn:
        conn.execute(sa.text("""
            INSERT INTO core.crosswalk (system, kind, business_key, state, ref, contract_id, confirmed_at)
            VALUES ('legacy', 'project', 'old/C-4', 'confirmed', 'x', :id, :now)"""),
            {"id": by_key, "now": rows.NOW})  # fmt: skip
    fact(database, None, "invoice", "I-5", 9, system="legacy", project_key="old/C-4")
    listed = measures_of(database, clock).drill("reconciliation", Ask(WINDOW)).rows
    reads = Reads(database, clock=clock, estate=rows.estate())
    on_pages = {id_: reads.contract(id_) for id_ in (known, own, other, by_key)}
    for row in listed:
        detail = on_pages[row["contract_id"]]  # type: ignore[index]
        assert detail is not None
        total = detail.revenue.total("USD")
        assert row["recognised"] == (None if total is None else total.amount), row["contract"]
        assert detail.silent == (("legacy",) if row["recognised"] is None else ()), row["contract"]
    assert {row["contract"]: row["recognised"] for row in listed} == {"C-1": 15, "C-2": None, "C-3": None, "C-4": None}


def test_a_contract_that_no_erp_has_yet_has_recognised_nothing(database: sa.Engine, clock: VirtualClock) -> None:
    told(database, "C-1", [signed()], lane="legacy")
    recognised = asked_of(database, clock).answer.figure("recognised")
    assert (recognised.value, "not reported" in recognised.note) == (Decimal(0), False)


def test_what_the_release_before_knew_as_unreported_stays_unknown(database: sa.Engine, clock: VirtualClock) -> None:
    """Its versions name no silent ERP: those two columns are of this release."""
    reporting(database, "cloud", "invoice")
    contract = told(database, "C-1", [signed()], confirmed=1)
    fact(database, contract, "invoice", "I-1", 40)
    asked_of(database, clock)
    then = clock.now()
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE metrics.books_fact SET silent = DEFAULT, unasked = DEFAULT"))
        conn.execute(sa.text("UPDATE metrics.shape SET digest = 'of the release before'"))
    clock.advance(timedelta(hours=1))
    measures = measures_of(database, clock)
    now, past = (measures.kpi("reconciliation", Ask(WINDOW, as_of=at)) for at in (None, then))
    for one in (now, past):
        figure = one.answer.figure("recognised")
        assert (figure.value, figure.note) == (None, "not reported by cloud")


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
