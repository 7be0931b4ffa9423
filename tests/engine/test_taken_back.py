"""A decision on a customer that was taken back: whom it is of, and a person decides again before anything is made."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.cases.rules import Deed
from sync_core.commands.customers import Customers
from sync_core.commands.desk import Changed, CommandRefused
from sync_core.estate.estate import load
from sync_core.reads import Reads
from sync_core.reads.case import CaseDetail
from tests.commands import people
from tests.engine.support import until
from tests.engine.test_master_data import HARBOUR, STEWARD, Floor
from tests.sows import ESTATE_TOML, cloud_event

MDM = '\n[[mdm]]\nname = "master"\nkind = "sandbox"\n'
LOCK = sa.text("SELECT 1 FROM core.contract WHERE external_id = :id FOR UPDATE")
WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
LATER = HARBOUR.changed_at + timedelta(days=1)


class Shop(Floor):
    """Its ERP gets customers that it lacks. C-1 names HM, which a person decided to be CUST-1, on exception `case`."""

    case: int
    customers: Customers
    sync: sa.Engine

    async def decide(self, database: sa.Engine) -> None:
        self.sync, self.customers = database, people.commands(database, clock=self.clock, estate=self.estate).customers
        self.case = await self.alike("C-1")
        self.customers.identify(STEWARD, self.case, "master/M-1", "the same firm")
        await self.run()
        assert await self.states() == {"C-1": "active"}

    async def amend(self, code: str, name: str, since: str | None = None) -> None:
        head = {"number": 1, "executed_at": "2026-03-02T11:00:00Z", **({"effective_on": since} if since else {})}
        changes = {"customer": {"code": code, "name": name, "country": "US"}}
        data = {"contract_id": "C-1", "revision": 2, "amendment": head, "changes": changes}
        await self.arrive(cloud_event("a1", "amended.v1", data))
        await self.run()

    def shown(self) -> CaseDetail:
        found = Reads(self.sync, clock=self.clock, estate=self.estate).case(self.case)
        assert found is not None
        return found

    async def while_intake_locks(self, command: Callable[[], object]) -> None:
        """Intake has C-1 when the command begins, and takes C-2 while that waits."""

        async def waiting() -> bool:
            return bool(await self.rows(WAITS))

        async with self.engine.begin() as intake:
            await intake.execute(LOCK, {"id": "C-1"})
            commanded = asyncio.create_task(asyncio.to_thread(command))
            await until(waiting)
            await intake.execute(LOCK, {"id": "C-2"})
        await commanded

    @property
    def heads(self) -> set[object]:
        """Customers that projects in the ERP are of."""
        return {one.fields["customer"] for one in self.erp.objects.values() if "customer" in one.fields}


@pytest.fixture
async def shop(async_database: AsyncEngine, database: sa.Engine) -> Shop:
    shop = Shop(async_database, estate=load(ESTATE_TOML + MDM))
    await shop.decide(database)
    return shop


async def test_what_was_taken_back_waits_for_a_person_whatever_master_data_says_by_then(shop: Shop) -> None:
    created = shop.erp.creates.copy()
    await shop.receive(replace(HARBOUR, name="Quayside Holdings", changed_at=LATER))
    await shop.run()
    shop.customers.take_back(STEWARD, shop.case, "HM", "a namesake")
    await shop.run()
    await shop.sign("C-2", code="HM", name="Harbor Mutual Inc.")
    assert await shop.states() == {"C-1": "blocked", "C-2": "blocked"}, "those to come wait too"
    assert set(await shop.causes()) == {"customer_near_duplicate"}
    assert (shop.erp.creates, shop.heads) == (created, {"CUST-1"}), "no second customer, and no project moved"
    shown = shop.shown().alike
    assert shown is not None
    assert ([one.id for one in shown.records], shown.decision) == (["master/M-1"], None)
    assert "what was decided of customer HM" in shop.shown().row.message
    done = shop.customers.identify(STEWARD, shop.case, "master/M-1", "the same firm after all")
    assert done.contracts == 2
    await shop.run()
    assert await shop.states() == {"C-1": "active", "C-2": "active"}
    assert shop.heads == {"CUST-1"}


async def test_what_was_decided_of_another_code_stays_when_the_contract_names_a_new_one(shop: Shop) -> None:
    await shop.amend("HM2", "Harbor Mutual LLC")
    shop.customers.identify(STEWARD, shop.case, "master/M-1", "the same as well")
    await shop.run()
    with pytest.raises(Changed, match="names HM2 as its customer, not HM"):
        shop.customers.take_back(STEWARD, shop.case, "HM", "HM was a namesake")
    shown = shop.shown().alike
    assert shown is not None
    assert shown.decision is not None
    assert shown.decision.code == "HM2"
    assert shop.customers.take_back(STEWARD, shop.case, "HM2", "a namesake").code == "HM2"
    standing = await shop.rows("SELECT code, taken_back_at IS NULL FROM core.customer_match ORDER BY code")
    assert standing == [("HM", True), ("HM2", False)]


async def test_page_and_command_mean_the_customer_of_the_day(shop: Shop) -> None:
    day = shop.clock.now() + timedelta(days=60)
    await shop.amend("CUST-9", "Nine Elms Foods", day.date().isoformat())
    before = shop.shown()
    assert before.alike is not None
    assert (before.alike.stated.code, before.alike.decision is not None) == ("HM", True)
    assert Deed.TAKE_BACK in [one.deed for one in before.actions]
    shop.virtual.advance(timedelta(days=61))
    then = shop.shown()
    assert then.alike is not None
    assert (then.alike.stated.code, then.alike.decision) == ("CUST-9", None)
    with pytest.raises(Changed, match="names CUST-9"):
        shop.customers.take_back(STEWARD, shop.case, "HM", "a namesake")
    with pytest.raises(CommandRefused, match="nobody decided which customer CUST-9 is"):
        shop.customers.take_back(STEWARD, shop.case, "CUST-9", "a namesake")


async def test_contracts_of_a_decision_are_locked_as_intake_locks_them(shop: Shop) -> None:
    await shop.sign("C-2", code="HM", name="Harbor Mutual Inc.")
    shop.customers.take_back(STEWARD, shop.case, "HM", "a namesake")
    await shop.run()
    ((other,),) = await shop.rows(f"SELECT case_id FROM core.case WHERE case_id <> {shop.case}")
    await shop.while_intake_locks(lambda: shop.customers.identify(STEWARD, other, "master/M-1", "the same firm"))
    await shop.run()
    await shop.arrive(cloud_event("t1", "terminated.v1", {"contract_id": "C-1", "revision": 2, "ended_on": "2026-03-02",
                                                          "reason": "for convenience"}))  # fmt: skip
    await shop.run()
    assert await shop.states() == {"C-1": "ended", "C-2": "active"}
    await shop.while_intake_locks(lambda: shop.customers.take_back(STEWARD, shop.case, "HM", "a namesake"))
    standing = await shop.rows("SELECT external_id, wanted_rev > done_rev FROM core.contract ORDER BY 1")
    assert standing == [("C-1", False), ("C-2", True)], "one that ended is left alone"
