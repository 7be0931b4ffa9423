"""What an ERP invoices of a contract that nothing happens to: an invoice has it compared, and then it is known here."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from collectors.financial_status import collect
from sync_core.desired import Kind
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import FinancialFact, FinancialKind
from sync_core.reads.amendments import AmendmentHistory
from tests.collectors.test_financial_status import Ledger
from tests.engine.governed import Desk
from tests.watch.drifting import found, look

INVOICE = FinancialFact(
    FinancialKind.INVOICE, ErpRef("I-1"), BusinessKey("clm/A-1"), Decimal(10_000), "USD", date(2026, 5, 29), "issued"
)


async def _contract(desk: Desk) -> int:
    [[contract]] = await desk.rows("SELECT contract_id FROM core.contract WHERE external_id = 'A-1'")
    return int(contract)


def _books(desk: Desk, contract: int) -> AmendmentHistory:
    told = desk.reads.amendments(contract)
    assert told is not None
    assert told.books is not None
    return told


def _billed(desk: Desk, *, billed: bool, invoiced: Decimal | None = None) -> None:
    [design] = [held for held in desk.erp.of(Kind.MILESTONE) if held.key == "clm/A-1#M:design"]
    desk.erp.hold(replace(design, billed=billed, invoiced=invoiced))


async def test_a_new_invoice_has_its_contract_compared_first_and_its_milestone_is_known_as_invoiced(desk: Desk) -> None:
    contract = await _contract(desk)
    await look(desk)
    desk.virtual.advance(timedelta(days=1))
    _billed(desk, billed=True)
    payment = replace(INVOICE, kind=FinancialKind.PAYMENT, ref=ErpRef("P-1"), invoice=INVOICE.ref)
    await collect(desk.engine, Ledger([[INVOICE, payment]]), clock=desk.clock)
    assert desk.reads.drift_watch().asked == 1
    await look(desk, most=0)
    told = _books(desk, contract)
    assert told.books is not None
    assert (told.books.invoiced, told.books.to_invoice) == (Decimal(10_000), Decimal(15_000))
    assert told.invoiced_at == desk.clock.now()
    assert (desk.reads.drift_watch().asked, found(desk)) == (0, [])


async def test_what_was_taken_back_in_the_erp_is_to_be_invoiced_again(desk: Desk) -> None:
    contract = await _contract(desk)
    for billed, invoiced, known in ((True, None, 10_000), (False, None, 0), (True, Decimal(4_000), 4_000)):
        _billed(desk, billed=billed, invoiced=invoiced)
        await look(desk)
        told = _books(desk, contract)
        assert told.books is not None
        assert told.books.invoiced == known
