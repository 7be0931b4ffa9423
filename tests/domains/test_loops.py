"""Our own word coming back is no change: a CLM that publishes what it was told, an ERP that holds what we wrote."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.domains.house import House, house

OURS = '[ownership]\npo_references = { owner = "ERP" }\ntax_attributes = { owner = "ERP" }\n'


@pytest.mark.parametrize(
    ("path", "theirs", "value"),
    [("po_number", {"purchase_order": "PO-ERP"}, "PO-ERP"), ("tax.tax_code", {"tax_code": "US-NY-STD"}, "US-NY-STD")],
)
async def test_a_clm_that_publishes_what_it_was_told_ends_the_matter(
    path: str, theirs: dict[str, str], value: str, async_database: AsyncEngine
) -> None:
    async with house(async_database, OURS) as firm:
        (await firm.clm.put("/sandbox/adopts", json={"fields": [path]})).raise_for_status()
        await firm.sign()
        await firm.edit(**theirs)
        events, writes = await firm.events(), await firm.writes()
        await firm.look()
        assert await firm.events() == events + 1, "the CLM took the value over, once"
        assert "values" not in await firm.told(), "both say the same now"
        assert await firm.writes() == writes, "the ERP was not written to"
        for _ in range(3):
            await firm.look()
        assert (await firm.events(), await firm.writes()) == (events + 1, writes)
        assert await firm.state() == "active"
        assert value in str(await firm.holds())


async def test_a_clm_that_is_told_of_its_masters_customer_and_publishes_it_changes_nothing(
    async_database: AsyncEngine,
) -> None:
    async with house(async_database) as firm:
        await firm.customer("M-1", code="CUST-1", name="Harbour Mutual Group", tax_id="US-99-1", country="US")
        await firm.sign()
        assert (await firm.told())["values"] == {"customer.name": "Harbour Mutual Group"}
        writes = await firm.writes()
        whole = {"code": "CUST-1", "name": "Harbour Mutual Group", "tax_id": "US-99-1", "country": "US"}
        await firm.amend(customer=whole)
        assert "values" not in await firm.told()
        assert await firm.writes() == writes


async def test_what_we_wrote_is_agreed_and_no_look_finds_a_change(async_database: AsyncEngine) -> None:
    async with house(async_database, '[ownership]\ncontract_headers = { conflict = "person" }\n') as firm:
        await firm.sign()
        for title in ("Second", "Third"):
            await firm.amend(title=title)
            await firm.look()
        assert await firm.causes() == set()
        assert (await firm.holds())["name"] == "Third"
        assert await _agreed(firm) == 0, "nothing is remembered beside what the ERP holds"


async def _agreed(firm: House) -> int:
    async with firm.engine.connect() as conn:
        return int(await conn.scalar(sa.text("SELECT count(*) FROM core.crosswalk WHERE agreed IS NOT NULL")) or 0)
