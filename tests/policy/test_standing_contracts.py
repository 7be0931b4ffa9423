"""A proposal is tested over all that stands, however long ago it was signed, and wakes what it decides otherwise."""

from datetime import timedelta

import sqlalchemy as sa

from sync_core.commands.policies import Policies
from sync_core.policy.activations import note, wake
from tests.commands.people import ADMINISTRATOR
from tests.engine.support import Bench
from tests.policy.test_proposals import ALL_TO_BOOKS, TAX_TO_BOOKS, bench, desk, versions
from tests.policy.texts import plain
from tests.sows import SIGNED_AT, cloud_event

__all__ = ["bench", "desk"]
CALENDAR = '[[bill_calendar]]\nname = "On the third"\nbill_runs = [3]\n'


async def test_contracts_that_are_older_than_a_quarter_count(desk: Policies, bench: Bench) -> None:
    await (await bench.worker()).drain()
    bench.virtual.advance(timedelta(days=93))
    made = desk.propose(ADMINISTRATOR, ALL_TO_BOOKS, "the cloud is given up")
    assert (made.state, made.tested, made.changed) == ("proposed", 12, 12)


async def test_other_bill_runs_are_a_change(desk: Policies, bench: Bench) -> None:
    made = desk.propose(ADMINISTRATOR, CALENDAR, "invoices leave on the third")
    assert (made.state, made.effects) == ("proposed", {"bill_runs": 12})


async def test_a_suspended_contract_is_woken(desk: Policies, bench: Bench) -> None:
    pause = {"contract_id": "C-0", "revision": 2, "suspended_on": "2026-03-01"}
    await (await bench.worker()).drain()
    await bench.arrive(cloud_event("pause", "suspended.v1", pause))
    await (await bench.worker()).drain()
    assert (await bench.states())["C-0"] == "suspended"
    made = desk.propose(ADMINISTRATOR, TAX_TO_BOOKS, "tax is billed from the books")
    assert made.changed == 1
    async with bench.engine.begin() as conn:
        assert await wake(conn, made.version, now=bench.clock.now()) == 1


async def test_a_worker_of_before_notes_nothing_above_what_people_activated(
    desk: Policies, bench: Bench, database: sa.Engine
) -> None:
    made = desk.propose(ADMINISTRATOR, TAX_TO_BOOKS, "tax is billed from the books")
    async with bench.engine.begin() as conn:
        assert not await note(conn, plain().rules_version, "", estate="e", now=SIGNED_AT)
    assert versions(database)[-1] == made.version
    async with bench.engine.begin() as conn:
        assert await wake(conn, made.version, now=bench.clock.now()) == 1
