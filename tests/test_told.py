"""What the CLM is told of money and of fields that others own: when it changes, once, and never lost in between."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.writeback import told
from sync_core.writeback.billing import Billing, RevenueStatus
from sync_core.writeback.told import DEBOUNCE
from sync_core.writeback.writeback import write_back
from tests.engine.support import Bench
from tests.sows import SOURCE
from tests.test_writeback import MemoryClm, provision

_FACT = """
    INSERT INTO core.financial_fact (system, kind, ref, project_key, contract_id, amount, currency, status, occurred_on,
                                     recorded_at)
    VALUES ('{system}', '{kind}', '{ref}', 'clm/C-1', 1, {amount}, '{currency}', '{status}', '2026-05-30', :now)
"""


_SOURCE = """
    INSERT INTO core.financial_source (system, reports, said_at) VALUES ('cloud', '{invoice,payment,revenue}', :now)
"""


def fact(kind: str, ref: str, amount: str, status: str, currency: str = "USD", system: str = "cloud") -> str:
    return _FACT.format(kind=kind, ref=ref, amount=amount, status=status, currency=currency, system=system)


class Desk(Bench):
    async def report(self, *facts: str) -> None:
        """As a collector: facts, and the contract is due to be told."""
        async with self.engine.begin() as conn:
            for one in facts:
                await conn.execute(sa.text(one), {"now": self.clock.now()})
            await told.due(conn, [1], now=self.clock.now())

    async def tell(self, clm: MemoryClm) -> int:
        self.virtual.advance(DEBOUNCE)
        return await write_back(self.engine, {SOURCE: clm}, clock=self.clock)


@pytest.fixture
async def desk(async_database: AsyncEngine) -> Desk:
    desk = Desk(async_database)
    await provision(desk, "C-1")
    return desk


async def test_sums_are_of_the_newest_status_in_the_contracts_currency(desk: Desk) -> None:
    clm = MemoryClm()
    await desk.report(
        fact("invoice", "I-1", "10000", "issued"), fact("invoice", "I-1", "10000", "paid"),
        fact("invoice", "I-2", "15000", "issued"), fact("invoice", "I-3", "700", "cancelled"),
        fact("invoice", "I-4", "-500", "issued"), fact("invoice", "I-5", "99", "issued", "EUR"),
        fact("payment", "P-1", "9000", "received"), fact("payment", "P-2", "15000", "bounced"),
        fact("dispute", "D-1", "10000", "open"), fact("dispute", "D-2", "15000", "open"),
        fact("dispute", "D-2", "15000", "resolved"),
    )  # fmt: skip
    assert await desk.tell(clm) == 1
    billing = clm.told["C-1"].billing
    assert billing is not None
    assert (billing.billed, billing.paid, billing.disputed) == (Decimal(24500), Decimal(9000), Decimal(10000))
    assert str(billing.next_bill_on) == "2026-05-29"


async def test_without_payments_a_paid_invoice_was_paid_in_full(desk: Desk) -> None:
    clm = MemoryClm()
    await desk.report(fact("invoice", "I-1", "10000", "paid"))
    await desk.tell(clm)
    assert clm.told["C-1"].billing == Billing("USD", Decimal(10000), Decimal(10000), Decimal(0),
                                              clm.told["C-1"].billing.next_bill_on)  # type: ignore[union-attr]  # fmt: skip


async def test_each_erp_of_a_moved_contract_counts_by_what_it_reports_itself(desk: Desk) -> None:
    clm = MemoryClm()
    await desk.report(
        fact("invoice", "I-1", "10000", "paid"), fact("payment", "P-1", "9000", "received"),
        fact("invoice", "I-1", "15000", "Paid", system="legacy"),
        fact("invoice", "I-2", "700", "CANCELLED", system="legacy"),
    )  # fmt: skip
    await desk.tell(clm)
    billing = clm.told["C-1"].billing
    assert billing is not None
    assert (billing.billed, billing.paid) == (Decimal(25000), Decimal(24000))


async def test_revenue_is_told_with_how_much_of_the_value_it_is(desk: Desk) -> None:
    """The contract's value is 25000."""
    clm = MemoryClm()
    steps = [
        (fact("invoice", "I-1", "10000", "issued"), Decimal(0), RevenueStatus.NONE),
        (fact("revenue", "R-1", "10000", "posted"), Decimal(10000), RevenueStatus.PARTIAL),
        (fact("revenue", "R-2", "-500", "posted"), Decimal(9500), RevenueStatus.PARTIAL),
        (fact("revenue", "R-3", "99", "posted", "EUR"), Decimal(9500), RevenueStatus.PARTIAL),
        (fact("revenue", "R-4", "15500", "posted"), Decimal(25000), RevenueStatus.FULL),
    ]
    async with desk.engine.begin() as conn:
        await conn.execute(sa.text(_SOURCE), {"now": desk.clock.now()})
    for one, recognised, status in steps:
        await desk.report(one)
        await desk.tell(clm)
        billing = clm.told["C-1"].billing
        assert billing is not None
        assert (billing.recognised, billing.revenue) == (recognised, status)


