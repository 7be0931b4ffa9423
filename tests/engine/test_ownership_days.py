"""The ERP's value is taken into a contract that an amendment changes from a day on, or that was renewed by itself."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.commands.conflicts import Take
from sync_core.commands.desk import CommandRefused
from sync_core.desired import Kind, Scalar
from tests.commands import people
from tests.engine.test_lifecycle import AUTOMATIC
from tests.engine.test_ownership import ALL, ASK, Floor, asking
from tests.sows import cloud_event, milestone_terms, tm_terms

DEARER = {"category": "SR", "name": "Senior consultant", "rate": "260.00", "planned_hours": "120", "line": "1"}
JUNE = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def floor(async_database: AsyncEngine) -> Floor:
    return Floor(async_database, estate=asking(ASK + 'renewal_dates = { conflict = "person" }\n'))


async def from_june(floor: Floor, **changes: object) -> None:
    header = {"number": 1, "executed_at": floor.clock.now().isoformat(), "effective_on": "2026-06-01"}
    data = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": changes}
    await floor.arrive(cloud_event("a1", "amended.v1", data, at=floor.clock.now()))
    await floor.run(after=timedelta(minutes=1))


async def took(floor: Floor, database: sa.Engine, name: str) -> None:
    floor.virtual.advance(timedelta(minutes=1))
    await floor.looks()
    case, _, _ = await floor.case()
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    commands.conflicts.resolve(ALL, case, {name: Take.THEIRS}, "it was agreed")
    await floor.run(after=timedelta(seconds=1))


def senior(floor: Floor) -> tuple[Scalar, Scalar]:
    fields = floor.held(Kind.LABOUR_RATE, "SR").fields
    return fields["rate"], fields["planned_hours"]


async def test_what_else_waits_for_its_day_goes_on_waiting(floor: Floor, database: sa.Engine) -> None:
    await floor.signed(tm_terms())
    await from_june(floor, rates=[DEARER])
    floor.edit(Kind.LABOUR_RATE, "SR", planned_hours="140")
    await took(floor, database, "labour_rate[SR].planned_hours")
    assert senior(floor) == ("240", "140")
    await floor.run(after=JUNE - floor.clock.now())
    assert senior(floor) == ("260", "140")
    assert await floor.states() == {"C-1": "active"}


async def test_a_field_that_is_amended_from_a_day_ahead_is_not_taken(floor: Floor, database: sa.Engine) -> None:
    await floor.signed(tm_terms())
    await from_june(floor, rates=[DEARER], remove_rates=["JR"])
    for part, makes in (("SR", "makes it 260 from 2026-06-01"), ("JR", "takes it out from 2026-06-01")):
        before = floor.held(Kind.LABOUR_RATE, part).fields["rate"]
        floor.edit(Kind.LABOUR_RATE, part, rate="99")
        with pytest.raises(CommandRefused, match=makes):
            await took(floor, database, f"labour_rate[{part}].rate")
        floor.edit(Kind.LABOUR_RATE, part, rate=before)
        await floor.looks()
    await floor.run(after=JUNE - floor.clock.now())
    assert senior(floor) == ("260", "120")


async def test_the_end_of_a_contract_that_was_renewed_is_that_of_its_renewal(floor: Floor, database: sa.Engine) -> None:
    await floor.signed(milestone_terms(renewal=AUTOMATIC))
    await floor.run(after=datetime(2027, 3, 1, 12, tzinfo=UTC) - floor.clock.now())
    floor.edit(Kind.PROJECT, ends_on="2027-11-30")
    await took(floor, database, "project.ends_on")
    assert floor.held(Kind.PROJECT).fields["ends_on"] == "2027-11-30"
    await floor.looks()
    assert await floor.states() == {"C-1": "active"}
    assert await floor.rows("SELECT state FROM core.case") == [("resolved",)]
