"""Open exceptions by who has them: the functions add up to all, money without a rate is told."""

from decimal import Decimal

import sqlalchemy as sa

from sync_core.money import Money
from sync_core.reads import Reads, Unconverted
from sync_core.reads.amounts import summed
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
    assert seen.all.unconverted == (Unconverted(Money(Decimal(7), "BRL"), 1),)
    assert reads.within(BRITISH_TAX).tallies("ada@example.com").all.count == 1


def test_single_amounts_are_summed_and_none_is_lost() -> None:
    dollars, reais = Money(Decimal(3), "USD"), Money(Decimal(4), "BRL")
    total = summed([(dollars, dollars), (reais, None), (None, None)], "USD")
    assert (total.count, total.money) == (3, dollars)
    assert total.unconverted == (Unconverted(reais, 1),)