async def test_revenue_that_an_erp_does_not_report_is_told_as_that(desk: Desk) -> None:
    clm = MemoryClm()
    await desk.report(fact("invoice", "I-1", "10000", "issued"))
    await desk.tell(clm)
    async with desk.engine.begin() as conn:  # its own ERP reports it; one that it was moved from does not
        await conn.execute(sa.text(_SOURCE), {"now": desk.clock.now()})
    told_first = clm.told["C-1"].billing
    await desk.report(fact("invoice", "I-9", "100", "issued", system="legacy"), fact("revenue", "R-1", "10", "posted"))
    await desk.tell(clm)
    for billing in (told_first, clm.told["C-1"].billing):
        assert billing is not None
        assert (billing.recognised, billing.revenue) == (None, RevenueStatus.NOT_REPORTED)


async def test_facts_of_one_moment_are_told_in_one_call_and_not_before(desk: Desk) -> None:
    clm = MemoryClm()
    assert await desk.tell(clm) == 1
    for number in range(3):
        await desk.report(fact("invoice", f"I-{number}", "100", "issued"))
        desk.virtual.advance(timedelta(milliseconds=200))
    assert await write_back(desk.engine, {SOURCE: clm}, clock=desk.clock) == 0
    assert await desk.tell(clm) == 1
    assert clm.told["C-1"].billing.billed == Decimal(300)  # type: ignore[union-attr]
    assert await desk.tell(clm) == 0


async def test_a_fact_that_comes_while_it_is_told_is_told_after_it(desk: Desk) -> None:
    """Even at the same moment of a clock that stands, where the due time alone would not tell them apart."""
    clm = MemoryClm()
    clm.engine, clm.meanwhile = desk.engine, (fact("invoice", "I-1", "100", "issued"),)
    assert await desk.tell(clm) == 2
    assert clm.told["C-1"].billing.billed == Decimal(100)  # type: ignore[union-attr]


async def test_what_others_own_and_what_was_told_last_is_kept(desk: Desk) -> None:
    clm = MemoryClm()
    async with desk.engine.begin() as conn:
        await conn.execute(sa.text("""UPDATE core.contract SET held_values = '{"po_number": "PO-9"}'"""))
    await desk.tell(clm)
    assert clm.told["C-1"].values == {"po_number": "PO-9"}
    assert clm.told["C-1"].revision == 1
    ((said,),) = await desk.rows("SELECT said FROM core.told")
    assert said == {**clm.told["C-1"].said}


async def test_a_project_of_nobody_makes_nothing_due(desk: Desk) -> None:
    await desk.tell(MemoryClm())
    async with desk.engine.begin() as conn:
        assert await told.due(conn, [], now=desk.clock.now()) == 0
        assert await told.due(conn, [1, 1], now=desk.clock.now()) == 1
        assert await told.due(conn, [1], now=desk.clock.now()) == 0, "it is due already"
