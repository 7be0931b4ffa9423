"""Who may change a field, tried with workers: what is put back, asked, allowed, left and told, and never forgotten."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import person
from sync_core.commands.conflicts import Take
from sync_core.commands.desk import Changed, InvalidInput
from sync_core.desired import Found, Kind, Scalar
from sync_core.engine.worker import Worker
from sync_core.estate.estate import Estate, load
from sync_core.reads.conflicts import conflicts
from tests.commands import people
from tests.engine.support import Bench
from tests.sows import ESTATE_TOML, cloud_event, milestone_terms, signed, tm_terms

OPERATOR = person("fin@example.com", ["operator:finance_operations"])
ALL = person("fin@example.com", ["operator"])  # of every function, so of every field
ASK = """
[ownership]
contract_headers = { conflict = "person" }
sow_milestones = { conflict = "person" }
rate_cards = { conflict = "person" }
po_references = { owner = "ERP" }
"project.payment_terms" = { conflict = "allow" }
"""


def asking(text: str = ASK) -> Estate:
    return load(ESTATE_TOML + text)


class Floor(Bench):
    """A bench whose ERP is edited by hand."""

    only: Worker | None = None  # another one would wait for the slots of the first

    async def signed(self, terms: dict[str, object] | None = None) -> None:
        await self.arrive(cloud_event("e1", "signed.v1", signed("C-1", terms or milestone_terms())))
        await self.run()
        assert await self.states() == {"C-1": "active"}

    async def run(self, *, after: timedelta = timedelta()) -> None:
        self.virtual.advance(after)
        self.only = self.only or await self.worker()
        await self.only.drain()

    async def looks(self) -> None:
        """As the watch for drift does: due without an event."""
        async with self.engine.begin() as conn:
            await conn.execute(sa.text("UPDATE core.contract SET due_at = :now"), {"now": self.clock.now()})
        await self.run()

    def held(self, kind: Kind, part: str = "") -> Found:
        return next(f for f in self.erp.of(kind) if f.key.endswith(part))

    def edit(self, kind: Kind, part: str = "", **changed: Scalar) -> None:
        found = self.held(kind, part)
        self.erp.hold(replace(found, fields={**found.fields, **changed}))

    async def case(self) -> tuple[int, str, str]:
        ((case, cause, message),) = await self.rows(
            "SELECT case_id, cause, message FROM core.case WHERE state = 'open'"
        )
        return int(case), str(cause), str(message)

    async def amended(self, number: int, **changes: object) -> None:
        header = {"number": number, "executed_at": self.clock.now().isoformat()}
        data = {"contract_id": "C-1", "revision": number + 1, "amendment": header, "changes": changes}
        await self.arrive(cloud_event(f"a{number}", "amended.v1", data, at=self.clock.now()))
        await self.run()


@pytest.fixture
async def floor(async_database: AsyncEngine) -> Floor:
    return Floor(async_database, estate=asking())


async def test_what_is_changed_in_the_erp_is_put_back_and_the_journal_says_so(async_database: AsyncEngine) -> None:
    floor = Floor(async_database)
    await floor.signed()
    floor.edit(Kind.PROJECT, name="Somebody's words")
    await floor.looks()
    assert floor.held(Kind.PROJECT).fields["name"] == "Claims platform rollout"
    ((words,),) = await floor.rows("SELECT error FROM core.operation WHERE action = 'update'")
    assert "name was changed there from Claims platform rollout to Somebody's words" in str(words)


async def test_a_person_is_asked_with_both_values_and_nothing_is_written(floor: Floor) -> None:
    await floor.signed()
    floor.edit(Kind.MILESTONE, "golive", bill_on="2026-11-30")
    for _ in range(3):
        await floor.looks()
        _case, cause, message = await floor.case()
        assert cause == "ownership_conflict"
        assert "bill on is 2026-11-30 in the ERP, 2026-09-30 by the contract" in message
    assert floor.held(Kind.MILESTONE, "golive").fields["bill_on"] == "2026-11-30"
    assert floor.erp.calls.count("update milestone") == 0
    assert (await floor.rows("SELECT occurrences FROM core.case"))[0][0] == 1, "seen again without news"


async def test_an_event_that_comes_meanwhile_does_not_make_it_forgotten(floor: Floor) -> None:
    await floor.signed()
    floor.edit(Kind.PROJECT, name="Theirs")
    await floor.looks()
    await floor.amended(1, title="Newly agreed")
    _, cause, message = await floor.case()
    assert cause == "ownership_conflict"
    assert "Theirs in the ERP, Newly agreed by the contract, Claims platform rollout when both" in message
    assert floor.held(Kind.PROJECT).fields["name"] == "Theirs"


async def test_the_contracts_value_is_kept_by_decision(floor: Floor, database: sa.Engine) -> None:
    await floor.signed()
    floor.edit(Kind.MILESTONE, "golive", bill_on="2026-11-30")
    await floor.looks()
    case, _, _ = await floor.case()
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    done = commands.conflicts.resolve(OPERATOR, case, {"milestone[golive].bill_on": Take.OURS}, "the contract says so")
    assert done.kept == ("milestone[golive].bill_on",)
    await floor.run(after=timedelta(seconds=1))
    assert floor.held(Kind.MILESTONE, "golive").fields["bill_on"] == "2026-09-30"
    assert await floor.states() == {"C-1": "active"}
    assert await floor.rows("SELECT state, closed_how FROM core.case") == [("resolved", "read_back")]
    floor.edit(Kind.MILESTONE, "golive", bill_on="2026-12-24")
    await floor.looks()
    assert (await floor.case())[0] == case, "another value asks anew"


async def test_the_erps_value_is_taken_into_the_contract(floor: Floor, database: sa.Engine) -> None:
    await floor.signed()
    floor.edit(Kind.MILESTONE, "golive", bill_on="2026-11-30")
    floor.edit(Kind.PROJECT, name="As it is called there")
    await floor.looks()
    case, _, _ = await floor.case()
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    with database.connect() as conn:
        names = {one.name: one for one in conflicts(conn, 1, floor.estate)}
    assert set(names) == {"project.name", "milestone[golive].bill_on"}
    done = commands.conflicts.resolve(ALL, case, dict.fromkeys(names, Take.THEIRS), "as agreed by telephone")
    assert done.event_id is not None
    await floor.run(after=timedelta(seconds=1))
    assert await floor.states() == {"C-1": "active"}
    assert floor.held(Kind.MILESTONE, "golive").fields["bill_on"] == "2026-11-30"
    assert floor.held(Kind.PROJECT).fields["name"] == "As it is called there"
    assert floor.erp.calls.count("update milestone") == 0
    events = await floor.rows("SELECT type, attributes ->> 'author' FROM core.event ORDER BY seq DESC LIMIT 1")
    assert events == [("com.tieline.contract.corrected.v1", "fin@example.com")]
    assert "conflict.resolve" in {row[0] for row in await floor.rows("SELECT action FROM core.audit")}


async def test_a_rate_is_taken_into_the_card(floor: Floor, database: sa.Engine) -> None:
    await floor.signed(tm_terms())
    floor.edit(Kind.LABOUR_RATE, "SR", rate="260")
    await floor.looks()
    case, _, _ = await floor.case()
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    commands.conflicts.resolve(ALL, case, {"labour_rate[SR].rate": Take.THEIRS}, "the new rate was agreed")
    await floor.run(after=timedelta(seconds=1))
    assert await floor.states() == {"C-1": "active"}
    assert floor.held(Kind.LABOUR_RATE, "SR").fields["rate"] == "260"


async def test_an_amendment_that_no_run_has_seen_is_not_overwritten_by_a_decision(
    floor: Floor, database: sa.Engine
) -> None:
    await floor.signed(tm_terms())
    floor.edit(Kind.LABOUR_RATE, "SR", rate="90")
    await floor.looks()
    case, _, _ = await floor.case()
    header = {"number": 1, "executed_at": floor.clock.now().isoformat()}
    dearer = {"category": "SR", "name": "Senior consultant", "rate": "260.00", "planned_hours": "120", "line": "1"}
    data = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": {"rates": [dearer]}}
    floor.virtual.advance(timedelta(minutes=1))
    await floor.arrive(cloud_event("a1", "amended.v1", data, at=floor.clock.now()))
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    with pytest.raises(Changed, match=r"labour_rate\[SR\].rate is 260 now"):
        commands.conflicts.resolve(ALL, case, {"labour_rate[SR].rate": Take.THEIRS}, "as it is there")
    await floor.run(after=timedelta(seconds=1))
    _, _, message = await floor.case()
    assert "rate is 90 in the ERP, 260 by the contract" in message
    commands.conflicts.resolve(ALL, case, {"labour_rate[SR].rate": Take.THEIRS}, "with both values seen")
    await floor.run(after=timedelta(seconds=1))
    assert await floor.states() == {"C-1": "active"}


async def test_a_value_is_taken_only_after_a_run_has_seen_all_events(floor: Floor, database: sa.Engine) -> None:
    await floor.signed()
    floor.edit(Kind.PROJECT, name="Theirs")
    await floor.looks()
    case, _, _ = await floor.case()
    header = {"number": 1, "executed_at": floor.clock.now().isoformat()}
    data = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": {"po_number": "PO-2"}}
    await floor.arrive(cloud_event("a1", "amended.v1", data, at=floor.clock.now()))
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    with pytest.raises(Changed, match="wait for its next run"):
        commands.conflicts.resolve(ALL, case, {"project.name": Take.THEIRS}, "as it is there")


async def test_a_value_that_contradicts_the_contract_is_not_taken(floor: Floor, database: sa.Engine) -> None:
    await floor.signed()
    floor.edit(Kind.MILESTONE, "golive", amount="14000")
    await floor.looks()
    case, _, _ = await floor.case()
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    with pytest.raises(InvalidInput, match="milestones add up to"):
        commands.conflicts.resolve(ALL, case, {"milestone[golive].amount": Take.THEIRS}, "less work")
    with pytest.raises(InvalidInput, match="is none of them"):
        commands.conflicts.resolve(OPERATOR, case, {"project.name": Take.OURS}, "some reason")
    with pytest.raises(Changed):
        commands.conflicts.resolve(OPERATOR, case, {"milestone[golive].amount": Take.OURS}, "why not", version=99)


async def test_what_the_erp_owns_is_left_and_the_clm_is_told(floor: Floor) -> None:
    await floor.signed()
    floor.edit(Kind.PROJECT, po_number="PO-ERP")
    await floor.looks()
    assert await floor.states() == {"C-1": "active"}
    assert floor.held(Kind.PROJECT).fields["po_number"] == "PO-ERP"
    held = "SELECT held_values, writeback_at IS NOT NULL FROM core.contract"
    assert await floor.rows(held) == [({"po_number": "PO-ERP"}, True)]
    await floor.amended(1, po_number="PO-CLM")
    assert floor.held(Kind.PROJECT).fields["po_number"] == "PO-ERP", "the contract does not own it"
    assert await floor.rows(held) == [({"po_number": "PO-ERP"}, True)]
    await floor.amended(2, po_number="PO-ERP")
    assert await floor.rows(held) == [({}, True)], "the CLM took it over: nothing is said otherwise any more"


async def test_a_change_that_is_allowed_stands_until_the_contract_changes_it(floor: Floor) -> None:
    await floor.signed()
    floor.edit(Kind.PROJECT, payment_terms="NET60")
    for _ in range(2):
        await floor.looks()
        assert floor.held(Kind.PROJECT).fields["payment_terms"] == "NET60"
    await floor.amended(1, billing={"kind": "milestones", "payment_terms": "NET14"})
    assert floor.held(Kind.PROJECT).fields["payment_terms"] == "NET14"


async def test_our_own_unconfirmed_write_is_nobodys_change(floor: Floor) -> None:
    """A worker died after its write was taken and before it was stored; a newer event came before the next look."""
    await floor.signed()
    floor.edit(Kind.PROJECT, name="Second title")  # what amendment 1 wanted, as the ERP took it
    async with floor.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.contract SET unclean_at = :t"), {"t": floor.clock.now()})
    header = {"number": 1, "executed_at": floor.clock.now().isoformat()}
    data = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": {"title": "Second title"}}
    await floor.arrive(cloud_event("a1", "amended.v1", data, at=floor.clock.now()))
    later = {**data, "revision": 3, "amendment": {**header, "number": 2}, "changes": {"title": "Third title"}}
    await floor.arrive(cloud_event("a2", "amended.v1", later, at=floor.clock.now()))
    await floor.run(after=timedelta(seconds=1))
    assert await floor.states() == {"C-1": "active"}
    assert floor.held(Kind.PROJECT).fields["name"] == "Third title"
    assert await floor.rows("SELECT cause FROM core.case") == []
