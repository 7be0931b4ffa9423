"""Master data that is received: kept in versions, contracts that waited go on, a person's merge holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import Forbidden, person
from sync_core.commands.desk import Changed, CommandRefused, InvalidInput
from sync_core.engine.worker import Worker
from sync_core.errors import TielineError
from sync_core.estate.estate import Estate, load
from sync_core.master import polling
from sync_core.master.records import MasterCustomer, MasterEntity, MasterPage, MdmError
from sync_core.master.store import Kept, keep
from tests.commands import people
from tests.engine.support import Bench
from tests.sows import ESTATE_TOML, cloud_event, milestone_terms, signed

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
STEWARD = person("md@example.com", ["operator:master_data"])
HARBOUR = MasterCustomer("M-1", "CUST-1", "Harbour Mutual", NOW, "US-99-1", "US")


def estate(*, creates: bool = False) -> Estate:
    mdm = f'\n[[mdm]]\nname = "master"\nkind = "sandbox"\ncreates_customers = {str(creates).lower()}\n'
    return load(ESTATE_TOML.replace("create_customers = true", "create_customers = false") + mdm)


class Floor(Bench):
    only: Worker | None = None  # another one would wait for the slots of the first

    async def receive(self, *records: MasterCustomer | MasterEntity) -> Kept:
        customers = [one for one in records if isinstance(one, MasterCustomer)]
        entities = [one for one in records if isinstance(one, MasterEntity)]
        async with self.engine.begin() as conn:
            return await keep(conn, "master", customers, entities, now=self.clock.now())

    async def sign(self, contract: str = "C-1", **customer: str) -> None:
        named = {"code": "CUST-1", "name": "Harbour Mutual", "country": "US", **customer}
        await self.arrive(cloud_event(f"e-{contract}", "signed.v1", signed(contract, milestone_terms(customer=named))))
        await self.run()

    async def alike(self, *contracts: str) -> int:
        """Contracts whose customer HM is like HARBOUR, and nobody has decided: the exception of the first."""
        await self.receive(HARBOUR)
        for contract in contracts:
            await self.sign(contract, code="HM", name="Harbor Mutual Inc.")
        found = await self.rows("SELECT case_id FROM core.case ORDER BY 1")
        assert len(found) == len(contracts)
        return int(str(found[0][0]))

    async def run(self, *, after: timedelta = timedelta(seconds=1)) -> None:
        self.virtual.advance(after)
        self.only = self.only or await self.worker()
        await self.only.drain()

    async def causes(self) -> list[str]:
        return [str(r[0]) for r in await self.rows("SELECT cause FROM core.case WHERE state = 'open' ORDER BY 1")]


@pytest.fixture
def floor(async_database: AsyncEngine) -> Floor:
    return Floor(async_database, estate=estate())


async def test_each_version_is_kept_and_what_says_nothing_new_is_none(floor: Floor) -> None:
    assert await floor.receive(HARBOUR) == Kept(1, 0)
    assert await floor.receive(HARBOUR) == Kept(0, 0)
    later = replace(HARBOUR, name="Harbour Mutual Group", changed_at=NOW + timedelta(hours=1))
    assert await floor.receive(later, HARBOUR) == Kept(1, 0), "one page with both ends with the later"
    assert await floor.receive(HARBOUR) == Kept(0, 0), "an older one that comes late changes nothing"
    assert await floor.rows("SELECT name, version FROM core.master_customer") == [("Harbour Mutual Group", 2)]
    versions = await floor.rows("SELECT version, record ->> 'name' FROM core.master_version ORDER BY seq")
    assert versions == [(1, "Harbour Mutual"), (2, "Harbour Mutual Group")]


async def test_a_contract_that_waits_for_its_customer_goes_on_when_master_data_has_it(floor: Floor) -> None:
    floor.erp.customers.clear()
    await floor.sign(code="CUST-7", name="Nine Elms Foods")
    assert await floor.causes() == ["customer_unknown"]
    floor.erp.customers.add("CUST-7")
    kept = await floor.receive(replace(HARBOUR, mdm_id="M-7", code="CUST-7", name="Nine Elms Foods", tax_id=None))
    assert kept == Kept(1, 1)
    await floor.run()
    assert await floor.states() == {"C-1": "active"}


async def test_who_waits_for_another_customer_is_left_alone(floor: Floor) -> None:
    floor.erp.customers.clear()
    await floor.sign(code="CUST-7", name="Nine Elms Foods")
    assert await floor.receive(replace(HARBOUR, mdm_id="M-8", code="CUST-8", name="Brackenfield Water")) == Kept(1, 0)


async def test_a_customer_of_master_data_is_created_only_where_the_estate_says_so(async_database: AsyncEngine) -> None:
    floor = Floor(async_database, estate=estate(creates=True))
    floor.erp.customers.clear()
    await floor.receive(HARBOUR)
    await floor.sign()
    assert await floor.states() == {"C-1": "active"}
    assert floor.erp.creates.total() > 0
    await floor.sign("C-2", code="CUST-9", name="Unheard of")
    assert await floor.causes() == ["customer_unknown"]


async def test_a_near_duplicate_is_merged_by_a_person_for_all_contracts_of_its_code(
    floor: Floor, database: sa.Engine
) -> None:
    case = await floor.alike("C-1", "C-2")
    assert await floor.causes() == ["customer_near_duplicate"] * 2
    assert floor.erp.calls == [], "nothing was asked of the ERP, let alone made there"
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    with pytest.raises(InvalidInput, match="there is no master record"):
        commands.customers.identify(STEWARD, case, "master/M-9", "the same firm")
    with pytest.raises(Forbidden):
        commands.customers.identify(people.TAX, case, "master/M-1", "the same firm")
    done = commands.customers.identify(STEWARD, case, "master/M-1", "the same firm, spelt otherwise")
    assert (done.code, done.is_code, done.contracts) == ("HM", "CUST-1", 2)
    await floor.run()
    assert await floor.states() == {"C-1": "active", "C-2": "active"}
    assert {f.fields["customer"] for f in floor.erp.objects.values() if "customer" in f.fields} == {"CUST-1"}
    assert await floor.rows("SELECT code, mdm_id, decided_by FROM core.customer_match") == [
        ("HM", "M-1", "md@example.com")
    ]
    await floor.sign("C-3", code="HM", name="Harbor Mutual Inc.")
    assert (await floor.states())["C-3"] == "active", "the decision holds for those to come"


async def test_a_decision_on_a_customer_takes_reach_over_all_whose_contracts_name_it_and_stands(
    floor: Floor, database: sa.Engine
) -> None:
    await floor.receive(HARBOUR, replace(HARBOUR, mdm_id="M-2", code="CUST-2", name="Brackenfield", tax_id=None))
    named = {"code": "HM", "name": "Harbor Mutual Inc.", "country": "US"}
    await floor.sign("C-1", **named)
    await floor.arrive(cloud_event("e-C-2", "signed.v1", signed("C-2", milestone_terms(
        customer=named, legal_entity="GB01", currency="GBP", tax={"exempt": True}))))  # fmt: skip
    await floor.run()
    found = await floor.rows("SELECT case_id, cause FROM core.case JOIN core.contract USING (contract_id) "
                             "WHERE cause = 'customer_near_duplicate' ORDER BY external_id")  # fmt: skip
    (first, _), (second, _) = found
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    american = person("us@example.com", ["operator:master_data@US01"])
    for record in ("master/M-1", None):
        with pytest.raises(Forbidden, match="for GB01"):
            commands.customers.identify(american, first, record, "the same firm")
    with pytest.raises(InvalidInput, match="none of the records that are alike: master/M-1"):
        commands.customers.identify(STEWARD, first, "master/M-2", "the same firm")
    commands.customers.identify(STEWARD, first, "master/M-1", "the same firm")
    other = person("other@example.com", ["operator:master_data"])
    with pytest.raises(Changed, match="decided on 2026-03-02 that HM is CUST-1"):
        commands.customers.identify(other, second, None, "no relation")
    assert await floor.rows("SELECT mdm_id, decided_by FROM core.customer_match") == [("M-1", "md@example.com")]


async def test_a_person_may_say_that_it_is_another_customer(floor: Floor, database: sa.Engine) -> None:
    floor.erp.customers.add("HM")
    case = await floor.alike("C-1")
    done = people.commands(database, clock=floor.clock, estate=floor.estate).customers.identify(
        STEWARD, case, None, "no relation"
    )
    assert done.is_code is None
    await floor.run()
    assert await floor.states() == {"C-1": "active"}


async def test_a_decision_on_a_customer_is_taken_back_and_made_anew_without_a_second_customer(
    floor: Floor, database: sa.Engine
) -> None:
    case = await floor.alike("C-1", "C-2")
    customers = people.commands(database, clock=floor.clock, estate=floor.estate).customers
    with pytest.raises(CommandRefused, match="nobody decided"):
        customers.take_back(STEWARD, case, "HM", "a namesake")
    customers.identify(STEWARD, case, "master/M-1", "the same firm")
    await floor.run()
    await floor.sign("C-3", code="HM", name="Harbor Mutual Inc.")
    assert await floor.states() == {"C-1": "active", "C-2": "active", "C-3": "active"}
    created = floor.erp.creates.copy()
    with pytest.raises(Forbidden):
        customers.take_back(people.TAX, case, "HM", "a namesake")
    with pytest.raises(Changed):
        customers.take_back(STEWARD, case, "HM", "a namesake", version=99)
    done = customers.take_back(STEWARD, case, "HM", "a namesake")
    assert (done.code, done.was_code, done.contracts) == ("HM", "CUST-1", 3)
    assert await floor.rows("SELECT taken_back_at > decided_at, version FROM core.customer_match") == [(True, 2)]
    await floor.run()
    assert set((await floor.states()).values()) == {"blocked"}, "they wait for another decision"
    assert set(await floor.causes()) == {"customer_near_duplicate"}
    assert {f.fields["customer"] for f in floor.erp.objects.values() if "customer" in f.fields} == {"CUST-1"}
    with pytest.raises(CommandRefused, match="nobody decided"):
        customers.take_back(STEWARD, case, "HM", "once more")
    floor.erp.customers.add("HM")
    customers.identify(STEWARD, case, None, "no relation")
    await floor.run()
    assert set((await floor.states()).values()) == {"active"}
    assert {f.fields["customer"] for f in floor.erp.objects.values() if "customer" in f.fields} == {"HM"}
    assert floor.erp.creates == created, "nothing was made twice, least of all a customer"
    actions = [row[0] for row in await floor.rows("SELECT action FROM core.audit ORDER BY id")]
    assert actions == ["customer.identify", "customer.take_back", "customer.identify"]


async def test_a_merge_in_master_data_moves_contracts_to_the_survivor(floor: Floor) -> None:
    floor.erp.customers.add("CUST-2")
    await floor.receive(HARBOUR, replace(HARBOUR, mdm_id="M-2", code="CUST-2", name="Harbour Holdings", tax_id="T2"))
    await floor.sign()
    merged = replace(HARBOUR, merged_into="M-2", status="closed", changed_at=NOW + timedelta(days=1))
    assert await floor.receive(merged) == Kept(1, 1)
    await floor.run()
    assert await floor.rows("SELECT customer_code, held_values FROM core.contract") == [
        ("CUST-2", {"customer.code": "CUST-2", "customer.name": "Harbour Holdings", "customer.tax_id": "T2"})
    ]


async def test_the_first_load_wakes_no_contract_that_bills_its_customer_already(floor: Floor) -> None:
    await floor.sign()
    assert await floor.states() == {"C-1": "active"}
    assert await floor.receive(HARBOUR) == Kept(1, 0)
    assert await floor.receive(replace(HARBOUR, tax_id="new", changed_at=NOW + timedelta(days=1))) == Kept(1, 1)


async def test_the_same_number_in_another_country_hides_no_name_that_is_alike(floor: Floor) -> None:
    abroad = replace(HARBOUR, mdm_id="M-2", code="CUST-2", name="Wattle Grain", tax_id="12 3", country="AU")
    await floor.receive(replace(HARBOUR, tax_id=None), abroad)
    await floor.sign(code="HM", tax_id="1-23")
    assert await floor.causes() == ["customer_near_duplicate"]


async def test_a_customer_that_gets_another_code_wakes_who_bills_it_by_the_old_one(floor: Floor) -> None:
    await floor.receive(HARBOUR)
    await floor.sign(tax_id="US-99-1")
    assert await floor.states() == {"C-1": "active"}
    floor.erp.customers.add("CUST-900")
    moved = replace(HARBOUR, code="CUST-900", changed_at=NOW + timedelta(hours=1))
    assert await floor.receive(moved) == Kept(1, 1)
    await floor.run()
    assert await floor.rows("SELECT customer_code, state FROM core.contract") == [("CUST-900", "active")]


async def test_a_closed_legal_entity_stops_its_contracts_until_it_is_open_again(floor: Floor) -> None:
    closed = MasterEntity("E-1", "US01", "Test Partners LLC", NOW, status="closed")
    await floor.receive(closed)
    await floor.sign()
    assert await floor.causes() == ["legal_entity_closed"]
    assert await floor.receive(replace(closed, status="active", changed_at=NOW + timedelta(days=1))) == Kept(1, 1)
    await floor.run()
    assert await floor.states() == {"C-1": "active"}


class Feed:
    """A master-data system with pages, and troubles on demand."""

    name = "master"

    def __init__(self, *pages: MasterPage) -> None:
        self.pages, self.asked, self.broken = list(pages), list[str | None](), False

    async def changes(self, watermark: str | None) -> MasterPage:
        self.asked.append(watermark)
        if self.broken:
            raise MdmError(self.name, "no answer")
        at = int(watermark or 0)
        return self.pages[at] if at < len(self.pages) else MasterPage((), (), str(at), more=False)

    async def aclose(self) -> None:
        return


async def test_a_poll_reads_all_pages_and_goes_on_where_it_was(floor: Floor) -> None:
    other = replace(HARBOUR, mdm_id="M-2", code="CUST-2")
    feed = Feed(MasterPage([HARBOUR], (), "1", more=True), MasterPage([other], (), "2", more=True))
    assert await polling.poll(floor.engine, feed, clock=floor.clock) == Kept(2, 0)
    assert feed.asked == [None, "1", "2"]
    feed.broken = True
    with pytest.raises(TielineError):
        await polling.poll(floor.engine, feed, clock=floor.clock)
    feed.broken = False
    assert await polling.poll(floor.engine, feed, clock=floor.clock) == Kept(0, 0)
    assert feed.asked[-1] == "2"
    stuck = Feed(*[MasterPage((), (), "2", more=True)] * 3)
    with pytest.raises(MdmError, match="its paging is broken"):
        await polling.poll(floor.engine, stuck, clock=floor.clock)
