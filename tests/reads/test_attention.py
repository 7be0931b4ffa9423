"""What needs a person, what waits and what has come in, against small data whose answers are known."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sync_core.money import Money
from sync_core.reads import ExceptionFilter, Reads, Unconverted
from tests.reads.handmade import add_case, add_contract, add_event
from tests.rows import NOW


def test_exceptions_are_grouped_by_cause_with_money_and_age(database: sa.Engine, reads: Reads) -> None:
    one, two = add_contract(database, state="blocked"), add_contract(database, state="blocked")
    add_case(database, one, "tax_profile_missing", hours=30, exposure_reporting=Decimal(70))
    add_case(database, two, "tax_profile_missing", hours=800, exposure_reporting=Decimal(50), due_at=NOW)
    add_case(database, two, "po_missing", function="finance_operations", exposure_reporting=None, currency="BRL")
    add_case(database, one, "rate_missing", state="resolved")
    add_case(database, add_contract(database, test=True), "rate_missing")
    tax, po = reads.exception_groups()
    assert (tax.cause, tax.count, tax.exposure.money.amount, tax.overdue) == ("tax_profile_missing", 2, Decimal(120), 0)
    assert tax.oldest == NOW - timedelta(hours=800)
    assert tax.query == {"cause": "tax_profile_missing", "function": "tax"}
    assert po.exposure.unconverted == (Unconverted(Money(Decimal(100), "BRL"), 1),)


@pytest.mark.parametrize("dimension", ["legal_entity", "service_line", "geography", "billing"])
def test_causes_are_narrowed_by_what_their_contracts_are(database: sa.Engine, reads: Reads, dimension: str) -> None:
    mine: dict[str, object] = {dimension: "GB01"}
    other: dict[str, object] = {dimension: "US01"}
    add_case(database, add_contract(database, signed=24, took=None, **mine), "po_missing", exposure_reporting=30)
    add_case(database, add_contract(database, signed=24, took=None, **other), "po_missing", exposure_reporting=500)
    add_case(database, add_contract(database, signed=24, took=None, **other), "rate_missing")
    wanted = replace(ExceptionFilter(), **{dimension: "GB01"})  # type: ignore[arg-type]  # one of its texts
    (group,) = reads.exception_groups(wanted)
    assert (group.cause, group.count, group.exposure.money.amount) == ("po_missing", 1, Decimal(30))
    assert reads.exceptions(wanted).total == 1
    assert [group.count for group in reads.exception_groups()] == [2, 1]


def test_money_that_waits_for_an_erp_without_a_rate_is_listed_and_never_dropped(
    database: sa.Engine, reads: Reads
) -> None:
    with database.begin() as conn:
        conn.execute(sa.text("INSERT INTO core.lane (lane, max_in_flight) VALUES ('cloud', 4)"))
    add_contract(database, value_reporting=Decimal("250.50"))
    add_contract(database, signed=90, value=Decimal(700), currency="BRL", value_reporting=None)
    add_contract(database, signed=30, value_reporting=Decimal(40), state="blocked")
    add_contract(database, took=1, value_reporting=Decimal(9999))
    add_contract(database, took=2, state="waiting", value_reporting=Decimal(5000))  # active once: waits for a change
    add_contract(database, test=True)
    [lane] = reads.lanes()
    assert lane.waiting.money == Money(Decimal("250.50"), "USD")
    assert lane.waiting.unconverted == (Unconverted(Money(Decimal(700), "BRL"), 1),)
    assert lane.waiting.count == 2


def test_intake_has_every_day_and_the_newest_change_its_moment(database: sa.Engine, reads: Reads) -> None:
    assert reads.newest() is None
    add_event(database, "C-1", "t", "{}", at=NOW - timedelta(days=1))
    add_event(database, "C-1", "t", "{}", at=NOW - timedelta(hours=1))
    seen = reads.intake(days=3)
    assert seen["events"].tolist() == [0, 1, 1]
    assert [day.date() for day in seen["day"]] == [date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 23)]
    assert reads.newest() == NOW - timedelta(hours=1)
