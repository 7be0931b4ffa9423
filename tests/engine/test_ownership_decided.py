"""What a person's decision on a conflict reaches: once and no further, and only fields that the person may set."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import Forbidden, person
from sync_core.commands.conflicts import Take
from sync_core.commands.desk import CommandRefused
from sync_core.desired import Kind, Scalar
from sync_core.errors import Function
from tests.commands import people
from tests.engine.test_ownership import OPERATOR, Floor, asking
from tests.sows import milestone_terms, tm_terms, two_prices


@pytest.fixture
async def floor(async_database: AsyncEngine) -> Floor:
    return Floor(async_database, estate=asking())


async def test_a_value_that_was_refused_asks_anew_when_it_is_put_there_again(floor: Floor, database: sa.Engine) -> None:
    await floor.signed()
    floor.edit(Kind.MILESTONE, "golive", bill_on="2026-11-30")
    await floor.looks()
    case, _, _ = await floor.case()
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    commands.conflicts.resolve(OPERATOR, case, {"milestone[golive].bill_on": Take.OURS}, "the contract says so")
    await floor.run(after=timedelta(seconds=1))
    assert await floor.rows("SELECT FROM core.crosswalk WHERE kept IS NOT NULL") == []
    floor.virtual.advance(timedelta(days=60))
    floor.edit(Kind.MILESTONE, "golive", bill_on="2026-11-30")
    await floor.looks()
    assert "bill on is 2026-11-30 in the ERP" in (await floor.case())[2]
    assert floor.held(Kind.MILESTONE, "golive").fields["bill_on"] == "2026-11-30"


@pytest.mark.parametrize(
    ("kind", "part", "changed", "name", "who", "function"),
    [
        (Kind.MILESTONE, "golive", {"bill_on": "2026-11-30"}, "milestone[golive].bill_on", "legal", Function.LEGAL),
        (Kind.PROJECT, "", {"name": "Theirs"}, "project.name", "legal", Function.LEGAL),
        (Kind.LABOUR_RATE, "SR", {"planned_hours": "140"}, "labour_rate[SR].planned_hours", "delivery",
         Function.DELIVERY),
    ],
)  # fmt: skip
async def test_a_field_of_another_function_is_not_taken_into_the_contract(
    floor: Floor, database: sa.Engine, kind: Kind, part: str, changed: dict[str, Scalar], name: str, who: str,
    function: Function,
) -> None:  # fmt: skip
    await floor.signed(tm_terms() if kind is Kind.LABOUR_RATE else milestone_terms())
    floor.edit(kind, part, **changed)
    await floor.looks()
    case, _, _ = await floor.case()
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    with pytest.raises(Forbidden, match=f"is for {who} to take into the contract: hand the exception over to {who}"):
        commands.conflicts.resolve(OPERATOR, case, {name: Take.THEIRS}, "it was agreed")
    assert await floor.rows("SELECT FROM core.event WHERE type LIKE '%corrected%'") == []
    both = person("both@example.com", ["operator:finance_operations", f"operator:{function}"])
    assert commands.conflicts.resolve(both, case, {name: Take.THEIRS}, "it was agreed").taken == (name,)


@pytest.mark.parametrize("part", ["SR", "SR@2026-06-15"])
async def test_one_of_several_prices_over_time_is_not_taken_from_the_erp(
    floor: Floor, database: sa.Engine, part: str
) -> None:
    floor.erp.dated_rates = True
    await floor.signed(tm_terms(rates=two_prices()))
    floor.edit(Kind.LABOUR_RATE, part, rate="1")
    await floor.looks()
    case, _, _ = await floor.case()
    commands = people.commands(database, clock=floor.clock, estate=floor.estate)
    both = person("both@example.com", ["operator:finance_operations", "operator:delivery"])
    with pytest.raises(CommandRefused, match="is one of several prices over time"):
        commands.conflicts.resolve(both, case, {f"labour_rate[{part}].rate": Take.THEIRS}, "it was agreed")
    commands.conflicts.resolve(both, case, {f"labour_rate[{part}].rate": Take.OURS}, "the contract says so")
    await floor.run(after=timedelta(seconds=1))
    assert floor.held(Kind.LABOUR_RATE, part).fields["rate"] == ("240" if part == "SR" else "260")
