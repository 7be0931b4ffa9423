"""Open exceptions by who has them: the functions add up to all, money without a rate is told."""

from decimal import Decimal

import sqlalchemy as sa

from sync_core.money import Money
from sync_core.reads import ExceptionFilter, Reads, Unconverted
from sync_core.reads.amounts import summed, summed_once
from tests.commands.people import BRITISH_TAX
from tests.reads.handmade import add_case, add_contract
from tests.rows import NOW


def test_the_functions_add_up_to_all(database: sa.Engine, reads: Reads) -> None:
    contract, british = add_contract(database), add_contract(database, legal_entity="GB01")
    add_case(database, contract, "a", exposure_reporting=Decimal(10), assignee="ada@example.com")
    add_case(database, contract, "b", function="legal", exposure_reporting=Decimal(5))
    add_case(database, contract, "c", state="resolved", resolved_at=NOW)
    add_case(database, british, "d", exposure=Decimal(7), currency="BRL", exposure_reporting=None)
    add_case(database, add_contract(database, test=True), "e")
    seen = reads.tallies("ada@example.com")
    assert (seen.all.count, seen.mine.count, seen.triage.count) == (3, 1, 2)
    assert {name: total.count for name, total in seen.by_function.items()} == {"legal": 1, "tax": 2}
    assert seen.mine.money == Money(Decimal(10), "USD")
    assert seen.all.money == Money(Decimal(10), "USD")
    assert seen.all.unconverted == (Unconverted(Money(Decimal(7), "BRL"), 1),)
    assert reads.within(BRITISH_TAX).tallies("ada@example.com").all.count == 1


def test_a_contract_of_two_causes_holds_up_its_money_once(database: sa.Engine, reads: Reads) -> None:
    contract, other = add_contract(database), add_contract(database)
    for cause in ("tax_code_missing", "customer_tax_profile_missing"):
        add_case(database, contract, cause, assignee="ada@example.com", group_key=cause)
    add_case(database, contract, "po_missing", function="legal", group_key="p")
    add_case(database, other, "po_missing", function="legal", group_key="p")
    seen = reads.tallies("ada@example.com")
    assert (seen.all.count, seen.all.money.amount) == (4, Decimal(200))
    assert (seen.mine.count, seen.mine.money.amount) == (2, Decimal(100))
    assert (seen.by_function["tax"].count, seen.by_function["tax"].money.amount) == (2, Decimal(100))
    assert (seen.by_function["legal"].money.amount, seen.triage.money.amount) == (Decimal(200), Decimal(200))
    ageing = reads.exception_ageing()
    assert (ageing.working[0].count, ageing.working[0].exposure.money.amount) == (4, Decimal(200))
    assert ageing.calendar[0].exposure.money.amount == 200
    assert ageing.by_function["tax"][0].exposure.money.amount == 100
    assert {g.group_key: int(g.exposure.money.amount) for g in reads.case_groups()} == {
        "p": 200, "tax_code_missing": 100, "customer_tax_profile_missing": 100,
    }  # fmt: skip


def test_the_money_of_a_contract_is_that_of_one_of_its_exceptions(database: sa.Engine, reads: Reads) -> None:
    """Its currency was corrected between two of them: no sum takes the amount of one in the currency of the other."""
    contract = add_contract(database)
    add_case(database, contract, "a", exposure=Decimal(900), currency="BRL", exposure_reporting=None)
    add_case(
        database,
        contract,
        "a",
        exposure=Decimal(7),
        currency="ZAR",
        state="resolved",
        resolved_at=NOW,
        exposure_reporting=None,
    )
    add_case(database, contract, "b", exposure=Decimal(7), currency="ZAR", exposure_reporting=None)
    assert reads.tallies("ada@example.com").all.unconverted == (Unconverted(Money(Decimal(900), "BRL"), 2),)
    assert reads.exception_ageing().calendar[0].exposure.unconverted == (Unconverted(Money(Decimal(900), "BRL"), 2),)


def test_one_contracts_exceptions_in_one_group_hold_up_its_money_once(database: sa.Engine, reads: Reads) -> None:
    contract = add_contract(database)
    for n in range(3):
        add_case(database, contract, "po_missing", group_key="p", state="resolved", resolved_at=NOW, hours=n)
    [group] = reads.case_groups(ExceptionFilter(state="closed"))
    assert (group.exposure.count, group.exposure.money.amount) == (3, Decimal(100))


def test_chosen_rows_of_one_contract_are_summed_once() -> None:
    ten, four, reais = Money(Decimal(10), "USD"), Money(Decimal(4), "USD"), Money(Decimal(7), "BRL")
    total = summed_once([(1, ten, ten), (1, four, four), (2, reais, None), (2, reais, None), (3, None, None)], "USD")
    assert (total.count, total.money) == (5, ten)
    assert total.unconverted == (Unconverted(reais, 2),)


def test_single_amounts_are_summed_and_none_is_lost() -> None:
    dollars, reais = Money(Decimal(3), "USD"), Money(Decimal(4), "BRL")
    total = summed([(dollars, dollars), (reais, None), (None, None)], "USD")
    assert (total.count, total.money) == (3, dollars)
    assert total.unconverted == (Unconverted(reais, 1),)
