"""Invoices, payments and disputes are kept once each, with the contract they belong to."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from collectors.financial_status import collect
from sync_core.errors import ErpAnswerIncomplete, ErpUnavailable
from sync_core.keys import BusinessKey, ErpRef, Lane
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import CallContext, Capabilities, FinancialFact, FinancialKind, FinancialPage
from tests.engine.support import Bench
from tests.memory_erp import MemoryConnector, MemoryErp
from tests.sows import cloud_event, signed

INVOICE = FinancialFact(
    FinancialKind.INVOICE, ErpRef("I-1"), BusinessKey("clm/C-1"), Decimal("10000.005"), "KWD", date(2026, 5, 29), "open"
)
PAYMENT = replace(INVOICE, kind=FinancialKind.PAYMENT, ref=ErpRef("P-1"), status="received", invoice=ErpRef("I-1"))
STRANGE = replace(INVOICE, ref=ErpRef("I-9"), project=BusinessKey("elsewhere/X-1"))


POSTING = replace(
    INVOICE, kind=FinancialKind.REVENUE, ref=ErpRef("R-1"), status="posted", invoice=ErpRef("I-1"),
    line=BusinessKey("clm/C-1#L:1"),
)  # fmt: skip
REVERSAL = replace(POSTING, ref=ErpRef("R-2"), amount=Decimal(-4), reverses=ErpRef("R-1"))


class Ledger(MemoryConnector):
    """The memory ERP with pages of facts; the cursor is the number of pages read."""

    def __init__(self, pages: Sequence[Sequence[FinancialFact]], *, breaks_after: int = 99) -> None:
        super().__init__(MemoryErp(), LaneGate(Lane("cloud")))
        self.pages, self.breaks_after = list(pages), breaks_after
        self.asked: list[str | None] = []
        self.reports = super().capabilities.reports

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, reports=self.reports)

    async def financial_status(self, cursor: str | None, ctx: CallContext) -> FinancialPage:
        self.asked.append(cursor)
        read = int(cursor or 0)
        if read >= self.breaks_after:
            raise ErpUnavailable("cloud", "is down")
        facts = tuple(self.pages[read]) if read < len(self.pages) else ()
        return FinancialPage(facts, str(min(read + 1, len(self.pages))), more=read + 1 < len(self.pages))


@pytest.fixture
async def bench(async_database: AsyncEngine) -> Bench:
    bench = Bench(async_database)
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    await (await bench.worker()).drain()
    return bench


async def facts(bench: Bench) -> list[tuple[object, ...]]:
    rows = await bench.rows("""
        SELECT f.kind, f.ref, f.status, f.amount, c.external_id
        FROM core.financial_fact AS f LEFT JOIN core.contract AS c USING (contract_id) ORDER BY f.recorded_at, f.ref
    """)
    return [tuple(row) for row in rows]


async def test_facts_are_kept_exactly_once_with_their_contract(bench: Bench) -> None:
    ledger = Ledger([[INVOICE, STRANGE], [PAYMENT]])
    assert await collect(bench.engine, ledger, clock=bench.clock) == 3
    assert await collect(bench.engine, ledger, clock=bench.clock) == 0
    assert ledger.asked == [None, "1", "2"]
    assert await facts(bench) == [
        ("invoice", "I-1", "open", Decimal("10000.005"), "C-1"),
        ("invoice", "I-9", "open", Decimal("10000.005"), None),
        ("payment", "P-1", "received", Decimal("10000.005"), "C-1"),
    ]


async def test_a_changed_status_is_another_fact(bench: Bench) -> None:
    ledger = Ledger([[INVOICE]])
    await collect(bench.engine, ledger, clock=bench.clock)
    paid = replace(INVOICE, status="paid")
    ledger.pages.append([paid, paid])
    assert await collect(bench.engine, ledger, clock=bench.clock) == 1
    assert [fact[2] for fact in await facts(bench)] == ["open", "paid"]


async def test_a_status_that_comes_back_and_a_changed_amount_are_facts(bench: Bench) -> None:
    paid, less = replace(INVOICE, status="paid"), replace(INVOICE, amount=Decimal("9000"))
    ledger = Ledger([[INVOICE], [paid, INVOICE], [INVOICE, less]])
    assert await collect(bench.engine, ledger, clock=bench.clock) == 4
    rows = await bench.rows("SELECT status, amount FROM core.financial_fact ORDER BY seq")
    assert rows == [("open", INVOICE.amount), ("paid", INVOICE.amount), ("open", INVOICE.amount), ("open", less.amount)]


async def test_a_collector_that_was_overtaken_stores_no_old_status(bench: Bench) -> None:
    class Slow(Ledger):
        """Another collector reads to the end while this one waits for its first page."""

        async def financial_status(self, cursor: str | None, ctx: CallContext) -> FinancialPage:
            page = await super().financial_status(cursor, ctx)
            await collect(bench.engine, Ledger([[INVOICE], [replace(INVOICE, status="paid")]]), clock=bench.clock)
            return page

    assert await collect(bench.engine, Slow([[INVOICE]]), clock=bench.clock) == 0
    assert [fact[2] for fact in await facts(bench)] == ["open", "paid"]


async def test_an_outage_between_pages_repeats_nothing_and_skips_nothing(bench: Bench) -> None:
    ledger = Ledger([[INVOICE], [PAYMENT]], breaks_after=1)
    with pytest.raises(ErpUnavailable):
        await collect(bench.engine, ledger, clock=bench.clock)
    ledger.breaks_after = 99
    assert await collect(bench.engine, ledger, clock=bench.clock) == 1
    assert ledger.asked == [None, "1", "1"]


async def test_paging_that_stands_still_is_an_error_and_no_endless_loop(bench: Bench) -> None:
    class Stuck(Ledger):
        async def financial_status(self, cursor: str | None, ctx: CallContext) -> FinancialPage:
            return FinancialPage((), "7", more=True)

    with pytest.raises(ErpAnswerIncomplete, match="stays at '7'"):
        await collect(bench.engine, Stuck([]), clock=bench.clock)


async def test_a_posting_keeps_its_line_and_what_it_reverses(bench: Bench) -> None:
    assert await collect(bench.engine, Ledger([[POSTING, REVERSAL], [POSTING]]), clock=bench.clock) == 2
    found = await bench.rows("""
        SELECT kind, ref, amount, invoice_ref, line_key, reverses_ref, contract_id IS NOT NULL
        FROM core.financial_fact ORDER BY seq""")
    assert [tuple(row) for row in found] == [
        ("revenue", "R-1", Decimal("10000.005"), "I-1", "clm/C-1#L:1", None, True),
        ("revenue", "R-2", Decimal(-4), "I-1", "clm/C-1#L:1", "R-1", True),
    ]


async def test_what_an_erp_reports_is_on_record_and_news_of_it_is_measured(bench: Bench) -> None:
    """Its contracts are looked at again once it has said whether it reports revenue, and when it says otherwise,
    although nothing else happened to them.
    """
    erp = Ledger([])
    for reports, marked in ((erp.reports, 1), (frozenset(FinancialKind), 2), (frozenset(FinancialKind), 2)):
        erp.reports = reports
        await collect(bench.engine, erp, clock=bench.clock)
        ((said,),) = await bench.rows("SELECT reports FROM core.financial_source WHERE system = 'cloud'")
        assert said == sorted(kind.value for kind in reports)
        ((count,),) = await bench.rows("SELECT count(*) FROM metrics.mark")
        assert count == marked
