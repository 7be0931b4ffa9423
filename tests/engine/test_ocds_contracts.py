"""A contract from a public release goes the way of all contracts: to the ERP, or to the person who can help."""

from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import person
from sync_core.commands.ocds_import import OcdsImport
from sync_core.desired import Kind
from sync_core.ocds.packaging import releases
from tests.engine.governed import Desk
from tests.ocds.releases import SOURCE, Json, contract, lines, ocds_estate, release

OURS = ocds_estate(**{"legal_entity": "US01", "tax_code": "US-CA-STD", "buyer:B-1": "CUST-1"})
MASTER_DATA = person("md@example.com", ["operator:master_data"])
APRIL, MAY = "2025-04-05T12:00:00Z", "2025-05-05T12:00:00Z"
WORTH = {"amount": "1500.00", "currency": "USD"}


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    return Desk(async_database, sync=database, estate=OURS)


async def taken(desk: Desk, *documents: Json) -> None:
    one = OcdsImport(desk.engine, clock=desk.clock, estate=desk.estate)
    actor = person("ada@example.test", ["administrator"])
    await one.take_in(actor, desk.estate.clms[SOURCE], releases(lines(*documents)), file="a.jsonl")
    await desk.run()


def billed(desk: Desk) -> list[Decimal]:
    return [Decimal(str(held.fields["amount"])) for held in desk.erp.of(Kind.MILESTONE) if held.active]


async def test_it_is_provisioned_amended_and_ended(desk: Desk) -> None:
    await taken(desk, release())
    assert (await desk.states(), billed(desk)) == ({"ocds-test-1:1": "active"}, [Decimal("1200.50")])
    [project] = desk.erp.of(Kind.PROJECT)
    assert project.key == "public/ocds-test-1:1"
    await taken(desk, release("r-2", APRIL, contracts=[contract(value=WORTH)]))
    assert (await desk.states(), billed(desk)) == ({"ocds-test-1:1": "active"}, [Decimal("1500.00")])
    await taken(desk, release("r-3", MAY, contracts=[contract(value=WORTH, status="terminated")]))
    assert (await desk.states(), billed(desk)) == ({"ocds-test-1:1": "ended"}, [])


async def test_one_that_ended_long_ago_asks_nobody_for_anything(desk: Desk) -> None:
    await taken(desk, release(buyer=None, contracts=[contract(status="terminated")]))
    assert (await desk.states(), await desk.cases()) == ({"ocds-test-1:1": "ended"}, [])


async def test_without_a_customer_it_waits_until_master_data_names_one(desk: Desk) -> None:
    await taken(desk, release(buyer=None))
    assert await desk.cases() == [("customer_missing", "master_data", "open")]
    assert not desk.erp.objects
    case = await desk.case_id("customer_missing")
    named = {"customer": {"code": "CUST-1", "name": "Town of Ashford"}}
    desk.people.corrections.submit(MASTER_DATA, case, named, "as the tender says")
    await desk.run()
    assert await desk.states() == {"ocds-test-1:1": "active"}
    later = release("r-2", APRIL, buyer=None, contracts=[contract(value=WORTH)])
    await taken(desk, later)  # it names none either, so the correction stands
    assert (await desk.states(), billed(desk)) == ({"ocds-test-1:1": "active"}, [Decimal("1500.00")])
