"""Signed, in the ERP, billed, paid: by hand, and against plain sums over the raw rows."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.money_rows import BEFORE, amended, fact, milestone, signed, told
from tests.metrics.reconciled import EXPLAINED, SUMS, WINDOW, ZERO, asked_of, money


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def test_what_is_billed_and_left_to_bill_is_what_was_signed(database: sa.Engine, clock: VirtualClock) -> None:
    contract = told(database, "C-1", [signed()], confirmed=1)
    fact(database, contract, "invoice", "I-1", 40)
    fact(database, contract, "invoice", "I-2", -10)
    fact(database, contract, "payment", "P-1", 25, invoice_ref="I-1", status="received")
    asked = asked_of(database, clock)
    assert (asked.answer.value, asked.answer.n) == (ZERO, 1)
    assert [money(asked, key) for key in SUMS] == [Decimal(n) for n in (100, 40, 10, 25, 70)]
    recognised = asked.answer.figure("recognised")
    assert (recognised.value, recognised.note) == (None, "not asked yet: cloud")


def test_the_newest_status_of_each_object_counts(database: sa.Engine, clock: VirtualClock) -> None:
    contract = told(database, "C-1", [signed()], confirmed=1)
    for status, amount in (("issued", 40), ("paid", 44)):  # the amount was put right, and no payment was reported
        fact(database, contract, "invoice", "I-1", amount, status=status)
    for status in ("issued", "cancelled"):
        fact(database, contract, "invoice", "I-2", 500, status=status)
    for status in ("received", "bounced"):
        fact(database, contract, "payment", "P-1", 500, status=status, invoice_ref="I-9")
    fact(database, contract, "invoice", "I-3", 7, currency="EUR")
    # Reported before its project was known.
    fact(database, None, "invoice", "I-4", 6, project_key="crm/C-1")
    asked = asked_of(database, clock)
    assert [money(asked, key) for key in SUMS] == [Decimal(n) for n in (100, 50, 0, 44, 50)]
    assert asked.answer.figure("other_currency").value == 1


@pytest.mark.parametrize("declined", [False, True], ids=["after an end", "after a declined renewal"])
def test_what_was_billed_under_the_agreement_before_is_not_of_the_new_one(
    database: sa.Engine, clock: VirtualClock, *, declined: bool
) -> None:
    last, anew = BEFORE + timedelta(days=10), BEFORE + timedelta(days=12)
    ended = ("cancelled", {"ended_on": str(last.date())})
    renewal = {"renews_on": str(last.date() + timedelta(days=1)), "automatic": True}
    end = ("renewal_declined", {"declined_on": str(BEFORE.date())}) if declined else ended
    terms = {"value": "90", "milestones": [milestone("c", 90, "2027-03-01")]}
    again = ("signed", {**signed(**terms)[1], "signed_at": anew.isoformat()})
    first = signed(renewal=renewal, ends_on=str(last.date()))
    contract = told(database, "C-1", [first, end, again], confirmed=3, value=Decimal(90))
    before = {"occurred_on": BEFORE.date() + timedelta(days=5)}
    fact(database, contract, "invoice", "I-1", 40, **before)
    fact(database, contract, "revenue", "R-1", 40, **before)
    fact(database, contract, "payment", "P-1", 40, invoice_ref="I-1", status="received")
    fact(database, contract, "invoice", "I-2", 30)
    fact(database, contract, "payment", "P-2", 20, invoice_ref="I-2", status="received")
    asked = asked_of(database, clock)
    assert (asked.answer.value, asked.answer.n) == (ZERO, 1)
    assert [money(asked, key) for key in SUMS] == [Decimal(n) for n in (90, 30, 0, 20, 60)]


def test_a_difference_that_nothing_explains_is_the_value(database: sa.Engine, clock: VirtualClock) -> None:
    # In step as the engine sees it, but the ERP holds 90 and 80 of 100; and one is billed above what was signed.
    story = [signed(), amended(1, value="90")]
    less = told(database, "C-1", story, confirmed=2, value=Decimal(100))
    told(database, "C-2", [signed(), amended(1, value="80")], confirmed=2, value=Decimal(100), legal_entity="GB01",
         currency="GBP")  # fmt: skip
    over = told(database, "C-3", [signed()], confirmed=1)
    fact(database, less, "invoice", "I-1", 90)
    fact(database, over, "invoice", "I-2", 105)
    asked = asked_of(database, clock, By.LEGAL_ENTITY)
    assert asked.answer.value == Decimal("40.00")  # 10 + 20 * 1.25 + 5
    assert money(asked, "unexplained_net") == Decimal("30.00")
    assert asked.answer.figure("unexplained_contracts").value == 3
    assert {entity: part.value for entity, part in asked.parts.items()} == {"GB01": Decimal("25.00"), "US01": 15}
    drill = Measures(database, clock=clock, estate=rows.estate()).drill("reconciliation", Ask(WINDOW))
    assert (drill.total, drill.count) == (asked.answer.value, 3)
    assert [row["contract"] for row in drill.rows] == ["C-2", "C-1", "C-3"]


def test_what_is_on_record_explains_a_difference(database: sa.Engine, clock: VirtualClock) -> None:
    told(database, "C-1", [signed()])
    told(database, "C-2", [signed(), amended(1, value="130")], confirmed=1)
    ended = told(database, "C-3", [signed()], confirmed=1, state="ended")
    fact(database, ended, "invoice", "I-1", 30)
    told(database, "C-4", [signed(test=True)], confirmed=1)
    silent = told(database, "C-5", [signed()], confirmed=1)
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.crosswalk SET fields = fields - 'value' WHERE contract_id = :id"),
                     {"id": silent})  # fmt: skip
    asked = asked_of(database, clock)
    assert (asked.answer.value, asked.answer.n, asked.answer.excluded) == (ZERO, 4, {"test contract": 1})
    assert [money(asked, key) for key in EXPLAINED] == [Decimal(n) for n in (70, 100, 30, 100)]


def test_a_reason_explains_no_more_than_its_amount_and_nothing_of_the_other_sign(
    database: sa.Engine, clock: VirtualClock
) -> None:
    ended = told(database, "C-1", [signed()], confirmed=1, state="ended")
    fact(database, ended, "invoice", "I-1", 130)  # 30 more than was ever signed
    # The ERP holds 20 less than was signed before, and 30 more are on their way.
    less = told(database, "C-2", [signed(), amended(1, value="130")], confirmed=1)
    _holds(database, less, 80)
    # It holds 40 more, which no change that raises the value explains.
    more = told(database, "C-3", [signed(), amended(1, value="130")], confirmed=1)
    _holds(database, more, 170)
    # Down to 80 while 90 are billed: the 10 that were to be billed are on their way out, the 10 too many are not.
    over = told(database, "C-4", [signed(), amended(1, value="80")], confirmed=1)
    fact(database, over, "invoice", "I-4", 90)
    # An exception, with nothing on its way.
    stopped = told(database, "C-5", [signed()], confirmed=1, state="blocked")
    _holds(database, stopped, 75)
    silent = told(database, "C-6", [signed()], confirmed=1)
    _holds(database, silent, None)
    fact(database, silent, "invoice", "I-6", 107)
    asked = asked_of(database, clock)
    found = {row["contract"]: (row["explained"], row["gap"], row["unexplained_reporting"]) for row in Measures(
        database, clock=clock, estate=rows.estate()).drill("reconciliation", Ask(WINDOW)).rows}  # fmt: skip
    assert found == {
        "C-1": ("", -30, 30), "C-2": ("on_its_way", 50, 20), "C-3": ("", -40, 40), "C-4": ("on_its_way", -20, 10),
        "C-5": ("", 25, 25), "C-6": ("", -7, 7),
    }  # fmt: skip
    assert asked.answer.value == Decimal(132)
    assert [money(asked, key) for key in EXPLAINED] == [Decimal(n) for n in (0, 0, 20, 0)]  # 30 - 10
    assert money(asked, "unexplained_net") == Decimal(-42)
    assert asked.answer.figure("unexplained_contracts").value == 6


def _holds(engine: sa.Engine, contract_id: int, value: int | None) -> None:
    """What the contract's ERP says that it holds."""
    with engine.begin() as conn:
        conn.execute(sa.text("""
            UPDATE core.crosswalk SET fields = CASE WHEN CAST(:value AS text) IS NULL THEN fields - 'value'
                ELSE fields || jsonb_build_object('value', CAST(:value AS text)) END
            WHERE contract_id = :id AND kind = 'project'"""),
            {"id": contract_id, "value": value and str(value)})  # fmt: skip


