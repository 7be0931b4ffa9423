"""The forecast error against numbers worked out by hand, and against the fold of the events themselves."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By, Window
from tests.metrics.billing import LONG, day, invoice, scheduled
from tests.metrics.money_rows import milestone, terms
from tests.metrics.plans import Plans
from tests.reads.handmade import add_event


@pytest.fixture
def plans(database: sa.Engine) -> Plans:
    return Plans(database)


def test_error_and_bias_of_two_months(plans: Plans) -> None:
    one = plans.contract("C-1")
    scheduled(plans.engine, "C-1", "signed", 1, "2026-05-20",
              [("a", "100", "2026-06-15"), ("b", "200", "2026-07-31")])  # fmt: skip
    invoice(plans.engine, one, "I-1", "80", "2026-06-16")
    invoice(plans.engine, one, "I-2", "250", "2026-07-31")
    plans.refresh()
    answer = plans.answer()
    assert answer.n == 2
    assert answer.value == pytest.approx((20 / 80 + 50 / 250) / 2)
    assert answer.figure("bias").value == pytest.approx((300 - 330) / 330)
    assert answer.figure("weighted").value == pytest.approx(70 / 330)
    assert (answer.figure("forecast").value, answer.figure("billed").value) == (Decimal(300), Decimal(330))
    parts = plans.measures.kpi("forecast-accuracy", Ask(LONG), By.WEEK).parts
    assert {month: part.value for month, part in parts.items()} == {"2026-06-01": 0.25, "2026-07-01": 0.2}


def test_only_months_that_are_over_and_whole_in_the_window_count(plans: Plans) -> None:
    one = plans.contract("C-1")
    months = [f"2026-{n:02}" for n in range(5, 12)]
    scheduled(plans.engine, "C-1", "signed", 1, "2026-04-20", [(m, "100", f"{m}-10") for m in months])
    for month in months:
        invoice(plans.engine, one, month, "100", f"{month}-10")
    plans.refresh()
    assert plans.answer().n == 6  # November is not over
    assert plans.answer(Window(date(2026, 6, 1), date(2026, 8, 31))).n == 2  # of August a day lies outside
    short = plans.answer(Window(date(2026, 6, 8), date(2026, 6, 29)))
    assert (short.value, short.n) == (None, 0)
    assert "whole in the window" in short.why_none


SIGNED = datetime(2026, 6, 30, 23, 30, tzinfo=UTC)  # the first of July in London


def valued(plans: Plans, name: str, what: str, revision: int, value: int, at: datetime, *, number: int = 0) -> None:
    said: dict[str, object] = {"contract_id": name, "revision": revision}
    if what == "signed":
        said |= {"signed_at": at.isoformat(), "terms": {"value": str(value)}}
    else:
        said |= {"changes": {"value": str(value)}, "amendment": {"number": number, "executed_at": at.isoformat()}}
    add_event(plans.engine, name, f"com.tieline.contract.{what}.v1", orjson.dumps(said).decode(), at=at)


def signed(plans: Plans, by: By | None = By.WEEK) -> dict[str, object]:
    parts = plans.measures.kpi("forecast-accuracy", Ask(LONG), by).parts
    return {group: part.figure("signed").value for group, part in parts.items()}


def test_signed_amounts_stand_in_the_month_of_their_signature_or_execution(plans: Plans) -> None:
    for name, value, more in (
        ("C-1", 130, {"signed_at": SIGNED}), ("C-2", 50, {"signed_at": SIGNED - timedelta(hours=1)}),
        ("C-3", 7, {"signed_at": SIGNED, "test": True}), ("C-4", 80, {"signed_at": SIGNED, "currency": "GBP"}),
        ("C-5", 9, {"signed_at": None}), ("C-6", 11, {"signed_at": SIGNED, "currency": "BRL"}),
    ):  # fmt: skip
        plans.contract(name, value=value, **more)
    valued(plans, "C-1", "signed", 1, 100, SIGNED)
    valued(plans, "C-1", "amended", 2, 150, SIGNED + timedelta(days=40), number=1)  # in August
    valued(plans, "C-1", "amended", 3, 130, SIGNED + timedelta(days=80), number=2)  # in September
    valued(plans, "C-1", "amended", 5, 999, SIGNED + timedelta(days=95), number=4)  # October; waits, so not in 130
    plans.refresh()
    assert signed(plans) == {
        "2026-06-01": Decimal(50), "2026-07-01": Decimal(100) + 80 * Decimal("1.25"), "2026-08-01": Decimal(50),
        "2026-09-01": Decimal(-20), "2026-10-01": Decimal(869),
    }  # fmt: skip
    answer = plans.answer()
    assert answer.figure("signed").value == Decimal(1149)
    assert (answer.n, answer.excluded["month in which nothing was billed"]) == (0, 0)


def test_what_has_no_rate_is_listed_and_never_drawn_as_nothing(plans: Plans) -> None:
    plans.contract("C-1", value=11, signed_at=SIGNED, currency="BRL")
    plans.contract("C-2", value=80, signed_at=SIGNED + timedelta(days=35), currency="GBP")
    scheduled(plans.engine, "C-1", "signed", 1, "2026-06-01", [("a", "30", "2026-07-15")])
    one = plans.contract("C-3", signed_at=None, currency="BRL")
    invoice(plans.engine, one, "I-1", "70", "2026-07-20", currency="BRL")
    plans.refresh()
    july = plans.measures.kpi("forecast-accuracy", Ask(LONG), By.WEEK).parts["2026-07-01"]
    assert [july.figure(key).value for key in ("signed", "forecast", "billed")] == [None, None, None]
    listed = ("signed_unconverted_BRL", "forecast_unconverted_BRL", "unconverted_BRL")
    assert [july.figure(key).value for key in listed] == [11, 30, 70]
    answer = plans.answer()
    assert answer.figure("signed").value == 80 * Decimal("1.25")
    assert answer.figure("signed").note.endswith("changed; rates of GBP 2020-01-01")
    assert (answer.figure("signed_unconverted_BRL").value, answer.figure("signed_unconverted_BRL").currency) == (
        11, "BRL",
    )  # fmt: skip
    assert answer.excluded["month in which nothing was billed"] == 0
    assert answer.excluded["month in which nothing billed has an exchange rate"] == 1


def test_what_a_later_signature_stands_above_was_not_signed_twice(plans: Plans) -> None:
    plans.contract("C-1", value=500, signed_at=SIGNED + timedelta(days=70))
    valued(plans, "C-1", "signed", 1, 100, SIGNED)
    valued(plans, "C-1", "amended", 2, 150, SIGNED + timedelta(days=40), number=1)
    ended = orjson.dumps({"contract_id": "C-1", "revision": 3, "ended_on": "2026-08-30"}).decode()
    add_event(plans.engine, "C-1", "com.tieline.contract.terminated.v1", ended, at=SIGNED + timedelta(days=60))
    valued(plans, "C-1", "signed", 4, 500, SIGNED + timedelta(days=70))
    plans.refresh()
    assert signed(plans) == {"2026-09-01": Decimal(500)}


def test_what_is_published_again_is_no_signature(plans: Plans) -> None:
    plans.contract("C-1", value=150, signed_at=SIGNED)
    valued(plans, "C-1", "signed", 1, 100, SIGNED)
    valued(plans, "C-1", "signed", 2, 500, SIGNED + timedelta(days=1))
    valued(plans, "C-1", "amended", 3, 150, SIGNED + timedelta(days=40), number=1)
    plans.refresh()
    whole = sum(Decimal(str(amount)) for amount in signed(plans).values() if amount is not None)
    assert whole == 150


def test_what_was_agreed_within_the_month_was_not_foreseen(plans: Plans) -> None:
    one = plans.contract("C-1")
    scheduled(plans.engine, "C-1", "signed", 1, "2026-06-01", [("a", "100", "2026-06-15")])
    scheduled(plans.engine, "C-1", "amended", 2, "2026-06-20", [("b", "300", "2026-06-25"), ("c", "5", "2026-07-02")],
              amendment={"number": 1, "executed_at": "2026-06-20T00:00:00Z"})  # fmt: skip
    invoice(plans.engine, one, "I-1", "400", "2026-06-25")
    plans.refresh()
    assert plans.planned() == {("C-1", "2026-07-01"): 5}  # noon of the first is after its first moment
    answer = plans.answer()
    assert answer.figure("forecast").value == 5
    assert (answer.value, answer.n, answer.excluded["month in which nothing was billed"]) == (1.0, 1, 1)


@pytest.mark.parametrize(("signed_on", "planned"), [
    (None, {}), ("2026-06-30", {}), ("2026-07-01", {("C-1", "2026-08-01"): 557}),
], ids=["not again", "on its last day", "the day after"])  # fmt: skip
def test_after_a_declined_renewal_a_contract_bills_by_what_was_signed_anew_alone(
    plans: Plans, signed_on: str | None, planned: dict[tuple[str, str], int]
) -> None:
    plans.contract("C-1")
    renewal = {"renews_on": "2026-07-01", "automatic": True, "term_months": 12}
    dues = [milestone("z", 5, "2026-06-20"), milestone("a", 60, "2026-07-15"), milestone("b", 30, "2026-08-15")]
    first = terms(value="95", ends_on="2026-06-30", renewal=renewal, milestones=dues)
    scheduled(plans.engine, "C-1", "signed", 1, "2026-05-20", signed_at="2026-05-20T12:00:00Z", terms=first)
    header = {"number": 1, "executed_at": "2026-05-22T00:00:00Z"}
    scheduled(plans.engine, "C-1", "amended", 2, "2026-05-22", [("a", "70", "2026-07-15")], amendment=header)
    declined = orjson.dumps({"contract_id": "C-1", "revision": 3, "declined_on": "2026-05-25"}).decode()
    add_event(plans.engine, "C-1", "com.tieline.contract.renewal_declined.v1", declined, at=day("2026-05-25"))
    if signed_on is not None:
        anew = terms(value="507", ends_on=None, milestones=[milestone("c", 507, "2026-08-20")])
        scheduled(plans.engine, "C-1", "signed", 4, "2026-07-02", signed_at=f"{signed_on}T12:00:00Z", terms=anew)
        scheduled(plans.engine, "C-1", "amended", 5, "2026-07-03", [("d", "50", "2026-08-21")], amendment=header)
    plans.refresh()
    assert plans.planned() == {("C-1", "2026-06-01"): 5} | planned


def test_moved_removed_corrected_and_ended_schedules(plans: Plans) -> None:
    for name in ("C-1", "C-2", "C-3", "C-4"):
        plans.contract(name)
        scheduled(plans.engine, name, "signed", 1, "2026-05-01",
                  [("a", "100", "2026-06-15"), ("b", "50", "2026-06-20")])  # fmt: skip
    header = {"number": 1, "executed_at": "2026-05-20T00:00:00Z"}
    scheduled(plans.engine, "C-1", "amended", 2, "2026-05-20", [("a", "100", "2026-07-15")], amendment=header)
    scheduled(plans.engine, "C-2", "corrected", 3, "2026-05-21", [("a", "90", "2026-06-15")], overrides=1)
    scheduled(plans.engine, "C-2", "amended", 2, "2026-05-20", [("a", "80", "2026-06-15")], amendment=header)
    scheduled(plans.engine, "C-3", "terminated", 2, "2026-05-25", ended_on="2026-05-25")
    scheduled(plans.engine, "C-4", "amended", 2, "2026-05-20", removed=["b"], amendment=header)
    plans.refresh()
    assert plans.planned() == {
        ("C-1", "2026-06-01"): 50, ("C-1", "2026-07-01"): 100,
        ("C-2", "2026-06-01"): 130,  # the correction overrides revision 1 and the amendment stands above it
        ("C-4", "2026-06-01"): 100,
    }  # fmt: skip


def test_an_amendment_that_is_sent_again_with_other_terms_plans_nothing(plans: Plans) -> None:
    """As the fold takes it (sync_core/life/silent.py): the number is used once, until the contract is signed anew."""
    plans.contract("C-1")
    scheduled(plans.engine, "C-1", "signed", 1, "2026-05-01", [("a", "100", "2026-06-15"), ("b", "50", "2026-07-20")])
    header = {"number": 1, "executed_at": "2026-05-10T00:00:00Z"}
    scheduled(plans.engine, "C-1", "amended", 2, "2026-05-10", [("a", "80", "2026-06-15")], amendment=header)
    scheduled(plans.engine, "C-1", "amended", 3, "2026-05-20", [("a", "999", "2026-06-15")], removed=["b"],
              amendment=header)  # fmt: skip
    scheduled(plans.engine, "C-1", "amended", 4, "2026-05-21", [("c", "7", "2026-06-30")],
              amendment=header | {"number": 2})  # fmt: skip
    plans.refresh()
    assert plans.planned() == {("C-1", "2026-06-01"): 87, ("C-1", "2026-07-01"): 50}


def test_time_and_materials_test_contracts_and_currencies_without_a_rate_are_told(plans: Plans) -> None:
    by_time = plans.contract("C-1", billing="time_and_materials")
    scheduled(plans.engine, "C-1", "signed", 1, "2026-05-01", [("a", "100", "2026-06-15")])
    invoice(plans.engine, by_time, "I-1", "100", "2026-06-15")
    plans.contract("C-2", test=True)
    scheduled(plans.engine, "C-2", "signed", 1, "2026-05-01", [("a", "100", "2026-06-15")])
    brazil = plans.contract("C-3", currency="BRL")
    scheduled(plans.engine, "C-3", "signed", 1, "2026-05-01", [("a", "100", "2026-06-15")])
    invoice(plans.engine, brazil, "I-3", "70", "2026-06-15", currency="BRL")
    british = plans.contract("C-4", currency="GBP")
    scheduled(plans.engine, "C-4", "signed", 1, "2026-05-01", [("a", "100", "2026-06-15")])
    invoice(plans.engine, british, "I-4", "80", "2026-06-15", currency="GBP")
    plans.refresh()
    answer = plans.answer()
    assert (answer.value, answer.n) == (0.25, 1)
    assert (answer.figure("forecast").value, answer.figure("billed").value) == (Decimal(125), Decimal(100))
    assert answer.excluded["invoice billed by time and materials"] == 1
    assert answer.excluded["milestone of a test contract"] == 1
    assert answer.figure("unconverted_BRL").value == 70


def test_the_rows_behind_it_are_contracts_and_months_by_difference(plans: Plans) -> None:
    for n in (1, 2):
        one = plans.contract(f"C-{n}")
        scheduled(plans.engine, f"C-{n}", "signed", 1, "2026-05-20", [("a", "100", "2026-06-15")])
        invoice(plans.engine, one, f"I-{n}", str(100 - 10 * n), "2026-06-16")
        invoice(plans.engine, one, f"N-{n}", "999", "2026-11-02")  # of a month that is not over
    plans.refresh()
    found = plans.measures.drill("forecast-accuracy", Ask(LONG), limit=1)
    assert (found.rows[0]["contract"], found.rows[0]["error_reporting"], found.count) == ("C-2", 20, 2)
    rest = plans.measures.drill("forecast-accuracy", Ask(LONG), after=found.after)
    assert [row["contract"] for row in rest.rows] == ["C-1"]