def test_only_money_without_a_rate_has_no_sum(database: sa.Engine, clock: VirtualClock) -> None:
    told(database, "C-1", [signed(), amended(1, value="90")], confirmed=2, value=Decimal(100), currency="BRL")
    answer = asked_of(database, clock).answer
    assert (answer.value, answer.why_none) == (None, "there is no rate for BRL")
    assert answer.figure("gap:BRL").value == Decimal(10)
    assert answer.figure("unconverted_BRL").value == Decimal(100)


def test_nothing_signed_is_no_number(database: sa.Engine, clock: VirtualClock) -> None:
    answer = asked_of(database, clock).answer
    assert (answer.value, answer.n, answer.why_none) == (None, 0, "nothing was signed")


@pytest.mark.parametrize("lane", ["old", "cloud"])  # the ERP that it left, and its own one before it came back
def test_what_an_erp_invoiced_before_a_move_is_no_difference(
    database: sa.Engine, clock: VirtualClock, lane: str
) -> None:
    contract = told(database, "C-1", [signed()], confirmed=1)
    fact(database, contract, "invoice", "I-1", 40)
    with database.begin() as conn:
        rest = """UPDATE core.crosswalk SET fields = fields || '{"value": "60"}' WHERE kind = 'project'"""
        conn.execute(sa.text(rest))
        conn.execute(sa.text("""
            WITH made AS (
                INSERT INTO core.replay (created_at, created_by, title, origin, selection, entities, items, state,
                                         per_minute, move_from, move_to)
                VALUES (:now, 'a', 't', 'current', '{}', '{}', 0, 'finished', 1, 'old', 'cloud') RETURNING replay_id)
            INSERT INTO core.placement (contract_id, lane, behind, replay_id, placed_at, left_at)
            SELECT :contract, 'cloud', jsonb_build_object(CAST(:lane AS text), CAST(:behind AS jsonb)), replay_id, :now,
                   :now FROM made
        """), {"contract": contract, "now": rows.NOW, "lane": lane,
               "behind": '{"billed": "40", "milestones": {}}'})  # fmt: skip
    asked = asked_of(database, clock)
    assert asked.answer.value == ZERO
    assert [money(asked, key) for key in ("signed", "billed", "remaining")] == [100, 40, 60]
